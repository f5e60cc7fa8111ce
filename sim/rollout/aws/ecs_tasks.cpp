#include "sim/rollout/aws/ecs_tasks.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace coalmine::rollout {
namespace {

/// Docker label of a container: whose image it has.
constexpr const char* kImageOf = "coalmine.image-of";
/// What DescribeTaskDefinition adds to what RegisterTaskDefinition was given.
constexpr const char* kAnswered[] = {"taskDefinitionArn",  "revision",      "status",
                                     "requiresAttributes", "registeredAt",  "registeredBy",
                                     "compatibilities",    "deregisteredAt"};

const Json& list_at(const Json& json, const char* key) {
  static const Json none = Json::array();
  const Json* list = find(json, key);
  return list != nullptr && list->is_array() ? *list : none;
}

const Json* named(const Json& list, const std::string& name) {
  for (const Json& one : list) {
    if (get_string(one, "name") == name) return &one;
  }
  return nullptr;
}

/// Names of containers that only one of the two definitions has.
std::vector<std::string> only_in(const Json& mine, const Json& other) {
  std::vector<std::string> names;
  for (const Json& container : mine) {
    const std::string name = get_string(container, "name");
    if (named(other, name) == nullptr) names.push_back(name);
  }
  return names;
}

void copy_variables(const std::vector<std::string>& names, const Json& from, Json& to) {
  Json environment = Json::array();
  const auto moves = [&names](const Json& variable) {
    return std::find(names.begin(), names.end(), get_string(variable, "name")) != names.end();
  };
  for (const Json& variable : list_at(to, "environment")) {
    if (!moves(variable)) environment.push_back(variable);
  }
  for (const Json& variable : list_at(from, "environment")) {
    if (moves(variable)) environment.push_back(variable);
  }
  if (!names.empty()) to["environment"] = std::move(environment);
}

std::string image_of(const Json& definition) {
  for (const Json& container : list_at(definition, "containerDefinitions")) {
    const Json* labels = find(container, "dockerLabels");
    if (labels == nullptr) continue;
    if (const std::string arn = get_string(*labels, kImageOf); !arn.empty()) return arn;
  }
  return {};
}

}  // namespace

Result<Json> with_images_of(const Json& stable, const Json& canary,
                            const std::vector<std::string>& build_variables) {
  Json made = stable;
  for (const char* key : kAnswered) made.erase(key);
  const Json& theirs = list_at(canary, "containerDefinitions");
  const std::vector<std::string> left = only_in(list_at(stable, "containerDefinitions"), theirs);
  const std::vector<std::string> right = only_in(theirs, list_at(stable, "containerDefinitions"));
  const bool pair = left.size() == 1 && right.size() == 1;
  int swapped = 0;
  for (Json& container : made["containerDefinitions"]) {
    const std::string name = get_string(container, "name");
    const Json* other = named(theirs, pair && name == left[0] ? right[0] : name);
    if (other == nullptr) continue;
    container["image"] = get_string(*other, "image");
    container["dockerLabels"][kImageOf] = get_string(canary, "taskDefinitionArn");
    copy_variables(build_variables, *other, container);
    ++swapped;
  }
  if (swapped == 0) {
    return error(ErrorKind::Failed,
                 "no container of {} has its like in {}: give them the same names",
                 get_string(stable, "family"), get_string(canary, "family"));
  }
  return made;
}

Result<Json> EcsTasks::definition(const std::string& arn) {
  TRY(const Json answer, client_.call("ecs", "DescribeTaskDefinition", {{"taskDefinition", arn}}));
  const Json* definition = find(answer, "taskDefinition");
  if (definition == nullptr) {
    return error(ErrorKind::Failed, "ECS does not describe the task definition {}", arn);
  }
  return *definition;
}

Result<int> EcsTasks::healthy_targets(const Json& service, int running) {
  int ready = running;
  for (const Json& balancer : list_at(service, "loadBalancers")) {
    const std::string group = get_string(balancer, "targetGroupArn");
    if (group.empty()) continue;
    TRY(const Json health,
        client_.call("elbv2", "DescribeTargetHealth", {{"TargetGroupArn", group}}));
    int healthy = 0;
    for (const Json& one : list_at(health, "TargetHealthDescriptions")) {
      const Json* state = find(one, "TargetHealth");
      if (state == nullptr) continue;
      // A group that no listener forwards to yet is not checked: nothing speaks against it.
      const std::string word = get_string(*state, "State");
      healthy += word == "healthy" || word == "unused" ? 1 : 0;
    }
    ready = std::min(ready, healthy);
  }
  return ready;
}

