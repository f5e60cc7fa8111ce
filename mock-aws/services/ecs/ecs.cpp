#include "mock-aws/services/ecs/ecs.h"

#include <algorithm>

#include "mock-aws/services/ecs/core.h"

namespace coalmine::mock {
namespace {

using Operation = Reply (*)(ecs::Core&, const Json&, CallContext&);

const std::map<std::string_view, Operation>& operations() {
  static const std::map<std::string_view, Operation> kOperations = {
      {"CreateCluster", ecs::create_cluster},
      {"DeleteCluster", ecs::delete_cluster},
      {"DescribeClusters", ecs::describe_clusters},
      {"ListClusters", ecs::list_clusters},
      {"UpdateCluster", ecs::update_cluster},
      {"UpdateClusterSettings", ecs::update_cluster_settings},
      {"PutClusterCapacityProviders", ecs::put_cluster_capacity_providers},
      {"RegisterTaskDefinition", ecs::register_task_definition},
      {"DeregisterTaskDefinition", ecs::deregister_task_definition},
      {"DescribeTaskDefinition", ecs::describe_task_definition},
      {"ListTaskDefinitions", ecs::list_task_definitions},
      {"ListTaskDefinitionFamilies", ecs::list_task_definition_families},
      {"DeleteTaskDefinitions", ecs::delete_task_definitions},
      {"CreateService", ecs::create_service},
      {"UpdateService", ecs::update_service},
      {"DeleteService", ecs::delete_service},
      {"DescribeServices", ecs::describe_services},
      {"ListServices", ecs::list_services},
      {"RunTask", ecs::run_task},
      {"StopTask", ecs::stop_task_call},
      {"DescribeTasks", ecs::describe_tasks},
      {"ListTasks", ecs::list_tasks},
      {"ListServiceDeployments", ecs::list_service_deployments},
      {"DescribeServiceDeployments", ecs::describe_service_deployments},
      {"StopServiceDeployment", ecs::stop_service_deployment},
      {"ContinueServiceDeployment", ecs::continue_service_deployment},
      {"DescribeServiceRevisions", ecs::describe_service_revisions},
      {"TagResource", ecs::tag_resource},
      {"UntagResource", ecs::untag_resource},
      {"ListTagsForResource", ecs::list_tags},
  };
  return kOperations;
}

/// Same clientToken and input: the first answer again, by the resource it named.
bool has_token(std::string_view operation) {
  return operation == "CreateService" || operation == "RunTask";
}

}  // namespace

namespace ecs {

std::string last_part(std::string_view name) {
  const auto slash = name.rfind('/');
  return std::string(slash == std::string_view::npos ? name : name.substr(slash + 1));
}

bool wants(const Json& input, std::string_view field) {
  const Json* include = find(input, "include");
  return include && std::any_of(include->begin(), include->end(),
                                [&](const Json& item) { return item == field; });
}

Json failure(std::string arn, std::string reason) {
  return {{"arn", std::move(arn)}, {"reason", std::move(reason)}};
}

void settle(Core& core, TimePoint now) {
  // Each step moves a finite state machine forward; the bound only guards against our own bugs.
  for (int guard = 0; guard < 10000; ++guard) {
    bool changed = false;
    for (auto& [id, task] : core.tasks) {
      while (advance_task(core, task, now)) changed = true;
    }
    for (auto& [key, service] : core.services) {
      while (reconcile(core, service, now)) changed = true;
    }
    if (!changed) break;
  }
  std::erase_if(core.tasks, [&](const auto& item) {
    const Task& task = item.second;
    return task.phase == Phase::Stopped && task.stopped + core.options().remembered <= now;
  });
  std::erase_if(core.services, [&](const auto& item) {
    const Service& service = item.second;
    return service.status == Service::Status::Inactive &&
           service.deleted + core.options().remembered <= now;
  });
  core.wakeup = kNever;
  for (const auto& [id, task] : core.tasks) {
    const TimePoint due = task_due(core, task);
    if (due > now) core.wakeup = std::min(core.wakeup, due);
  }
  for (const auto& [key, service] : core.services) {
    core.wakeup = std::min(core.wakeup, service_due(core, service, now));
  }
}

}  // namespace ecs

Ecs::Ecs(EcsDependencies dependencies)
    : core_(std::make_unique<ecs::Core>(std::move(dependencies))) {}

Ecs::~Ecs() = default;

bool Ecs::implements(std::string_view operation) const {
  return operations().count(operation) > 0;
}

Reply Ecs::call(std::string_view operation, const Json& input, CallContext& context) {
  const std::string token = has_token(operation) ? get_string(input, "clientToken") : "";
  const std::string key = fmt::format("{}/{}", operation, token);
  if (!token.empty()) {
    const auto before = core_->tokens.find(key);
    if (before != core_->tokens.end()) {
      if (before->second.input == dump_json(input)) return before->second.reply;
      if (operation == "RunTask") {
        return aws_error("ConflictException",
                         "The clientToken was used before with other parameters.");
      }
    }
  }
  Reply reply = operations().at(operation)(*core_, input, context);
  if (reply && !token.empty()) core_->tokens[key] = {dump_json(input), *reply};
  core_->wakeup = std::min(core_->wakeup, context.now);
  return reply;
}

void Ecs::tick(TimePoint now) {
  ecs::settle(*core_, now);
}

TimePoint Ecs::next_wakeup() const {
  return core_->wakeup;
}

Json Ecs::state() const {
  Json clusters = Json::array(), services = Json::array(), running = Json::array();
  Json everything = {{"include", {"SETTINGS", "STATISTICS", "TAGS", "CONFIGURATIONS"}}};
  for (const auto& [name, cluster] : core_->clusters) {
    clusters.push_back(ecs::render_cluster(*core_, cluster, everything));
  }
  for (const auto& [key, service] : core_->services) {
    services.push_back(ecs::render_service(*core_, service));
  }
  for (const auto& [id, task] : core_->tasks) {
    running.push_back(ecs::render_task(*core_, task, true));
  }
  Json definitions = Json::array();
  for (const auto& [name, family] : core_->families) {
    for (const auto& [revision, definition] : family.revisions) {
      definitions.push_back(definition.body);
    }
  }
  return {{"clusters", clusters},
          {"services", services},
          {"tasks", running},
          {"taskDefinitions", definitions}};
}

std::vector<TaskAction> Ecs::take_actions() {
  return std::exchange(core_->actions, {});
}

bool Ecs::on_event(const TaskEvent& event, TimePoint now) {
  return ecs::handle_event(*core_, event, now);
}

namespace {

/// "MESH/NAME" of the virtual gateway that a container's environment names, as Envoy reads it:
/// "mesh/M/virtualGateway/G", an ARN may stand before it.
std::string gateway_of(const ecs::TaskSpec& spec) {
  constexpr std::string_view kKind = "/virtualGateway/";
  for (const ecs::ContainerSpec& container : spec.containers) {
    for (const char* variable : {"APPMESH_RESOURCE_ARN", "APPMESH_VIRTUAL_NODE_NAME"}) {
      const auto found = container.environment.find(variable);
      if (found == container.environment.end()) continue;
      const std::string& name = found->second;
      const auto kind = name.find(kKind);
      const auto mesh = name.rfind("mesh/", kind);
      if (kind == std::string::npos || mesh == std::string::npos) continue;
      return name.substr(mesh + 5, kind - mesh - 5) + "/" + name.substr(kind + kKind.size());
    }
  }
  return "";
}

}  // namespace

std::vector<TaskView> Ecs::tasks() const {
  std::vector<TaskView> views;
  for (const auto& [id, task] : core_->tasks) {
    if (task.phase == ecs::Phase::Stopped) continue;
    TaskView view{task.id,
                  task.cluster,
                  task.service,
                  task.definition->family,
                  task.deployment_id,
                  task.address,
                  ecs::to_string(task.phase),
                  ecs::to_string(ecs::task_health(task)),
                  task.definition->revision,
                  {},
                  gateway_of(task.definition->spec),
                  task.eni,
                  core_->arn("attachment/" + task.attachment_id),
                  task.mac,
                  task.subnet,
                  task.security_groups,
                  task.public_ip};
    for (const auto& container : task.containers) {
      view.images.emplace_back(container.name, container.image);
    }
    views.push_back(std::move(view));
  }
  return views;
}

void pump(Ecs& ecs, TaskDriver& driver, TimePoint now) {
  for (bool more = true; more;) {
    more = false;
    if (ecs.next_wakeup() <= now) {
      ecs.tick(now);
      more = true;
    }
    for (const TaskAction& action : ecs.take_actions()) {
      driver.carry_out(action, now);
      more = true;
    }
    for (const TaskEvent& event : driver.take_events(now)) {
      ecs.on_event(event, now);
      more = true;
    }
  }
}

}  // namespace coalmine::mock
