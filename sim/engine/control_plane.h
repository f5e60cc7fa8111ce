#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sim/core/histogram.h"
#include "sim/core/result.h"
#include "sim/core/time.h"
#include "sim/engine/world/world.h"
#include "sim/rollout/driver.h"
#include "sim/traffic/route_table.h"

namespace coalmine::engine {

/// What one version did in a metric period, as the gateway would report it.
struct VersionMetrics {
  std::uint64_t requests = 0;
  std::uint64_t errors = 0;  ///< 5xx of the version or of the gateway for it
  Histogram latency;         ///< of the answered ones
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
  /// Moves what time moves.
  virtual void tick(TimePoint now) { static_cast<void>(now); }
};

/// The time that a control plane's clients see. The simulation is the clock; a control plane is
/// made before it, so it is handed this.
using ControlPlaneMaker =
    std::function<Result<std::unique_ptr<ControlPlane>>(const world::Spec&, Clock&)>;

}  // namespace coalmine::engine
