#include <algorithm>

#include "sim/rollout/decider.h"

namespace coalmine::rollout {

void Decider::begin_watching() {
  const double part = split_alpha(plan_.analyses);
  for (const AnalysisSpec& spec : plan_.analyses) s_.analyses.emplace_back(spec, part);
  s_.overruled.assign(plan_.analyses.size(), false);
  s_.checks.resize(plan_.checks.size());
  s_.overruled_checks.assign(plan_.checks.size(), false);
  if (!plan_.watch) return;
  for (const std::string& name : plan_.watch->names) {
    for (const AlarmSpec& spec : plan_.alarms) {
      if (spec.name == name) s_.alarms.emplace_back(spec, now_);
    }
  }
  for (const AlarmRun& alarm : s_.alarms) {
    if (alarm.state() != AlarmState::Alarm) continue;
    const Evaluation found = alarm.describe();
    record(found);
    if (plan_.watch->at_start == AlarmAtStart::Stop) {
      decision("roll-back", found.sentence, &found);
      return roll_back(Outcome::RolledBack,
                       fmt::format("the alarm {} is red at the start", alarm.spec().name));
    }
    s_.alarms_ignored = true;
    return decision("ignore",
                    fmt::format("the alarm {} is red at the start: no alarm counts in this rollout",
                                alarm.spec().name),
                    &found);
  }
}

double Decider::share_during(TimePoint from, TimePoint to) const {
  double share = 0;
  for (const ShareSpan& span : s_.shares) {
    if (span.from < to && span.until > from) share = std::max(share, span.share);
  }
  return share;
}

void Decider::count(const MetricsWindow& window) {
  s_.metrics_until = std::max(s_.metrics_until, window.to);
  s_.stable_counts += window.stable;
  s_.stable_counts += window.baseline;
  s_.canary_counts += window.canary;
  if (window.to > s_.step_since) {
    s_.step_canary_requests += window.canary.requests;
    for (const SegmentCounts& segment : window.segments) {
      if (segment.canary.requests > 0) s_.step_segments.insert(segment.name);
    }
  }
  double share = share_during(window.from, window.to);
  // After a lowered weight the present share is less than the largest that was possible.
  // Nor do weights say how many requests were routed by what they carry: what was counted does.
  // Nor where users keep the version they met: the share lags behind the weights.
  bool settled =
      share <= s_.shares.back().share && !was_routed(window.from, window.to) && !plan_.affinity;
  const MetricsWindow seen = for_comparison(window, share, settled);
  for (Analysis& analysis : s_.analyses) analysis.add(seen, share, settled);
  for (AlarmRun& alarm : s_.alarms) alarm.add(window);
  Duration back = longest_window(plan_.checks);
  for (const CheckRun& run : s_.examining) back = std::max(back, longest_window({run.spec()}));
  if (back == Duration{}) return;
  std::erase_if(s_.recent, [this, back](const MetricsWindow& old) { return old.to + back < now_; });
  s_.recent.push_back(seen);
}

void Decider::on(const Metrics& metrics) {
  s_.reading = false;
  for (const MetricsWindow& window : metrics.windows) count(window);
  if (!observes()) return;
  for (auto& check : s_.checks) {
    if (check && check->look(s_.recent, now_)) record(check->evaluate());
  }
  for (CheckRun& check : s_.examining) {
    if (check.look(s_.recent, now_)) record(check.evaluate());
  }
  for (AlarmRun& alarm : s_.alarms) {
    if (alarm.evaluate(now_)) record(alarm.describe());
  }
  if (all_pass()) end_bake_if_due(metrics.next);
}

void Decider::on(const MetricsFailed& failed) {
  s_.reading = false;
  record("metrics.failed", {{"reason", failed.reason}});
  if (!observes()) return;
  for (auto& check : s_.checks) {
    if (check && check->look_in_vain(failed.reason, now_)) record(check->evaluate());
  }
  for (CheckRun& check : s_.examining) {
    if (check.look_in_vain(failed.reason, now_)) record(check.evaluate());
  }
  if (!all_pass()) return;
  if (now_ >= s_.deadline && s_.phase == Phase::Baking && plan_.analyses.empty()) {
    if (!step_is_held()) return look_at_weights(RolloutState::Looking::StepEnd);
  }
  watch(failed.next);
}

// --- what failed -----------------------------------------------------------------------------

OnFail Decider::really(OnFail on_fail) const {
  const bool hold = plan_.rollback.kind == RollbackKind::Hold;
  return hold && on_fail == OnFail::Rollback ? OnFail::Pause : on_fail;
}

bool Decider::act(OnFail on_fail, const Evaluation& found, const char* ignored) {
  switch (really(on_fail)) {
    case OnFail::Ignore:
      decision(ignored, found.sentence, &found);
      return true;
    case OnFail::Pause:
      decision("pause", found.sentence, &found);
      if (s_.phase != Phase::Paused) pause(found.sentence, back_from_pause());
      return true;
    case OnFail::Rollback:
      decision("roll-back", found.sentence, &found);
      roll_back(Outcome::RolledBack, found.sentence);
      return false;
  }
  return true;
}

bool Decider::all_pass() {
  return analyses_pass() && checks_pass() && alarms_pass();
}

bool Decider::analyses_pass() {
  for (std::size_t i = 0; i < s_.analyses.size(); ++i) {
    if (s_.overruled[i] || s_.analyses[i].verdict() != Verdict::Fail) continue;
    const Evaluation found = s_.analyses[i].evaluate();
    record(found);
    s_.overruled[i] = really(plan_.analyses[i].on_fail) != OnFail::Rollback;
    if (!act(plan_.analyses[i].on_fail, found)) return false;
  }
  return evidence_passes();
}

/// Tests that may roll back promise alpha together, and so may convict together.
bool Decider::evidence_passes() {
  std::vector<bool> counts(s_.analyses.size());
  for (std::size_t i = 0; i < counts.size(); ++i) {
    counts[i] = !s_.overruled[i] && plan_.analyses[i].on_fail == OnFail::Rollback;
  }
  const Merged merged = merge_evidence(s_.analyses, counts);
  if (merged.tests < 2 || !merged.fails()) return true;
  const Evaluation found = evaluate_merged(s_.analyses, merged);
  record(found);
  if (really(OnFail::Rollback) != OnFail::Rollback) {
    s_.overruled.assign(s_.overruled.size(), true);
  }
  return act(OnFail::Rollback, found);
}

bool Decider::checks_pass() {
  std::vector<CheckRun*> runs;
  for (std::size_t i = 0; i < s_.checks.size(); ++i) {
    if (s_.checks[i] && !s_.overruled_checks[i]) runs.push_back(&*s_.checks[i]);
  }
  for (CheckRun& run : s_.examining) runs.push_back(&run);
  for (CheckRun* run : runs) {
    const auto end = run->end();
    if (end != CheckRun::End::Failed && end != CheckRun::End::Inconclusive) continue;
    const Evaluation found = run->evaluate();
    const OnFail on_fail =
        end == CheckRun::End::Failed ? run->spec().on_fail : run->spec().on_inconclusive;
    if (really(on_fail) != OnFail::Rollback) run->forgive();
    if (!act(on_fail, found)) return false;
  }
  return true;
}

bool Decider::alarms_pass() {
  if (s_.alarms_ignored) return true;
  for (const AlarmRun& alarm : s_.alarms) {
    if (alarm.state() != AlarmState::Alarm) continue;
    s_.alarms_ignored = really(plan_.watch->on_alarm) != OnFail::Rollback;
    return act(plan_.watch->on_alarm, alarm.describe());
  }
  return true;
}

// --- going on --------------------------------------------------------------------------------

/// A check that wants the step held did not pass the last time: wait for its next look.
bool Decider::step_is_held() {
  TimePoint until{};
  const CheckRun* holds = nullptr;
  for (const auto& check : s_.checks) {
    if (!check || !check->spec().holds_step || check->last_passed()) continue;
    if (check->due() == kNever) continue;
    holds = &*check;
    until = std::max(until, check->due());
  }
  if (holds == nullptr) return false;
  decision("hold", "the last check did not pass: " + holds->last().words);
  s_.deadline = until;
  return true;
}

/// Where no request of the canary was counted in this step; empty: nowhere at all.
std::optional<std::string> Decider::silent_part() const {
  if (s_.step_canary_requests == 0) return "";
  for (const AnalysisSpec& spec : plan_.analyses) {
    for (const std::string& segment : spec.segments) {
      if (spec.each_segment && !s_.step_segments.contains(segment)) return " in " + segment;
    }
  }
  return std::nullopt;
}

void Decider::end_bake_if_due(TimePoint next_metrics) {
  if (s_.phase != Phase::Baking) return watch(next_metrics);
  if (!s_.examining.empty()) {
    const bool done = std::all_of(s_.examining.begin(), s_.examining.end(), [](const auto& run) {
      return run.end() == CheckRun::End::Passed;
    });
    return done ? look_at_weights(RolloutState::Looking::StepEnd) : watch(next_metrics);
  }
  if (now_ < s_.deadline || step_is_held()) return watch(next_metrics);
  const bool gets_none = s_.target.value <= 0 && s_.routes.none();
  const std::optional<std::string> silent = silent_part();
  if (!silent || gets_none || plan_.analyses.empty()) {
    return look_at_weights(RolloutState::Looking::StepEnd);
  }
  if (!s_.holding) {
    const std::string reason = fmt::format(
        "no {} request{} was counted since the weights were set: nothing is known about it",
        plan_.canary, *silent);
    if (plan_.on_no_data == OnNoData::Rollback) return roll_back(Outcome::RolledBack, reason);
    if (plan_.on_no_data == OnNoData::Continue) {
      decision("continue", reason);
      return look_at_weights(RolloutState::Looking::StepEnd);
    }
    s_.holding = true;
    decision("hold", reason);
    look_at_weights(RolloutState::Looking::Hold);
  }
  watch(next_metrics);
}

void Decider::bake_is_over() {
  for (const Analysis& analysis : s_.analyses) record(analysis.evaluate());
  const std::size_t next = s_.step + 1;
  const bool promotes =
      next < plan_.steps.size() && std::holds_alternative<Promote>(plan_.steps[next].what);
  const bool watched = !plan_.analyses.empty() || !plan_.checks.empty() || plan_.watch;
  const char* reason = !s_.examining.empty() ? "all checks have passed"
                       : s_.experimenting    ? "the experiment is over, no analysis objects"
                       : watched             ? "the bake is over, no analysis objects"
                                             : "the bake is over";
  decision(promotes ? "promote" : "next-step", reason);
  return s_.experimenting ? end_experiment() : enter_step(next);
}

void Decider::watch(TimePoint next_metrics) {
  if (!observes()) return;
  // A datapoint is asked for when it is due; otherwise at the plan's own pace.
  TimePoint at = next_metrics > now_ && next_metrics != kNever ? next_metrics : now_ + plan_.poll;
  if (s_.deadline > now_) at = std::min(at, s_.deadline);
  for (const auto& check : s_.checks) {
    if (check && check->due() > now_) at = std::min(at, check->due());
  }
  for (const CheckRun& check : s_.examining) {
    if (check.due() > now_) at = std::min(at, check.due());
  }
  for (const AlarmRun& alarm : s_.alarms) {
    if (alarm.due() > now_) at = std::min(at, alarm.due());
  }
  if (s_.asking_gate) at = std::min(at, std::max(s_.retry_at, now_));
  if (works()) at = std::min(at, std::max(s_.work.look_at, now_));
  wake(at);
}

void Decider::wake(TimePoint at) {
  at = std::min(at, std::max(s_.shrink_at, now_));
  if (is_running()) at = std::min(at, std::max(s_.rollout_deadline, now_));
  // A wake takes the place of an earlier one, so it is the soonest of all that wait.
  if (routes_wait()) {
    at = std::min(at, std::max(s_.route_retry_at, now_));
    if (s_.attempts > 0) at = std::min(at, std::max(s_.retry_at, now_));
    if (s_.phase == Phase::RollingBack) at = std::min(at, std::max(s_.step_down_at, now_));
  }
  actions_.push_back(WakeAt{at});
}

std::vector<Duration> latency_limits(const Plan& plan) {
  std::vector<Duration> limits = latency_limits(plan.analyses);
  add_latency_limits(plan.checks, limits);
  for (const Step& step : plan.steps) {
    if (const auto* examine = std::get_if<Examine>(&step.what)) {
      add_latency_limits(examine->checks, limits);
    }
  }
  add_latency_limits(plan.alarms, limits);
  std::sort(limits.begin(), limits.end());
  limits.erase(std::unique(limits.begin(), limits.end()), limits.end());
  return limits;
}

}  // namespace coalmine::rollout
