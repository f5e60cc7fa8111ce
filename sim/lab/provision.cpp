#include "sim/lab/provision.h"

#include <nlohmann/json.hpp>

#include "sim/aws/elbv2.h"

namespace coalmine::lab {
namespace {

constexpr Duration kNamespacePatience = std::chrono::seconds{90};
constexpr const char* kExecutionRole = "arn:aws:iam::000000000000:role/ecsTaskExecutionRole";

/// Errors that say "it is there already", by service.
bool exists_already(const aws::ServiceError& error) {
  for (const std::string_view code :
       {"ConflictException", "NamespaceAlreadyExists", "ServiceAlreadyExists",
        "DuplicateLoadBalancerName", "DuplicateTargetGroupName", "DuplicateListener"}) {
    if (error.code == code) return true;
  }
  // ECS: "Creation of service was not idempotent."
  return error.code == "InvalidParameterException" &&
         error.message.find("not idempotent") != std::string::npos;
}

class Provisioner {
 public:
  Provisioner(aws::Client& client, const ProvisionSettings& settings, Clock& clock)
      : client_(client), s_(settings), names_(settings.names), clock_(clock) {}

  Status run() {
    TRY_STATUS(mesh());
    TRY_STATUS(discovery());
    // Before the services, which register their tasks with its target groups.
    if (s_.load_balancer) TRY_STATUS(load_balancer());
    if (s_.tasks) TRY_STATUS(tasks());
    return {};
  }

 private:
  Status create(std::string_view service, std::string_view operation, const Json& input) {
    const Result<Json> answer = client_.call(service, operation, input);
    if (answer) {
      created_ = true;
      return {};
    }
    if (client_.last_error() && exists_already(*client_.last_error())) return {};
    return tl::unexpected(wrap(operation, answer.error()));
  }
  Result<Json> ask(std::string_view service, std::string_view operation, const Json& input) {
    Result<Json> answer = client_.call(service, operation, input);
    if (!answer) return tl::unexpected(wrap(operation, answer.error()));
    return answer;
  }
  /// Tells what was done since the last step.
  void done(int number, std::string what) {
    if (s_.on_step) s_.on_step({number, std::move(what), created_ ? "created" : "exists"});
    created_ = false;
  }
  static Error wrap(std::string_view operation, Error error) {
    error.message = fmt::format("{}: {}", operation, error.message);
    return error;
  }

  Json http_listener(int port) const {
    return Json::array({Json{{"portMapping", {{"port", port}, {"protocol", "http"}}}}});
  }

  /// As long as a whole request may take, an attempt may: the API wants to be told.
  static Json retry_policy(const ProvisionSettings::Retries& retries) {
    Json policy = {{"maxRetries", retries.max},
                   {"perRetryTimeout", {{"unit", "s"}, {"value", 15}}}};
    if (retries.on.empty()) policy["httpRetryEvents"] = {"server-error"};
    for (const std::string& event : retries.on) {
      const bool tcp = event == "connection-error";
      policy[tcp ? "tcpRetryEvents" : "httpRetryEvents"].push_back(event);
    }
    return policy;
  }

  Json http_route(const Json& targets) const {
    Json route = {{"match", {{"prefix", "/"}}}, {"action", {{"weightedTargets", targets}}}};
    if (s_.request_timeout > Duration{}) {
      const auto ms = std::chrono::ceil<std::chrono::milliseconds>(s_.request_timeout);
      route["timeout"] = {{"perRequest", {{"unit", "ms"}, {"value", ms.count()}}}};
    }
    if (s_.retries) route["retryPolicy"] = retry_policy(*s_.retries);
    return route;
  }

