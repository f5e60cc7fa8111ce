#include "sim/traffic/faults/latency.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "sim/core/check.h"
#include "sim/core/math.h"
#include "sim/core/units.h"

namespace coalmine::faults {
namespace {

/// The 99th percentile of the standard normal distribution.
constexpr double kZ99 = 2.3263478740408408;
constexpr double kMaxSigma = 5;

Result<Duration> parse_bounded(std::string_view text) {
  TRY(const Duration value, parse_duration(text));
  if (value > kMaxLatency) {
    return error("latency {} is longer than {}", text, coalmine::to_string(kMaxLatency));
  }
  return value;
}

Result<Latency> make_uniform(std::string_view low_text, std::string_view high_text) {
  TRY(const Duration low, parse_bounded(low_text));
  TRY(const Duration high, parse_bounded(high_text));
  if (low > high) return error("latency {}..{} ends before it begins", low_text, high_text);
  return Latency::uniform(low, high);
}

Result<Latency> make_lognormal(std::string_view median_text, std::string_view p99_text) {
  TRY(const Duration median, parse_bounded(median_text));
  TRY(const Duration p99, parse_bounded(p99_text));
  if (median <= Duration::zero() || p99 < median) {
    return error("lognormal latency needs 0 < median <= p99, not median {} and p99 {}", median_text,
                 p99_text);
  }
  return Latency::lognormal(median, p99);
}

Result<Latency> lognormal_from_json(const Json& value) {
  const std::string median = get_string(value, "median");
  if (const Json* sigma = find(value, "sigma"); sigma != nullptr && !value.contains("p99")) {
    TRY(const Duration middle, parse_bounded(median));
    const double width = sigma->is_number() ? sigma->get<double>() : -1;
    if (middle <= Duration::zero() || !(width >= 0 && width <= kMaxSigma)) {
      return error("lognormal latency needs a median above 0 and sigma 0 to {}", kMaxSigma);
    }
    Latency latency = Latency::lognormal(middle, middle);
    latency.sigma = width;
    const double p99 = static_cast<double>(middle.count()) * math::exp(width * kZ99);
    latency.high = p99 < static_cast<double>(kMaxLatency.count())
                       ? Duration{static_cast<std::int64_t>(p99 + 0.5)}
                       : kMaxLatency;
    return latency;
  }
  return make_lognormal(median, get_string(value, "p99"));
}

}  // namespace

Latency Latency::fixed(Duration value) {
  return {Shape::Fixed, value, value, 0, 0};
}

Latency Latency::uniform(Duration low, Duration high) {
  CHECK(low <= high);
  return {Shape::Uniform, low, high, 0, 0};
}

Latency Latency::lognormal(Duration median, Duration p99) {
  CHECK(median > Duration::zero() && p99 >= median);
  const double mu = math::log(static_cast<double>(median.count()));
  const double sigma = (math::log(static_cast<double>(p99.count())) - mu) / kZ99;
  return {Shape::Lognormal, median, p99, mu, sigma};
}

Duration Latency::sample(Random& random) const {
  switch (shape) {
    case Shape::None:
      return Duration::zero();
    case Shape::Fixed:
      return low;
    case Shape::Uniform:
      return low + Duration{static_cast<std::int64_t>(random.uniform() *
                                                      static_cast<double>((high - low).count()))};
    case Shape::Lognormal: {
      const double ns = random.lognormal(mu, sigma);
      return ns < static_cast<double>(kMaxLatency.count()) ? Duration{static_cast<std::int64_t>(ns)}
                                                           : kMaxLatency;
    }
  }
  CHECK_FAILED("no such latency shape");
}

Result<Latency> parse_latency(std::string_view text) {
  constexpr std::string_view kLognormal = "lognormal(";
  if (text.substr(0, kLognormal.size()) == kLognormal) {
    std::string_view inside = text.substr(kLognormal.size());
    const std::size_t comma = inside.find(',');
    if (comma == std::string_view::npos || inside.back() != ')') {
      return error("write lognormal latency as lognormal(MEDIAN,P99), not {}", text);
    }
    inside.remove_suffix(1);
    std::string_view p99 = inside.substr(comma + 1);
    while (!p99.empty() && p99.front() == ' ') p99.remove_prefix(1);
    return make_lognormal(inside.substr(0, comma), p99);
  }
  if (const std::size_t dots = text.find(".."); dots != std::string_view::npos) {
    return make_uniform(text.substr(0, dots), text.substr(dots + 2));
  }
  TRY(const Duration value, parse_bounded(text));
  return Latency::fixed(value);
}

Result<Latency> latency_from_json(const Json& value) {
  if (value.is_string()) return parse_latency(value.get_ref<const std::string&>());
  if (value.is_object() && value.size() == 1) {
    const Json& inside = value.begin().value();
    if (value.contains("fixed") && inside.is_string()) {
      return parse_latency(inside.get_ref<const std::string&>());
    }
    if (value.contains("uniform")) {
      return make_uniform(get_string(inside, "min"), get_string(inside, "max"));
    }
    if (value.contains("lognormal")) return lognormal_from_json(inside);
  }
  return error(
      "latency is {}; write \"20ms\", {{\"uniform\":{{\"min\":..,\"max\":..}}}} or "
      "{{\"lognormal\":{{\"median\":..,\"p99\":..}}}}",
      dump_json(value));
}

std::string to_string(const Latency& latency) {
  using coalmine::to_string;
  switch (latency.shape) {
    case Latency::Shape::None:
      return "0s";
    case Latency::Shape::Fixed:
      return to_string(latency.low);
    case Latency::Shape::Uniform:
      return fmt::format("{}..{}", to_string(latency.low), to_string(latency.high));
    case Latency::Shape::Lognormal:
      return fmt::format("lognormal({},{})", to_string(latency.low), to_string(latency.high));
  }
  CHECK_FAILED("no such latency shape");
}

}  // namespace coalmine::faults
