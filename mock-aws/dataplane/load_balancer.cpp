#include "mock-aws/dataplane/load_balancer.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "sim/core/check.h"

namespace coalmine::mock {
namespace {

using traffic::FieldMatch;
using traffic::StringMatch;

int number(const std::string& text) {
  int value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

StringMatch wildcard(std::string value, bool ignore_case) {
  StringMatch match;
  match.kind = StringMatch::Kind::Wildcard;
  match.value = std::move(value);
  match.ignore_case = ignore_case;
  return match;
}

/// Hosts, header values and queries are compared without case, paths with it.
std::vector<StringMatch> wildcards(const Json& config, bool ignore_case) {
  std::vector<StringMatch> matches;
  for (const Json& value : config["Values"]) matches.push_back(wildcard(value, ignore_case));
  return matches;
}

/// The pairs of one query condition are alternatives, but a table holds alternatives per key only:
/// one match per key, each to become a route of its own. No key: any key may have the value.
std::vector<FieldMatch> query_matches(const Json& config) {
  std::vector<FieldMatch> matches;
  for (const Json& pair : config["Values"]) {
    const std::string key = get_string(pair, "Key");
    auto at = std::find_if(matches.begin(), matches.end(),
                           [&](const FieldMatch& match) { return match.name == key; });
    if (at == matches.end()) at = matches.insert(at, FieldMatch{key, {}});
    at->any_of.push_back(wildcard(get_string(pair, "Value"), true));
  }
  return matches;
}

/// One match, or several of which any may hold.
std::vector<traffic::RouteMatch> compile_match(const ElbRule& rule) {
  traffic::RouteMatch match;
  std::vector<std::vector<FieldMatch>> queries;
  for (const Json& condition : rule.conditions) {
    const std::string field = condition["Field"];
    if (field == "host-header") {
      match.host = wildcards(condition["HostHeaderConfig"], true);
    } else if (field == "path-pattern") {
      match.path = wildcards(condition["PathPatternConfig"], false);
    } else if (field == "http-header") {
      const Json& config = condition["HttpHeaderConfig"];
      match.headers.push_back({config["HttpHeaderName"], wildcards(config, true)});
    } else if (field == "query-string") {
      queries.push_back(query_matches(condition["QueryStringConfig"]));
    } else if (field == "http-request-method") {
      match.methods = string_list(condition["HttpRequestMethodConfig"], "Values");
    } else {
      match.source_cidrs = string_list(condition["SourceIpConfig"], "Values");
    }
  }
  std::vector<traffic::RouteMatch> all = {std::move(match)};
  for (const std::vector<FieldMatch>& alternatives : queries) {
    std::vector<traffic::RouteMatch> product;
    for (const traffic::RouteMatch& each : all) {
      for (const FieldMatch& query : alternatives) {
        product.push_back(each);
        product.back().query.push_back(query);
      }
    }
    all = std::move(product);
  }
  return all;
}

traffic::Target compile_target(const TargetGroup& group, std::uint32_t weight) {
  traffic::Target target;
  target.name = group.name;
  target.weight = weight;
  for (const auto& [key, registered] : group.targets) {
    if (registered.draining_until != kNever) continue;
    target.instances.push_back({fmt::format("{}:{}", key.first, key.second), key.first, key.second,
                                registered.progress.health.state == TargetState::Healthy});
  }
  if (target.instances.empty()) {
    target.unavailable =
        group.targets.empty()
            ? fmt::format("target group {} has no registered targets", group.name)
            : fmt::format("all targets of target group {} are draining", group.name);
  }
  return target;
}

traffic::Forward compile_forward(const Elbv2& elb, const LoadBalancer& balancer,
                                 const Json& config) {
  traffic::Forward forward;
  forward.empty = traffic::EmptyPolicy::FailOpen;
  for (const Json& tuple : config["TargetGroups"]) {
    const TargetGroup* group = elb.find_group(tuple["TargetGroupArn"]);
    CHECK(group != nullptr);  // a group in use cannot be deleted
    forward.targets.push_back(compile_target(*group, tuple["Weight"].get<std::uint32_t>()));
  }
  const Duration idle =
      std::chrono::seconds{number(balancer.attributes.at("idle_timeout.timeout_seconds"))};
  forward.timeouts = {Duration{}, idle};  // a response may take as long as it keeps coming
  const Json& stickiness = config["TargetGroupStickinessConfig"];
  if (get_bool(stickiness, "Enabled")) {
    forward.stickiness.duration = std::chrono::seconds{get_int(stickiness, "DurationSeconds")};
  }
  return forward;
}

traffic::DesyncMode desync_mode(const LoadBalancer& balancer) {
  const std::string& mode = balancer.attributes.at("routing.http.desync_mitigation_mode");
  if (mode == "strictest") return traffic::DesyncMode::Strictest;
  return mode == "monitor" ? traffic::DesyncMode::Monitor : traffic::DesyncMode::Defensive;
}

traffic::Redirect compile_redirect(const Json& config) {
  traffic::Redirect redirect;
  redirect.status = config["StatusCode"] == "HTTP_301" ? 301 : 302;
  redirect.protocol = config["Protocol"];
  redirect.host = config["Host"];
  redirect.port = config["Port"];
  redirect.path = config["Path"];
  redirect.query = config["Query"];
  return redirect;
}

std::vector<traffic::Route> compile_rule(const Elbv2& elb, const LoadBalancer& balancer,
                                         const ElbRule& rule) {
  traffic::Route route;
  route.name = rule.priority ? fmt::format("rule-{}", *rule.priority) : "default";
  route.priority = rule.priority;
  const Json& action = rule.actions.back();
  const std::string type = action["Type"];
  if (type == "forward") {
    route.action = compile_forward(elb, balancer, action["ForwardConfig"]);
  } else if (type == "redirect") {
    route.action = compile_redirect(action["RedirectConfig"]);
  } else {
    const Json& config = action["FixedResponseConfig"];
    traffic::FixedResponse fixed;
    fixed.status = number(get_string(config, "StatusCode"));
    fixed.content_type = get_string(config, "ContentType", "text/plain");
    fixed.body = get_string(config, "MessageBody");
    route.action = std::move(fixed);
  }
  std::vector<traffic::Route> routes;
  for (traffic::RouteMatch& match : compile_match(rule)) {
    routes.push_back(route);
    routes.back().match = std::move(match);
  }
  return routes;
}

}  // namespace

Result<traffic::RouteTable> compile_load_balancer(const Elbv2& elb, const std::string& name,
                                                  std::uint64_t version) {
  const LoadBalancer* balancer = elb.find_load_balancer(name);
  if (balancer == nullptr) {
    std::string known;
    for (const LoadBalancerView& view : elb.load_balancers()) {
      known += (known.empty() ? "" : ", ") + view.name;
    }
    return error("there is no load balancer {}; there are: {}", name,
                 known.empty() ? "none" : known);
  }
  traffic::RouteTable table;
  table.version = version;
  table.name = balancer->name;
  for (const ElbListener* listener : elb.listeners_of(balancer->arn)) {
    traffic::Listener compiled;
    compiled.name = fmt::format("{}:{}", listener->protocol, listener->port);
    compiled.port = listener->port;
    compiled.dialect = traffic::Dialect::Alb;
    compiled.desync = desync_mode(*balancer);
    compiled.drop_invalid_headers =
        balancer->attributes.at("routing.http.drop_invalid_header_fields.enabled") == "true";
    for (const ElbRule* rule : elb.rules_of(listener->arn)) {
      for (traffic::Route& route : compile_rule(elb, *balancer, *rule)) {
        compiled.routes.push_back(std::move(route));
      }
    }
    table.listeners.push_back(std::move(compiled));
  }
  return table;
}

}  // namespace coalmine::mock
