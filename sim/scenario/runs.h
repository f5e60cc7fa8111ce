#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sim/engine/world/world.h"
#include "sim/scenario/report.h"
#include "sim/scenario/scenario.h"

namespace coalmine::scenario {

inline constexpr int kMaxSeeds = 1'000'000;
inline constexpr int kMaxJobs = 256;

/// One part of many, for a suite that is spread over machines: index from 1.
struct Shard {
  int index = 1;
  int count = 1;
};
/// "2/5"
Result<Shard> parse_shard(std::string_view text);

/// The scenario files behind paths: files as they are, folders searched for *.yaml, sorted.
/// Errors (Environment): a path does not exist; (Invalid): a folder without any.
Result<std::vector<std::string>> find_scenario_files(const std::vector<std::string>& paths);

struct RunPlan {
  std::optional<std::uint64_t> seed;  ///< instead of the files'
  int seeds = 1;                      ///< so many, counting up from the first
  int jobs = 1;                       ///< so many at a time
  Shard shard;
  world::RunOptions options;  ///< without seed and journal
  std::string journal_folder;
};

/// Plays every scenario with every seed. The results come in the order of scenarios and seeds,
/// whatever `jobs` is; a shard keeps every count-th of them.
std::vector<RunResult> run_all(const std::vector<Scenario>& scenarios, const RunPlan& plan,
                               const world::World& world);

}  // namespace coalmine::scenario
