// Listeners; each has a default rule that carries its DefaultActions.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "mock-aws/services/elbv2/elbv2.h"
#include "mock-aws/services/paging.h"
#include "sim/core/ids.h"

namespace coalmine::mock {
namespace {

tl::unexpected<AwsError> no_listener() {
  return aws_error("ListenerNotFoundException", "One or more listeners not found");
}

std::optional<AwsError> check_protocol(const std::string& protocol) {
  if (protocol == "HTTP") return std::nullopt;
  return AwsError{
      "UnsupportedProtocolException",
      fmt::format("Listener protocol '{}' is not implemented here, only 'HTTP'", protocol),
      0,
      {}};
}

}  // namespace

Json Elbv2::describe(const ElbListener& listener) const {
  return {{"ListenerArn", listener.arn},
          {"LoadBalancerArn", listener.load_balancer},
          {"Port", listener.port},
          {"Protocol", listener.protocol},
          {"DefaultActions", rules_of(listener.arn).back()->actions}};
}

Reply Elbv2::create_listener(const Json& input, CallContext& context) {
  ElbListener listener;
  listener.load_balancer = get_string(input, "LoadBalancerArn");
  if (balancers_.count(listener.load_balancer) == 0) {
    return aws_error("LoadBalancerNotFoundException", "Load balancer '{}' not found",
                     listener.load_balancer);
  }
  if (find(input, "Port") == nullptr || find(input, "Protocol") == nullptr) {
    return aws_error("ValidationError", "A listener must have a port and a protocol");
  }
  listener.port = static_cast<int>(get_int(input, "Port"));
  listener.protocol = get_string(input, "Protocol");
  if (const auto bad = check_protocol(listener.protocol)) return tl::unexpected(*bad);
  TRY(Json actions, read_actions(*find(input, "DefaultActions"), listener.load_balancer));
  TRY(listener.tags, read_tags(input));
  const auto others = listeners_of(listener.load_balancer);
  for (const ElbListener* other : others) {
    if (other->port != listener.port) continue;
    if (other->protocol == listener.protocol && rules_of(other->arn).back()->actions == actions) {
      return Json{{"Listeners", {describe(*other)}}};
    }
    return aws_error("DuplicateListenerException",
                     "A listener already exists on this port for this load balancer '{}'",
                     listener.load_balancer);
  }
  if (others.size() == kMaxListeners) {
    return aws_error("TooManyListenersException", "A load balancer can have at most {} listeners",
                     kMaxListeners);
  }
  const std::string prefix =
      fmt::format("arn:aws:elasticloadbalancing:{}:{}:", scope_.region, scope_.account);
  const std::string tail =
      fmt::format("{}/{}", balancer_tail(listener.load_balancer), random_hex(random_, 16));
  listener.arn = prefix + "listener/" + tail;
  listener.attributes = {{"routing.http.response.server.enabled", "true"}};
  ElbRule rule;
  rule.arn = fmt::format("{}listener-rule/{}/{}", prefix, tail, random_hex(random_, 16));
  rule.listener = listener.arn;
  rule.conditions = Json::array();
  rule.actions = std::move(actions);
  rules_.emplace(rule.arn, std::move(rule));
  const std::string arn = listener.arn;
  const int port = listener.port;
  listeners_.emplace(arn, std::move(listener));
  update_use(context.now);
  changed(context.now, "listener.created", {{"arn", arn}, {"port", port}});
  return Json{{"Listeners", {describe(listeners_.at(arn))}}};
}

Reply Elbv2::describe_listeners(const Json& input, CallContext&) {
  const std::string balancer = get_string(input, "LoadBalancerArn");
  const auto arns = string_list(input, "ListenerArns");
  if (balancer.empty() == arns.empty()) {
    return aws_error("ValidationError",
                     "You must specify either listener ARNs or a load balancer ARN");
  }
  std::vector<const ElbListener*> found;
  if (!balancer.empty()) {
    if (balancers_.count(balancer) == 0) {
      return aws_error("LoadBalancerNotFoundException", "Load balancer '{}' not found", balancer);
    }
    found = listeners_of(balancer);
  }
  for (const std::string& arn : arns) {
    const auto at = listeners_.find(arn);
    if (at == listeners_.end()) return no_listener();
    found.push_back(&at->second);
  }
  std::sort(found.begin(), found.end(),
            [](const auto* a, const auto* b) { return a->arn < b->arn; });
  const auto page = take_page(found, get_string(input, "Marker"),
                              static_cast<std::size_t>(get_int(input, "PageSize", kElbPage)),
                              [](const ElbListener* each) { return each->arn; });
  if (!page) return aws_error("ValidationError", "The marker is not one that was given out");
  Json list = Json::array();
  for (const ElbListener* each : page->items) list.push_back(describe(*each));
  Json reply = {{"Listeners", std::move(list)}};
  if (!page->next.empty()) reply["NextMarker"] = page->next;
  return reply;
}

Reply Elbv2::modify_listener(const Json& input, CallContext& context) {
  const auto found = listeners_.find(get_string(input, "ListenerArn"));
  if (found == listeners_.end()) return no_listener();
  ElbListener& listener = found->second;
  const int port = static_cast<int>(get_int(input, "Port", listener.port));
  const std::string protocol = get_string(input, "Protocol", listener.protocol);
  if (const auto bad = check_protocol(protocol)) return tl::unexpected(*bad);
  for (const ElbListener* other : listeners_of(listener.load_balancer)) {
    if (other != &listener && other->port == port) {
      return aws_error("DuplicateListenerException",
                       "A listener already exists on this port for this load balancer '{}'",
                       listener.load_balancer);
    }
  }
  if (const Json* given = find(input, "DefaultActions")) {
    TRY(Json actions, read_actions(*given, listener.load_balancer));
    rules_.at(rules_of(listener.arn).back()->arn).actions = std::move(actions);
  }
  listener.port = port;
  listener.protocol = protocol;
  update_use(context.now);
  changed(context.now, "listener.updated", {{"arn", listener.arn}, {"port", port}});
  return Json{{"Listeners", {describe(listener)}}};
}

void Elbv2::erase_listener(const std::string& arn) {
  for (const ElbRule* rule : rules_of(arn)) rules_.erase(std::string(rule->arn));
  listeners_.erase(std::string(arn));
}

Reply Elbv2::delete_listener(const Json& input, CallContext& context) {
  const std::string arn = get_string(input, "ListenerArn");
  if (listeners_.count(arn) == 0) {
    return aws_error("ListenerNotFoundException", "Listener '{}' not found", arn);
  }
  erase_listener(arn);
  update_use(context.now);
  changed(context.now, "listener.deleted", {{"arn", arn}});
  return Json::object();
}

}  // namespace coalmine::mock
