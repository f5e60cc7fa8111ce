// What RegisterTaskDefinition checks and fills in.
#include "mock-aws/services/ecs/register.h"

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <set>

#include "mock-aws/services/ecs/core.h"

namespace coalmine::mock::ecs {
namespace {

using Check = tl::expected<void, AwsError>;

bool valid_name(const std::string& name) {
  return !name.empty() && name.size() <= 255 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  });
}

bool is_ecr_image(const std::string& image) {
  return image.find(".dkr.ecr.") != std::string::npos;
}

bool any_container(const Json& body, bool (*test)(const Json&)) {
  const Json& containers = body.at("containerDefinitions");
  return std::any_of(containers.begin(), containers.end(), test);
}

bool requires_fargate(const Json& input) {
  const Json* list = find(input, "requiresCompatibilities");
  return list && std::find(list->begin(), list->end(), "FARGATE") != list->end();
}

/// A number with an optional unit: "1024", "1 GB"; nullopt if it is neither.
std::optional<int> parse_size(std::string text, std::string_view unit, double factor) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const auto end = text.find_first_not_of("0123456789.");
  const std::string number = text.substr(0, end);
  std::string rest = end == std::string::npos ? "" : text.substr(end);
  rest.erase(std::remove(rest.begin(), rest.end(), ' '), rest.end());
  if (number.empty() || number.size() > 9 || std::count(number.begin(), number.end(), '.') > 1) {
    return std::nullopt;
  }
  const double value = std::strtod(number.c_str(), nullptr);
  if (rest == unit) return static_cast<int>(value * factor);
  if (!rest.empty() || number.find('.') != std::string::npos) return std::nullopt;
  return static_cast<int>(value);
}

void set_default(Json& object, const char* key, Json value) {
  if (!object.contains(key)) object[key] = std::move(value);
}

void fill_ports(Json& container, const std::string& mode) {
  for (Json& port : container["portMappings"]) {
    set_default(port, "protocol", "tcp");
    if (!port.contains("containerPort")) continue;
    if (mode == "awsvpc" || mode == "host") {
      set_default(port, "hostPort", port["containerPort"]);
    } else {
      set_default(port, "hostPort", 0);
    }
  }
}

void fill_container(Json& container, const std::string& mode) {
  set_default(container, "cpu", 0);
  set_default(container, "essential", true);
  for (const char* list :
       {"portMappings", "environment", "mountPoints", "volumesFrom", "systemControls"}) {
    set_default(container, list, Json::array());
  }
  fill_ports(container, mode);
  if (container.contains("healthCheck")) {
    set_default(container["healthCheck"], "interval", 30);
    set_default(container["healthCheck"], "timeout", 5);
    set_default(container["healthCheck"], "retries", 3);
  }
}

Check in_range(const Json& object, const char* key, int low, int high, const std::string& name) {
  const Json* value = find(object, key);
  if (!value || (value->get<std::int64_t>() >= low && value->get<std::int64_t>() <= high)) {
    return {};
  }
  return aws_error("ClientException",
                   "Invalid '{}' setting for container {}: {} is not within {} and {}.", key, name,
                   value->get<std::int64_t>(), low, high);
}

Check check_ports(const Json& container, const std::string& mode) {
  for (const Json& port : container.at("portMappings")) {
    const auto number = get_int(port, "containerPort");
    const auto host = get_int(port, "hostPort");
    if (number < 0 || number > 65535 || host < 0 || host > 65535) {
      return aws_error("ClientException",
                       "Invalid port mapping {} for container {}: a port is "
                       "between 0 and 65535.",
                       number, get_string(container, "name"));
    }
    if (mode == "awsvpc" && host != number) {
      return aws_error("ClientException",
                       "When networkMode=awsvpc, the host ports and container ports in port "
                       "mappings must match.");
    }
  }
  return {};
}

