#include "sim/engine/world/operators.h"

#include <algorithm>

namespace coalmine::world {

std::optional<rollout::Operator> Operators::take(TimePoint now) {
  while (next_ < spec_.events.size() && start_ + spec_.events[next_].at <= now) {
    const auto* speaks = std::get_if<OperatorSpeaks>(&spec_.events[next_++].what);
    if (speaks != nullptr) {
      return rollout::Operator{to_command(speaks->command), speaks->reason, Percent{}};
    }
  }
  return std::nullopt;
}

std::optional<rollout::NewerRevision> Operators::take_newer(TimePoint now) {
  while (newer_ < spec_.events.size() && start_ + spec_.events[newer_].at <= now) {
    const auto* arrives = std::get_if<RevisionArrives>(&spec_.events[newer_++].what);
    if (arrives != nullptr) return rollout::NewerRevision{arrives->version};
  }
  return std::nullopt;
}

TimePoint Operators::next(TimePoint) const {
  for (std::size_t i = std::min(next_, newer_); i < spec_.events.size(); ++i) {
    const auto& what = spec_.events[i].what;
    const bool speaks = i >= next_ && std::holds_alternative<OperatorSpeaks>(what);
    const bool arrives = i >= newer_ && std::holds_alternative<RevisionArrives>(what);
    if (speaks || arrives) return start_ + spec_.events[i].at;
  }
  return kNever;
}

}  // namespace coalmine::world
