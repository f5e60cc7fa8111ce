#pragma once

#include <utility>
#include <vector>

#include "sim/engine/world/recorder.h"
#include "sim/engine/world/world.h"
#include "sim/rollout/driver.h"

namespace coalmine::world {

/// When the scenario kills the rollout's controller, and when another one is there.
class ControllerLives {
 public:
  /// Times count from `start`.
  ControllerLives(const Spec& spec, TimePoint start);

  /// The next death; kNever: none. A world's clock lets nobody sleep beyond it.
  TimePoint next() const { return next_ < deaths_.size() ? deaths_[next_].first : kNever; }
  bool is_dead(TimePoint now) const { return next() <= now; }
  /// The controller died: when the next one is there.
  TimePoint take();

 private:
  std::vector<std::pair<TimePoint, TimePoint>> deaths_;  ///< from, until; rising, apart
  std::size_t next_ = 0;
};

/// The plan's rollout with all that may befall its controller: killed ones are followed by others
/// that go on, and a rollout that made room for a newer revision is followed by the newer one's.
Result<rollout::RolloutEnd> play_rollout(const Spec& spec, rollout::RolloutWorld& world,
                                         ControllerLives& lives, Recorder& recorder);

}  // namespace coalmine::world
