#pragma once

#include <cstdint>
#include <vector>

namespace coalmine::study {

/// What many runs say about one figure. All zero when there is no value.
struct Summary {
  std::uint64_t n = 0;  ///< runs that have the figure at all
  double mean = 0;
  /// 95% confidence interval of the mean: mean +- 1.96 s / sqrt(n); both equal the mean for n < 2.
  double low = 0, high = 0;
  double p50 = 0, p95 = 0;  ///< nearest rank: values that occurred
  double max = 0;
};

/// Sums in the order given, so the same values in the same order give the same bits.
Summary summarise(std::vector<double> values);

/// A share of runs with its 95% confidence interval.
struct Proportion {
  std::uint64_t count = 0, n = 0;
  double rate = 0;  ///< 0 when n is 0
  double low = 0, high = 1;
};

/// Clopper and Pearson's exact interval (Biometrika 26, 1934): each side lets at most 2.5% of all
/// samples lie beyond it, also for no or few events, where the normal approximation fails.
Proportion proportion(std::uint64_t count, std::uint64_t n);

/// Relative entropy a ln(a/b) + (1-a) ln((1-a)/(1-b)) in nats; infinite where b rules a out.
double binary_divergence(double a, double b);

}  // namespace coalmine::study
