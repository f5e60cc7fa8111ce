#include "mock-aws/tasks/simulated.h"

#include "mock-aws/tasks/glob.h"
#include "mock-aws/tasks/image.h"

namespace coalmine::mock {

void SimulatedDriver::set_image(std::string pattern, SimulatedImage image) {
  images_.emplace_back(std::move(pattern), image);
}

const SimulatedImage& SimulatedDriver::behaviour(const std::string& image) const {
  for (auto it = images_.rbegin(); it != images_.rend(); ++it) {
    if (glob_match(it->first, image)) return it->second;
  }
  return fallback_;
}

void SimulatedDriver::schedule(TimePoint at, TaskEvent event, const Key& key,
                               std::uint64_t generation) {
  due_.emplace(std::pair{at, ++sequence_}, Due{std::move(event), key, generation});
}

void SimulatedDriver::carry_out(const TaskAction& action, TimePoint now) {
  if (const auto* start_action = std::get_if<ContainerStart>(&action)) {
    start(*start_action, now);
  } else if (const auto* signal_action = std::get_if<ContainerSignal>(&action)) {
    signal(*signal_action, now);
  } else if (const auto* check_action = std::get_if<CheckStart>(&action)) {
    check(*check_action, now);
  }
}

void SimulatedDriver::start(const ContainerStart& action, TimePoint now) {
  const Key key{action.task_id, action.container};
  const SimulatedImage& image = behaviour(action.image);
  const TimePoint up = now + image.start_delay;
  const std::uint64_t generation = ++sequence_;
  containers_[key] = {action.image, kNever, generation};
  if (image.pull_fails) {
    schedule(up, ContainerStartFailed{key.first, key.second, cannot_pull(action.image)}, key,
             generation);
    return;
  }
  if (image.start_fails) {
    schedule(up,
             ContainerStartFailed{key.first, key.second,
                                  "CannotStartContainerError: the simulated image " + action.image +
                                      " does not start"},
             key, generation);
    return;
  }
  schedule(up, ContainerStarted{key.first, key.second, action.digest}, key, generation);
  if (image.exits_after) {
    schedule(up + *image.exits_after, ContainerExited{key.first, key.second, image.exit_code, ""},
             key, generation);
  }
}

void SimulatedDriver::signal(const ContainerSignal& action, TimePoint now) {
  const Key key{action.task_id, action.container};
  const auto it = containers_.find(key);
  if (it == containers_.end()) return;
  const SimulatedImage& image = behaviour(it->second.image);
  const std::uint64_t generation = it->second.generation;
  if (action.signal == StopSignal::Kill) {
    schedule(now, ContainerExited{key.first, key.second, 137, ""}, key, generation);
  } else if (!image.ignores_terminate) {
    schedule(now + image.stop_delay, ContainerExited{key.first, key.second, 143, ""}, key,
             generation);
  }
}

void SimulatedDriver::check(const CheckStart& action, TimePoint now) {
  const Key key{action.task_id, action.container};
  const auto it = containers_.find(key);
  if (it == containers_.end()) return;
  const SimulatedImage& image = behaviour(it->second.image);
  const Duration age = now - it->second.started;
  const bool healthy = image.ever_healthy && age >= image.healthy_after &&
                       (!image.unhealthy_after || age < *image.unhealthy_after);
  schedule(now + image.check_duration, CheckFinished{key.first, key.second, healthy}, key,
           it->second.generation);
}

bool SimulatedDriver::crash(const std::string& task_id, const std::string& container, int exit_code,
                            TimePoint now) {
  const Key key{task_id, container};
  const auto it = containers_.find(key);
  if (it == containers_.end()) return false;
  schedule(now, ContainerExited{task_id, container, exit_code, ""}, key, it->second.generation);
  return true;
}

std::vector<TaskEvent> SimulatedDriver::take_events(TimePoint now) {
  std::vector<TaskEvent> events;
  while (!due_.empty() && due_.begin()->first.first <= now) {
    const TimePoint at = due_.begin()->first.first;
    Due due = std::move(due_.begin()->second);
    due_.erase(due_.begin());
    const auto it = containers_.find(due.key);
    if (it == containers_.end() || it->second.generation != due.generation) continue;
    if (std::holds_alternative<ContainerStarted>(due.event)) it->second.started = at;
    const bool ended = std::holds_alternative<ContainerExited>(due.event) ||
                       std::holds_alternative<ContainerStartFailed>(due.event);
    if (ended) containers_.erase(it);
    events.push_back(std::move(due.event));
  }
  return events;
}

TimePoint SimulatedDriver::next_event() const {
  return due_.empty() ? kNever : due_.begin()->first.first;
}

}  // namespace coalmine::mock
