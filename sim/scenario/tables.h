// The parts of the format, one table each. Only for sim/scenario's own .cpp files.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "sim/scenario/format.h"
#include "sim/scenario/scenario.h"

namespace coalmine::scenario {

/// `given`, as the file says it.
struct Clock {
  std::int64_t seed = 1;
  Duration limit = std::chrono::hours{1};
};
struct VersionDraft {
  std::int64_t tasks = 1;
  std::optional<Rate> capacity;
  std::optional<std::int64_t> concurrency, queue;
  std::optional<world::Latency> latency;
  std::optional<Percent> errors;
  std::vector<world::Fault> faults;
};
struct TrafficDraft {
  world::Traffic traffic;
  std::string trace;  ///< file; empty: none
  Place trace_place;
};
struct Given {
  Clock clock;
  TrafficDraft traffic;
  std::vector<std::pair<std::string, VersionDraft>> versions;
  world::Platform platform;
  std::vector<rollout::AlarmSpec> alarms;
  std::vector<std::pair<std::string, world::HookAnswer>> hooks;
};

/// `rollout`, with the names of the versions still open.
struct Rollout {
  rollout::TrafficApi traffic = rollout::TrafficApi::AppMesh;
  std::string stable, canary;
  std::vector<rollout::Step> plan;
  std::vector<rollout::AnalysisSpec> analysis;
  std::vector<rollout::CheckSpec> checks;
  std::optional<rollout::AlarmWatch> watch;
  std::vector<rollout::Hook> hooks;
  rollout::OnNoData on_no_data = rollout::OnNoData::Hold;
  rollout::Rollback rollback;
  std::optional<rollout::Deadline> deadline;
  rollout::OnNewer on_newer = rollout::OnNewer::Restart;
  std::optional<rollout::SessionAffinity> affinity;
  std::optional<Rate> load;
  rollout::CanaryCapacity capacity = rollout::CanaryCapacity::Full;
  Duration task_patience = rollout::kTaskPatience;
  Place place;  ///< of the plan
};

Rule<Given> given_rule();
Rule<Rollout> rollout_rule();
Rule<rollout::AnalysisSpec> analysis_rule();
/// Where the key's value stands, for errors; the map itself without it.
const YamlNode& value_of(const YamlNode& node, std::string_view key);
Rule<std::vector<rollout::Step>> steps_rule();
Rule<rollout::CheckSpec> plan_check_rule();
/// true or false
Rule<bool> truth_rule(std::string doc);
Rule<rollout::AlarmSpec> alarm_rule();
/// Checks, alarms, hooks and ends: the keys of a rollout beside steps and analyses.
void add_parts(ObjectRule<Rollout>& object);
/// Puts what add_parts() read into the plan.
void put_parts(Rollout&& draft, rollout::Plan& plan);
Rule<std::vector<world::Event>> when_rule();
Rule<std::vector<Check>> then_rule();

Rule<world::Latency> latency_rule(std::string doc);
/// {v1: 100, v2: 0}
Rule<std::map<std::string, std::uint32_t>> weights_rule(std::string doc);
/// What no table can see: names that refer to one another, times beyond the limit, a plan that
/// cannot be carried out. `root` is the file's tree. Not `complete`: some table refused its part,
/// so only names are looked at.
void cross_check(const Scenario& scenario, bool complete, const YamlNode& root, Reader& reader);

}  // namespace coalmine::scenario
