#include "sim/rollout/aws/alb_traffic.h"

#include <nlohmann/json.hpp>

namespace coalmine::rollout {

std::optional<Duration> stickiness_of(const Plan& plan) {
  if (!plan.affinity) return std::nullopt;
  return plan.affinity->lasts;
}

Result<Weights> AlbTraffic::weights_for(const Shares& shares) const {
  TRY(const SplitWeights weights, to_weights(shares, kAlbWeights));
  return by_version(names_.in_plan(), weights);
}

Result<AlbArns> AlbTraffic::arns() {
  if (!arns_) {
    TRY(const auto balancer, aws::describe_load_balancer(client_, place_.load_balancer));
    TRY(const auto stable, aws::describe_target_group(client_, names_.stable_target));
    TRY(const auto canary, aws::describe_target_group(client_, names_.canary_target));
    AlbArns arns{balancer.arn, stable.arn, canary.arn, {}};
    if (!names_.baseline.empty()) {
      TRY(const auto baseline, aws::describe_target_group(client_, names_.baseline_target));
      arns.baseline = baseline.arn;
    }
    arns_ = std::move(arns);
  }
  return *arns_;
}

Result<AlbTraffic::Found> AlbTraffic::read() {
  TRY(const AlbArns arns, this->arns());
  auto place = place_.rule_arn.empty()
                   ? aws::describe_listener(client_, {arns.load_balancer, place_.load_balancer, ""},
                                            place_.listener_port)
                   : aws::describe_rule(client_, place_.rule_arn);
  if (!place) return tl::unexpected(place.error());
  Found found{*std::move(place), {0, 0}, {}};
  found.stickiness = aws::forward_stickiness(*found.place.actions);
  bool has_stable = false;
  for (const auto& [arn, weight] : aws::forward_weights(*found.place.actions)) {
    if (arn == arns.stable) {
      has_stable = true;
      found.weights.stable = weight;
    } else if (arn == arns.canary) {
      found.weights.canary = weight;
    } else if (arn == arns.baseline) {
      found.weights.baseline = weight;
    } else if (weight > 0) {
      return error(ErrorKind::Failed, "{} sends weight {} to {}; a rollout needs {} alone",
                   describe(), weight, arn, describe_targets(names_));
    }
  }
  if (!has_stable) {
    return error(ErrorKind::Failed, "{} does not forward to target group \"{}\" (the stable one)",
                 describe(), names_.stable_target);
  }
  return found;
}

Result<Weights> AlbTraffic::current_weights() {
  TRY(const Found found, read());
  return by_version(names_.in_plan(), found.weights);
}

Result<AwsTraffic::Call> AlbTraffic::call_for(const Shares& shares) {
  TRY(const SplitWeights wanted, to_weights(shares, kAlbWeights));
  TRY(const Found found, read());
  TRY(const AlbArns arns, this->arns());
  std::map<std::string, int> by_group = {{arns.stable, wanted.stable},
                                         {arns.canary, wanted.canary}};
  if (!arns.baseline.empty()) by_group[arns.baseline] = wanted.baseline;
  TRY(Json actions, aws::with_forward_weights(*found.place.actions, by_group));
  const bool sticks = place_.stickiness && place_.stickiness != found.stickiness;
  if (place_.stickiness) aws::set_stickiness(actions, *place_.stickiness);
  const bool rule = found.place.is_rule;
  Json input = {{rule ? "RuleArn" : "ListenerArn", found.place.arn},
                {rule ? "Actions" : "DefaultActions", actions}};
  return Call{"elbv2", rule ? "ModifyRule" : "ModifyListener",
              std::make_shared<const Json>(std::move(input)), !(found.weights == wanted) || sticks};
}

Result<Weights> AlbTraffic::set_weights(const Shares& shares) {
  TRY(const Call call, call_for(shares));
  if (call.changes) {
    TRY_STATUS(client_.call(call.service, call.operation, *call.input));
  }
  return weights_for(shares);
}

// --- rules by header, cookie or segment --------------------------------------------------------

namespace {

constexpr int kLastPriority = 50'000;   // elasticloadbalancingv2 2015-12-01 model: RulePriority
constexpr std::size_t kMostValues = 5;  // of all conditions of a rule (quotas)

Json condition_json(const char* field, const char* config, Json values) {
  return {{"Field", field}, {config, {{"Values", std::move(values)}}}};
}

std::size_t count_values(const Json& conditions) {
  std::size_t count = 0;
  for (const Json& condition : conditions) {
    for (const auto& [key, value] : condition.items()) {
      if (value.is_object() && value.contains("Values")) count += value["Values"].size();
    }
  }
  return count;
}

}  // namespace

/// The conditions of the rule that splits the traffic, if it is one, and the match's own.
Result<Json> AlbTraffic::matching_conditions(const std::vector<aws::ListenerRule>& rules,
                                             const MatchConditions& wanted) const {
  Json conditions = Json::array();
  for (const aws::ListenerRule& rule : rules) {
    if (rule.arn == place_.rule_arn) conditions = *rule.conditions;
  }
  if (!wanted.path_prefix.empty()) {
    for (const Json& condition : conditions) {
      if (get_string(condition, "Field") != "path-pattern") continue;
      return error(ErrorKind::Failed, "{} has a path condition already; an ALB takes one of a rule",
                   describe());
    }
    conditions.push_back(condition_json("path-pattern", "PathPatternConfig",
                                        Json::array({wanted.path_prefix + "*"})));
  }
  for (const HeaderCondition& header : wanted.headers) {
    Json condition = condition_json("http-header", "HttpHeaderConfig", header.any_of);
    condition["HttpHeaderConfig"]["HttpHeaderName"] = header.name;
    conditions.push_back(std::move(condition));
  }
  if (count_values(conditions) > kMostValues) {
    return error(ErrorKind::Failed,
                 "{} and the match have {} values to compare with, an ALB takes {}", describe(),
                 count_values(conditions), kMostValues);
  }
  return conditions;
}

/// The nearest before the rule; before the default action there is only what comes behind all
/// other rules, which are not this rollout's to overtake.
Result<int> AlbTraffic::free_priority(const std::vector<aws::ListenerRule>& rules,
                                      std::set<int>& taken) const {
  int priority = 1;
  if (place_.rule_arn.empty()) {
    if (!taken.empty()) priority = *taken.rbegin() + 1;
    if (priority > kLastPriority) priority = 0;
  } else {
    for (const aws::ListenerRule& rule : rules) {
      if (rule.arn == place_.rule_arn) priority = rule.priority;
    }
    while (priority > 0 && taken.count(priority) > 0) --priority;
  }
  if (priority == 0) {
    return error(ErrorKind::Failed, "no priority is free {} {}",
                 place_.rule_arn.empty() ? "behind the rules of" : "before", describe());
  }
  taken.insert(priority);
  return priority;
}

Result<std::vector<AwsTraffic::Call>> AlbTraffic::calls_for(const std::vector<RouteMatch>& any_of) {
  TRY(const auto all, conditions_of(any_of, TrafficApi::Alb));
  TRY(const Found found, read());
  TRY(const AlbArns arns, this->arns());
  const std::string listener =
      found.place.is_rule ? aws::listener_of_rule(found.place.arn) : found.place.arn;
  TRY(const auto rules, aws::list_rules(client_, listener));
  std::vector<std::string> ours;
  std::set<int> taken;
  for (const aws::ListenerRule& rule : rules) {
    taken.insert(rule.priority);
    const auto tag = rule.tags.find(kCanaryRuleTag);
    if (tag != rule.tags.end() && tag->second == names_.canary_target) ours.push_back(rule.arn);
  }
  std::vector<Call> calls;
  const auto add = [&calls](const char* operation, Json input) {
    calls.push_back({"elbv2", operation, std::make_shared<const Json>(std::move(input)), true});
  };
  for (std::size_t i = 0; i < all.size(); ++i) {
    TRY(Json conditions, matching_conditions(rules, all[i]));
    TRY(Json actions, aws::with_only_group(*found.place.actions, arns.canary));
    Json input = {{"Conditions", std::move(conditions)}, {"Actions", std::move(actions)}};
    if (i < ours.size()) {
      input["RuleArn"] = ours[i];
      add("ModifyRule", std::move(input));
      continue;
    }
    input["ListenerArn"] = listener;
    TRY(input["Priority"], free_priority(rules, taken));
    input["Tags"] = Json::array({{{"Key", kCanaryRuleTag}, {"Value", names_.canary_target}}});
    add("CreateRule", std::move(input));
  }
  for (std::size_t i = all.size(); i < ours.size(); ++i) add("DeleteRule", {{"RuleArn", ours[i]}});
  return calls;
}

Status AlbTraffic::set_matches(const std::vector<RouteMatch>& any_of) {
  TRY(const std::vector<Call> calls, calls_for(any_of));
  return carry_out(client_, calls);
}

Status AlbTraffic::check_matches(const std::vector<RouteMatch>& any_of) const {
  TRY_STATUS(conditions_of(any_of, TrafficApi::Alb));
  return {};
}

std::string AlbTraffic::describe() const {
  if (!place_.rule_arn.empty()) return fmt::format("ALB rule {}", place_.rule_arn);
  return fmt::format("ALB {} listener {}", place_.load_balancer, place_.listener_port);
}

}  // namespace coalmine::rollout
