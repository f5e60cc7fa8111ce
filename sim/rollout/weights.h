#pragma once

#include <string>

#include "sim/core/result.h"
#include "sim/core/units.h"
#include "sim/rollout/event.h"

namespace coalmine::rollout {

/// How the traffic shall be split; what is left is stable's.
struct Shares {
  Percent canary;
  Percent baseline = {};  ///< an experiment's fresh copy of stable
  Shares(Percent canary_share, Percent baseline_share = {})  // NOLINT(google-explicit-constructor)
      : canary(canary_share), baseline(baseline_share) {}
};

/// What integer weights an API takes.
struct WeightRange {
  const char* api;    ///< for errors: "App Mesh"
  int max = 100;      ///< largest single weight
  int max_sum = 100;  ///< largest sum
};

/// App Mesh: 0 to 100 each (appmesh 2019-01-25 model); the guide forbids sums over 100.
inline constexpr WeightRange kAppMeshWeights{"App Mesh", 100, 100};
/// ELBv2 forward actions: 0 to 999 each (elasticloadbalancingv2 2015-12-01 model).
inline constexpr WeightRange kAlbWeights{"ALB", 999, 1998};

struct SplitWeights {
  int stable = 100;
  int canary = 0;
  int baseline = 0;
  bool operator==(const SplitWeights&) const = default;
};

/// How far from the wanted share the integers may be, relative to the smaller side.
inline constexpr double kWeightTolerance = 0.01;

/// The integers that give the canary this share: 1% is 99:1, 33.3% is 2:1, 0.1% is 999:1 where
/// the range allows it. Sums of 100 are preferred, else the smallest. A baseline gets as much as
/// the canary: 5% of both is 90:5:5. Error: no integers come within the tolerance, with the nearest
/// that can be had; a baseline's share is neither none nor the canary's, or leaves stable less than
/// nothing.
Result<SplitWeights> to_weights(const Shares& shares, const WeightRange& range);

/// The names of a plan's versions; the baseline's is empty without experiments.
struct PlanVersions {
  std::string stable, canary, baseline;
};
/// A baseline is named while it has a weight.
Weights by_version(const PlanVersions& names, const SplitWeights& weights);

}  // namespace coalmine::rollout
