#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace coalmine::engine {

/// One running copy of a version: index in Spec::versions and number of the copy.
struct TaskId {
  std::size_t version = 0;
  std::size_t task = 0;
  bool operator==(const TaskId&) const = default;
};

inline constexpr int kTaskPort = 9000;
inline constexpr std::size_t kMaxTasks = 1000;  ///< of one version, as in the scenario format

/// The address at which the virtual world's task is registered: 127.1.1.1 onwards, so that the
/// route table alone says which tasks a target has.
std::string task_address(TaskId id);
/// The task behind an address; nullopt: no task has it.
std::optional<TaskId> task_at(std::string_view address);

}  // namespace coalmine::engine
