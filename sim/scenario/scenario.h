// sim/scenario: from a scenario file to a verdict.
//
// A file has three parts, as in a story: `given` the world, its `rollout`, `when` this happens,
// `then` these checks hold. load_scenario() reads it and reports every problem at once, each
// with its place; a world (sim/engine or sim/lab) plays the Spec; verdict() holds the Record
// against the checks; report.h prints the result for people and for machines.
//
//   file -> Scenario -> world -> Record -> verdict() -> Result -> reports
//
// Below: sim/engine, sim/lab, sim/rollout. Above: sim/cli.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "sim/core/json.h"
#include "sim/core/result.h"
#include "sim/core/time.h"
#include "sim/core/units.h"
#include "sim/engine/world/world.h"

namespace coalmine::scenario {

inline constexpr std::size_t kMaxVersions = 2;  ///< stable and canary
inline constexpr std::size_t kMaxSegments = 100;
inline constexpr std::size_t kMaxSteps = 200;
inline constexpr std::size_t kMaxEvents = 1000;
inline constexpr std::size_t kMaxChecks = 100;
inline constexpr Duration kMaxLimit = std::chrono::hours{24 * 30};
inline constexpr double kMaxRatePerS = 10'000'000;

// --- checks ------------------------------------------------------------------------------------

struct CountBound {
  std::optional<std::int64_t> min, max;
};
struct DurationBound {
  std::optional<Duration> min, max;
};

struct OutcomeCheck {
  world::Outcome want = world::Outcome::Promoted;
};
/// The weights that the control plane holds at the end.
struct FinalWeightsCheck {
  std::map<std::string, std::uint32_t> want;
};
/// These states were entered in this order; others may lie between.
struct StatesCheck {
  std::vector<std::string> want;
};
/// What the canary did to users: requests it served, those that failed, distinct users. A user
/// sends requests of every segment: each segment has at most all users, all at most their sum.
struct BlastRadiusCheck {
  std::optional<CountBound> requests, errors, users;
  std::string segment;  ///< of this segment of the traffic; empty: of all
};
/// From the moment the canary's fault could be seen to the analysis' decision.
struct TimeToDetectCheck {
  DurationBound bound;
};
/// From the decision to roll back to the last request that the canary served.
struct TimeToRollbackCheck {
  DurationBound bound;
};
struct TimeToPromoteCheck {
  DurationBound bound;
};
/// Requests that never reached a version: no route, no target, no connection.
struct DroppedRequestsCheck {
  CountBound bound;
};
/// Share of all requests that failed for their users; with a window, in the worst stretch of at
/// least that length.
struct UserErrorRateCheck {
  Percent max;
  std::optional<Duration> window;
};
/// In every step the canary's part of the requests lies within sigma standard deviations of the
/// weight in force.
struct CanaryShareCheck {
  double sigma = 4;
};
/// The highest share of the traffic that was routed to the canary.
struct CanaryWeightCheck {
  Percent max;
};
/// The canary's shares in the order in which the rollout set them, one after the other once.
struct WeightsSetCheck {
  std::vector<Percent> want;
};
struct LatencyCheck {
  std::string version;  ///< empty: all
  double quantile = 0.99;
  DurationBound bound;
};
/// Attempts that the gateway made again, of both versions: what users did not hear of.
struct RetriesCheck {
  CountBound bound;
};
/// What hooks answered, one after the other; what is said again and again counts once.
struct HookAnswersCheck {
  std::vector<std::string> want;  ///< "smoke-test passed"
};
/// Both versions answer the same requests alike: same fields, same types.
struct CompatibleCheck {
  Percent max_differing{0};
};
struct RequestsCheck {
  CountBound bound;
};
/// The metric whose analysis decided against the canary.
struct DecisionCheck {
  std::string metric;
  std::string segment;  ///< by its test of this segment; empty: by any
};

/// An alarm that the rollout watches was in ALARM, first so long after the start, or never was. One
/// that was red before the rollout began is red at 0s.
struct AlarmCheck {
  std::string name;
  bool red = true;  ///< false: never
  DurationBound bound;
};

using CheckKind =
    std::variant<OutcomeCheck, FinalWeightsCheck, StatesCheck, BlastRadiusCheck, TimeToDetectCheck,
                 TimeToRollbackCheck, TimeToPromoteCheck, DroppedRequestsCheck, UserErrorRateCheck,
                 CanaryShareCheck, CanaryWeightCheck, WeightsSetCheck, LatencyCheck, RequestsCheck,
                 RetriesCheck, CompatibleCheck, HookAnswersCheck, DecisionCheck, AlarmCheck>;

struct Check {
  CheckKind what;
  Place place;
};

// --- the file ----------------------------------------------------------------------------------

struct Scenario {
  std::string file;
  std::string text;   ///< of the file
  std::string trace;  ///< of the file that its traffic comes from
  std::string name;
  std::string description;
  world::Spec spec;
  std::vector<Check> checks;
  Place place;  ///< of the name
};

/// A scenario, or everything that is wrong with the text, in the order of the file.
struct Loaded {
  std::optional<Scenario> scenario;
  std::vector<Error> problems;
  std::vector<Error> warnings;  ///< what may be meant but rarely is
};
/// `trace`: contents of the file of its traffic; null: it lies beside the scenario's.
Loaded load_scenario(const std::string& text, const std::string& file,
                     const std::string* trace = nullptr);
/// Reads the file first; a file that cannot be read is one problem of kind Environment.
Loaded load_scenario_file(const std::string& path);

/// The JSON Schema (draft 2020-12) of the format, made from the parser's own tables.
Json scenario_schema();

/// The problem with its source line and a caret below the place:
///   FILE:14:13: error: …
///      14 |   plan: [{weight: 150%}]
///         |                   ^~~~
std::string render_problem(const Error& problem, std::string_view source);
/// The same of a warning.
std::string render_warning(const Error& warning, std::string_view source);

}  // namespace coalmine::scenario
