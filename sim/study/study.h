// sim/study: how often? What a rollout plan costs, over thousands of seeds.
//
// One run of a scenario is an anecdote. A study plays a scenario under one or several plans with
// many seeds, twice: with the fault that the scenario describes, and with a canary as good as
// its stable version. The first says what the fault costs until it is rolled back, and how often
// it is missed; the second how often a healthy release is rolled back and how long a promotion
// takes. Each run leaves a Sample of a few numbers; everything that is printed or reported is
// made from samples, so shards that were played on different machines merge into the same bytes.
//
//   Scenario + plans -> Design -> run() -> Outcome: samples -> evaluate() -> text, JSON, HTML
//                                  (shards: write, merge)
//
// Below: sim/scenario (files, checks), sim/engine/world (what is played). Above: sim/cli.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sim/core/result.h"
#include "sim/scenario/runs.h"
#include "sim/scenario/scenario.h"
#include "sim/study/sample.h"

namespace coalmine::study {

inline constexpr int kMaxTrials = 1000;                 ///< plans x parameter values of one study
inline constexpr std::uint64_t kMaxRuns = 100'000'000;  ///< trials x seeds

/// One plan, with one choice of parameters, under the scenario's faults.
struct Trial {
  std::string plan;  ///< how the plan is called: "own plan", "flagger:canary.yaml"
  /// What a sweep set: {"weight", "1%"}.
  std::vector<std::pair<std::string, std::string>> parameters;
  scenario::Scenario scenario;
};

enum class Kind { Evaluate, Sweep, Compare };
using coalmine::to_string;
std::string_view to_string(Kind kind);
std::optional<Kind> kind_from(std::string_view text);

struct Design {
  Kind kind = Kind::Evaluate;
  std::vector<Trial> trials;
  int seeds = 1;
  std::optional<std::uint64_t> first_seed;  ///< instead of the scenario's
};

/// What the reports say about a trial besides its samples; plain values that a shard writes.
struct TrialFacts {
  std::string scenario, file, plan;
  std::vector<std::pair<std::string, std::string>> parameters;
  std::string steps;  ///< describe_steps()
  std::string judge;  ///< describe_judge()
  std::string fault;  ///< "v2 errors 5%; v1 errors 0.1%"
  std::string stable, canary;
  bool worse = false;           ///< the canary has a fault at all
  bool invisible = false;       ///< none that the metrics show
  std::optional<double> floor;  ///< canary requests, see information_floor()
  Duration metric_period{}, metric_delay{}, route_delay{};
  std::vector<std::string> checks;    ///< names, in the file's order
  std::vector<std::string> segments;  ///< of the traffic, that the scenario names
  std::uint64_t first_seed = 0;
  bool operator==(const TrialFacts&) const = default;
};

struct TrialResult {
  TrialFacts facts;
  std::vector<Sample> written;  ///< the scenario as written, by seed
  std::vector<Sample> healthy;  ///< its healthy twin; empty when the canary is healthy anyway
  /// The runs with a healthy canary, whichever they are.
  const std::vector<Sample>& good() const { return facts.worse ? healthy : written; }
};

struct StudyResult {
  Kind kind = Kind::Evaluate;
  int seeds = 0;
  scenario::Shard shard;
  std::vector<TrialResult> trials;
};

/// How far a study has come; read by another thread.
struct Progress {
  std::atomic<std::uint64_t> done{0}, total{0};
};

/// Plays the shard's part of the design, `jobs` runs at a time. The samples do not depend on
/// `jobs`. The first run (by order) that cannot be played is the error.
Result<StudyResult> run(const Design& design, const scenario::Shard& shard, int jobs,
                        world::Fidelity fidelity, const world::World& world,
                        Progress* progress = nullptr);

/// The trial of the scenario as it stands.
Trial own_trial(const scenario::Scenario& scenario);

/// Gives a plan that bakes longer than the scenario's limit the time that it needs.
void fit_limit(world::Spec& spec);

}  // namespace coalmine::study