  // Steps 1 to 7: mesh, virtual nodes, router, service, route, gateway, gateway route.
  Status mesh() {
    const std::string router = names_.app + "-router", service = names_.app + "." + names_.domain;
    TRY_STATUS(create("appmesh", "CreateMesh", {{"meshName", names_.mesh}}));
    done(1, "mesh " + names_.mesh);
    std::string nodes;
    Json targets = Json::array();
    for (const auto& [version, tasks] : s_.versions) {
      const std::string node = names_.node(version);
      TRY_STATUS(create(
          "appmesh", "CreateVirtualNode",
          {{"meshName", names_.mesh},
           {"virtualNodeName", node},
           {"spec",
            {{"listeners", http_listener(s_.port)},
             {"serviceDiscovery", {{"dns", {{"hostname", node + "." + names_.domain}}}}}}}}));
      targets.push_back({{"virtualNode", node}, {"weight", targets.empty() ? 100 : 0}});
      nodes += (nodes.empty() ? "" : ", ") + node;
    }
    done(2, "virtual nodes " + nodes);
    TRY_STATUS(create("appmesh", "CreateVirtualRouter",
                      {{"meshName", names_.mesh},
                       {"virtualRouterName", router},
                       {"spec", {{"listeners", http_listener(s_.port)}}}}));
    done(3, "virtual router " + router);
    TRY_STATUS(
        create("appmesh", "CreateVirtualService",
               {{"meshName", names_.mesh},
                {"virtualServiceName", service},
                {"spec", {{"provider", {{"virtualRouter", {{"virtualRouterName", router}}}}}}}}));
    done(4, "virtual service " + service);
    TRY_STATUS(create("appmesh", "CreateRoute",
                      {{"meshName", names_.mesh},
                       {"virtualRouterName", router},
                       {"routeName", names_.app + "-route"},
                       {"spec", {{"httpRoute", http_route(targets)}}}}));
    done(5, fmt::format("route {}-route, everything to {} at first", names_.app,
                        names_.node(s_.versions.front().first)));
    TRY_STATUS(create("appmesh", "CreateVirtualGateway",
                      {{"meshName", names_.mesh},
                       {"virtualGatewayName", names_.app + "-gateway"},
                       {"spec", {{"listeners", http_listener(s_.gateway_port)}}}}));
    done(6, fmt::format("virtual gateway {}-gateway, port {}", names_.app, s_.gateway_port));
    TRY_STATUS(
        create("appmesh", "CreateGatewayRoute",
               {{"meshName", names_.mesh},
                {"virtualGatewayName", names_.app + "-gateway"},
                {"gatewayRouteName", names_.app + "-gateway-route"},
                {"spec",
                 {{"httpRoute",
                   {{"match", {{"prefix", "/"}}},
                    {"action",
                     {{"target", {{"virtualService", {{"virtualServiceName", service}}}}}}}}}}}}));
    done(7, "gateway route " + names_.app + "-gateway-route");
    return {};
  }

  /// Namespaces are made in the background; waits until ours is there.
  Result<std::string> namespace_id() {
    const TimePoint patience = clock_.now() + kNamespacePatience;
    for (;;) {
      TRY(const Json listed, ask("cloudmap", "ListNamespaces", Json::object()));
      for (const Json& one : listed.value("Namespaces", Json::array())) {
        if (get_string(one, "Name") == names_.domain) return get_string(one, "Id");
      }
      if (clock_.now() >= patience) {
        return error(ErrorKind::Failed, "namespace {} was not made within {}", names_.domain,
                     to_string(kNamespacePatience));
      }
      clock_.sleep_until(clock_.now() + std::chrono::milliseconds{200});
    }
  }

  // Step 8, first half: names in Cloud Map.
  Status discovery() {
    TRY_STATUS(create("cloudmap", "CreatePrivateDnsNamespace",
                      {{"Name", names_.domain},
                       {"Vpc", "vpc-coalmine"},
                       {"CreatorRequestId", "coalmine-" + names_.domain}}));
    TRY(const std::string id, namespace_id());
    for (const auto& [version, tasks] : s_.versions) {
      const std::string name = names_.node(version);
      TRY_STATUS(
          create("cloudmap", "CreateService",
                 {{"Name", name},
                  {"NamespaceId", id},
                  {"DnsConfig", {{"DnsRecords", Json::array({Json{{"Type", "A"}, {"TTL", 10}}})}}},
                  {"HealthCheckCustomConfig", {{"FailureThreshold", 1}}}}));
    }
    done(0, "namespace " + names_.domain + " with the services' names");
    TRY(const Json services, ask("cloudmap", "ListServices", Json::object()));
    for (const Json& one : services.value("Services", Json::array())) {
      registries_[get_string(one, "Name")] = get_string(one, "Arn");
    }
    return {};
  }

