#include "mock-aws/services/ecs/rolling.h"

#include <algorithm>
#include <cstdint>

namespace coalmine::mock::ecs {

int lower_limit(int desired, int min_percent) {
  return static_cast<int>((std::int64_t{desired} * min_percent + 99) / 100);
}

int upper_limit(int desired, int max_percent) {
  return static_cast<int>(std::int64_t{desired} * max_percent / 100);
}

RollingStep rolling_step(const RollingCounts& c) {
  RollingStep step;
  const int low = lower_limit(c.desired, c.min_percent);
  const int high = upper_limit(c.desired, c.max_percent);
  const int wanted = std::max(0, c.desired - c.fresh);
  step.stop_fresh = std::max(0, c.fresh - c.desired);

  if (c.old == 0) {
    // No deployment under way: a crashed task is replaced at once, whatever still stops.
    step.start = c.may_start ? wanted : 0;
    return step;
  }

  const int healthy = c.fresh_healthy + c.old_healthy;
  const int room = std::max(0, high - (c.fresh + c.old + c.stopping));
  const int short_of_room = c.may_start ? std::max(0, wanted - room) : 0;
  const int spare = std::max(0, healthy - low);
  const int replaced = std::max(0, healthy - c.desired);
  // Stopping tasks make room soon: do not stop more for the same need.
  const int for_room = std::max(0, short_of_room - c.stopping);
  const int old_unhealthy = c.old - c.old_healthy;
  const int stop_unhealthy =
      c.fresh_healthy >= c.desired ? old_unhealthy : std::min(old_unhealthy, for_room);
  const int stop_healthy = std::min(
      c.old_healthy, std::max(replaced, std::min(spare, std::max(0, for_room - stop_unhealthy))));
  step.stop_old = stop_unhealthy + stop_healthy;
  step.start = c.may_start ? std::min(wanted, room) : 0;
  step.stuck = c.may_start && wanted > 0 && step.start == 0 && step.stop_old == 0 &&
               c.stopping == 0 && c.fresh == c.fresh_healthy && c.old == c.old_healthy;
  return step;
}

}  // namespace coalmine::mock::ecs
