#include "mock-aws/protocol/timestamp.h"

#include <charconv>
#include <chrono>
#include <cmath>

#include "sim/core/time.h"

namespace coalmine::mock {
namespace {

/// Takes `digits` digits off the front; -1 if they are not there.
int take_number(std::string_view& text, std::size_t digits) {
  int value = -1;
  if (text.size() < digits) return -1;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + digits, value);
  if (failed != std::errc() || end != text.data() + digits) return -1;
  text.remove_prefix(digits);
  return value;
}

bool take(std::string_view& text, std::string_view any_of) {
  if (text.empty() || any_of.find(text.front()) == std::string_view::npos) return false;
  text.remove_prefix(1);
  return true;
}

double take_fraction(std::string_view& text) {
  double value = 0, scale = 0.1;
  while (!text.empty() && text.front() >= '0' && text.front() <= '9') {
    value += (text.front() - '0') * scale;
    scale /= 10;
    text.remove_prefix(1);
  }
  return value;
}

/// Seconds to subtract for "+02:00", "-0130" or "Z"; nullopt if there is something else.
std::optional<int> take_zone(std::string_view& text) {
  if (text.empty() || take(text, "Zz")) return text.empty() ? std::optional<int>(0) : std::nullopt;
  const bool west = text.front() == '-';
  if (!take(text, "+-")) return std::nullopt;
  const int hours = take_number(text, 2);
  take(text, ":");
  const int minutes = take_number(text, 2);
  if (hours < 0 || hours > 14 || minutes < 0 || minutes > 59 || !text.empty()) return std::nullopt;
  return (west ? -1 : 1) * (hours * 3600 + minutes * 60);
}

std::optional<double> number(std::string_view text) {
  double value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) {
    return std::nullopt;
  }
  return value;
}

}  // namespace

std::optional<double> parse_timestamp(std::string_view text) {
  if (const auto plain = number(text)) return plain;
  const int year = take_number(text, 4);
  if (!take(text, "-")) return std::nullopt;
  const int month = take_number(text, 2);
  if (!take(text, "-")) return std::nullopt;
  const int day = take_number(text, 2);
  int hour = 0, minute = 0, second = 0;
  double fraction = 0;
  if (take(text, "Tt ")) {
    hour = take_number(text, 2);
    if (!take(text, ":")) return std::nullopt;
    minute = take_number(text, 2);
    if (take(text, ":")) second = take_number(text, 2);
    if (take(text, ".")) fraction = take_fraction(text);
  }
  const auto zone = take_zone(text);
  if (year < 0 || month < 0 || day < 0 || !zone) return std::nullopt;
  const std::chrono::year_month_day ymd{std::chrono::year{year},
                                        std::chrono::month{static_cast<unsigned>(month)},
                                        std::chrono::day{static_cast<unsigned>(day)}};
  if (!ymd.ok() || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 ||
      second > 60) {
    return std::nullopt;
  }
  const auto days = std::chrono::sys_days{ymd}.time_since_epoch().count();
  return static_cast<double>(days) * 86400 + hour * 3600 + minute * 60 + second - *zone + fraction;
}

std::string format_timestamp(double epoch_seconds, bool always_millis) {
  const TimePoint t = from_epoch_seconds(epoch_seconds);
  const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(t.time_since_epoch());
  return always_millis || millis.count() % 1000 != 0 ? to_iso8601_millis(t) : to_iso8601(t);
}

}  // namespace coalmine::mock
