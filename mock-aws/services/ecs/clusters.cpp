#include "mock-aws/services/ecs/core.h"
#include "mock-aws/services/ecs/paging.h"

namespace coalmine::mock::ecs {
namespace {

struct ClusterCounts {
  int running = 0, pending = 0, services = 0, draining = 0;
};

ClusterCounts count(const Core& core, const Cluster& cluster) {
  ClusterCounts counts;
  for (const auto& [id, task] : core.tasks) {
    if (task.cluster != cluster.name) continue;
    if (task.phase == Phase::Running) ++counts.running;
    if (task.pending() && task.wanted) ++counts.pending;
  }
  for (const auto& [key, service] : core.services) {
    if (service.cluster != cluster.name) continue;
    if (service.status == Service::Status::Active) ++counts.services;
    if (service.status == Service::Status::Draining) ++counts.draining;
  }
  return counts;
}

Cluster& make_cluster(Core& core, const std::string& name) {
  Cluster cluster;
  cluster.name = name;
  cluster.arn = core.arn("cluster/" + name);
  cluster.settings = Json::array({{{"name", "containerInsights"}, {"value", "disabled"}}});
  return core.clusters[name] = std::move(cluster);
}

void apply_settings(Cluster& cluster, const Json& input) {
  if (const Json* settings = find(input, "settings"); settings && !settings->empty()) {
    cluster.settings = *settings;
  }
  if (const Json* configuration = find(input, "configuration")) {
    cluster.configuration = *configuration;
  }
  if (const Json* defaults = find(input, "serviceConnectDefaults")) {
    cluster.service_connect_defaults = *defaults;
  }
}

void apply_providers(Cluster& cluster, const Json& input) {
  if (const Json* providers = find(input, "capacityProviders")) {
    cluster.capacity_providers = providers->get<std::vector<std::string>>();
  }
  if (const Json* strategy = find(input, "defaultCapacityProviderStrategy")) {
    cluster.default_strategy = *strategy;
  }
}

const Json kAllFields = {{"include", {"SETTINGS", "TAGS", "CONFIGURATIONS"}}};

}  // namespace

tl::expected<Cluster*, AwsError> find_cluster(Core& core, const Json& input) {
  const std::string given = get_string(input, "cluster", "default");
  const auto it = core.clusters.find(last_part(given.empty() ? "default" : given));
  if (it == core.clusters.end()) return aws_error("ClusterNotFoundException", "Cluster not found.");
  if (!it->second.active) {
    return aws_error("ClusterNotFoundException", "The referenced cluster was inactive.");
  }
  return &it->second;
}

Json render_cluster(const Core& core, const Cluster& cluster, const Json& input) {
  const ClusterCounts counts = count(core, cluster);
  Json json = {{"clusterArn", cluster.arn},
               {"clusterName", cluster.name},
               {"status", cluster.active ? "ACTIVE" : "INACTIVE"},
               {"registeredContainerInstancesCount", 0},
               {"runningTasksCount", counts.running},
               {"pendingTasksCount", counts.pending},
               {"activeServicesCount", counts.services},
               {"statistics", Json::array()},
               {"tags", Json::array()},
               {"settings", Json::array()},
               {"capacityProviders", cluster.capacity_providers},
               {"defaultCapacityProviderStrategy", cluster.default_strategy}};
  if (wants(input, "STATISTICS")) {
    const auto pair = [](const char* name, int value) {
      return Json{{"name", name}, {"value", std::to_string(value)}};
    };
    json["statistics"] = {pair("runningFargateTasksCount", counts.running),
                          pair("pendingFargateTasksCount", counts.pending),
                          pair("activeFargateServiceCount", counts.services),
                          pair("drainingFargateServiceCount", counts.draining)};
  }
  if (wants(input, "TAGS")) json["tags"] = render_tags(cluster.tags);
  if (wants(input, "SETTINGS")) json["settings"] = cluster.settings;
  if (wants(input, "CONFIGURATIONS") && !cluster.configuration.is_null()) {
    json["configuration"] = cluster.configuration;
  }
  if (!cluster.service_connect_defaults.is_null()) {
    json["serviceConnectDefaults"] = cluster.service_connect_defaults;
  }
  return json;
}

Reply create_cluster(Core& core, const Json& input, CallContext& context) {
  const std::string name = get_string(input, "clusterName", "default");
  const bool valid = !name.empty() && name.size() <= 255 &&
                     name.find_first_not_of(
                         "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                         "0123456789_-") == std::string::npos;
  if (!valid) {
    return aws_error("InvalidParameterException", "Identifier was invalid: clusterName {}", name);
  }
  TRY(const Tags tags, read_tags(input));
  const auto existing = core.clusters.find(name);
  // Creating an ACTIVE cluster again answers with it (idempotent by name).
  Cluster& cluster = existing != core.clusters.end() && existing->second.active
                         ? existing->second
                         : make_cluster(core, name);
  apply_settings(cluster, input);
  apply_providers(cluster, input);
  for (const auto& [key, value] : tags) cluster.tags[key] = value;
  core.d.events.event(context.now, "cluster.created", {{"cluster", name}});
  return Json{{"cluster", render_cluster(core, cluster, kAllFields)}};
}

Reply delete_cluster(Core& core, const Json& input, CallContext& context) {
  TRY(Cluster* const cluster, find_cluster(core, input));
  const ClusterCounts counts = count(core, *cluster);
  if (counts.services + counts.draining > 0) {
    return aws_error("ClusterContainsServicesException",
                     "The Cluster cannot be deleted while Services are active.");
  }
  if (counts.running + counts.pending > 0) {
    return aws_error("ClusterContainsTasksException",
                     "The Cluster cannot be deleted while Tasks are active.");
  }
  cluster->active = false;
  core.d.events.event(context.now, "cluster.deleted", {{"cluster", cluster->name}});
  return Json{{"cluster", render_cluster(core, *cluster, kAllFields)}};
}

Reply describe_clusters(Core& core, const Json& input, CallContext&) {
  std::vector<std::string> names = {"default"};
  if (const Json* given = find(input, "clusters"); given && !given->empty()) {
    names = given->get<std::vector<std::string>>();
  }
  if (names.size() > kMaxDescribedClusters) {
    return aws_error("InvalidParameterException", "At most {} clusters can be described at once.",
                     kMaxDescribedClusters);
  }
  Json clusters = Json::array(), failures = Json::array();
  for (const std::string& name : names) {
    const auto it = core.clusters.find(last_part(name));
    if (it == core.clusters.end()) {
      failures.push_back(failure(core.arn("cluster/" + last_part(name)), "MISSING"));
    } else {
      clusters.push_back(render_cluster(core, it->second, input));
    }
  }
  return Json{{"clusters", clusters}, {"failures", failures}};
}

Reply list_clusters(Core& core, const Json& input, CallContext&) {
  std::vector<std::string> arns;
  for (const auto& [name, cluster] : core.clusters) {
    if (cluster.active) arns.push_back(cluster.arn);
  }
  return list_page(arns, "clusterArns", input, 100);
}

Reply update_cluster(Core& core, const Json& input, CallContext&) {
  TRY(Cluster* const cluster, find_cluster(core, input));
  apply_settings(*cluster, input);
  return Json{{"cluster", render_cluster(core, *cluster, kAllFields)}};
}

Reply update_cluster_settings(Core& core, const Json& input, CallContext& context) {
  return update_cluster(core, input, context);
}

Reply put_cluster_capacity_providers(Core& core, const Json& input, CallContext&) {
  TRY(Cluster* const cluster, find_cluster(core, input));
  apply_providers(*cluster, input);
  return Json{{"cluster", render_cluster(core, *cluster, kAllFields)}};
}

}  // namespace coalmine::mock::ecs
