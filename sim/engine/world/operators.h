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
  std::optional<rollout::NewerRevision> take_newer(TimePoint now) override;

 private:
  const Spec& spec_;
  const TimePoint start_;
  std::size_t next_ = 0;   ///< event to look at
  std::size_t newer_ = 0;  ///< the same, for revisions
};

}  // namespace coalmine::world
