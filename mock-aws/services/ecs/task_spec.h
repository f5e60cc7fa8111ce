#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "mock-aws/protocol/service.h"
#include "sim/core/json.h"
#include "sim/core/time.h"

namespace coalmine::mock::ecs {

enum class Condition { Start, Complete, Success, Healthy };

struct Dependency {
  std::string container;
  Condition condition = Condition::Start;
};

struct HealthCheck {
  std::vector<std::string> command;  ///< without CMD / CMD-SHELL
  bool shell = false;
  Duration interval = std::chrono::seconds{30};
  Duration timeout = std::chrono::seconds{5};
  int retries = 3;
  Duration start_period{};
};

struct LogTarget {
  std::string group, prefix;
  bool create_group = false;
};

/// A container definition, read once.
struct ContainerSpec {
  std::string name, image;
  bool essential = true;
  bool pinned = true;  ///< versionConsistency
  std::vector<int> ports;
  std::vector<std::string> entry_point, command;
  std::map<std::string, std::string> environment;
  std::vector<Dependency> depends_on;
  std::optional<HealthCheck> check;
  std::optional<LogTarget> log;
  Duration stop_timeout = std::chrono::seconds{30};
};

struct TaskSpec {
  bool awsvpc = false;
  std::vector<ContainerSpec> containers;
};

/// Reads the part of a task definition that running it needs. The body has been validated.
TaskSpec read_task_spec(const Json& body);

/// Stop order and start order are by dependsOn; a cycle or an unknown name is a ClientException.
tl::expected<void, AwsError> check_dependencies(const TaskSpec& spec);

}  // namespace coalmine::mock::ecs
