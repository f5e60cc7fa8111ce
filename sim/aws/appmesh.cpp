#include "sim/aws/appmesh.h"

#include <nlohmann/json.hpp>

namespace coalmine::aws {
namespace {

Json input_of(const RouteName& name) {
  return {{"meshName", name.mesh}, {"virtualRouterName", name.router}, {"routeName", name.route}};
}

}  // namespace

Result<Json> describe_route_spec(Client& client, const RouteName& name) {
  TRY(const Json answer, client.call("appmesh", "DescribeRoute", input_of(name)));
  const Json* route = find(answer, "route");
  const Json* spec = route == nullptr ? nullptr : find(*route, "spec");
  if (spec == nullptr) return error(ErrorKind::Failed, "DescribeRoute's answer has no spec");
  return *spec;
}

Status update_route_spec(Client& client, const RouteName& name, const Json& spec) {
  Json input = input_of(name);
  input["spec"] = spec;
  TRY_STATUS(client.call("appmesh", "UpdateRoute", input));
  return {};
}

Status create_route(Client& client, const RouteName& name, const Json& spec) {
  Json input = input_of(name);
  input["spec"] = spec;
  TRY_STATUS(client.call("appmesh", "CreateRoute", input));
  return {};
}

Status delete_route(Client& client, const RouteName& name) {
  TRY_STATUS(client.call("appmesh", "DeleteRoute", input_of(name)));
  return {};
}

Result<std::vector<std::string>> list_routes(Client& client, const std::string& mesh,
                                             const std::string& router) {
  std::vector<std::string> names;
  Json input = {{"meshName", mesh}, {"virtualRouterName", router}};
  while (true) {
    TRY(const Json answer, client.call("appmesh", "ListRoutes", input));
    if (const Json* routes = find(answer, "routes"); routes != nullptr && routes->is_array()) {
      for (const Json& route : *routes) names.push_back(get_string(route, "routeName"));
    }
    const std::string next = get_string(answer, "nextToken");
    if (next.empty()) return names;
    input["nextToken"] = next;
  }
}

Json* weighted_targets(Json& spec) {
  for (const char* kind : {"httpRoute", "http2Route", "grpcRoute", "tcpRoute"}) {
    if (!spec.contains(kind) || !spec[kind].is_object()) continue;
    Json& action = spec[kind]["action"];
    if (action.is_object() && action.contains("weightedTargets")) return &action["weightedTargets"];
  }
  return nullptr;
}

}  // namespace coalmine::aws
