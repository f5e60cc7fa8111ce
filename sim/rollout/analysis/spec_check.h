#pragma once

#include <vector>

#include "sim/rollout/analysis/spec.h"

namespace coalmine::rollout {

/// What a plan lets its analyses see, for judging whether they make sense.
struct PlanView {
  /// Some bake or pause at a weight between 0% and 100%, and at any above 0%.
  bool compares = false, sees_canary = false;
  double highest_weight = 0;  ///< percent, of those with a bake or pause, below 100%
};

/// What is wrong with an analysis: values out of range, a test that cannot look at its metric or
/// never sees canary traffic, a scope that judges another version.
std::vector<Error> check(const AnalysisSpec& spec, const PlanView& view);

/// What is allowed but senseless or weak, each with the reason.
std::vector<Error> warnings(const AnalysisSpec& spec, const PlanView& view);

/// Latency limits below this or above what the histograms hold cannot be counted.
inline constexpr Duration kMinLatencyLimit = std::chrono::microseconds{1};
inline constexpr Duration kMaxLatencyLimit = std::chrono::minutes{10};

}  // namespace coalmine::rollout
