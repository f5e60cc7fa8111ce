#include "sim/engine/world/operators.h"

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

TimePoint Operators::next(TimePoint) const {
  for (std::size_t i = next_; i < spec_.events.size(); ++i) {
    if (std::holds_alternative<OperatorSpeaks>(spec_.events[i].what)) {
      return start_ + spec_.events[i].at;
    }
  }
  return kNever;
}

}  // namespace coalmine::world
