#pragma once

#include <map>
#include <string>

#include "sim/core/clock.h"
#include "sim/engine/world/world.h"
#include "sim/rollout/driver.h"

namespace coalmine::world {

/// Hooks whose answers the scenario declares (Spec::hooks): nobody is called, the answer takes its
/// time on the world's clock. One that takes longer than the hook's timeout has failed by then.
class DeclaredHooks : public rollout::HookCaller {
 public:
  /// `spec` and `clock` must outlive the object; times count from `start`.
  DeclaredHooks(const Spec& spec, Clock& clock, TimePoint start)
      : spec_(spec), clock_(clock), start_(start) {}

  rollout::HookAnswered call(std::size_t index, const rollout::Hook& hook, const std::string& phase,
                             TimePoint now) override;

 private:
  const Spec& spec_;
  Clock& clock_;
  const TimePoint start_;
  std::map<std::string, int> calls_;
};

}  // namespace coalmine::world
