#pragma once

#include <string>
#include <vector>

#include "sim/rollout/analysis/spec.h"

namespace coalmine::rollout {

/// Canary values x against stable values y.
struct MannWhitney {
  double u = 0;              ///< pairs with x > y, ties half
  double cles = 0;           ///< u / (n m): P(canary > stable)
  double z = 0;              ///< of a shift of 0: tie-corrected, continuity correction 0.5
  double shift = 0;          ///< Hodges-Lehmann estimate of x - y
  double low = 0, high = 0;  ///< confidence interval of the shift
};

/// The two-sample test as Kayenta's judge does it (kayenta MannWhitney.scala, after R's
/// wilcox.test): normal approximation, mid-ranks. The interval holds those shifts mu with
/// |z(mu)| <= z of the confidence. Kayenta looks for its ends with a root finder of tolerance
/// 1e-4, so that with tied values the verdict hangs on the solver; here they are defined: z only
/// jumps at differences x - y, and the ends are the differences at which it crosses (for the
/// estimate the middle of the differences if z is 0 between two). Both must hold a value, not all
/// the same.
MannWhitney mann_whitney(const std::vector<double>& x, const std::vector<double>& y,
                         double confidence);

/// z with P(Z <= z) = p for a standard normal Z.
double normal_quantile(double p);

enum class MetricClass { Pass, High, Low, NoData, NoDataFails };
std::string_view to_string(MetricClass verdict);  ///< "High"

struct Classified {
  MetricClass verdict = MetricClass::Pass;
  bool critical = false;  ///< beyond the critical effect as well
  double ratio = 1;       ///< mean of the canary over mean of stable; NaN if either is 0
  MannWhitney test;
  std::size_t points = 0;  ///< of the canary
};

/// Kayenta's verdict on one metric: High if the interval lies above tolerance * |shift| and the
/// effect reaches the allowed increase; Low mirrored. With a mean of 0 the ratio is NaN and no
/// effect reaches anything, so that a baseline without a single error passes every canary
/// (spinnaker/kayenta#377): their quirk, kept. Values are without gaps (see JudgedMetric).
Classified classify(const JudgedMetric& metric, std::vector<double> canary,
                    std::vector<double> stable);

/// Drops values outside Q1 - 3 IQR .. Q3 + 3 IQR, widened to the 1st and 99th percentile
/// (kayenta IQRDetector.scala with reduced sensitivity).
std::vector<double> without_outliers(std::vector<double> values);

}  // namespace coalmine::rollout
