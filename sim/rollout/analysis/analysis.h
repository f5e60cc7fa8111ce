#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "sim/rollout/analysis/bernoulli.h"
#include "sim/rollout/analysis/cusum.h"
#include "sim/rollout/analysis/error_share.h"
#include "sim/rollout/analysis/evaluation.h"
#include "sim/rollout/analysis/judge.h"
#include "sim/rollout/analysis/latency_tests.h"
#include "sim/rollout/analysis/segments.h"
#include "sim/rollout/analysis/spec.h"
#include "sim/rollout/analysis/sprt.h"
#include "sim/rollout/analysis/threshold.h"
#include "sim/rollout/metrics.h"

namespace coalmine::rollout {

/// One analysis of a plan while the rollout goes on. Plain values: a copy is a snapshot.
class Analysis {
 public:
  /// `alpha_share`: the part of its alpha this test may spend (see split_alpha).
  Analysis(const AnalysisSpec& spec, double alpha_share);

  /// Counts one datapoint; `canary_share` is the largest routed share the canary can have had.
  /// `settled` is false for a while after a weight was lowered, when the share may be lower. A
  /// datapoint with far more canary requests than `canary_share` explains (weights that somebody
  /// else has set) is not settled either.
  void add(const MetricsWindow& window, double canary_share, bool settled = true);
  void next_step();

  Verdict verdict() const;
  Evaluation evaluate() const;
  /// Evidence as an e-value over all of the rollout, for those tests that have one.
  std::optional<double> evidence() const;
  /// alpha after its share was taken; 0 for tests without one.
  double alpha() const { return alpha_; }
  const std::string& metric() const { return metric_; }

 private:
  using Test = std::variant<ErrorShare, ShareLimit, Sprt, Bernoulli, Cusum, QuantileCompare,
                            DistributionCompare, Judge, Segmented>;
  static Test make(const AnalysisSpec& spec, double alpha_share);

  std::string metric_;
  Scope scope_ = Scope::Canary;
  double alpha_ = 0;
  Test test_;
};

/// Part of its own alpha that each sequential test of the plan may spend so that their promise
/// holds together: 1/n for n tests that can roll back or pause (Bonferroni; Dunn 1961). Plain
/// thresholds, the tools' rules and late-fault promise nothing and do not count.
double split_alpha(const std::vector<AnalysisSpec>& specs);

/// Evidence of several tests put together, for the one promise they give:
///   M = sum of alpha_i E_i, fails at 1
/// with alpha_i the part that split_alpha left each. The E_i are e-values, so the mean of M is at
/// most the sum of the alpha_i, and by Ville's inequality M reaches 1 with at most that
/// probability, whatever hangs together between the tests (Vovk & Wang 2021). Never later than
/// the first test alone (that is alpha_i E_i >= 1), and sooner when two of them half suspect the
/// canary. `counts[i]` false leaves a test out, as one that may not roll back.
struct Merged {
  double sum = 0;             ///< M
  std::size_t strongest = 0;  ///< the test that adds most
  std::size_t tests = 0;      ///< that took part
  bool fails() const { return sum >= 1; }
};
Merged merge_evidence(const std::vector<Analysis>& analyses, const std::vector<bool>& counts);
/// The strongest test's evaluation, with the sentence saying that the others tipped the scales.
Evaluation evaluate_merged(const std::vector<Analysis>& analyses, const Merged& merged);

/// The latency limits whose counts the analyses need, rising, each once.
std::vector<Duration> latency_limits(const std::vector<AnalysisSpec>& specs);
/// The segments whose counts the analyses need, by name, each once.
std::vector<std::string> segments_of(const std::vector<AnalysisSpec>& specs);

}  // namespace coalmine::rollout
