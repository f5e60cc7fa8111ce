// App Mesh's match and rewrite members, in sim/traffic's terms.
#pragma once

#include <vector>

#include "sim/core/json.h"
#include "sim/traffic/route_table.h"

namespace coalmine::mock {

/// `match` of an httpRoute or http2Route, of a router or a gateway. `scheme` is not looked at.
traffic::RouteMatch http_match(const Json& match);

/// What a gateway route changes, with App Mesh's defaults spelt out: Host becomes the virtual
/// service's name and a matched prefix "/", unless DISABLED; exact and regex paths stay.
traffic::Rewrite gateway_rewrite(const Json& route, const std::string& virtual_service);

/// In the order they are tried: priority (none last), then host (exact, longest suffix, any),
/// then path (exact, regular expression, longest prefix, any), then more conditions, then name.
void sort_routes(std::vector<traffic::Route>& routes);

}  // namespace coalmine::mock
