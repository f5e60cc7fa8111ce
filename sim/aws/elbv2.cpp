#include "sim/aws/elbv2.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

namespace coalmine::aws {
namespace {

/// The list member `key`, or empty: an empty XML list reads as text.
const Json& list(const Json& answer, std::string_view key) {
  static const Json kNone = Json::array();
  const Json* found = find(answer, key);
  return found != nullptr && found->is_array() ? *found : kNone;
}

int number(const Json& object, std::string_view key, int fallback) {
  const std::string text = get_string(object, key);
  int value = fallback;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

const Json* forward_of(const Json& actions) {
  if (!actions.is_array()) return nullptr;
  for (const Json& action : actions) {
    if (get_string(action, "Type") == "forward") return &action;
  }
  return nullptr;
}

const Json& groups_of(const Json& forward) {
  static const Json kNone = Json::object();
  const Json* config = find(forward, "ForwardConfig");
  return list(config == nullptr ? kNone : *config, "TargetGroups");
}

}  // namespace

Result<LoadBalancer> describe_load_balancer(Client& client, const std::string& name) {
  TRY(const Json answer,
      client.call("elbv2", "DescribeLoadBalancers", {{"Names", Json::array({name})}}));
  for (const Json& lb : list(answer, "LoadBalancers")) {
    return LoadBalancer{get_string(lb, "LoadBalancerArn"), name, get_string(lb, "DNSName")};
  }
  return error(ErrorKind::Failed, "there is no load balancer \"{}\"", name);
}

Result<TargetGroup> describe_target_group(Client& client, const std::string& name) {
  TRY(const Json answer,
      client.call("elbv2", "DescribeTargetGroups", {{"Names", Json::array({name})}}));
  for (const Json& group : list(answer, "TargetGroups")) {
    return TargetGroup{get_string(group, "TargetGroupArn"), name};
  }
  return error(ErrorKind::Failed, "there is no target group \"{}\"", name);
}

Result<ForwardPlace> describe_listener(Client& client, const LoadBalancer& load_balancer,
                                       int port) {
  TRY(const Json answer,
      client.call("elbv2", "DescribeListeners", {{"LoadBalancerArn", load_balancer.arn}}));
  std::string ports;
  for (const Json& listener : list(answer, "Listeners")) {
    const int found = number(listener, "Port", 0);
    if (found == port) {
      return ForwardPlace{get_string(listener, "ListenerArn"), false,
                          std::make_shared<const Json>(list(listener, "DefaultActions"))};
    }
    ports += fmt::format("{}{}", ports.empty() ? "" : ", ", found);
  }
  return error(ErrorKind::Failed, "load balancer \"{}\" has no listener on port {}; it has {}",
               load_balancer.name, port, ports.empty() ? "none" : ports);
}

Result<ForwardPlace> describe_rule(Client& client, const std::string& rule_arn) {
  TRY(const Json answer,
      client.call("elbv2", "DescribeRules", {{"RuleArns", Json::array({rule_arn})}}));
  for (const Json& rule : list(answer, "Rules")) {
    return ForwardPlace{rule_arn, true, std::make_shared<const Json>(list(rule, "Actions"))};
  }
  return error(ErrorKind::Failed, "there is no rule {}", rule_arn);
}

namespace {

constexpr std::size_t kArnsPerDescribeTags = 20;

/// A described condition says some values twice; CreateRule wants them once.
Json conditions_to_create(const Json& described) {
  Json conditions = Json::array();
  for (const Json& one : described) {
    conditions.push_back(one);
    Json& condition = conditions.back();
    const bool has_config =
        std::any_of(condition.items().begin(), condition.items().end(),
                    [](const auto& item) { return item.key().ends_with("Config"); });
    if (has_config) condition.erase("Values");
  }
  return conditions;
}

Status add_tags(Client& client, std::vector<ListenerRule>& rules) {
  for (std::size_t begin = 0; begin < rules.size(); begin += kArnsPerDescribeTags) {
    Json arns = Json::array();
    const std::size_t end = std::min(rules.size(), begin + kArnsPerDescribeTags);
    for (std::size_t i = begin; i < end; ++i) arns.push_back(rules[i].arn);
    TRY(const Json answer, client.call("elbv2", "DescribeTags", {{"ResourceArns", arns}}));
    for (const Json& one : list(answer, "TagDescriptions")) {
      const std::string arn = get_string(one, "ResourceArn");
      const auto rule = std::find_if(rules.begin(), rules.end(),
                                     [&arn](const ListenerRule& r) { return r.arn == arn; });
      if (rule == rules.end()) continue;
      for (const Json& tag : list(one, "Tags")) {
        rule->tags[get_string(tag, "Key")] = get_string(tag, "Value");
      }
    }
  }
  return {};
}

}  // namespace

Result<std::vector<ListenerRule>> list_rules(Client& client, const std::string& listener_arn) {
  std::vector<ListenerRule> rules;
  Json input = {{"ListenerArn", listener_arn}};
  while (true) {
    TRY(const Json answer, client.call("elbv2", "DescribeRules", input));
    for (const Json& rule : list(answer, "Rules")) {
      const int priority = number(rule, "Priority", 0);
      if (priority == 0) continue;  // "default"
      rules.push_back({get_string(rule, "RuleArn"),
                       priority,
                       std::make_shared<const Json>(conditions_to_create(list(rule, "Conditions"))),
                       {}});
    }
    const std::string next = get_string(answer, "NextMarker");
    if (next.empty()) break;
    input["Marker"] = next;
  }
  std::sort(rules.begin(), rules.end(),
            [](const ListenerRule& a, const ListenerRule& b) { return a.priority < b.priority; });
  TRY_STATUS(add_tags(client, rules));
  return rules;
}

std::string listener_of_rule(const std::string& rule_arn) {
  constexpr std::string_view kRule = ":listener-rule/";
  const std::size_t at = rule_arn.find(kRule), last = rule_arn.rfind('/');
  if (at == std::string::npos) return {};
  const std::size_t name = at + kRule.size();
  if (last < name) return {};
  return rule_arn.substr(0, at) + ":listener/" + rule_arn.substr(name, last - name);
}

std::map<std::string, int> forward_weights(const Json& actions) {
  std::map<std::string, int> weights;
  const Json* forward = forward_of(actions);
  if (forward == nullptr) return weights;
  for (const Json& group : groups_of(*forward)) {
    weights[get_string(group, "TargetGroupArn")] = number(group, "Weight", 1);
  }
  if (weights.empty()) weights[get_string(*forward, "TargetGroupArn")] = 1;
  return weights;
}

Result<Json> with_forward_weights(const Json& actions, const std::map<std::string, int>& weights) {
  const Json* forward = forward_of(actions);
  if (forward == nullptr) return error(ErrorKind::Failed, "no action forwards to a target group");
  std::map<std::string, int> all = forward_weights(actions);
  for (const auto& [arn, weight] : weights) all[arn] = weight;
  Json result = Json::array();
  for (const Json& action : actions) {
    Json changed = action;
    if (&action == forward) {
      // Both forms at once are refused unless they agree; the weighted one says it all.
      changed.erase("TargetGroupArn");
      Json groups = Json::array();
      for (const auto& [arn, weight] : all) {
        groups.push_back({{"TargetGroupArn", arn}, {"Weight", weight}});
      }
      if (!changed.contains("ForwardConfig") || !changed["ForwardConfig"].is_object()) {
        changed["ForwardConfig"] = Json::object();
      }
      changed["ForwardConfig"]["TargetGroups"] = groups;
    }
    result.push_back(std::move(changed));
  }
  return result;
}

Result<Json> with_only_group(const Json& actions, const std::string& group_arn) {
  const Json* forward = forward_of(actions);
  if (forward == nullptr) return error(ErrorKind::Failed, "no action forwards to a target group");
  Json result = Json::array();
  for (const Json& action : actions) {
    result.push_back(action);
    if (&action != forward) continue;
    Json& changed = result.back();
    changed.erase("TargetGroupArn");
    changed["ForwardConfig"] = Json::object();
    changed["ForwardConfig"]["TargetGroups"] =
        Json::array({{{"TargetGroupArn", group_arn}, {"Weight", 1}}});
  }
  return result;
}

std::optional<Duration> forward_stickiness(const Json& actions) {
  const Json* forward = forward_of(actions);
  const Json* config = forward == nullptr ? nullptr : find(*forward, "ForwardConfig");
  const Json* sticky = config == nullptr ? nullptr : find(*config, "TargetGroupStickinessConfig");
  if (sticky == nullptr || get_string(*sticky, "Enabled") != "true") return std::nullopt;
  return std::chrono::seconds{number(*sticky, "DurationSeconds", 0)};
}

void set_stickiness(Json& actions, Duration duration) {
  for (Json& action : actions) {
    if (get_string(action, "Type") != "forward") continue;
    action["ForwardConfig"]["TargetGroupStickinessConfig"] = {
        {"Enabled", true},
        {"DurationSeconds", std::chrono::duration_cast<std::chrono::seconds>(duration).count()}};
    return;
  }
}

Status modify_actions(Client& client, const ForwardPlace& place, const Json& actions) {
  if (place.is_rule) {
    TRY_STATUS(client.call("elbv2", "ModifyRule", {{"RuleArn", place.arn}, {"Actions", actions}}));
  } else {
    TRY_STATUS(client.call("elbv2", "ModifyListener",
                           {{"ListenerArn", place.arn}, {"DefaultActions", actions}}));
  }
  return {};
}

}  // namespace coalmine::aws
