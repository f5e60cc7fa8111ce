#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "mock-aws/services/task_actions.h"
#include "mock-aws/tasks/simulated.h"

namespace coalmine::mock {

/// Runs tasks by the model while a journal is made again, and remembers what runs in the end: a
/// real driver starts the same containers then, under the same tasks and addresses.
class ReplayDriver final : public TaskDriver {
 public:
  void carry_out(const TaskAction& action, TimePoint now) override;
  std::vector<TaskEvent> take_events(TimePoint now) override;
  TimePoint next_event() const override { return model_.next_event(); }

  /// Containers that were started and have not ended, then health checks without an answer.
  std::vector<TaskAction> unfinished() const;

 private:
  using Key = std::pair<std::string, std::string>;  // task, container
  SimulatedDriver model_;
  std::map<Key, ContainerStart> running_;
  std::map<Key, CheckStart> checks_;
};

}  // namespace coalmine::mock
