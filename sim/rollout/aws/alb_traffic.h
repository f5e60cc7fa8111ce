#pragma once

#include <optional>
#include <string>

#include "sim/aws/elbv2.h"
#include "sim/rollout/aws/appmesh_traffic.h"

namespace coalmine::rollout {

struct AlbPlace {
  std::string load_balancer = "coalmine";
  int listener_port = 80;
  std::string rule_arn;  ///< empty: the listener's default action
};

/// ARNs behind the names, looked up once.
struct AlbArns {
  std::string load_balancer, stable, canary;
};

/// Weights in an ALB's weighted forward action: ModifyRule, or ModifyListener for the default
/// action. Stickiness and other actions stay; a third target group with weight is refused.
class AlbTraffic : public AwsTraffic {
 public:
  AlbTraffic(aws::Client& client, AlbPlace place, VersionNames names)
      : client_(client), place_(std::move(place)), names_(std::move(names)) {}

  Result<Weights> weights_for(Percent canary) const override;
  Result<Weights> current_weights() override;
  Result<Weights> set_weights(Percent canary) override;
  Result<Call> call_for(Percent canary) override;
  std::string describe() const override;
  Result<AlbArns> arns();

 private:
  struct Found {
    aws::ForwardPlace place;
    WeightPair weights;
  };
  Result<Found> read();

  aws::Client& client_;
  AlbPlace place_;
  VersionNames names_;
  std::optional<AlbArns> arns_;
};

}  // namespace coalmine::rollout
