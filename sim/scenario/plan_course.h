#pragma once

#include <optional>
#include <vector>

#include "sim/engine/world/world.h"

namespace coalmine::scenario {

/// One stay at a weight, if all goes well and as fast as it can.
struct Stay {
  std::size_t step = 0;  ///< of the plan
  Duration begin{}, end{};
  double share = 0;  ///< the canary's, 0 to 1
  /// Requests of the plan's own load that come meanwhile, by the second, and the canary's share of
  /// them.
  double own_per_s = 0, own_share = 0;
  double mirrored = 0;    ///< share of stable's requests of which the canary gets a copy
  bool compared = false;  ///< with a fresh copy of stable that gets as much as the canary
};

/// When the plan is where at the earliest.
struct PlanCourse {
  std::vector<Stay> stays;
  Duration length{};  ///< of all steps that are reached
  /// A pause at which nobody speaks, so that it has no end or ends in a roll-back: the steps behind
  /// it are not reached.
  std::optional<std::size_t> stuck_at;
  /// An operator ends or skips something, so the plan may go another way.
  bool operated = false;
};
PlanCourse plan_course(const world::Spec& spec);

/// Requests to the canary that are expected on that course at weights above 0%, the plan's own load
/// among them.
double expected_canary_requests(const world::Spec& spec, const PlanCourse& course);

/// What the test makes of a canary that fails and is slow always, while stable never is: the least
/// that it must see. `segment`: only there; its index in the traffic.
bool convicts_the_worst(const world::Spec& spec, const PlanCourse& course,
                        const rollout::AnalysisSpec& analysis, double alpha_share,
                        std::optional<std::size_t> segment = {});

}  // namespace coalmine::scenario
