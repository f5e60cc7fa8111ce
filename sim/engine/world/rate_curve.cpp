#include "sim/engine/world/rate_curve.h"

#include <algorithm>

namespace coalmine::world {
namespace {

constexpr Duration kDay = std::chrono::hours{24};
constexpr Duration kStep = std::chrono::minutes{1};
constexpr double kTau = 6.283185307179586;

}  // namespace

double cosine_of_turns(double x) {
  x -= static_cast<double>(static_cast<std::int64_t>(x));
  if (x < 0) x += 1;
  // By symmetry to [0, 1/4], where the series converges at once.
  if (x > 0.5) x = 1 - x;
  const double sign = x > 0.25 ? -1 : 1;
  if (x > 0.25) x = 0.5 - x;
  const double square = kTau * x * kTau * x;
  double term = 1, sum = 1;
  for (int n = 1; n <= 10; ++n) {
    term *= -square / static_cast<double>((2 * n - 1) * (2 * n));
    sum += term;
  }
  return sign * sum;
}

double RateCurve::rate_at(Duration t) const {
  if (!traffic_.trace.empty()) {
    const auto after =
        std::upper_bound(traffic_.trace.begin(), traffic_.trace.end(), t,
                         [](Duration at, const TracePoint& point) { return at < point.at; });
    return after == traffic_.trace.begin() ? 0 : std::prev(after)->rate.per_s;
  }
  if (!traffic_.diurnal) return traffic_.rate.per_s;
  const Duration middle = t - t % kStep + kStep / 2;
  const double turns = to_seconds(middle - traffic_.diurnal->peak_at) / to_seconds(kDay);
  const double low = traffic_.diurnal->low.share();
  return traffic_.rate.per_s * (low + (1 - low) * (1 + cosine_of_turns(turns)) / 2);
}

Duration RateCurve::next_step(Duration t) const {
  if (!traffic_.trace.empty()) {
    const auto after =
        std::upper_bound(traffic_.trace.begin(), traffic_.trace.end(), t,
                         [](Duration at, const TracePoint& point) { return at < point.at; });
    return after == traffic_.trace.end() ? kForever : after->at;
  }
  return traffic_.diurnal ? t - t % kStep + kStep : kForever;
}

double RateCurve::expected(Duration begin, Duration end) const {
  double sum = 0;
  while (begin < end) {
    const Duration stop = std::min(end, next_step(begin));
    sum += rate_at(begin) * to_seconds(stop - begin);
    begin = stop;
  }
  return sum;
}

}  // namespace coalmine::world
