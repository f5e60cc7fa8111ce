#include "sim/rollout/analysis/mann_whitney.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/core/check.h"
#include "sim/core/math.h"

namespace coalmine::rollout {
namespace {

/// z of the hypothesis that x is y shifted by mu, and U. Both sorted.
struct ZAndU {
  double z = 0, u = 0;
};
ZAndU z_at(const std::vector<double>& x, const std::vector<double>& y, double mu) {
  const auto n = static_cast<double>(x.size()), m = static_cast<double>(y.size());
  double rank_sum = 0, ties = 0;
  std::size_t i = 0, j = 0;
  while (i < x.size() || j < y.size()) {
    const double value = j == y.size() || (i < x.size() && x[i] - mu < y[j]) ? x[i] - mu : y[j];
    const std::size_t i0 = i, j0 = j;
    while (i < x.size() && x[i] - mu == value) ++i;
    while (j < y.size() && y[j] == value) ++j;
    const auto mine = static_cast<double>(i - i0), t = mine + static_cast<double>(j - j0);
    rank_sum += mine * (static_cast<double>(i0 + j0) + (t + 1) / 2);
    ties += t * t * t - t;
  }
  const double u = rank_sum - n * (n + 1) / 2;
  const double d = u - n * m / 2;
  const double correction = d > 0 ? 0.5 : d < 0 ? -0.5 : 0;
  const double variance = n * m / 12 * ((n + m + 1) - ties / ((n + m) * (n + m - 1)));
  return {variance > 0 ? (d - correction) / std::sqrt(variance) : 0, u};
}

/// The first difference beyond which z is below `level`; `ends` are sorted and distinct.
double crossing(const std::vector<double>& x, const std::vector<double>& y,
                const std::vector<double>& ends, double level) {
  // z just above ends[k], which holds until ends[k + 1]; above the last it is lowest.
  const auto above = [&](std::size_t k) {
    return k + 1 == ends.size() ? -std::numeric_limits<double>::infinity()
                                : z_at(x, y, (ends[k] + ends[k + 1]) / 2).z;
  };
  std::size_t low = 0, high = ends.size() - 1;
  while (low < high) {
    const std::size_t middle = (low + high) / 2;
    if (above(middle) < level) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  // z is exactly `level` between the one before and this: the middle, as for a median.
  if (low > 0 && above(low - 1) == level) return (ends[low - 1] + ends[low]) / 2;
  return ends[low];
}

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double v : values) sum += v;
  return sum / static_cast<double>(values.size());
}

/// The p-percentile of sorted values as commons-math's default has it: position p (n + 1).
double percentile(const std::vector<double>& sorted, double p) {
  const double position = p * static_cast<double>(sorted.size() + 1);
  if (position < 1) return sorted.front();
  if (position >= static_cast<double>(sorted.size())) return sorted.back();
  const auto k = static_cast<std::size_t>(position);
  return sorted[k - 1] + (position - static_cast<double>(k)) * (sorted[k] - sorted[k - 1]);
}

}  // namespace

double normal_quantile(double p) {
  double low = -40, high = 40;
  for (int i = 0; i < 80; ++i) {
    const double middle = (low + high) / 2;
    (math::normal_cdf(middle) < p ? low : high) = middle;
  }
  return (low + high) / 2;
}

MannWhitney mann_whitney(const std::vector<double>& x_in, const std::vector<double>& y_in,
                         double confidence) {
  CHECK(!x_in.empty() && !y_in.empty());
  std::vector<double> x = x_in, y = y_in;
  std::sort(x.begin(), x.end());
  std::sort(y.begin(), y.end());
  std::vector<double> ends;
  ends.reserve(x.size() * y.size());
  for (const double a : x) {
    for (const double b : y) ends.push_back(a - b);
  }
  std::sort(ends.begin(), ends.end());
  ends.erase(std::unique(ends.begin(), ends.end()), ends.end());

  MannWhitney result;
  const ZAndU zero = z_at(x, y, 0);
  result.u = zero.u;
  result.cles = zero.u / (static_cast<double>(x.size()) * static_cast<double>(y.size()));
  result.z = zero.z;
  const double level = normal_quantile(0.5 + confidence / 2);
  // At the outermost differences the sample itself may be too small for the level.
  result.low = z_at(x, y, ends.front()).z <= level ? ends.front() : crossing(x, y, ends, level);
  result.high = z_at(x, y, ends.back()).z >= -level ? ends.back() : crossing(x, y, ends, -level);
  result.shift = crossing(x, y, ends, 0);
  return result;
}

std::vector<double> without_outliers(std::vector<double> values) {
  if (values.empty()) return values;
  std::vector<double> sorted = values;
  std::sort(sorted.begin(), sorted.end());
  const double q1 = percentile(sorted, .25), q3 = percentile(sorted, .75);
  const double low = std::min(q1 - 3 * (q3 - q1), percentile(sorted, .01));
  const double high = std::max(q3 + 3 * (q3 - q1), percentile(sorted, .99));
  values.erase(
      std::remove_if(values.begin(), values.end(), [&](double v) { return v < low || v > high; }),
      values.end());
  return values;
}

Classified classify(const JudgedMetric& metric, std::vector<double> canary,
                    std::vector<double> stable) {
  if (metric.remove_outliers) {
    canary = without_outliers(std::move(canary));
    stable = without_outliers(std::move(stable));
  }
  Classified result;
  result.points = canary.size();
  if (canary.empty() || stable.empty()) {
    result.verdict = metric.must_have_data ? MetricClass::NoDataFails : MetricClass::NoData;
    return result;
  }
  std::sort(canary.begin(), canary.end());
  std::sort(stable.begin(), stable.end());
  const bool one_value = canary.front() == canary.back() && stable.front() == stable.back() &&
                         canary.front() == stable.front();
  if (canary == stable || one_value) return result;

  result.test = mann_whitney(canary, stable, metric.confidence);
  const double of_canary = mean(canary), of_stable = mean(stable);
  result.ratio = of_canary == 0 || of_stable == 0 ? std::numeric_limits<double>::quiet_NaN()
                                                  : of_canary / of_stable;
  const bool cles = metric.effect == JudgedMetric::Effect::Cles;
  const double effect = cles ? result.test.cles : result.ratio;
  const double neutral = cles ? 0.5 : 1;
  const double bound = metric.tolerance * std::fabs(result.test.shift);
  if (metric.direction != Direction::Down && result.test.low > bound &&
      effect >= metric.allowed_increase.value_or(neutral)) {
    result.verdict = MetricClass::High;
    result.critical = metric.critical && effect >= metric.critical_increase.value_or(neutral);
  } else if (metric.direction != Direction::Up && result.test.high < -bound &&
             effect <= metric.allowed_decrease.value_or(neutral)) {
    result.verdict = MetricClass::Low;
    result.critical = metric.critical && effect <= metric.critical_decrease.value_or(neutral);
  }
  return result;
}

std::string_view to_string(MetricClass verdict) {
  switch (verdict) {
    case MetricClass::Pass:
      return "Pass";
    case MetricClass::High:
      return "High";
    case MetricClass::Low:
      return "Low";
    case MetricClass::NoData:
      return "Nodata";
    case MetricClass::NoDataFails:
      return "NodataFailMetric";
  }
  CHECK_FAILED("class");
}

}  // namespace coalmine::rollout
