#pragma once

#include "sim/engine/simulation.h"
#include "sim/rollout/driver.h"

namespace coalmine::engine {

/// The plane's traffic adapter, in a mesh that can also mirror: the simulation makes the copies.
class MirroringTraffic : public rollout::TrafficAdapter {
 public:
  MirroringTraffic(rollout::TrafficAdapter& plane, Simulation& simulation)
      : plane_(plane), simulation_(simulation) {}

  Result<rollout::Weights> weights_for(const rollout::Shares& shares) const override {
    return plane_.weights_for(shares);
  }
  Result<rollout::Weights> current_weights() override { return plane_.current_weights(); }
  Result<rollout::Weights> set_weights(const rollout::Shares& shares) override {
    return plane_.set_weights(shares);
  }
  Status set_matches(const std::vector<rollout::RouteMatch>& any_of) override {
    return plane_.set_matches(any_of);
  }
  Status check_matches(const std::vector<rollout::RouteMatch>& any_of) const override {
    return plane_.check_matches(any_of);
  }
  Status set_mirror(Percent share) override {
    simulation_.set_mirror(share);
    return {};
  }
  Status check_mirror(Percent) const override { return {}; }
  std::string describe() const override { return plane_.describe(); }

 private:
  rollout::TrafficAdapter& plane_;
  Simulation& simulation_;
};

}  // namespace coalmine::engine
