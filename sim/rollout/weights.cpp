#include "sim/rollout/weights.h"

#include <algorithm>
#include <cmath>

namespace coalmine::rollout {
namespace {

double share(const SplitWeights& pair) {
  return static_cast<double>(pair.canary) / (pair.stable + pair.canary);
}

bool fits(const SplitWeights& pair, const WeightRange& range) {
  return pair.stable >= 0 && pair.canary >= 0 && pair.stable <= range.max &&
         pair.canary <= range.max && pair.stable + pair.canary <= range.max_sum;
}

Result<SplitWeights> pair_of_weights(Percent canary, const WeightRange& range) {
  const double want = canary.share();
  if (!(want >= 0 && want <= 1)) {
    return error("weight is {}%, allowed is 0% to 100%", canary.value);
  }
  const double room = kWeightTolerance * std::min(want, 1 - want) + 1e-12;
  const auto whole = static_cast<int>(canary.value + 0.5);
  const SplitWeights hundred{100 - whole, whole};
  if (fits(hundred, range) && std::abs(share(hundred) - want) < 1e-12) return hundred;

  // For each sum the nearest canary weight; the first sum that is strictly better wins, so the
  // smallest integers do. `below` and `above` are what an error can offer instead.
  SplitWeights best{1, 0};
  double below = 0, above = 1;
  for (int sum = 1; sum <= range.max_sum; ++sum) {
    const auto low = static_cast<int>(want * sum);
    for (const int c : {low, low + 1}) {
      const SplitWeights pair{sum - c, c};
      if (!fits(pair, range)) continue;
      if (share(pair) <= want) below = std::max(below, share(pair));
      if (share(pair) >= want) above = std::min(above, share(pair));
      if (std::abs(share(pair) - want) < std::abs(share(best) - want) - 1e-12) best = pair;
    }
  }
  if (std::abs(share(best) - want) > room) {
    return error(
        "weight {} cannot be set with {} weights (whole numbers 0 to {}, sum at most {}); "
        "the nearest are {:.4g}% and {:.4g}%",
        to_string(canary), range.api, range.max, range.max_sum, below * 100, above * 100);
  }
  return best;
}

}  // namespace

Result<SplitWeights> to_weights(const Shares& shares, const WeightRange& range) {
  TRY(SplitWeights weights, pair_of_weights(shares.canary, range));
  const double baseline = shares.baseline.value;
  if (baseline == 0) return weights;
  if (baseline != shares.canary.value || baseline < 0 || baseline > 50) {
    return error("the canary gets {} and the baseline {}; allowed is the same for both, up to 50%",
                 to_string(shares.canary), to_string(shares.baseline));
  }
  // Taken from stable's: the sum stays, and with it the canary's share.
  weights.baseline = weights.canary;
  weights.stable -= weights.baseline;
  return weights;
}

Weights by_version(const PlanVersions& names, const SplitWeights& weights) {
  Weights named = {{names.stable, weights.stable}, {names.canary, weights.canary}};
  if (weights.baseline > 0) named[names.baseline] = weights.baseline;
  return named;
}

}  // namespace coalmine::rollout
