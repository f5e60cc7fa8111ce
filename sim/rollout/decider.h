// One decision of the controller in the making. Only for sim/rollout's own .cpp files:
//   controller.cpp        beginning, steps, weights          controller_watch.cpp  metrics, tests
//   controller_hooks.cpp  hooks, gates                       controller_end.cpp    ends, operators
//   controller_tasks.cpp  tasks before and after weights
//   controller_routes.cpp routes by header, cookie, segment
//   controller_experiment.cpp  canary and baseline side by side
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "sim/rollout/controller.h"

namespace coalmine::rollout {

inline constexpr double kShareTolerance = 1e-9;

class Decider {
 public:
  Decider(const Plan& plan, RolloutState state, TimePoint now)
      : plan_(plan), s_(std::move(state)), now_(now) {}

  Decision take() && { return {std::move(s_), std::move(actions_)}; }

  void on(const Started& started);
  void on(const Restarted& restarted);
  void on(const WeightsApplied& applied);
  void on(const WeightsFailed& failed);
  void on(const WeightsSeen& seen);
  void on(const WeightsUnseen& unseen);
  void on(const Metrics& metrics);
  void on(const MetricsFailed& failed);
  void on(const Tick&);
  void on(const Operator& spoken);
  void on(const NewerRevision& newer);
  void on(const HookAnswered& answered);
  void on(const TasksSeen& seen);
  void on(const TasksFailed& failed);
  void on(const RoutesApplied&);
  void on(const RoutesFailed& failed);

 private:
  using Fields = std::vector<std::pair<std::string, Value>>;

  void record(std::string name, Fields fields) {
    actions_.push_back(Record{Event{now_, std::move(name), std::move(fields)}});
  }
  void record(const Evaluation& e) { record("analysis.evaluated", fields_of(e)); }
  void decision(std::string what, const std::string& reason, const Evaluation* rests_on = nullptr);
  static Fields fields_of(const Evaluation& e);
  std::string step_note() const;

  // Beginning and going on.
  void enter(Phase phase);
  void begin_plan(const Weights& actual, const std::optional<Tasks>& tasks);
  static Duration backoff(int attempts);
  void begin_watching();
  void enter_step(std::size_t step);
  void raise(std::size_t step, Percent target);  ///< with its hooks
  void shift(Phase phase, Percent target);
  void set_weights() { actions_.push_back(ChangeWeights{{s_.target, s_.baseline}}); }
  void start_bake(Duration length);
  /// Of the present step; nullopt: it has none.
  std::optional<Duration> bake_length() const;
  void examine(const Examine& step);
  /// Whether the weights in force are those that `who` tells; else does what is safe.
  bool check_weights(const Weights& actual, std::string_view who);
  void look_at_weights(RolloutState::Looking looking);
  void weights_looked_at();
  void weights_are_set();
  /// Tests and checks that look at a step begin anew.
  void begin_step();
  /// What was set acts from now on; `changed` is noted with what comes next.
  void go_on_after(std::string name, Fields changed);

  // Routes by header, cookie or segment (controller_routes.cpp).
  void route();
  void change_routes(SideRoutes routes);
  void take_routes_away();
  void retry_routes();
  /// Whether a change of routes has failed and is to be tried again.
  bool routes_wait() const {
    return !s_.routes_settled && s_.route_attempts > 0 && s_.phase != Phase::Paused;
  }
  bool routed() const { return !s_.routes.none() || !s_.routes_settled; }
  bool was_routed(TimePoint from, TimePoint to) const {
    return s_.routed_from < to && s_.routed_until > from;
  }

  // Experiments (controller_experiment.cpp).
  void begin_experiment();
  void compare();
  void end_experiment();
  MetricsWindow for_comparison(const MetricsWindow& window, double& share, bool& settled);

  // Watching.
  void count(const MetricsWindow& window);
  double share_during(TimePoint from, TimePoint to) const;
  /// Where a pause of the present phase goes on.
  Phase back_from_pause() const {
    return s_.phase == Phase::Scaling ? Phase::Scaling : Phase::Baking;
  }
  bool observes() const {
    return s_.phase == Phase::Baking || s_.phase == Phase::Paused || s_.phase == Phase::Scaling;
  }
  /// Acts on what failed; false if the rollout now rolls back.
  bool all_pass();
  bool analyses_pass();
  bool evidence_passes();
  bool checks_pass();
  bool alarms_pass();
  /// What a failure shall do; false if the rollout now rolls back.
  bool act(OnFail on_fail, const Evaluation& found, const char* ignored = "ignore");
  OnFail really(OnFail on_fail) const;
  std::optional<std::string> silent_part() const;
  void end_bake_if_due(TimePoint next_metrics);
  bool step_is_held();
  void bake_is_over();
  void watch(TimePoint next_metrics);
  /// Reads the metrics at once, and so learns when they come next.
  void look_now() { wake(now_); }
  void wake(TimePoint at);
  bool deadline_passed();

  // Hooks.
  void with_hooks(HookStage stage, AfterHooks after);
  void call_hook();
  void hooks_done();
  void ask_gate();
  void tell_hooks(HookStage stage);

  // Tasks.
  void give(Phase then, Percent target);  ///< this weight, as soon as the tasks for it are there
  void promote();
  void scale_canary(const ScaleCanary& step);
  void begin_work(TaskWork work);  ///< also to go on with it after a pause or a restart
  bool works() const;              ///< and waits for an answer, or for its next look
  void look_at_tasks();
  void see_tasks();
  int wanted_tasks() const;
  const TaskCount& tasks_of(const std::string& version) const;
  const std::string& worked_version() const;
  bool is_as_asked() const;
  void ask_for_work();
  void ask_for_tasks(const ScaleTasks& wanted, const std::string& reason);
  std::string purpose() const;
  void work_is_done();
  void work_fails(const std::string& reason);
  void work_tick();
  std::optional<ScaleTasks> surplus() const;
  void plan_shrink();
  void shrink_if_due();
  void shrink_is_over();
  void wind_up();
  void wind_up_tasks();

  // Ends and operators.
  void pause(const std::string& reason, Phase resume_to);
  void resume();
  void roll_back(Outcome goal, const std::string& reason);
  void end();
  void step_down();
  void end_roll_back();
  void finish(Outcome outcome, const std::string& reason);
  bool is_running() const { return !is_over(s_.phase) && s_.phase != Phase::RollingBack; }

  const Plan& plan_;
  const std::string baseline_ = baseline_of(plan_);
  RolloutState s_;
  TimePoint now_;
  std::vector<Action> actions_;
};

}  // namespace coalmine::rollout
