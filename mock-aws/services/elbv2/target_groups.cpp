// Target groups, their targets, and what is known of each target's health.
#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "mock-aws/services/elbv2/elbv2.h"
#include "mock-aws/services/paging.h"
#include "sim/core/ids.h"

namespace coalmine::mock {
namespace {

using std::chrono::seconds;

tl::unexpected<AwsError> no_group() {
  return aws_error("TargetGroupNotFoundException", "One or more target groups not found");
}

bool valid_port(const std::string& text) {
  int port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc{} && end == text.data() + text.size() && port >= 1 && port <= 65535;
}

/// `check` with the HealthCheck… members of the input; what is not given stays.
tl::expected<HealthCheck, AwsError> read_check(const Json& input, HealthCheck check) {
  check.enabled = get_bool(input, "HealthCheckEnabled", check.enabled);
  check.protocol = get_string(input, "HealthCheckProtocol", check.protocol);
  check.port = get_string(input, "HealthCheckPort", check.port);
  check.path = get_string(input, "HealthCheckPath", check.path);
  check.interval =
      seconds{get_int(input, "HealthCheckIntervalSeconds", check.interval / seconds{1})};
  check.timeout = seconds{get_int(input, "HealthCheckTimeoutSeconds", check.timeout / seconds{1})};
  check.healthy_threshold =
      static_cast<int>(get_int(input, "HealthyThresholdCount", check.healthy_threshold));
  check.unhealthy_threshold =
      static_cast<int>(get_int(input, "UnhealthyThresholdCount", check.unhealthy_threshold));
  if (const Json* matcher = find(input, "Matcher")) {
    check.matcher = get_string(*matcher, "HttpCode", check.matcher);
  }
  if (!check.enabled) {
    return aws_error("InvalidConfigurationRequestException",
                     "Health check enabled must be true for target groups with target type 'ip'");
  }
  if (check.protocol != "HTTP") {
    return aws_error("InvalidConfigurationRequestException",
                     "Health check protocol '{}' is not implemented here, only 'HTTP'",
                     check.protocol);
  }
  if (check.port != "traffic-port" && !valid_port(check.port)) {
    return aws_error("ValidationError",
                     "Health check port '{}' must be 'traffic-port' or in the range 1-65535",
                     check.port);
  }
  if (!check.path.starts_with("/")) {
    return aws_error("ValidationError", "Health check path '{}' must begin with a '/' character",
                     check.path);
  }
  if (!valid_matcher(check.matcher)) {
    return aws_error("InvalidConfigurationRequestException",
                     "Health check matcher HTTP code '{}' must be within '200-499' inclusive",
                     check.matcher);
  }
  if (check.timeout >= check.interval) {
    return aws_error("ValidationError", "Health check interval must be greater than the timeout");
  }
  return check;
}

/// A target of RegisterTargets and the like: its address and port.
std::pair<std::string, int> key_of(const Json& target, const TargetGroup& group) {
  return {get_string(target, "Id"), static_cast<int>(get_int(target, "Port", group.port))};
}

}  // namespace

Json Elbv2::describe(const TargetGroup& group) const {
  Json balancers = Json::array();
  if (const std::string balancer = balancer_of_group(group.arn); !balancer.empty()) {
    balancers.push_back(balancer);
  }
  Json json = {{"TargetGroupArn", group.arn},
               {"TargetGroupName", group.name},
               {"Protocol", group.protocol},
               {"ProtocolVersion", group.protocol_version},
               {"Port", group.port},
               {"TargetType", group.target_type},
               {"IpAddressType", "ipv4"},
               {"HealthCheckEnabled", group.check.enabled},
               {"HealthCheckProtocol", group.check.protocol},
               {"HealthCheckPort", group.check.port},
               {"HealthCheckPath", group.check.path},
               {"HealthCheckIntervalSeconds", group.check.interval / seconds{1}},
               {"HealthCheckTimeoutSeconds", group.check.timeout / seconds{1}},
               {"HealthyThresholdCount", group.check.healthy_threshold},
               {"UnhealthyThresholdCount", group.check.unhealthy_threshold},
               {"Matcher", {{"HttpCode", group.check.matcher}}},
               {"LoadBalancerArns", std::move(balancers)}};
  if (!group.vpc.empty()) json["VpcId"] = group.vpc;
  return json;
}

Reply Elbv2::create_target_group(const Json& input, CallContext& context) {
  TargetGroup group;
  group.name = get_string(input, "Name");
  if (const auto bad = check_elb_name("Target group", group.name)) return tl::unexpected(*bad);
  group.target_type = get_string(input, "TargetType", "instance");
  if (group.target_type != "ip" && group.target_type != "instance") {
    return aws_error("InvalidConfigurationRequestException",
                     "Target type '{}' is not implemented here, only 'ip' and 'instance'",
                     group.target_type);
  }
  group.protocol = get_string(input, "Protocol");
  group.port = static_cast<int>(get_int(input, "Port"));
  group.vpc = get_string(input, "VpcId");
  if (group.protocol.empty()) return aws_error("ValidationError", "A protocol must be specified");
  if (group.port == 0) return aws_error("ValidationError", "A port must be specified");
  if (group.vpc.empty()) return aws_error("ValidationError", "A VPC ID must be specified");
  if (group.protocol != "HTTP") {
    return aws_error("InvalidConfigurationRequestException",
                     "Target group protocol '{}' is not implemented here, only 'HTTP'",
                     group.protocol);
  }
  group.protocol_version = get_string(input, "ProtocolVersion", "HTTP1");
  if (group.protocol_version != "HTTP1") {
    return aws_error("InvalidConfigurationRequestException",
                     "Protocol version '{}' is not implemented here, only 'HTTP1'",
                     group.protocol_version);
  }
  TRY(group.check, read_check(input, {}));
  TRY(group.tags, read_tags(input));
  for (const auto& [arn, old] : groups_) {
    if (old.name != group.name) continue;
    const bool same = old.protocol == group.protocol && old.port == group.port &&
                      old.vpc == group.vpc && old.target_type == group.target_type &&
                      old.check == group.check;
    if (!same) {
      return aws_error("DuplicateTargetGroupNameException",
                       "A target group with the same name '{}' exists, but with different settings",
                       group.name);
    }
    return Json{{"TargetGroups", {describe(old)}}};
  }
  group.arn = fmt::format("arn:aws:elasticloadbalancing:{}:{}:targetgroup/{}/{}", scope_.region,
                          scope_.account, group.name, random_hex(random_, 16));
  group.attributes = default_target_group_attributes();
  const std::string arn = group.arn;
  groups_.emplace(arn, std::move(group));
  changed(context.now, "target-group.created", {{"arn", arn}});
  return Json{{"TargetGroups", {describe(groups_.at(arn))}}};
}

Reply Elbv2::describe_target_groups(const Json& input, CallContext&) {
  const std::string balancer = get_string(input, "LoadBalancerArn");
  const auto arns = string_list(input, "TargetGroupArns"), names = string_list(input, "Names");
  if (!balancer.empty() && balancers_.count(balancer) == 0) {
    return aws_error("LoadBalancerNotFoundException", "Load balancer '{}' not found", balancer);
  }
  for (const std::string& arn : arns) {
    if (groups_.count(arn) == 0) return no_group();
  }
  const auto has = [](const auto& list, const std::string& what) {
    return std::find(list.begin(), list.end(), what) != list.end();
  };
  for (const std::string& wanted : names) {
    const bool known = std::any_of(groups_.begin(), groups_.end(),
                                   [&](const auto& each) { return each.second.name == wanted; });
    if (!known) return no_group();
  }
  std::vector<const TargetGroup*> found;
  for (const auto& [arn, group] : groups_) {
    if (!arns.empty() && !has(arns, arn)) continue;
    if (!names.empty() && !has(names, group.name)) continue;
    if (!balancer.empty() && balancer_of_group(arn) != balancer) continue;
    found.push_back(&group);
  }
  const auto page = take_page(found, get_string(input, "Marker"),
                              static_cast<std::size_t>(get_int(input, "PageSize", kElbPage)),
                              [](const TargetGroup* each) { return each->arn; });
  if (!page) return aws_error("ValidationError", "The marker is not one that was given out");
  Json list = Json::array();
  for (const TargetGroup* each : page->items) list.push_back(describe(*each));
  Json reply = {{"TargetGroups", std::move(list)}};
  if (!page->next.empty()) reply["NextMarker"] = page->next;
  return reply;
}

Reply Elbv2::modify_target_group(const Json& input, CallContext& context) {
  const auto found = groups_.find(get_string(input, "TargetGroupArn"));
  if (found == groups_.end()) return no_group();
  TRY(found->second.check, read_check(input, found->second.check));
  changed(context.now, "target-group.updated", {{"arn", found->first}});
  return Json{{"TargetGroups", {describe(found->second)}}};
}

Reply Elbv2::delete_target_group(const Json& input, CallContext& context) {
  const auto found = groups_.find(get_string(input, "TargetGroupArn"));
  if (found == groups_.end()) return Json::object();  // deleting it again succeeds
  if (found->second.in_use) {
    return aws_error("ResourceInUseException",
                     "Target group '{}' is currently in use by a listener or a rule", found->first);
  }
  const Json fields = {{"arn", found->first}};
  groups_.erase(found);
  changed(context.now, "target-group.deleted", fields);
  return Json::object();
}

Reply Elbv2::register_targets(const Json& input, CallContext& context) {
  const auto found = groups_.find(get_string(input, "TargetGroupArn"));
  if (found == groups_.end()) return no_group();
  const TargetGroup& group = found->second;
  std::vector<std::pair<std::string, int>> keys;
  std::size_t fresh = 0;
  for (const Json& target : *find(input, "Targets")) {
    keys.push_back(key_of(target, group));
    if (group.target_type == "instance") {
      return aws_error("InvalidTargetException",
                       "The following targets are not in a running state and cannot be "
                       "registered: '{}' (there are no instances here; use target type 'ip')",
                       keys.back().first);
    }
    if (!is_ipv4(keys.back().first)) {
      return aws_error("ValidationError", "The IP address '{}' is not a valid IPv4 address",
                       keys.back().first);
    }
    fresh += group.targets.count(keys.back()) == 0 ? 1 : 0;
  }
  if (group.targets.size() + fresh > kMaxTargetsPerGroup) {
    return aws_error("TooManyTargetsException", "A target group can have at most {} targets",
                     kMaxTargetsPerGroup);
  }
  for (const auto& [address, port] : keys)
    register_target(found->first, address, port, context.now);
  return Json::object();
}

Reply Elbv2::deregister_targets(const Json& input, CallContext& context) {
  const auto found = groups_.find(get_string(input, "TargetGroupArn"));
  if (found == groups_.end()) return no_group();
  for (const Json& target : *find(input, "Targets")) {
    const std::string id = get_string(target, "Id");
    if (find(target, "Port") != nullptr) {
      deregister_target(found->first, id, static_cast<int>(get_int(target, "Port")), context.now);
      continue;
    }
    std::vector<int> ports;  // without a port: every registration of the address
    for (const auto& [key, unused] : found->second.targets) {
      if (key.first == id) ports.push_back(key.second);
    }
    for (const int port : ports) deregister_target(found->first, id, port, context.now);
  }
  return Json::object();
}

TargetHealth Elbv2::health_of(const TargetGroup& group, const std::string& ip, int port) const {
  const auto found = group.targets.find({ip, port});
  if (found == group.targets.end()) {
    return {TargetState::Unused, "Target.NotRegistered",
            "Target is not registered to the target group"};
  }
  if (found->second.draining_until != kNever) {
    return {TargetState::Draining, "Target.DeregistrationInProgress",
            "Target deregistration is in progress"};
  }
  if (!group.in_use) {
    return {TargetState::Unused, "Target.NotInUse",
            "Target group is not configured to receive traffic from the load balancer"};
  }
  return found->second.progress.health;
}

Reply Elbv2::describe_target_health(const Json& input, CallContext&) {
  const auto found = groups_.find(get_string(input, "TargetGroupArn"));
  if (found == groups_.end()) return no_group();
  const TargetGroup& group = found->second;
  std::vector<std::pair<std::string, int>> keys;
  if (const Json* wanted = find(input, "Targets")) {
    for (const Json& target : *wanted) keys.push_back(key_of(target, group));
  } else {
    for (const auto& [key, unused] : group.targets) keys.push_back(key);
  }
  Json list = Json::array();
  for (const auto& [address, port] : keys) {
    const TargetHealth health = health_of(group, address, port);
    Json state = {{"State", to_string(health.state)}};
    if (!health.reason.empty()) state["Reason"] = health.reason;
    if (!health.description.empty()) state["Description"] = health.description;
    list.push_back({{"Target", {{"Id", address}, {"Port", port}}},
                    {"HealthCheckPort",
                     group.check.port == "traffic-port" ? std::to_string(port) : group.check.port},
                    {"TargetHealth", std::move(state)}});
  }
  return Json{{"TargetHealthDescriptions", std::move(list)}};
}

bool Elbv2::exists(const std::string& target_group_arn) const {
  return groups_.count(target_group_arn) > 0;
}

bool Elbv2::has_load_balancer(const std::string& target_group_arn) const {
  const TargetGroup* group = find_group(target_group_arn);
  return group != nullptr && group->in_use;
}

void Elbv2::register_target(const std::string& target_group_arn, const std::string& ip, int port,
                            TimePoint now) {
  const auto found = groups_.find(target_group_arn);
  if (found == groups_.end()) return;
  ElbTarget& target = found->second.targets[{ip, port}];
  const bool fresh = target.next_probe == TimePoint{} || target.draining_until != kNever;
  if (!fresh) return;  // registered already
  target = {};
  target.progress = registered();
  target.next_probe = now + kRegistrationTime;
  changed(now, "target.registered",
          {{"target-group", found->second.name}, {"target", fmt::format("{}:{}", ip, port)}});
}

void Elbv2::deregister_target(const std::string& target_group_arn, const std::string& ip, int port,
                              TimePoint now) {
  const auto found = groups_.find(target_group_arn);
  if (found == groups_.end()) return;
  TargetGroup& group = found->second;
  const auto target = group.targets.find({ip, port});
  if (target == group.targets.end() || target->second.draining_until != kNever) return;
  const Duration delay =
      seconds{std::stoi(group.attributes.at("deregistration_delay.timeout_seconds"))};
  const Json fields = {{"target-group", group.name}, {"target", fmt::format("{}:{}", ip, port)}};
  if (!group.in_use || delay == Duration{}) {
    group.targets.erase(target);
    changed(now, "target.deregistered", fields);
    return;
  }
  target->second.draining_until = now + delay;
  changed(now, "target.draining", fields);
}

TargetHealth Elbv2::health(const std::string& target_group_arn, const std::string& ip,
                           int port) const {
  const TargetGroup* group = find_group(target_group_arn);
  return group == nullptr ? TargetHealth{} : health_of(*group, ip, port);
}

}  // namespace coalmine::mock
