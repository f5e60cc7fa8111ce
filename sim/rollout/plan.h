// sim/rollout: how a rollout goes on, step by step.
//
// A Plan says what to do; the controller is a pure state machine that is told what happened
// (an action finished, metrics arrived, an operator spoke) and answers with actions. It never
// sleeps, calls or logs: a driver (driver.h) carries the actions out through a traffic adapter
// and a metrics source, in virtual time, live on loopback, or against AWS. Analysis decides
// whether the canary may go on; every decision carries metric, value, limit, n and a sentence.
//
//   Input -> decide(plan, state, input, now) -> Decision{state, actions} -> driver -> Input
//
// Below: sim/aws (adapters only), sim/core. Above: sim/engine, sim/lab, sim/scenario, sim/cli.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "sim/core/result.h"
#include "sim/core/time.h"
#include "sim/core/units.h"
#include "sim/rollout/analysis/spec.h"

namespace coalmine::rollout {

/// Give the canary this share of the traffic.
struct SetWeight {
  Percent canary;
};
/// Stay for so long while the analyses run.
struct Bake {
  Duration length{};
};
/// Wait for an operator's promote or resume; after `timeout` (if any) roll back.
struct Pause {
  std::optional<Duration> timeout;
};
/// The canary takes all traffic and becomes the stable version.
struct Promote {
  std::string version;
};
using StepKind = std::variant<SetWeight, Bake, Pause, Promote>;
struct Step {
  StepKind what;
  Place place;  ///< in the scenario file, for errors
};

enum class TrafficApi { AppMesh, Alb };

/// What to do at the end of a bake when no canary request was counted in it.
enum class OnNoData {
  Hold,      ///< stay until requests are seen: never promote nor blame an untested canary
  Continue,  ///< go on, as tools do that read "no values" as healthy
  Rollback,
};

struct Plan {
  std::string stable = "v1";
  std::string canary = "v2";
  TrafficApi traffic = TrafficApi::AppMesh;
  std::vector<Step> steps;
  std::vector<AnalysisSpec> analyses;
  OnNoData on_no_data = OnNoData::Hold;
  /// How often metrics are read when the source has no better idea.
  Duration poll = std::chrono::seconds{10};
  /// How long a lowered weight may go on acting in the data plane; errors of that time are held
  /// against the higher share.
  Duration settle = std::chrono::seconds{30};
};

inline constexpr std::size_t kMaxSteps = 1000;
inline constexpr std::size_t kMaxAnalyses = 100;

/// All problems at once: weights outside 0-100%, no step, promote that is not last, a bake
/// before any weight, a test without canary traffic. Each error has the step's place.
std::vector<Error> check(const Plan& plan);
/// Analyses that are allowed but weak or senseless, each with the reason.
std::vector<Error> analysis_warnings(const Plan& plan);

}  // namespace coalmine::rollout
