// What a virtual node's listener says about how clients treat its tasks.
#pragma once

#include <optional>
#include <string>

#include "mock-aws/services/appmesh/appmesh.h"
#include "sim/traffic/route_table.h"

namespace coalmine::mock {

/// What App Mesh's Envoy does when nothing else is said (App Mesh user guide).
inline constexpr Duration kDefaultRequestTimeout = std::chrono::seconds{15};
inline constexpr Duration kDefaultIdleTimeout = std::chrono::seconds{300};

/// {"unit":"ms","value":250}; nullopt if it is not given.
std::optional<Duration> duration_at(const Json& value,
                                    std::initializer_list<std::string_view> path);

/// The listener on `port`, or else the first one; nullptr if there is no such node or listener.
const Json* node_listener(const AppMesh& app_mesh, const std::string& mesh, const std::string& node,
                          std::optional<int> port);

/// Of an HttpTimeout, with the defaults filled in; null: nothing was given.
traffic::Timeouts timeouts_of(const Json* http_timeout);

/// The lower of a route's and a node listener's limits holds (App Mesh user guide, timeouts: a
/// longer one must be set on both).
traffic::Timeouts lower_timeouts(const traffic::Timeouts& route, const Json& listener);

/// outlierDetection, connectionPool and healthCheck of the listener.
void set_policies(traffic::Target& target, const Json& listener);

}  // namespace coalmine::mock
