#pragma once

#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "sim/rollout/alarm_run.h"
#include "sim/rollout/analysis/analysis.h"
#include "sim/rollout/check_run.h"
#include "sim/rollout/event.h"
#include "sim/rollout/metrics.h"
#include "sim/rollout/plan.h"
#include "sim/rollout/tasks.h"
#include "sim/rollout/weights.h"

namespace coalmine::rollout {

// --- what the controller is told -------------------------------------------------------------

/// The rollout begins; `actual` are the weights found at that moment, `tasks` the tasks, if the
/// plan changes them.
struct Started {
  Weights actual;
  std::optional<Tasks> tasks = {};
};
/// A new driver goes on from the journal; the rest as for Started.
struct Restarted {
  Weights actual;
  std::optional<Tasks> tasks = {};
};
/// A SetWeights was carried out; these weights are set now, rounded as the API needs them.
struct WeightsApplied {
  Weights weights;
};
struct WeightsFailed {
  std::string reason;
};
/// A ChangeRoutes was carried out.
struct RoutesApplied {};
struct RoutesFailed {
  std::string reason;
};
/// The weights that are set now, whoever has set them.
struct WeightsSeen {
  Weights actual;
};
struct WeightsUnseen {
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

/// A build newer than the canary has arrived.
struct NewerRevision {
  std::string version;
};
enum class HookVerdict {
  Passed,
  Failed,
  Wait,  ///< a gate that is still closed; a hook that wants to be asked again
};
struct HookAnswered {
  std::size_t hook = 0;  ///< of the plan
  HookVerdict verdict = HookVerdict::Passed;
  std::string text;
};

/// The tasks as they are now; after a change was asked for, too.
struct TasksSeen {
  Tasks tasks;
};
/// They could not be read or changed.
struct TasksFailed {
  std::string reason;
};

using Input = std::variant<Started, Restarted, WeightsApplied, WeightsFailed, WeightsSeen,
                           WeightsUnseen, Metrics, MetricsFailed, Tick, Operator, NewerRevision,
                           HookAnswered, TasksSeen, TasksFailed, RoutesApplied, RoutesFailed>;

// --- what it wants done ----------------------------------------------------------------------

/// Split the traffic so; answer with WeightsApplied or WeightsFailed. Safe to repeat.
struct ChangeWeights {
  Shares shares;
};
/// Send requests that match to the canary and copies of others, none: no longer; answer with
/// RoutesApplied or RoutesFailed. Safe to repeat.
struct ChangeRoutes {
  SideRoutes routes;
};
/// Answer with WeightsSeen or WeightsUnseen.
struct ReadWeights {};
/// Answer with Metrics (possibly none) or MetricsFailed.
struct ReadMetrics {
  TimePoint since;  ///< datapoints that begin earlier have been counted or do not matter
};
/// Answer with Tick at `at`; replaces an earlier one.
struct WakeAt {
  TimePoint at;
};
/// Answer with HookAnswered. Safe to repeat: a hook may be called again after a restart.
struct CallHook {
  std::size_t hook = 0;  ///< of the plan
  std::string phase;     ///< "pre-step"
};
/// These three: answer with TasksSeen or TasksFailed. Safe to repeat.
struct ReadTasks {};
struct ScaleTasks {
  std::string version;
  int tasks = 0;
};
/// See TaskAdapter::swap_image.
struct SwapImage {
  std::string build;
};
struct Record {
  Event event;
};

/// Promoted and Completed are good ends; the latter is a plan without a promote. Superseded: rolled
/// back to make room for a newer revision.
enum class Outcome { Promoted, Completed, RolledBack, Aborted, Failed, Superseded };
struct Finish {
  Outcome outcome = Outcome::Promoted;
  std::string reason;
};

using Action = std::variant<ChangeWeights, ReadWeights, ReadMetrics, WakeAt, CallHook, ReadTasks,
                            ScaleTasks, SwapImage, Record, Finish, ChangeRoutes>;

// --- what it remembers -----------------------------------------------------------------------

enum class Phase {
  Baseline,     ///< not started
  Scaling,      ///< tasks are waited for before a weight rises; analyses run
  Shifting,     ///< weights are being set
  Routing,      ///< routes by header, cookie or segment, or a mirror, are set or taken away
  Baking,       ///< weights are set, analyses run
  Paused,       ///< waiting for an operator or a gate; analyses run
  Asking,       ///< hooks are being called
  Promoting,    ///< stable's tasks get the canary's image, if they shall; then the last shift
  RollingBack,  ///< weights go back to stable, then its image, if it has another one
  Promoted,
  Completed,
  RolledBack,
  Aborted,
  Failed,  ///< weights could not be set, not even back: somebody must look
  Superseded,
};
bool is_over(Phase phase);

/// In [from, until) the canary can have had this share. Spans overlap around every change:
/// a raised weight counts from its request on, a lowered one until it has surely settled.
struct ShareSpan {
  TimePoint from, until;
  double share = 0;
};

/// Where to go on once all hooks of a stage have passed.
struct AfterHooks {
  enum class What { EnterStep, Shift, Promote, Finish, Route, Experiment };
  What what = What::EnterStep;
  std::size_t step = 0;
  Percent target;
  Outcome outcome = Outcome::Completed;
  std::string reason;
};

/// What is being done to tasks. TasksSeen says how far it is; it is done again until that says
/// what is wanted, so a controller that was killed in it only has to look.
struct TaskWork {
  enum class What {
    Nothing,
    Grow,     ///< for a weight that is to be set then
    Compare,  ///< of the baseline, as many as the canary has; for the weights that are set then
    Step,     ///< a ScaleCanary
    Swap,     ///< stable gets the canary's image
    Restore,  ///< stable gets its own back
  };
  What what = What::Nothing;
  Phase then = Phase::Shifting;  ///< Grow: with this phase
  Percent target;                ///< Grow: this weight
  bool asked = false;            ///< since the last look: the platform may need its time
  bool changed = false;          ///< something was asked for
  TimePoint since{};             ///< patience counts from here
  TimePoint look_at{};
  int attempts = 0;  ///< failures in a row
};

/// Values only: a copy is a snapshot. Made anew by folding decide() over a journal's inputs.
struct RolloutState {
  Phase phase = Phase::Baseline;
  std::size_t step = 0;  ///< of the plan, the one being done
  Percent target;        ///< canary share that is or shall be set
  Percent baseline;      ///< the same of an experiment's baseline
  /// The present step is an experiment, and is to go on.
  bool experimenting = false;
  Percent before_experiment;  ///< the canary's share
  /// Only canary and baseline are compared from `compared_from` until `compared_until`, when the
  /// weights surely act; `comparing`: one such datapoint was counted.
  TimePoint compared_from = kNever, compared_until = kNever;
  bool comparing = false;
  Weights weights;       ///< as last applied
  int attempts = 0;      ///< failures in a row of the present SetWeights
  TimePoint retry_at{};  ///< of the same
  /// Of the routes by header, cookie or segment and the mirror: as last asked for, and whether they
  /// are so.
  SideRoutes routes;
  bool routes_settled = true;
  int route_attempts = 0;  ///< failures in a row of the present ChangeRoutes
  TimePoint route_retry_at{};
  /// Requests may have come to the canary by such routes from `routed_from` until `routed_until`.
  TimePoint routed_from = kNever, routed_until{};
  bool weights_back = false;  ///< of a roll-back whose routes are still to be taken away
  TimePoint started{};
  TimePoint told_since{};  ///< the same, but of the first of several that made room for newer ones
  TimePoint step_since{};  ///< when the present weight took effect
  TimePoint deadline = kNever;      ///< end of the bake, or of the pause's patience
  Duration bake_left{};             ///< of a bake that was paused
  Phase resume_to = Phase::Baking;  ///< where a pause goes on: Baking, Shifting, Scaling, or
                                    ///< Paused for a plan's own pause (then: the next step)
  bool weights_disputed = false;    ///< somebody else lowered them: resume sets them again
  /// What waits for a look at the weights in force: an update can be lost although it succeeded.
  enum class Looking { Nothing, Hold, StepEnd };
  Looking looking = Looking::Nothing;
  TimePoint metrics_until{};  ///< end of the last counted datapoint
  bool reading = false;       ///< metrics were asked for
  std::uint64_t step_canary_requests = 0;
  std::set<std::string> step_segments;          ///< where the canary had any of them
  VersionCounts stable_counts, canary_counts;   ///< counted since the start
  std::vector<ShareSpan> shares;                ///< the last one is the present one
  std::vector<Analysis> analyses;               ///< as in the plan
  std::vector<bool> overruled;                  ///< failed, but ignored or resumed over
  bool holding = false;                         ///< bake is over but no canary request was seen
  std::vector<MetricsWindow> recent;            ///< as far back as the checks look
  std::vector<std::optional<CheckRun>> checks;  ///< as in the plan; none: not begun
  std::vector<CheckRun> examining;              ///< of the present Examine step
  std::vector<bool> overruled_checks;           ///< as `overruled`
  std::vector<AlarmRun> alarms;                 ///< those the plan watches
  bool alarms_ignored = false;
  TimePoint rollout_deadline = kNever;
  TimePoint step_down_at = kNever;      ///< of a stepwise roll-back
  std::vector<std::size_t> hooks_left;  ///< of the present stage; the first is being called
  int hook_attempts = 0;
  HookStage hook_stage = HookStage::PreRollout;
  AfterHooks after_hooks;
  bool asking_gate = false;
  Tasks tasks;                    ///< as last seen
  int canary_tasks_at_start = 0;  ///< and what stable ran then:
  std::string build_at_start;
  std::optional<ScaleCanary> sizing;  ///< of the canary; none: its tasks are nobody's business
  TaskWork work;
  bool swap_asked = false;       ///< stable may have the canary's image
  bool winding_up = false;       ///< weights are where they shall be; only idle tasks are left
  TimePoint shrink_at = kNever;  ///< tasks that are too many go then
  std::string shrinking;         ///< the version whose tasks were told to; empty: none
  int shrink_attempts = 0;
  std::string newer;                   ///< a revision that waits or takes over
  Outcome goal = Outcome::RolledBack;  ///< of a roll-back
  std::string reason;                  ///< of the roll-back, pause or end
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

/// Latency limits whose counts any part of the plan needs, rising, each once.
std::vector<Duration> latency_limits(const Plan& plan);

/// One step of a rollout. Same arguments, same decision, on every machine. The plan must have
/// passed check().
Decision decide(const Plan& plan, RolloutState state, const Input& input, TimePoint now);

std::string_view to_string(Phase phase);      ///< "rolling-back"
std::string_view to_string(Outcome outcome);  ///< "rolled-back"
std::string_view to_string(Command command);  ///< "set-weights"
std::string_view to_string(HookVerdict verdict);

}  // namespace coalmine::rollout