Check check_container(const Json& container, const Json& body) {
  const std::string name = get_string(container, "name");
  const std::string mode = get_string(body, "networkMode");
  if (!valid_name(name)) {
    return aws_error("ClientException", "Container.name contains invalid characters.");
  }
  if (get_string(container, "image").empty()) {
    return aws_error("ClientException", "Container.image should not be null or blank.");
  }
  const bool sized = body.contains("memory") || container.contains("memory") ||
                     container.contains("memoryReservation");
  if (!sized) {
    return aws_error("ClientException",
                     "Invalid setting for container '{}'. At least one of 'memory' or "
                     "'memoryReservation' must be specified.",
                     name);
  }
  TRY_STATUS(check_ports(container, mode));
  if (requires_fargate(body)) TRY_STATUS(in_range(container, "stopTimeout", 0, 120, name));
  if (const Json* check = find(container, "healthCheck")) {
    TRY_STATUS(in_range(*check, "interval", 5, 300, name));
    TRY_STATUS(in_range(*check, "timeout", 2, 60, name));
    TRY_STATUS(in_range(*check, "retries", 1, 10, name));
    TRY_STATUS(in_range(*check, "startPeriod", 0, 300, name));
    if (!check->contains("command") || check->at("command").empty()) {
      return aws_error("ClientException",
                       "Invalid 'healthCheck' setting for container {}: "
                       "the command is empty.",
                       name);
    }
  }
  return {};
}

Check check_containers(const Json& body) {
  const Json& containers = body.at("containerDefinitions");
  if (containers.empty() || containers.size() > kMaxContainers) {
    return aws_error("ClientException", "A task definition has 1 to {} container definitions.",
                     kMaxContainers);
  }
  std::set<std::string> names;
  for (const Json& container : containers) {
    TRY_STATUS(check_container(container, body));
    if (!names.insert(get_string(container, "name")).second) {
      return aws_error("ClientException", "Container.name should be unique. {} is duplicated.",
                       get_string(container, "name"));
    }
  }
  if (!any_container(body, [](const Json& c) { return get_bool(c, "essential"); })) {
    return aws_error("ClientException",
                     "Task definition must have at least one essential container.");
  }
  const Json* proxy = find(body, "proxyConfiguration");
  if (proxy && !names.count(get_string(*proxy, "containerName"))) {
    return aws_error("ClientException",
                     "The proxy configuration's container {} is not in the task definition.",
                     get_string(*proxy, "containerName"));
  }
  return {};
}

/// Rewrites cpu and memory as AWS echoes them ("1 vCPU" -> "1024").
Check normalise_size(Json& body) {
  if (const Json* cpu = find(body, "cpu")) {
    const auto units = parse_cpu(cpu->get<std::string>());
    if (!units || *units < 128 || *units > 196608) {
      return aws_error("ClientException",
                       "Invalid 'cpu' setting for task. For more information, see the "
                       "Troubleshooting section of the Amazon ECS Developer Guide.");
    }
    body["cpu"] = std::to_string(*units);
  }
  if (const Json* memory = find(body, "memory")) {
    const auto mib = parse_memory(memory->get<std::string>());
    if (!mib || *mib < 4) {
      return aws_error("ClientException",
                       "Invalid 'memory' setting for task. For more information, see the "
                       "Troubleshooting section of the Amazon ECS Developer Guide.");
    }
    body["memory"] = std::to_string(*mib);
  }
  return {};
}

bool fits_fargate(const Json& body) {
  return get_string(body, "networkMode") == "awsvpc" && body.contains("cpu") &&
         body.contains("memory") &&
         is_fargate_size(parse_cpu(get_string(body, "cpu")).value_or(0),
                         parse_memory(get_string(body, "memory")).value_or(0));
}

Check check_fargate(const Json& body) {
  if (!requires_fargate(body)) return {};
  if (get_string(body, "networkMode") != "awsvpc") {
    return aws_error("ClientException", "Fargate only supports network mode ‘awsvpc’.");
  }
  for (const char* size : {"cpu", "memory"}) {
    if (!body.contains(size)) {
      return aws_error("ClientException",
                       "Fargate requires that '{}' be defined at the task level.", size);
    }
  }
  if (!fits_fargate(body)) {
    return aws_error("ClientException", "No Fargate configuration exists for given values.");
  }
  if (const Json* storage = find(body, "ephemeralStorage")) {
    const auto size = get_int(*storage, "sizeInGiB");
    if (size < 21 || size > 200) {
      return aws_error("ClientException",
                       "Invalid ephemeral storage size {} GiB, allowed is 21 to 200.", size);
    }
  }
  const bool ecr =
      any_container(body, [](const Json& c) { return is_ecr_image(get_string(c, "image")); });
  const bool logs = any_container(body, [](const Json& c) {
    const Json* log = find(c, "logConfiguration");
    return log && get_string(*log, "logDriver") == "awslogs";
  });
  if (get_string(body, "executionRoleArn").empty()) {
    if (ecr) {
      return aws_error("ClientException",
                       "Fargate requires task definition to have execution role ARN to support "
                       "ECR images.");
    }
    if (logs) {
      return aws_error("ClientException",
                       "Fargate requires task definition to have execution role ARN to support "
                       "log driver awslogs.");
    }
  }
  return {};
}

