#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "sim/rollout/metrics.h"

namespace coalmine::rollout {

enum class Verdict {
  Continue,      ///< nothing against the canary so far
  Accept,        ///< the test is satisfied for this weight step
  Inconclusive,  ///< the tool's rule gives up without a verdict (Argo's inconclusiveLimit)
  Fail,
};
std::string_view to_string(Verdict verdict);

/// What an analysis says at one moment, with all that is needed to check it by hand.
struct Evaluation {
  std::string metric;  ///< "errors", "latency"
  std::string test;    ///< "error-share", "threshold", "sprt"
  Verdict verdict = Verdict::Continue;
  double value = 0;      ///< what was measured: a share, a latency in seconds, a score
  double limit = 0;      ///< what it is held against
  std::uint64_t n = 0;   ///< errors (error-share), canary requests, or datapoints counted
  double statistic = 0;  ///< evidence, log-likelihood ratio, or breaches
  double needs = 0;      ///< the statistic at which the analysis fails
  std::string segment;   ///< of tests per segment: the one with the strongest evidence
  std::string sentence;  ///< "errors: 3 of 10 from 1% of traffic, evidence 813 (needs 100)"
};

/// A datapoint as an analysis gets it.
struct Observation {
  const MetricsWindow& window;
  double canary_share = 0;  ///< the largest routed share the canary can have had
  /// False when the true share may differ from that: after the weight was lowered, or when
  /// somebody else has set it.
  bool settled = true;
};

// Figures in sentences.

/// Three significant digits, no exponent below a million: 813, 0.0324, 2.1e+07.
std::string figure(double value);
/// 0.01 -> "1%".
std::string percent_text(double share);
/// 0 when `whole` is.
double share_of_counts(std::uint64_t part, std::uint64_t whole);

}  // namespace coalmine::rollout
