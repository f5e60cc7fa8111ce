// RunTask, StopTask, DescribeTasks, ListTasks.
#include <algorithm>

#include "mock-aws/services/ecs/core.h"
#include "mock-aws/services/ecs/paging.h"

namespace coalmine::mock::ecs {
namespace {

void put_time(Json& json, const char* key, TimePoint t) {
  if (t != TimePoint{}) json[key] = to_epoch_seconds(t);
}

Json detail(const char* name, const std::string& value) {
  return {{"name", name}, {"value", value}};
}

std::string private_dns(std::string address, const std::string& region) {
  std::replace(address.begin(), address.end(), '.', '-');
  return fmt::format("ip-{}.{}.compute.internal", address, region);
}

Json render_attachment(const Core& core, const Task& task) {
  const char* status = task.phase == Phase::Provisioning     ? "PRECREATED"
                       : task.phase == Phase::Deprovisioning ? "DETACHING"
                       : task.phase == Phase::Stopped        ? "DELETED"
                                                             : "ATTACHED";
  return {{"id", task.attachment_id},
          {"type", "ElasticNetworkInterface"},
          {"status", status},
          {"details",
           {detail("subnetId", task.subnet), detail("networkInterfaceId", task.eni),
            detail("macAddress", task.mac),
            detail("privateDnsName", private_dns(task.address, core.d.scope.region)),
            detail("privateIPv4Address", task.address)}}};
}

const char* container_status(const Task& task, const ContainerState& container) {
  if (container.status == ContainerState::Status::Running) return "RUNNING";
  if (container.status == ContainerState::Status::Stopped) return "STOPPED";
  return task.phase == Phase::Stopped ? "STOPPED" : "PENDING";
}

Json render_container(const Task& task, const ContainerState& container, const Json& definition) {
  Json json = {{"containerArn", container.arn},
               {"taskArn", task.arn},
               {"name", container.name},
               {"image", container.image},
               {"lastStatus", container_status(task, container)},
               {"networkBindings", Json::array()},
               {"networkInterfaces", Json::array()},
               {"healthStatus", to_string(container.health)},
               {"cpu", std::to_string(get_int(definition, "cpu"))}};
  if (task.definition->spec.awsvpc) {
    json["networkInterfaces"] =
        Json::array({{{"attachmentId", task.attachment_id}, {"privateIpv4Address", task.address}}});
  }
  if (container.status != ContainerState::Status::Waiting) {
    json["runtimeId"] = container.runtime_id;
  }
  if (!container.digest.empty()) json["imageDigest"] = container.digest;
  if (container.exit_code) json["exitCode"] = *container.exit_code;
  if (!container.reason.empty()) json["reason"] = container.reason;
  for (const char* size : {"memory", "memoryReservation"}) {
    if (definition.contains(size)) json[size] = std::to_string(get_int(definition, size));
  }
  return json;
}

tl::expected<Json, AwsError> run_task_input(const TaskDefinition& definition, const Json& input) {
  if (get_string(input, "propagateTags") == "SERVICE") {
    return aws_error("InvalidParameterException",
                     "propagateTags must be TASK_DEFINITION or NONE for RunTask.");
  }
  const auto count = get_int(input, "count", 1);
  if (count < 1 || count > kMaxRunTaskCount) {
    return aws_error("InvalidParameterException", "Invalid count {}: allowed is 1 to {}.", count,
                     kMaxRunTaskCount);
  }
  const Json* network = find(input, "networkConfiguration");
  TRY_STATUS(check_network(definition, network ? *network : Json()));
  if (const Json* overrides = find(input, "overrides")) {
    if (const Json* list = find(*overrides, "containerOverrides")) {
      for (const Json& item : *list) {
        const auto& containers = definition.spec.containers;
        const bool known =
            std::any_of(containers.begin(), containers.end(),
                        [&](const ContainerSpec& c) { return c.name == get_string(item, "name"); });
        if (!known) {
          return aws_error("InvalidParameterException",
                           "Override for container named {} is not a container in the "
                           "TaskDefinition.",
                           get_string(item, "name"));
        }
      }
    }
  }
  const Json* awsvpc = network ? find(*network, "awsvpcConfiguration") : nullptr;
  return awsvpc ? *awsvpc : Json();
}

const Task* find_task(const Core& core, const Cluster& cluster, const std::string& name) {
  const auto it = core.tasks.find(last_part(name));
  return it != core.tasks.end() && it->second.cluster == cluster.name ? &it->second : nullptr;
}

}  // namespace

tl::expected<void, AwsError> check_network(const TaskDefinition& definition, const Json& network) {
  const Json* awsvpc = network.is_object() ? find(network, "awsvpcConfiguration") : nullptr;
  if (!definition.spec.awsvpc) {
    if (!awsvpc) return {};
    return aws_error("InvalidParameterException",
                     "Network Configuration is not valid for the given networkMode of this task "
                     "definition.");
  }
  if (!awsvpc) {
    return aws_error("InvalidParameterException",
                     "Network Configuration must be provided when networkMode 'awsvpc' is "
                     "specified.");
  }
  const Json* subnets = find(*awsvpc, "subnets");
  if (!subnets || subnets->empty()) {
    return aws_error("InvalidParameterException", "subnets can not be empty.");
  }
  if (subnets->size() > 16) {
    return aws_error("InvalidParameterException", "subnets can have at most 16 items.");
  }
  return {};
}

Json render_task(const Core& core, const Task& task, bool with_tags) {
  const Json& body = task.definition->body;
  Json containers = Json::array();
  for (std::size_t i = 0; i < task.containers.size(); ++i) {
    containers.push_back(
        render_container(task, task.containers[i], body["containerDefinitions"][i]));
  }
  Json json = {
      {"taskArn", task.arn},
      {"clusterArn", core.arn("cluster/" + task.cluster)},
      {"taskDefinitionArn", task.definition->arn},
      {"containers", containers},
      {"attachments", Json::array()},
      {"attributes", Json::array({{{"name", "ecs.cpu-architecture"}, {"value", "x86_64"}}})},
      {"availabilityZone", core.d.scope.region + "a"},
      {"desiredStatus", task.wanted ? "RUNNING" : "STOPPED"},
      {"lastStatus", to_string(task.phase)},
      {"healthStatus", to_string(task_health(task))},
      {"group", task.group},
      {"launchType", task.launch_type},
      {"enableExecuteCommand", task.execute_command},
      {"version", task.version},
      {"inferenceAccelerators", Json::array()},
      {"tags", with_tags ? render_tags(task.tags) : Json::array()}};
  json["overrides"] = task.overrides;
  if (!json["overrides"].contains("containerOverrides")) {
    json["overrides"]["containerOverrides"] = Json::array();
  }
  if (!json["overrides"].contains("inferenceAcceleratorOverrides")) {
    json["overrides"]["inferenceAcceleratorOverrides"] = Json::array();
  }
  if (task.definition->spec.awsvpc) json["attachments"].push_back(render_attachment(core, task));
  for (const char* size : {"cpu", "memory"}) {
    if (body.contains(size)) json[size] = body[size];
  }
  if (!task.started_by.empty()) json["startedBy"] = task.started_by;
  if (task.launch_type == "FARGATE") {
    json["platformVersion"] = task.platform_version.empty() || task.platform_version == "LATEST"
                                  ? "1.4.0"
                                  : task.platform_version;
    json["platformFamily"] = "Linux";
    json["ephemeralStorage"] = {{"sizeInGiB", 20}};
    if (body.contains("ephemeralStorage")) json["ephemeralStorage"] = body["ephemeralStorage"];
  }
  put_time(json, "createdAt", task.created);
  if (task.connected != TimePoint{}) {
    json["connectivity"] = "CONNECTED";
    put_time(json, "connectivityAt", task.connected);
  }
  put_time(json, "pullStartedAt", task.pull_started);
  put_time(json, "pullStoppedAt", task.pull_stopped);
  put_time(json, "startedAt", task.started);
  put_time(json, "stoppingAt", task.stopping_at);
  put_time(json, "executionStoppedAt", task.execution_stopped);
  put_time(json, "stoppedAt", task.stopped);
  if (!task.stop_code.empty()) json["stopCode"] = task.stop_code;
  if (!task.stopped_reason.empty()) json["stoppedReason"] = task.stopped_reason;
  return json;
}

Reply run_task(Core& core, const Json& input, CallContext& context) {
  TRY(const Cluster* const cluster, find_cluster(core, input));
  TRY(const TaskDefinition* const definition,
      usable_task_definition(core, get_string(input, "taskDefinition")));
  TRY(const Json awsvpc, run_task_input(*definition, input));
  TRY(const Tags tags, read_tags(input));
  TaskRequest request;
  request.cluster = cluster->name;
  request.definition = definition;
  request.group = get_string(input, "group", "family:" + definition->family);
  request.started_by = get_string(input, "startedBy");
  request.launch_type = get_string(input, "launchType",
                                   input.contains("capacityProviderStrategy") ? "FARGATE" : "EC2");
  request.platform_version = get_string(input, "platformVersion");
  request.network = awsvpc;
  if (const Json* overrides = find(input, "overrides")) request.overrides = *overrides;
  if (get_string(input, "propagateTags") == "TASK_DEFINITION") request.tags = definition->tags;
  for (const auto& [key, value] : tags) request.tags[key] = value;
  if (get_bool(input, "enableECSManagedTags")) {
    request.tags["aws:ecs:clusterName"] = cluster->name;
  }
  request.execute_command = get_bool(input, "enableExecuteCommand");
  Json tasks = Json::array(), failures = Json::array();
  for (std::int64_t i = 0; i < get_int(input, "count", 1); ++i) {
    if (const Task* task = create_task(core, request, context.now)) {
      tasks.push_back(render_task(core, *task, true));
    } else {
      failures.push_back(failure(cluster->arn, "RESOURCE:ENI"));
    }
  }
  return Json{{"tasks", tasks}, {"failures", failures}};
}

Reply stop_task_call(Core& core, const Json& input, CallContext& context) {
  TRY(const Cluster* const cluster, find_cluster(core, input));
  const Task* found = find_task(core, *cluster, get_string(input, "task"));
  if (!found) {
    return aws_error("InvalidParameterException", "The referenced task was not found.");
  }
  Task& task = core.tasks.at(found->id);
  stop_task(core, task, "UserInitiated", get_string(input, "reason", "Task stopped by user"),
            context.now);
  return Json{{"task", render_task(core, task, true)}};
}

Reply describe_tasks(Core& core, const Json& input, CallContext&) {
  TRY(const Cluster* const cluster, find_cluster(core, input));
  const Json& names = input.at("tasks");
  if (names.empty()) return aws_error("InvalidParameterException", "Tasks cannot be empty.");
  if (names.size() > kMaxDescribedTasks) {
    return aws_error("InvalidParameterException", "Tasks cannot have more than {} elements.",
                     kMaxDescribedTasks);
  }
  Json tasks = Json::array(), failures = Json::array();
  for (const Json& item : names) {
    const std::string name = item.get<std::string>();
    if (const Task* task = find_task(core, *cluster, name)) {
      tasks.push_back(render_task(core, *task, wants(input, "TAGS")));
    } else {
      failures.push_back(
          failure(core.arn(fmt::format("task/{}/{}", cluster->name, last_part(name))), "MISSING"));
    }
  }
  return Json{{"tasks", tasks}, {"failures", failures}};
}

Reply list_tasks(Core& core, const Json& input, CallContext&) {
  TRY(const Cluster* const cluster, find_cluster(core, input));
  const std::string service = last_part(get_string(input, "serviceName"));
  const std::string family = get_string(input, "family");
  const std::string started_by = get_string(input, "startedBy");
  const std::string launch_type = get_string(input, "launchType");
  const std::string desired = get_string(input, "desiredStatus", "RUNNING");
  if (!started_by.empty() && (!service.empty() || !family.empty())) {
    return aws_error("InvalidParameterException",
                     "cannot specify other filters when startedBy is specified.");
  }
  if (!service.empty() && !find_service(core, *cluster, service)) {
    return aws_error("ServiceNotFoundException", "Service not found.");
  }
  std::vector<std::string> arns;
  for (const auto& [id, task] : core.tasks) {
    const bool matches = task.cluster == cluster->name &&
                         (service.empty() || task.service == service) &&
                         (family.empty() || task.definition->family == family) &&
                         (started_by.empty() || task.started_by == started_by) &&
                         (launch_type.empty() || task.launch_type == launch_type) &&
                         desired == (task.wanted ? "RUNNING" : "STOPPED");
    if (matches && !input.contains("containerInstance")) arns.push_back(task.arn);
  }
  return list_page(arns, "taskArns", input, 100);
}

}  // namespace coalmine::mock::ecs
