#include "mock-aws/dataplane/discovery.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "mock-aws/services/appmesh/resource.h"

namespace coalmine::mock {
namespace {

using namespace appmesh;

bool is_ipv4(const std::string& text) {
  int parts = 0;
  for (std::size_t i = 0; i < text.size(); ++parts) {
    int value = 0, digits = 0;
    for (; i < text.size() && text[i] >= '0' && text[i] <= '9' && digits < 4; ++i, ++digits) {
      value = value * 10 + (text[i] - '0');
    }
    if (digits == 0 || digits > 3 || value > 255) return false;
    if (i < text.size() && (text[i] != '.' || ++i == text.size())) return false;
  }
  return parts == 4;
}

/// "X, Y and 3 more" would hide what the reader looks for: up to a named number is listed.
std::string known_hostnames(const InstanceRegistry& registry) {
  constexpr std::size_t kMaxListed = 10;
  auto names = registry.hostnames();
  if (names.empty()) return "none";
  const std::size_t more = names.size() > kMaxListed ? names.size() - kMaxListed : 0;
  names.resize(names.size() - more);
  return fmt::format("{}{}", fmt::join(names, ", "),
                     more == 0 ? "" : fmt::format(" and {} more", more));
}

Discovery no_instance(const std::string& node, const std::string& service) {
  return {{},
          fmt::format("virtual node {}: no instance of service {} is registered", node, service)};
}

Discovery on_port(const std::vector<DiscoveredInstance>& found, int port, const std::string& node,
                  const std::string& service) {
  Discovery out;
  for (const DiscoveredInstance& instance : found) {
    if (!is_ipv4(instance.ipv4)) continue;
    out.instances.push_back({instance.id, instance.ipv4, port, instance.healthy});
  }
  if (!out.instances.empty()) return out;
  if (found.empty()) return no_instance(node, service);
  return {{},
          fmt::format("virtual node {}: no instance of service {} has an AWS_INSTANCE_IPV4", node,
                      service)};
}

Discovery by_dns(const InstanceRegistry& registry, const std::string& hostname, int port,
                 const std::string& node) {
  const std::string address = hostname == "localhost" ? "127.0.0.1" : hostname;
  if (is_ipv4(address)) return {{{address, address, port, true}}, ""};
  const auto found = registry.resolve(hostname);
  if (!found) {
    return {{},
            fmt::format("virtual node {}: hostname {} does not match any Cloud Map service; "
                        "known: {}",
                        node, hostname, known_hostnames(registry))};
  }
  return on_port(*found, port, node, hostname);
}

Discovery by_cloud_map(const InstanceRegistry& registry, const Json& cloud_map, int port,
                       const std::string& node) {
  const std::string space = get_string(cloud_map, "namespaceName");
  const std::string service = get_string(cloud_map, "serviceName");
  std::map<std::string, std::string> attributes;
  if (const Json* given = find(cloud_map, "attributes")) {
    for (const Json& pair : *given) attributes[get_string(pair, "key")] = get_string(pair, "value");
  }
  const auto found = registry.discover(space, service, attributes);
  if (!found) {
    return {{},
            fmt::format("virtual node {}: Cloud Map has no service {} in namespace {}; known "
                        "host names: {}",
                        node, service, space, known_hostnames(registry))};
  }
  return on_port(*found, port, node, fmt::format("{}.{}", service, space));
}

}  // namespace

Discovery discover_instances(const AppMesh& app_mesh, const InstanceRegistry& registry,
                             const std::string& mesh, const std::string& node,
                             std::optional<int> port) {
  const Resource* resource = app_mesh.find({mesh, Kind::VirtualNode, "", node});
  if (resource == nullptr) return {{}, fmt::format("virtual node {} does not exist", node)};
  const Json& listeners = listeners_of(resource->spec);
  if (listeners.empty()) return {{}, fmt::format("virtual node {} has no listener", node)};
  const int actual_port = port.value_or(listener_port(listeners.front()));
  if (const Json* dns = at(resource->spec, {"serviceDiscovery", "dns"})) {
    return by_dns(registry, get_string(*dns, "hostname"), actual_port, node);
  }
  if (const Json* cloud_map = at(resource->spec, {"serviceDiscovery", "awsCloudMap"})) {
    return by_cloud_map(registry, *cloud_map, actual_port, node);
  }
  return {{}, fmt::format("virtual node {} has no service discovery", node)};
}

}  // namespace coalmine::mock
