#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "sim/cli/shard_option.h"
#include "sim/engine/world/world.h"

namespace coalmine::cli {

/// Options of `coalmine evaluate` and `coalmine compare` as they were typed.
struct StudyArguments {
  std::vector<std::string> paths;   ///< the scenario
  std::vector<std::string> plans;   ///< KIND:FILE; none: the scenario's own
  std::vector<std::string> sweeps;  ///< PARAMETER=VALUE,VALUE
  std::string fidelity = "auto";
  std::optional<std::uint64_t> seed;  ///< the first one, instead of the file's
  int seeds = 1000;
  int jobs = 0;                      ///< 0: one per core
  std::string shard;                 ///< "I/N" or "auto"; empty: all
  std::vector<std::string> reports;  ///< KIND=FILE: json, csv, html
  bool advice = true;                ///< evaluate: look for a better plan
  bool progress = false;             ///< show a bar on stderr
};

// All three return the exit code: 0, or 2 and 3 for invalid input and faults of the environment.

/// Plays one scenario with many seeds and says what its plan costs.
int evaluate_scenario(const StudyArguments& arguments, const world::World& world,
                      const Environment& environment, std::ostream& out, std::ostream& err);
/// Plays one scenario under several plans with the same seeds.
int compare_plans(const StudyArguments& arguments, const world::World& world,
                  const Environment& environment, std::ostream& out, std::ostream& err);
/// Joins the shards of one study, as if it had never been split.
int merge_shards(const std::vector<std::string>& files, const std::vector<std::string>& reports,
                 std::ostream& out, std::ostream& err);

}  // namespace coalmine::cli
