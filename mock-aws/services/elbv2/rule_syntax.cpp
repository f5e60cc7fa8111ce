#include "mock-aws/services/elbv2/rule_syntax.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

namespace coalmine::mock {
namespace {

Reply normalise_forward(const Json& action) {
  const std::string single = get_string(action, "TargetGroupArn");
  const Json* config = find(action, "ForwardConfig");
  const Json* listed = config != nullptr ? find(*config, "TargetGroups") : nullptr;
  Json groups = Json::array();
  if (listed != nullptr) {
    for (const Json& tuple : *listed) {
      const std::int64_t weight = get_int(tuple, "Weight", 1);
      if (weight < 0 || weight > kMaxTargetWeight) {
        return aws_error("ValidationError", "Weight '{}' must be between 0 and {}", weight,
                         kMaxTargetWeight);
      }
      groups.push_back(
          {{"TargetGroupArn", get_string(tuple, "TargetGroupArn")}, {"Weight", weight}});
    }
  } else if (!single.empty()) {
    groups.push_back({{"TargetGroupArn", single}, {"Weight", 1}});
  }
  if (groups.empty()) {
    return aws_error("ValidationError",
                     "A target group must be specified for a forward action, in TargetGroupArn or "
                     "ForwardConfig");
  }
  if (groups.size() > kMaxForwardGroups) {
    return aws_error("TooManyTargetGroupsException",
                     "A forward action can have at most {} target groups", kMaxForwardGroups);
  }
  std::set<std::string> seen;
  for (const Json& group : groups) {
    const std::string arn = group["TargetGroupArn"];
    if (arn.empty()) return aws_error("ValidationError", "A target group ARN must be specified");
    if (!seen.insert(arn).second) {
      return aws_error("InvalidLoadBalancerActionException",
                       "Target group '{}' is listed more than once in a forward action", arn);
    }
  }
  if (!single.empty() && (groups.size() != 1 || groups[0]["TargetGroupArn"] != single)) {
    return aws_error("InvalidLoadBalancerActionException",
                     "TargetGroupArn and ForwardConfig must name the same, single target group");
  }
  Json stickiness = {{"Enabled", false}};
  if (const Json* given =
          config != nullptr ? find(*config, "TargetGroupStickinessConfig") : nullptr) {
    stickiness["Enabled"] = get_bool(*given, "Enabled");
    const std::int64_t seconds = get_int(*given, "DurationSeconds");
    if (find(*given, "DurationSeconds") != nullptr || get_bool(*given, "Enabled")) {
      if (seconds < 1 || seconds > kMaxGroupStickiness_s) {
        return aws_error("ValidationError",
                         "Target group stickiness duration '{}' must be between 1 and {} seconds",
                         seconds, kMaxGroupStickiness_s);
      }
      stickiness["DurationSeconds"] = seconds;
    }
  }
  Json whole = {
      {"Type", "forward"},
      {"ForwardConfig", {{"TargetGroups", groups}, {"TargetGroupStickinessConfig", stickiness}}}};
  if (groups.size() == 1) whole["TargetGroupArn"] = groups[0]["TargetGroupArn"];
  return whole;
}

Reply normalise_redirect(const Json& action) {
  const Json* given = find(action, "RedirectConfig");
  if (given == nullptr) {
    return aws_error("ValidationError", "A redirect action must have a RedirectConfig");
  }
  Json config = {{"Protocol", "#{protocol}"},
                 {"Port", "#{port}"},
                 {"Host", "#{host}"},
                 {"Path", "/#{path}"},
                 {"Query", "#{query}"}};
  config.update(*given);
  if (!std::string(config["Path"]).starts_with("/")) {
    return aws_error("ValidationError", "The redirect path must begin with '/'");
  }
  const bool same = config["Protocol"] == "#{protocol}" && config["Port"] == "#{port}" &&
                    config["Host"] == "#{host}" && config["Path"] == "/#{path}";
  if (same) {
    return aws_error("InvalidLoadBalancerActionException",
                     "The redirect configuration is not valid because it creates a loop");
  }
  return Json{{"Type", "redirect"}, {"RedirectConfig", std::move(config)}};
}

Reply normalise_fixed(const Json& action) {
  const Json* given = find(action, "FixedResponseConfig");
  if (given == nullptr) {
    return aws_error("ValidationError", "A fixed-response action must have a FixedResponseConfig");
  }
  static const std::set<std::string> kTypes = {"text/plain", "text/css", "text/html",
                                               "application/javascript", "application/json"};
  const std::string type = get_string(*given, "ContentType");
  if (!type.empty() && kTypes.count(type) == 0) {
    return aws_error("ValidationError",
                     "ContentType '{}' must be one of text/plain, text/css, text/html, "
                     "application/javascript, application/json",
                     type);
  }
  return Json{{"Type", "fixed-response"}, {"FixedResponseConfig", *given}};
}

/// A condition's field and the name of its config member.
const std::map<std::string, std::string>& condition_configs() {
  static const std::map<std::string, std::string> kConfigs = {
      {"host-header", "HostHeaderConfig"},
      {"path-pattern", "PathPatternConfig"},
      {"http-header", "HttpHeaderConfig"},
      {"query-string", "QueryStringConfig"},
      {"http-request-method", "HttpRequestMethodConfig"},
      {"source-ip", "SourceIpConfig"}};
  return kConfigs;
}

bool is_cidr(const std::string& text) {
  const auto slash = text.find('/');
  if (slash == std::string::npos || !is_ipv4(std::string_view(text).substr(0, slash))) return false;
  int bits = -1;
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data() + slash + 1, end, bits);
  return error == std::errc{} && at == end && bits >= 0 && bits <= 32;
}

/// Every text that a condition compares with; keys of query strings too.
std::vector<std::string> compared(const Json& config) {
  std::vector<std::string> texts;
  for (const Json& value : config["Values"]) {
    if (value.is_string()) {
      texts.push_back(value);
    } else {
      texts.push_back(get_string(value, "Key") + get_string(value, "Value"));
    }
  }
  return texts;
}

Reply normalise_condition(const Json& given) {
  const std::string field = get_string(given, "Field");
  const auto known = condition_configs().find(field);
  if (known == condition_configs().end()) {
    return aws_error("ValidationError",
                     "Condition field '{}' must be one of '[path-pattern, host-header, "
                     "http-header, http-request-method, query-string, source-ip]'",
                     field);
  }
  const Json* config = find(given, known->second);
  const Json* values = find(given, "Values");
  if (find(given, "RegexValues") != nullptr ||
      (config != nullptr && find(*config, "RegexValues") != nullptr)) {
    return aws_error("InvalidConfigurationRequestException",
                     "RegexValues are not implemented here; use Values with * and ?");
  }
  const bool plain = field == "host-header" || field == "path-pattern";
  if (config == nullptr && (values == nullptr || !plain)) {
    return aws_error("ValidationError", "A condition on '{}' must have its {}", field,
                     known->second);
  }
  Json whole = config != nullptr ? *config : Json{{"Values", *values}};
  if (find(whole, "Values") == nullptr || whole["Values"].empty()) {
    return aws_error("ValidationError", "A condition value must be specified");
  }
  if (field == "http-header" && get_string(whole, "HttpHeaderName").empty()) {
    return aws_error("ValidationError", "HttpHeaderName must be specified");
  }
  if (whole["Values"].size() > kMaxConditionValues) {
    return aws_error("ValidationError", "A condition on '{}' can have at most {} values", field,
                     kMaxConditionValues);
  }
  for (const std::string& text : compared(whole)) {
    if (text.empty() || text.size() > kMaxConditionLength) {
      return aws_error("ValidationError",
                       "The condition value '{}' must be between 1 and {} characters", text,
                       kMaxConditionLength);
    }
    if (field == "source-ip" && !is_cidr(text)) {
      return aws_error("ValidationError", "The value '{}' is not a valid CIDR block", text);
    }
  }
  Json condition = {{"Field", field}, {known->second, whole}};
  if (plain) condition["Values"] = whole["Values"];
  return condition;
}

}  // namespace

