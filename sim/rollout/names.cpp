#include <algorithm>

#include "sim/core/check.h"
#include "sim/rollout/controller.h"

namespace coalmine::rollout {
bool is_over(Phase phase) {
  switch (phase) {
    case Phase::Promoted:
    case Phase::Completed:
    case Phase::RolledBack:
    case Phase::Aborted:
    case Phase::Failed:
    case Phase::Superseded:
      return true;
    default:
      return false;
  }
}

std::string_view to_string(Phase phase) {
  switch (phase) {
    case Phase::Baseline:
      return "baseline";
    case Phase::Shifting:
      return "shifting";
    case Phase::Routing:
      return "routing";
    case Phase::Baking:
      return "baking";
    case Phase::Paused:
      return "paused";
    case Phase::Promoting:
      return "promoting";
    case Phase::RollingBack:
      return "rolling-back";
    case Phase::Promoted:
      return "promoted";
    case Phase::Completed:
      return "completed";
    case Phase::RolledBack:
      return "rolled-back";
    case Phase::Aborted:
      return "aborted";
    case Phase::Failed:
      return "failed";
    case Phase::Superseded:
      return "superseded";
    case Phase::Asking:
      return "asking";
    case Phase::Scaling:
      return "scaling";
  }
  CHECK_FAILED("phase");
}

std::string_view to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::Promoted:
      return "promoted";
    case Outcome::Completed:
      return "completed";
    case Outcome::RolledBack:
      return "rolled-back";
    case Outcome::Aborted:
      return "aborted";
    case Outcome::Failed:
      return "failed";
    case Outcome::Superseded:
      return "superseded";
  }
  CHECK_FAILED("outcome");
}

std::string_view to_string(Command command) {
  switch (command) {
    case Command::Pause:
      return "pause";
    case Command::Resume:
      return "resume";
    case Command::Promote:
      return "promote";
    case Command::Abort:
      return "abort";
    case Command::SetWeights:
      return "set-weights";
  }
  CHECK_FAILED("command");
}

std::string_view to_string(HookVerdict verdict) {
  switch (verdict) {
    case HookVerdict::Passed:
      return "passed";
    case HookVerdict::Failed:
      return "failed";
    case HookVerdict::Wait:
      return "wait";
  }
  CHECK_FAILED("HookVerdict");
}

std::string_view to_string(HookStage stage) {
  switch (stage) {
    case HookStage::PreRollout:
      return "pre-rollout";
    case HookStage::PreStep:
      return "pre-step";
    case HookStage::PostStep:
      return "post-step";
    case HookStage::ConfirmPromote:
      return "confirm-promote";
    case HookStage::PostRollout:
      return "post-rollout";
    case HookStage::OnRollback:
      return "on-rollback";
    case HookStage::Gate:
      return "gate";
  }
  CHECK_FAILED("HookStage");
}

std::string_view to_string(Signal signal) {
  switch (signal) {
    case Signal::Errors:
      return "errors";
    case Signal::Latency:
      return "latency";
    case Signal::Requests:
      return "requests";
    case Signal::Constant:
      return "constant";
  }
  CHECK_FAILED("Signal");
}

std::string_view to_string(Scope scope) {
  switch (scope) {
    case Scope::Canary:
      return "canary";
    case Scope::Stable:
      return "stable";
    case Scope::Service:
      return "service";
  }
  CHECK_FAILED("Scope");
}

std::string_view to_string(CheckResult result) {
  switch (result) {
    case CheckResult::Passed:
      return "passed";
    case CheckResult::Failed:
      return "failed";
    case CheckResult::Inconclusive:
      return "inconclusive";
    case CheckResult::Error:
      return "error";
  }
  CHECK_FAILED("CheckResult");
}

std::string_view to_string(Tally tally) {
  switch (tally) {
    case Tally::Rollout:
      return "rollout";
    case Tally::Step:
      return "step";
    case Tally::InARow:
      return "in-a-row";
  }
  CHECK_FAILED("Tally");
}

std::string_view to_string(OnFail on_fail) {
  switch (on_fail) {
    case OnFail::Rollback:
      return "rollback";
    case OnFail::Pause:
      return "pause";
    case OnFail::Ignore:
      return "ignore";
  }
  CHECK_FAILED("OnFail");
}

std::string_view to_string(AlarmStatistic statistic) {
  switch (statistic) {
    case AlarmStatistic::Sum:
      return "sum";
    case AlarmStatistic::Average:
      return "average";
    case AlarmStatistic::Quantile:
      return "quantile";
  }
  CHECK_FAILED("AlarmStatistic");
}

std::string_view to_string(AlarmComparison comparison) {
  switch (comparison) {
    case AlarmComparison::GreaterOrEqual:
      return ">=";
    case AlarmComparison::Greater:
      return ">";
    case AlarmComparison::Less:
      return "<";
    case AlarmComparison::LessOrEqual:
      return "<=";
  }
  CHECK_FAILED("AlarmComparison");
}

std::string_view to_string(MissingData missing) {
  switch (missing) {
    case MissingData::Missing:
      return "missing";
    case MissingData::Ignore:
      return "ignore";
    case MissingData::Breaching:
      return "breaching";
    case MissingData::NotBreaching:
      return "not-breaching";
  }
  CHECK_FAILED("MissingData");
}

std::string_view to_string(AlarmState state) {
  switch (state) {
    case AlarmState::Ok:
      return "OK";
    case AlarmState::Alarm:
      return "ALARM";
    case AlarmState::InsufficientData:
      return "INSUFFICIENT_DATA";
  }
  CHECK_FAILED("AlarmState");
}

}  // namespace coalmine::rollout
