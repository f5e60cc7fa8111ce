#pragma once

#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "sim/engine/world/world.h"

namespace coalmine::cli {

/// Options of `coalmine explore` as they were typed.
struct ExploreArguments {
  std::vector<std::string> paths;  ///< the scenario
  int runs = 2000;
  int max_faults = 3;
  std::vector<std::string> targets, checks;
  std::optional<std::uint64_t> seed;
  int jobs = 0;     ///< 0: one per core
  std::string out;  ///< file of the counter-example; empty: NAME-counter-example.yaml
  bool progress = false;
};

/// Searches a run that violates a check of the scenario. Returns 0 when none was found, 1 when
/// one was (and written), 2 and 3 for invalid input and faults of the environment.
int explore_scenario(const ExploreArguments& arguments, const world::World& world,
                     std::ostream& out, std::ostream& err);

}  // namespace coalmine::cli
