// mock-aws/dataplane: from what the APIs hold to what a gateway does, and back.
//
// The one place that knows both vocabularies: App Mesh, Cloud Map and load balancers on one
// side, sim/traffic's route tables on the other; and it turns what gateways count into the
// CloudWatch metrics that AWS's own data planes write.
//
//   route_compiler.h   virtual gateway + Cloud Map -> RouteTable
//   load_balancer.h    load balancer + target groups -> RouteTable
//   propagation.h      when a change of routes reaches a gateway
//   metrics.h          a gateway's counts -> MetricDatum lists
//
// All pure and deterministic: the same state gives the same table.
//
// Below: mock-aws/services, sim/traffic. Above: mock-aws/server, sim/engine.
#pragma once

#include <cstdint>
#include <string>

#include "mock-aws/services/appmesh/appmesh.h"
#include "mock-aws/services/ports.h"
#include "sim/core/result.h"
#include "sim/traffic/route_table.h"

namespace coalmine::mock {

/// Rises whenever compile_virtual_gateway() may give another table: when to compile anew.
std::uint64_t data_plane_revision(const AppMesh& app_mesh, const InstanceRegistry& registry);

/// The table that the Envoy of `gateway` in `mesh` obeys, numbered `version`.
///
/// Gateway routes become routes with explicit rewrites, their virtual services chains, routes of
/// the provider forwards to the instances that DNS or Cloud Map name, on the virtual node's own
/// port. Routes are sorted as they are tried: priority, then exact path, regular expression,
/// longest prefix. What cannot be served is kept and says why: a target without instances in
/// `unavailable`, a service without provider as a 503, a tcp or gRPC route as a 501.
///
/// A request's timeouts are the lower ones of its route and its node's listener; outlier detection,
/// connection pool and health check are those of the node's listener. TLS is spoken to clients by
/// the gateway's listeners with a certificate in files; `scheme` and TLS to nodes have no effect.
/// Error: the mesh has no such gateway (the message lists those it has).
Result<traffic::RouteTable> compile_virtual_gateway(const AppMesh& app_mesh,
                                                    const InstanceRegistry& registry,
                                                    const std::string& mesh,
                                                    const std::string& gateway,
                                                    std::uint64_t version);

}  // namespace coalmine::mock
