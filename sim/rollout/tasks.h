#pragma once

#include <optional>
#include <string>

#include "sim/core/result.h"

namespace coalmine::rollout {

/// Of one version; nobody runs that many.
inline constexpr int kMostTasks = 1'000'000;

/// The tasks of one version, as asked for and as they are.
struct TaskCount {
  int desired = 0;      ///< asked for
  int ready = 0;        ///< of them, run the newest build and take requests
  int leaving = 0;      ///< of an earlier build, that are still there
  std::string build;    ///< what new tasks run, as the platform names it: a task definition
  std::string failure;  ///< why those that are missing will not come; empty: they may
  bool operator==(const TaskCount&) const = default;
};
/// As many as wanted, and nothing else.
inline bool is_settled(const TaskCount& count) {
  return count.ready >= count.desired && count.leaving == 0;
}

struct Tasks {
  TaskCount stable, canary;
  bool same_image = false;                 ///< new tasks of stable run the canary's image
  std::optional<TaskCount> baseline = {};  ///< of a plan with experiments
  bool operator==(const Tasks&) const = default;
};

/// Who runs the versions' tasks: ECS services, the virtual world's pools. A rollout whose plan
/// changes tasks needs one beside its TrafficAdapter. Calls ask and return at once; read() tells
/// how far it is. All are safe to repeat.
class TaskAdapter {
 public:
  virtual ~TaskAdapter() = default;
  virtual Result<Tasks> read() = 0;
  /// Asks for so many tasks of the version.
  virtual Result<Tasks> scale(const std::string& version, int tasks) = 0;
  /// Gives stable's tasks another image by a rolling update: the canary's, or with `build` that of
  /// an earlier TaskCount::build.
  virtual Result<Tasks> swap_image(const std::string& build) = 0;
};

}  // namespace coalmine::rollout
