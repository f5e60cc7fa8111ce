#pragma once

#include "sim/core/json.h"
#include "sim/core/random.h"
#include "sim/core/result.h"
#include "sim/core/time.h"

namespace coalmine::faults {

inline constexpr Duration kMaxLatency = std::chrono::hours{1};

/// A distribution of durations: always the same, evenly spread, or lognormal as real services are.
struct Latency {
  enum class Shape { None, Fixed, Uniform, Lognormal };
  Shape shape = Shape::None;
  /// Fixed: the value. Uniform: the lower end. Lognormal: the median.
  Duration low{};
  /// Uniform: the upper end. Lognormal: the 99th percentile.
  Duration high{};
  double mu = 0;     ///< lognormal: log of the median in nanoseconds
  double sigma = 0;  ///< lognormal: standard deviation of the logarithm

  static Latency fixed(Duration value);
  static Latency uniform(Duration low, Duration high);
  /// 0 < median <= p99.
  static Latency lognormal(Duration median, Duration p99);

  /// At most kMaxLatency. Fixed draws nothing from `random`.
  Duration sample(Random& random) const;
  bool operator==(const Latency&) const = default;
};

/// "20ms", "20ms..80ms" (uniform), "lognormal(20ms,80ms)" (median, p99).
Result<Latency> parse_latency(std::string_view text);
/// As text, or {"fixed":"20ms"}, {"uniform":{"min":..,"max":..}},
/// {"lognormal":{"median":..,"p99":..}} or {"lognormal":{"median":..,"sigma":0.6}}.
Result<Latency> latency_from_json(const Json& value);
/// The form that parse_latency() reads back.
std::string to_string(const Latency& latency);

}  // namespace coalmine::faults
