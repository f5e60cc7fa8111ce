#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "sim/core/time.h"

namespace coalmine::traffic {

/// Ejects instances whose share of good answers in an interval lies far below the others': below
/// the mean less `stdev_factor` standard deviations, over all instances with enough requests.
/// Defaults are Envoy's (success_rate_minimum_hosts, _request_volume, _stdev_factor / 1000).
struct SuccessRatePolicy {
  int minimum_hosts = 5;     ///< with enough requests, or nobody is ejected
  int request_volume = 100;  ///< requests of an instance in an interval that are enough
  double stdev_factor = 1.9;
  bool operator==(const SuccessRatePolicy&) const = default;
};

/// Outlier detection of a target: an instance whose answers are bad gets no requests for a while.
/// Names and defaults are Envoy's (cluster.outlier_detection); App Mesh sets maxServerErrors,
/// interval, baseEjectionDuration and maxEjectionPercent.
struct OutlierPolicy {
  int consecutive_errors = 5;  ///< 5xx answers and local failures; 0: off
  /// 502, 503 and 504 and local failures. 0: off; Envoy counts to 5, but enforces 0% of it.
  int consecutive_gateway_errors = 0;
  /// Nothing: off. Envoy enforces it by default; App Mesh's API does not name it.
  std::optional<SuccessRatePolicy> success_rate;
  Duration interval = std::chrono::seconds{10};
  Duration base_ejection = std::chrono::seconds{30};
  Duration max_ejection = std::chrono::seconds{300};  ///< base_ejection if that is longer
  int max_ejection_percent = 10;
  bool always_eject_one = true;  ///< App Mesh and Envoy before 1.31
  bool operator==(const OutlierPolicy&) const = default;
};

/// Circuit breakers of a target. The first two hold for each instance by itself: App Mesh puts a
/// node's connectionPool on the cluster that the task's own Envoy has for its local application
/// (App Mesh examples, howto-k8s-connection-pools). Retries are those of the whole target.
/// The default is App Mesh's "no limit"; Envoy's own are 1024, 1024 and 3.
struct PoolLimits {
  static constexpr std::uint32_t kNone = 2147483647;
  std::uint32_t max_connections = kNone;
  std::uint32_t max_pending = kNone;  ///< requests that may wait for a connection
  std::uint32_t max_retries = kNone;  ///< at the same time
  bool operator==(const PoolLimits&) const = default;
};

/// Active health checks of a target's instances by the gateway itself (App Mesh: healthCheck of
/// a node's listener; its defaults and ranges are the control plane's).
struct HealthCheck {
  enum class Protocol { Http, Tcp };
  Protocol protocol = Protocol::Http;
  std::string path = "/";  ///< Http: must answer 200
  int port = 0;            ///< 0: the instance's own
  Duration interval = std::chrono::seconds{30};
  /// Instead of `interval` as long as the target was never asked for anything else; zero: the same
  /// (Envoy: no_traffic_interval, there 60 s).
  Duration no_traffic_interval{};
  Duration timeout = std::chrono::seconds{5};
  int healthy_threshold = 2;  ///< the first check of an instance counts alone
  int unhealthy_threshold = 2;
  bool operator==(const HealthCheck&) const = default;
};

inline constexpr int kDefaultPanicPercent = 50;  ///< Envoy's healthy_panic_threshold

}  // namespace coalmine::traffic
