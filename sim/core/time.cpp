#include "sim/core/time.h"

#include <fmt/format.h>

namespace coalmine {
namespace {

using std::chrono::floor;

struct CivilDate {
  std::int64_t year;
  unsigned month;
  unsigned day;
};

CivilDate civil_date(std::int64_t days_since_epoch) {
  const std::chrono::year_month_day date{
      std::chrono::sys_days{std::chrono::days{days_since_epoch}}};
  return {int{date.year()}, unsigned{date.month()}, unsigned{date.day()}};
}

std::string iso8601(TimePoint t, bool millis) {
  constexpr std::int64_t kDay = 86'400;
  const std::int64_t ms = floor<std::chrono::milliseconds>(t.time_since_epoch()).count();
  const std::int64_t seconds = ms >= 0 ? ms / 1000 : -((-ms + 999) / 1000);
  const std::int64_t day = seconds >= 0 ? seconds / kDay : -((-seconds + kDay - 1) / kDay);
  const std::int64_t of_day = seconds - day * kDay;
  const CivilDate date = civil_date(day);
  std::string text = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", date.year, date.month,
                                 date.day, of_day / 3600, of_day / 60 % 60, of_day % 60);
  if (millis) text += fmt::format(".{:03}", ms - seconds * 1000);
  return text + "Z";
}

}  // namespace

double to_epoch_seconds(TimePoint t) {
  const auto ms = floor<std::chrono::milliseconds>(t.time_since_epoch()).count();
  return static_cast<double>(ms) / 1000.0;
}

TimePoint from_epoch_seconds(double seconds) {
  return TimePoint{from_seconds(seconds)};
}

std::string to_string(Duration d) {
  if (d == Duration::zero()) return "0s";
  std::int64_t ns = d.count();
  std::string text;
  if (ns < 0) {
    text = "-";
    ns = -ns;
  }
  constexpr std::int64_t kMs = 1'000'000, kSecond = 1'000'000'000;
  const auto part = [&text](std::int64_t n, const char* unit) {
    if (n != 0) text += fmt::format("{}{}", n, unit);
  };
  part(ns / (3600 * kSecond), "h");
  part(ns / (60 * kSecond) % 60, "m");
  part(ns / kSecond % 60, "s");
  part(ns / kMs % 1000, "ms");
  part(ns / 1000 % 1000, "us");
  part(ns % 1000, "ns");
  return text;
}

std::string to_iso8601(TimePoint t) {
  return iso8601(t, false);
}
std::string to_iso8601_millis(TimePoint t) {
  return iso8601(t, true);
}

std::string to_stopwatch(Duration d) {
  const std::int64_t ms = std::chrono::duration_cast<std::chrono::milliseconds>(d).count();
  const std::int64_t s = ms / 1000;
  if (s >= 3600) {
    return fmt::format("{}:{:02}:{:02}.{:03}", s / 3600, s / 60 % 60, s % 60, ms % 1000);
  }
  return fmt::format("{}:{:02}.{:03}", s / 60, s % 60, ms % 1000);
}

}  // namespace coalmine
