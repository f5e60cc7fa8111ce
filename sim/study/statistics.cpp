#include "sim/study/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/core/math.h"

namespace coalmine::study {
namespace {

constexpr double kNormal975 = 1.959963984540054;
constexpr double kTail = 0.025;

/// The smallest value that at least a share q of the sorted values do not exceed.
double nearest_rank(const std::vector<double>& sorted, double q) {
  const auto rank =
      static_cast<std::size_t>(std::ceil(q * static_cast<double>(sorted.size()) - 1e-9));
  return sorted[std::clamp<std::size_t>(rank, 1, sorted.size()) - 1];
}

/// x with I_x(a, b) = p, by bisection: the incomplete beta function rises with x.
double beta_quantile(double p, double a, double b) {
  double low = 0, high = 1;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (math::incomplete_beta(a, b, middle) < p ? low : high) = middle;
  }
  return (low + high) / 2;
}

double divergence_term(double a, double b) {
  if (a <= 0) return 0;
  return b <= 0 ? std::numeric_limits<double>::infinity() : a * math::log(a / b);
}

}  // namespace

Summary summarise(std::vector<double> values) {
  Summary summary;
  summary.n = values.size();
  if (values.empty()) return summary;
  const double n = static_cast<double>(values.size());
  double sum = 0;
  for (const double value : values) sum += value;
  summary.mean = sum / n;
  double squares = 0;
  for (const double value : values) squares += (value - summary.mean) * (value - summary.mean);
  const double error = values.size() < 2 ? 0 : std::sqrt(squares / (n - 1) / n);
  summary.low = summary.mean - kNormal975 * error;
  summary.high = summary.mean + kNormal975 * error;
  std::sort(values.begin(), values.end());
  summary.p50 = nearest_rank(values, 0.5);
  summary.p95 = nearest_rank(values, 0.95);
  summary.max = values.back();
  return summary;
}

Proportion proportion(std::uint64_t count, std::uint64_t n) {
  Proportion result{count, n};
  if (n == 0) return result;
  const double k = static_cast<double>(count), all = static_cast<double>(n);
  result.rate = k / all;
  result.low = count == 0 ? 0 : beta_quantile(kTail, k, all - k + 1);
  result.high = count == n ? 1 : beta_quantile(1 - kTail, k + 1, all - k);
  return result;
}

double binary_divergence(double a, double b) {
  return divergence_term(a, b) + divergence_term(1 - a, 1 - b);
}

}  // namespace coalmine::study
