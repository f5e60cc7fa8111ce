// Canary and an equally large fresh copy of stable, side by side.
#include <algorithm>

#include "sim/rollout/decider.h"

namespace coalmine::rollout {

void Decider::begin_experiment() {
  s_.before_experiment = Percent{share_of(s_.weights, plan_.canary) * 100};
  s_.experimenting = true;
  give(Phase::Shifting, std::get<Experiment>(plan_.steps[s_.step].what).share);
}

/// The weights are set; hooks after a step are called when it is over. A canary that had no request
/// before begins with the baseline and, if it goes back to nothing, ends with it; one that had some
/// is compared only once the new weights surely act.
void Decider::compare() {
  s_.compared_from =
      s_.before_experiment.value > 0 ? now_ + plan_.settle : std::min(s_.metrics_until, now_);
  s_.compared_until = kNever;
  s_.comparing = false;
  start_bake(std::get<Experiment>(plan_.steps[s_.step].what).length);
}

/// The baseline gets no more requests, and its tasks go once that has surely taken effect.
void Decider::end_experiment() {
  s_.experimenting = false;
  shift(Phase::Shifting, s_.before_experiment);
}

/// What the tests shall see of a datapoint, with the canary's share of it. The baseline runs
/// stable's build, so it counts as stable; while the experiment surely acts it stands for stable
/// alone, at as many requests as the canary has. What came before speaks of an older stable: tests
/// that go by steps begin one then.
MetricsWindow Decider::for_comparison(const MetricsWindow& window, double& share, bool& settled) {
  MetricsWindow seen = window;
  const bool side_by_side = window.from >= s_.compared_from && window.to <= s_.compared_until &&
                            !was_routed(window.from, window.to);
  const auto merge = [side_by_side](auto& counts) {
    if (side_by_side) counts.stable = {};
    counts.stable += counts.baseline;
    counts.baseline = {};
  };
  merge(seen);
  for (SegmentCounts& segment : seen.segments) merge(segment);
  if (!side_by_side) return seen;
  share = 0.5;
  settled = true;
  if (!std::exchange(s_.comparing, true)) {
    for (Analysis& analysis : s_.analyses) analysis.next_step();
  }
  return seen;
}

}  // namespace coalmine::rollout
