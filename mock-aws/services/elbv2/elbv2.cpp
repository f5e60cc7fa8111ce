#include "mock-aws/services/elbv2/elbv2.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "sim/core/ids.h"

namespace coalmine::mock {

Elbv2::Elbv2(Scope scope, Random random, EventSink& events, ElbSurroundings around)
    : scope_(std::move(scope)), random_(random), events_(events), around_(std::move(around)) {
  if (!around_.acquire_address) {
    around_.acquire_address = [this]() -> std::optional<std::string> {
      if (last_address_ == 254) return std::nullopt;
      return fmt::format("127.0.8.{}", ++last_address_);
    };
  }
}

const OperationTable<Elbv2>& Elbv2::operations() {
  static const OperationTable<Elbv2> kOperations = {
      {"CreateLoadBalancer", &Elbv2::create_load_balancer},
      {"DescribeLoadBalancers", &Elbv2::describe_load_balancers},
      {"DeleteLoadBalancer", &Elbv2::delete_load_balancer},
      {"SetSecurityGroups", &Elbv2::set_security_groups},
      {"SetSubnets", &Elbv2::set_subnets},
      {"SetIpAddressType", &Elbv2::set_ip_address_type},
      {"CreateListener", &Elbv2::create_listener},
      {"DescribeListeners", &Elbv2::describe_listeners},
      {"ModifyListener", &Elbv2::modify_listener},
      {"DeleteListener", &Elbv2::delete_listener},
      {"CreateRule", &Elbv2::create_rule},
      {"DescribeRules", &Elbv2::describe_rules},
      {"ModifyRule", &Elbv2::modify_rule},
      {"DeleteRule", &Elbv2::delete_rule},
      {"SetRulePriorities", &Elbv2::set_rule_priorities},
      {"CreateTargetGroup", &Elbv2::create_target_group},
      {"DescribeTargetGroups", &Elbv2::describe_target_groups},
      {"ModifyTargetGroup", &Elbv2::modify_target_group},
      {"DeleteTargetGroup", &Elbv2::delete_target_group},
      {"RegisterTargets", &Elbv2::register_targets},
      {"DeregisterTargets", &Elbv2::deregister_targets},
      {"DescribeTargetHealth", &Elbv2::describe_target_health},
      {"DescribeLoadBalancerAttributes", &Elbv2::describe_load_balancer_attributes},
      {"ModifyLoadBalancerAttributes", &Elbv2::modify_load_balancer_attributes},
      {"DescribeTargetGroupAttributes", &Elbv2::describe_target_group_attributes},
      {"ModifyTargetGroupAttributes", &Elbv2::modify_target_group_attributes},
      {"DescribeListenerAttributes", &Elbv2::describe_listener_attributes},
      {"ModifyListenerAttributes", &Elbv2::modify_listener_attributes},
      {"AddTags", &Elbv2::add_tags},
      {"RemoveTags", &Elbv2::remove_tags},
      {"DescribeTags", &Elbv2::describe_tags},
  };
  return kOperations;
}

bool Elbv2::implements(std::string_view operation) const {
  return operations().count(operation) > 0;
}

Reply Elbv2::call(std::string_view operation, const Json& input, CallContext& context) {
  const auto found = operations().find(operation);
  if (found == operations().end()) {
    return aws_error("NotImplemented", "elbv2 {} is not implemented", operation);
  }
  tick(context.now);
  return (this->*found->second)(input, context);
}

void Elbv2::changed(TimePoint now, std::string_view what, Json fields) {
  ++revision_;
  events_.event(now, what, std::move(fields));
}

void Elbv2::update_use(TimePoint now) {
  std::map<std::string, bool> used;
  for (const auto& [arn, rule] : rules_) {
    for (const std::string& group : groups_of(rule.actions)) used[group] = true;
  }
  for (auto& [arn, group] : groups_) {
    const bool in_use = used.count(arn) > 0;
    if (in_use == group.in_use) continue;
    group.in_use = in_use;
    for (auto& [key, target] : group.targets) {
      if (target.draining_until != kNever) continue;
      target.progress = registered();
      target.next_probe = now + kRegistrationTime;
      target.probe = 0;
    }
  }
}

std::vector<Probe> Elbv2::due_probes(TimePoint now) {
  std::vector<Probe> probes;
  for (auto& [arn, group] : groups_) {
    if (!group.in_use || !group.check.enabled) continue;
    for (auto& [key, target] : group.targets) {
      if (target.draining_until != kNever || target.next_probe > now) continue;
      target.probe = ++last_probe_;
      target.next_probe = now + group.check.interval;
      const int port =
          group.check.port == "traffic-port" ? key.second : std::stoi(group.check.port);
      probes.push_back({target.probe, key.first, port, group.check.path, group.check.protocol,
                        group.check.timeout, group.check.matcher});
      if (target.progress.health.reason == "Elb.RegistrationInProgress") {
        target.progress.health.reason = "Elb.InitialHealthChecking";
        target.progress.health.description = "Initial health checks in progress";
      }
    }
  }
  return probes;
}

void Elbv2::probe_result(std::uint64_t id, const ProbeOutcome& outcome, TimePoint now) {
  if (id == 0) return;
  for (auto& [arn, group] : groups_) {
    for (auto& [key, target] : group.targets) {
      if (target.probe != id) continue;
      target.probe = 0;
      if (target.draining_until != kNever || !group.in_use) return;
      const TargetState before = target.progress.health.state;
      target.progress = after_probe(group.check, target.progress, outcome);
      const TargetHealth& health = target.progress.health;
      if (health.state != before) {
        changed(now, "target.health-changed",
                {{"target-group", group.name},
                 {"target", fmt::format("{}:{}", key.first, key.second)},
                 {"from", to_string(before)},
                 {"to", to_string(health.state)},
                 {"reason", health.description}});
      }
      return;
    }
  }
}

TimePoint Elbv2::next_probe() const {
  TimePoint next = kNever;
  for (const auto& [arn, group] : groups_) {
    if (!group.in_use || !group.check.enabled) continue;
    for (const auto& [key, target] : group.targets) {
      if (target.draining_until == kNever) next = std::min(next, target.next_probe);
    }
  }
  return next;
}

void Elbv2::tick(TimePoint now) {
  for (auto& [arn, group] : groups_) {
    for (auto it = group.targets.begin(); it != group.targets.end();) {
      if (it->second.draining_until > now) {
        ++it;
        continue;
      }
      const std::string target = fmt::format("{}:{}", it->first.first, it->first.second);
      it = group.targets.erase(it);
      changed(now, "target.deregistered", {{"target-group", group.name}, {"target", target}});
    }
  }
  if (!prober_) return;
  for (TimePoint due = next_probe(); due <= now; due = next_probe()) {
    for (const Probe& probe : due_probes(due)) probe_result(probe.id, prober_(probe, due), due);
  }
}

TimePoint Elbv2::next_wakeup() const {
  TimePoint next = prober_ ? next_probe() : kNever;
  for (const auto& [arn, group] : groups_) {
    for (const auto& [key, target] : group.targets) next = std::min(next, target.draining_until);
  }
  return next;
}

std::vector<LoadBalancerView> Elbv2::load_balancers() const {
  std::vector<LoadBalancerView> views;
  for (const auto& [arn, balancer] : balancers_) {
    LoadBalancerView view{balancer.name, arn, balancer.address, {}};
    for (const ElbListener* listener : listeners_of(arn)) view.ports.push_back(listener->port);
    views.push_back(std::move(view));
  }
  return views;
}

const LoadBalancer* Elbv2::find_load_balancer(const std::string& name_or_arn) const {
  for (const auto& [arn, balancer] : balancers_) {
    if (arn == name_or_arn || balancer.name == name_or_arn) return &balancer;
  }
  return nullptr;
}

std::vector<const ElbListener*> Elbv2::listeners_of(const std::string& load_balancer_arn) const {
  std::vector<const ElbListener*> found;
  for (const auto& [arn, listener] : listeners_) {
    if (listener.load_balancer == load_balancer_arn) found.push_back(&listener);
  }
  std::sort(found.begin(), found.end(),
            [](const ElbListener* a, const ElbListener* b) { return a->port < b->port; });
  return found;
}

std::vector<const ElbRule*> Elbv2::rules_of(const std::string& listener_arn) const {
  std::vector<const ElbRule*> found;
  for (const auto& [arn, rule] : rules_) {
    if (rule.listener == listener_arn) found.push_back(&rule);
  }
  std::sort(found.begin(), found.end(), [](const ElbRule* a, const ElbRule* b) {
    return a->priority.value_or(1 << 30) < b->priority.value_or(1 << 30);
  });
  return found;
}

const TargetGroup* Elbv2::find_group(const std::string& arn) const {
  const auto found = groups_.find(arn);
  return found == groups_.end() ? nullptr : &found->second;
}

std::string Elbv2::balancer_tail(const std::string& load_balancer_arn) const {
  const auto at = load_balancer_arn.find("loadbalancer/");
  return load_balancer_arn.substr(at + std::string_view("loadbalancer/").size());
}

Json Elbv2::state() const {
  Json balancers = Json::array(), groups = Json::array(), rules = Json::array();
  for (const auto& [arn, balancer] : balancers_) {
    balancers.push_back(describe(balancer, balancer.active_at));
  }
  for (const auto& [arn, rule] : rules_) rules.push_back(describe(rule));
  for (const auto& [arn, group] : groups_) {
    Json json = describe(group);
    for (const auto& [key, target] : group.targets) {
      json["Targets"].push_back(
          {{"Id", key.first},
           {"Port", key.second},
           {"State", to_string(health_of(group, key.first, key.second).state)}});
    }
    groups.push_back(std::move(json));
  }
  return {{"loadBalancers", std::move(balancers)},
          {"rules", std::move(rules)},
          {"targetGroups", std::move(groups)}};
}

std::vector<std::string> string_list(const Json& input, std::string_view member) {
  std::vector<std::string> values;
  if (const Json* list = find(input, member)) {
    for (const Json& value : *list) values.push_back(value.get<std::string>());
  }
  return values;
}

tl::expected<Attributes, AwsError> read_tags(const Json& input) {
  Attributes tags;
  if (const Json* list = find(input, "Tags")) {
    for (const Json& tag : *list) {
      const std::string key = get_string(tag, "Key");
      if (!tags.emplace(key, get_string(tag, "Value")).second) {
        return aws_error("DuplicateTagKeysException", "Tag key '{}' is specified more than once",
                         key);
      }
    }
  }
  if (tags.size() > kMaxElbTags) {
    return aws_error("TooManyTagsException", "A resource can have at most {} tags", kMaxElbTags);
  }
  return tags;
}

std::optional<AwsError> check_elb_name(std::string_view what, const std::string& given) {
  const auto bad = [](std::string message) {
    return AwsError{"ValidationError", std::move(message), 0, {}};
  };
  if (given.empty() || given.size() > kMaxElbNameLength) {
    return bad(fmt::format("{} name '{}' cannot be longer than '{}' characters", what, given,
                           kMaxElbNameLength));
  }
  for (const char c : given) {
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-') {
      continue;
    }
    return bad(
        fmt::format("{} name '{}' can only contain characters that are alphanumeric "
                    "characters and hyphens(-)",
                    what, given));
  }
  if (given.front() == '-' || given.back() == '-') {
    return bad(fmt::format("{} name '{}' cannot begin or end with a hyphen", what, given));
  }
  return std::nullopt;
}

}  // namespace coalmine::mock
