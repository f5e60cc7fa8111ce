#pragma once

#include <array>
#include <compare>
#include <string>
#include <string_view>

namespace coalmine::mock::appmesh {

enum class Kind {
  Mesh,
  VirtualGateway,
  VirtualNode,
  VirtualRouter,
  VirtualService,
  Route,
  GatewayRoute
};

/// How the API speaks of a kind.
struct Vocabulary {
  Kind kind;
  std::string_view noun;         ///< "VirtualNode", in operations and messages
  std::string_view plural;       ///< "VirtualNodes", in List operations
  std::string_view payload;      ///< "virtualNode", output member and ARN segment
  std::string_view list_member;  ///< "virtualNodes"
  std::string_view name_member;  ///< "virtualNodeName"
  std::string_view event_noun;   ///< "virtual-node"
};

inline constexpr std::array<Vocabulary, 7> kKinds = {{
    {Kind::Mesh, "Mesh", "Meshes", "mesh", "meshes", "meshName", "mesh"},
    {Kind::VirtualGateway, "VirtualGateway", "VirtualGateways", "virtualGateway", "virtualGateways",
     "virtualGatewayName", "virtual-gateway"},
    {Kind::VirtualNode, "VirtualNode", "VirtualNodes", "virtualNode", "virtualNodes",
     "virtualNodeName", "virtual-node"},
    {Kind::VirtualRouter, "VirtualRouter", "VirtualRouters", "virtualRouter", "virtualRouters",
     "virtualRouterName", "virtual-router"},
    {Kind::VirtualService, "VirtualService", "VirtualServices", "virtualService", "virtualServices",
     "virtualServiceName", "virtual-service"},
    {Kind::Route, "Route", "Routes", "route", "routes", "routeName", "route"},
    {Kind::GatewayRoute, "GatewayRoute", "GatewayRoutes", "gatewayRoute", "gatewayRoutes",
     "gatewayRouteName", "gateway-route"},
}};

constexpr const Vocabulary& vocabulary(Kind kind) {
  return kKinds[static_cast<std::size_t>(kind)];
}

/// The kind that routes and gateway routes lie below; Mesh for all others.
constexpr Kind parent_kind(Kind kind) {
  if (kind == Kind::Route) return Kind::VirtualRouter;
  if (kind == Kind::GatewayRoute) return Kind::VirtualGateway;
  return Kind::Mesh;
}

/// Sorted so that everything of one kind below one parent stands together.
struct Key {
  std::string mesh;
  Kind kind = Kind::Mesh;
  std::string parent;  ///< router of a route, gateway of a gateway route, else empty
  std::string name;
  auto operator<=>(const Key&) const = default;
};

struct Resource;  // resource.h: it holds JSON, so it is kept out of the cheap headers

}  // namespace coalmine::mock::appmesh
