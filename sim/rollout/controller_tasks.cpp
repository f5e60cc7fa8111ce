// Tasks: those that a weight needs come before it rises, those that it needs no longer go after it
// fell; and stable's tasks that get the canary's image.
#include <algorithm>

#include "sim/rollout/decider.h"

namespace coalmine::rollout {
namespace {

using What = TaskWork::What;

bool swaps(const TaskWork& work) {
  return work.what == What::Swap || work.what == What::Restore;
}

Phase phase_of(const TaskWork& work) {
  if (work.what == What::Swap) return Phase::Promoting;
  return work.what == What::Restore ? Phase::RollingBack : Phase::Scaling;
}

}  // namespace

// --- before a weight -------------------------------------------------------------------------

void Decider::give(Phase then, Percent target) {
  const Promote* promotion = promotion_of(plan_);
  const bool promotes = then == Phase::Promoting;
  const bool replaces = promotes && promotion != nullptr && promotion->kind == PromoteKind::Replace;
  const bool rises = target.share() > share_of(s_.weights, plan_.canary) + kShareTolerance;
  const bool grows = replaces || (s_.sizing && (rises || promotes));
  if (!grows && !s_.experimenting) return shift(then, target);
  TaskWork work;
  work.what = grows ? What::Grow : What::Compare;
  work.then = then;
  work.target = target;
  begin_work(work);
}

void Decider::promote() {
  const Promote* promotion = promotion_of(plan_);
  if (promotion == nullptr || promotion->kind != PromoteKind::ImageSwap) {
    return give(Phase::Promoting, Percent{100});
  }
  TaskWork work;
  work.what = What::Swap;
  begin_work(work);
}

void Decider::scale_canary(const ScaleCanary& step) {
  s_.sizing = step;
  TaskWork work;
  work.what = What::Step;
  begin_work(work);
}

// --- the work --------------------------------------------------------------------------------

void Decider::begin_work(TaskWork work) {
  work.since = now_;
  work.attempts = 0;
  s_.work = work;
  s_.shrink_at = kNever;
  s_.holding = false;
  enter(phase_of(work));
  look_at_tasks();
}

void Decider::look_at_tasks() {
  s_.work.asked = false;
  actions_.push_back(ReadTasks{});
}

int Decider::wanted_tasks() const {
  if (s_.work.what == What::Compare) return std::max(1, s_.tasks.canary.desired);
  const int stable = s_.tasks.stable.desired;
  const bool step = s_.work.what == What::Step;
  const double share = step ? share_of(s_.weights, plan_.canary) : s_.work.target.share();
  const int sized = s_.sizing ? canary_tasks(*s_.sizing, share, stable) : 0;
  return !step && s_.work.then == Phase::Promoting ? std::max(sized, stable) : sized;
}

std::string Decider::purpose() const {
  if (s_.work.what == What::Compare) {
    return fmt::format("a fresh copy of {}, as many as {} has", plan_.stable, plan_.canary);
  }
  if (s_.work.what == What::Grow && s_.work.then == Phase::Promoting) {
    return fmt::format("as many as {} has", plan_.stable);
  }
  if (s_.sizing && s_.sizing->how == ScaleCanary::How::FollowWeight) {
    const Percent now{share_of(s_.weights, plan_.canary) * 100};
    return fmt::format("for {} of the traffic",
                       coalmine::to_string(s_.work.what == What::Grow ? s_.work.target : now));
  }
  return "as the plan says";
}

void Decider::ask_for_tasks(const ScaleTasks& wanted, const std::string& reason) {
  const int now = tasks_of(wanted.version).desired;
  record("tasks.asked", {{"version", wanted.version},
                         {"from", static_cast<std::int64_t>(now)},
                         {"tasks", static_cast<std::int64_t>(wanted.tasks)},
                         {"reason", reason}});
  actions_.push_back(wanted);
}

void Decider::ask_for_work() {
  s_.work.asked = s_.work.changed = true;
  if (!swaps(s_.work)) return ask_for_tasks({worked_version(), wanted_tasks()}, purpose());
  const bool back = s_.work.what == What::Restore;
  s_.swap_asked = true;
  record("image.asked", {{"version", plan_.stable},
                         {"image", back ? plan_.stable : plan_.canary},
                         {"tasks", static_cast<std::int64_t>(s_.tasks.stable.desired)}});
  actions_.push_back(SwapImage{back ? s_.build_at_start : ""});
}

bool Decider::is_as_asked() const {
  const int canary = s_.tasks.canary.desired;
  switch (s_.work.what) {
    case What::Nothing:
      return true;
    case What::Grow:
      return canary >= wanted_tasks();
    case What::Compare:
      return tasks_of(baseline_).desired == wanted_tasks();
    case What::Step:
      return canary == wanted_tasks();
    case What::Swap:
      return s_.tasks.same_image;
    case What::Restore:
      return s_.tasks.stable.build == s_.build_at_start;
  }
  return true;
}

void Decider::see_tasks() {
  TaskWork& work = s_.work;
  const bool as_asked = is_as_asked();
  if (!as_asked && !work.asked) return ask_for_work();
  const std::string& version = worked_version();
  const TaskCount& count = tasks_of(version);
  if (as_asked) {
    work.attempts = 0;
    const bool there = swaps(work) ? is_settled(count) : count.ready >= wanted_tasks();
    if (there) return work_is_done();
    if (!count.failure.empty()) {
      return work_fails(fmt::format("tasks of {} do not come up: {}", version, count.failure));
    }
  }
  // A way back gets its time, however little patience the plan has: the old tasks serve meanwhile.
  const Duration patience = work.what == What::Restore
                                ? std::max<Duration>(plan_.task_patience, kTaskPatience)
                                : plan_.task_patience;
  if (now_ >= work.since + patience) {
    return work_fails(fmt::format(
        "{} of {} tasks of {} take requests{} after {}", count.ready, count.desired, version,
        swaps(work) ? " with the image asked for" : "", coalmine::to_string(patience)));
  }
  work.look_at = std::min(now_ + plan_.poll, work.since + patience);
  wake(work.look_at);
}

void Decider::work_is_done() {
  const std::string version = worked_version();
  TaskWork work = std::exchange(s_.work, {});
  const bool restored = work.what == What::Restore;
  if (work.changed) {
    Fields fields = {{"version", version},
                     {"tasks", static_cast<std::int64_t>(tasks_of(version).ready)}};
    if (swaps(work)) fields.emplace_back("image", restored ? plan_.stable : plan_.canary);
    record("tasks.ready", std::move(fields));
  }
  switch (work.what) {
    case What::Nothing:
      return;
    case What::Grow:
      if (!s_.experimenting) return shift(work.then, work.target);
      work.what = What::Compare;
      work.changed = false;
      return begin_work(work);
    case What::Compare:
      return shift(work.then, work.target);
    case What::Step:
      return enter_step(s_.step + 1);
    case What::Swap:
      return shift(Phase::Promoting, Percent{0});
    case What::Restore:
      s_.swap_asked = false;
      return wind_up_tasks();
  }
}

void Decider::work_fails(const std::string& reason) {
  if (s_.work.what == What::Restore) {
    s_.work = {};
    return finish(Outcome::Failed,
                  fmt::format("{}; but {} did not get its own image back: {}. Look at it by hand",
                              s_.reason, plan_.stable, reason));
  }
  if (really(OnFail::Rollback) == OnFail::Pause) {
    decision("pause", reason);
    return pause(reason, Phase::Scaling);
  }
  decision("roll-back", reason);
  roll_back(Outcome::RolledBack, reason);
}

void Decider::work_tick() {
  if (now_ < s_.work.look_at) return wake(s_.work.look_at);
  look_at_tasks();
}

void Decider::on(const TasksSeen& seen) {
  s_.tasks = seen.tasks;
  if (works()) return see_tasks();
  if (s_.shrinking.empty()) return;
  const auto more = surplus();
  if (!more || more->version == s_.shrinking) return shrink_is_over();
  s_.shrink_at = now_;
  shrink_if_due();
}

void Decider::on(const TasksFailed& failed) {
  const bool working = works();
  const int attempts = working ? ++s_.work.attempts : ++s_.shrink_attempts;
  record("tasks.failed",
         {{"reason", failed.reason}, {"attempt", static_cast<std::int64_t>(attempts)}});
  if (working) {
    const bool back = s_.work.what == What::Restore;
    if (attempts >= (back ? kMaxRollBackAttempts : kMaxShiftAttempts)) {
      return work_fails(fmt::format("the tasks could not be changed: {}", failed.reason));
    }
    s_.work.look_at = now_ + backoff(attempts);
    return wake(s_.work.look_at);
  }
  if (std::exchange(s_.shrinking, {}).empty()) return;
  if (attempts >= kMaxShiftAttempts) {
    decision("ignore", fmt::format("tasks that are not needed stay: {}", failed.reason));
    return shrink_is_over();
  }
  s_.shrink_at = now_ + backoff(attempts);
  wake(s_.step_down_at);
}

const std::string& Decider::worked_version() const {
  if (s_.work.what == What::Compare) return baseline_;
  return swaps(s_.work) ? plan_.stable : plan_.canary;
}

const TaskCount& Decider::tasks_of(const std::string& version) const {
  static const TaskCount none;
  if (version == baseline_) return s_.tasks.baseline ? *s_.tasks.baseline : none;
  return version == plan_.canary ? s_.tasks.canary : s_.tasks.stable;
}

bool Decider::works() const {
  return s_.work.what != What::Nothing && s_.phase == phase_of(s_.work);
}

// --- after a weight --------------------------------------------------------------------------

/// Tasks that the weights as they are set have no use for.
std::optional<ScaleTasks> Decider::surplus() const {
  if (!changes_tasks(plan_)) return std::nullopt;
  const auto keep = [](const std::string& version, const TaskCount& count, int tasks) {
    return count.desired > tasks ? std::optional(ScaleTasks{version, tasks}) : std::nullopt;
  };
  const bool follows = s_.sizing && s_.sizing->how == ScaleCanary::How::FollowWeight;
  const double share = share_of(s_.weights, plan_.canary);
  if (tasks_of(baseline_).desired > 0 && share_of(s_.weights, baseline_) <= 0) {
    return ScaleTasks{baseline_, 0};
  }
  if (s_.phase == Phase::RollingBack && share <= 0) {
    return keep(plan_.canary, s_.tasks.canary, follows ? 0 : s_.canary_tasks_at_start);
  }
  if (s_.phase == Phase::Promoting) {
    const Promote* promotion = promotion_of(plan_);
    if (promotion == nullptr) return std::nullopt;
    if (promotion->kind == PromoteKind::ImageSwap) {
      if (!promotion->stops_idle && !follows) return std::nullopt;
      return keep(plan_.canary, s_.tasks.canary, 0);
    }
    if (!promotion->stops_idle && promotion->kind != PromoteKind::Replace) return std::nullopt;
    return keep(plan_.stable, s_.tasks.stable, 0);
  }
  if (!follows) return std::nullopt;
  return keep(plan_.canary, s_.tasks.canary,
              canary_tasks(*s_.sizing, share, s_.tasks.stable.desired));
}

/// Not at once: the weight may go on acting in the data plane, and nobody's request shall find its
/// task gone. Argo's scaleDownDelaySeconds and abortScaleDownDelaySeconds are 30 s, too.
void Decider::plan_shrink() {
  s_.shrink_attempts = 0;
  s_.shrink_at = surplus() ? now_ + plan_.settle : kNever;
}

void Decider::shrink_if_due() {
  if (now_ < s_.shrink_at) return;
  s_.shrink_at = kNever;
  const auto idle = surplus();
  if (!idle) return shrink_is_over();
  s_.shrinking = idle->version;
  const Percent share{share_of(s_.weights, idle->version) * 100};
  ask_for_tasks(*idle, share.value > 0
                           ? fmt::format("enough for {} of the traffic", coalmine::to_string(share))
                           : std::string("without traffic"));
}

void Decider::shrink_is_over() {
  s_.shrinking.clear();
  s_.shrink_attempts = 0;
  if (s_.winding_up) end();
}

/// The weights are where they shall be in the end.
void Decider::wind_up() {
  if (s_.phase == Phase::RollingBack && s_.swap_asked) {
    TaskWork work;
    work.what = What::Restore;
    return begin_work(work);
  }
  wind_up_tasks();
}

void Decider::wind_up_tasks() {
  plan_shrink();
  if (s_.shrink_at == kNever) return end();
  s_.winding_up = true;
  wake(s_.shrink_at);
}

}  // namespace coalmine::rollout
