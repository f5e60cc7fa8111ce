#include "sim/engine/world/controller_lives.h"

#include <algorithm>

namespace coalmine::world {

ControllerLives::ControllerLives(const Spec& spec, TimePoint start) {
  for (const Event& event : spec.events) {
    const auto* dies = std::get_if<ControllerDies>(&event.what);
    if (dies == nullptr) continue;
    const TimePoint at = start + event.at, again = at + dies->down;
    if (!deaths_.empty() && at <= deaths_.back().second) {
      deaths_.back().second = std::max(deaths_.back().second, again);
    } else {
      deaths_.emplace_back(at, again);
    }
  }
}

TimePoint ControllerLives::take() {
  return deaths_[next_++].second;
}

Result<rollout::RolloutEnd> play_rollout(const Spec& spec, rollout::RolloutWorld& world,
                                         ControllerLives& lives, Recorder& recorder) {
  auto end = rollout::run_rollout(spec.plan, world);
  while (end) {
    if (end->outcome == rollout::Outcome::Superseded) {
      end = rollout::run_rollout_anew(spec.plan, std::move(end->state), world);
      continue;
    }
    const TimePoint now = world.clock.now();
    if (end->outcome || !lives.is_dead(now)) break;
    const TimePoint again = lives.take();
    recorder.note(now, "controller.killed",
                  {{"what", fmt::format("the controller; another goes on at {}",
                                        to_stopwatch(again - recorder.record().start))}});
    world.clock.sleep_until(again);
    if (world.clock.now() < again) break;  // the run is over before
    end = rollout::resume_rollout(spec.plan, std::move(end->state), world);
  }
  return end;
}

}  // namespace coalmine::world
