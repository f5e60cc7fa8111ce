#include "mock-aws/services/appmesh/resource.h"

namespace coalmine::mock::appmesh {

RouteBody route_body(const Json& spec) {
  for (const char* type : {"httpRoute", "http2Route", "tcpRoute", "grpcRoute"}) {
    if (const Json* body = find(spec, type)) return {type, body};
  }
  return {};
}

std::string protocol_of(const RouteBody& route) {
  constexpr std::size_t kSuffix = std::string_view("Route").size();
  return route.type.size() > kSuffix ? route.type.substr(0, route.type.size() - kSuffix) : "";
}

const Json* at(const Json& value, std::initializer_list<std::string_view> path) {
  const Json* here = &value;
  for (const std::string_view key : path) {
    here = find(*here, key);
    if (here == nullptr) return nullptr;
  }
  return here;
}

const Json& listeners_of(const Json& spec) {
  static const Json kNone = Json::array();
  const Json* listeners = find(spec, "listeners");
  return listeners != nullptr && listeners->is_array() ? *listeners : kNone;
}

int listener_port(const Json& listener) {
  const Json* mapping = find(listener, "portMapping");
  return mapping == nullptr ? 0 : static_cast<int>(get_int(*mapping, "port"));
}

std::string listener_protocol(const Json& listener) {
  const Json* mapping = find(listener, "portMapping");
  return mapping == nullptr ? "" : get_string(*mapping, "protocol");
}

}  // namespace coalmine::mock::appmesh
