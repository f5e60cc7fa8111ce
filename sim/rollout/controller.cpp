#include "sim/rollout/controller.h"

#include <algorithm>
#include <cmath>

#include "sim/rollout/decider.h"

namespace coalmine::rollout {
// --- events ----------------------------------------------------------------------------------

Decider::Fields Decider::fields_of(const Evaluation& e) {
  Fields fields = {{"metric", e.metric},
                   {"test", e.test},
                   {"verdict", std::string(to_string(e.verdict))},
                   {"value", e.value},
                   {"limit", e.limit},
                   {"n", static_cast<std::int64_t>(e.n)},
                   {"statistic", e.statistic},
                   {"needs", e.needs},
                   {"sentence", e.sentence}};
  if (!e.segment.empty()) fields.emplace_back("segment", e.segment);
  return fields;
}

void Decider::decision(std::string what, const std::string& reason, const Evaluation* rests_on) {
  Fields fields = {{"decision", std::move(what)}, {"reason", reason}};
  if (rests_on != nullptr) {
    Fields more = fields_of(*rests_on);
    fields.insert(fields.end(), more.begin(), more.end());
    // What the decision could know; the rest of the blast radius is the pipeline's and the route's.
    fields.emplace_back("canary_requests", static_cast<std::int64_t>(s_.canary_counts.requests));
    fields.emplace_back("counted_until_s", to_seconds(s_.metrics_until - s_.started));
  }
  record("decision", std::move(fields));
}

void Decider::enter(Phase phase) {
  if (s_.phase == phase) return;
  record("state.changed",
         {{"from", std::string(to_string(s_.phase))}, {"to", std::string(to_string(phase))}});
  s_.phase = phase;
}

std::string Decider::step_note() const {
  if (s_.phase == Phase::Baking && !s_.examining.empty()) return "checks run";
  if (s_.phase == Phase::Baking) {
    // Minutes and seconds suffice here: "bake until 10:03".
    const auto until = std::chrono::floor<std::chrono::seconds>(s_.deadline - s_.told_since);
    std::string text = to_stopwatch(until);
    text.resize(text.size() - std::string_view(".000").size());
    return "bake until " + text;
  }
  if (s_.phase == Phase::Paused) return "paused";
  return {};
}

// --- beginning and going on ------------------------------------------------------------------

void Decider::begin_plan(const Weights& actual, const std::optional<Tasks>& tasks) {
  s_.started = s_.step_since = s_.metrics_until = now_;
  if (s_.told_since == TimePoint{}) s_.told_since = now_;
  s_.weights = actual;
  s_.target = Percent{share_of(actual, plan_.canary) * 100};
  s_.shares = {{now_, kNever, s_.target.share()}};
  if (plan_.deadline) s_.rollout_deadline = now_ + plan_.deadline->after;
  if (tasks) s_.tasks = *tasks;
  s_.canary_tasks_at_start = s_.tasks.canary.desired;
  s_.build_at_start = s_.tasks.stable.build;
  if (plan_.capacity == CanaryCapacity::FollowWeight) s_.sizing = ScaleCanary{};
  record("rollout.started", {{"stable", plan_.stable},
                             {"canary", plan_.canary},
                             {"steps", static_cast<std::int64_t>(plan_.steps.size())},
                             {"weights", actual}});
  begin_watching();
  if (s_.phase != Phase::Baseline) return;  // an alarm was red
  with_hooks(HookStage::PreRollout, {AfterHooks::What::EnterStep, 0, {}, {}, {}});
}

void Decider::on(const Started& started) {
  // What made room for a newer revision begins anew with it.
  if (s_.phase == Phase::Superseded) {
    const TimePoint told_since = s_.told_since;
    s_ = RolloutState{};
    s_.told_since = told_since;
  }
  if (s_.phase != Phase::Baseline) return;
  begin_plan(started.actual, started.tasks);
}

void Decider::on(const Restarted& restarted) {
  if (s_.phase == Phase::Baseline) return begin_plan(restarted.actual, restarted.tasks);
  record("rollout.resumed", {{"state", std::string(to_string(s_.phase))}});
  s_.reading = false;
  s_.looking = RolloutState::Looking::Nothing;
  if (restarted.tasks) s_.tasks = *restarted.tasks;
  if (!std::exchange(s_.shrinking, {}).empty()) s_.shrink_at = now_;
  s_.winding_up = false;
  switch (s_.phase) {
    case Phase::Scaling:
      check_weights(restarted.actual, "the journal says");
      return s_.phase == Phase::Scaling ? begin_work(s_.work) : void();
    case Phase::Routing:
      s_.route_attempts = 0;
      actions_.push_back(ChangeRoutes{s_.routes});
      return;
    case Phase::Promoting:
      if (works()) return begin_work(s_.work);
      // The routes go last: the weights are set then.
      if (!s_.routes_settled && s_.routes.none()) return change_routes({});
      [[fallthrough]];
    case Phase::Shifting:
    case Phase::RollingBack:
      if (s_.phase == Phase::RollingBack && !s_.routes_settled) change_routes({});
      // Whether the last attempt arrived is unknown; the same weights again are safe.
      s_.attempts = 0;
      set_weights();
      return;
    case Phase::Baking:
    case Phase::Paused:
      check_weights(restarted.actual, "the journal says");
      return look_now();
    case Phase::Asking:
      return call_hook();
    case Phase::Promoted:
      return finish(Outcome::Promoted, s_.reason);
    case Phase::Completed:
      return finish(Outcome::Completed, s_.reason);
    case Phase::RolledBack:
      return finish(Outcome::RolledBack, s_.reason);
    case Phase::Aborted:
      return finish(Outcome::Aborted, s_.reason);
    case Phase::Failed:
      return finish(Outcome::Failed, s_.reason);
    case Phase::Superseded:
      return finish(Outcome::Superseded, s_.reason);
    case Phase::Baseline:
      break;
  }
}

/// Somebody may have moved the weights: while no controller ran, or behind its back. Never raise
/// them without being asked: lowered ones pause the rollout, raised ones are put back.
bool Decider::check_weights(const Weights& actual, std::string_view who) {
  const double expected = share_of(s_.weights, plan_.canary);
  const double found = share_of(actual, plan_.canary);
  if (std::abs(found - expected) < kShareTolerance) return true;
  if (s_.experimenting) s_.compared_from = now_ + plan_.settle;
  s_.shares.push_back({s_.metrics_until, kNever, found});
  s_.shares.push_back({s_.metrics_until, kNever, expected});
  if (found > expected) {
    decision("restore",
             fmt::format("the canary has {:.4g}% of the traffic, {} {:.4g}%: weights are set back",
                         found * 100, who, expected * 100));
    set_weights();
    return false;
  }
  s_.weights_disputed = true;
  const std::string reason = fmt::format(
      "the canary has {:.4g}% of the traffic, {} {:.4g}%: somebody lowered it; "
      "resume sets it again, abort rolls back",
      found * 100, who, expected * 100);
  decision("pause", reason);
  if (s_.phase != Phase::Paused) pause(reason, back_from_pause());
  return false;
}

/// An update that the API has accepted can still be lost: somebody who read the route before it
/// writes it back as a whole. So the weights in force are read before the next step, and when a
/// bake is held for want of canary requests.
void Decider::look_at_weights(RolloutState::Looking looking) {
  s_.looking = looking;
  actions_.push_back(ReadWeights{});
}

void Decider::on(const WeightsSeen& seen) {
  const auto looking = std::exchange(s_.looking, RolloutState::Looking::Nothing);
  if (looking == RolloutState::Looking::Nothing || s_.phase != Phase::Baking) return;
  if (check_weights(seen.actual, "this rollout has set")) {
    if (looking == RolloutState::Looking::StepEnd) bake_is_over();
    return;
  }
  // How long the bake ran with other weights nobody knows: it begins anew.
  s_.step_canary_requests = 0;
  s_.step_segments.clear();
  s_.holding = false;
  const auto length = bake_length();
  if (s_.phase == Phase::Paused) {
    s_.bake_left = length.value_or(Duration{});
  } else if (length) {
    start_bake(*length);
  } else {
    look_now();
  }
}

/// Nobody knows better then: the step ends as its metrics say.
void Decider::on(const WeightsUnseen& unseen) {
  const auto looking = std::exchange(s_.looking, RolloutState::Looking::Nothing);
  record("weights.unseen", {{"reason", unseen.reason}});
  if (looking == RolloutState::Looking::StepEnd && s_.phase == Phase::Baking) bake_is_over();
}

void Decider::enter_step(std::size_t step) {
  s_.step = step;
  s_.examining.clear();
  for (std::size_t i = 0; i < plan_.checks.size(); ++i) {
    const CheckSpec& spec = plan_.checks[i];
    if (!s_.checks[i] && step >= spec.from_step) s_.checks[i].emplace(spec, now_);
    if (spec.to_step && step >= *spec.to_step) s_.checks[i]->stop();
  }
  if (step >= plan_.steps.size()) {
    return routed() ? take_routes_away() : wind_up_tasks();
  }
  const StepKind& what = plan_.steps[step].what;
  if (const auto* weight = std::get_if<SetWeight>(&what)) {
    raise(step, weight->canary);
  } else if (const auto* bake = std::get_if<Bake>(&what)) {
    start_bake(bake->length);
  } else if (const auto* wait = std::get_if<Pause>(&what)) {
    s_.deadline = wait->timeout ? now_ + *wait->timeout : kNever;
    s_.resume_to = Phase::Paused;
    s_.reason = wait->gate.empty() ? "the plan waits here"
                                   : fmt::format("the gate {} is closed", wait->gate);
    enter(Phase::Paused);
    ask_gate();
    look_now();
  } else if (const auto* checks = std::get_if<Examine>(&what)) {
    examine(*checks);
  } else if (const auto* scale = std::get_if<ScaleCanary>(&what)) {
    scale_canary(*scale);
  } else if (const auto* marks = std::get_if<RouteMatching>(&what)) {
    if (marks->any_of.empty()) return route();
    with_hooks(HookStage::PreStep, {AfterHooks::What::Route, step, {}, {}, {}});
  } else if (std::holds_alternative<Mirror>(what)) {
    route();  // no user comes to the canary by it
  } else if (std::holds_alternative<Promote>(what)) {
    with_hooks(HookStage::ConfirmPromote,
               {AfterHooks::What::Promote, step, Percent{100}, Outcome::Promoted, {}});
  } else {
    with_hooks(HookStage::PreStep, {AfterHooks::What::Experiment, step, {}, {}, {}});
  }
}

void Decider::raise(std::size_t step, Percent target) {
  if (target.share() <= share_of(s_.weights, plan_.canary) + kShareTolerance) {
    return shift(Phase::Shifting, target);
  }
  with_hooks(HookStage::PreStep, {AfterHooks::What::Shift, step, target, {}, {}});
}

void Decider::shift(Phase phase, Percent target) {
  s_.target = target;
  s_.baseline = s_.experimenting ? target : Percent{};
  s_.attempts = 0;
  s_.holding = false;
  s_.work = {};
  enter(phase);
  // From the request on the canary may have the new share already.
  s_.shares.push_back({now_, kNever, target.share()});
  if (target.value > 0) s_.compared_until = std::min(s_.compared_until, now_);
  set_weights();
}

std::optional<Duration> Decider::bake_length() const {
  if (s_.step >= plan_.steps.size()) return std::nullopt;
  const StepKind& what = plan_.steps[s_.step].what;
  if (const auto* bake = std::get_if<Bake>(&what)) return bake->length;
  const auto* experiment = std::get_if<Experiment>(&what);
  return experiment != nullptr && s_.experimenting ? std::optional(experiment->length)
                                                   : std::nullopt;
}

void Decider::start_bake(Duration length) {
  s_.deadline = now_ + length;
  s_.holding = false;
  enter(Phase::Baking);
  look_now();
}

void Decider::examine(const Examine& step) {
  s_.deadline = kNever;
  s_.holding = false;
  for (const CheckSpec& spec : step.checks) s_.examining.emplace_back(spec, now_);
  enter(Phase::Baking);
  look_now();
}

void Decider::on(const WeightsApplied& applied) {
  s_.weights = applied.weights;
  s_.attempts = 0;
  s_.weights_disputed = false;
  for (ShareSpan& span : s_.shares) span.until = std::min(span.until, now_ + plan_.settle);
  s_.shares.back().until = kNever;
  s_.shares.back().share = share_of(applied.weights, plan_.canary);
  const auto changed = [this](const std::string& note) {
    record("weights.changed", {{"weights", s_.weights}, {"note", note}});
  };
  if (s_.phase == Phase::RollingBack && s_.target.value > 0) {
    changed("on the way back");
    s_.step_down_at = now_ + plan_.rollback.every;
    plan_shrink();
    return wake(s_.step_down_at);
  }
  if (s_.phase == Phase::RollingBack) {
    changed(fmt::format("rolled back; {} {} requests, {} errors{}",
                        plan_.load ? "counted" : "blast radius", s_.canary_counts.requests,
                        s_.canary_counts.errors,
                        plan_.load ? ", those of the rollout's own load among them" : ""));
    s_.weights_back = true;
    return end_roll_back();
  }
  if (s_.phase == Phase::Promoting) {
    changed("promoted");
    // Only now: who is routed to the canary must not fall back to the stable version.
    return routed() ? change_routes({}) : wind_up();
  }
  if (s_.phase != Phase::Shifting) return changed("");
  weights_are_set();
}

void Decider::go_on_after(std::string name, Fields changed) {
  const std::size_t at = actions_.size();
  if (s_.experimenting) {
    compare();
  } else {
    with_hooks(HookStage::PostStep, {AfterHooks::What::EnterStep, s_.step + 1, {}, {}, {}});
  }
  // The note tells what comes next, the record belongs before it.
  changed.emplace_back("note", step_note());
  const Event event{now_, std::move(name), std::move(changed)};
  actions_.insert(actions_.begin() + static_cast<std::ptrdiff_t>(at), Record{event});
}

void Decider::begin_step() {
  s_.step_since = now_;
  s_.step_canary_requests = 0;
  s_.step_segments.clear();
  for (Analysis& analysis : s_.analyses) analysis.next_step();
  for (auto& check : s_.checks) {
    if (check) check->next_step();
  }
}

void Decider::weights_are_set() {
  begin_step();
  plan_shrink();
  if (s_.resume_to == Phase::Shifting) {  // an operator's set-weights
    s_.resume_to = Phase::Baking;
    record("weights.changed", {{"weights", s_.weights}, {"note", "set by an operator"}});
    enter(Phase::Paused);
    return look_now();
  }
  // A step of routes that weights by hand have overtaken is still to be done.
  if (!s_.routes_settled) return enter_step(s_.step);
  go_on_after("weights.changed", {{"weights", s_.weights}});
}

void Decider::on(const WeightsFailed& failed) {
  ++s_.attempts;
  record("weights.failed",
         {{"reason", failed.reason}, {"attempt", static_cast<std::int64_t>(s_.attempts)}});
  const bool back = s_.phase == Phase::RollingBack;
  if (s_.attempts >= (back ? kMaxRollBackAttempts : kMaxShiftAttempts)) {
    if (back) {
      return finish(Outcome::Failed,
                    fmt::format("{}; but the weights could not be set back: {}. Set them by hand",
                                s_.reason, failed.reason));
    }
    if (observes()) return watch(kNever);
    return roll_back(Outcome::RolledBack,
                     fmt::format("the weights could not be set: {}", failed.reason));
  }
  s_.retry_at = now_ + backoff(s_.attempts);
  wake(s_.retry_at);
}

Duration Decider::backoff(int attempts) {
  Duration wait = kFirstRetry;
  for (int i = 1; i < attempts && wait < kMaxRetry; ++i) wait *= 2;
  return std::min(wait, kMaxRetry);
}

void Decider::on(const Tick&) {
  if (deadline_passed()) return;
  const bool ends = s_.winding_up;
  shrink_if_due();
  if (ends) return s_.winding_up && s_.shrinking.empty() ? wake(s_.shrink_at) : void();
  retry_routes();
  switch (s_.phase) {
    case Phase::Scaling:
      s_.reading = true;
      actions_.push_back(ReadMetrics{s_.metrics_until});
      if (now_ >= s_.work.look_at) look_at_tasks();
      return;
    case Phase::RollingBack:
      if (works()) return work_tick();
      if (s_.attempts == 0 && now_ >= s_.step_down_at) return step_down();
      if (s_.attempts == 0) return s_.step_down_at == kNever ? void() : wake(s_.step_down_at);
      [[fallthrough]];
    case Phase::Shifting:
    case Phase::Promoting:
      if (works()) return work_tick();
      if (s_.attempts > 0 && now_ >= s_.retry_at) {
        set_weights();
      } else if (s_.attempts > 0) {
        wake(s_.retry_at);
      }
      return;
    case Phase::Asking:
      if (now_ >= s_.retry_at) return call_hook();
      return wake(s_.retry_at);
    case Phase::Paused:
      if (now_ >= s_.deadline) {
        const auto* wait =
            s_.step < plan_.steps.size() ? std::get_if<Pause>(&plan_.steps[s_.step].what) : nullptr;
        if (wait != nullptr && wait->on_timeout == OnTimeout::Continue &&
            s_.resume_to == Phase::Paused) {
          decision("next-step", "nobody spoke in time: the plan goes on");
          return enter_step(s_.step + 1);
        }
        return roll_back(Outcome::RolledBack, "nobody resumed the rollout in time");
      }
      ask_gate();
      [[fallthrough]];
    case Phase::Baking:
      if (s_.attempts > 0 && now_ >= s_.retry_at) set_weights();
      s_.reading = true;
      actions_.push_back(ReadMetrics{s_.metrics_until});
      return;
    default:
      return;
  }
}

Decision decide(const Plan& plan, RolloutState state, const Input& input, TimePoint now) {
  Decider decider(plan, std::move(state), now);
  std::visit([&decider](const auto& what) { decider.on(what); }, input);
  return std::move(decider).take();
}

}  // namespace coalmine::rollout
