#include "mock-aws/services/ecs/task_spec.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

namespace coalmine::mock::ecs {
namespace {

std::vector<std::string> strings(const Json& object, std::string_view key) {
  std::vector<std::string> out;
  if (const Json* list = find(object, key)) {
    for (const Json& item : *list) out.push_back(item.get<std::string>());
  }
  return out;
}

Duration seconds(const Json& object, std::string_view key, std::int64_t fallback) {
  return std::chrono::seconds{get_int(object, key, fallback)};
}

Condition condition(const std::string& text) {
  if (text == "COMPLETE") return Condition::Complete;
  if (text == "SUCCESS") return Condition::Success;
  if (text == "HEALTHY") return Condition::Healthy;
  return Condition::Start;
}

std::optional<HealthCheck> read_check(const Json& container) {
  const Json* json = find(container, "healthCheck");
  if (!json) return std::nullopt;
  HealthCheck check;
  check.command = strings(*json, "command");
  if (check.command.empty() || check.command.front() == "NONE") return std::nullopt;
  check.shell = check.command.front() == "CMD-SHELL";
  if (check.shell || check.command.front() == "CMD") {
    check.command.erase(check.command.begin());
  } else {
    check.shell = true;  // a bare string is a shell command, as in Docker
  }
  check.interval = seconds(*json, "interval", 30);
  check.timeout = seconds(*json, "timeout", 5);
  check.retries = static_cast<int>(get_int(*json, "retries", 3));
  check.start_period = seconds(*json, "startPeriod", 0);
  return check;
}

std::optional<LogTarget> read_log(const Json& container) {
  const Json* json = find(container, "logConfiguration");
  if (!json || get_string(*json, "logDriver") != "awslogs") return std::nullopt;
  const Json* options = find(*json, "options");
  if (!options) return std::nullopt;
  return LogTarget{get_string(*options, "awslogs-group"),
                   get_string(*options, "awslogs-stream-prefix"),
                   get_string(*options, "awslogs-create-group") == "true"};
}

ContainerSpec read_container(const Json& json) {
  ContainerSpec spec;
  spec.name = get_string(json, "name");
  spec.image = get_string(json, "image");
  spec.essential = get_bool(json, "essential", true);
  spec.pinned = get_string(json, "versionConsistency", "enabled") != "disabled";
  if (const Json* ports = find(json, "portMappings")) {
    for (const Json& port : *ports) {
      if (get_string(port, "protocol", "tcp") != "tcp") continue;  // tasks here speak TCP
      if (const auto number = get_int(port, "containerPort")) {
        spec.ports.push_back(static_cast<int>(number));
      }
    }
  }
  spec.entry_point = strings(json, "entryPoint");
  spec.command = strings(json, "command");
  if (const Json* environment = find(json, "environment")) {
    for (const Json& pair : *environment) {
      spec.environment[get_string(pair, "name")] = get_string(pair, "value");
    }
  }
  if (const Json* dependencies = find(json, "dependsOn")) {
    for (const Json& item : *dependencies) {
      spec.depends_on.push_back(
          {get_string(item, "containerName"), condition(get_string(item, "condition"))});
    }
  }
  spec.check = read_check(json);
  spec.log = read_log(json);
  spec.stop_timeout = seconds(json, "stopTimeout", 30);
  return spec;
}

const ContainerSpec* by_name(const TaskSpec& spec, const std::string& name) {
  for (const ContainerSpec& container : spec.containers) {
    if (container.name == name) return &container;
  }
  return nullptr;
}

/// A container on a cycle of dependsOn, or nullptr: takes away whatever depends on nothing left.
const ContainerSpec* find_cycle(const TaskSpec& spec) {
  std::set<std::string> done;
  for (bool progress = true; progress;) {
    progress = false;
    for (const ContainerSpec& container : spec.containers) {
      if (done.count(container.name)) continue;
      const bool free = std::all_of(
          container.depends_on.begin(), container.depends_on.end(),
          [&](const Dependency& dependency) { return done.count(dependency.container) > 0; });
      if (free) progress = done.insert(container.name).second;
    }
  }
  for (const ContainerSpec& container : spec.containers) {
    if (!done.count(container.name)) return &container;
  }
  return nullptr;
}

}  // namespace

TaskSpec read_task_spec(const Json& body) {
  TaskSpec spec;
  spec.awsvpc = get_string(body, "networkMode") == "awsvpc";
  if (const Json* containers = find(body, "containerDefinitions")) {
    for (const Json& json : *containers) spec.containers.push_back(read_container(json));
  }
  return spec;
}

tl::expected<void, AwsError> check_dependencies(const TaskSpec& spec) {
  for (const ContainerSpec& container : spec.containers) {
    for (const Dependency& dependency : container.depends_on) {
      const ContainerSpec* other = by_name(spec, dependency.container);
      if (!other) {
        return aws_error("ClientException",
                         "Invalid 'dependsOn' setting for container {}: container {} is not in the "
                         "task definition.",
                         container.name, dependency.container);
      }
      const bool completes =
          dependency.condition == Condition::Complete || dependency.condition == Condition::Success;
      if (completes && other->essential) {
        return aws_error("ClientException",
                         "A container dependency with condition COMPLETE or SUCCESS cannot be set "
                         "on essential container {}.",
                         other->name);
      }
      if (dependency.condition == Condition::Healthy && !other->check) {
        return aws_error("ClientException",
                         "The container {} depends on container {} being HEALTHY, which does not "
                         "have a health check.",
                         container.name, other->name);
      }
    }
  }
  if (const ContainerSpec* container = find_cycle(spec)) {
    return aws_error("ClientException", "Cycle detected in the dependencies of container {}.",
                     container->name);
  }
  return {};
}

}  // namespace coalmine::mock::ecs
