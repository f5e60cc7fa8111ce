// What the scenario's `when` makes happen in the virtual world, and what follows from it.
#include <algorithm>

#include "sim/engine/simulation_due.h"

namespace coalmine::engine {

void Simulation::carry_out(const Due& due) {
  using Kind = Due::Kind;
  switch (due.kind) {
    case Kind::FaultBegins:
    case Kind::FaultEnds:
      return change_fault(due);
    case Kind::Foreign:
      return set_foreign(std::get<world::ForeignWeights>(spec_.events[due.event].what));
    case Kind::ThrottleBegins:
    case Kind::ThrottleEnds:
      return throttle(due);
    case Kind::Scale:
      return scale_by_hand(std::get<world::ScaleTasks>(spec_.events[due.event].what));
    case Kind::Revision:
      return arrive(std::get<world::RevisionArrives>(spec_.events[due.event].what));
    case Kind::TaskUp:
      return start_task(due);
    case Kind::NewBuild:
      return take_build(due);
    case Kind::Mirror:
      mirror_ = due.share;
      return;
  }
}

void Simulation::change_fault(const Due& due) {
  const auto& inject = std::get<world::InjectFault>(spec_.events[due.event].what);
  const bool begins = due.kind == Due::Kind::FaultBegins;
  for (std::size_t v = 0; v < spec_.versions.size(); ++v) {
    if (!world::is_hit(spec_, inject.target, spec_.versions[v].name)) continue;
    if (begins) {
      active_[v].emplace_back(due.event, inject.fault);
    } else {
      std::erase_if(active_[v], [&due](const auto& one) { return one.first == due.event; });
    }
    fault_pools(v);
  }
  recorder_.note(now_, begins ? "fault.began" : "fault.ended",
                 {{"what", world::describe(inject.fault, inject.target)}});
  rebuild_regime();
}

/// Tells the version's tasks which faults they have now.
void Simulation::fault_pools(std::size_t version) {
  std::vector<faults::Fault> list;
  for (const auto& [event, fault] : active_[version]) {
    list.push_back(world::to_fault(spec_, fault));
  }
  pools_[version]->set_faults(std::move(list), now_);
}

void Simulation::set_foreign(const world::ForeignWeights& foreign) {
  const std::string done = plane_->set_foreign(foreign.weights) ? "" : " (refused)";
  recorder_.note(
      now_, "weights.foreign",
      {{"what", world::render_weights(spec_, foreign.weights) + " set by somebody else" + done}});
  notice_routes();
}

/// Of several throttles at a time the heaviest counts.
void Simulation::throttle(const Due& due) {
  const auto& event = std::get<world::ThrottleApi>(spec_.events[due.event].what);
  const bool begins = due.kind == Due::Kind::ThrottleBegins;
  if (begins) {
    throttles_.emplace_back(due.event, event.share.share());
  } else {
    std::erase_if(throttles_, [&due](const auto& one) { return one.first == due.event; });
  }
  double share = 0;
  for (const auto& [index, value] : throttles_) share = std::max(share, value);
  plane_->throttle(share);
  recorder_.note(
      now_, "api.throttled",
      {{"what", begins
                    ? fmt::format("{} of the rollout's calls are throttled", to_string(event.share))
                    : std::string("this throttling of the rollout's calls is over")}});
}

/// New tasks come up after their start; of those that go, the last ones go first.
void Simulation::resize(std::size_t version, std::size_t tasks) {
  const std::size_t before = pools_[version]->size();
  const TimePoint up_at = now_ + spec_.platform.task_start;
  for (std::size_t task = tasks; task < before; ++task) {
    plane_->task_stopped({version, task}, now_);
  }
  pools_[version]->resize(tasks, up_at);
  for (std::size_t task = before; task < tasks; ++task) {
    schedule({up_at, Due::Kind::TaskUp, 0, {version, task}});
  }
}

void Simulation::scale_by_hand(const world::ScaleTasks& scale) {
  std::string what;
  for (const auto& [name, wanted] : scale.tasks) {
    what += fmt::format("{}{} to {} tasks", what.empty() ? "" : ", ", name, wanted);
    resize(world::version_index(spec_, name).value_or(0), static_cast<std::size_t>(wanted));
  }
  recorder_.note(now_, "tasks.scaled", {{"what", what}});
  notice_routes();
  rebuild_regime();
}

/// The canary's tasks run the new build from now on; faults that the scenario injects stay.
void Simulation::arrive(const world::RevisionArrives& revision) {
  if (spec_.plan.on_newer == rollout::OnNewer::Refuse) return;
  const std::size_t v = world::version_index(spec_, spec_.plan.canary).value_or(0);
  std::erase_if(active_[v], [](const auto& one) { return one.first == kFromTheBeginning; });
  for (const world::Fault& fault : world::faults_of(revision)) {
    active_[v].emplace_back(kFromTheBeginning, fault);
  }
  fault_pools(v);
  rebuild_regime();
}

void Simulation::start_task(const Due& due) {
  if (due.task.task >= pools_[due.task.version]->size()) return;  // scaled away meanwhile
  plane_->task_started(due.task, now_);
  notice_routes();
}

/// ECS notices that tasks ended and starts others in their place.
void Simulation::report_crashes(std::size_t version) {
  for (const TaskPool::Crash& crash : pools_[version]->take_crashes()) {
    plane_->task_stopped({version, crash.task}, crash.at);
    recorder_.note(
        crash.at, "task.crashed",
        {{"what", fmt::format("a task of {} crashed; another is up at {}",
                              spec_.versions[version].name, to_stopwatch(crash.up_at - start_))}});
    schedule({crash.up_at, Due::Kind::TaskUp, 0, {version, crash.task}});
  }
}

}  // namespace coalmine::engine
