// Attributes of load balancers, listeners and target groups; tags of everything.
#include <charconv>
#include <nlohmann/json.hpp>
#include <set>

#include "mock-aws/services/elbv2/elbv2.h"

namespace coalmine::mock {
namespace {

/// Attributes that are numbers, with what is allowed. 0 is allowed besides where `or_zero`.
struct NumberRange {
  const char* key;
  int low, high;
  bool or_zero;
};
constexpr NumberRange kRanges[] = {
    {"idle_timeout.timeout_seconds", 1, 4000, false},
    {"client_keep_alive.seconds", 60, 604'800, false},
    {"deregistration_delay.timeout_seconds", 0, 3600, false},
    {"slow_start.duration_seconds", 30, 900, true},
    {"stickiness.lb_cookie.duration_seconds", 1, 604'800, false},
    {"stickiness.app_cookie.duration_seconds", 1, 604'800, false},
};

std::optional<AwsError> check_value(const std::string& key, const std::string& value) {
  const auto bad = [](std::string message) {
    return AwsError{"InvalidConfigurationRequestException", std::move(message), 0, {}};
  };
  for (const NumberRange& range : kRanges) {
    if (key != range.key) continue;
    int number = -1;
    const char* end = value.data() + value.size();
    const auto [at, error] = std::from_chars(value.data(), end, number);
    const bool fits = number >= range.low && number <= range.high;
    if (error == std::errc{} && at == end && (fits || (range.or_zero && number == 0))) {
      return std::nullopt;
    }
    return bad(fmt::format("'{}' must be between '{}' and '{}' inclusive{}, but is '{}'", key,
                           range.low, range.high, range.or_zero ? " or '0'" : "", value));
  }
  const bool flag = key.ends_with(".enabled") && key != "load_balancing.cross_zone.enabled";
  if (flag && value != "true" && value != "false") {
    return bad(fmt::format("'{}' must be 'true' or 'false', but is '{}'", key, value));
  }
  return std::nullopt;
}

Json to_list(const Attributes& attributes) {
  Json list = Json::array();
  for (const auto& [key, value] : attributes) list.push_back({{"Key", key}, {"Value", value}});
  return list;
}

/// Applies the input's Attributes, all or none.
Reply modify(std::string_view what, Attributes& attributes, const Json& input) {
  Attributes changed = attributes;
  for (const Json& attribute : *find(input, "Attributes")) {
    const std::string key = get_string(attribute, "Key"), value = get_string(attribute, "Value");
    const auto found = changed.find(key);
    if (found == changed.end()) {
      return aws_error("InvalidConfigurationRequestException",
                       "{} attribute key '{}' is not recognized", what, key);
    }
    if (const auto bad = check_value(key, value)) return tl::unexpected(*bad);
    found->second = value;
  }
  attributes = std::move(changed);
  return Json{{"Attributes", to_list(attributes)}};
}

}  // namespace

Attributes default_load_balancer_attributes() {
  return {{"access_logs.s3.bucket", ""},
          {"access_logs.s3.enabled", "false"},
          {"access_logs.s3.prefix", ""},
          {"client_keep_alive.seconds", "3600"},
          {"connection_logs.s3.bucket", ""},
          {"connection_logs.s3.enabled", "false"},
          {"connection_logs.s3.prefix", ""},
          {"deletion_protection.enabled", "false"},
          {"idle_timeout.timeout_seconds", "60"},
          {"load_balancing.cross_zone.enabled", "true"},
          {"routing.http.desync_mitigation_mode", "defensive"},
          {"routing.http.drop_invalid_header_fields.enabled", "false"},
          {"routing.http.preserve_host_header.enabled", "false"},
          {"routing.http.x_amzn_tls_version_and_cipher_suite.enabled", "false"},
          {"routing.http.xff_client_port.enabled", "false"},
          {"routing.http.xff_header_processing.mode", "append"},
          {"routing.http2.enabled", "true"},
          {"waf.fail_open.enabled", "false"},
          {"zonal_shift.config.enabled", "false"}};
}

Attributes default_target_group_attributes() {
  return {
      {"deregistration_delay.timeout_seconds", "300"},
      {"load_balancing.algorithm.anomaly_mitigation", "off"},
      {"load_balancing.algorithm.type", "round_robin"},
      {"load_balancing.cross_zone.enabled", "use_load_balancer_configuration"},
      {"slow_start.duration_seconds", "0"},
      {"stickiness.app_cookie.cookie_name", ""},
      {"stickiness.app_cookie.duration_seconds", "86400"},
      {"stickiness.enabled", "false"},
      {"stickiness.lb_cookie.duration_seconds", "86400"},
      {"stickiness.type", "lb_cookie"},
      {"target_group_health.dns_failover.minimum_healthy_targets.count", "1"},
      {"target_group_health.dns_failover.minimum_healthy_targets.percentage", "off"},
      {"target_group_health.unhealthy_state_routing.minimum_healthy_targets.count", "1"},
      {"target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage", "off"}};
}

Reply Elbv2::describe_load_balancer_attributes(const Json& input, CallContext&) {
  const auto found = balancers_.find(get_string(input, "LoadBalancerArn"));
  if (found == balancers_.end()) {
    return aws_error("LoadBalancerNotFoundException", "One or more load balancers not found");
  }
  return Json{{"Attributes", to_list(found->second.attributes)}};
}

Reply Elbv2::modify_load_balancer_attributes(const Json& input, CallContext& context) {
  const auto found = balancers_.find(get_string(input, "LoadBalancerArn"));
  if (found == balancers_.end()) {
    return aws_error("LoadBalancerNotFoundException", "One or more load balancers not found");
  }
  Reply reply = modify("Load balancer", found->second.attributes, input);
  if (reply) changed(context.now, "load-balancer.updated", {{"name", found->second.name}});
  return reply;
}

Reply Elbv2::describe_target_group_attributes(const Json& input, CallContext&) {
  const auto found = groups_.find(get_string(input, "TargetGroupArn"));
  if (found == groups_.end()) {
    return aws_error("TargetGroupNotFoundException", "One or more target groups not found");
  }
  return Json{{"Attributes", to_list(found->second.attributes)}};
}

Reply Elbv2::modify_target_group_attributes(const Json& input, CallContext& context) {
  const auto found = groups_.find(get_string(input, "TargetGroupArn"));
  if (found == groups_.end()) {
    return aws_error("TargetGroupNotFoundException", "One or more target groups not found");
  }
  Reply reply = modify("Target group", found->second.attributes, input);
  if (reply) changed(context.now, "target-group.updated", {{"arn", found->first}});
  return reply;
}

Reply Elbv2::describe_listener_attributes(const Json& input, CallContext&) {
  const auto found = listeners_.find(get_string(input, "ListenerArn"));
  if (found == listeners_.end()) {
    return aws_error("ListenerNotFoundException", "One or more listeners not found");
  }
  return Json{{"Attributes", to_list(found->second.attributes)}};
}

Reply Elbv2::modify_listener_attributes(const Json& input, CallContext&) {
  const auto found = listeners_.find(get_string(input, "ListenerArn"));
  if (found == listeners_.end()) {
    return aws_error("ListenerNotFoundException", "One or more listeners not found");
  }
  return modify("Listener", found->second.attributes, input);
}

tl::expected<Attributes*, AwsError> Elbv2::tags_of(const std::string& arn) {
  const auto in = [&](auto& map) -> Attributes* {
    const auto found = map.find(arn);
    return found == map.end() ? nullptr : &found->second.tags;
  };
  for (Attributes* tags : {in(balancers_), in(listeners_), in(rules_), in(groups_)}) {
    if (tags != nullptr) return tags;
  }
  if (arn.find(":loadbalancer/") != std::string::npos) {
    return aws_error("LoadBalancerNotFoundException", "One or more load balancers not found");
  }
  if (arn.find(":listener/") != std::string::npos) {
    return aws_error("ListenerNotFoundException", "One or more listeners not found");
  }
  if (arn.find(":listener-rule/") != std::string::npos) {
    return aws_error("RuleNotFoundException", "One or more rules not found");
  }
  if (arn.find(":targetgroup/") != std::string::npos) {
    return aws_error("TargetGroupNotFoundException", "One or more target groups not found");
  }
  return aws_error("ValidationError", "'{}' is not a valid ARN", arn);
}

Reply Elbv2::add_tags(const Json& input, CallContext&) {
  TRY(const Attributes added, read_tags(input));
  std::vector<Attributes*> places;
  for (const std::string& arn : string_list(input, "ResourceArns")) {
    TRY(Attributes * tags, tags_of(arn));
    std::set<std::string> keys;
    for (const auto& [key, value] : *tags) keys.insert(key);
    for (const auto& [key, value] : added) keys.insert(key);
    if (keys.size() > kMaxElbTags) {
      return aws_error("TooManyTagsException", "A resource can have at most {} tags", kMaxElbTags);
    }
    places.push_back(tags);
  }
  for (Attributes* tags : places) {
    for (const auto& [key, value] : added) (*tags)[key] = value;
  }
  return Json::object();
}

Reply Elbv2::remove_tags(const Json& input, CallContext&) {
  std::vector<Attributes*> places;
  for (const std::string& arn : string_list(input, "ResourceArns")) {
    TRY(Attributes * tags, tags_of(arn));
    places.push_back(tags);
  }
  for (Attributes* tags : places) {
    for (const std::string& key : string_list(input, "TagKeys")) tags->erase(key);
  }
  return Json::object();
}

Reply Elbv2::describe_tags(const Json& input, CallContext&) {
  Json list = Json::array();
  for (const std::string& arn : string_list(input, "ResourceArns")) {
    TRY(const Attributes* tags, tags_of(arn));
    list.push_back({{"ResourceArn", arn}, {"Tags", to_list(*tags)}});
  }
  return Json{{"TagDescriptions", std::move(list)}};
}

}  // namespace coalmine::mock
