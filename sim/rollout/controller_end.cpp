#include <algorithm>

#include "sim/rollout/decider.h"

namespace coalmine::rollout {
namespace {

Phase phase_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::Promoted:
      return Phase::Promoted;
    case Outcome::Completed:
      return Phase::Completed;
    case Outcome::RolledBack:
      return Phase::RolledBack;
    case Outcome::Aborted:
      return Phase::Aborted;
    case Outcome::Failed:
      return Phase::Failed;
    case Outcome::Superseded:
      return Phase::Superseded;
  }
  return Phase::Failed;
}

}  // namespace

// --- ends ------------------------------------------------------------------------------------

void Decider::roll_back(Outcome goal, const std::string& reason) {
  s_.goal = goal;
  s_.reason = reason;
  s_.deadline = kNever;
  s_.hooks_left.clear();
  s_.asking_gate = false;
  s_.weights_back = false;
  s_.experimenting = false;
  s_.winding_up = false;
  // First, so that nobody is left at the canary; should it fail, the weights do not wait for it.
  if (routed()) change_routes({});
  if (plan_.rollback.kind == RollbackKind::Stepwise) {
    step_down();
  } else {
    shift(Phase::RollingBack, Percent{0});
  }
  // Users first: whoever is told may take his time to answer.
  tell_hooks(HookStage::OnRollback);
}

void Decider::step_down() {
  const double now_percent = share_of(s_.weights, plan_.canary) * 100;
  s_.step_down_at = kNever;
  shift(Phase::RollingBack, Percent{std::max(0.0, now_percent - plan_.rollback.step.value)});
}

void Decider::end_roll_back() {
  if (!s_.weights_back) return;
  if (!routed()) return wind_up();
  if (s_.route_attempts > 0) wake(s_.route_retry_at);
}

/// Weights and tasks are as they shall be.
void Decider::end() {
  s_.winding_up = false;
  if (s_.phase == Phase::RollingBack) return finish(s_.goal, s_.reason);
  if (s_.phase != Phase::Promoting) {
    return with_hooks(
        HookStage::PostRollout,
        {AfterHooks::What::Finish, s_.step, {}, Outcome::Completed, "the plan is over"});
  }
  const Promote* promotion = promotion_of(plan_);
  const bool swapped = promotion != nullptr && promotion->kind == PromoteKind::ImageSwap;
  const std::string reason =
      swapped ? fmt::format("{} runs {} and takes all traffic", plan_.stable, plan_.canary)
              : fmt::format("{} takes all traffic", plan_.canary);
  with_hooks(HookStage::PostRollout,
             {AfterHooks::What::Finish, s_.step, {}, Outcome::Promoted, reason});
}

void Decider::finish(Outcome outcome, const std::string& reason) {
  s_.reason = reason;
  enter(phase_of(outcome));
  record("rollout.finished",
         {{"outcome", std::string(to_string(outcome))},
          {"reason", reason},
          {"canary_requests", static_cast<std::int64_t>(s_.canary_counts.requests)},
          {"canary_errors", static_cast<std::int64_t>(s_.canary_counts.errors)}});
  actions_.push_back(Finish{outcome, reason});
}

bool Decider::deadline_passed() {
  if (!plan_.deadline || now_ < s_.rollout_deadline || !is_running()) return false;
  s_.rollout_deadline = kNever;
  const std::string reason =
      fmt::format("the rollout is not over after {}", coalmine::to_string(plan_.deadline->after));
  switch (plan_.deadline->then) {
    case OnFail::Rollback:
      decision("roll-back", reason);
      roll_back(Outcome::RolledBack, reason);
      return true;
    case OnFail::Pause:
      decision("pause", reason);
      // A change of weights that is under way comes to its end first.
      if (observes() && s_.phase != Phase::Paused) {
        pause(reason, back_from_pause());
        return true;
      }
      return false;
    case OnFail::Ignore:
      decision("ignore", reason);
      return false;
  }
  return false;
}

// --- operators -------------------------------------------------------------------------------

void Decider::pause(const std::string& reason, Phase resume_to) {
  s_.bake_left = s_.phase == Phase::Baking && s_.deadline > now_ && s_.deadline != kNever
                     ? s_.deadline - now_
                     : Duration{};
  s_.deadline = kNever;
  s_.attempts = 0;
  s_.winding_up = false;
  s_.resume_to = resume_to;
  s_.reason = reason;
  enter(Phase::Paused);
  look_now();
}

