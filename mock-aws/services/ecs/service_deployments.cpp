// Service deployments and revisions: list, describe, stop, continue.
#include <algorithm>

#include "mock-aws/services/ecs/core.h"
#include "mock-aws/services/ecs/paging.h"

namespace coalmine::mock::ecs {
namespace {

void put_time(Json& json, const char* key, TimePoint t) {
  if (t != TimePoint{}) json[key] = to_epoch_seconds(t);
}

/// Revision with the counts of the deployment that runs it, if one still does.
Json summary(const Core& core, const ServiceDeployment& record, const std::string& revision) {
  Json json = {{"arn", revision},
               {"requestedTaskCount", 0},
               {"runningTaskCount", 0},
               {"pendingTaskCount", 0}};
  const auto service = core.services.find(record.service_key);
  if (service == core.services.end()) return json;
  for (const Deployment& deployment : service->second.deployments) {
    if (deployment.revision_arn != revision) continue;
    const TaskCounts counts = count_tasks(core, service->second, deployment.id);
    const bool primary = deployment.status == Deployment::Status::Primary;
    json["requestedTaskCount"] = primary ? service->second.desired : counts.alive;
    json["runningTaskCount"] = counts.running;
    json["pendingTaskCount"] = counts.pending;
  }
  return json;
}

Json render_brief(const ServiceDeployment& record) {
  Json json = {{"serviceDeploymentArn", record.arn},
               {"serviceArn", record.service_arn},
               {"clusterArn", record.cluster_arn},
               {"targetServiceRevisionArn", record.target_revision},
               {"status", to_string(record.status)}};
  put_time(json, "createdAt", record.created);
  put_time(json, "startedAt", record.started);
  put_time(json, "finishedAt", record.finished);
  if (!record.status_reason.empty()) json["statusReason"] = record.status_reason;
  return json;
}

Json render(const Core& core, const ServiceDeployment& record) {
  Json json = render_brief(record);
  json.erase("targetServiceRevisionArn");
  put_time(json, "stoppedAt", record.stopped);
  put_time(json, "updatedAt", record.updated);
  Json sources = Json::array();
  for (const std::string& revision : record.source_revisions) {
    sources.push_back(summary(core, record, revision));
  }
  json["sourceServiceRevisions"] = sources;
  json["targetServiceRevision"] = summary(core, record, record.target_revision);
  json["deploymentConfiguration"] = record.configuration;
  json["deploymentCircuitBreaker"] = {{"status", record.breaker_status},
                                      {"failureCount", record.failures},
                                      {"threshold", record.threshold}};
  Json alarms = {{"status", record.alarm_status}};
  if (const Json* watched = find(record.configuration, "alarms")) {
    if (const Json* names = find(*watched, "alarmNames")) alarms["alarmNames"] = *names;
  }
  if (!record.triggered_alarms.empty()) alarms["triggeredAlarmNames"] = record.triggered_alarms;
  json["alarms"] = alarms;
  if (!record.rollback_reason.empty()) {
    json["rollback"] = {{"reason", record.rollback_reason},
                        {"startedAt", to_epoch_seconds(record.rollback_started)}};
    if (!record.rollback_revision.empty()) {
      json["rollback"]["serviceRevisionArn"] = record.rollback_revision;
    }
  }
  return json;
}

Json render(const ServiceRevision& revision, const TaskDefinition* definition) {
  Json json = {
      {"serviceRevisionArn", revision.arn}, {"serviceArn", revision.service_arn},
      {"clusterArn", revision.cluster_arn}, {"taskDefinition", revision.task_definition},
      {"guardDutyEnabled", false},          {"createdAt", to_epoch_seconds(revision.created)}};
  for (const auto& [key, value] : revision.settings.items()) json[key] = value;
  Json images = Json::array();
  if (definition) {
    for (const ContainerSpec& container : definition->spec.containers) {
      Json image = {{"containerName", container.name}, {"image", container.image}};
      const auto digest = revision.digests.find(container.name);
      if (digest != revision.digests.end()) image["imageDigest"] = digest->second;
      images.push_back(std::move(image));
    }
  }
  json["containerImages"] = images;
  return json;
}

tl::expected<ServiceDeployment*, AwsError> find_record(Core& core, const Json& input) {
  const auto it = core.service_deployments.find(get_string(input, "serviceDeploymentArn"));
  if (it == core.service_deployments.end()) {
    return aws_error("ServiceDeploymentNotFoundException",
                     "The service deployment does not exist.");
  }
  return &it->second;
}

bool in_filter(const Json& input, const ServiceDeployment& record) {
  if (const Json* statuses = find(input, "status"); statuses && !statuses->empty()) {
    if (std::find(statuses->begin(), statuses->end(), to_string(record.status)) ==
        statuses->end()) {
      return false;
    }
  }
  if (const Json* created = find(input, "createdAt")) {
    const double at = to_epoch_seconds(record.created);
    if (at < get_number(*created, "after", at)) return false;
    if (at > get_number(*created, "before", at)) return false;
  }
  return true;
}

}  // namespace

Reply list_service_deployments(Core& core, const Json& input, CallContext&) {
  TRY(const Cluster* const cluster, find_cluster(core, input));
  const Service* service = find_service(core, *cluster, get_string(input, "service"));
  if (!service) return aws_error("ServiceNotFoundException", "Service not found.");
  std::vector<const ServiceDeployment*> records;
  for (const auto& [arn, record] : core.service_deployments) {
    if (record.service_arn == service->arn && in_filter(input, record)) records.push_back(&record);
  }
  std::sort(records.begin(), records.end(),
            [](const auto* a, const auto* b) { return a->sequence > b->sequence; });
  std::vector<std::string> keys;
  std::vector<Json> items;
  for (const ServiceDeployment* record : records) {
    keys.push_back(record->arn);
    items.push_back(render_brief(*record));
  }
  return list_page(keys, items, "serviceDeployments", input, 20);
}

Reply describe_service_deployments(Core& core, const Json& input, CallContext&) {
  const Json& arns = input.at("serviceDeploymentArns");
  if (arns.empty() || arns.size() > kMaxDescribedDeployments) {
    return aws_error("InvalidParameterException",
                     "serviceDeploymentArns must have 1 to {} elements.", kMaxDescribedDeployments);
  }
  Json found = Json::array(), failures = Json::array();
  for (const Json& arn : arns) {
    const auto it = core.service_deployments.find(arn.get<std::string>());
    if (it == core.service_deployments.end()) {
      failures.push_back(failure(arn.get<std::string>(), "MISSING"));
    } else {
      found.push_back(render(core, it->second));
    }
  }
  return Json{{"serviceDeployments", found}, {"failures", failures}};
}

Reply stop_service_deployment(Core& core, const Json& input, CallContext& context) {
  TRY(ServiceDeployment* const record, find_record(core, input));
  if (terminal(record->status)) {
    return aws_error("ConflictException",
                     "Stopping a service deployment is not allowed for service deployment in "
                     "terminal states.");
  }
  const bool moving =
      record->status == DeploymentStatus::Pending || record->status == DeploymentStatus::InProgress;
  if (moving) {
    record->status = get_string(input, "stopType", "ROLLBACK") == "ABORT"
                         ? DeploymentStatus::StopRequested
                         : DeploymentStatus::RollbackRequested;
    record->updated = context.now;
  }
  return Json{{"serviceDeploymentArn", record->arn}};
}

Reply continue_service_deployment(Core& core, const Json& input, CallContext&) {
  TRY(const ServiceDeployment* const record, find_record(core, input));
  if (terminal(record->status)) {
    return aws_error("InvalidParameterException",
                     "Continuing a service deployment is not allowed for service deployment in "
                     "terminal states.");
  }
  if (!get_string(input, "hookId").starts_with("ecs-")) {
    return aws_error("InvalidParameterException",
                     "Invalid hookId: hookId must follow the format: ecs-{{hookType}}-{{id}}");
  }
  // A rolling deployment has no hooks, so no id can be one of its own.
  return aws_error("InvalidParameterException",
                   "Provided hookId is either completed, unavailable, or not associated with the "
                   "given Resource ARN");
}

Reply describe_service_revisions(Core& core, const Json& input, CallContext&) {
  const Json& arns = input.at("serviceRevisionArns");
  if (arns.empty() || arns.size() > kMaxDescribedDeployments) {
    return aws_error("InvalidParameterException", "serviceRevisionArns must have 1 to {} elements.",
                     kMaxDescribedDeployments);
  }
  Json found = Json::array(), failures = Json::array();
  for (const Json& arn : arns) {
    const auto it = core.revisions.find(arn.get<std::string>());
    if (it == core.revisions.end()) {
      failures.push_back(failure(arn.get<std::string>(), "MISSING"));
      continue;
    }
    const auto definition = find_task_definition(core, it->second.task_definition, "");
    found.push_back(render(it->second, definition ? *definition : nullptr));
  }
  return Json{{"serviceRevisions", found}, {"failures", failures}};
}

}  // namespace coalmine::mock::ecs
