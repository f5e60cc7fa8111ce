// The rollout's hand on the virtual world's tasks: more, fewer, or with another image.
#include <algorithm>

#include "sim/engine/fidelity.h"
#include "sim/engine/simulation_due.h"

namespace coalmine::engine {

Result<rollout::Tasks> Simulation::read() {
  rollout::Tasks tasks{count_of(spec_.plan.stable), count_of(spec_.plan.canary), false};
  const rollout::PlanVersions names = world::versions_of(spec_);
  if (!names.baseline.empty()) tasks.baseline = count_of(names.baseline);
  tasks.same_image = tasks.stable.build == spec_.plan.canary;
  return tasks;
}

rollout::TaskCount Simulation::count_of(const std::string& version) const {
  const std::size_t v = world::version_index(spec_, version).value_or(0);
  rollout::TaskCount count;
  count.desired = static_cast<int>(pools_[v]->size());
  count.build = builds_[v].asked;
  if (builds_[v].asked == builds_[v].running && now_ >= builds_[v].up_at) {
    count.ready = pools_[v]->up(healthy_[v], now_);
  } else {
    count.leaving = count.desired;
  }
  return count;
}

Result<rollout::Tasks> Simulation::scale(const std::string& version, int tasks) {
  const auto v = world::version_index(spec_, version);
  if (!v) return error(ErrorKind::Failed, "there is no version \"{}\"", version);
  if (tasks < 0 || static_cast<std::size_t>(tasks) > kMaxTasks) {
    return error(ErrorKind::Failed, "{} tasks of {} are asked for, allowed are up to {}", tasks,
                 version, kMaxTasks);
  }
  if (static_cast<std::size_t>(tasks) != pools_[*v]->size()) {
    resize(*v, static_cast<std::size_t>(tasks));
    notice_routes();
    rebuild_regime();
  }
  return read();
}

/// A rolling update as ECS makes it by default (100% of the tasks stay healthy, up to 200% may
/// run): all new tasks start at once, and the old ones go when the new ones take requests. So the
/// tasks change their build in one moment, a task's start after it was asked for.
Result<rollout::Tasks> Simulation::swap_image(const std::string& build) {
  const std::size_t v = world::version_index(spec_, spec_.plan.stable).value_or(0);
  const std::string& wanted = build.empty() ? spec_.plan.canary : build;
  if (builds_[v].asked != wanted) {
    const auto start = start_of(wanted);
    builds_[v].asked = wanted;
    builds_[v].up_at = start ? now_ + *start : kNever;
    if (start) schedule({builds_[v].up_at, Due::Kind::NewBuild, 0, {v, 0}});
  }
  return read();
}

/// Until a new task of this build is let in; nullopt: its health checks never pass. A mesh has
/// none.
std::optional<Duration> Simulation::start_of(const std::string& build) const {
  Duration start = spec_.platform.task_start;
  if (spec_.plan.traffic != rollout::TrafficApi::Alb) return start;
  for (const world::Fault& fault : faults_of_build(build)) {
    if (fault.kind == world::FaultKind::Unhealthy && fault.share.value >= 100) return std::nullopt;
    if (fault.kind == world::FaultKind::SlowStart) start += fault.warm_up;
  }
  return start;
}

/// What is wrong with the build itself, whichever tasks run it; what the scenario injects into a
/// version's tasks stays there.
std::vector<world::Fault> Simulation::faults_of_build(const std::string& build) const {
  if (build != spec_.plan.canary) {
    return spec_.versions[world::version_index(spec_, build).value_or(0)].faults;
  }
  std::vector<world::Fault> faults;
  const std::size_t v = world::version_index(spec_, build).value_or(0);
  for (const auto& [event, fault] : active_[v]) {
    if (event == kFromTheBeginning) faults.push_back(fault);
  }
  return faults;
}

void Simulation::take_build(const Due& due) {
  const std::size_t v = due.task.version;
  Build& build = builds_[v];
  // Its own again, with new tasks, before the others came; or asked for again later.
  if (build.asked == build.running || due.at != build.up_at) return;
  build.running = build.asked;
  const std::size_t from = world::version_index(spec_, build.running).value_or(v);
  std::erase_if(active_[v], [](const auto& one) { return one.first == kFromTheBeginning; });
  for (const world::Fault& fault : faults_of_build(build.running)) {
    active_[v].emplace_back(kFromTheBeginning, fault);
  }
  tables_[v] = tables_of_builds_[from];
  tables_changed_ = true;
  pools_[v]->rebuild(limits_of(spec_, spec_.versions[from]), tables_[v], now_);
  fault_pools(v);
  recorder_.note(now_, "tasks.swapped",
                 {{"what", fmt::format("{} tasks of {} run {} now", pools_[v]->size(),
                                       spec_.versions[v].name, build.running)}});
  rebuild_regime();
}

}  // namespace coalmine::engine
