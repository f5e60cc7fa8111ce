#pragma once

#include "sim/engine/world/world.h"
#include "sim/rollout/driver.h"

namespace coalmine::world {

/// What the scenario's operators say, each command once it is due.
class Operators : public rollout::OperatorSource {
 public:
  /// `spec` must outlive the object; its times count from `start`.
  Operators(const Spec& spec, TimePoint start) : spec_(spec), start_(start) {}

  std::optional<rollout::Operator> take(TimePoint now) override;
  TimePoint next(TimePoint now) const override;

 private:
  const Spec& spec_;
  const TimePoint start_;
  std::size_t next_ = 0;  ///< event to look at
};

}  // namespace coalmine::world
