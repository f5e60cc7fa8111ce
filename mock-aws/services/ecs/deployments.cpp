// Deployments of a service: begin, complete, circuit breaker, alarms, rollback.
#include <algorithm>

#include "mock-aws/services/ecs/core.h"
#include "sim/core/ids.h"

namespace coalmine::mock::ecs {
namespace {

bool breaker_option(const Service& service, std::string_view key) {
  const Json* breaker = find(service.deployment_configuration, "deploymentCircuitBreaker");
  return breaker && get_bool(*breaker, key);
}

const Json* watched_alarms(const Service& service) {
  const Json* alarms = find(service.deployment_configuration, "alarms");
  return alarms && get_bool(*alarms, "enable") ? alarms : nullptr;
}

/// Deployments that a rollback could not return to and that run nothing leave the list.
void drop_idle_deployments(Core& core, Service& service) {
  bool kept_candidate = false;
  auto& list = service.deployments;
  for (auto it = list.begin(); it != list.end();) {
    const bool primary = it == list.begin();
    const bool candidate = !primary && it->ever_completed && !kept_candidate;
    kept_candidate = kept_candidate || candidate;
    const bool idle = count_tasks(core, service, it->id).alive == 0;
    it = !primary && !candidate && idle ? list.erase(it) : it + 1;
  }
}

void finish(Core& core, ServiceDeployment& record, DeploymentStatus status, std::string reason,
            TimePoint now) {
  record.status = status;
  if (!reason.empty()) record.status_reason = std::move(reason);
  record.finished = record.updated = now;
  if (record.breaker_status == "MONITORING") record.breaker_status = "MONITORING_COMPLETE";
  if (record.alarm_status == "MONITORING") record.alarm_status = "MONITORING_COMPLETE";
  core.d.events.event(now, "service-deployment.finished",
                      {{"arn", record.arn}, {"status", to_string(status)}});
}

/// Returns to the latest completed deployment. `rollout_reason` holds one {}: its id.
void roll_back(Core& core, Service& service, std::string_view rollout_reason,
               const std::string& why, TimePoint now) {
  auto& list = service.deployments;
  ServiceDeployment* record = service_deployment_of(core, service.primary());
  const auto candidate = std::find_if(list.begin() + 1, list.end(),
                                      [](const Deployment& d) { return d.ever_completed; });
  if (candidate == list.end()) {
    service.primary().rollout = RolloutState::Failed;
    if (record) {
      record->rollback_reason = why;
      record->rollback_started = now;
      finish(core, *record, DeploymentStatus::RollbackFailed,
             "No rollback candidate was found to run the rollback.", now);
    }
    return;
  }
  Deployment& failed = service.primary();
  failed.status = Deployment::Status::Draining;
  failed.updated = now;
  std::rotate(list.begin(), candidate, candidate + 1);
  Deployment& target = service.primary();
  target.status = Deployment::Status::Primary;
  target.rollout = RolloutState::InProgress;
  target.rolling_back = true;
  target.failed_tasks = target.start_failures = 0;
  target.next_start = now;
  target.updated = now;
  target.reason = fmt::format(fmt::runtime(rollout_reason), target.id);
  tell(core, service, now, fmt::format("rolling back to deployment {}.", target.id));
  if (record) {
    target.service_deployment_arn = record->arn;
    record->status = DeploymentStatus::RollbackInProgress;
    record->rollback_reason = record->status_reason = why;
    record->rollback_started = record->updated = now;
    record->rollback_revision = target.revision_arn;
  }
}

void fail(Core& core, Service& service, std::string_view what, std::string reason, TimePoint now) {
  Deployment& primary = service.primary();
  primary.rollout = RolloutState::Failed;
  primary.reason = std::move(reason);
  primary.updated = now;
  tell(core, service, now, fmt::format("(deployment {}) deployment failed: {}.", primary.id, what));
}

void trip_breaker(Core& core, Service& service, TimePoint now) {
  ServiceDeployment* record = service_deployment_of(core, service.primary());
  if (record) record->breaker_status = "TRIGGERED";
  fail(core, service, "tasks failed to start",
       "ECS deployment circuit breaker: tasks failed to start.", now);
  const std::string why =
      "Service deployment rolled back because the circuit breaker threshold was exceeded.";
  if (breaker_option(service, "rollback")) {
    roll_back(core, service, "ECS deployment circuit breaker: rolling back to deploymentId {}.",
              why, now);
  } else if (record) {
    finish(core, *record, DeploymentStatus::Stopped,
           "Service deployment stopped because the circuit breaker threshold was exceeded.", now);
  }
}

std::vector<std::string> alarms_in_alarm(const Core& core, const Json& alarms) {
  std::vector<std::string> names;
  const Json* list = find(alarms, "alarmNames");
  if (!list) return names;
  for (const Json& name : *list) {
    const auto state = core.d.alarms.alarm_state(name.get<std::string>());
    if (state == AlarmState::Alarm) names.push_back(name.get<std::string>());
  }
  return names;
}

/// True if an alarm ended the deployment.
bool poll_alarms(Core& core, Service& service, TimePoint now) {
  Deployment& primary = service.primary();
  const Json* alarms = watched_alarms(service);
  if (!alarms || primary.rolling_back || primary.alarms_ignored || primary.next_alarm_poll > now) {
    return false;
  }
  primary.next_alarm_poll = now + core.options().alarm_poll;
  const auto triggered = alarms_in_alarm(core, *alarms);
  if (triggered.empty()) return false;
  ServiceDeployment* record = service_deployment_of(core, primary);
  if (record) {
    record->alarm_status = "TRIGGERED";
    record->triggered_alarms = triggered;
  }
  fail(core, service, "alarm detected", "ECS deployment failed: alarm detected.", now);
  const std::string why = "Service deployment rolled back because an alarm was detected.";
  if (get_bool(*alarms, "rollback")) {
    roll_back(core, service,
              "ECS deployment failed: alarm detected. Rolling back to deploymentId {}.", why, now);
  } else if (record) {
    finish(core, *record, DeploymentStatus::Stopped,
           "Service deployment stopped because an alarm was detected.", now);
  }
  return true;
}

/// Requests of StopServiceDeployment. True if one was acted on.
bool obey_stop_request(Core& core, Service& service, TimePoint now) {
  ServiceDeployment* record = service_deployment_of(core, service.primary());
  if (!record) return false;
  if (record->status == DeploymentStatus::RollbackRequested) {
    fail(core, service, "rollback requested", "ECS deployment stopped by the user.", now);
    roll_back(core, service, "ECS deployment stopped by the user: rolling back to deploymentId {}.",
              "Service deployment rolled back because a stop was requested.", now);
    return true;
  }
  if (record->status == DeploymentStatus::StopRequested) {
    fail(core, service, "stop requested", "ECS deployment stopped by the user.", now);
    record->stopped = now;
    finish(core, *record, DeploymentStatus::Stopped, "Service deployment stopped by the user.",
           now);
    return true;
  }
  return false;
}

void complete(Core& core, Service& service, TimePoint now) {
  Deployment& primary = service.primary();
  primary.rollout = RolloutState::Completed;
  primary.reason = fmt::format("ECS deployment {} completed.", primary.id);
  primary.updated = now;
  primary.ever_completed = true;
  tell(core, service, now, fmt::format("(deployment {}) deployment completed.", primary.id));
  if (ServiceDeployment* record = service_deployment_of(core, primary)) {
    finish(
        core, *record,
        primary.rolling_back ? DeploymentStatus::RollbackSuccessful : DeploymentStatus::Successful,
        "", now);
  }
  primary.rolling_back = false;
  service.deployments.resize(1);
}

Duration bake_time(const Core& core, const Service& service) {
  const Json* minutes = find(service.deployment_configuration, "bakeTimeInMinutes");
  return minutes ? std::chrono::minutes{minutes->get<int>()} : core.options().alarm_bake;
}

}  // namespace

const char* to_string(DeploymentStatus status) {
  static constexpr const char* kNames[] = {
      "PENDING",        "IN_PROGRESS",        "SUCCESSFUL",           "STOP_REQUESTED",
      "STOPPED",        "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCESSFUL",
      "ROLLBACK_FAILED"};
  return kNames[static_cast<int>(status)];
}

bool terminal(DeploymentStatus status) {
  return status == DeploymentStatus::Successful || status == DeploymentStatus::Stopped ||
         status == DeploymentStatus::RollbackSuccessful ||
         status == DeploymentStatus::RollbackFailed;
}

int breaker_threshold(int desired) {
  return std::clamp((desired + 1) / 2, 3, 200);
}

ServiceDeployment* service_deployment_of(Core& core, const Deployment& deployment) {
  const auto it = core.service_deployments.find(deployment.service_deployment_arn);
  return it == core.service_deployments.end() ? nullptr : &it->second;
}

Deployment& begin_deployment(Core& core, Service& service, ServiceRevision revision,
                             TimePoint now) {
  ServiceDeployment record;
  if (!service.deployments.empty()) {
    Deployment& before = service.primary();
    record.source_revisions.push_back(before.revision_arn);
    ServiceDeployment* old_record = service_deployment_of(core, before);
    if (old_record && !terminal(old_record->status)) {
      old_record->stopped = now;
      finish(core, *old_record, DeploymentStatus::Stopped,
             "Service deployment stopped because a newer one began.", now);
    }
    before.status = Deployment::Status::Active;
    before.rolling_back = false;
    before.updated = now;
  }
  const std::string tail = fmt::format("{}/{}", service.cluster, service.name);
  const std::string cluster_arn = core.clusters.at(service.cluster).arn;
  revision.arn =
      core.arn(fmt::format("service-revision/{}/{}", tail, random_digits(core.random, 19)));
  revision.service_arn = service.arn;
  revision.cluster_arn = cluster_arn;
  revision.created = now;

  Deployment deployment;
  deployment.id = "ecs-svc/" + random_digits(core.random, 19);
  deployment.revision_arn = revision.arn;
  deployment.reason = fmt::format("ECS deployment {} in progress.", deployment.id);
  deployment.created = deployment.updated = deployment.next_start = now;

  record.arn =
      core.arn(fmt::format("service-deployment/{}/{}", tail, random_base64url(core.random, 21)));
  record.service_key = service_key(service.cluster, service.name);
  record.service_arn = service.arn;
  record.cluster_arn = cluster_arn;
  record.target_revision = revision.arn;
  record.deployment_id = deployment.id;
  record.configuration = service.deployment_configuration;
  record.created = record.updated = now;
  record.sequence = ++core.sequence;
  record.threshold = breaker_threshold(service.desired);
  if (breaker_option(service, "enable")) record.breaker_status = "MONITORING";
  if (const Json* alarms = watched_alarms(service)) {
    record.alarm_status = "MONITORING";
    deployment.next_alarm_poll = now + core.options().alarm_poll;
    // An alarm that is red before the deployment says nothing about it (developer guide).
    deployment.alarms_ignored = !alarms_in_alarm(core, *alarms).empty();
    if (deployment.alarms_ignored) record.alarm_status = "DISABLED";
  }
  deployment.service_deployment_arn = record.arn;

  core.revisions.emplace(revision.arn, std::move(revision));
  core.service_deployments.emplace(record.arn, std::move(record));
  service.deployments.insert(service.deployments.begin(), std::move(deployment));
  service.steady = false;
  drop_idle_deployments(core, service);
  core.d.events.event(now, "deployment.started",
                      {{"service", service.name},
                       {"cluster", service.cluster},
                       {"deployment", service.primary().id}});
  core.wakeup = std::min(core.wakeup, now);
  return service.primary();
}

void count_failure(Core& core, Service& service, Deployment& deployment, bool failed_to_start,
                   TimePoint now) {
  ++deployment.failed_tasks;
  if (failed_to_start) {
    ++deployment.start_failures;
    Duration wait = core.options().start_backoff;
    for (int i = 1; i < deployment.start_failures && wait < core.options().start_backoff_max; ++i) {
      wait *= 2;
    }
    deployment.next_start = now + std::min(wait, core.options().start_backoff_max);
    if (deployment.start_failures >= 2 && !deployment.backoff_told) {
      deployment.backoff_told = true;
      tell(core, service, now, "is unable to consistently start tasks successfully.");
    }
  }
  if (deployment.rollout != RolloutState::InProgress || deployment.rolling_back) return;
  ServiceDeployment* record = service_deployment_of(core, deployment);
  const int threshold = breaker_threshold(service.desired);
  if (record) {
    record->failures = deployment.failed_tasks;
    record->threshold = threshold;
    record->updated = now;
  }
  if (breaker_option(service, "enable") && deployment.failed_tasks >= threshold) {
    trip_breaker(core, service, now);
  }
}

void task_became_healthy(Core& core, Service&, Deployment& deployment, TimePoint) {
  deployment.failed_tasks = deployment.start_failures = 0;
  deployment.backoff_told = false;
  ServiceDeployment* record = service_deployment_of(core, deployment);
  if (record && !terminal(record->status)) record->failures = 0;
}

bool advance_deployment(Core& core, Service& service, bool all_healthy, int old_alive,
                        TimePoint now) {
  if (service.primary().rollout != RolloutState::InProgress) return false;
  if (obey_stop_request(core, service, now) || poll_alarms(core, service, now)) return true;
  Deployment& primary = service.primary();
  ServiceDeployment* record = service_deployment_of(core, primary);
  if (record && record->status == DeploymentStatus::Pending) {
    record->status = DeploymentStatus::InProgress;
    record->started = record->updated = now;
    return true;
  }
  if (!all_healthy || old_alive > 0) return false;
  const bool bakes = watched_alarms(service) && !primary.alarms_ignored && !primary.rolling_back;
  if (bakes && primary.bake_until == kNever) {
    primary.bake_until = now + bake_time(core, service);
    return true;
  }
  if (bakes && now < primary.bake_until) return false;
  complete(core, service, now);
  return true;
}

}  // namespace coalmine::mock::ecs
