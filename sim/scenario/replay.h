#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/rollout/replay.h"
#include "sim/scenario/report.h"

namespace coalmine::scenario {

/// A journal's run, computed from the journal alone: its reports are those that the run itself
/// gave.
struct ReplayedRun {
  std::string journal;                 ///< the file
  std::unique_ptr<Scenario> scenario;  ///< that `result` is of
  RunResult result;
  rollout::Replay replay;
  /// The world's counts are not in the journal (a `rollout start`, or a run that was killed): then
  /// those stand in that the rollout read from its metrics.
  bool by_metrics = false;
  std::size_t lines = 0;
  std::vector<Error> notices;
  /// The first line that does not follow from the others.
  std::optional<Error> disagreement;
};

/// Plays the journal of a `run` or of a `rollout start` again. Errors: the text is no journal.
Result<ReplayedRun> replay_run(std::string_view text, const std::string& file);

/// Every decision with what it rests on, then the figures: verdict, blast radius, times.
std::string render_evidence(const ReplayedRun& run);

}  // namespace coalmine::scenario
