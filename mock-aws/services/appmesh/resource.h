#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "mock-aws/services/appmesh/kinds.h"
#include "sim/core/json.h"
#include "sim/core/time.h"

namespace coalmine::mock::appmesh {

/// One mesh, virtual node, router, service, gateway, route or gateway route.
struct Resource {
  Key key;
  std::string arn;
  std::string uid;
  std::int64_t version = 1;
  TimePoint created_at;
  TimePoint updated_at;
  Json spec = Json::object();  ///< as given, without defaults
  /// What the data plane obeys. Differs from `spec` only for a route whose weights are all 0:
  /// Envoy rejects such an update and goes on with what it had, while the API says ACTIVE.
  /// Null when there never was a usable spec.
  Json live_spec;
  std::map<std::string, std::string> tags;
};

/// The one of `httpRoute`, `http2Route`, `tcpRoute`, `grpcRoute` that a route's or gateway
/// route's spec has, with its name; nullptr before the spec was checked.
struct RouteBody {
  std::string type;  ///< "httpRoute"
  const Json* body = nullptr;
};
RouteBody route_body(const Json& spec);

/// "http" of "httpRoute": the protocol as listeners spell it.
std::string protocol_of(const RouteBody& route);

/// The member below a path of keys; nullptr if any is missing. at(spec, {"action", "target"}).
const Json* at(const Json& value, std::initializer_list<std::string_view> path);

/// `spec.listeners`, empty if there are none.
const Json& listeners_of(const Json& spec);
int listener_port(const Json& listener);
std::string listener_protocol(const Json& listener);

}  // namespace coalmine::mock::appmesh
