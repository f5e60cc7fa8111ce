#include "sim/engine/world/recorder.h"

#include <algorithm>

#include "sim/engine/world/run_journal.h"

namespace coalmine::world {
namespace {

/// Scenarios know one way of being rolled back, whoever asked for it.
std::string scenario_state(std::string_view phase) {
  return std::string(phase == "aborted" ? "rolled-back" : phase);
}

}  // namespace

std::string_view to_string(FaultKind kind) {
  switch (kind) {
    case FaultKind::Errors:
      return "errors";
    case FaultKind::Slow:
      return "latency";
    case FaultKind::Reset:
      return "reset";
    case FaultKind::Hang:
      return "hang";
    case FaultKind::Truncate:
      return "truncate";
    case FaultKind::WrongBody:
      return "wrong-body";
    case FaultKind::Unhealthy:
      return "unhealthy";
    case FaultKind::Crash:
      return "crash";
    case FaultKind::SlowStart:
      return "slow-start";
    case FaultKind::Leak:
      return "leak";
  }
  return "errors";
}

std::string describe(const Fault& fault, const std::string& target) {
  std::string scope = fault.segment.empty() ? "" : fmt::format(" in {}", fault.segment);
  if (!fault.path.empty()) scope += fmt::format(" below {}", fault.path);
  if (!fault.header.empty()) scope += fmt::format(" with {}", fault.header);
  if (fault.burst > 0) scope += fmt::format(" in bursts of {:g}", fault.burst);
  return fmt::format("{} {} of {}{}", to_string(fault.kind), coalmine::to_string(fault.share),
                     target, scope);
}

std::string render_line(const rollout::Event& event, TimePoint start) {
  const auto line = [&](std::string_view name, const std::string& text) {
    return fmt::format("{:>10}  {:<8}  {}", to_stopwatch(event.t - start), name, text);
  };
  if (event.name == "fault.began") return line("fault", event.text("what") + " begins");
  if (event.name == "fault.ended") return line("fault", event.text("what") + " ends");
  if (event.name == "routes.live") return line("routes", event.text("what"));
  if (event.name == "task.crashed" || event.name == "task.started" ||
      event.name == "tasks.scaled" || event.name == "tasks.swapped") {
    return line("tasks", event.text("what"));
  }
  if (event.name == "api.throttled") return line("aws", event.text("what"));
  if (event.name == "controller.killed") return line("killed", event.text("what"));
  if (event.name == "weights.foreign") return line("foreign", event.text("what"));
  return rollout::render(event, start);
}

Recorder::Recorder(const Spec& spec, std::string mode, std::uint64_t seed, TimePoint start)
    : spec_(spec) {
  record_.mode = std::move(mode);
  record_.seed = seed;
  record_.start = start;
  for (const Version& version : spec.versions) {
    record_.versions.emplace_back().name = version.name;
    record_.versions.back().segments.resize(spec.traffic.segments.size());
  }
  record_.states.push_back({Duration{}, "baseline"});
}

void Recorder::on_event(const rollout::Event& event) {
  record_.timeline.push_back(event);
  const Duration t = since_start(event.t);
  if (event.name == "rollout.started") {
    // Of a second one, for a newer revision, only its own decisions count.
    record_.rollback_at.reset();
    record_.decided_at.reset();
    record_.decided_by.clear();
    record_.decided_in.clear();
  }
  if (event.name == "state.changed") {
    record_.states.push_back({t, scenario_state(event.text("to"))});
    if (event.text("to") == "rolling-back" && !record_.rollback_at) record_.rollback_at = t;
  }
  if (event.name == "decision" && event.find("metric") != nullptr) {
    const std::string decision = event.text("decision");
    if ((decision == "roll-back" || decision == "pause") && !record_.decided_at) {
      record_.decided_at = t;
      record_.decided_by = event.text("metric");
      record_.decided_in = event.text("segment");
    }
  }
}

void Recorder::note(TimePoint t, std::string name,
                    std::vector<std::pair<std::string, rollout::Value>> fields) {
  record_.timeline.push_back({t, std::move(name), std::move(fields)});
  if (journal_ != nullptr) write(note_line(record_.timeline.back()));
}

Status Recorder::keep(rollout::JournalSink& journal, const Source& source) {
  journal_ = &journal;
  write(begin_line(record_, source));
  for (const rollout::Event& noted : record_.timeline) write(note_line(noted));
  return written_;
}

void Recorder::write(const std::string& line, bool durable) {
  if (written_) written_ = journal_->append(line, durable);
}

void Recorder::ended(std::string_view outcome, std::string_view reason, TimePoint t) {
  record_.outcome =
      outcome_from(outcome == "aborted" ? "rolled-back" : outcome).value_or(Outcome::Failed);
  record_.reason = reason;
  record_.duration = since_start(t);
  if (record_.outcome == Outcome::Promoted) record_.promoted_at = since_start(t);
}

void Recorder::time_up(std::string_view phase, TimePoint t) {
  record_.outcome = phase == "paused" ? Outcome::Paused : Outcome::Unfinished;
  record_.duration = since_start(t);
  record_.reason = phase == "paused"
                       ? "the time was up while the rollout waited for an operator"
                       : fmt::format("the time was up while the rollout was {}", phase);
}

void Recorder::derive_fault_time() {
  const auto canary = version_index(spec_, spec_.plan.canary);
  if (!canary || !record_.first_canary) return;
  std::optional<Duration> begin;
  // What the stable version suffers from as well is not the canary's fault.
  const auto stable = version_index(spec_, spec_.plan.stable);
  for (const Fault& fault : spec_.versions[*canary].faults) {
    const auto same = [&fault](const Fault& other) {
      return other.kind == fault.kind && other.share == fault.share &&
             other.segment == fault.segment;
    };
    const bool shared = stable && std::any_of(spec_.versions[*stable].faults.begin(),
                                              spec_.versions[*stable].faults.end(), same);
    if (!shared) begin = Duration{};
  }
  for (const Event& event : spec_.events) {
    const auto* arrives = std::get_if<RevisionArrives>(&event.what);
    if (arrives != nullptr && spec_.plan.on_newer != rollout::OnNewer::Refuse &&
        event.at <= record_.duration) {
      // Another build: what the old one did wrong is no longer what is looked for.
      begin = arrives->errors.value > 0 ? std::optional(event.at) : std::nullopt;
    }
    const auto* inject = std::get_if<InjectFault>(&event.what);
    if (inject == nullptr || inject->target != spec_.plan.canary) continue;
    if (event.at <= record_.duration && (!begin || event.at < *begin)) begin = event.at;
  }
  // A fault that nobody can meet yet cannot be detected.
  if (begin) record_.fault_at = std::max(*begin, *record_.first_canary);
}

Result<Record> Recorder::finish() {
  derive_fault_time();
  if (journal_ != nullptr) {
    for (const Span& span : record_.spans) write(span_line(span));
    write(end_line(record_), true);
    TRY_STATUS(written_);
  }
  // Notes of the world and events of the rollout may have come in turns.
  std::stable_sort(record_.timeline.begin(), record_.timeline.end(),
                   [](const auto& a, const auto& b) { return a.t < b.t; });
  return std::move(record_);
}

}  // namespace coalmine::world
