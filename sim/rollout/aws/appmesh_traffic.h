// sim/rollout/aws: the rollout's adapters to AWS: App Mesh routes, ALB forwards, CloudWatch.
//
// Below: sim/aws, sim/rollout. Above: sim/lab, sim/cli.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sim/aws/appmesh.h"
#include "sim/rollout/driver.h"
#include "sim/rollout/matches.h"
#include "sim/rollout/weights.h"

namespace coalmine::rollout {

/// The versions of a plan and what they are called where the traffic is split.
struct VersionNames {
  std::string stable = "v1", canary = "v2";                        ///< in the plan
  std::string stable_target = "app-v1", canary_target = "app-v2";  ///< nodes or target groups
  std::string baseline, baseline_target;  ///< empty: the plan has no experiments
  PlanVersions in_plan() const { return {stable, canary, baseline}; }
};
/// "stable "app-v1", canary "app-v2""
std::string describe_targets(const VersionNames& names);

/// A traffic adapter whose changes are single AWS calls, so that a dry run can show them.
class AwsTraffic : public TrafficAdapter {
 public:
  struct Call {
    std::string service, operation;
    std::shared_ptr<const Json> input;
    bool changes = true;  ///< false: the weights are set already
  };
  /// The call that would set these shares. Reads, changes nothing.
  virtual Result<Call> call_for(const Shares& shares) = 0;
  /// The calls that would set these routes, in this order. Reads, changes nothing.
  virtual Result<std::vector<Call>> calls_for(const std::vector<RouteMatch>& any_of) = 0;
};
/// Makes them, one after the other, until one fails.
Status carry_out(aws::Client& client, const std::vector<AwsTraffic::Call>& calls);

/// Weights in an App Mesh route: DescribeRoute, then UpdateRoute with the same spec but for the
/// weights. A canary or baseline missing from the route is added; any other target with weight is
/// refused.
/// Matches become routes of their own, "ROUTE-to-CANARY-1" and so on, as the route but with one
/// more condition, the next smaller priority, and the canary as their only target.
class AppMeshTraffic : public AwsTraffic {
 public:
  AppMeshTraffic(aws::Client& client, aws::RouteName route, VersionNames names)
      : client_(client), route_(std::move(route)), names_(std::move(names)) {}

  Result<Weights> weights_for(const Shares& shares) const override;
  Result<Weights> current_weights() override;
  Result<Weights> set_weights(const Shares& shares) override;
  Status set_matches(const std::vector<RouteMatch>& any_of) override;
  Status check_matches(const std::vector<RouteMatch>& any_of) const override;
  Result<Call> call_for(const Shares& shares) override;
  Result<std::vector<Call>> calls_for(const std::vector<RouteMatch>& any_of) override;
  std::string describe() const override;

 private:
  Result<SplitWeights> read(Json& spec);
  Result<Json> matching_spec(const Json& spec, const MatchConditions& conditions) const;

  aws::Client& client_;
  aws::RouteName route_;
  VersionNames names_;
};

}  // namespace coalmine::rollout
