#include "mock-aws/server/replay_driver.h"

namespace coalmine::mock {

void ReplayDriver::carry_out(const TaskAction& action, TimePoint now) {
  model_.carry_out(action, now);
  if (const auto* start = std::get_if<ContainerStart>(&action)) {
    running_[{start->task_id, start->container}] = *start;
  } else if (const auto* check = std::get_if<CheckStart>(&action)) {
    checks_[{check->task_id, check->container}] = *check;
  } else if (const auto* release = std::get_if<TaskRelease>(&action)) {
    const auto of_task = [release](const auto& entry) {
      return entry.first.first == release->task_id;
    };
    std::erase_if(running_, of_task);
    std::erase_if(checks_, of_task);
  }
}

std::vector<TaskEvent> ReplayDriver::take_events(TimePoint now) {
  std::vector<TaskEvent> events = model_.take_events(now);
  for (const TaskEvent& event : events) {
    if (const auto* exited = std::get_if<ContainerExited>(&event)) {
      running_.erase({exited->task_id, exited->container});
      checks_.erase({exited->task_id, exited->container});
    } else if (const auto* failed = std::get_if<ContainerStartFailed>(&event)) {
      running_.erase({failed->task_id, failed->container});
    } else if (const auto* check = std::get_if<CheckFinished>(&event)) {
      checks_.erase({check->task_id, check->container});
    }
  }
  return events;
}

std::vector<TaskAction> ReplayDriver::unfinished() const {
  std::vector<TaskAction> actions;
  for (const auto& [key, start] : running_) actions.emplace_back(start);
  for (const auto& [key, check] : checks_) actions.emplace_back(check);
  return actions;
}

}  // namespace coalmine::mock
