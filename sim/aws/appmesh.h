#pragma once

#include <memory>
#include <string>

#include "sim/aws/client.h"

namespace coalmine::aws {

struct RouteName {
  std::string mesh, router, route;
};

/// DescribeRoute: the route's spec, exactly as stored.
Result<Json> describe_route_spec(Client& client, const RouteName& name);
/// UpdateRoute with the whole spec.
Status update_route_spec(Client& client, const RouteName& name, const Json& spec);

/// The weighted targets in a route's spec, whichever protocol it is of: a pointer into `spec`
/// and null when there are none.
Json* weighted_targets(Json& spec);

}  // namespace coalmine::aws
