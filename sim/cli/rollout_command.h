#pragma once

#include <optional>
#include <string>

#include "sim/rollout/aws/target.h"
#include "sim/rollout/plan.h"

namespace coalmine::cli {

/// What the `rollout` subcommands need; each prints and returns the program's exit code.
struct RolloutCommand {
  rollout::Plan plan;  ///< of a new rollout; names of the versions for the other subcommands
  rollout::TargetSettings target;
  std::string name = "default";   ///< several rollouts can live beside each other
  std::string state_dir;          ///< empty: $XDG_STATE_HOME/coalmine or ~/.local/state/coalmine
  std::string reason;             ///< of an operator's word
  std::optional<Percent> weight;  ///< weights: set the canary's share instead of showing it
  bool dry_run = false;           ///< start: print the calls, change nothing
};

/// Runs a rollout in the foreground; goes on with an interrupted one of that name, by the plan in
/// its journal. 0 promoted, 1 rolled back or aborted, 2 wrong plan, 3 environment or interrupted.
int rollout_start(const RolloutCommand& command);
/// Reads the journal only.
int rollout_status(const RolloutCommand& command);
/// Shows the weights as they are set, or sets them: through the rollout's own process if one is
/// under way, which then holds there.
int rollout_weights(const RolloutCommand& command);
int rollout_pause(const RolloutCommand& command);
int rollout_resume(const RolloutCommand& command);
int rollout_promote(const RolloutCommand& command);
/// Rolls back; carries it out itself when no process drives the rollout any more.
int rollout_abort(const RolloutCommand& command);

}  // namespace coalmine::cli
