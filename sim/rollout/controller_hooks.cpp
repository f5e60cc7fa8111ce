#include <algorithm>

#include "sim/rollout/decider.h"

namespace coalmine::rollout {

void Decider::with_hooks(HookStage stage, AfterHooks after) {
  s_.after_hooks = std::move(after);
  s_.hook_stage = stage;
  s_.hook_attempts = 0;
  s_.hooks_left.clear();
  for (std::size_t i = 0; i < plan_.hooks.size(); ++i) {
    if (plan_.hooks[i].at == stage) s_.hooks_left.push_back(i);
  }
  if (s_.hooks_left.empty()) return hooks_done();
  enter(Phase::Asking);
  call_hook();
}

void Decider::call_hook() {
  actions_.push_back(CallHook{s_.hooks_left.front(), std::string(to_string(s_.hook_stage))});
}

void Decider::hooks_done() {
  const AfterHooks after = s_.after_hooks;
  switch (after.what) {
    case AfterHooks::What::EnterStep:
      return enter_step(after.step);
    case AfterHooks::What::Shift:
      return give(Phase::Shifting, after.target);
    case AfterHooks::What::Route:
      return route();
    case AfterHooks::What::Experiment:
      return begin_experiment();
    case AfterHooks::What::Promote:
      return promote();
    case AfterHooks::What::Finish:
      return finish(after.outcome, after.reason);
  }
}

/// Hooks that are only told: their answers are recorded and change nothing.
void Decider::tell_hooks(HookStage stage) {
  for (std::size_t i = 0; i < plan_.hooks.size(); ++i) {
    if (plan_.hooks[i].at == stage) {
      actions_.push_back(CallHook{i, std::string(to_string(stage))});
    }
  }
}

/// The gate of the present pause, if it has one, at the plan's own pace.
void Decider::ask_gate() {
  s_.asking_gate = false;
  if (s_.resume_to != Phase::Paused || s_.step >= plan_.steps.size()) return;
  const auto* wait = std::get_if<Pause>(&plan_.steps[s_.step].what);
  if (wait == nullptr || wait->gate.empty()) return;
  s_.asking_gate = true;
  if (now_ < s_.retry_at) return;
  s_.retry_at = now_ + plan_.poll;
  for (std::size_t i = 0; i < plan_.hooks.size(); ++i) {
    if (plan_.hooks[i].name == wait->gate) {
      actions_.push_back(CallHook{i, std::string(to_string(HookStage::Gate))});
    }
  }
}

void Decider::on(const HookAnswered& answered) {
  if (answered.hook >= plan_.hooks.size()) return;
  const Hook& hook = plan_.hooks[answered.hook];
  record("hook.answered", {{"hook", hook.name},
                           {"verdict", std::string(to_string(answered.verdict))},
                           {"text", answered.text}});
  if (s_.phase == Phase::Paused && s_.asking_gate) {
    if (answered.verdict != HookVerdict::Passed) return;
    decision("next-step", fmt::format("the gate {} is open", hook.name));
    s_.asking_gate = false;
    return enter_step(s_.step + 1);
  }
  if (s_.phase != Phase::Asking || s_.hooks_left.empty() ||
      s_.hooks_left.front() != answered.hook) {
    return;
  }
  if (answered.verdict == HookVerdict::Wait) {
    s_.retry_at = now_ + plan_.poll;
    return wake(s_.retry_at);
  }
  if (answered.verdict == HookVerdict::Failed && s_.hook_attempts++ < hook.retries) {
    s_.retry_at = now_ + kFirstRetry;
    return wake(s_.retry_at);
  }
  s_.hook_attempts = 0;
  if (answered.verdict == HookVerdict::Failed) {
    const std::string reason = fmt::format("hook {} objects: {}", hook.name, answered.text);
    switch (really(hook.on_fail)) {
      case OnFail::Rollback:
        // After a promotion there is nothing to go back to.
        if (s_.hook_stage == HookStage::PostRollout) break;
        decision("roll-back", reason);
        return roll_back(Outcome::RolledBack, reason);
      case OnFail::Pause:
        if (s_.hook_stage == HookStage::PostRollout) break;
        decision("pause", reason);
        // A resume goes on over the objection.
        s_.hooks_left.erase(s_.hooks_left.begin());
        return pause(reason, Phase::Asking);
      case OnFail::Ignore:
        break;
    }
    decision("ignore", reason);
  }
  s_.hooks_left.erase(s_.hooks_left.begin());
  if (s_.hooks_left.empty()) return hooks_done();
  call_hook();
}

}  // namespace coalmine::rollout
