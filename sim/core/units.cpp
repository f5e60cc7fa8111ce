#include "sim/core/units.h"

#include <charconv>

namespace coalmine {
namespace {

/// Reads a plain decimal at the start of `text` and cuts it off; false if there is none.
bool take_number(std::string_view& text, double& number) {
  // No leading sign, no exponent and no "inf": from_chars' fixed format takes those two words.
  if (text.empty() || (text[0] != '.' && (text[0] < '0' || text[0] > '9'))) return false;
  const auto [end, ec] =
      std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (ec != std::errc{}) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

double unit_in_seconds(std::string_view& text) {
  struct Unit {
    std::string_view name;
    double seconds;
  };
  // Longest first, so that "ms" is not read as minutes.
  static constexpr Unit kUnits[] = {{"ms", 1e-3}, {"us", 1e-6}, {"ns", 1e-9}, {"d", 86400},
                                    {"h", 3600},  {"m", 60},    {"s", 1}};
  for (const Unit& unit : kUnits) {
    if (text.substr(0, unit.name.size()) == unit.name) {
      text.remove_prefix(unit.name.size());
      return unit.seconds;
    }
  }
  return 0;
}

constexpr double kMaxDurationS = 10 * 366 * 86400.0;

}  // namespace

Result<Duration> parse_duration(std::string_view text) {
  std::string_view rest = text;
  Duration total{};
  do {
    double number = 0;
    if (!take_number(rest, number)) {
      return error("\"{}\" is not a duration; write a number and a unit, as in 10m, 1h30m, 250ms",
                   text);
    }
    const double unit = unit_in_seconds(rest);
    if (unit == 0) {
      return error("\"{}\" has no time unit; allowed are d, h, m, s, ms, us, ns, as in 10m", text);
    }
    if (number * unit > kMaxDurationS) return error("\"{}\" is longer than 10 years", text);
    total += from_seconds(number * unit);
  } while (!rest.empty());
  if (to_seconds(total) > kMaxDurationS) return error("\"{}\" is longer than 10 years", text);
  return total;
}

Result<Percent> parse_percent(std::string_view text) {
  std::string_view rest = text;
  double number = 0;
  const bool negative = !rest.empty() && rest[0] == '-';
  if (negative) rest.remove_prefix(1);
  if (!take_number(rest, number) || rest != "%") {
    return error("\"{}\" is not a share; write a number and %, as in 1% or 0.01%", text);
  }
  return Percent{negative ? -number : number};
}

Result<Rate> parse_rate(std::string_view text) {
  std::string_view rest = text;
  double number = 0;
  double per_s = 0;
  if (take_number(rest, number)) {
    if (rest == "/s") per_s = 1;
    if (rest == "/m") per_s = 1.0 / 60;
    if (rest == "/h") per_s = 1.0 / 3600;
  }
  if (per_s == 0) {
    return error("\"{}\" is not a rate; write a number per second, minute or hour, as in 100/s",
                 text);
  }
  return Rate{number * per_s};
}

Result<long long> parse_integer(std::string_view text, std::string_view what, long long low,
                                long long high) {
  long long number = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (ec != std::errc{} || end != text.data() + text.size() || number < low || number > high) {
    return error("{} is \"{}\", allowed is a whole number from {} to {}", what, text, low, high);
  }
  return number;
}

std::string to_string(Percent p) {
  return fmt::format("{}%", p.value);
}
std::string to_string(Rate r) {
  return fmt::format("{}/s", r.per_s);
}

}  // namespace coalmine