Result<TaskCount> EcsTasks::count_of(const Json& service) {
  TaskCount count;
  count.desired = static_cast<int>(get_int(service, "desiredCount"));
  for (const Json& deployment : list_at(service, "deployments")) {
    const auto running = static_cast<int>(get_int(deployment, "runningCount"));
    const std::string status = get_string(deployment, "status");
    if (status == "INACTIVE") continue;  // replaced altogether
    if (status != "PRIMARY") {
      count.leaving += std::max(1, running + static_cast<int>(get_int(deployment, "pendingCount")));
      continue;
    }
    count.build = get_string(deployment, "taskDefinition");
    TRY(count.ready, healthy_targets(service, running));
    if (get_string(deployment, "rolloutState") == "FAILED") {
      count.failure = get_string(deployment, "rolloutStateReason", "the deployment failed");
    }
  }
  return count;
}

Result<TaskCount> EcsTasks::service_in(const Json& answer, const std::string& name) {
  for (const Json& one : list_at(answer, "services")) {
    if (get_string(one, "serviceName") == name && get_string(one, "status") == "ACTIVE") {
      return count_of(one);
    }
  }
  return error(ErrorKind::Failed, "there is no service {} in the cluster {}", name,
               services_.cluster);
}

Result<std::vector<std::string>> EcsTasks::images(const std::string& build) {
  TRY(const Json described, definition(build));
  std::vector<std::string> found;
  for (const Json& container : list_at(described, "containerDefinitions")) {
    found.push_back(get_string(container, "image"));
  }
  std::sort(found.begin(), found.end());
  return found;
}

Status EcsTasks::check_baseline(const TaskCount& stable, const TaskCount& baseline) {
  const std::pair builds(stable.build, baseline.build);
  if (same_images_.count(builds) > 0) return {};
  TRY(const auto wanted, images(stable.build));
  TRY(const auto found, images(baseline.build));
  if (found != wanted) {
    return error(ErrorKind::Failed,
                 "the baseline {} ({}) does not run the images of {} ({}): update its service to "
                 "them, or the canary is compared with another version",
                 services_.baseline_service, fmt::join(found, ", "), services_.stable_service,
                 fmt::join(wanted, ", "));
  }
  same_images_.insert(builds);
  return {};
}

Result<Tasks> EcsTasks::read() {
  Json names = Json::array({services_.stable_service, services_.canary_service});
  const bool compares = !services_.baseline.empty();
  if (compares) names.push_back(services_.baseline_service);
  TRY(const Json answer, client_.call("ecs", "DescribeServices",
                                      {{"cluster", services_.cluster}, {"services", names}}));
  Tasks tasks;
  TRY(tasks.stable, service_in(answer, services_.stable_service));
  TRY(tasks.canary, service_in(answer, services_.canary_service));
  if (compares) {
    auto baseline = service_in(answer, services_.baseline_service);
    if (!baseline) {
      return error(
          ErrorKind::Failed,
          "{}; an experiment needs one that runs the images of {} and has no tasks yet, as "
          "`coalmine provision --baseline` makes it",
          baseline.error().message, services_.stable_service);
    }
    tasks.baseline = *std::move(baseline);
    TRY_STATUS(check_baseline(tasks.stable, *tasks.baseline));
  }
  // A revision never changes, so it is asked for once.
  const auto [known, fresh] = images_of_.try_emplace(tasks.stable.build);
  if (fresh) {
    const auto described = definition(tasks.stable.build);
    if (!described) {
      images_of_.erase(known);
      return tl::unexpected(described.error());
    }
    known->second = image_of(*described);
  }
  tasks.same_image = !known->second.empty() && known->second == tasks.canary.build;
  return tasks;
}

Status EcsTasks::update(const std::string& service, Json change) {
  change["cluster"] = services_.cluster;
  change["service"] = service;
  TRY(const Json ignored, client_.call("ecs", "UpdateService", change));
  return {};
}

Result<Tasks> EcsTasks::scale(const std::string& version, int tasks) {
  const std::string& service = version == services_.stable ? services_.stable_service
                               : !services_.baseline.empty() && version == services_.baseline
                                   ? services_.baseline_service
                                   : services_.canary_service;
  TRY_STATUS(update(service, {{"desiredCount", tasks}}));
  return read();
}

Result<Tasks> EcsTasks::swap_image(const std::string& build) {
  TRY(const Tasks now, read());
  std::string wanted = build;
  if (build.empty()) {
    if (now.same_image) return now;
    TRY(const Json stable, definition(now.stable.build));
    TRY(const Json canary, definition(now.canary.build));
    TRY(const Json made, with_images_of(stable, canary, services_.build_variables));
    TRY(const Json answer, client_.call("ecs", "RegisterTaskDefinition", made));
    const Json* registered = find(answer, "taskDefinition");
    if (registered != nullptr) wanted = get_string(*registered, "taskDefinitionArn");
    if (wanted.empty()) {
      return error(ErrorKind::Failed, "ECS did not register a revision of {}",
                   get_string(stable, "family"));
    }
  }
  TRY_STATUS(update(services_.stable_service, {{"taskDefinition", wanted}}));
  return read();
}

}  // namespace coalmine::rollout