bool is_ipv4(std::string_view text) {
  for (int part = 0; part < 4; ++part) {
    int value = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || value < 0 || value > 255 || end == text.data()) return false;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (part == 3) return text.empty();
    if (text.empty() || text[0] != '.') return false;
    text.remove_prefix(1);
  }
  return false;
}

Reply normalise_actions(const Json& actions) {
  if (actions.size() != 1) {
    return aws_error("InvalidLoadBalancerActionException",
                     "Exactly one action is implemented here: forward, redirect or fixed-response");
  }
  const Json& action = actions[0];
  const std::string type = get_string(action, "Type");
  Reply whole = type == "forward"    ? normalise_forward(action)
                : type == "redirect" ? normalise_redirect(action)
                : type == "fixed-response"
                    ? normalise_fixed(action)
                    : aws_error("InvalidLoadBalancerActionException",
                                "Action type '{}' is not implemented here", type);
  if (!whole) return whole;
  if (const Json* order = find(action, "Order")) (*whole)["Order"] = *order;
  return Json::array({std::move(*whole)});
}

Reply normalise_conditions(const Json& conditions) {
  Json all = Json::array();
  std::set<std::string> single;
  std::size_t values = 0, wildcards = 0;
  for (const Json& given : conditions) {
    TRY(Json condition, normalise_condition(given));
    const std::string field = condition["Field"];
    if (field != "http-header" && field != "query-string" && !single.insert(field).second) {
      return aws_error("ValidationError", "A rule can only have one '{}' condition", field);
    }
    for (const std::string& text : compared(condition[condition_configs().at(field)])) {
      ++values;
      if (field == "http-request-method" || field == "source-ip") continue;
      wildcards += static_cast<std::size_t>(
          std::count_if(text.begin(), text.end(), [](char c) { return c == '*' || c == '?'; }));
    }
    all.push_back(std::move(condition));
  }
  if (all.empty()) return aws_error("ValidationError", "A condition must be specified");
  if (values > kMaxConditionValuesRule) {
    return aws_error("ValidationError", "A rule can have at most {} condition values",
                     kMaxConditionValuesRule);
  }
  if (wildcards > kMaxWildcards) {
    return aws_error("ValidationError", "A rule can have at most {} condition wildcards",
                     kMaxWildcards);
  }
  return all;
}

std::vector<std::string> groups_of(const Json& actions) {
  std::vector<std::string> groups;
  for (const Json& action : actions) {
    const Json* config = find(action, "ForwardConfig");
    if (config == nullptr) continue;
    for (const Json& group : (*config)["TargetGroups"]) groups.push_back(group["TargetGroupArn"]);
  }
  return groups;
}

}  // namespace coalmine::mock
