#pragma once

#include <string>
#include <variant>
#include <vector>

#include "sim/rollout/analysis/error_share.h"
#include "sim/rollout/analysis/sprt.h"
#include "sim/rollout/analysis/threshold.h"
#include "sim/rollout/metrics.h"
#include "sim/rollout/plan.h"

namespace coalmine::rollout {

enum class Verdict {
  Continue,  ///< nothing against the canary so far
  Accept,    ///< the test is satisfied for this weight step
  Fail,
};

/// What an analysis says at one moment, with all that is needed to check it by hand.
struct Evaluation {
  std::string metric;  ///< "errors", "latency"
  std::string test;    ///< "error-share", "threshold", "sprt"
  Verdict verdict = Verdict::Continue;
  double value = 0;      ///< the share measured
  double limit = 0;      ///< the share it is held against
  std::uint64_t n = 0;   ///< errors (error-share) or canary requests counted
  double statistic = 0;  ///< evidence, log-likelihood ratio, or breaches in a row
  double needs = 0;      ///< the statistic at which the analysis fails
  std::string sentence;  ///< "errors: 3 of 10 from 1% of traffic, evidence 813 (needs 100)"
};

/// One analysis of a plan while the rollout goes on.
class Analysis {
 public:
  /// `alpha_share`: the part of its alpha this test may spend (see split_alpha).
  Analysis(const AnalysisSpec& spec, double alpha_share);

  /// Counts one datapoint; `canary_share` is the largest routed share the canary can have had.
  void add(const MetricsWindow& window, double canary_share);
  void next_step();
  Verdict verdict() const;
  Evaluation evaluate() const;

 private:
  struct Limits {
    std::optional<ShareLimit> errors;
    std::optional<ShareLimit> latency;
  };
  Evaluation evaluate_error_share(const ErrorShare& test) const;
  Evaluation evaluate_sprt(const Sprt& test) const;
  Evaluation evaluate_limits(const Limits& limits) const;

  AnalysisSpec spec_;
  std::variant<ErrorShare, Limits, Sprt> test_;
};

/// Part of its own alpha that each sequential test of the plan may spend so that their promise
/// holds together: 1/n for n tests that can roll back (Bonferroni; Dunn 1961). Plain thresholds
/// promise nothing and do not count.
double split_alpha(const std::vector<AnalysisSpec>& specs);

/// The latency limits whose counts the analyses need, rising, each once.
std::vector<Duration> latency_limits(const std::vector<AnalysisSpec>& specs);

std::string_view to_string(Verdict verdict);

}  // namespace coalmine::rollout
