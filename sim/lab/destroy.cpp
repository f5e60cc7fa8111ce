#include <algorithm>
#include <nlohmann/json.hpp>

#include "sim/lab/provision.h"

namespace coalmine::lab {
namespace {

/// How long tasks may take to stop and drain before something else can go.
constexpr Duration kDrainPatience = std::chrono::minutes{3};
constexpr Duration kPoll = std::chrono::milliseconds{250};

bool is_one_of(const std::string& code, std::initializer_list<std::string_view> codes) {
  return std::find(codes.begin(), codes.end(), code) != codes.end();
}

bool is_gone(const aws::ServiceError& error) {
  return is_one_of(error.code,
                   {"NotFoundException", "ClusterNotFoundException", "ServiceNotFoundException",
                    "ServiceNotActiveException", "ServiceNotFound", "NamespaceNotFound",
                    "LoadBalancerNotFound", "TargetGroupNotFound", "ListenerNotFound"});
}

bool is_in_use(const aws::ServiceError& error) {
  return is_one_of(error.code,
                   {"ResourceInUse", "ResourceInUseException", "ClusterContainsTasksException",
                    "ClusterContainsServicesException"});
}

/// The list member `key`, or empty: an empty XML list reads as text.
Json list(const Json& answer, std::string_view key) {
  const Json* found = find(answer, key);
  return found != nullptr && found->is_array() ? *found : Json::array();
}

class Destroyer {
 public:
  Destroyer(aws::Client& client, const ProvisionSettings& settings, Clock& clock)
      : client_(client), s_(settings), names_(settings.names), clock_(clock) {}

  Status run() {
    TRY_STATUS(drain_at_once());
    TRY_STATUS(tasks());
    TRY_STATUS(load_balancer());
    TRY_STATUS(discovery());
    return mesh();
  }

 private:
  /// Deletes; what is not there is fine, what is still in use is tried again for a while.
  Status remove(std::string_view service, std::string_view operation, const Json& input) {
    const TimePoint patience = clock_.now() + kDrainPatience;
    for (;;) {
      const Result<Json> answer = client_.call(service, operation, input);
      if (answer) {
        deleted_ = true;
        return {};
      }
      const auto& refusal = client_.last_error();
      if (refusal && is_gone(*refusal)) return {};
      const TimePoint again = clock_.now() + kPoll;
      if (!refusal || !is_in_use(*refusal) || again >= patience) {
        return failed(operation, answer.error());
      }
      clock_.sleep_until(again);
      if (clock_.now() < again) return error(ErrorKind::Failed, "stopped while it waited");
    }
  }
  /// The answer, or an empty object if what was asked about is not there.
  Result<Json> ask(std::string_view service, std::string_view operation, const Json& input) {
    Result<Json> answer = client_.call(service, operation, input);
    if (answer) return answer;
    if (client_.last_error() && is_gone(*client_.last_error())) return Json::object();
    return failed(operation, answer.error());
  }
  static tl::unexpected<Error> failed(std::string_view operation, Error error) {
    error.message = fmt::format("{}: {}", operation, error.message);
    return tl::unexpected(std::move(error));
  }
  void done(int number, std::string what) {
    if (s_.on_step) s_.on_step({number, std::move(what), deleted_ ? "deleted" : "not there"});
    deleted_ = false;
  }

  std::vector<std::string> services() const {
    std::vector<std::string> names = {names_.app + "-gateway"};
    for (auto version = s_.versions.rbegin(); version != s_.versions.rend(); ++version) {
      names.push_back(names_.node(version->first));
    }
    return names;
  }

  Result<Json> target_groups() {
    Json all = Json::array();
    for (const auto& [version, tasks] : s_.versions) {
      TRY(const Json answer,
          ask("elbv2", "DescribeTargetGroups", {{"Names", Json::array({names_.node(version)})}}));
      for (const Json& one : list(answer, "TargetGroups")) {
        all.push_back(get_string(one, "TargetGroupArn"));
      }
    }
    return all;
  }

