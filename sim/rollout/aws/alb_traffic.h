#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sim/aws/elbv2.h"
#include "sim/rollout/aws/appmesh_traffic.h"

namespace coalmine::rollout {

struct AlbPlace {
  std::string load_balancer = "coalmine";
  int listener_port = 80;
  std::string rule_arn;  ///< empty: the listener's default action
  /// The target groups' stickiness is set to this with the first weights, and stays: users who have
  /// met a version keep it. None: stays as it is.
  std::optional<Duration> stickiness = {};
};
/// What the plan asks for.
std::optional<Duration> stickiness_of(const Plan& plan);

/// Marks the rules that lead to a canary, with its target group's name as the value.
inline constexpr const char* kCanaryRuleTag = "coalmine:canary";

/// ARNs behind the names, looked up once.
struct AlbArns {
  std::string load_balancer, stable, canary, baseline;  ///< the last is empty without experiments
};

/// Weights in an ALB's weighted forward action: ModifyRule, or ModifyListener for the default
/// action. Stickiness and other actions stay; any other target group with weight is refused.
/// Matches become rules of their own, known by a tag: before the rule, with its conditions and one
/// more; or, of the default action, behind all rules there are.
class AlbTraffic : public AwsTraffic {
 public:
  AlbTraffic(aws::Client& client, AlbPlace place, VersionNames names)
      : client_(client), place_(std::move(place)), names_(std::move(names)) {}

  Result<Weights> weights_for(const Shares& shares) const override;
  Result<Weights> current_weights() override;
  Result<Weights> set_weights(const Shares& shares) override;
  Status set_matches(const std::vector<RouteMatch>& any_of) override;
  Status check_matches(const std::vector<RouteMatch>& any_of) const override;
  Result<Call> call_for(const Shares& shares) override;
  Result<std::vector<Call>> calls_for(const std::vector<RouteMatch>& any_of) override;
  std::string describe() const override;
  Result<AlbArns> arns();

 private:
  struct Found {
    aws::ForwardPlace place;
    SplitWeights weights;
    std::optional<Duration> stickiness;
  };
  Result<Found> read();
  Result<int> free_priority(const std::vector<aws::ListenerRule>& rules,
                            std::set<int>& taken) const;
  Result<Json> matching_conditions(const std::vector<aws::ListenerRule>& rules,
                                   const MatchConditions& wanted) const;

  aws::Client& client_;
  AlbPlace place_;
  VersionNames names_;
  std::optional<AlbArns> arns_;
};

}  // namespace coalmine::rollout
