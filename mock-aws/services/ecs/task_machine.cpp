// One task: its phases, containers in dependsOn order, health checks, the stop sequence.
#include <algorithm>

#include "mock-aws/services/ecs/core.h"
#include "sim/core/check.h"
#include "sim/core/ids.h"

namespace coalmine::mock::ecs {
namespace {

using Status = ContainerState::Status;

const ContainerSpec& spec_of(const Task& task, const ContainerState& container) {
  const auto index = static_cast<std::size_t>(&container - task.containers.data());
  return task.definition->spec.containers[index];
}

ContainerState* container_named(Task& task, const std::string& name) {
  for (ContainerState& container : task.containers) {
    if (container.name == name) return &container;
  }
  return nullptr;
}

void enter(Core& core, Task& task, Phase phase, TimePoint now) {
  task.phase = phase;
  task.phase_until = kNever;
  ++task.version;
  core.d.events.event(now, "task.changed",
                      {{"task", task.id},
                       {"cluster", task.cluster},
                       {"service", task.service},
                       {"family", task.definition->family},
                       {"address", task.address},
                       {"status", to_string(phase)}});
}

/// Whether a dependency allows its dependent to start; `never`: it no longer can.
bool allows(const ContainerState& dependency, Condition condition, bool& never) {
  const bool stopped = dependency.status == Status::Stopped;
  switch (condition) {
    case Condition::Start:
      return dependency.status == Status::Running || stopped;
    case Condition::Complete:
      return stopped;
    case Condition::Success:
      never = never || (stopped && dependency.exit_code != 0);
      return stopped && dependency.exit_code == 0;
    case Condition::Healthy:
      never = never || stopped;
      return dependency.health == Health::Healthy;
  }
  CHECK_FAILED("condition of dependsOn");
}

void apply_overrides(const Task& task, ContainerStart& start) {
  const Json* list = find(task.overrides, "containerOverrides");
  if (!list) return;
  for (const Json& item : *list) {
    if (get_string(item, "name") != start.container) continue;
    if (const Json* command = find(item, "command")) {
      start.command = command->get<std::vector<std::string>>();
    }
    if (const Json* environment = find(item, "environment")) {
      for (const Json& pair : *environment) {
        start.environment[get_string(pair, "name")] = get_string(pair, "value");
      }
    }
  }
}

void start_container(Core& core, Task& task, ContainerState& container, TimePoint now) {
  const ContainerSpec& spec = spec_of(task, container);
  container.status = Status::Starting;
  if (container.digest.empty()) container.digest = core.d.images.resolve(spec.image).value_or("");
  if (task.pull_started == TimePoint{}) task.pull_started = now;
  ContainerStart start;
  start.task_id = task.id;
  start.container = spec.name;
  start.image = spec.image;
  start.digest = container.digest;
  start.address = task.address;
  start.ports = spec.ports;
  start.entry_point = spec.entry_point;
  start.command = spec.command;
  start.environment = spec.environment;
  start.account = core.d.scope.account;
  start.region = core.d.scope.region;
  start.cluster = task.cluster;
  start.service = task.service;
  start.family = task.definition->family;
  apply_overrides(task, start);
  core.actions.emplace_back(std::move(start));
}

/// Starts what dependsOn allows; true if something was started or the task had to be stopped.
bool start_ready_containers(Core& core, Task& task, TimePoint now) {
  bool changed = false;
  for (ContainerState& container : task.containers) {
    if (container.status != Status::Waiting) continue;
    bool ready = true, never = false;
    for (const Dependency& dependency : spec_of(task, container).depends_on) {
      const ContainerState* other = container_named(task, dependency.container);
      ready = ready && other && allows(*other, dependency.condition, never);
    }
    if (never) {
      container.status = Status::Stopped;
      container.reason = "A container that this one depends on did not meet its condition.";
      stop_task(core, task, "TaskFailedToStart", container.reason, now);
      return true;
    }
    if (!ready) continue;
    start_container(core, task, container, now);
    changed = true;
  }
  return changed;
}

// --- Cloud Map and target groups -------------------------------------------------------------

/// 0: an A record, without port.
int registry_port(const Json& registry) {
  const auto port = get_int(registry, "containerPort");
  return static_cast<int>(port != 0 ? port : get_int(registry, "port"));
}

void register_task(Core& core, Task& task, TimePoint now) {
  task.registered = true;
  for (const Json& registry : task.registries) {
    std::map<std::string, std::string> attributes = {
        {"AWS_INSTANCE_IPV4", task.address},
        {"AVAILABILITY_ZONE", core.d.scope.region + "a"},
        {"REGION", core.d.scope.region},
        {"ECS_SERVICE_NAME", task.service},
        {"ECS_CLUSTER_NAME", task.cluster},
        {"ECS_TASK_DEFINITION_FAMILY", task.definition->family}};
    if (const int port = registry_port(registry)) {
      attributes["AWS_INSTANCE_PORT"] = std::to_string(port);
    }
    core.d.registry.register_instance(get_string(registry, "registryArn"), task.id, attributes,
                                      now);
  }
  const auto service = core.services.find(service_key(task.cluster, task.service));
  for (const Target& target : task.targets) {
    core.d.target_groups.register_target(target.group, task.address, target.port, now);
    if (service != core.services.end()) ++service->second.registered_now[target.group];
  }
}

void deregister_task(Core& core, Task& task, TimePoint now) {
  if (!task.registered) return;
  task.registered = false;
  for (const Json& registry : task.registries) {
    core.d.registry.deregister_instance(get_string(registry, "registryArn"), task.id, now);
  }
  for (const Target& target : task.targets) {
    core.d.target_groups.deregister_target(target.group, task.address, target.port, now);
  }
}

bool still_draining(const Core& core, const Task& task) {
  return std::any_of(task.targets.begin(), task.targets.end(), [&](const Target& target) {
    return core.d.target_groups.health(target.group, task.address, target.port).state ==
           TargetState::Draining;
  });
}

// --- stopping --------------------------------------------------------------------------------

bool has_live_dependent(const Task& task, const ContainerState& container) {
  for (const ContainerState& other : task.containers) {
    if (other.status != Status::Running && other.status != Status::Starting) continue;
    for (const Dependency& dependency : spec_of(task, other).depends_on) {
      if (dependency.container == container.name) return true;
    }
  }
  return false;
}

/// SIGTERM in reverse order of dependsOn, SIGKILL after stopTimeout.
bool stop_containers(Core& core, Task& task, TimePoint now) {
  bool changed = false;
  for (ContainerState& container : task.containers) {
    if (container.status == Status::Waiting) {
      container.status = Status::Stopped;
      changed = true;
    }
    if (container.status == Status::Stopped) continue;
    if (!container.terminated && !has_live_dependent(task, container)) {
      container.terminated = true;
      container.kill_at = now + spec_of(task, container).stop_timeout;
      core.actions.emplace_back(ContainerSignal{task.id, container.name, StopSignal::Terminate});
      changed = true;
    }
    if (container.kill_at <= now) {
      container.kill_at = kNever;
      core.actions.emplace_back(ContainerSignal{task.id, container.name, StopSignal::Kill});
      changed = true;
    }
  }
  return changed;
}

bool all_stopped(const Task& task) {
  return std::all_of(task.containers.begin(), task.containers.end(),
                     [](const ContainerState& c) { return c.status == Status::Stopped; });
}

/// The phase in which a stopping task finds itself when its current one is left.
void continue_stop(Core& core, Task& task, TimePoint now) {
  if (task.phase == Phase::Provisioning) {
    for (ContainerState& container : task.containers) container.status = Status::Stopped;
    enter(core, task, Phase::Deprovisioning, now);
    task.phase_until = now + core.options().deprovisioning;
    return;
  }
  const bool crashed = task.stop_code == "EssentialContainerExited";
  const bool drains =
      task.registered && !crashed && (!task.targets.empty() || !task.registries.empty());
  deregister_task(core, task, now);
  if (drains) {
    enter(core, task, Phase::Deactivating, now);
    task.phase_until = now + core.options().drain;
    return;
  }
  enter(core, task, Phase::Stopping, now);
}

// --- health checks -----------------------------------------------------------------------------

Duration paced(const Core& core, Duration duration) {
  return from_seconds(to_seconds(duration) * core.options().check_pace);
}

bool run_due_checks(Core& core, Task& task, TimePoint now) {
  bool changed = false;
  for (ContainerState& container : task.containers) {
    if (container.status != Status::Running || container.checking || container.next_check > now) {
      continue;
    }
    const HealthCheck& check = *spec_of(task, container).check;
    container.checking = true;
    container.next_check = kNever;
    core.actions.emplace_back(CheckStart{task.id, container.name, check.command, check.shell,
                                         task.address, check.timeout});
    changed = true;
  }
  return changed;
}

void check_finished(Core& core, Task& task, ContainerState& container, bool healthy,
                    TimePoint now) {
  if (container.status != Status::Running || !container.checking) return;
  const HealthCheck& check = *spec_of(task, container).check;
  const Health before = task_health(task);
  container.checking = false;
  container.next_check = now + paced(core, check.interval);
  if (healthy) {
    container.failed_checks = 0;
    container.health = Health::Healthy;
  } else if (container.health == Health::Healthy ||
             now >= container.started + paced(core, check.start_period)) {
    // Failures within startPeriod do not count until the first success (Docker's rule).
    if (++container.failed_checks >= check.retries) container.health = Health::Unhealthy;
  }
  if (task_health(task) != before) {
    ++task.version;
    core.d.events.event(
        now, "task.health",
        {{"task", task.id}, {"service", task.service}, {"health", to_string(task_health(task))}});
  }
}

// --- events ------------------------------------------------------------------------------------

void container_started(Core& core, Task& task, ContainerState& container,
                       const ContainerStarted& event, TimePoint now) {
  if (container.status != Status::Starting) return;
  container.status = Status::Running;
  container.started = now;
  if (container.digest.empty()) container.digest = event.image_digest;
  const auto& check = spec_of(task, container).check;
  if (check) container.next_check = now + paced(core, check->interval);
  task.pull_stopped = now;
  ++task.version;
}

void container_failed(Core& core, Task& task, ContainerState& container, const std::string& reason,
                      TimePoint now) {
  container.status = Status::Stopped;
  container.reason = reason;
  container.next_check = kNever;
  ++task.version;
  // An image that cannot be had ends the task even if the container is not essential.
  stop_task(core, task, "TaskFailedToStart", reason, now);
}

void container_exited(Core& core, Task& task, ContainerState& container,
                      const ContainerExited& event, TimePoint now) {
  container.status = Status::Stopped;
  container.exit_code = event.exit_code;
  container.reason = event.reason;
  container.next_check = container.kill_at = kNever;
  container.checking = false;
  ++task.version;
  if (task.wanted && spec_of(task, container).essential) {
    stop_task(core, task, "EssentialContainerExited", "Essential container in task exited", now);
  }
}

void write_log(Core& core, const Task& task, const ContainerState& container,
               const std::vector<std::string>& lines, TimePoint now) {
  const auto& log = spec_of(task, container).log;
  if (!log) return;
  const std::string prefix = log->prefix.empty() ? "" : log->prefix + "/";
  core.d.logs.append(log->group, fmt::format("{}{}/{}", prefix, container.name, task.id), lines,
                     log->create_group, now);
}

Task* task_by_id(Core& core, const std::string& id) {
  const auto it = core.tasks.find(id);
  return it == core.tasks.end() ? nullptr : &it->second;
}

}  // namespace

const char* to_string(Phase phase) {
  static constexpr const char* kNames[] = {"PROVISIONING", "PENDING",  "ACTIVATING",     "RUNNING",
                                           "DEACTIVATING", "STOPPING", "DEPROVISIONING", "STOPPED"};
  return kNames[static_cast<int>(phase)];
}

const char* to_string(Health health) {
  static constexpr const char* kNames[] = {"UNKNOWN", "HEALTHY", "UNHEALTHY"};
  return kNames[static_cast<int>(health)];
}

Health task_health(const Task& task) {
  bool any = false, all = true;
  for (const ContainerState& container : task.containers) {
    const ContainerSpec& spec = spec_of(task, container);
    if (!spec.check || !spec.essential) continue;
    if (container.health == Health::Unhealthy) return Health::Unhealthy;
    any = true;
    all = all && container.health == Health::Healthy;
  }
  return any && all ? Health::Healthy : Health::Unknown;
}

Task* create_task(Core& core, const TaskRequest& request, TimePoint now) {
  auto address = core.d.addresses.acquire();
  if (!address) return nullptr;
  Random& random = core.random;
  Task task;
  task.id = random_hex(random, 32);
  task.arn = core.arn(fmt::format("task/{}/{}", request.cluster, task.id));
  task.cluster = request.cluster;
  task.service = request.service;
  task.group = request.group;
  task.started_by = request.started_by;
  task.deployment_id = request.deployment_id;
  task.definition = request.definition;
  task.address = *address;
  task.eni = "eni-" + random_hex(random, 17);
  task.attachment_id = random_uuid(random);
  task.mac = fmt::format("0a:{0}{1}:{2}{3}:{4}{5}:{6}{7}:{8}{9}", random_hex(random, 1),
                         random_hex(random, 1), random_hex(random, 1), random_hex(random, 1),
                         random_hex(random, 1), random_hex(random, 1), random_hex(random, 1),
                         random_hex(random, 1), random_hex(random, 1), random_hex(random, 1));
  task.launch_type = request.launch_type;
  task.platform_version = request.platform_version;
  if (const Json* subnets = find(request.network, "subnets"); subnets && !subnets->empty()) {
    task.subnet = subnets->front().get<std::string>();
  }
  if (const Json* groups = find(request.network, "securityGroups")) {
    for (const Json& group : *groups) task.security_groups.push_back(group.get<std::string>());
  }
  task.public_ip = get_string(request.network, "assignPublicIp") == "ENABLED";
  task.overrides = request.overrides;
  task.tags = request.tags;
  task.execute_command = request.execute_command;
  task.targets = request.targets;
  task.registries = request.registries;
  task.created = now;
  task.phase_until = now + core.options().provisioning;
  for (const ContainerSpec& spec : request.definition->spec.containers) {
    ContainerState container;
    container.name = spec.name;
    container.image = spec.image;
    container.arn =
        core.arn(fmt::format("container/{}/{}/{}", request.cluster, task.id, random_uuid(random)));
    container.runtime_id = fmt::format("{}-{}", task.id, random_digits(random, 10));
    const auto digest = request.digests.find(spec.name);
    if (digest != request.digests.end()) container.digest = digest->second;
    task.containers.push_back(std::move(container));
  }
  core.d.events.event(now, "task.created",
                      {{"task", task.id},
                       {"cluster", task.cluster},
                       {"service", task.service},
                       {"family", task.definition->family},
                       {"revision", task.definition->revision},
                       {"address", task.address}});
  core.wakeup = std::min(core.wakeup, now);
  const std::string id = task.id;
  return &core.tasks.emplace(id, std::move(task)).first->second;
}

void stop_task(Core& core, Task& task, std::string code, std::string reason, TimePoint now) {
  if (!task.alive()) return;
  task.wanted = false;
  task.stop_code = std::move(code);
  task.stopped_reason = std::move(reason);
  task.stopping_at = now;
  ++task.version;
  core.d.events.event(now, "task.stopping",
                      {{"task", task.id},
                       {"service", task.service},
                       {"code", task.stop_code},
                       {"reason", task.stopped_reason}});
  continue_stop(core, task, now);
  core.wakeup = std::min(core.wakeup, now);
}

bool advance_task(Core& core, Task& task, TimePoint now) {
  switch (task.phase) {
    case Phase::Provisioning:
      if (task.phase_until > now) return false;
      enter(core, task, Phase::Pending, now);
      task.connected = now;
      return true;
    case Phase::Pending: {
      if (start_ready_containers(core, task, now) || run_due_checks(core, task, now)) return true;
      const bool all_up =
          std::all_of(task.containers.begin(), task.containers.end(), [](const ContainerState& c) {
            return c.status == Status::Running || c.status == Status::Stopped;
          });
      if (!all_up) return false;
      enter(core, task, Phase::Activating, now);
      register_task(core, task, now);
      const bool has_steps = !task.targets.empty() || !task.registries.empty();
      task.phase_until = now + (has_steps ? core.options().activating : Duration{});
      return true;
    }
    case Phase::Activating:
      if (run_due_checks(core, task, now)) return true;
      if (task.phase_until > now) return false;
      task.started = now;
      enter(core, task, Phase::Running, now);
      return true;
    case Phase::Running:
      return run_due_checks(core, task, now);
    case Phase::Deactivating:
      if (task.phase_until > now) return false;
      if (still_draining(core, task)) {
        task.phase_until = now + core.options().health_poll;
        return true;
      }
      enter(core, task, Phase::Stopping, now);
      return true;
    case Phase::Stopping:
      if (stop_containers(core, task, now)) return true;
      if (!all_stopped(task)) return false;
      task.execution_stopped = now;
      enter(core, task, Phase::Deprovisioning, now);
      task.phase_until = now + core.options().deprovisioning;
      return true;
    case Phase::Deprovisioning:
      if (task.phase_until > now) return false;
      task.stopped = now;
      if (task.execution_stopped == TimePoint{}) task.execution_stopped = now;
      core.actions.emplace_back(TaskRelease{task.id, task.address});
      core.d.addresses.release(task.address);
      enter(core, task, Phase::Stopped, now);
      return true;
    case Phase::Stopped:
      return false;
  }
  return false;
}

TimePoint task_due(const Core& core, const Task& task) {
  if (task.phase == Phase::Stopped) return task.stopped + core.options().remembered;
  TimePoint due = task.phase_until;
  const bool checks = task.phase >= Phase::Pending && task.phase <= Phase::Running;
  for (const ContainerState& container : task.containers) {
    due = std::min({due, checks ? container.next_check : kNever, container.kill_at});
  }
  return due;
}

bool handle_event(Core& core, const TaskEvent& event, TimePoint now) {
  const auto& id = std::visit([](const auto& e) -> const std::string& { return e.task_id; }, event);
  const auto& name =
      std::visit([](const auto& e) -> const std::string& { return e.container; }, event);
  Task* task = task_by_id(core, id);
  if (!task) return false;
  ContainerState* container = container_named(*task, name);
  if (!container) return false;
  if (const auto* log = std::get_if<ContainerLog>(&event)) {
    write_log(core, *task, *container, log->lines, now);
    return true;
  }
  if (container->status == Status::Stopped) return true;
  if (const auto* started = std::get_if<ContainerStarted>(&event)) {
    container_started(core, *task, *container, *started, now);
  } else if (const auto* failed = std::get_if<ContainerStartFailed>(&event)) {
    container_failed(core, *task, *container, failed->reason, now);
  } else if (const auto* exited = std::get_if<ContainerExited>(&event)) {
    container_exited(core, *task, *container, *exited, now);
  } else if (const auto* check = std::get_if<CheckFinished>(&event)) {
    check_finished(core, *task, *container, check->healthy, now);
  }
  core.wakeup = std::min(core.wakeup, now);
  return true;
}

}  // namespace coalmine::mock::ecs
