#include "sim/engine/latency_table.h"

#include <array>
#include <cmath>

#include "sim/core/check.h"
#include "sim/core/math.h"

namespace coalmine::engine {
namespace {

constexpr double kSqrtTwoPi = 2.5066282746310002;

/// Newton's iteration on P(Z <= z) = p from a near guess; quadratic, three rounds suffice.
double refine(double z, double p) {
  for (int i = 0; i < 4; ++i) {
    const double density = math::exp(-z * z / 2) / kSqrtTwoPi;
    z -= (math::normal_cdf(z) - p) / density;
  }
  return z;
}

/// The middles of 4096 equally likely parts of a standard normal, from the median outwards, so
/// that each is a good guess for its neighbour.
std::array<double, LatencyTable::kSize> make_normal_middles() {
  constexpr std::size_t kSize = LatencyTable::kSize;
  std::array<double, kSize> middles{};
  double z = 0;
  for (std::size_t i = kSize / 2; i < kSize; ++i) {
    z = refine(z, (static_cast<double>(i) + 0.5) / kSize);
    middles[i] = z;
    middles[kSize - 1 - i] = -z;
  }
  return middles;
}

const std::array<double, LatencyTable::kSize>& normal_middles() {
  static const auto middles = make_normal_middles();
  return middles;
}

constexpr std::size_t kCuts = 64;  // of the last part

/// The middle of one of the last part's cuts, as a share of all.
constexpr double tail_share(std::size_t cut) {
  return (static_cast<double>(LatencyTable::kTail) + (static_cast<double>(cut) + 0.5) / kCuts) /
         LatencyTable::kSize;
}

}  // namespace

double normal_quantile(double p) {
  CHECK(p > 0 && p < 1);
  double low = -40, high = 40;
  while (high - low > 1e-3) {
    const double middle = (low + high) / 2;
    (math::normal_cdf(middle) < p ? low : high) = middle;
  }
  return refine((low + high) / 2, p);
}

LatencyTable::LatencyTable(const world::Latency& latency) : latency_(latency), values_(kSize) {
  if (const auto* fixed = std::get_if<world::FixedLatency>(&latency)) {
    values_.assign(kSize, fixed->value);
    return;
  }
  if (const auto* uniform = std::get_if<world::UniformLatency>(&latency)) {
    const double width = to_seconds(uniform->high - uniform->low);
    for (std::size_t i = 0; i < kSize; ++i) {
      values_[i] = uniform->low + from_seconds(width * (static_cast<double>(i) + 0.5) / kSize);
    }
    return;
  }
  const auto& lognormal = std::get<world::LognormalLatency>(latency);
  static const double kZ99 = normal_quantile(0.99);
  mu_ = math::log(to_seconds(lognormal.median));
  sigma_ = (math::log(to_seconds(lognormal.p99)) - mu_) / kZ99;
  for (std::size_t i = 0; i < kSize; ++i) {
    values_[i] = from_seconds(math::exp(mu_ + sigma_ * normal_middles()[i]));
  }
}

LatencyTable::LatencyTable(std::function<Duration(double p)> quantile)
    : quantile_(std::move(quantile)) {
  for (std::size_t i = 0; i < kSize; ++i) {
    values_.push_back(quantile_((static_cast<double>(i) + 0.5) / kSize));
  }
}

void LatencyTable::spread(const std::function<void(Duration value, double p)>& emit) const {
  constexpr double kPart = 1.0 / kSize;
  for (std::size_t i = 0; i < kTail; ++i) emit(values_[i], kPart);
  static const std::array<double, kCuts> kNormal = [] {
    std::array<double, kCuts> quantiles{};
    for (std::size_t i = 0; i < kCuts; ++i) quantiles[i] = normal_quantile(tail_share(i));
    return quantiles;
  }();
  for (std::size_t i = 0; i < kCuts; ++i) {
    Duration value = values_[kTail];
    if (quantile_) {
      value = quantile_(tail_share(i));
    } else if (std::holds_alternative<world::LognormalLatency>(latency_)) {
      value = from_seconds(math::exp(mu_ + sigma_ * kNormal[i]));
    }
    emit(value, kPart / kCuts);
  }
}

Duration LatencyTable::tail(Random& random) const {
  if (quantile_) {
    return quantile_((static_cast<double>(kTail) + random.uniform()) / kSize);
  }
  if (!std::holds_alternative<world::LognormalLatency>(latency_)) return values_[kTail];
  // Marsaglia (1964), "Generating a variable from the tail of the normal distribution".
  static const double kEdge = normal_quantile(static_cast<double>(kTail) / kSize);
  constexpr double kLongest = 3600;
  for (;;) {
    const double x = std::sqrt(kEdge * kEdge - 2 * math::log(1 - random.uniform()));
    if (random.uniform() * x > kEdge) continue;
    return from_seconds(std::min(math::exp(mu_ + sigma_ * x), kLongest));
  }
}

}  // namespace coalmine::engine
