#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sim/core/clock.h"
#include "sim/core/histogram.h"
#include "sim/core/result.h"
#include "sim/core/time.h"
#include "sim/engine/tasks.h"
#include "sim/engine/world/world.h"
#include "sim/rollout/driver.h"
#include "sim/traffic/route_table.h"

namespace coalmine::engine {

struct SegmentMetrics {
  std::uint64_t requests = 0;
  std::uint64_t errors = 0;
};

/// What one version did in a metric period, as the gateway would report it.
struct VersionMetrics {
  std::uint64_t requests = 0;
  std::uint64_t errors = 0;  ///< 5xx of the version, or of Envoy for it
  Histogram latency;         ///< of the answered ones
  /// By index in Traffic::segments; empty: nobody asks for them.
  std::vector<SegmentMetrics> segments = {};
  /// By status: what a load balancer answered itself, which is no error of a target group; 503s are
  /// no request of one, either.
  std::map<int, std::uint64_t> own_answers = {};
};

struct PeriodMetrics {
  TimePoint from, to;
  std::vector<VersionMetrics> versions;  ///< by index in Spec::versions
};

/// The virtual world's side of the AWS APIs: holds the weights, hands out routes, keeps metrics.
/// Everything happens at a time that the caller names.
class ControlPlane {
 public:
  virtual ~ControlPlane() = default;
  /// How the rollout sets weights and reads metrics.
  virtual rollout::TrafficAdapter& traffic() = 0;
  virtual rollout::MetricsSource& metrics() = 0;
  /// Rises with every change of the routes.
  virtual std::uint64_t revision() const = 0;
  virtual traffic::Snapshot routes() = 0;
  /// A period is over; its metrics can be read now.
  virtual void publish(const PeriodMetrics& period, TimePoint now) = 0;
  /// Somebody who is not the rollout sets the weights; false: the API refused them.
  virtual bool set_foreign(const std::map<std::string, std::uint32_t>& weights) = 0;
  /// A task has come up, or went away: what ECS would register and deregister. All tasks of the
  /// Spec are up in the beginning.
  virtual void task_started(TaskId task, TimePoint now) = 0;
  virtual void task_stopped(TaskId task, TimePoint now) = 0;
  /// What a load balancer's health checks ask; without it all tasks are healthy.
  using HealthProbe = std::function<bool(TaskId task, TimePoint now)>;
  virtual void set_health_probe(HealthProbe probe) { static_cast<void>(probe); }
  /// From now on this share of the rollout's calls is refused for coming too fast.
  virtual void throttle(double share) { static_cast<void>(share); }
  /// What is left out beside what people expect of a run; empty: nothing.
  virtual std::string note() const { return {}; }
  /// When tick() has something to do that changes routes; kNever: nothing is pending.
  virtual TimePoint next_wakeup() const { return kNever; }
  /// Moves what time moves.
  virtual void tick(TimePoint now) { static_cast<void>(now); }
};

/// The time that a control plane's clients see. The simulation is the clock; a control plane is
/// made before it, so it is handed this.
using ControlPlaneMaker = std::function<Result<std::unique_ptr<ControlPlane>>(
    const world::Spec&, std::uint64_t seed, Clock&)>;

}  // namespace coalmine::engine
