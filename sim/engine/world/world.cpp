#include "sim/engine/world/world.h"

#include <tuple>

namespace coalmine::world {
namespace {

constexpr std::pair<Outcome, std::string_view> kOutcomes[] = {
    {Outcome::Promoted, "promoted"},      {Outcome::Completed, "completed"},
    {Outcome::RolledBack, "rolled-back"}, {Outcome::Paused, "paused"},
    {Outcome::Unfinished, "unfinished"},  {Outcome::Failed, "failed"},
};

/// By FaultKind.
constexpr faults::Kind kFaultKindsBelow[kFaultKinds] = {
    faults::Kind::Errors,    faults::Kind::Latency,   faults::Kind::Reset,     faults::Kind::Hang,
    faults::Kind::Truncate,  faults::Kind::WrongBody, faults::Kind::Unhealthy, faults::Kind::Crash,
    faults::Kind::SlowStart, faults::Kind::Leak};

}  // namespace

std::optional<std::size_t> version_index(const Spec& spec, std::string_view name) {
  for (std::size_t i = 0; i < spec.versions.size(); ++i) {
    if (spec.versions[i].name == name) return i;
  }
  return std::nullopt;
}

std::optional<std::size_t> segment_index(const Spec& spec, std::string_view name) {
  for (std::size_t i = 0; i < spec.traffic.segments.size(); ++i) {
    if (spec.traffic.segments[i].name == name) return i;
  }
  return std::nullopt;
}

void add_baseline(Spec& spec) {
  std::erase_if(spec.versions, [](const Version& version) { return version.added; });
  if (!rollout::has_step<rollout::Experiment>(spec.plan)) return;
  const std::string name = rollout::baseline_of(spec.plan);
  const auto stable = version_index(spec, spec.plan.stable);
  if (!stable || version_index(spec, name)) return;
  Version baseline = spec.versions[*stable];
  baseline.name = name;
  baseline.tasks = 0;
  baseline.added = true;
  spec.versions.push_back(std::move(baseline));
}

rollout::PlanVersions versions_of(const Spec& spec) {
  rollout::PlanVersions names{spec.plan.stable, spec.plan.canary, {}};
  if (rollout::has_step<rollout::Experiment>(spec.plan)) {
    names.baseline = rollout::baseline_of(spec.plan);
  }
  return names;
}

bool is_hit(const Spec& spec, const std::string& target, const std::string& version) {
  return target == version ||
         (target == spec.plan.stable && version == rollout::baseline_of(spec.plan));
}

Duration request_timeout(const Spec& spec) {
  return spec.plan.traffic == rollout::TrafficApi::Alb ? kAlbRequestTimeout : kMeshRequestTimeout;
}

rollout::Command to_command(OperatorCommand command) {
  switch (command) {
    case OperatorCommand::Pause:
      return rollout::Command::Pause;
    case OperatorCommand::Resume:
      return rollout::Command::Resume;
    case OperatorCommand::Promote:
      return rollout::Command::Promote;
    case OperatorCommand::Abort:
      return rollout::Command::Abort;
  }
  return rollout::Command::Abort;
}

faults::Latency to_latency(const Latency& latency) {
  if (const auto* fixed = std::get_if<FixedLatency>(&latency)) {
    return faults::Latency::fixed(fixed->value);
  }
  if (const auto* uniform = std::get_if<UniformLatency>(&latency)) {
    return faults::Latency::uniform(uniform->low, uniform->high);
  }
  const auto& lognormal = std::get<LognormalLatency>(latency);
  return faults::Latency::lognormal(lognormal.median, lognormal.p99);
}

faults::HeaderField header_field(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return {};
  std::string_view value = text.substr(colon + 1);
  while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
  return {std::string(text.substr(0, colon)), std::string(value)};
}

faults::Fault to_fault(const Spec& spec, const Fault& fault) {
  faults::Fault made;
  made.kind = kFaultKindsBelow[static_cast<std::size_t>(fault.kind)];
  made.share = fault.share.share();
  made.burst = fault.burst;
  made.path = fault.path;
  std::string header = fault.header;
  for (const Segment& segment : spec.traffic.segments) {
    if (segment.name != fault.segment) continue;
    if (segment.path != "/") made.path = segment.path;
    if (!segment.header.empty()) header = segment.header;
  }
  std::tie(made.header_name, made.header_value) = header_field(header);
  made.code = fault.status;
  if (fault.latency) made.latency = to_latency(*fault.latency);
  if (fault.kind == FaultKind::SlowStart && !fault.latency) {
    made.latency = faults::Latency::fixed(kDefaultColdDelay);
  }
  made.after = fault.after;
  made.warm_up = fault.warm_up;
  made.growth_bytes = fault.growth_bytes;
  if (fault.kind == FaultKind::Leak) made.limit_bytes = fault.limit_bytes;
  return made;
}

std::vector<Fault> faults_of(const RevisionArrives& revision) {
  if (revision.errors.value <= 0) return {};
  return {{FaultKind::Errors, revision.errors, 500, std::nullopt, ""}};
}

std::string render_weights(const Spec& spec, const std::map<std::string, std::uint32_t>& weights) {
  std::string text;
  for (const Version& version : spec.versions) {
    const auto it = weights.find(version.name);
    if (it == weights.end()) continue;
    text += fmt::format("{}{} {}", text.empty() ? "" : "  ", version.name, it->second);
  }
  return text;
}

std::string render_routes(const Spec& spec, const std::map<std::string, std::uint32_t>& weights,
                          bool by_marks) {
  const std::string text = render_weights(spec, weights);
  return by_marks ? fmt::format("{}, routes to {}", text, spec.plan.canary) : text;
}

std::string_view to_string(Outcome outcome) {
  for (const auto& [value, name] : kOutcomes) {
    if (value == outcome) return name;
  }
  return "unfinished";
}

std::optional<Outcome> outcome_from(std::string_view text) {
  for (const auto& [value, name] : kOutcomes) {
    if (name == text) return value;
  }
  return std::nullopt;
}

std::string_view to_string(Ending ending) {
  switch (ending) {
    case Ending::Ok:
      return "ok";
    case Ending::Error:
      return "error";
    case Ending::Reset:
      return "reset";
    case Ending::Timeout:
      return "timeout";
    case Ending::Truncated:
      return "truncated";
    case Ending::Wrong:
      return "wrong-body";
    case Ending::Dropped:
      return "dropped";
  }
  return "ok";
}

std::uint64_t VersionRecord::failed() const {
  std::uint64_t sum = 0;
  for (std::size_t i = 1; i < kEndings; ++i) sum += endings[i];
  return sum;
}

}  // namespace coalmine::world
