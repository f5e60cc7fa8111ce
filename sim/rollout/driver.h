#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "sim/core/clock.h"
#include "sim/rollout/controller.h"
#include "sim/rollout/journal.h"
#include "sim/rollout/tasks.h"
#include "sim/rollout/weights.h"

namespace coalmine::rollout {

/// What splits the traffic: an App Mesh route, an ALB listener, the virtual world's table.
class TrafficAdapter {
 public:
  virtual ~TrafficAdapter() = default;
  /// Which weights the shares become, without setting them. Error: they cannot be expressed.
  virtual Result<Weights> weights_for(const Shares& shares) const = 0;
  virtual Result<Weights> current_weights() = 0;
  /// Sets and returns them. Safe to repeat.
  virtual Result<Weights> set_weights(const Shares& shares) = 0;
  /// From now on requests that match go to the canary whatever the weights say; none: no requests
  /// do. Takes the place of what was set before. Safe to repeat.
  virtual Status set_matches(const std::vector<RouteMatch>& any_of);
  /// Error: such matches cannot be expressed. Sets nothing.
  virtual Status check_matches(const std::vector<RouteMatch>& any_of) const;
  /// From now on this share of stable's requests is copied to the canary, whose answers are thrown
  /// away; 0: none. Safe to repeat.
  virtual Status set_mirror(Percent share);
  /// Error: it cannot be done here. Sets nothing.
  virtual Status check_mirror(Percent share) const;
  /// "App Mesh route coalmine/app-router/app-route"
  virtual std::string describe() const = 0;
};

struct MetricsReading {
  std::vector<MetricsWindow> windows;  ///< in time order, each datapoint once
  TimePoint next = kNever;             ///< when the next datapoint is due; kNever: no idea
};

class MetricsSource {
 public:
  virtual ~MetricsSource() = default;
  /// Datapoints that begin at `since` or later and can be read at `now`. `limits`: the latencies
  /// above which requests are counted in VersionCounts::slow.
  virtual Result<MetricsReading> read(TimePoint since, const std::vector<Duration>& limits,
                                      TimePoint now) = 0;
};

/// What operators say, beside the clock.
class OperatorSource {
 public:
  virtual ~OperatorSource() = default;
  /// The next command that is due at `now`, if any.
  virtual std::optional<Operator> take(TimePoint now) = 0;
  /// Look again then at the latest; kNever if nothing will come.
  virtual TimePoint next(TimePoint now) const = 0;
  /// A newer revision that has arrived by `now`, once.
  virtual std::optional<NewerRevision> take_newer(TimePoint now) {
    static_cast<void>(now);
    return std::nullopt;
  }
};

/// Who calls hooks. A call may take as long as the hook's timeout.
class HookCaller {
 public:
  virtual ~HookCaller() = default;
  virtual HookAnswered call(std::size_t index, const Hook& hook, const std::string& phase,
                            TimePoint now) = 0;
};

/// Where records go. The line is durable when append returns and `durable` was asked for.
class JournalSink {
 public:
  virtual ~JournalSink() = default;
  virtual Status append(const std::string& line, bool durable) = 0;
};

struct RolloutWorld {
  TrafficAdapter& traffic;
  MetricsSource& metrics;
  Clock& clock;
  OperatorSource* operators = nullptr;                   ///< none: nobody speaks
  JournalSink* journal = nullptr;                        ///< none: nothing is kept
  std::function<void(const Event&)> on_event;            ///< may be empty
  std::function<void(const RolloutState&)> on_decision;  ///< after each, may be empty
  HookCaller* hooks = nullptr;                           ///< none: a plan with hooks is refused
  TaskAdapter* tasks = nullptr;  ///< none: a plan that changes tasks is refused
};

struct RolloutEnd {
  /// Absent: the clock stopped first (interrupted); the journal can be resumed.
  std::optional<Outcome> outcome;
  std::string reason;
  RolloutState state;
};

/// Carries a rollout out until it ends or the clock stops (sleep_until returns early). The same
/// loop in virtual time, live and on AWS. Errors: the plan does not pass check() or asks for a
/// weight the adapter cannot set (Invalid); the present weights or tasks cannot be read or the
/// journal not be written (Environment). Nothing has been changed then.
Result<RolloutEnd> run_rollout(const Plan& plan, RolloutWorld& world);

/// Begins the plan anew after a rollout that ended as superseded, in the same journal.
Result<RolloutEnd> run_rollout_anew(const Plan& plan, RolloutState superseded, RolloutWorld& world);

/// Goes on from a journal's state; the sink must append to that journal.
Result<RolloutEnd> resume_rollout(const Plan& plan, RolloutState state, RolloutWorld& world);

/// All weights and routes that the plan will set, checked against the adapter: its errors with
/// their places.
std::vector<Error> check_weights(const Plan& plan, const TrafficAdapter& traffic);

}  // namespace coalmine::rollout