  /// A target drains for five minutes by default, and its task stops no sooner; nobody waits for
  /// answers of a lab that is taken down.
  Status drain_at_once() {
    const Json at_once =
        Json::array({Json{{"Key", "deregistration_delay.timeout_seconds"}, {"Value", "0"}}});
    TRY(const Json groups, target_groups());
    for (const Json& arn : groups) {
      TRY_STATUS(ask("elbv2", "ModifyTargetGroupAttributes",
                     {{"TargetGroupArn", arn}, {"Attributes", at_once}}));
    }
    return {};
  }

  // Steps 10 to 8: nobody serves any more.
  Status tasks() {
    int step = 10;
    for (const std::string& name : services()) {
      TRY_STATUS(remove("ecs", "DeleteService",
                        {{"cluster", names_.cluster}, {"service", name}, {"force", true}}));
      done(step, "service " + name);
      step = std::max(step - 1, 8);
      TRY(const Json known, ask("ecs", "ListTaskDefinitions", {{"familyPrefix", name}}));
      for (const Json& arn : list(known, "taskDefinitionArns")) {
        TRY_STATUS(ask("ecs", "DeregisterTaskDefinition", {{"taskDefinition", arn}}));
      }
    }
    TRY_STATUS(remove("ecs", "DeleteCluster", {{"cluster", names_.cluster}}));
    done(8, "cluster " + names_.cluster);
    return {};
  }

  Status load_balancer() {
    TRY(const Json balancers,
        ask("elbv2", "DescribeLoadBalancers", {{"Names", Json::array({names_.load_balancer})}}));
    for (const Json& one : list(balancers, "LoadBalancers")) {
      TRY_STATUS(remove("elbv2", "DeleteLoadBalancer",
                        {{"LoadBalancerArn", get_string(one, "LoadBalancerArn")}}));
    }
    TRY(const Json groups, target_groups());
    for (const Json& arn : groups) {
      TRY_STATUS(remove("elbv2", "DeleteTargetGroup", {{"TargetGroupArn", arn}}));
    }
    done(0, "load balancer " + names_.load_balancer + " and its target groups");
    return {};
  }

  /// Namespaces go in the background, too.
  Status wait_until_gone(const std::string& id) {
    const TimePoint patience = clock_.now() + kDrainPatience;
    for (;;) {
      TRY(const Json known, ask("cloudmap", "GetNamespace", {{"Id", id}}));
      if (find(known, "Namespace") == nullptr) return {};
      const TimePoint again = clock_.now() + kPoll;
      if (again >= patience) {
        return error(ErrorKind::Failed, "namespace {} is still there after {}", names_.domain,
                     to_string(kDrainPatience));
      }
      clock_.sleep_until(again);
      if (clock_.now() < again) return error(ErrorKind::Failed, "stopped while it waited");
    }
  }

  Status discovery() {
    TRY(const Json namespaces, ask("cloudmap", "ListNamespaces", Json::object()));
    for (const Json& space : list(namespaces, "Namespaces")) {
      if (get_string(space, "Name") != names_.domain) continue;
      const std::string id = get_string(space, "Id");
      TRY(const Json services,
          ask("cloudmap", "ListServices",
              {{"Filters",
                Json::array({Json{{"Name", "NAMESPACE_ID"}, {"Values", Json::array({id})}}})}}));
      for (const Json& one : list(services, "Services")) {
        TRY_STATUS(remove("cloudmap", "DeleteService", {{"Id", get_string(one, "Id")}}));
      }
      TRY_STATUS(remove("cloudmap", "DeleteNamespace", {{"Id", id}}));
      TRY_STATUS(wait_until_gone(id));
    }
    done(0, "namespace " + names_.domain + " with the services' names");
    return {};
  }

