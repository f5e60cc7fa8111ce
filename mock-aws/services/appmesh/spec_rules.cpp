#include "mock-aws/services/appmesh/spec_rules.h"

#include <algorithm>
#include <set>

#include "mock-aws/services/appmesh/resource.h"
#include "sim/core/check.h"

namespace coalmine::mock::appmesh {
namespace {

using Check = tl::expected<void, AwsError>;

template <typename... Args>
tl::unexpected<AwsError> bad(fmt::format_string<Args...> text, Args&&... args) {
  return aws_error("BadRequestException", text, std::forward<Args>(args)...);
}

bool has(const Json& object, std::string_view key) {
  return find(object, key) != nullptr;
}

int count(const Json& object, std::initializer_list<std::string_view> keys) {
  return static_cast<int>(
      std::count_if(keys.begin(), keys.end(), [&](auto key) { return has(object, key); }));
}

bool starts_with(const std::string& text, std::string_view prefix) {
  return text.compare(0, prefix.size(), prefix) == 0;
}

/// Headers of HTTP routes and metadata of gRPC routes.
Check check_field_matches(const Json& match, std::string_view member, const std::string& place) {
  const Json* fields = find(match, member);
  if (fields == nullptr) return {};
  for (const Json& field : *fields) {
    const Json* range = at(field, {"match", "range"});
    if (range == nullptr) continue;
    const auto start = get_int(*range, "start"), end = get_int(*range, "end");
    if (end <= start) {
      return bad("{}.match.{} '{}': range is {} to {}; end must be greater than start", place,
                 member, get_string(field, "name"), start, end);
    }
  }
  return {};
}

Check check_path_match(const Json& match, const std::string& place) {
  if (count(match, {"prefix", "path"}) == 2) {
    return bad("{}.match: give prefix or path, not both", place);
  }
  if (count(match, {"prefix", "path", "method", "headers", "queryParameters", "hostname"}) == 0) {
    return bad("{}.match: give prefix or path, or another condition", place);
  }
  if (has(match, "prefix") && !starts_with(get_string(match, "prefix"), "/")) {
    return bad("{}.match.prefix is '{}'; it must start with '/'", place,
               get_string(match, "prefix"));
  }
  if (const Json* path = find(match, "path")) {
    if (count(*path, {"exact", "regex"}) != 1) {
      return bad("{}.match.path: give exactly one of exact and regex", place);
    }
    if (has(*path, "exact") && !starts_with(get_string(*path, "exact"), "/")) {
      return bad("{}.match.path.exact is '{}'; it must start with '/'", place,
                 get_string(*path, "exact"));
    }
  }
  return {};
}

Check check_hostname(const Json& match, const std::string& place) {
  const Json* hostname = find(match, "hostname");
  if (hostname != nullptr && count(*hostname, {"exact", "suffix"}) != 1) {
    return bad("{}.match.hostname: give exactly one of exact and suffix", place);
  }
  return {};
}

Check check_retry(const Json& body, const std::string& place) {
  const Json* retry = find(body, "retryPolicy");
  if (retry == nullptr) return {};
  std::size_t events = 0;
  for (const char* member : {"httpRetryEvents", "tcpRetryEvents", "grpcRetryEvents"}) {
    if (const Json* list = find(*retry, member)) events += list->size();
  }
  if (events == 0) {
    return bad(
        "{}.retryPolicy: give at least one httpRetryEvents, tcpRetryEvents or "
        "grpcRetryEvents value",
        place);
  }
  if (const Json* http = find(*retry, "httpRetryEvents")) {
    static const std::set<std::string> kAllowed = {"server-error", "gateway-error", "client-error",
                                                   "stream-error"};
    for (const Json& event : *http) {
      if (!event.is_string() || kAllowed.count(event.get<std::string>()) == 0) {
        return bad(
            "{}.retryPolicy.httpRetryEvents has {}; allowed are server-error, "
            "gateway-error, client-error, stream-error",
            place, dump_json(event));
      }
    }
  }
  return {};
}

Check check_one_type(const Json& spec, std::initializer_list<std::string_view> types) {
  if (const int given = count(spec, types); given != 1) {
    return bad("spec has {} route types; give exactly one of {}", given, fmt::join(types, ", "));
  }
  return {};
}

Check check_grpc_match(const Json& match, const std::string& place) {
  if (has(match, "methodName") && !has(match, "serviceName")) {
    return bad("{}.match: methodName needs serviceName", place);
  }
  return check_field_matches(match, "metadata", place);
}

Check check_route(const Json& spec) {
  TRY_STATUS(check_one_type(spec, {"httpRoute", "http2Route", "tcpRoute", "grpcRoute"}));
  const RouteBody route = route_body(spec);
  const std::string place = "spec." + route.type;
  const Json* match = find(*route.body, "match");
  if (match != nullptr && route.type == "grpcRoute") {
    TRY_STATUS(check_grpc_match(*match, place));
  } else if (match != nullptr && route.type != "tcpRoute") {
    TRY_STATUS(check_path_match(*match, place));
    TRY_STATUS(check_field_matches(*match, "headers", place));
  }
  return check_retry(*route.body, place);
}

Check check_rewrite(const Json& rewrite, const std::string& place) {
  if (count(rewrite, {"hostname", "prefix", "path"}) == 0) {
    return bad("{}: give at least one of hostname, prefix and path", place);
  }
  if (count(rewrite, {"prefix", "path"}) == 2) {
    return bad("{}: give prefix or path, not both", place);
  }
  if (const Json* prefix = find(rewrite, "prefix")) {
    if (count(*prefix, {"defaultPrefix", "value"}) != 1) {
      return bad("{}.prefix: give exactly one of defaultPrefix and value", place);
    }
    const std::string value = get_string(*prefix, "value", "/");
    if (!starts_with(value, "/") || value.back() != '/') {
      return bad("{}.prefix.value is '{}'; it must start and end with '/'", place, value);
    }
  }
  if (const Json* path = find(rewrite, "path")) {
    if (!starts_with(get_string(*path, "exact"), "/")) {
      return bad("{}.path.exact is '{}'; it must start with '/'", place,
                 get_string(*path, "exact"));
    }
  }
  return {};
}

Check check_gateway_route(const Json& spec) {
  TRY_STATUS(check_one_type(spec, {"httpRoute", "http2Route", "grpcRoute"}));
  const RouteBody route = route_body(spec);
  const std::string place = "spec." + route.type;
  if (const Json* match = find(*route.body, "match")) {
    TRY_STATUS(check_hostname(*match, place));
    if (route.type == "grpcRoute") {
      TRY_STATUS(check_field_matches(*match, "metadata", place));
    } else {
      TRY_STATUS(check_path_match(*match, place));
      TRY_STATUS(check_field_matches(*match, "headers", place));
      for (const std::string& path : {get_string(*match, "prefix")}) {
        if (starts_with(path, "/aws-appmesh") || starts_with(path, "/aws-app-mesh")) {
          return bad(
              "{}.match.prefix is '{}'; prefixes that start with /aws-appmesh or "
              "/aws-app-mesh are reserved",
              place, path);
        }
      }
    }
  }
  if (const Json* rewrite = at(*route.body, {"action", "rewrite"})) {
    return check_rewrite(*rewrite, place + ".action.rewrite");
  }
  return {};
}

/// Timeouts and connection pools are given per protocol: only the listener's own fits.
Check check_protocol_member(const Json& listener, std::string_view member, std::size_t index) {
  const Json* value = find(listener, member);
  const std::string protocol = listener_protocol(listener);
  if (value != nullptr && !has(*value, protocol)) {
    return bad("spec.listeners[{}].{}: the listener's protocol is {}, so only {}.{} fits", index,
               member, protocol, member, protocol);
  }
  return {};
}

Check check_listeners(const Json& spec) {
  std::set<int> ports;
  std::size_t index = 0;
  for (const Json& listener : listeners_of(spec)) {
    const int port = listener_port(listener);
    if (!ports.insert(port).second) {
      return bad("spec.listeners[{}]: port {} is used by another listener", index, port);
    }
    if (const Json* health = find(listener, "healthCheck")) {
      if (const auto checked = get_int(*health, "port", port); checked != port) {
        return bad("spec.listeners[{}].healthCheck.port is {}; it must be the listener's port {}",
                   index, checked, port);
      }
    }
    TRY_STATUS(check_protocol_member(listener, "timeout", index));
    TRY_STATUS(check_protocol_member(listener, "connectionPool", index));
    ++index;
  }
  return {};
}

Check check_virtual_node(const Json& spec) {
  const bool listens = !listeners_of(spec).empty();
  if (has(spec, "serviceDiscovery") && !listens) {
    return bad("Service Discovery can't be set without a listener.");
  }
  if (listens && !has(spec, "serviceDiscovery")) {
    return bad("spec.listeners needs spec.serviceDiscovery: give dns or awsCloudMap");
  }
  if (const Json* backends = find(spec, "backends")) {
    std::set<std::string> seen;
    for (const Json& backend : *backends) {
      const Json* service = find(backend, "virtualService");
      const std::string name = service ? get_string(*service, "virtualServiceName") : "";
      if (!seen.insert(name).second) {
        return bad("spec.backends lists virtual service {} twice", name);
      }
    }
  }
  return check_listeners(spec);
}

Check check_virtual_gateway(const Json& spec) {
  if (listeners_of(spec).empty()) return bad("spec.listeners: give at least one listener");
  return check_listeners(spec);
}

}  // namespace

Check check_spec(Kind kind, const Json& spec) {
  switch (kind) {
    case Kind::Mesh:
    case Kind::VirtualService:
      return {};
    case Kind::VirtualRouter:
      return check_listeners(spec);
    case Kind::VirtualNode:
      return check_virtual_node(spec);
    case Kind::VirtualGateway:
      return check_virtual_gateway(spec);
    case Kind::Route:
      return check_route(spec);
    case Kind::GatewayRoute:
      return check_gateway_route(spec);
  }
  CHECK_FAILED("kind of App Mesh resource");
}

Check check_name(Kind kind, const std::string& name) {
  constexpr std::size_t kMaxName = 255;
  const Vocabulary& words = vocabulary(kind);
  const auto alnum = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  };
  const bool service = kind == Kind::VirtualService;
  const bool characters = std::all_of(name.begin(), name.end(), [&](char c) {
    if (service) return c > ' ' && c != '\x7f';
    return alnum(c) || c == '-' || c == '_';
  });
  if (name.empty() || name.size() > kMaxName || !characters || starts_with(name, "arn:")) {
    return bad("{} is '{}'; allowed are 1 to {} {}", words.name_member, name, kMaxName,
               service ? "characters without spaces, and no ARN"
                       : "letters, digits, hyphens and underscores");
  }
  return {};
}

}  // namespace coalmine::mock::appmesh
