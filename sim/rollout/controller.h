#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "sim/rollout/analysis/analysis.h"
#include "sim/rollout/event.h"
#include "sim/rollout/metrics.h"
#include "sim/rollout/plan.h"

namespace coalmine::rollout {

// --- what the controller is told -------------------------------------------------------------

/// The rollout begins; `actual` are the weights found at that moment.
struct Started {
  Weights actual;
};
/// A new driver goes on from the journal; `actual` as for Started.
struct Restarted {
  Weights actual;
};
/// A SetWeights was carried out; these weights are set now, rounded as the API needs them.
struct WeightsApplied {
  Weights weights;
};
struct WeightsFailed {
  std::string reason;
};
/// New datapoints in time order, none twice; `next`: when the source expects the next ones.
struct Metrics {
  std::vector<MetricsWindow> windows;
  TimePoint next = kNever;
};
struct MetricsFailed {
  std::string reason;
  TimePoint next = kNever;
};
/// Time has come to a WakeAt.
struct Tick {};

enum class Command { Pause, Resume, Promote, Abort, SetWeights };
/// Somebody spoke. Promote skips the remaining steps. SetWeights holds the rollout at `canary`
/// until resume, which goes on with the plan from there.
struct Operator {
  Command command = Command::Pause;
  std::string reason;
  Percent canary;  ///< for SetWeights
};

using Input = std::variant<Started, Restarted, WeightsApplied, WeightsFailed, Metrics,
                           MetricsFailed, Tick, Operator>;

// --- what it wants done ----------------------------------------------------------------------

/// Give the canary this share; answer with WeightsApplied or WeightsFailed. Safe to repeat.
struct ChangeWeights {
  Percent canary;
};
/// Answer with Metrics (possibly none) or MetricsFailed.
struct ReadMetrics {
  TimePoint since;  ///< datapoints that begin earlier have been counted or do not matter
};
/// Answer with Tick at `at`; replaces an earlier one.
struct WakeAt {
  TimePoint at;
};
struct Record {
  Event event;
};

/// Promoted and Completed are good ends; the latter is a plan without a promote.
enum class Outcome { Promoted, Completed, RolledBack, Aborted, Failed };
struct Finish {
  Outcome outcome = Outcome::Promoted;
  std::string reason;
};

using Action = std::variant<ChangeWeights, ReadMetrics, WakeAt, Record, Finish>;

// --- what it remembers -----------------------------------------------------------------------

enum class Phase {
  Baseline,     ///< not started
  Shifting,     ///< weights are being set
  Baking,       ///< weights are set, analyses run
  Paused,       ///< waiting for an operator; analyses run
  Promoting,    ///< the last shift, to 100%
  RollingBack,  ///< weights go back to stable
  Promoted,
  Completed,
  RolledBack,
  Aborted,
  Failed,  ///< weights could not be set, not even back: somebody must look
};
bool is_over(Phase phase);

/// In [from, until) the canary can have had this share. Spans overlap around every change:
/// a raised weight counts from its request on, a lowered one until it has surely settled.
struct ShareSpan {
  TimePoint from, until;
  double share = 0;
};

/// Values only: a copy is a snapshot. Made anew by folding decide() over a journal's inputs.
struct RolloutState {
  Phase phase = Phase::Baseline;
  std::size_t step = 0;  ///< of the plan, the one being done
  Percent target;        ///< canary share that is or shall be set
  Weights weights;       ///< as last applied
  int attempts = 0;      ///< failures in a row of the present SetWeights
  TimePoint retry_at{};  ///< of the same
  TimePoint started{};
  TimePoint step_since{};           ///< when the present weight took effect
  TimePoint deadline = kNever;      ///< end of the bake, or of the pause's patience
  Duration bake_left{};             ///< of a bake that was paused
  Phase resume_to = Phase::Baking;  ///< where a pause goes on: Baking, Shifting, or Paused for
                                    ///< a plan's own pause (then: the next step)
  bool weights_disputed = false;    ///< somebody else lowered them: resume sets them again
  TimePoint metrics_until{};        ///< end of the last counted datapoint
  bool reading = false;             ///< metrics were asked for
  std::uint64_t step_canary_requests = 0;
  VersionCounts stable_counts, canary_counts;  ///< counted since the start
  std::vector<ShareSpan> shares;               ///< the last one is the present one
  std::vector<Analysis> analyses;              ///< as in the plan
  std::vector<bool> overruled;                 ///< failed, but ignored or resumed over
  bool holding = false;                        ///< bake is over but no canary request was seen
  Outcome goal = Outcome::RolledBack;          ///< of a roll-back
  std::string reason;                          ///< of the roll-back, pause or end
};

/// Actions are carried out in this order; each is safe to repeat.
struct Decision {
  RolloutState state;
  std::vector<Action> actions;
};

inline constexpr int kMaxShiftAttempts = 4;      ///< then the rollout is rolled back
inline constexpr int kMaxRollBackAttempts = 30;  ///< then it has failed: about 14 minutes
inline constexpr Duration kFirstRetry = std::chrono::seconds{1};  ///< doubles each time
inline constexpr Duration kMaxRetry = std::chrono::seconds{30};

/// One step of a rollout. Same arguments, same decision, on every machine. The plan must have
/// passed check().
Decision decide(const Plan& plan, RolloutState state, const Input& input, TimePoint now);

std::string_view to_string(Phase phase);      ///< "rolling-back"
std::string_view to_string(Outcome outcome);  ///< "rolled-back"
std::string_view to_string(Command command);  ///< "set-weights"

}  // namespace coalmine::rollout