  Json container(const std::string& name, const std::string& image, std::vector<int> ports,
                 Json environment) const {
    Json mappings = Json::array();
    for (const int port : ports) {
      mappings.push_back({{"containerPort", port}, {"hostPort", port}, {"protocol", "tcp"}});
    }
    return {{"name", name},
            {"image", image},
            {"essential", true},
            {"portMappings", mappings},
            {"environment", std::move(environment)}};
  }

  Json logged(Json container) const {
    if (s_.log_group.empty()) return container;
    container["logConfiguration"] = {{"logDriver", "awslogs"},
                                     {"options",
                                      {{"awslogs-group", s_.log_group},
                                       {"awslogs-region", "us-east-1"},
                                       {"awslogs-create-group", "true"},
                                       {"awslogs-stream-prefix", "lab"}}}};
    return container;
  }

  Json environment_of(const std::string& version) const {
    Json list = Json::array();
    const auto at = s_.environment.find(version);
    if (at == s_.environment.end()) return list;
    for (const auto& [name, value] : at->second) {
      list.push_back({{"name", name}, {"value", value}});
    }
    return list;
  }

  Status service(const std::string& name, int tasks, const Json& containers, bool registered) {
    TRY(const Json known, ask("ecs", "DescribeServices",
                              {{"cluster", names_.cluster}, {"services", Json::array({name})}}));
    for (const Json& one : known.value("services", Json::array())) {
      if (get_string(one, "status") == "ACTIVE") return {};
    }
    Json definition = {
        {"family", name},          {"requiresCompatibilities", Json::array({"FARGATE"})},
        {"networkMode", "awsvpc"}, {"cpu", "256"},
        {"memory", "512"},         {"containerDefinitions", Json::array({logged(containers)})}};
    if (!s_.log_group.empty()) definition["executionRoleArn"] = kExecutionRole;
    TRY(const Json ignored, ask("ecs", "RegisterTaskDefinition", definition));
    Json input = {{"cluster", names_.cluster},
                  {"serviceName", name},
                  {"taskDefinition", name},
                  {"desiredCount", tasks},
                  {"launchType", "FARGATE"},
                  {"networkConfiguration",
                   {{"awsvpcConfiguration", {{"subnets", Json::array({"subnet-coalmine"})}}}}}};
    if (registered) {
      input["serviceRegistries"] = Json::array({Json{{"registryArn", registries_[name]}}});
    }
    if (const auto group = groups_.find(name); group != groups_.end()) {
      input["loadBalancers"] = Json::array({Json{
          {"targetGroupArn", group->second}, {"containerName", name}, {"containerPort", s_.port}}});
    }
    return create("ecs", "CreateService", input);
  }

  // Steps 8 to 10: cluster, both versions, the gateway.
  Status tasks() {
    TRY_STATUS(create("ecs", "CreateCluster", {{"clusterName", names_.cluster}}));
    created_ = false;  // ECS answers for a cluster that is there as for a new one
    int step = 8;
    for (const auto& [version, tasks] : s_.versions) {
      const std::string name = names_.node(version);
      const auto other = s_.builds.find(version);
      const std::string& build = other == s_.builds.end() ? version : other->second;
      TRY_STATUS(service(
          name, tasks,
          container(name, "coalmine/sample-app:" + build, {s_.port}, environment_of(version)),
          true));
      done(step, fmt::format("{}service {} with {} task{}",
                             step == 8 ? "cluster " + names_.cluster + ", " : "", name, tasks,
                             tasks == 1 ? "" : "s"));
      step = 9;
    }
    const std::string gateway = names_.app + "-gateway";
    const std::string node = fmt::format("mesh/{}/virtualGateway/{}", names_.mesh, gateway);
    TRY_STATUS(service(
        gateway, 1,
        container("envoy", "public.ecr.aws/appmesh/aws-appmesh-envoy:v1.29.12.1-prod",
                  {s_.gateway_port, 9901},
                  Json::array({Json{{"name", "APPMESH_VIRTUAL_NODE_NAME"}, {"value", node}}})),
        false));
    done(10, fmt::format("service {} in front, port {}", gateway, s_.gateway_port));
    return {};
  }

