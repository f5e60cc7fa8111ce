#pragma once

#include <vector>

#include "sim/engine/world/world.h"
#include "sim/scenario/scenario.h"

namespace coalmine::scenario {

// Doubts: what is allowed and can be played, but cannot come out as it reads. Each is a warning
// with its place and the reason. What the plan alone gives away stands in rollout::check_doubts();
// these need the world as well.

/// Tests that the plan's traffic can never convince, bakes shorter than the way of a metric, tasks
/// that are too few, alarms that cannot fire in time, steps that nobody gets to, faults that come
/// too late. Cheap enough for every file.
std::vector<Error> world_doubts(const Scenario& scenario);
/// Checks (`then`) that cannot hold under this plan.
std::vector<Error> outcome_doubts(const Scenario& scenario);
/// Plays a canary that fails for every request. A plan that promotes it looks in vain, whatever it
/// consists of.
std::vector<Error> blind_doubts(const Scenario& scenario, const world::World& world);

/// All of them, in the order of the file.
std::vector<Error> all_doubts(const Scenario& scenario, const world::World& world);

}  // namespace coalmine::scenario
