// Comparing samples in tests.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

namespace coalmine::engine {

/// Two-sample Kolmogorov-Smirnov distance, as a multiple of the critical distance at level 0.001
/// (Smirnov 1948: c(alpha) = sqrt(-ln(alpha / 2) / 2)). Above 1: the samples differ. With ties
/// (counts) the test only becomes more patient.
inline double ks_excess(std::vector<double> a, std::vector<double> b) {
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  double distance = 0;
  std::size_t i = 0, j = 0;
  while (i < a.size() && j < b.size()) {
    const double x = std::min(a[i], b[j]);
    while (i < a.size() && a[i] <= x) ++i;
    while (j < b.size() && b[j] <= x) ++j;
    distance = std::max(
        distance, std::fabs(static_cast<double>(i) / a.size() - static_cast<double>(j) / b.size()));
  }
  const double n = static_cast<double>(a.size()), m = static_cast<double>(b.size());
  return distance / (std::sqrt(-std::log(0.001 / 2) / 2) * std::sqrt((n + m) / (n * m)));
}

/// Chi-square of two rows of counts having the same shares, as a multiple of the critical value at
/// level 0.001 (Wilson & Hilferty 1931). Columns with fewer than 10 in both together are merged.
inline double chi_square_excess(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<std::pair<double, double>> columns;
  std::pair<double, double> rest{0, 0};
  for (std::size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
    rest.first += i < a.size() ? a[i] : 0;
    rest.second += i < b.size() ? b[i] : 0;
    if (rest.first + rest.second < 10) continue;
    columns.push_back(rest);
    rest = {0, 0};
  }
  if (!columns.empty()) {
    columns.back().first += rest.first;
    columns.back().second += rest.second;
  }
  if (columns.size() < 2) return 0;
  double total_a = 0, total_b = 0, sum = 0;
  for (const auto& [x, y] : columns) total_a += x, total_b += y;
  for (const auto& [x, y] : columns) {
    const double share = (x + y) / (total_a + total_b);
    sum += (x - share * total_a) * (x - share * total_a) / (share * total_a);
    sum += (y - share * total_b) * (y - share * total_b) / (share * total_b);
  }
  const double freedom = static_cast<double>(columns.size() - 1);
  const double root = 1 - 2 / (9 * freedom) + 3.0902 * std::sqrt(2 / (9 * freedom));
  return sum / (freedom * root * root * root);
}

}  // namespace coalmine::engine
