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
