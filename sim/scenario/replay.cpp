#include "sim/scenario/replay.h"

#include <algorithm>

#include "sim/engine/world/recorder.h"
#include "sim/engine/world/run_journal.h"

namespace coalmine::scenario {
namespace {

using rollout::Event;
using rollout::Phase;
using world::Ending;

/// What was told on the way, in the order of the journal.
struct Told {
  Event event;
  bool by_world = false;
};

struct Reading {
  world::RunJournal world;
  std::vector<Told> story;
};

Result<rollout::Replay> read(std::string_view text, const std::string& file, Reading& reading) {
  rollout::ReplayListener listener;
  listener.on_event = [&reading](const Event& event) { reading.story.push_back({event, false}); };
  listener.on_world = [&reading](const Place& place, const Json& line) -> Status {
    TRY_STATUS(reading.world.take(place, line));
    if (auto note = reading.world.take_note()) reading.story.push_back({*std::move(note), true});
    return {};
  };
  return rollout::replay_journal(text, file, listener);
}

/// A rollout on AWS or in the lab has no scenario: its plan is one, in a world nobody described.
Scenario bare_scenario(const rollout::JournalHeader& header, const std::string& file) {
  Scenario scenario;
  scenario.file = file;
  scenario.name = scenario.spec.name = header.id;
  for (const std::string& name : {header.plan.stable, header.plan.canary}) {
    scenario.spec.versions.emplace_back().name = name;
  }
  return scenario;
}

Result<Scenario> scenario_of(const Reading& reading, const rollout::JournalHeader& header,
                             const std::string& file) {
  const world::Source& source = reading.world.source();
  Scenario scenario = bare_scenario(header, file);
  if (!source.text.empty()) {
    Loaded loaded = load_scenario(source.text, source.file, &source.trace);
    if (!loaded.scenario) {
      return error(Place{file, 2, 0}, "the scenario in the journal: {}",
                   to_string(loaded.problems.front()));
    }
    scenario = *std::move(loaded.scenario);
  }
  scenario.spec.plan = header.plan;  // `--plan` may have put another in the place of its own
  return scenario;
}

Duration canary_left(const rollout::Replay& replay, TimePoint start, Duration since) {
  const std::string& canary = replay.journal.header.plan.canary;
  for (const Event& event : replay.events) {
    const rollout::Value* value = event.find("weights");
    const auto* weights = value == nullptr ? nullptr : std::get_if<rollout::Weights>(value);
    const bool gone = weights != nullptr && rollout::share_of(*weights, canary) == 0;
    if (event.name == "weights.changed" && gone && event.t - start >= since) return event.t - start;
  }
  return replay.ended_at - start;
}

/// What the rollout itself knew: counts of its metrics, weights as it set them.
void count_by_metrics(const rollout::Replay& replay, world::Record& record) {
  const rollout::Plan& plan = replay.journal.header.plan;
  record.fidelity = "metrics";
  record.fidelity_reason = "the counts are those that the rollout read from its metrics";
  for (world::VersionRecord& version : record.versions) {
    const rollout::VersionCounts& counts =
        version.name == plan.canary ? replay.state.canary_counts : replay.state.stable_counts;
    version.requests = counts.requests;
    const std::uint64_t errors = std::min(counts.errors, counts.requests);
    version.endings[static_cast<std::size_t>(Ending::Ok)] = counts.requests - errors;
    version.endings[static_cast<std::size_t>(Ending::Error)] = errors;
    version.segments.clear();
    version.segment_users.clear();
  }
  for (const Event& event : replay.events) {
    const rollout::Value* value = event.find("weights");
    const auto* weights = value == nullptr ? nullptr : std::get_if<rollout::Weights>(value);
    if (event.name != "weights.changed" || weights == nullptr) continue;
    const double share = rollout::share_of(*weights, plan.canary);
    if (share > 0 && !record.first_canary) record.first_canary = event.t - record.start;
    const bool promoted = replay.state.phase == Phase::Promoted && share == 1;
    if (!promoted) record.max_canary_share = std::max(record.max_canary_share, share);
  }
  if (record.rollback_at) {
    record.last_canary = canary_left(replay, record.start, *record.rollback_at);
  }
  for (const auto& [name, weight] : replay.state.weights) {
    record.final_weights[name] = static_cast<std::uint32_t>(weight);
  }
}

/// What the world had counted and wrote at its end.
void count_by_world(world::Record&& counted, world::Record& record) {
  record.fidelity = counted.fidelity;
  record.fidelity_reason = counted.fidelity_reason;
  record.versions = std::move(counted.versions);
  record.spans = std::move(counted.spans);
  record.dropped = counted.dropped;
  record.first_canary = counted.first_canary;
  record.last_canary = counted.last_canary;
  record.max_canary_share = counted.max_canary_share;
  record.blast_users = counted.blast_users;
  record.compared = counted.compared;
  record.differing = counted.differing;
  record.final_weights = std::move(counted.final_weights);
}

Result<world::Record> make_record(const Scenario& scenario, const rollout::Replay& replay,
                                  Reading& reading) {
  const bool begun = reading.world.begun();
  world::Record& counted = reading.world.record();
  const TimePoint start = begun ? counted.start : replay.journal.header.t;
  world::Recorder recorder(scenario.spec, begun ? counted.mode : "rollout", counted.seed, start);
  for (const Told& told : reading.story) {
    if (told.by_world) {
      recorder.note(told.event.t, told.event.name, told.event.fields);
    } else {
      recorder.on_event(told.event);
    }
  }
  const bool ended = reading.world.ended();
  const TimePoint over = ended ? start + counted.duration : replay.ended_at;
  const std::string_view phase = rollout::to_string(replay.state.phase);
  if (replay.end) {
    recorder.ended(rollout::to_string(replay.end->outcome), replay.end->reason, over);
  } else {
    recorder.time_up(phase, over);
    if (!ended) {
      recorder.record().reason = fmt::format("the journal ends while the rollout is {}", phase);
    }
  }
  if (ended) {
    count_by_world(std::move(counted), recorder.record());
  } else {
    count_by_metrics(replay, recorder.record());
  }
  return recorder.finish();
}

/// A rollout without a scenario is there to be promoted.
CheckResult good_end(const world::Record& record) {
  const bool good =
      record.outcome == world::Outcome::Promoted || record.outcome == world::Outcome::Completed;
  return {"outcome",
          good,
          "promoted or completed",
          fmt::format("{} ({})", to_string(record.outcome), record.reason),
          {}};
}

/// A version that the world counted but the scenario does not have, or the other way round.
bool fits(const Scenario& scenario, const world::Record& record) {
  if (record.versions.size() != scenario.spec.versions.size()) return false;
  for (std::size_t v = 0; v < record.versions.size(); ++v) {
    if (record.versions[v].name != scenario.spec.versions[v].name) return false;
    const std::size_t segments = scenario.spec.traffic.segments.size();
    const std::size_t counted = record.versions[v].segment_users.size();
    if (record.versions[v].segments.size() != segments) return false;
    if (counted != 0 && counted != segments) return false;
  }
  return true;
}

}  // namespace

Result<ReplayedRun> replay_run(std::string_view text, const std::string& file) {
  ReplayedRun run;
  run.journal = file;
  run.lines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  Reading reading;
  TRY(run.replay, read(text, file, reading));
  const rollout::JournalHeader& header = run.replay.journal.header;
  TRY(Scenario scenario, scenario_of(reading, header, file));
  run.notices = run.replay.notices;
  run.disagreement = run.replay.disagreement;
  if (reading.world.ended() && !run.disagreement) run.disagreement = reading.world.contradiction();
  run.by_metrics = !reading.world.ended();
  if (reading.world.begun() && run.by_metrics && !run.disagreement) {
    run.notices.push_back(
        {"the run was cut off before its world told what it had counted; the "
         "scenario's checks cannot be held against it",
         ErrorKind::Invalid, Place{file, static_cast<int>(run.lines), 0}});
  }
  run.scenario = std::make_unique<Scenario>(std::move(scenario));
  run.result.scenario = run.scenario.get();
  run.result.seed = reading.world.record().seed;
  const bool whole = !run.by_metrics;
  TRY(world::Record record, make_record(*run.scenario, run.replay, reading));
  if (whole && !fits(*run.scenario, record)) {
    return error(Place{file, static_cast<int>(run.lines), 0},
                 "the counts at the end are not of this scenario's versions and segments");
  }
  run.result.checks =
      whole ? verdict(*run.scenario, record) : std::vector<CheckResult>{good_end(record)};
  run.result.record = std::move(record);
  return run;
}

namespace {

std::string number(double value) {
  return fmt::format("{:.4g}", value);
}

std::string decision_lines(const Event& event, TimePoint start) {
  std::string text =
      fmt::format("{:>10}  {:<10} ", to_stopwatch(event.t - start), event.text("decision"));
  if (event.find("metric") == nullptr) return text + event.text("reason") + "\n";
  const std::string segment = event.text("segment");
  text +=
      fmt::format("{}{} by {}: value {}, limit {}, n {}, statistic {} (needs {})\n",
                  event.text("metric"), segment.empty() ? "" : " in " + segment, event.text("test"),
                  number(event.number("value")), number(event.number("limit")), event.number("n"),
                  number(event.number("statistic")), number(event.number("needs")));
  return text + fmt::format("{:>10}  {:<10} {}\n", "", "", event.text("reason"));
}

std::string time_or(const std::optional<Duration>& d, std::string_view never) {
  return d ? to_string(std::chrono::round<std::chrono::milliseconds>(*d)) : std::string(never);
}

std::string figure_lines(const ReplayedRun& run) {
  const world::Record& record = *run.result.record;
  const world::VersionRecord& canary = canary_of(run.scenario->spec, record);
  std::string text;
  const auto line = [&text](std::string_view name, std::string_view value) {
    text += fmt::format("  {:<18}{}\n", name, value);
  };
  line("outcome", fmt::format("{}: {}", to_string(record.outcome), record.reason));
  std::string blast =
      fmt::format("{} requests to {}, {} failed", canary.requests, canary.name, canary.failed());
  if (!run.by_metrics) blast += fmt::format(", {} users", record.blast_users);
  line("blast radius",
       fmt::format("{}; at most {:.3g}% of the traffic", blast, record.max_canary_share * 100));
  line("time to detect", time_or(time_to_detect(record), "no analysis decided against the canary"));
  line("time to roll back", time_or(time_to_rollback(record), "not rolled back"));
  line("time to promote", time_or(record.promoted_at, "not promoted"));
  if (run.by_metrics) line("counts", record.fidelity_reason);
  return text;
}

}  // namespace

std::string render_evidence(const ReplayedRun& run) {
  std::string decisions;
  for (const Event& event : run.replay.events) {
    if (event.name == "decision") decisions += decision_lines(event, run.result.record->start);
  }
  std::string text;
  if (!decisions.empty()) text = "decisions, and what each rests on\n" + decisions + "\n";
  return text + "figures\n" + figure_lines(run);
}

}  // namespace coalmine::scenario
