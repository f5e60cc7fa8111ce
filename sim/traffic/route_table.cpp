#include "sim/traffic/route_table.h"

#include <set>

#include "sim/traffic/match.h"
#include "sim/traffic/pick.h"
#include "sim/traffic/retry.h"
#include "sim/traffic/route_index.h"

namespace coalmine::traffic {
namespace {

constexpr std::uint64_t kMaxTotalWeight = 4294967295;  // Envoy's weighted_clusters

bool is_ipv4(std::string_view text) {
  return text.find('/') == std::string_view::npos && Cidr::parse(text).has_value();
}

Status check_instance(const Instance& instance, const std::string& place) {
  if (!is_ipv4(instance.address)) {
    return error("{}.address: \"{}\" is not an IPv4 address", place, instance.address);
  }
  if (instance.port < 1 || instance.port > 65535) {
    return error("{}.port: is {}, allowed is 1 to 65535", place, instance.port);
  }
  return {};
}

Status check_timeouts(const Timeouts& timeouts, const std::string& place) {
  if (timeouts.request < Duration{} || timeouts.idle < Duration{}) {
    return error("{}.timeouts: must not be negative", place);
  }
  return {};
}

Status check_policies(const Target& target, const std::string& place) {
  if (target.timeouts) TRY_STATUS(check_timeouts(*target.timeouts, place));
  if (const auto& outlier = target.outlier) {
    if (outlier->interval <= Duration{} || outlier->base_ejection <= Duration{} ||
        outlier->max_ejection < Duration{}) {
      return error("{}.outlier: interval and base_ejection must be above 0", place);
    }
  }
  if (const auto& check = target.health_check) {
    if (check->interval <= Duration{} || check->timeout <= Duration{} ||
        check->no_traffic_interval < Duration{}) {
      return error("{}.health_check: interval and timeout must be above 0", place);
    }
    if (!check->path.starts_with('/') ||
        check->path.find_first_of(std::string_view(" \r\n\0", 4)) != std::string::npos) {
      return error("{}.health_check.path: \"{}\" must begin with / and hold no blanks", place,
                   check->path);
    }
  }
  return {};
}

Status check_target(const Target& target, const std::string& place) {
  if (target.name.empty()) return error("{}.name: must not be empty", place);
  for (std::size_t k = 0; k < target.instances.size(); ++k) {
    TRY_STATUS(check_instance(target.instances[k], fmt::format("{}.instances[{}]", place, k)));
  }
  return check_policies(target, place);
}

Status check_mirror(const Mirror& mirror, const std::set<std::string>& names,
                    const std::string& place) {
  if (mirror.other) {
    TRY_STATUS(check_target(*mirror.other, place + ".target"));
  } else if (names.count(mirror.target) == 0) {
    return error("{}.target: the route has no target \"{}\"", place, mirror.target);
  }
  if (!(mirror.percent >= 0 && mirror.percent <= 100)) {
    return error("{}.percent: is {}, allowed is 0 to 100", place, mirror.percent);
  }
  return {};
}

Status check_forward(const Forward& forward, Dialect dialect, const std::string& place) {
  if (forward.targets.empty() || forward.targets.size() > kMaxTargets) {
    return error("{}.targets: has {} targets, allowed are 1 to {}", place, forward.targets.size(),
                 kMaxTargets);
  }
  std::set<std::string> names;
  for (std::size_t i = 0; i < forward.targets.size(); ++i) {
    const Target& target = forward.targets[i];
    const std::string here = fmt::format("{}.targets[{}]", place, i);
    TRY_STATUS(check_target(target, here));
    if (!names.insert(target.name).second) {
      return error("{}.name: \"{}\" is used twice in this route", here, target.name);
    }
  }
  const std::uint64_t total = total_weight(forward.targets);
  if (total > kMaxTotalWeight) {
    return error("{}.targets: the weights sum to {}, allowed is at most {}", place, total,
                 kMaxTotalWeight);
  }
  // Envoy refuses such an update and keeps what it had.
  if (total == 0 && dialect == Dialect::Envoy) {
    return error("{}.targets: the weights sum to 0, at least one must be above 0", place);
  }
  if (forward.retry.max_retries < 0 || forward.retry.per_try_timeout < Duration{}) {
    return error("{}.retry: counts and times must not be negative", place);
  }
  TRY_STATUS(check_timeouts(forward.timeouts, place));
  if (forward.mirror) TRY_STATUS(check_mirror(*forward.mirror, names, place + ".mirror"));
  if (const auto retry = parse_retry_conditions(forward.retry.on); !retry) {
    return error("{}.retry.on: {}", place, retry.error().message);
  }
  return {};
}

Status check_routes(const std::vector<Route>& routes, Dialect dialect, std::size_t depth,
                    const std::string& place) {
  for (std::size_t i = 0; i < routes.size(); ++i) {
    const Route& route = routes[i];
    const std::string here = fmt::format("{}[{}]", place, i);
    if (const auto compiled = RouteMatcher::compile(route.match, dialect); !compiled) {
      return error("{}.match: {}", here, compiled.error().message);
    }
    if (route.rewrite.path && !route.rewrite.path->starts_with('/')) {
      return error("{}.rewrite.path: \"{}\" must begin with /", here, *route.rewrite.path);
    }
    if (const auto* forward = std::get_if<Forward>(&route.action)) {
      TRY_STATUS(check_forward(*forward, dialect, here));
    } else if (const auto* chain = std::get_if<Chain>(&route.action)) {
      if (depth + 1 >= kMaxNesting) {
        return error("{}.chain: nested deeper than {} levels", here, kMaxNesting);
      }
      TRY_STATUS(check_routes(chain->routes, dialect, depth + 1, here + ".chain.routes"));
    } else if (const auto* fixed = std::get_if<FixedResponse>(&route.action)) {
      if (fixed->status < 200 || fixed->status > 599) {
        return error("{}.fixed_response.status: is {}, allowed is 200 to 599", here, fixed->status);
      }
    } else if (const auto* redirect = std::get_if<Redirect>(&route.action)) {
      if (redirect->status < 300 || redirect->status > 399) {
        return error("{}.redirect.status: is {}, allowed is 300 to 399", here, redirect->status);
      }
    }
  }
  return {};
}

// A connection shows nothing to match, rewrite or repeat.
Status check_tcp(const Listener& listener, const std::string& here) {
  if (listener.dialect == Dialect::Alb) {
    return error("{}.protocol: an alb listener takes http only", here);
  }
  if (listener.routes.size() != 1 ||
      !std::holds_alternative<Forward>(listener.routes.front().action)) {
    return error("{}.routes: a tcp listener has one route, with targets", here);
  }
  const Route& route = listener.routes.front();
  const auto& forward = std::get<Forward>(route.action);
  const auto must_not = [&](std::string_view member) {
    return error("{}.routes[0].{}: has no meaning for a tcp listener", here, member);
  };
  if (route.match != RouteMatch{}) return must_not("match");
  if (route.rewrite != Rewrite{}) return must_not("rewrite");
  if (forward.retry != RetryPolicy{}) return must_not("retry");
  if (forward.stickiness != Stickiness{}) return must_not("stickiness");
  if (forward.mirror) return must_not("mirror");
  if (forward.max_body_bytes) return must_not("max_body");
  return {};
}

}  // namespace

Status validate(const RouteTable& table) {
  std::set<int> ports;
  for (std::size_t i = 0; i < table.listeners.size(); ++i) {
    const Listener& listener = table.listeners[i];
    const std::string here = fmt::format("listeners[{}]", i);
    if (listener.port < 0 || listener.port > 65535) {
      return error("{}.port: is {}, allowed is 0 to 65535", here, listener.port);
    }
    if (!ports.insert(listener.port).second) {
      return error("{}.port: {} is used by an earlier listener", here, listener.port);
    }
    TRY_STATUS(check_routes(listener.routes, listener.dialect, 0, here + ".routes"));
    const bool of_an_alb =
        listener.desync != DesyncMode::Defensive || listener.drop_invalid_headers;
    if (of_an_alb && listener.dialect != Dialect::Alb) {
      return error("{}: desync and drop_invalid_headers are options of the alb dialect", here);
    }
    if (listener.tls && (listener.tls->certificate.empty() || listener.tls->key.empty())) {
      return error("{}.tls: needs a certificate and a key", here);
    }
    if (listener.protocol == Protocol::Tcp) TRY_STATUS(check_tcp(listener, here));
  }
  return {};
}

}  // namespace coalmine::traffic
