// Where the tasks of a virtual node are: its serviceDiscovery, looked up.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "mock-aws/services/appmesh/appmesh.h"
#include "mock-aws/services/ports.h"
#include "sim/traffic/route_table.h"

namespace coalmine::mock {

struct Discovery {
  std::vector<traffic::Instance> instances;
  std::string unavailable;  ///< why there are none; empty if there are some
};

/// All instances of a virtual node, on `port` or else its first listener's: the node's own port
/// counts, whatever the router's listener says. A DNS name is one of Cloud Map's, "localhost" or
/// an IPv4 address.
Discovery discover_instances(const AppMesh& app_mesh, const InstanceRegistry& registry,
                             const std::string& mesh, const std::string& node,
                             std::optional<int> port);

}  // namespace coalmine::mock
