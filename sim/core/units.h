#pragma once

#include <string>
#include <string_view>

#include "sim/core/result.h"
#include "sim/core/time.h"

namespace coalmine {

/// A share in percent: 1 means 1%. Decimals are fine: 0.01 is one request in ten thousand.
struct Percent {
  double value = 0;
  constexpr double share() const { return value / 100.0; }
  auto operator<=>(const Percent&) const = default;
};

/// Events per second.
struct Rate {
  double per_s = 0;
  auto operator<=>(const Rate&) const = default;
};

/// "10m", "1h30m", "250ms", "1.5s"; units h, m, s, ms, us, ns (also d). A unit is required;
/// not negative; at most 10 years.
Result<Duration> parse_duration(std::string_view text);
/// "1%", "0.01%"; the sign is required. No range check: callers know theirs.
Result<Percent> parse_percent(std::string_view text);
/// "100/s", "6/m", "3600/h"; a unit is required; not negative.
Result<Rate> parse_rate(std::string_view text);
/// A whole number within [low, high]. `what` names the value in the error.
Result<long long> parse_integer(std::string_view text, std::string_view what, long long low,
                                long long high);

std::string to_string(Percent p);  ///< "1%", "0.01%"
std::string to_string(Rate r);     ///< "100/s"

}  // namespace coalmine
