// What ECS asks of a task driver and what it hears back: plain values, no I/O.
//
// The ECS core decides (order by dependsOn, health-check schedule, stop sequence, back-off);
// a driver only carries out: start this container, signal it, run this check. So the simulated
// and the process driver, and later one that runs images, behave alike.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "sim/core/time.h"

namespace coalmine::mock {

/// A container as a driver needs it.
struct ContainerStart {
  std::string task_id;    ///< 32 hex digits
  std::string container;  ///< its name in the task definition
  std::string image;      ///< as the task definition names it
  std::string digest;     ///< what the mock's ECR holds under that name, pinned; empty: not there
  std::string address;    ///< the task's own loopback address, like an awsvpc ENI's
  std::vector<int> ports;
  std::vector<std::string> entry_point;
  std::vector<std::string> command;
  std::map<std::string, std::string> environment;
  std::string account, region, cluster, service, family;
};

enum class StopSignal { Terminate, Kill };

struct ContainerSignal {
  std::string task_id, container;
  StopSignal signal = StopSignal::Terminate;
};

/// Run a container health check; the command sees localhost as the task's address.
struct CheckStart {
  std::string task_id, container;
  std::vector<std::string> command;  ///< without the CMD / CMD-SHELL word
  bool shell = false;
  std::string address;
  Duration timeout{};
};

/// The task is over: its address and leftovers may go.
struct TaskRelease {
  std::string task_id;
  std::string address;
};

using TaskAction = std::variant<ContainerStart, ContainerSignal, CheckStart, TaskRelease>;

struct ContainerStarted {
  std::string task_id, container;
  std::string image_digest;  ///< empty: unknown
};
/// The container never ran: "CannotPullContainerError: …", "CannotStartContainerError: …".
struct ContainerStartFailed {
  std::string task_id, container, reason;
};
struct ContainerExited {
  std::string task_id, container;
  int exit_code = 0;
  std::string reason;  ///< "OutOfMemoryError: …" or empty
};
struct CheckFinished {
  std::string task_id, container;
  bool healthy = false;
};
struct ContainerLog {
  std::string task_id, container;
  std::vector<std::string> lines;
};

using TaskEvent = std::variant<ContainerStarted, ContainerStartFailed, ContainerExited,
                               CheckFinished, ContainerLog>;

/// Carries actions out. Implementations: mock-aws/tasks (simulated, process).
class TaskDriver {
 public:
  virtual ~TaskDriver() = default;
  virtual void carry_out(const TaskAction& action, TimePoint now) = 0;
  /// Events since the last call, in the order they happened.
  virtual std::vector<TaskEvent> take_events(TimePoint now) = 0;
  /// When the simulated driver has the next event; kNever for drivers that are not simulated.
  virtual TimePoint next_event() const { return kNever; }
};

}  // namespace coalmine::mock
