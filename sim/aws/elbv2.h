#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sim/aws/client.h"

namespace coalmine::aws {

struct LoadBalancer {
  std::string arn, name, dns_name;
};
struct TargetGroup {
  std::string arn, name;
};
/// A listener's default action, or a rule's: what forwards to the target groups.
struct ForwardPlace {
  std::string arn;
  bool is_rule = false;
  std::shared_ptr<const Json> actions;  ///< as described, with Weight as text
};

Result<LoadBalancer> describe_load_balancer(Client& client, const std::string& name);
Result<TargetGroup> describe_target_group(Client& client, const std::string& name);
/// The listener on `port`; Error (Failed) names the ports there are.
Result<ForwardPlace> describe_listener(Client& client, const LoadBalancer& load_balancer, int port);
Result<ForwardPlace> describe_rule(Client& client, const std::string& rule_arn);

/// Weights by target group ARN in a list of actions; empty when no action forwards.
std::map<std::string, int> forward_weights(const Json& actions);
/// The same actions with these weights in the forward action: what ModifyRule and
/// ModifyListener take. Other actions, other groups and stickiness stay as they are.
Result<Json> with_forward_weights(const Json& actions, const std::map<std::string, int>& weights);
/// ModifyRule, or ModifyListener's default actions.
Status modify_actions(Client& client, const ForwardPlace& place, const Json& actions);

}  // namespace coalmine::aws