void Decider::resume() {
  if (s_.resume_to == Phase::Shifting) return shift(Phase::Shifting, s_.target);
  if (s_.weights_disputed) set_weights();
  if (s_.resume_to == Phase::Scaling) return begin_work(s_.work);
  if (!s_.routes_settled) return enter_step(s_.step);
  if (s_.resume_to == Phase::Asking) {
    if (s_.hooks_left.empty()) return hooks_done();
    enter(Phase::Asking);
    return call_hook();
  }
  if (s_.resume_to == Phase::Paused) return enter_step(s_.step + 1);
  if (s_.step < plan_.steps.size() && std::holds_alternative<Examine>(plan_.steps[s_.step].what)) {
    enter(Phase::Baking);
    return look_now();
  }
  // The step may be a weight whose successor is not a bake: then go on with the plan.
  if (!bake_length()) return enter_step(s_.step + 1);
  start_bake(s_.bake_left);
}

void Decider::on(const Operator& spoken) {
  const bool running = is_running();
  bool accepted = running;
  if (spoken.command == Command::Pause) accepted = running && s_.phase != Phase::Paused;
  if (spoken.command == Command::Resume) accepted = s_.phase == Phase::Paused;
  if (s_.phase == Phase::Baseline) accepted = false;
  if (s_.phase == Phase::Promoting && spoken.command != Command::Abort) accepted = false;
  record("operator", {{"command", std::string(to_string(spoken.command))},
                      {"reason", spoken.reason},
                      {"accepted", accepted}});
  if (!accepted) return;
  s_.asking_gate = false;
  switch (spoken.command) {
    case Command::Pause: {
      // A change of routes is found by its not being settled.
      const Phase back =
          s_.phase == Phase::Shifting || s_.phase == Phase::Asking ? s_.phase : back_from_pause();
      return pause(spoken.reason.empty() ? "paused by an operator" : spoken.reason, back);
    }
    case Command::Resume:
      return resume();
    case Command::Promote:
      decision("promote", "an operator skips the remaining steps");
      s_.hooks_left.clear();
      s_.experimenting = false;
      s_.step = plan_.steps.size();
      return promote();
    case Command::Abort:
      return roll_back(Outcome::Aborted,
                       spoken.reason.empty() ? "aborted by an operator" : spoken.reason);
    case Command::SetWeights:
      if (s_.phase == Phase::Baking) {
        s_.bake_left = s_.deadline > now_ ? s_.deadline - now_ : Duration{};
      }
      s_.deadline = kNever;
      s_.reason = fmt::format("held at {} by an operator", coalmine::to_string(spoken.canary));
      s_.resume_to = Phase::Shifting;
      s_.experimenting = false;
      return give(Phase::Shifting, spoken.canary);
  }
}

void Decider::on(const NewerRevision& newer) {
  const bool running = is_running() && s_.phase != Phase::Baseline;
  record("revision.newer", {{"version", newer.version}, {"running", running}});
  if (!running) return;
  s_.newer = newer.version;
  switch (plan_.on_newer) {
    case OnNewer::Refuse:
      return decision("wait", fmt::format("{} waits until this rollout is over", newer.version));
    case OnNewer::Restart: {
      const std::string reason =
          fmt::format("{} takes the place of {}", newer.version, plan_.canary);
      decision("roll-back", reason);
      return roll_back(Outcome::Superseded, reason);
    }
    case OnNewer::Swap: {
      decision("swap", fmt::format("{} goes on in the place of {}, at the weight that is set",
                                   newer.version, plan_.canary));
      // Nothing that was seen of the old build speaks for the new one.
      const double part = split_alpha(plan_.analyses);
      for (std::size_t i = 0; i < s_.analyses.size(); ++i) {
        s_.analyses[i] = Analysis(plan_.analyses[i], part);
      }
      for (auto& check : s_.checks) {
        if (check) check.emplace(check->spec(), now_);
      }
      s_.recent.clear();
      s_.step_canary_requests = 0;
      s_.step_segments.clear();
      return;
    }
  }
}

}  // namespace coalmine::rollout
