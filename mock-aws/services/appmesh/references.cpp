// What a spec must satisfy among the other resources, and what may be deleted when.
//
// Checked as AWS does: a route's nodes, a service's provider and a gateway route's service must
// exist; a node's backends, Cloud Map names and DNS host names need not (cycles are legal).
#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "mock-aws/services/appmesh/appmesh.h"
#include "mock-aws/services/appmesh/resource.h"
#include "sim/core/check.h"

namespace coalmine::mock {
namespace {

using namespace appmesh;

template <typename... Args>
tl::unexpected<AwsError> bad(fmt::format_string<Args...> text, Args&&... args) {
  return aws_error("BadRequestException", text, std::forward<Args>(args)...);
}

template <typename... Args>
tl::unexpected<AwsError> in_use(fmt::format_string<Args...> text, Args&&... args) {
  return aws_error("ResourceInUseException", text, std::forward<Args>(args)...);
}

std::vector<int> ports_of(const Json& spec) {
  std::vector<int> ports;
  for (const Json& listener : listeners_of(spec)) ports.push_back(listener_port(listener));
  return ports;
}

bool has_port(const std::vector<int>& ports, std::int64_t port) {
  return std::find(ports.begin(), ports.end(), port) != ports.end();
}

/// A port that must be named when there are several listeners, and must be one of theirs.
tl::expected<void, AwsError> check_port(const Json& object, std::string_view member,
                                        const std::vector<int>& ports, std::string_view owner) {
  if (const Json* port = find(object, member)) {
    if (!ports.empty() && !has_port(ports, port->get<std::int64_t>())) {
      return bad("{} {} is not a listener port of {}; its ports: {}", member,
                 port->get<std::int64_t>(), owner, fmt::join(ports, ", "));
    }
  } else if (ports.size() > 1) {
    return bad("{} is required: {} has several listeners: {}", member, owner,
               fmt::join(ports, ", "));
  }
  return {};
}

const Json* match_port(const RouteBody& route) {
  return route.body == nullptr ? nullptr : at(*route.body, {"match", "port"});
}

/// Protocol of the listener that a route matches on; empty if the router has none.
std::string protocol_for(const Json& router_spec, const Json* port) {
  for (const Json& listener : listeners_of(router_spec)) {
    if (port == nullptr || listener_port(listener) == port->get<std::int64_t>()) {
      return listener_protocol(listener);
    }
  }
  return "";
}

std::string target_service(const Json& gateway_route_spec) {
  const RouteBody route = route_body(gateway_route_spec);
  if (route.body == nullptr) return "";
  const Json* service = at(*route.body, {"action", "target", "virtualService"});
  return service == nullptr ? "" : get_string(*service, "virtualServiceName");
}

bool routes_to(const Json& route_spec, const std::string& node) {
  const RouteBody route = route_body(route_spec);
  const Json* targets =
      route.body == nullptr ? nullptr : at(*route.body, {"action", "weightedTargets"});
  if (targets == nullptr) return false;
  return std::any_of(targets->begin(), targets->end(),
                     [&](const Json& target) { return get_string(target, "virtualNode") == node; });
}

}  // namespace

AppMesh::Check AppMesh::check_references(const Key& key, const Json& spec) const {
  switch (key.kind) {
    case Kind::Route:
      return check_route(key, spec);
    case Kind::GatewayRoute:
      return check_gateway_route(key, spec);
    case Kind::VirtualService:
      return check_provider(key, spec);
    case Kind::VirtualRouter:
      return check_router_change(key, spec);
    case Kind::VirtualGateway:
      return check_gateway_change(key, spec);
    case Kind::Mesh:
    case Kind::VirtualNode:
      return {};
  }
  CHECK_FAILED("kind of App Mesh resource");
}

AppMesh::Check AppMesh::check_route(const Key& key, const Json& spec) const {
  const RouteBody route = route_body(spec);
  const Resource* router = find({key.mesh, Kind::VirtualRouter, "", key.parent});
  const std::vector<int> ports = ports_of(router->spec);
  const Json* port = match_port(route);
  if (port == nullptr && ports.size() > 1) {
    return bad(
        "Route must define a port match criteria if the Virtual Router has multiple listeners");
  }
  if (port != nullptr) {
    TRY_STATUS(check_port(*coalmine::find(*route.body, "match"), "port", ports,
                          fmt::format("virtual router {}", key.parent)));
  }
  const std::string protocol = protocol_for(router->spec, port);
  if (!protocol.empty() && protocol != protocol_of(route)) {
    return bad("spec.{} does not fit the listener of virtual router {}, whose protocol is {}",
               route.type, key.parent, protocol);
  }
  for (const Json& target : *at(*route.body, {"action", "weightedTargets"})) {
    const std::string node_name = get_string(target, "virtualNode");
    const Resource* node = find({key.mesh, Kind::VirtualNode, "", node_name});
    if (node == nullptr) {
      return aws_error("NotFoundException", "VirtualNode with name {} is missing", node_name);
    }
    TRY_STATUS(check_port(target, "port", ports_of(node->spec),
                          fmt::format("virtual node {}", node_name)));
  }
  return {};
}

AppMesh::Check AppMesh::check_provider(const Key& key, const Json& spec) const {
  const Json* provider = coalmine::find(spec, "provider");
  if (provider == nullptr) return {};
  for (const Kind kind : {Kind::VirtualNode, Kind::VirtualRouter}) {
    const Vocabulary& words = vocabulary(kind);
    const Json* reference = coalmine::find(*provider, words.payload);
    if (reference == nullptr) continue;
    const std::string name = get_string(*reference, words.name_member);
    if (find({key.mesh, kind, "", name}) == nullptr) {
      return aws_error("NotFoundException", "{} with name {} is missing", words.noun, name);
    }
  }
  return {};
}

AppMesh::Check AppMesh::check_gateway_route(const Key& key, const Json& spec) const {
  const RouteBody route = route_body(spec);
  const Resource* gateway = find({key.mesh, Kind::VirtualGateway, "", key.parent});
  const Json* match = coalmine::find(*route.body, "match");
  static const Json kEmpty = Json::object();
  TRY_STATUS(check_port(match == nullptr ? kEmpty : *match, "port", ports_of(gateway->spec),
                        fmt::format("virtual gateway {}", key.parent)));
  const std::string name = target_service(spec);
  const Resource* service = find({key.mesh, Kind::VirtualService, "", name});
  if (service == nullptr) {
    return aws_error("NotFoundException", "VirtualService with name {} is missing", name);
  }
  for (const Kind kind : {Kind::VirtualNode, Kind::VirtualRouter}) {
    const Vocabulary& words = vocabulary(kind);
    const Json* reference = at(service->spec, {"provider", words.payload});
    if (reference == nullptr) continue;
    const Resource* provider =
        find({key.mesh, kind, "", get_string(*reference, words.name_member)});
    if (provider == nullptr) continue;
    TRY_STATUS(check_port(*at(*route.body, {"action", "target"}), "port", ports_of(provider->spec),
                          fmt::format("the provider of virtual service {}", name)));
  }
  return {};
}

AppMesh::Check AppMesh::check_router_change(const Key& key, const Json& spec) const {
  constexpr std::size_t kMaxNamesListed = 5;
  std::vector<std::string> portless;
  const bool several = listeners_of(spec).size() > 1;
  for (const Resource* route : list(Kind::Route, key.mesh, key.name)) {
    const RouteBody body = route_body(route->spec);
    const Json* port = match_port(body);
    if (several && port == nullptr) {
      portless.push_back(route->key.name);
      continue;
    }
    if (const auto protocol = protocol_for(spec, port);
        !protocol.empty() && protocol != protocol_of(body)) {
      return bad("the listener's protocol cannot become {} while route {} is an {}", protocol,
                 route->key.name, body.type);
    }
    if (port != nullptr && !ports_of(spec).empty() &&
        !has_port(ports_of(spec), port->get<std::int64_t>())) {
      return bad("listener port {} cannot be removed while route {} matches on it",
                 port->get<std::int64_t>(), route->key.name);
    }
  }
  if (portless.empty()) return {};
  const std::size_t missing = portless.size();
  portless.resize(std::min(missing, kMaxNamesListed));
  return bad(
      "All Routes for this Virtual Router must define a port match before adding multiple "
      "listeners to this Virtual Router. {} Route(s) are missing port. Listing up to {} route "
      "names: [{}]",
      missing, kMaxNamesListed, fmt::join(portless, ", "));
}

AppMesh::Check AppMesh::check_gateway_change(const Key& key, const Json& spec) const {
  for (const Resource* route : list(Kind::GatewayRoute, key.mesh, key.name)) {
    const Json* port = match_port(route_body(route->spec));
    if (port == nullptr && listeners_of(spec).size() > 1) {
      return bad(
          "gateway route {} must define a port match before the virtual gateway has "
          "several listeners",
          route->key.name);
    }
    if (port != nullptr && !has_port(ports_of(spec), port->get<std::int64_t>())) {
      return bad("listener port {} cannot be removed while gateway route {} matches on it",
                 port->get<std::int64_t>(), route->key.name);
    }
  }
  return {};
}

AppMesh::Check AppMesh::check_unused(const Key& key) const {
  if (key.kind == Kind::Mesh) {
    for (const Kind kind :
         {Kind::VirtualGateway, Kind::VirtualService, Kind::VirtualRouter, Kind::VirtualNode}) {
      if (list(kind, key.name).empty()) continue;
      const auto plural = vocabulary(kind).plural;
      return in_use(
          "Mesh {} for account {} has active {}, please delete {} before deleting the "
          "Mesh",
          key.name, scope_.account, plural, plural);
    }
  }
  if (key.kind == Kind::VirtualRouter && !list(Kind::Route, key.mesh, key.name).empty()) {
    return in_use("VirtualRouter you're trying to delete {} has active routes", key.name);
  }
  if (key.kind == Kind::VirtualGateway && !list(Kind::GatewayRoute, key.mesh, key.name).empty()) {
    return in_use("VirtualGateway you're trying to delete {} has active gateway routes", key.name);
  }
  for (const auto& [other_key, other] : resources_) {
    if (other_key.mesh != key.mesh) continue;
    if (key.kind == Kind::VirtualNode && other_key.kind == Kind::Route &&
        routes_to(other->spec, key.name)) {
      return in_use(
          "VirtualNode with name {} cannot be deleted because it is the target of one "
          "or more routes.",
          key.name);
    }
    const Vocabulary& words = vocabulary(key.kind);
    if ((key.kind == Kind::VirtualNode || key.kind == Kind::VirtualRouter) &&
        other_key.kind == Kind::VirtualService) {
      const Json* provider = at(other->spec, {"provider", words.payload});
      if (provider != nullptr && get_string(*provider, words.name_member) == key.name) {
        return in_use("{} with name {} cannot be deleted because it is a VirtualService provider",
                      words.noun, key.name);
      }
    }
    if (key.kind == Kind::VirtualService && other_key.kind == Kind::GatewayRoute &&
        target_service(other->spec) == key.name) {
      return in_use("VirtualService {} is being referenced in the following: GATEWAY_ROUTE: [{}]",
                    key.name, other_key.name);
    }
  }
  return {};
}

}  // namespace coalmine::mock