Json required_attributes(const Json& body) {
  std::set<std::string> names;
  const std::string docker = "com.amazonaws.ecs.capability.docker-remote-api.1.";
  names.insert(docker + "18");
  const bool role = !get_string(body, "executionRoleArn").empty();
  const bool ecr =
      any_container(body, [](const Json& c) { return is_ecr_image(get_string(c, "image")); });
  if (!get_string(body, "taskRoleArn").empty()) {
    names.insert({"com.amazonaws.ecs.capability.task-iam-role", docker + "17"});
  }
  if (get_string(body, "networkMode") == "awsvpc") names.insert("ecs.capability.task-eni");
  if (ecr) {
    names.insert({"com.amazonaws.ecs.capability.ecr-auth", docker + "19", docker + "21"});
    if (role) names.insert("ecs.capability.execution-role-ecr-pull");
  }
  const Json* proxy = find(body, "proxyConfiguration");
  if (proxy && get_string(*proxy, "type", "APPMESH") == "APPMESH") {
    names.insert("ecs.capability.aws-appmesh");
  }
  for (const Json& container : body.at("containerDefinitions")) {
    const Json* log = find(container, "logConfiguration");
    if (log && get_string(*log, "logDriver") == "awslogs") {
      names.insert({"com.amazonaws.ecs.capability.logging-driver.awslogs", docker + "19"});
      if (role) names.insert("ecs.capability.execution-role-awslogs");
    }
    if (const Json* deps = find(container, "dependsOn"); deps && !deps->empty()) {
      names.insert("ecs.capability.container-ordering");
    }
    if (container.contains("healthCheck")) {
      names.insert({"ecs.capability.container-health-check", docker + "24", docker + "29"});
    }
  }
  Json list = Json::array();
  for (const std::string& name : names) list.push_back({{"name", name}});
  return list;
}

}  // namespace

std::optional<int> parse_cpu(const std::string& text) {
  return parse_size(text, "vcpu", 1024);
}
std::optional<int> parse_memory(const std::string& text) {
  return parse_size(text, "gb", 1024);
}

bool is_fargate_size(int cpu, int memory) {
  struct Size {
    int cpu, low, high, step;
  };
  static constexpr Size kSizes[] = {{512, 1024, 4096, 1024},    {1024, 2048, 8192, 1024},
                                    {2048, 4096, 16384, 1024},  {4096, 8192, 30720, 1024},
                                    {8192, 16384, 61440, 4096}, {16384, 32768, 122880, 8192}};
  if (cpu == 256) return memory == 512 || memory == 1024 || memory == 2048;
  return std::any_of(std::begin(kSizes), std::end(kSizes), [&](const Size& size) {
    return size.cpu == cpu && memory >= size.low && memory <= size.high &&
           (memory - size.low) % size.step == 0;
  });
}

Reply definition_body(const Json& input) {
  if (!valid_name(get_string(input, "family"))) {
    return aws_error("ClientException", "Family contains invalid characters.");
  }
  Json body = input;
  body.erase("tags");
  set_default(body, "networkMode", "bridge");
  set_default(body, "volumes", Json::array());
  set_default(body, "placementConstraints", Json::array());
  const std::string mode = get_string(body, "networkMode");
  for (Json& container : body["containerDefinitions"]) fill_container(container, mode);
  TRY_STATUS(normalise_size(body));
  TRY_STATUS(check_fargate(body));
  TRY_STATUS(check_containers(body));
  TRY_STATUS(check_dependencies(read_task_spec(body)));
  body["compatibilities"] = fits_fargate(body) ? Json::array({"EC2", "FARGATE"})
                            : mode == "awsvpc" ? Json::array({"EC2"})
                                               : Json::array({"EXTERNAL", "EC2"});
  body["requiresAttributes"] = required_attributes(body);
  return body;
}

}  // namespace coalmine::mock::ecs
