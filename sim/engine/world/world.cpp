#include "sim/engine/world/world.h"

namespace coalmine::world {
namespace {

constexpr std::pair<Outcome, std::string_view> kOutcomes[] = {
    {Outcome::Promoted, "promoted"}, {Outcome::RolledBack, "rolled-back"},
    {Outcome::Paused, "paused"},     {Outcome::Unfinished, "unfinished"},
    {Outcome::Failed, "failed"},
};

}  // namespace

std::optional<std::size_t> version_index(const Spec& spec, std::string_view name) {
  for (std::size_t i = 0; i < spec.versions.size(); ++i) {
    if (spec.versions[i].name == name) return i;
  }
  return std::nullopt;
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

std::string render_weights(const Spec& spec, const std::map<std::string, std::uint32_t>& weights) {
  std::string text;
  for (const Version& version : spec.versions) {
    const auto it = weights.find(version.name);
    if (it == weights.end()) continue;
    text += fmt::format("{}{} {}", text.empty() ? "" : "  ", version.name, it->second);
  }
  return text;
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
