// The service scheduler: what runs against what is wanted.
#include <algorithm>

#include "mock-aws/services/ecs/core.h"
#include "mock-aws/services/ecs/rolling.h"

namespace coalmine::mock::ecs {
namespace {

/// Tasks of a deleted service of the same name are not this one's.
bool belongs(const Task& task, const Service& service) {
  return task.service == service.name && task.cluster == service.cluster &&
         task.created >= service.created;
}

enum class Verdict { Waiting, Healthy, Unhealthy };

struct Judgement {
  Verdict verdict = Verdict::Waiting;
  std::string stop_reason;         ///< of an unhealthy task
  std::vector<std::string> notes;  ///< service events that tell why
};

bool has_checks(const Task& task) {
  const auto& containers = task.definition->spec.containers;
  return std::any_of(containers.begin(), containers.end(),
                     [](const ContainerSpec& c) { return c.check && c.essential; });
}

TimePoint grace_end(const Service& service, const Task& task) {
  const TimePoint from = task.started == TimePoint{} ? task.created : task.started;
  return from + std::chrono::seconds{service.grace_period_s};
}

/// Healthy by the rules of the model's Deployment text: no load balancer and no check: 40 s after
/// RUNNING; else whatever of container checks and target health there is.
Judgement judge(const Core& core, const Service& service, const Task& task, TimePoint now) {
  Judgement judgement;
  const bool in_grace = now < grace_end(service, task);
  const Health container_health = task_health(task);
  if (container_health == Health::Unhealthy) {
    if (in_grace) return judgement;
    judgement.verdict = Verdict::Unhealthy;
    judgement.stop_reason = "Task failed container health checks";
    judgement.notes.push_back(fmt::format("(task {}) failed container health checks.", task.id));
    return judgement;
  }
  if (task.phase != Phase::Running) return judgement;
  bool all_targets_healthy = true;
  for (const Target& target : task.targets) {
    const TargetHealth health =
        core.d.target_groups.health(target.group, task.address, target.port);
    all_targets_healthy = all_targets_healthy && health.state == TargetState::Healthy;
    if (health.state != TargetState::Unhealthy || in_grace) continue;
    judgement.verdict = Verdict::Unhealthy;
    judgement.stop_reason =
        fmt::format("Task failed ELB health checks in (target-group {})", target.group);
    judgement.notes.push_back(
        fmt::format("(task {}) (port {}) is unhealthy in (target-group {}) due to (reason {}).",
                    task.id, target.port, target.group, health.description));
  }
  if (judgement.verdict == Verdict::Unhealthy || !all_targets_healthy) return judgement;
  if (has_checks(task)) {
    if (container_health == Health::Healthy) judgement.verdict = Verdict::Healthy;
  } else if (!task.targets.empty() || now >= task.started + core.options().healthy_after) {
    judgement.verdict = Verdict::Healthy;
  }
  return judgement;
}

struct Seen {
  Task* task = nullptr;
  Judgement judgement;
  bool fresh = false;  ///< of the primary deployment
};

/// Stops tasks and tells it in one event, with what a load balancer adds.
void stop_tasks(Core& core, Service& service, const std::vector<Task*>& tasks,
                const std::string& reason, TimePoint now) {
  if (tasks.empty()) return;
  std::vector<std::string> ids;
  std::map<std::string, int> groups;
  std::map<std::string, int> draining;  // deployment -> tasks with targets
  for (Task* task : tasks) {
    ids.push_back(task->id);
    if (task->registered) {
      for (const Target& target : task->targets) ++groups[target.group];
      if (!task->targets.empty()) ++draining[task->deployment_id];
    }
    task->counted = true;
    stop_task(core, *task, "ServiceSchedulerInitiated",
              reason.empty() ? fmt::format("Scaling activity initiated by (deployment {})",
                                           service.primary().id)
                             : reason,
              now);
  }
  tell(core, service, now,
       fmt::format("has stopped {} running tasks: {}.", ids.size(), task_list(ids)));
  for (const auto& [group, count] : groups) {
    tell(core, service, now,
         fmt::format("deregistered {} targets in (target-group {})", count, group));
  }
  for (const auto& [deployment, count] : draining) {
    tell(core, service, now,
         fmt::format("(service {}, taskSet {}) has begun draining connections on {} tasks.",
                     service.name, deployment, count));
  }
  service.steady = false;
}

std::vector<Target> targets_of(const ServiceRevision& revision) {
  std::vector<Target> targets;
  if (const Json* list = find(revision.settings, "loadBalancers")) {
    for (const Json& item : *list) {
      targets.push_back(
          {get_string(item, "targetGroupArn"), static_cast<int>(get_int(item, "containerPort"))});
    }
  }
  return targets;
}

Tags task_tags(const Service& service, const TaskDefinition& definition) {
  Tags tags;
  if (service.propagate_tags == "SERVICE") tags = service.tags;
  if (service.propagate_tags == "TASK_DEFINITION") tags = definition.tags;
  if (service.managed_tags) {
    tags["aws:ecs:clusterName"] = service.cluster;
    tags["aws:ecs:serviceName"] = service.name;
  }
  return tags;
}

/// Starts tasks of the primary deployment; true if any started.
bool start_tasks(Core& core, Service& service, int count, TimePoint now) {
  const Deployment& primary = service.primary();
  const ServiceRevision& revision = core.revisions.at(primary.revision_arn);
  const auto definition = find_task_definition(core, revision.task_definition, "");
  if (!definition) return false;
  TaskRequest request;
  request.cluster = service.cluster;
  request.service = service.name;
  request.group = "service:" + service.name;
  request.started_by = request.deployment_id = primary.id;
  request.definition = *definition;
  request.launch_type = get_string(revision.settings, "launchType", "FARGATE");
  request.platform_version = get_string(revision.settings, "platformVersion");
  if (const Json* network = find(revision.settings, "networkConfiguration")) {
    if (const Json* awsvpc = find(*network, "awsvpcConfiguration")) request.network = *awsvpc;
  }
  request.digests = revision.digests;
  request.targets = targets_of(revision);
  if (const Json* list = find(revision.settings, "serviceRegistries")) request.registries = *list;
  request.tags = task_tags(service, **definition);
  request.execute_command = service.execute_command;
  std::vector<std::string> ids;
  for (int i = 0; i < count; ++i) {
    const Task* task = create_task(core, request, now);
    if (!task) break;
    ids.push_back(task->id);
  }
  if (ids.empty()) {
    if (!service.primary().backoff_told) {
      tell(core, service, now, "was unable to place a task. Reason: RESOURCE:ENI.");
      service.primary().backoff_told = true;
    }
    service.primary().next_start = now + std::chrono::seconds{10};
    return false;
  }
  tell(core, service, now, fmt::format("has started {} tasks: {}.", ids.size(), task_list(ids)));
  service.steady = false;
  return true;
}

/// Tasks of the primary deployment that ended by themselves feed back-off and circuit breaker.
bool count_ended(Core& core, Service& service, const std::vector<Task*>& tasks, TimePoint now) {
  bool changed = false;
  for (Task* task : tasks) {
    if (task->wanted || task->counted) continue;
    task->counted = changed = true;
    service.steady = false;
    Deployment& primary = service.primary();
    if (task->deployment_id != primary.id || task->stop_code == "UserInitiated") continue;
    const bool never_ran = task->started == TimePoint{};
    if (never_ran) {
      count_failure(core, service, primary, true, now);
    } else if (now - task->started < core.options().crash_loop) {
      // Not the breaker's business (it counts tasks that never ran), but not to be spun on.
      const int failed_before = primary.failed_tasks;
      const RolloutState rollout = primary.rollout;
      primary.rollout = RolloutState::Completed;  // keeps count_failure to the back-off
      count_failure(core, service, primary, true, now);
      primary.rollout = rollout;
      primary.failed_tasks = failed_before;
    }
  }
  return changed;
}

bool note_health(Core& core, Service& service, std::vector<Seen>& seen, TimePoint now) {
  bool changed = false;
  for (Seen& s : seen) {
    if (s.judgement.verdict != Verdict::Healthy || s.task->was_healthy) continue;
    s.task->was_healthy = changed = true;
    if (s.fresh) task_became_healthy(core, service, service.primary(), now);
  }
  return changed;
}

/// Replaces tasks of the primary deployment that fail their checks. With room above, the
/// replacement comes first; without (or while a deployment is under way) one is stopped at a time.
bool replace_unhealthy(Core& core, Service& service, const std::vector<Seen>& seen,
                       const RollingCounts& counts, TimePoint now) {
  const int high = upper_limit(counts.desired, counts.max_percent);
  std::vector<const Seen*> unhealthy;
  for (const Seen& s : seen) {
    if (s.fresh && s.judgement.verdict == Verdict::Unhealthy) unhealthy.push_back(&s);
  }
  if (unhealthy.empty()) return false;
  const bool steady = service.primary().rollout == RolloutState::Completed;
  const int good = counts.fresh - static_cast<int>(unhealthy.size());
  const int total = counts.fresh + counts.old + counts.stopping;
  if (steady && counts.may_start && good < counts.desired && total < high) {
    return start_tasks(core, service, std::min(counts.desired - good, high - total), now);
  }
  // A replacement on its way is waited for.
  const bool replaced = counts.fresh_healthy >= counts.desired;
  const bool coming = good > counts.fresh_healthy;
  if (steady && counts.fresh > counts.desired && coming && !replaced) return false;
  const Seen& victim = *unhealthy.front();
  for (const std::string& note : victim.judgement.notes) tell(core, service, now, note);
  victim.task->replaced_unhealthy = true;
  stop_tasks(core, service, {victim.task}, victim.judgement.stop_reason, now);
  if (service.primary().id == victim.task->deployment_id) {
    count_failure(core, service, service.primary(), false, now);
  }
  return true;
}

/// Victims of a scale-in or of a rolled deployment: not yet healthy ones first, then the newest.
std::vector<Task*> pick_victims(const std::vector<Seen>& seen, bool fresh, int count) {
  std::vector<const Seen*> candidates;
  for (const Seen& s : seen) {
    if (s.fresh == fresh && s.task->alive()) candidates.push_back(&s);
  }
  std::stable_sort(candidates.begin(), candidates.end(), [](const Seen* a, const Seen* b) {
    const bool a_healthy = a->judgement.verdict == Verdict::Healthy;
    const bool b_healthy = b->judgement.verdict == Verdict::Healthy;
    if (a_healthy != b_healthy) return b_healthy;
    return a->task->created > b->task->created;
  });
  std::vector<Task*> victims;
  for (const Seen* s : candidates) {
    if (static_cast<int>(victims.size()) == count) break;
    victims.push_back(s->task);
  }
  return victims;
}

RollingCounts count(const Service& service, const std::vector<Task*>& tasks,
                    const std::vector<Seen>& seen, TimePoint now) {
  RollingCounts counts;
  counts.desired = service.desired;
  counts.min_percent =
      static_cast<int>(get_int(service.deployment_configuration, "minimumHealthyPercent", 100));
  counts.max_percent =
      static_cast<int>(get_int(service.deployment_configuration, "maximumPercent", 200));
  for (const Seen& s : seen) {
    const bool healthy = s.judgement.verdict == Verdict::Healthy;
    ++(s.fresh ? counts.fresh : counts.old);
    if (healthy) ++(s.fresh ? counts.fresh_healthy : counts.old_healthy);
  }
  for (const Task* task : tasks) {
    if (!task->wanted && task->phase != Phase::Stopped) ++counts.stopping;
  }
  const Deployment& primary = service.primary();
  counts.may_start = primary.rollout != RolloutState::Failed && now >= primary.next_start;
  return counts;
}

void tell_registered(Core& core, Service& service, TimePoint now) {
  for (const auto& [group, count] : service.registered_now) {
    tell(core, service, now,
         fmt::format("registered {} targets in (target-group {})", count, group));
  }
  service.registered_now.clear();
}

/// A deleted service stops everything, then is INACTIVE.
bool drain_service(Core& core, Service& service, const std::vector<Task*>& tasks, TimePoint now) {
  std::vector<Task*> alive;
  bool all_gone = true;
  for (Task* task : tasks) {
    if (task->alive()) alive.push_back(task);
    all_gone = all_gone && task->phase >= Phase::Stopping;
  }
  if (!alive.empty()) {
    stop_tasks(core, service, alive, "", now);
    return true;
  }
  if (!all_gone) return false;
  service.status = Service::Status::Inactive;
  service.deployments.clear();
  core.d.events.event(now, "service.deleted",
                      {{"service", service.name}, {"cluster", service.cluster}});
  return true;
}

bool note_steady(Core& core, Service& service, const RollingCounts& counts, TimePoint now) {
  const bool steady = service.primary().rollout == RolloutState::Completed && counts.old == 0 &&
                      counts.fresh == counts.desired && counts.fresh_healthy == counts.desired;
  if (!steady || service.steady) return false;
  service.steady = true;
  tell(core, service, now, "has reached a steady state.");
  return true;
}

}  // namespace

std::vector<Task*> tasks_of(Core& core, const Service& service) {
  std::vector<Task*> tasks;
  for (auto& [id, task] : core.tasks) {
    if (belongs(task, service)) tasks.push_back(&task);
  }
  std::stable_sort(tasks.begin(), tasks.end(),
                   [](const Task* a, const Task* b) { return a->created < b->created; });
  return tasks;
}

TaskCounts count_tasks(const Core& core, const Service& service, std::string_view deployment_id) {
  TaskCounts counts;
  for (const auto& [id, task] : core.tasks) {
    if (!belongs(task, service)) continue;
    if (!deployment_id.empty() && task.deployment_id != deployment_id) continue;
    if (task.phase == Phase::Running) ++counts.running;
    if (task.pending() && task.wanted) ++counts.pending;
    if (task.alive()) ++counts.alive;
  }
  return counts;
}

bool reconcile(Core& core, Service& service, TimePoint now) {
  if (service.status == Service::Status::Inactive) return false;
  const std::vector<Task*> tasks = tasks_of(core, service);
  if (service.status == Service::Status::Draining) return drain_service(core, service, tasks, now);
  if (!service.registered_now.empty()) tell_registered(core, service, now);
  if (count_ended(core, service, tasks, now)) return true;

  std::vector<Seen> seen;
  for (Task* task : tasks) {
    if (!task->alive()) continue;
    seen.push_back(
        {task, judge(core, service, *task, now), task->deployment_id == service.primary().id});
  }
  if (note_health(core, service, seen, now)) return true;
  const RollingCounts counts = count(service, tasks, seen, now);
  if (replace_unhealthy(core, service, seen, counts, now)) return true;

  // A replacement that came first makes one task too many until the unhealthy one is stopped.
  const bool replacing = std::any_of(seen.begin(), seen.end(), [](const Seen& s) {
    return s.fresh && s.judgement.verdict == Verdict::Unhealthy;
  });
  RollingStep step = rolling_step(counts);
  if (replacing) step.stop_fresh = 0;
  bool changed = false;
  if (step.stop_fresh > 0) {
    stop_tasks(core, service, pick_victims(seen, true, step.stop_fresh), "", now);
    changed = true;
  }
  if (step.stop_old > 0) {
    stop_tasks(core, service, pick_victims(seen, false, step.stop_old), "", now);
    changed = true;
  }
  if (step.start > 0) changed = start_tasks(core, service, step.start, now) || changed;
  if (step.stuck && !service.primary().stuck_told) {
    service.primary().stuck_told = true;
    tell(core, service, now,
         "was unable to stop or start tasks during a deployment because of the service deployment "
         "configuration. Update the minimumHealthyPercent or maximumPercent value and try again.");
    changed = true;
  }
  if (changed) return true;
  const bool all_healthy = counts.fresh == counts.desired && counts.fresh_healthy == counts.desired;
  if (advance_deployment(core, service, all_healthy, counts.old, now)) return true;
  return note_steady(core, service, counts, now);
}

TimePoint service_due(const Core& core, const Service& service, TimePoint now) {
  TimePoint due = kNever;
  const auto at = [&](TimePoint t) {
    if (t > now) due = std::min(due, t);
  };
  if (service.status != Service::Status::Active) return due;
  for (const auto& [id, task] : core.tasks) {
    if (!belongs(task, service) || !task.alive()) continue;
    if (!task.targets.empty() && task.phase == Phase::Running) {
      at(now + core.options().health_poll);
    }
    if (task.phase == Phase::Running) at(task.started + core.options().healthy_after);
    if (service.grace_period_s > 0) at(grace_end(service, task));
  }
  const Deployment& primary = service.primary();
  at(primary.next_start);
  if (primary.rollout == RolloutState::InProgress) {
    if (primary.bake_until != kNever) at(primary.bake_until);
    if (!primary.alarms_ignored && primary.next_alarm_poll != kNever) at(primary.next_alarm_poll);
  }
  return due;
}

}  // namespace coalmine::mock::ecs
