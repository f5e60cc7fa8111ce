#pragma once

#include <string>

#include "sim/rollout/driver.h"

namespace coalmine::rollout {

/// How commands of other processes reach a running rollout: lines appended to a file beside its
/// journal. The journal tells how many were obeyed, so a restarted controller misses none and
/// repeats none.
class ControlFile : public OperatorSource {
 public:
  /// `consumed`: Operator inputs that the journal holds already.
  ControlFile(std::string path, std::size_t consumed)
      : path_(std::move(path)), consumed_(consumed) {}

  std::optional<Operator> take(TimePoint now) override;
  TimePoint next(TimePoint now) const override { return now + kPoll; }

  static constexpr Duration kPoll = std::chrono::milliseconds{200};

 private:
  std::string path_;
  std::size_t consumed_;
};

/// Appends a command, durably. Errors (Environment) name the file.
Status post_command(const std::string& path, TimePoint now, const Operator& command);

/// Operator inputs in a journal.
std::size_t operator_inputs(const Journal& journal);

}  // namespace coalmine::rollout
