// CreateService, UpdateService, DeleteService, DescribeServices, ListServices.
#include <algorithm>
#include <set>

#include "mock-aws/services/ecs/core.h"
#include "mock-aws/services/ecs/paging.h"

namespace coalmine::mock::ecs {
namespace {

using Check = tl::expected<void, AwsError>;

/// What a revision fixes; a change of any of these makes a new deployment.
constexpr const char* kRevisionFields[] = {"loadBalancers",
                                           "serviceRegistries",
                                           "networkConfiguration",
                                           "launchType",
                                           "capacityProviderStrategy",
                                           "platformVersion",
                                           "serviceConnectConfiguration",
                                           "volumeConfigurations",
                                           "vpcLatticeConfigurations"};

const char* to_string(Service::Status status) {
  static constexpr const char* kNames[] = {"ACTIVE", "DRAINING", "INACTIVE"};
  return kNames[static_cast<int>(status)];
}

const char* to_string(Deployment::Status status) {
  static constexpr const char* kNames[] = {"PRIMARY", "ACTIVE", "DRAINING"};
  return kNames[static_cast<int>(status)];
}

const char* to_string(RolloutState state) {
  static constexpr const char* kNames[] = {"IN_PROGRESS", "COMPLETED", "FAILED"};
  return kNames[static_cast<int>(state)];
}

Check check_load_balancers(const Core& core, const TaskDefinition& definition, const Json& input) {
  const Json* list = find(input, "loadBalancers");
  if (!list) return {};
  for (const Json& item : *list) {
    const std::string group = get_string(item, "targetGroupArn");
    if (group.empty()) {
      return aws_error("InvalidParameterException",
                       "Classic load balancers are not supported here: give a targetGroupArn.");
    }
    if (!core.d.target_groups.exists(group)) {
      return aws_error("InvalidParameterException",
                       "Unable to assume role and validate the specified targetGroupArn. Please "
                       "verify that the ECS service role being passed has the proper permissions.");
    }
    if (!core.d.target_groups.has_load_balancer(group)) {
      return aws_error("InvalidParameterException",
                       "The target group with targetGroupArn {} does not have an associated load "
                       "balancer.",
                       group);
    }
    const std::string name = get_string(item, "containerName");
    const int port = static_cast<int>(get_int(item, "containerPort"));
    const auto& containers = definition.spec.containers;
    const auto container = std::find_if(containers.begin(), containers.end(),
                                        [&](const ContainerSpec& c) { return c.name == name; });
    if (container == containers.end()) {
      return aws_error("InvalidParameterException",
                       "The container {} does not exist in the task definition.", name);
    }
    if (std::find(container->ports.begin(), container->ports.end(), port) ==
        container->ports.end()) {
      return aws_error("InvalidParameterException",
                       "The container {} did not have a container port {} defined.", name, port);
    }
  }
  return {};
}

Check check_registries(const Core& core, const Json& input) {
  const Json* list = find(input, "serviceRegistries");
  if (!list) return {};
  if (list->size() > 1) {
    return aws_error("InvalidParameterException", "serviceRegistries can have at most 1 item.");
  }
  for (const Json& item : *list) {
    const std::string arn = get_string(item, "registryArn");
    if (!core.d.registry.has_service(arn)) {
      return aws_error("InvalidParameterException", "The service registry {} does not exist.", arn);
    }
  }
  return {};
}

Check check_configuration(const Json& configuration) {
  const std::string strategy = get_string(configuration, "strategy", "ROLLING");
  if (strategy != "ROLLING") {
    return aws_error("InvalidParameterException",
                     "coalmine does not implement the deployment strategy {} yet; use ROLLING.",
                     strategy);
  }
  const auto low = get_int(configuration, "minimumHealthyPercent");
  const auto high = get_int(configuration, "maximumPercent");
  if (low < 0 || high < 0) {
    return aws_error("InvalidParameterException",
                     "minimumHealthyPercent and maximumPercent must not be negative.");
  }
  if (high <= 100 && low >= 100) {
    return aws_error("InvalidParameterException",
                     "Both maximumPercent and minimumHealthyPercent cannot be 100 as this will "
                     "block deployments.");
  }
  if (high < low || high == 0) {
    return aws_error("InvalidParameterException",
                     "maximumPercent must be greater than 0 and not below minimumHealthyPercent.");
  }
  const auto bake = get_int(configuration, "bakeTimeInMinutes");
  if (bake < 0 || bake > 1440) {
    return aws_error("InvalidParameterException", "bakeTimeInMinutes must be between 0 and 1440.");
  }
  return {};
}

/// The given configuration over what holds already.
Json merged_configuration(Json base, const Json& input) {
  if (const Json* given = find(input, "deploymentConfiguration")) {
    for (const auto& [key, value] : given->items()) base[key] = value;
  }
  return base;
}

Json default_configuration(bool daemon) {
  return {{"maximumPercent", daemon ? 100 : 200},
          {"minimumHealthyPercent", daemon ? 0 : 100},
          {"strategy", "ROLLING"},
          {"deploymentCircuitBreaker", {{"enable", false}, {"rollback", false}}}};
}

std::map<std::string, std::string> pin_images(const Core& core, const TaskDefinition& definition) {
  std::map<std::string, std::string> digests;
  for (const ContainerSpec& container : definition.spec.containers) {
    if (!container.pinned) continue;
    if (const auto digest = core.d.images.resolve(container.image)) {
      digests[container.name] = *digest;
    }
  }
  return digests;
}

Check check_create(const Core& core, const Json& input) {
  const std::string controller = find(input, "deploymentController")
                                     ? get_string(input["deploymentController"], "type", "ECS")
                                     : "ECS";
  if (controller != "ECS") {
    return aws_error("InvalidParameterException",
                     "coalmine does not implement the deployment controller {} yet; use ECS.",
                     controller);
  }
  const bool daemon = get_string(input, "schedulingStrategy") == "DAEMON";
  if (daemon && get_string(input, "launchType") == "FARGATE") {
    return aws_error("InvalidParameterException",
                     "The daemon scheduling strategy is not supported with the FARGATE launch "
                     "type.");
  }
  if (daemon && input.contains("desiredCount")) {
    return aws_error("InvalidParameterException",
                     "The daemon scheduling strategy does not support a desired count.");
  }
  if (!daemon && !input.contains("desiredCount")) {
    return aws_error("InvalidParameterException",
                     "The replica scheduling strategy requires a desired count.");
  }
  if (get_int(input, "desiredCount") < 0) {
    return aws_error("InvalidParameterException", "desiredCount must not be negative.");
  }
  if (input.contains("launchType") && input.contains("capacityProviderStrategy")) {
    return aws_error("InvalidParameterException",
                     "Specifying both a launch type and capacity provider strategy is not "
                     "supported. Remove one and try again.");
  }
  if (get_int(input, "healthCheckGracePeriodSeconds") < 0) {
    return aws_error("InvalidParameterException",
                     "healthCheckGracePeriodSeconds must not be negative.");
  }
  return check_registries(core, input);
}

Check check_service_name(const std::string& name) {
  const bool valid = !name.empty() && name.size() <= 255 &&
                     name.find_first_not_of(
                         "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                         "0123456789_-") == std::string::npos;
  if (valid) return {};
  return aws_error("InvalidParameterException", "Identifier was invalid: serviceName {}", name);
}

void apply_options(Service& service, const Json& input) {
  if (input.contains("healthCheckGracePeriodSeconds")) {
    service.grace_period_s = static_cast<int>(get_int(input, "healthCheckGracePeriodSeconds"));
    service.has_grace_period = true;
  }
  service.managed_tags = get_bool(input, "enableECSManagedTags", service.managed_tags);
  service.execute_command = get_bool(input, "enableExecuteCommand", service.execute_command);
  service.propagate_tags = get_string(input, "propagateTags", service.propagate_tags);
  service.az_rebalancing = get_string(input, "availabilityZoneRebalancing", service.az_rebalancing);
  if (const Json* value = find(input, "placementConstraints")) {
    service.placement_constraints = *value;
  }
  if (const Json* value = find(input, "placementStrategy")) service.placement_strategy = *value;
}

Json render_deployment(const Core& core, const Service& service, const Deployment& deployment) {
  const ServiceRevision& revision = core.revisions.at(deployment.revision_arn);
  const TaskCounts counts = count_tasks(core, service, deployment.id);
  const bool primary = deployment.status == Deployment::Status::Primary;
  Json json = {{"id", deployment.id},
               {"status", to_string(deployment.status)},
               {"taskDefinition", revision.task_definition},
               {"desiredCount", primary ? service.desired : counts.alive},
               {"pendingCount", counts.pending},
               {"runningCount", counts.running},
               {"failedTasks", deployment.failed_tasks},
               {"createdAt", to_epoch_seconds(deployment.created)},
               {"updatedAt", to_epoch_seconds(deployment.updated)},
               {"rolloutState", to_string(deployment.rollout)},
               {"rolloutStateReason", deployment.reason}};
  for (const char* key :
       {"launchType", "platformVersion", "platformFamily", "networkConfiguration",
        "capacityProviderStrategy", "serviceConnectConfiguration", "volumeConfigurations"}) {
    if (const Json* value = find(revision.settings, key)) json[key] = *value;
  }
  return json;
}

ServiceRevision revision_from(const Core& core, const Cluster& cluster, const Json& input,
                              const TaskDefinition& definition) {
  ServiceRevision revision;
  revision.task_definition = definition.arn;
  for (const char* key : kRevisionFields) {
    if (const Json* value = find(input, key)) revision.settings[key] = *value;
  }
  if (!revision.settings.contains("capacityProviderStrategy") &&
      !revision.settings.contains("launchType")) {
    if (cluster.default_strategy.empty()) {
      revision.settings["launchType"] = "EC2";
    } else {
      revision.settings["capacityProviderStrategy"] = cluster.default_strategy;
    }
  }
  if (get_string(revision.settings, "launchType") == "FARGATE" ||
      revision.settings.contains("capacityProviderStrategy")) {
    if (!revision.settings.contains("platformVersion")) {
      revision.settings["platformVersion"] = "LATEST";
    }
    revision.settings["platformFamily"] = "Linux";
  }
  if (revision.settings.contains("networkConfiguration")) {
    Json& network = revision.settings["networkConfiguration"];
    if (network.contains("awsvpcConfiguration")) {
      Json& awsvpc = network["awsvpcConfiguration"];
      if (!awsvpc.contains("securityGroups")) awsvpc["securityGroups"] = Json::array();
      if (!awsvpc.contains("assignPublicIp")) awsvpc["assignPublicIp"] = "DISABLED";
    }
  }
  revision.digests = pin_images(core, definition);
  return revision;
}

Check check_fargate_compatible(const TaskDefinition& definition, const Json& input) {
  if (get_string(input, "launchType") != "FARGATE") return {};
  const Json& list = definition.body.at("compatibilities");
  if (std::find(list.begin(), list.end(), "FARGATE") != list.end()) return {};
  return aws_error("InvalidParameterException",
                   "Task definition does not support launch_type FARGATE.");
}

Json network_of(const Json& input) {
  const Json* network = find(input, "networkConfiguration");
  return network ? *network : Json();
}

void tell_changed(Core& core, const Service& service, const char* what, TimePoint now) {
  core.d.events.event(
      now, what,
      {{"service", service.name}, {"cluster", service.cluster}, {"desiredCount", service.desired}});
}

}  // namespace

Service* find_service(Core& core, const Cluster& cluster, std::string_view name_or_arn) {
  const auto it = core.services.find(service_key(cluster.name, last_part(name_or_arn)));
  return it == core.services.end() ? nullptr : &it->second;
}

Json render_service(const Core& core, const Service& service) {
  const TaskCounts counts = count_tasks(core, service, "");
  Json deployments = Json::array(), events = Json::array();
  for (const Deployment& deployment : service.deployments) {
    deployments.push_back(render_deployment(core, service, deployment));
  }
  for (const ServiceEvent& event : service.events) {
    events.push_back({{"id", event.id},
                      {"createdAt", to_epoch_seconds(event.created)},
                      {"message", event.message}});
  }
  Json json = {{"serviceArn", service.arn},
               {"serviceName", service.name},
               {"clusterArn", core.arn("cluster/" + service.cluster)},
               {"status", to_string(service.status)},
               {"desiredCount", service.desired},
               {"runningCount", counts.running},
               {"pendingCount", counts.pending},
               {"deploymentConfiguration", service.deployment_configuration},
               {"deploymentController", {{"type", service.controller}}},
               {"loadBalancers", Json::array()},
               {"serviceRegistries", Json::array()},
               {"deployments", deployments},
               {"events", events},
               {"createdAt", to_epoch_seconds(service.created)},
               {"createdBy", core.caller()},
               {"placementConstraints", service.placement_constraints},
               {"placementStrategy", service.placement_strategy},
               {"schedulingStrategy", service.scheduling},
               {"enableECSManagedTags", service.managed_tags},
               {"enableExecuteCommand", service.execute_command},
               {"propagateTags", service.propagate_tags},
               {"availabilityZoneRebalancing", service.az_rebalancing},
               {"resourceManagementType", "CUSTOMER"}};
  if (!service.role.empty()) json["roleArn"] = service.role;
  if (service.has_grace_period) {
    json["healthCheckGracePeriodSeconds"] = service.grace_period_s;
  }
  if (service.deployments.empty()) return json;
  const Deployment& primary = service.primary();
  const ServiceRevision& revision = core.revisions.at(primary.revision_arn);
  json["taskDefinition"] = revision.task_definition;
  for (const auto& [key, value] : revision.settings.items()) json[key] = value;
  json.erase("serviceConnectConfiguration");  // shown per deployment
  json.erase("volumeConfigurations");
  json.erase("vpcLatticeConfigurations");
  if (primary.rollout == RolloutState::InProgress) {
    json["currentServiceDeployment"] = primary.service_deployment_arn;
  }
  Json revisions = Json::array();
  for (const Deployment& deployment : service.deployments) {
    const TaskCounts running = count_tasks(core, service, deployment.id);
    const bool leads = deployment.status == Deployment::Status::Primary;
    revisions.push_back({{"arn", deployment.revision_arn},
                         {"requestedTaskCount", leads ? service.desired : running.alive},
                         {"runningTaskCount", running.running},
                         {"pendingTaskCount", running.pending}});
  }
  json["currentServiceRevisions"] = revisions;
  return json;
}

Reply create_service(Core& core, const Json& input, CallContext& context) {
  TRY(const Cluster* const cluster, find_cluster(core, input));
  const std::string name = get_string(input, "serviceName");
  TRY_STATUS(check_service_name(name));
  if (const Service* before = find_service(core, *cluster, name);
      before && before->status != Service::Status::Inactive) {
    return aws_error("InvalidParameterException", "Creation of service was not idempotent.");
  }
  TRY_STATUS(check_create(core, input));
  if (get_string(input, "taskDefinition").empty()) {
    return aws_error("InvalidParameterException", "TaskDefinition can not be blank.");
  }
  TRY(const TaskDefinition* const definition,
      usable_task_definition(core, get_string(input, "taskDefinition")));
  TRY_STATUS(check_fargate_compatible(*definition, input));
  TRY_STATUS(check_network(*definition, network_of(input)));
  TRY_STATUS(check_load_balancers(core, *definition, input));
  TRY(const Tags tags, read_tags(input));
  const bool daemon = get_string(input, "schedulingStrategy") == "DAEMON";
  Json configuration = merged_configuration(default_configuration(daemon), input);
  TRY_STATUS(check_configuration(configuration));

  Service service;
  service.name = name;
  service.arn = core.arn(fmt::format("service/{}/{}", cluster->name, name));
  service.cluster = cluster->name;
  service.role = get_string(input, "role");
  service.scheduling = daemon ? "DAEMON" : "REPLICA";
  // One instance's worth: the modelled cluster has room everywhere but no instances to count.
  service.desired = daemon ? 1 : static_cast<int>(get_int(input, "desiredCount"));
  service.deployment_configuration = std::move(configuration);
  service.tags = tags;
  service.created = context.now;
  apply_options(service, input);
  Service& stored = core.services[service_key(cluster->name, name)] = std::move(service);
  begin_deployment(core, stored, revision_from(core, *cluster, input, *definition), context.now);
  tell_changed(core, stored, "service.created", context.now);
  Json json = render_service(core, stored);
  json["tags"] = render_tags(tags);
  return Json{{"service", json}};
}

Reply update_service(Core& core, const Json& input, CallContext& context) {
  TRY(const Cluster* const cluster, find_cluster(core, input));
  Service* const service = find_service(core, *cluster, get_string(input, "service"));
  if (!service) return aws_error("ServiceNotFoundException", "Service not found.");
  if (service->status != Service::Status::Active) {
    return aws_error("ServiceNotActiveException", "Service was not ACTIVE.");
  }
  const ServiceRevision& current = core.revisions.at(service->primary().revision_arn);
  const bool new_definition = input.contains("taskDefinition");
  TaskDefinition* definition = nullptr;
  if (new_definition) {
    TRY(TaskDefinition* const usable,
        usable_task_definition(core, get_string(input, "taskDefinition")));
    definition = usable;
  } else {
    TRY(TaskDefinition* const same,
        find_task_definition(core, current.task_definition, "TaskDefinition not found."));
    definition = same;
  }
  Json merged = current.settings;
  for (const char* key : kRevisionFields) {
    if (const Json* value = find(input, key)) merged[key] = *value;
  }
  if (input.contains("capacityProviderStrategy")) merged.erase("launchType");
  TRY_STATUS(check_fargate_compatible(*definition, merged));
  TRY_STATUS(check_network(*definition, network_of(merged)));
  TRY_STATUS(check_load_balancers(core, *definition, merged));
  TRY_STATUS(check_registries(core, input));
  Json configuration = merged_configuration(service->deployment_configuration, input);
  TRY_STATUS(check_configuration(configuration));
  if (get_int(input, "desiredCount") < 0) {
    return aws_error("InvalidParameterException", "desiredCount must not be negative.");
  }
  if (input.contains("desiredCount") && service->scheduling == "DAEMON") {
    return aws_error("InvalidParameterException",
                     "The daemon scheduling strategy does not support a desired count.");
  }

  if (input.contains("desiredCount")) {
    const int desired = static_cast<int>(get_int(input, "desiredCount"));
    if (desired != service->desired) service->steady = false;
    service->desired = desired;
  }
  service->deployment_configuration = std::move(configuration);
  apply_options(*service, input);
  ServiceRevision revision = revision_from(core, *cluster, merged, *definition);
  const bool deploys = get_bool(input, "forceNewDeployment") ||
                       revision.settings != current.settings ||
                       revision.task_definition != current.task_definition;
  if (deploys) begin_deployment(core, *service, std::move(revision), context.now);
  tell_changed(core, *service, "service.updated", context.now);
  return Json{{"service", render_service(core, *service)}};
}

Reply delete_service(Core& core, const Json& input, CallContext& context) {
  TRY(const Cluster* const cluster, find_cluster(core, input));
  Service* const service = find_service(core, *cluster, get_string(input, "service"));
  if (!service || service->status == Service::Status::Inactive) {
    return aws_error("ServiceNotFoundException", "Service not found.");
  }
  if (service->status == Service::Status::Active) {
    const bool scaled = service->desired > 0 && service->scheduling != "DAEMON";
    if (scaled && !get_bool(input, "force")) {
      return aws_error("InvalidParameterException",
                       "The service cannot be stopped while it is scaled above 0.");
    }
    service->status = Service::Status::Draining;
    service->desired = 0;
    service->deleted = context.now;
    for (Deployment& deployment : service->deployments) {
      ServiceDeployment* record = service_deployment_of(core, deployment);
      if (!record || terminal(record->status)) continue;
      record->status = DeploymentStatus::Stopped;
      record->stopped = record->finished = record->updated = context.now;
    }
    tell_changed(core, *service, "service.draining", context.now);
  }
  return Json{{"service", render_service(core, *service)}};
}

Reply describe_services(Core& core, const Json& input, CallContext&) {
  TRY(const Cluster* const cluster, find_cluster(core, input));
  const Json& names = input.at("services");
  if (names.empty()) return aws_error("InvalidParameterException", "Services cannot be empty.");
  if (names.size() > kMaxDescribedServices) {
    return aws_error("InvalidParameterException", "Services cannot have more than {} elements.",
                     kMaxDescribedServices);
  }
  Json services = Json::array(), failures = Json::array();
  for (const Json& item : names) {
    const std::string name = item.get<std::string>();
    if (const Service* service = find_service(core, *cluster, name)) {
      Json json = render_service(core, *service);
      if (wants(input, "TAGS")) json["tags"] = render_tags(service->tags);
      services.push_back(std::move(json));
    } else {
      failures.push_back(failure(
          core.arn(fmt::format("service/{}/{}", cluster->name, last_part(name))), "MISSING"));
    }
  }
  return Json{{"services", services}, {"failures", failures}};
}

Reply list_services(Core& core, const Json& input, CallContext&) {
  TRY(const Cluster* const cluster, find_cluster(core, input));
  const std::string launch_type = get_string(input, "launchType");
  const std::string scheduling = get_string(input, "schedulingStrategy");
  std::vector<std::string> arns;
  for (const auto& [key, service] : core.services) {
    if (service.cluster != cluster->name || service.status != Service::Status::Active) continue;
    if (!scheduling.empty() && scheduling != service.scheduling) continue;
    const ServiceRevision& revision = core.revisions.at(service.primary().revision_arn);
    if (!launch_type.empty() && launch_type != get_string(revision.settings, "launchType")) {
      continue;
    }
    arns.push_back(service.arn);
  }
  return list_page(arns, "serviceArns", input, 10);
}

}  // namespace coalmine::mock::ecs
