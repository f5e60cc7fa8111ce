#pragma once

#include "mock-aws/server/server.h"

namespace coalmine::mock {

struct GatewayEndpointOptions {
  /// From a change of routes to the moment when gateways get it, in the server's time.
  Duration route_delay{};
  double speed = 1;                                  ///< of the server's time
  std::function<bool(TimePoint)> metrics_lost = {};  ///< as in CloudServerOptions
};

/// What gateways and sidecars ask the control plane, over a CloudBackend:
///   GET  /_coalmine/routes?virtual-gateway=MESH/NAME|load-balancer=NAME&scope=A/R&after=VERSION
///   POST /_coalmine/metrics       what a gateway counted since its last report
///   GET  /_coalmine/virtual-node?mesh=M&name=N&scope=A/R
///
/// Events tell how far a change has come: "routes.sent" when a gateway was handed a table, and
/// "routes.adopted" when it asks for what comes after it. Both have `gateway` (MESH/NAME or NAME),
/// `version`, `weights`: {"ROUTE": {"TARGET": WEIGHT}}, and by target how many `tasks` it has and
/// how many are `healthy`. "routes.refused" has `gateway`, `version` and `reason` instead: the
/// gateway cannot serve that table, and its last one stays in force.
MockServer::Endpoints gateway_endpoints(const GatewayEndpointOptions& options = {});

}  // namespace coalmine::mock