  Status limit_idle_time(const std::string& load_balancer) {
    const auto idle = std::chrono::ceil<std::chrono::seconds>(s_.request_timeout);
    const Json attribute = {{"Key", "idle_timeout.timeout_seconds"},
                            {"Value", fmt::format("{}", idle.count())}};
    TRY_STATUS(ask("elbv2", "ModifyLoadBalancerAttributes",
                   {{"LoadBalancerArn", load_balancer}, {"Attributes", Json::array({attribute})}}));
    return {};
  }

  /// A listener that was there may know fewer groups, and ECS takes none without a load balancer.
  Status forward_to_all_groups() {
    TRY(const auto balancer, aws::describe_load_balancer(client_, names_.load_balancer));
    TRY(const auto place, aws::describe_listener(client_, balancer, s_.listener_port));
    std::map<std::string, int> missing;
    const auto known = aws::forward_weights(*place.actions);
    for (const auto& [name, arn] : groups_) {
      if (!known.contains(arn)) missing[arn] = 0;
    }
    if (missing.empty()) return {};
    TRY(const Json actions, aws::with_forward_weights(*place.actions, missing));
    return aws::modify_actions(client_, place, actions);
  }

  // The other way to split traffic: one listener, a weighted forward to a group per version.
  Status load_balancer() {
    TRY_STATUS(create("elbv2", "CreateLoadBalancer",
                      {{"Name", names_.load_balancer},
                       {"Type", "application"},
                       {"Subnets", Json::array({"subnet-coalmine", "subnet-coalmine-2"})}}));
    TRY(const Json balancers,
        ask("elbv2", "DescribeLoadBalancers", {{"Names", Json::array({names_.load_balancer})}}));
    const Json* list = find(balancers, "LoadBalancers");
    if (list == nullptr || !list->is_array() || list->empty()) {
      return error(ErrorKind::Failed, "load balancer {} was not made", names_.load_balancer);
    }
    const std::string arn = get_string((*list)[0], "LoadBalancerArn");
    if (s_.request_timeout > Duration{}) TRY_STATUS(limit_idle_time(arn));
    Json groups = Json::array();
    for (const auto& [version, tasks] : s_.versions) {
      const std::string name = names_.node(version);
      TRY_STATUS(create("elbv2", "CreateTargetGroup",
                        {{"Name", name},
                         {"Protocol", "HTTP"},
                         {"Port", s_.port},
                         {"TargetType", "ip"},
                         {"VpcId", "vpc-coalmine"},
                         {"HealthCheckIntervalSeconds", 5},
                         {"HealthCheckTimeoutSeconds", 2},
                         {"HealthCheckPath", "/healthcheck"}}));
      TRY(const Json found, ask("elbv2", "DescribeTargetGroups", {{"Names", Json::array({name})}}));
      const Json* made = find(found, "TargetGroups");
      if (made == nullptr || !made->is_array() || made->empty()) {
        return error(ErrorKind::Failed, "target group {} was not made", name);
      }
      groups_[name] = get_string((*made)[0], "TargetGroupArn");
      groups.push_back({{"TargetGroupArn", groups_[name]}, {"Weight", groups.empty() ? 100 : 0}});
    }
    TRY_STATUS(create(
        "elbv2", "CreateListener",
        {{"LoadBalancerArn", arn},
         {"Protocol", "HTTP"},
         {"Port", s_.listener_port},
         {"DefaultActions", Json::array({Json{{"Type", "forward"},
                                              {"ForwardConfig", {{"TargetGroups", groups}}}}})}}));
    TRY_STATUS(forward_to_all_groups());
    done(0, fmt::format("load balancer {}, port {}, a target group per version",
                        names_.load_balancer, s_.listener_port));
    return {};
  }

  aws::Client& client_;
  const ProvisionSettings& s_;
  const LabNames& names_;
  Clock& clock_;
  bool created_ = false;                           ///< something, since the last step was reported
  std::map<std::string, std::string> registries_;  ///< service name -> Cloud Map ARN
  std::map<std::string, std::string> groups_;      ///< service name -> target group ARN
};

}  // namespace

Status provision(aws::Client& client, const ProvisionSettings& settings, Clock& clock) {
  return Provisioner(client, settings, clock).run();
}

}  // namespace coalmine::lab
