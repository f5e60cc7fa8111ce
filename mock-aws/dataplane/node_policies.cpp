#include "mock-aws/dataplane/node_policies.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "mock-aws/services/appmesh/resource.h"

namespace coalmine::mock {
namespace {

using namespace appmesh;

constexpr std::int64_t kMaxCount = 1'000'000;  // what a route table takes
constexpr std::int64_t kMaxMillis = std::int64_t{366} * 24 * 3600 * 1000;

/// Zero means none, so any other limit is lower.
Duration lower_limit(Duration a, Duration b) {
  if (a == Duration::zero()) return b;
  if (b == Duration::zero()) return a;
  return std::min(a, b);
}

/// A duration that must not be zero in the table.
Duration positive(std::optional<Duration> given, Duration otherwise) {
  const Duration value = given.value_or(otherwise);
  return std::max<Duration>(value, std::chrono::milliseconds{1});
}

/// All four members are required (API model, OutlierDetection).
traffic::OutlierPolicy outlier_of(const Json& given) {
  traffic::OutlierPolicy out;
  out.consecutive_errors = static_cast<int>(std::min(get_int(given, "maxServerErrors"), kMaxCount));
  out.interval = positive(duration_at(given, {"interval"}), out.interval);
  out.base_ejection = positive(duration_at(given, {"baseEjectionDuration"}), out.base_ejection);
  out.max_ejection_percent = static_cast<int>(get_int(given, "maxEjectionPercent"));
  return out;
}

std::uint32_t limit_of(const Json& pool, std::string_view member) {
  constexpr std::int64_t kNone = traffic::PoolLimits::kNone;
  if (find(pool, member) == nullptr) return traffic::PoolLimits::kNone;
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(get_int(pool, member), 0, kNone));
}

/// HTTP/2 pools limit requests at a time and let none wait. Here every such request has a
/// connection of its own, so their number is limited instead.
traffic::PoolLimits pool_of(const Json& given, const std::string& protocol) {
  traffic::PoolLimits out;
  if (protocol == "http") {
    out.max_connections = limit_of(given, "maxConnections");
    out.max_pending = limit_of(given, "maxPendingRequests");
  } else if (protocol == "http2" || protocol == "grpc") {
    out.max_connections = limit_of(given, "maxRequests");
    out.max_pending = 0;
  }
  return out;
}

traffic::HealthCheck check_of(const Json& given, int listener_port) {
  traffic::HealthCheck out;
  const std::string protocol = get_string(given, "protocol");
  out.protocol = protocol == "http" || protocol == "http2" ? traffic::HealthCheck::Protocol::Http
                                                           : traffic::HealthCheck::Protocol::Tcp;
  if (out.protocol == traffic::HealthCheck::Protocol::Http) {
    const std::string path = get_string(given, "path");
    if (path.starts_with('/')) out.path = path;
  }
  const auto port = static_cast<int>(get_int(given, "port", listener_port));
  if (port != listener_port) out.port = port;
  out.interval = std::chrono::milliseconds{get_int(given, "intervalMillis")};
  out.timeout = std::chrono::milliseconds{get_int(given, "timeoutMillis")};
  out.healthy_threshold = static_cast<int>(get_int(given, "healthyThreshold"));
  out.unhealthy_threshold = static_cast<int>(get_int(given, "unhealthyThreshold"));
  return out;
}

}  // namespace

std::optional<Duration> duration_at(const Json& value,
                                    std::initializer_list<std::string_view> path) {
  const Json* given = at(value, path);
  if (given == nullptr) return std::nullopt;
  const std::int64_t scale = get_string(*given, "unit", "ms") == "s" ? 1000 : 1;
  const std::int64_t amount = std::clamp<std::int64_t>(get_int(*given, "value"), 0, kMaxMillis);
  return std::chrono::milliseconds{std::min(amount * scale, kMaxMillis)};
}

const Json* node_listener(const AppMesh& app_mesh, const std::string& mesh, const std::string& node,
                          std::optional<int> port) {
  const Resource* resource = app_mesh.find({mesh, Kind::VirtualNode, "", node});
  if (resource == nullptr) return nullptr;
  const Json& listeners = listeners_of(resource->spec);
  if (listeners.empty()) return nullptr;
  const auto found = std::find_if(listeners.begin(), listeners.end(), [&](const Json& listener) {
    return listener_port(listener) == port;
  });
  return found == listeners.end() ? &listeners.front() : &*found;
}

traffic::Timeouts timeouts_of(const Json* http_timeout) {
  traffic::Timeouts out{kDefaultRequestTimeout, kDefaultIdleTimeout};
  if (http_timeout == nullptr) return out;
  out.request = duration_at(*http_timeout, {"perRequest"}).value_or(out.request);
  out.idle = duration_at(*http_timeout, {"idle"}).value_or(out.idle);
  return out;
}

traffic::Timeouts lower_timeouts(const traffic::Timeouts& route, const Json& listener) {
  const traffic::Timeouts node =
      timeouts_of(at(listener, {"timeout", listener_protocol(listener)}));
  return {lower_limit(route.request, node.request), lower_limit(route.idle, node.idle)};
}

void set_policies(traffic::Target& target, const Json& listener) {
  const std::string protocol = listener_protocol(listener);
  if (const Json* given = find(listener, "outlierDetection")) target.outlier = outlier_of(*given);
  if (const Json* given = at(listener, {"connectionPool", protocol})) {
    target.pool = pool_of(*given, protocol);
  }
  if (const Json* given = find(listener, "healthCheck")) {
    target.health_check = check_of(*given, listener_port(listener));
  }
}

}  // namespace coalmine::mock
