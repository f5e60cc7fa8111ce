#pragma once

#include "sim/core/result.h"
#include "sim/core/units.h"

namespace coalmine::rollout {

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

struct WeightPair {
  int stable = 100;
  int canary = 0;
  bool operator==(const WeightPair&) const = default;
};

/// How far from the wanted share the integers may be, relative to the smaller side.
inline constexpr double kWeightTolerance = 0.01;

/// The integers that give the canary this share: 1% is 99:1, 33.3% is 2:1, 0.1% is 999:1 where
/// the range allows it. Sums of 100 are preferred, else the smallest. Error: no pair comes
/// within the tolerance; it names the nearest that can be had.
Result<WeightPair> to_weights(Percent canary, const WeightRange& range);

}  // namespace coalmine::rollout
