#pragma once

namespace coalmine::mock::ecs {

/// What runs of a service, counted for one decision. "Alive": desired status RUNNING.
struct RollingCounts {
  int desired = 1;
  int min_percent = 100;
  int max_percent = 200;
  int fresh = 0;          ///< alive tasks of the primary deployment
  int fresh_healthy = 0;  ///< of these, healthy
  int old = 0;            ///< alive tasks of earlier deployments
  int old_healthy = 0;
  int stopping = 0;  ///< told to stop, not STOPPED yet; they still count against the upper limit
  bool may_start = true;  ///< false while a back-off lasts or after the deployment failed
};

struct RollingStep {
  int start = 0;       ///< tasks of the primary deployment to start
  int stop_fresh = 0;  ///< surplus of the primary deployment (scale-in)
  int stop_old = 0;    ///< tasks of earlier deployments, unhealthy ones first
  bool stuck = false;  ///< neither is allowed, nor will waiting help
  bool operator==(const RollingStep&) const = default;
};

/// ceil(desired * min / 100): tasks that must stay healthy.
int lower_limit(int desired, int min_percent);
/// floor(desired * max / 100): tasks that may exist during a deployment.
int upper_limit(int desired, int max_percent);

/// One step of ECS's rolling update. Stops only as far as healthy new tasks replace old ones,
/// or as far as the lower limit allows where starting needs the room.
RollingStep rolling_step(const RollingCounts& counts);

}  // namespace coalmine::mock::ecs