  // Steps 7 to 1: children before parents, as App Mesh demands.
  Status mesh() {
    const Json in_mesh = {{"meshName", names_.mesh}};
    const auto one = [&](const char* operation, const char* member, const std::string& name,
                         Json more = Json::object()) {
      Json input = in_mesh;
      input.update(more);
      input[member] = name;
      return remove("appmesh", operation, input);
    };
    const std::string gateway = names_.app + "-gateway", router = names_.app + "-router";
    const std::string service = names_.app + "." + names_.domain;
    TRY_STATUS(one("DeleteGatewayRoute", "gatewayRouteName", names_.app + "-gateway-route",
                   {{"virtualGatewayName", gateway}}));
    done(7, "gateway route " + names_.app + "-gateway-route");
    TRY_STATUS(one("DeleteVirtualGateway", "virtualGatewayName", gateway));
    done(6, "virtual gateway " + gateway);
    TRY_STATUS(
        one("DeleteRoute", "routeName", names_.app + "-route", {{"virtualRouterName", router}}));
    done(5, "route " + names_.app + "-route");
    TRY_STATUS(one("DeleteVirtualService", "virtualServiceName", service));
    done(4, "virtual service " + service);
    TRY_STATUS(one("DeleteVirtualRouter", "virtualRouterName", router));
    done(3, "virtual router " + router);
    std::string nodes;
    for (const auto& [version, tasks] : s_.versions) {
      TRY_STATUS(one("DeleteVirtualNode", "virtualNodeName", names_.node(version)));
      nodes += (nodes.empty() ? "" : ", ") + names_.node(version);
    }
    done(2, "virtual nodes " + nodes);
    TRY_STATUS(remove("appmesh", "DeleteMesh", in_mesh));
    done(1, "mesh " + names_.mesh);
    return {};
  }

  aws::Client& client_;
  const ProvisionSettings& s_;
  const LabNames& names_;
  Clock& clock_;
  bool deleted_ = false;  ///< something, since the last step was reported
};

/// What keeps a service from being steady; empty: nothing.
std::string unsteady(const Json& service) {
  const std::int64_t running = get_int(service, "runningCount");
  const std::int64_t desired = get_int(service, "desiredCount");
  const std::size_t deployments = list(service, "deployments").size();
  if (running == desired && deployments == 1) return {};
  const Json events = list(service, "events");
  const std::string last = events.empty() ? "" : get_string(events.front(), "message");
  return fmt::format("{}: {} of {} tasks run, {} deployment{}{}{}",
                     get_string(service, "serviceName"), running, desired, deployments,
                     deployments == 1 ? "" : "s", last.empty() ? "" : "; ", last);
}

}  // namespace

Status wait_until_steady(aws::Client& client, const ProvisionSettings& settings, Clock& clock,
                         Duration patience) {
  const TimePoint limit = clock.now() + patience;
  Json names = Json::array({settings.names.app + "-gateway"});
  for (const auto& [version, tasks] : settings.versions) {
    names.push_back(settings.names.node(version));
  }
  for (;;) {
    TRY(const Json answer, client.call("ecs", "DescribeServices",
                                       {{"cluster", settings.names.cluster}, {"services", names}}));
    std::string waiting;
    for (const Json& service : list(answer, "services")) {
      const std::string why = unsteady(service);
      if (!why.empty()) waiting += (waiting.empty() ? "" : "\n  ") + why;
    }
    if (waiting.empty()) return {};
    const TimePoint again = clock.now() + kPoll;
    if (again >= limit) {
      return error(ErrorKind::Failed, "not steady after {}:\n  {}", to_string(patience), waiting);
    }
    clock.sleep_until(again);
    if (clock.now() < again) return error(ErrorKind::Failed, "stopped while it waited");
  }
}

Status destroy(aws::Client& client, const ProvisionSettings& settings, Clock& clock) {
  return Destroyer(client, settings, clock).run();
}

}  // namespace coalmine::lab
