#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/core/random.h"
#include "sim/scenario/scenario.h"
#include "sim/scenario/verdict.h"
#include "sim/study/study.h"

namespace coalmine::study {

inline constexpr int kMaxExploreRuns = 10'000'000;
inline constexpr int kMaxExploreFaults = 20;
inline constexpr int kMaxShrinkRuns = 2'000;

/// Where to look for a run that violates a check.
struct ExploreOptions {
  int runs = 2'000;  ///< give up after so many
  int max_faults = 3;
  std::vector<std::string> targets;  ///< versions that faults may hit; empty: all
  std::vector<std::string> checks;   ///< only these count; empty: all of the file
  std::optional<std::uint64_t> first_seed;
  int jobs = 1;
};

struct CounterExample {
  std::uint64_t seed = 0;
  std::vector<world::Event> events;                 ///< smallest schedule found, sorted by time
  std::vector<scenario::CheckResult> failed;        ///< the checks it violates
  int runs = 0;                                     ///< until the violation was met
  std::size_t faults_before = 0, faults_after = 0;  ///< shrinking
};

/// Plays the scenario with other seeds, then with random faults on top of its own events, until a
/// check fails; then removes and softens faults as long as the same check fails. The result
/// depends on the options and the first seed only, not on `jobs`. nullopt: nothing found.
/// Errors: a check or version that the scenario does not have; a run that cannot be played.
Result<std::optional<CounterExample>> explore(const scenario::Scenario& scenario,
                                              const ExploreOptions& options,
                                              const world::World& world,
                                              Progress* progress = nullptr);

/// Faults that run number `i` adds, in order of time; within [0, horizon).
std::vector<world::Event> random_faults(const world::Spec& spec, const ExploreOptions& options,
                                        Duration horizon, Random random);

/// The scenario file `text` with the counter-example's seed and events in it, ready to be run;
/// comments are lost. `file` names it in errors.
Result<std::string> write_counter_example(const std::string& text, const std::string& file,
                                          const CounterExample& example);

}  // namespace coalmine::study
