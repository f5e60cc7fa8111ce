#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace coalmine {

using Duration = std::chrono::nanoseconds;

/// The one time line of the core: nanoseconds since 1970-01-01T00:00:00Z. Virtual worlds
/// start at kVirtualEpoch; shells map their clock onto it. It has no now(): the current
/// time is always an argument.
struct Timeline {
  using rep = Duration::rep;
  using period = Duration::period;
  using duration = Duration;
  using time_point = std::chrono::time_point<Timeline, Duration>;
  static constexpr bool is_steady = false;
};
using TimePoint = Timeline::time_point;

/// 2026-01-01T00:00:00Z, where every virtual world begins.
inline constexpr TimePoint kVirtualEpoch{std::chrono::seconds{1767225600}};

inline constexpr Duration kForever = Duration::max();
inline constexpr TimePoint kNever = TimePoint::max();

/// Seconds as a number, for arithmetic and JSON.
constexpr double to_seconds(Duration d) {
  return static_cast<double>(d.count()) / 1e9;
}
/// Rounded to the nearest nanosecond.
constexpr Duration from_seconds(double seconds) {
  return Duration{static_cast<std::int64_t>(seconds * 1e9 + (seconds < 0 ? -0.5 : 0.5))};
}
/// Seconds since the Unix epoch, in whole milliseconds: what AWS's JSON protocols send.
double to_epoch_seconds(TimePoint t);
TimePoint from_epoch_seconds(double seconds);

/// "1h30m", "10m", "250ms", "1.5ms", "0s": the form that parse_duration reads back exactly.
std::string to_string(Duration d);
/// "2026-11-24T19:30:04Z"
std::string to_iso8601(TimePoint t);
/// "2026-11-24T19:30:04.123Z"
std::string to_iso8601_millis(TimePoint t);
/// A stopwatch reading for timelines: "1:10.000" = 1 minute 10 seconds, "1:02:03.000" above an
/// hour.
std::string to_stopwatch(Duration d);

}  // namespace coalmine
