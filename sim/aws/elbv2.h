#pragma once

#include <map>
#include <memory>
#include <optional>
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

/// A listener's rule beside its default action.
struct ListenerRule {
  std::string arn;
  int priority = 0;
  std::shared_ptr<const Json> conditions;  ///< as CreateRule takes them
  std::map<std::string, std::string> tags;
};
/// All rules of a listener but the default one, by priority, with their tags.
Result<std::vector<ListenerRule>> list_rules(Client& client, const std::string& listener_arn);
/// The ARN of the listener that a rule belongs to; empty: it is no rule's.
std::string listener_of_rule(const std::string& rule_arn);

/// Weights by target group ARN in a list of actions; empty when no action forwards.
std::map<std::string, int> forward_weights(const Json& actions);
/// The same actions with these weights in the forward action: what ModifyRule and
/// ModifyListener take. Other actions, other groups and stickiness stay as they are.
Result<Json> with_forward_weights(const Json& actions, const std::map<std::string, int>& weights);
/// The same actions, but all that they forward goes to this target group, without stickiness.
Result<Json> with_only_group(const Json& actions, const std::string& group_arn);
/// How long a user keeps the target group he met (TargetGroupStickinessConfig); nullopt: not at
/// all.
std::optional<Duration> forward_stickiness(const Json& actions);
/// Turns it on in the action that forwards, if there is one.
void set_stickiness(Json& actions, Duration duration);
/// ModifyRule, or ModifyListener's default actions.
Status modify_actions(Client& client, const ForwardPlace& place, const Json& actions);

}  // namespace coalmine::aws
