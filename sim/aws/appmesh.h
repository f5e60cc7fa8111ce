#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sim/aws/client.h"

namespace coalmine::aws {

struct RouteName {
  std::string mesh, router, route;
};

/// DescribeRoute: the route's spec, exactly as stored.
Result<Json> describe_route_spec(Client& client, const RouteName& name);
/// UpdateRoute with the whole spec.
Status update_route_spec(Client& client, const RouteName& name, const Json& spec);

/// CreateRoute and DeleteRoute; ListRoutes: the names of all of a router's routes.
Status create_route(Client& client, const RouteName& name, const Json& spec);
Status delete_route(Client& client, const RouteName& name);
Result<std::vector<std::string>> list_routes(Client& client, const std::string& mesh,
                                             const std::string& router);

/// The weighted targets in a route's spec, whichever protocol it is of: a pointer into `spec`
/// and null when there are none.
Json* weighted_targets(Json& spec);

}  // namespace coalmine::aws
