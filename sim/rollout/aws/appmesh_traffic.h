// sim/rollout/aws: the rollout's adapters to AWS: App Mesh routes, ALB forwards, CloudWatch.
//
// Below: sim/aws, sim/rollout. Above: sim/lab, sim/cli.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "sim/aws/appmesh.h"
#include "sim/rollout/driver.h"
#include "sim/rollout/weights.h"

namespace coalmine::rollout {

/// The two versions of a plan and what they are called where the traffic is split.
struct VersionNames {
  std::string stable = "v1", canary = "v2";                        ///< in the plan
  std::string stable_target = "app-v1", canary_target = "app-v2";  ///< nodes or target groups
};

/// A traffic adapter whose changes are single AWS calls, so that a dry run can show them.
class AwsTraffic : public TrafficAdapter {
 public:
  struct Call {
    std::string service, operation;
    std::shared_ptr<const Json> input;
    bool changes = true;  ///< false: the weights are set already
  };
  /// The call that would set this share. Reads, changes nothing.
  virtual Result<Call> call_for(Percent canary) = 0;
};

/// Weights in an App Mesh route: DescribeRoute, then UpdateRoute with the same spec but for the
/// two weights. A canary missing from the route is added; a third target with weight is refused.
class AppMeshTraffic : public AwsTraffic {
 public:
  AppMeshTraffic(aws::Client& client, aws::RouteName route, VersionNames names)
      : client_(client), route_(std::move(route)), names_(std::move(names)) {}

  Result<Weights> weights_for(Percent canary) const override;
  Result<Weights> current_weights() override;
  Result<Weights> set_weights(Percent canary) override;
  Result<Call> call_for(Percent canary) override;
  std::string describe() const override;

 private:
  Result<WeightPair> read(Json& spec);

  aws::Client& client_;
  aws::RouteName route_;
  VersionNames names_;
};

}  // namespace coalmine::rollout
