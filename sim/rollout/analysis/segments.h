#pragma once

#include <string>
#include <variant>
#include <vector>

#include "sim/rollout/analysis/bernoulli.h"
#include "sim/rollout/analysis/error_share.h"

namespace coalmine::rollout {

/// One test per segment of the traffic: a fault that hits one flow in a thousand drowns in the
/// whole and stands out in its own.
///
/// The m e-processes are averaged: the mean of e-values is an e-value whatever hangs together
/// between them (Vovk & Wang 2021, "E-values: calibration, combination and applications"), so all
/// of them together fail a healthy rollout with probability at most alpha. A single segment with
/// evidence m/alpha suffices (Bonferroni's ln(m/alpha)), and several with less help each other.
class Segmented {
 public:
  Segmented(const AnalysisSpec& spec);

  void add(const Observation& seen, Scope scope);
  void next_step();
  double evidence() const { return sum_ / static_cast<double>(tests_.size()); }
  Verdict verdict() const { return evidence() >= needs_ ? Verdict::Fail : Verdict::Continue; }
  Evaluation evaluate() const;

 private:
  using One = std::variant<ErrorShare, Bernoulli>;
  static double evidence_of(const One& test);

  std::vector<std::string> names_;  ///< sorted
  std::vector<One> tests_;          ///< one per name
  double sum_ = 0;                  ///< of their evidence
  double needs_ = 0;
};

}  // namespace coalmine::rollout
