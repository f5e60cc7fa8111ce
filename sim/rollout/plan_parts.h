// Checks of a plan's parts. Only for sim/rollout's own .cpp files, and for sim/scenario's doubts.
#pragma once

#include <vector>

#include "sim/rollout/plan.h"

namespace coalmine::rollout {

/// Problems of checks, alarms, hooks, deadline and roll-back. `canary_bakes`: some bake or pause
/// has the canary at a weight between 0% and 100%.
void check_parts(const Plan& plan, bool canary_bakes, std::vector<Error>& errors);
/// Problems of one check, wherever it stands.
void check_check(const CheckSpec& spec, std::vector<Error>& errors);
/// " errors", for after "the check"; nothing without a name.
std::string named(const CheckSpec& spec);
/// What the steps take at least: bakes, experiments, checks with their counts, and pauses that go
/// on by themselves.
Duration shortest_length(const Plan& plan);

}  // namespace coalmine::rollout
