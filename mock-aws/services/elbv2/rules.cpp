// Listener rules and what they forward to.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "mock-aws/services/elbv2/elbv2.h"
#include "mock-aws/services/paging.h"
#include "sim/core/ids.h"

namespace coalmine::mock {
namespace {

tl::unexpected<AwsError> no_rule() {
  return aws_error("RuleNotFoundException", "One or more rules not found");
}

tl::unexpected<AwsError> priority_in_use(int priority) {
  return aws_error("PriorityInUseException", "Priority '{}' is currently in use", priority);
}

}  // namespace

std::string Elbv2::balancer_of_group(const std::string& group) const {
  for (const auto& [arn, rule] : rules_) {
    const auto groups = groups_of(rule.actions);
    if (std::find(groups.begin(), groups.end(), group) != groups.end()) {
      return listeners_.at(rule.listener).load_balancer;
    }
  }
  return "";
}

Reply Elbv2::read_actions(const Json& actions, const std::string& load_balancer) const {
  Reply whole = normalise_actions(actions);
  if (!whole) return whole;
  for (const std::string& group : groups_of(*whole)) {
    if (groups_.count(group) == 0) {
      return aws_error("TargetGroupNotFoundException", "One or more target groups not found");
    }
    const std::string other = balancer_of_group(group);
    if (!other.empty() && other != load_balancer) {
      return aws_error("TargetGroupAssociationLimitException",
                       "The following target groups cannot be associated with more than one load "
                       "balancer: {}",
                       group);
    }
  }
  return whole;
}

Json Elbv2::describe(const ElbRule& rule) {
  return {{"RuleArn", rule.arn},
          {"Priority", rule.priority ? std::to_string(*rule.priority) : "default"},
          {"Conditions", rule.conditions},
          {"Actions", rule.actions},
          {"IsDefault", !rule.priority}};
}

Reply Elbv2::create_rule(const Json& input, CallContext& context) {
  ElbRule rule;
  rule.listener = get_string(input, "ListenerArn");
  const auto listener = listeners_.find(rule.listener);
  if (listener == listeners_.end()) {
    return aws_error("ListenerNotFoundException", "One or more listeners not found");
  }
  if (find(input, "Transforms") != nullptr) {
    return aws_error("InvalidConfigurationRequestException", "Transforms are not implemented here");
  }
  const std::string balancer = listener->second.load_balancer;
  TRY(rule.conditions, normalise_conditions(*find(input, "Conditions")));
  TRY(rule.actions, read_actions(*find(input, "Actions"), balancer));
  TRY(rule.tags, read_tags(input));
  rule.priority = static_cast<int>(get_int(input, "Priority"));
  std::size_t count = 0;
  for (const auto& [arn, other] : rules_) {
    if (other.listener == rule.listener && other.priority == rule.priority) {
      if (other.conditions == rule.conditions && other.actions == rule.actions) {
        return Json{{"Rules", {describe(other)}}};
      }
      return priority_in_use(*rule.priority);
    }
    if (other.priority && listeners_.at(other.listener).load_balancer == balancer) ++count;
  }
  if (count >= kMaxRules) {
    return aws_error("TooManyRulesException", "A load balancer can have at most {} rules",
                     kMaxRules);
  }
  const auto at = rule.listener.find(":listener/");
  rule.arn = fmt::format("{}:listener-rule/{}/{}", rule.listener.substr(0, at),
                         rule.listener.substr(at + 10), random_hex(random_, 16));
  const Json described = describe(rule);
  const std::string arn = rule.arn;
  const int priority = *rule.priority;
  rules_.emplace(arn, std::move(rule));
  update_use(context.now);
  changed(context.now, "rule.created", {{"arn", arn}, {"priority", priority}});
  return Json{{"Rules", {described}}};
}

Reply Elbv2::describe_rules(const Json& input, CallContext&) {
  const std::string listener = get_string(input, "ListenerArn");
  const auto arns = string_list(input, "RuleArns");
  if (listener.empty() == arns.empty()) {
    return aws_error("ValidationError",
                     "You must specify either listener rule ARNs or a listener ARN");
  }
  std::vector<const ElbRule*> found;
  if (!listener.empty()) {
    if (listeners_.count(listener) == 0) {
      return aws_error("ListenerNotFoundException", "One or more listeners not found");
    }
    found = rules_of(listener);
  }
  for (const std::string& arn : arns) {
    const auto at = rules_.find(arn);
    if (at == rules_.end()) return no_rule();
    found.push_back(&at->second);
  }
  const auto key = [](const ElbRule* rule) {
    return fmt::format("{:06} {}", rule->priority.value_or(999'999), rule->arn);
  };
  std::sort(found.begin(), found.end(),
            [&](const auto* a, const auto* b) { return key(a) < key(b); });
  const auto page = take_page(found, get_string(input, "Marker"),
                              static_cast<std::size_t>(get_int(input, "PageSize", kElbPage)), key);
  if (!page) return aws_error("ValidationError", "The marker is not one that was given out");
  Json list = Json::array();
  for (const ElbRule* each : page->items) list.push_back(describe(*each));
  Json reply = {{"Rules", std::move(list)}};
  if (!page->next.empty()) reply["NextMarker"] = page->next;
  return reply;
}

Reply Elbv2::modify_rule(const Json& input, CallContext& context) {
  const auto found = rules_.find(get_string(input, "RuleArn"));
  if (found == rules_.end()) return no_rule();
  ElbRule rule = found->second;
  if (!rule.priority) {
    return aws_error("OperationNotPermittedException", "Default rule '{}' cannot be modified",
                     rule.arn);
  }
  if (find(input, "Transforms") != nullptr) {
    return aws_error("InvalidLoadBalancerActionException", "Transforms are not implemented here");
  }
  if (const Json* conditions = find(input, "Conditions")) {
    TRY(rule.conditions, normalise_conditions(*conditions));
  }
  if (const Json* actions = find(input, "Actions")) {
    TRY(rule.actions, read_actions(*actions, listeners_.at(rule.listener).load_balancer));
  }
  found->second = rule;
  update_use(context.now);
  changed(context.now, "rule.updated", {{"arn", rule.arn}, {"actions", rule.actions}});
  return Json{{"Rules", {describe(rule)}}};
}

Reply Elbv2::delete_rule(const Json& input, CallContext& context) {
  const std::string arn = get_string(input, "RuleArn");
  const auto found = rules_.find(arn);
  if (found == rules_.end()) return no_rule();
  if (!found->second.priority) {
    return aws_error("OperationNotPermittedException", "Default rule '{}' cannot be deleted", arn);
  }
  rules_.erase(found);
  update_use(context.now);
  changed(context.now, "rule.deleted", {{"arn", arn}});
  return Json::object();
}

Reply Elbv2::set_rule_priorities(const Json& input, CallContext& context) {
  // Only the order that results is checked, so two rules may swap places.
  std::map<std::string, int> wanted;
  for (const Json& pair : *find(input, "RulePriorities")) {
    const std::string arn = get_string(pair, "RuleArn");
    const auto found = rules_.find(arn);
    if (found == rules_.end()) return no_rule();
    if (!found->second.priority) {
      return aws_error("OperationNotPermittedException",
                       "Priority of default rule '{}' cannot be changed", arn);
    }
    wanted[arn] = static_cast<int>(get_int(pair, "Priority"));
  }
  std::map<std::pair<std::string, int>, std::string> taken;
  for (const auto& [arn, rule] : rules_) {
    if (!rule.priority) continue;
    const auto changed_to = wanted.find(arn);
    const int priority = changed_to == wanted.end() ? *rule.priority : changed_to->second;
    if (!taken.emplace(std::pair{rule.listener, priority}, arn).second) {
      return priority_in_use(priority);
    }
  }
  Json list = Json::array();
  for (const auto& [arn, priority] : wanted) {
    rules_.at(arn).priority = priority;
    list.push_back(describe(rules_.at(arn)));
  }
  changed(context.now, "rule.priorities-set", {{"rules", list.size()}});
  return Json{{"Rules", std::move(list)}};
}

}  // namespace coalmine::mock
