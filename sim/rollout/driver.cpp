#include "sim/rollout/driver.h"

#include <deque>

#include "sim/rollout/analysis/analysis.h"

namespace coalmine::rollout {

Status TrafficAdapter::set_matches(const std::vector<RouteMatch>& any_of) {
  return check_matches(any_of);
}

Status TrafficAdapter::check_matches(const std::vector<RouteMatch>& any_of) const {
  if (any_of.empty()) return {};
  return error("{} cannot tell requests by header, cookie or segment", describe());
}

Status TrafficAdapter::set_mirror(Percent share) {
  return check_mirror(share);
}

Status TrafficAdapter::check_mirror(Percent share) const {
  if (share.value <= 0) return {};
  return error(
      "{} cannot copy requests to the canary: neither App Mesh nor a load balancer mirrors, as "
      "Istio does",
      describe());
}

namespace {

/// A write-ahead loop: an input is journaled before it is acted on, and made durable before
/// weights move, so that whatever was set can be explained afterwards.
class Driver {
 public:
  Driver(const Plan& plan, RolloutState state, RolloutWorld& world)
      : plan_(plan), state_(std::move(state)), world_(world), limits_(latency_limits(plan)) {}

  Result<RolloutEnd> run(Input first) {
    TRY_STATUS(feed(std::move(first)));
    while (!end_) {
      const TimePoint now = world_.clock.now();
      if (world_.operators != nullptr) {
        if (auto spoken = world_.operators->take(now)) {
          TRY_STATUS(feed(*spoken));
          continue;
        }
        if (auto newer = world_.operators->take_newer(now)) {
          TRY_STATUS(feed(*newer));
          continue;
        }
      }
      if (now >= wake_) {
        wake_ = kNever;
        TRY_STATUS(feed(Tick{}));
        continue;
      }
      const TimePoint until =
          world_.operators == nullptr ? wake_ : std::min(wake_, world_.operators->next(now));
      world_.clock.sleep_until(until);
      if (world_.clock.now() < until) break;  // the world is being stopped
    }
    RolloutEnd result;
    if (end_) {
      result.outcome = end_->outcome;
      result.reason = end_->reason;
    } else {
      result.reason = "interrupted";
    }
    result.state = std::move(state_);
    return result;
  }

 private:
  Status feed(Input first) {
    std::deque<Input> inputs;
    inputs.push_back(std::move(first));
    while (!inputs.empty()) {
      const TimePoint now = world_.clock.now();
      TRY_STATUS(note([&] { return input_line(now, inputs.front()); }));
      Decision decision = decide(plan_, std::move(state_), inputs.front(), now);
      inputs.pop_front();
      state_ = std::move(decision.state);
      if (world_.on_decision) world_.on_decision(state_);
      for (const Action& action : decision.actions) {
        TRY_STATUS(carry_out(action, now, inputs));
      }
    }
    return {};
  }

  Status carry_out(const Action& action, TimePoint now, std::deque<Input>& inputs) {
    if (const auto* change = std::get_if<ChangeWeights>(&action)) {
      TRY_STATUS(make_durable());
      auto set = world_.traffic.set_weights(change->shares);
      if (set) {
        inputs.push_back(WeightsApplied{*std::move(set)});
      } else {
        inputs.push_back(WeightsFailed{set.error().message});
      }
    } else if (const auto* routes = std::get_if<ChangeRoutes>(&action)) {
      TRY_STATUS(make_durable());
      const Status set = set_routes(routes->routes);
      if (set) {
        inputs.push_back(RoutesApplied{});
      } else {
        inputs.push_back(RoutesFailed{set.error().message});
      }
    } else if (std::holds_alternative<ReadWeights>(action)) {
      auto seen = world_.traffic.current_weights();
      if (seen) {
        inputs.push_back(WeightsSeen{*std::move(seen)});
      } else {
        inputs.push_back(WeightsUnseen{seen.error().message});
      }
    } else if (const auto* read = std::get_if<ReadMetrics>(&action)) {
      auto found = world_.metrics.read(read->since, limits_, now);
      if (found) {
        inputs.push_back(Metrics{std::move(found->windows), found->next});
      } else {
        inputs.push_back(MetricsFailed{found.error().message, kNever});
      }
    } else if (const auto* call = std::get_if<CallHook>(&action)) {
      TRY_STATUS(make_durable());
      inputs.push_back(world_.hooks->call(call->hook, plan_.hooks[call->hook], call->phase, now));
    } else if (std::holds_alternative<ReadTasks>(action)) {
      inputs.push_back(seen(world_.tasks->read()));
    } else if (const auto* scale = std::get_if<ScaleTasks>(&action)) {
      TRY_STATUS(make_durable());
      inputs.push_back(seen(world_.tasks->scale(scale->version, scale->tasks)));
    } else if (const auto* swap = std::get_if<SwapImage>(&action)) {
      TRY_STATUS(make_durable());
      inputs.push_back(seen(world_.tasks->swap_image(swap->build)));
    } else if (const auto* wake = std::get_if<WakeAt>(&action)) {
      wake_ = wake->at;
    } else if (const auto* record = std::get_if<Record>(&action)) {
      TRY_STATUS(note([&] { return event_line(record->event); }));
      if (world_.on_event) world_.on_event(record->event);
    } else {
      end_ = std::get<Finish>(action);
      TRY_STATUS(make_durable());
    }
    return {};
  }

