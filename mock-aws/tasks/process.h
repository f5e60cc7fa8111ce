#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "mock-aws/services/task_actions.h"
#include "mock-aws/tasks/commands.h"

namespace coalmine::mock {

struct ProcessOptions {
  ImageCommands commands;
  /// Called from the driver's thread when take_events() has something new; must not block and
  /// must not call back into the driver.
  std::function<void()> wake = [] {};
  /// A container counts as started once its ports accept, or after this long if they never do.
  Duration ready_wait = std::chrono::seconds{3};
  /// From SIGTERM to SIGKILL when the driver is destroyed.
  Duration shutdown_grace = std::chrono::seconds{2};
};

/// Runs each container as local processes at the task's own loopback address. One thread does
/// everything that could wait; carry_out() only queues. Children die with it, however it ends.
class ProcessDriver : public TaskDriver {
 public:
  explicit ProcessDriver(ProcessOptions options);
  ~ProcessDriver() override;

  void carry_out(const TaskAction& action, TimePoint now) override;
  std::vector<TaskEvent> take_events(TimePoint now) override;

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
};

}  // namespace coalmine::mock