  static Input seen(const Result<Tasks>& tasks) {
    if (tasks) return TasksSeen{*tasks};
    return TasksFailed{tasks.error().message};
  }

  /// Only what the plan has: a mirror needs no call about matches.
  Status set_routes(const SideRoutes& routes) {
    if (has_step<RouteMatching>(plan_)) TRY_STATUS(world_.traffic.set_matches(routes.matches));
    if (has_step<Mirror>(plan_)) TRY_STATUS(world_.traffic.set_mirror(routes.mirror));
    return {};
  }

  /// A line is only made where somebody keeps it: of thousands of seeds nobody does.
  template <typename MakeLine>
  Status note(MakeLine make_line) {
    return world_.journal == nullptr ? Status{} : world_.journal->append(make_line(), false);
  }

  Status make_durable() {
    return world_.journal == nullptr ? Status{} : world_.journal->append({}, true);
  }

  const Plan& plan_;
  RolloutState state_;
  RolloutWorld& world_;
  std::vector<Duration> limits_;
  TimePoint wake_ = kNever;
  std::optional<Finish> end_;
};

}  // namespace

std::vector<Error> check_weights(const Plan& plan, const TrafficAdapter& traffic) {
  std::vector<Error> errors;
  const auto note = [&errors](const Step& step, const auto& expressed) {
    if (expressed) return;
    Error found = expressed.error();
    if (!found.place && step.place != Place{}) found.place = step.place;
    errors.push_back(std::move(found));
  };
  for (const Step& step : plan.steps) {
    if (const auto* weight = std::get_if<SetWeight>(&step.what)) {
      note(step, traffic.weights_for(weight->canary));
    } else if (const auto* experiment = std::get_if<Experiment>(&step.what)) {
      note(step, traffic.weights_for({experiment->share, experiment->share}));
    } else if (const auto* route = std::get_if<RouteMatching>(&step.what)) {
      note(step, traffic.check_matches(route->any_of));
    } else if (const auto* mirror = std::get_if<Mirror>(&step.what)) {
      note(step, traffic.check_mirror(mirror->share));
    }
  }
  return errors;
}

namespace {

Status can_carry_out(const Plan& plan, const RolloutWorld& world) {
  if (changes_tasks(plan) && world.tasks == nullptr) {
    return error("the plan changes tasks, but nothing here can");
  }
  if (plan.hooks.empty() || world.hooks != nullptr) return {};
  return error(plan.hooks.front().place, "the plan has hooks (\"{}\"), but nothing here calls them",
               plan.hooks.front().name);
}

Result<std::optional<Tasks>> tasks_now(const Plan& plan, RolloutWorld& world) {
  if (!changes_tasks(plan)) return std::optional<Tasks>{};
  TRY(Tasks tasks, world.tasks->read());
  return std::optional<Tasks>{std::move(tasks)};
}

}  // namespace

Result<RolloutEnd> run_rollout(const Plan& plan, RolloutWorld& world) {
  for (const auto& errors :
       {check(plan), check_playable(plan), check_weights(plan, world.traffic)}) {
    if (!errors.empty()) return tl::unexpected(errors.front());
  }
  TRY_STATUS(can_carry_out(plan, world));
  TRY(const Weights actual, world.traffic.current_weights());
  TRY(const auto tasks, tasks_now(plan, world));
  return Driver(plan, RolloutState{}, world).run(Started{actual, tasks});
}

Result<RolloutEnd> run_rollout_anew(const Plan& plan, RolloutState superseded,
                                    RolloutWorld& world) {
  TRY_STATUS(can_carry_out(plan, world));
  TRY(const Weights actual, world.traffic.current_weights());
  TRY(const auto tasks, tasks_now(plan, world));
  return Driver(plan, std::move(superseded), world).run(Started{actual, tasks});
}

Result<RolloutEnd> resume_rollout(const Plan& plan, RolloutState state, RolloutWorld& world) {
  TRY_STATUS(can_carry_out(plan, world));
  TRY(const Weights actual, world.traffic.current_weights());
  TRY(const auto tasks, tasks_now(plan, world));
  return Driver(plan, std::move(state), world).run(Restarted{actual, tasks});
}

}  // namespace coalmine::rollout
