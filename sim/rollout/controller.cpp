#include "sim/rollout/controller.h"

#include <algorithm>
#include <cmath>

#include "sim/core/check.h"

namespace coalmine::rollout {
namespace {

constexpr double kShareTolerance = 1e-9;

/// One decision in the making: the state and the actions collected so far.
class Decider {
 public:
  Decider(const Plan& plan, RolloutState state, TimePoint now)
      : plan_(plan), s_(std::move(state)), now_(now) {}

  Decision take() && { return {std::move(s_), std::move(actions_)}; }

  void on(const Started& started);
  void on(const Restarted& restarted);
  void on(const WeightsApplied& applied);
  void on(const WeightsFailed& failed);
  void on(const Metrics& metrics);
  void on(const MetricsFailed& failed);
  void on(const Tick&);
  void on(const Operator& spoken);

 private:
  using Fields = std::vector<std::pair<std::string, Value>>;

  void record(std::string name, Fields fields) {
    actions_.push_back(Record{Event{now_, std::move(name), std::move(fields)}});
  }
  void record(const Evaluation& e) { record("analysis.evaluated", fields_of(e)); }
  void decision(std::string what, const std::string& reason, const Evaluation* rests_on = nullptr);
  static Fields fields_of(const Evaluation& e);

  void enter(Phase phase);
  void begin_plan(const Weights& actual);
  void enter_step(std::size_t step);
  void shift(Phase phase, Percent target);
  void start_bake(Duration length);
  void pause(const std::string& reason, Phase resume_to);
  void resume();
  void roll_back(Outcome goal, const std::string& reason);
  void finish(Outcome outcome, const std::string& reason);

  void count(const MetricsWindow& window);
  double share_during(TimePoint from, TimePoint to) const;
  /// Acts on failed analyses; false if the rollout now rolls back or pauses.
  bool analyses_pass();
  bool evidence_passes();
  void bake_is_over();
  void watch(TimePoint next_metrics);
  /// Reads the metrics at once, and so learns when they come next.
  void look_now() { actions_.push_back(WakeAt{now_}); }
  void check_weights(const Weights& actual);
  bool observes() const { return s_.phase == Phase::Baking || s_.phase == Phase::Paused; }
  std::string step_note() const;

  const Plan& plan_;
  RolloutState s_;
  TimePoint now_;
  std::vector<Action> actions_;
};

// --- events ----------------------------------------------------------------------------------

Decider::Fields Decider::fields_of(const Evaluation& e) {
  return {{"metric", e.metric},
          {"test", e.test},
          {"verdict", std::string(to_string(e.verdict))},
          {"value", e.value},
          {"limit", e.limit},
          {"n", static_cast<std::int64_t>(e.n)},
          {"statistic", e.statistic},
          {"needs", e.needs},
          {"sentence", e.sentence}};
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
  if (s_.phase == Phase::Baking) {
    // Minutes and seconds suffice here: "bake until 10:03".
    const auto until = std::chrono::floor<std::chrono::seconds>(s_.deadline - s_.started);
    std::string text = to_stopwatch(until);
    text.resize(text.size() - std::string_view(".000").size());
    return "bake until " + text;
  }
  if (s_.phase == Phase::Paused) return "paused";
  return {};
}

// --- beginning and going on ------------------------------------------------------------------

void Decider::begin_plan(const Weights& actual) {
  s_.started = s_.step_since = s_.metrics_until = now_;
  s_.weights = actual;
  s_.target = Percent{share_of(actual, plan_.canary) * 100};
  s_.shares = {{now_, kNever, s_.target.share()}};
  const double part = split_alpha(plan_.analyses);
  for (const AnalysisSpec& spec : plan_.analyses) s_.analyses.emplace_back(spec, part);
  s_.overruled.assign(plan_.analyses.size(), false);
  record("rollout.started", {{"stable", plan_.stable},
                             {"canary", plan_.canary},
                             {"steps", static_cast<std::int64_t>(plan_.steps.size())},
                             {"weights", actual}});
  enter_step(0);
}

void Decider::on(const Started& started) {
  if (s_.phase != Phase::Baseline) return;
  begin_plan(started.actual);
}

void Decider::on(const Restarted& restarted) {
  if (s_.phase == Phase::Baseline) return begin_plan(restarted.actual);
  record("rollout.resumed", {{"state", std::string(to_string(s_.phase))}});
  s_.reading = false;
  switch (s_.phase) {
    case Phase::Shifting:
    case Phase::Promoting:
    case Phase::RollingBack:
      // Whether the last attempt arrived is unknown; the same weights again are safe.
      s_.attempts = 0;
      actions_.push_back(ChangeWeights{s_.target});
      return;
    case Phase::Baking:
    case Phase::Paused:
      check_weights(restarted.actual);
      return look_now();
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
    case Phase::Baseline:
      break;
  }
}

/// While no controller ran, somebody may have moved the weights. Never raise them without being
/// asked: lowered ones pause the rollout, raised ones are put back.
void Decider::check_weights(const Weights& actual) {
  const double expected = share_of(s_.weights, plan_.canary);
  const double found = share_of(actual, plan_.canary);
  if (std::abs(found - expected) < kShareTolerance) return;
  s_.shares.push_back({s_.metrics_until, kNever, found});
  s_.shares.push_back({s_.metrics_until, kNever, expected});
  if (found > expected) {
    decision("restore", fmt::format("the canary has {:.4g}% of the traffic, the journal says "
                                    "{:.4g}%: weights are set back",
                                    found * 100, expected * 100));
    actions_.push_back(ChangeWeights{s_.target});
    return;
  }
  s_.weights_disputed = true;
  const std::string reason = fmt::format(
      "the canary has {:.4g}% of the traffic, the journal says {:.4g}%: somebody lowered it; "
      "resume sets it again, abort rolls back",
      found * 100, expected * 100);
  if (s_.phase == Phase::Paused) {
    decision("pause", reason);
  } else {
    pause(reason, Phase::Baking);
  }
}

void Decider::enter_step(std::size_t step) {
  s_.step = step;
  if (step >= plan_.steps.size()) return finish(Outcome::Completed, "the plan is over");
  const StepKind& what = plan_.steps[step].what;
  if (const auto* weight = std::get_if<SetWeight>(&what)) {
    shift(Phase::Shifting, weight->canary);
  } else if (const auto* bake = std::get_if<Bake>(&what)) {
    start_bake(bake->length);
  } else if (const auto* wait = std::get_if<Pause>(&what)) {
    s_.deadline = wait->timeout ? now_ + *wait->timeout : kNever;
    s_.resume_to = Phase::Paused;
    s_.reason = "the plan waits here";
    enter(Phase::Paused);
    look_now();
  } else {
    shift(Phase::Promoting, Percent{100});
  }
}

void Decider::shift(Phase phase, Percent target) {
  s_.target = target;
  s_.attempts = 0;
  s_.holding = false;
  enter(phase);
  // From the request on the canary may have the new share already.
  s_.shares.push_back({now_, kNever, target.share()});
  actions_.push_back(ChangeWeights{target});
}

void Decider::start_bake(Duration length) {
  s_.deadline = now_ + length;
  s_.holding = false;
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
  if (s_.phase == Phase::RollingBack) {
    changed(fmt::format("rolled back; blast radius {} requests, {} errors",
                        s_.canary_counts.requests, s_.canary_counts.errors));
    return finish(s_.goal, s_.reason);
  }
  if (s_.phase == Phase::Promoting) {
    changed("promoted");
    return finish(Outcome::Promoted, fmt::format("{} takes all traffic", plan_.canary));
  }
  if (s_.phase != Phase::Shifting) return changed("");
  s_.step_since = now_;
  s_.step_canary_requests = 0;
  for (Analysis& analysis : s_.analyses) analysis.next_step();
  if (s_.resume_to == Phase::Shifting) {  // an operator's set-weights
    s_.resume_to = Phase::Baking;
    changed("set by an operator");
    enter(Phase::Paused);
    return look_now();
  }
  const std::size_t at = actions_.size();
  enter_step(s_.step + 1);
  // The note tells what comes next, the record belongs before it.
  const Event event{now_, "weights.changed", {{"weights", s_.weights}, {"note", step_note()}}};
  actions_.insert(actions_.begin() + static_cast<std::ptrdiff_t>(at), Record{event});
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
  Duration wait = kFirstRetry;
  for (int i = 1; i < s_.attempts && wait < kMaxRetry; ++i) wait *= 2;
  s_.retry_at = now_ + std::min(wait, kMaxRetry);
  actions_.push_back(WakeAt{s_.retry_at});
}

// --- observing -------------------------------------------------------------------------------

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
  s_.canary_counts += window.canary;
  if (window.to > s_.step_since) s_.step_canary_requests += window.canary.requests;
  const double share = share_during(window.from, window.to);
  // After a lowered weight the present share is less than the largest that was possible.
  const bool settled = share <= s_.shares.back().share;
  for (Analysis& analysis : s_.analyses) analysis.add(window, share, settled);
}

void Decider::on(const Metrics& metrics) {
  s_.reading = false;
  for (const MetricsWindow& window : metrics.windows) count(window);
  if (!observes() || !analyses_pass()) return;
  if (now_ < s_.deadline || s_.phase == Phase::Paused) return watch(metrics.next);
  if (s_.step_canary_requests > 0 || s_.target.value <= 0 || plan_.analyses.empty()) {
    return bake_is_over();
  }
  if (!s_.holding) {
    const std::string reason = fmt::format(
        "no {} request was counted since the weights were set: nothing is known about it",
        plan_.canary);
    if (plan_.on_no_data == OnNoData::Rollback) return roll_back(Outcome::RolledBack, reason);
    if (plan_.on_no_data == OnNoData::Continue) {
      decision("continue", reason);
      return bake_is_over();
    }
    s_.holding = true;
    decision("hold", reason);
  }
  watch(metrics.next);
}

void Decider::on(const MetricsFailed& failed) {
  s_.reading = false;
  record("metrics.failed", {{"reason", failed.reason}});
  if (!observes()) return;
  if (now_ >= s_.deadline && s_.phase == Phase::Baking && plan_.analyses.empty()) {
    return bake_is_over();
  }
  watch(failed.next);
}

bool Decider::analyses_pass() {
  for (std::size_t i = 0; i < s_.analyses.size(); ++i) {
    if (s_.overruled[i] || s_.analyses[i].verdict() != Verdict::Fail) continue;
    const Evaluation found = s_.analyses[i].evaluate();
    record(found);
    switch (plan_.analyses[i].on_fail) {
      case OnFail::Ignore:
        s_.overruled[i] = true;
        decision("ignore", found.sentence, &found);
        break;
      case OnFail::Pause:
        s_.overruled[i] = true;
        decision("pause", found.sentence, &found);
        if (s_.phase != Phase::Paused) pause(found.sentence, Phase::Baking);
        break;
      case OnFail::Rollback:
        decision("roll-back", found.sentence, &found);
        roll_back(Outcome::RolledBack, found.sentence);
        return false;
    }
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
  decision("roll-back", found.sentence, &found);
  roll_back(Outcome::RolledBack, found.sentence);
  return false;
}

void Decider::bake_is_over() {
  for (const Analysis& analysis : s_.analyses) record(analysis.evaluate());
  const std::size_t next = s_.step + 1;
  const bool promotes =
      next < plan_.steps.size() && std::holds_alternative<Promote>(plan_.steps[next].what);
  decision(promotes ? "promote" : "next-step",
           plan_.analyses.empty() ? "the bake is over" : "the bake is over, no analysis objects");
  enter_step(next);
}

void Decider::watch(TimePoint next_metrics) {
  if (!observes()) return;
  // A datapoint is asked for when it is due; otherwise at the plan's own pace.
  TimePoint at = next_metrics > now_ && next_metrics != kNever ? next_metrics : now_ + plan_.poll;
  if (s_.deadline > now_) at = std::min(at, s_.deadline);
  actions_.push_back(WakeAt{at});
}

void Decider::on(const Tick&) {
  switch (s_.phase) {
    case Phase::Shifting:
    case Phase::Promoting:
    case Phase::RollingBack:
      if (s_.attempts > 0 && now_ >= s_.retry_at) {
        actions_.push_back(ChangeWeights{s_.target});
      } else if (s_.attempts > 0) {
        actions_.push_back(WakeAt{s_.retry_at});
      }
      return;
    case Phase::Paused:
      if (now_ >= s_.deadline) {
        return roll_back(Outcome::RolledBack, "nobody resumed the rollout in time");
      }
      [[fallthrough]];
    case Phase::Baking:
      if (s_.attempts > 0 && now_ >= s_.retry_at) actions_.push_back(ChangeWeights{s_.target});
      s_.reading = true;
      actions_.push_back(ReadMetrics{s_.metrics_until});
      return;
    default:
      return;
  }
}

// --- ends ------------------------------------------------------------------------------------

void Decider::roll_back(Outcome goal, const std::string& reason) {
  s_.goal = goal;
  s_.reason = reason;
  s_.deadline = kNever;
  shift(Phase::RollingBack, Percent{0});
}

void Decider::finish(Outcome outcome, const std::string& reason) {
  s_.reason = reason;
  switch (outcome) {
    case Outcome::Promoted:
      enter(Phase::Promoted);
      break;
    case Outcome::Completed:
      enter(Phase::Completed);
      break;
    case Outcome::RolledBack:
      enter(Phase::RolledBack);
      break;
    case Outcome::Aborted:
      enter(Phase::Aborted);
      break;
    case Outcome::Failed:
      enter(Phase::Failed);
      break;
  }
  record("rollout.finished",
         {{"outcome", std::string(to_string(outcome))},
          {"reason", reason},
          {"canary_requests", static_cast<std::int64_t>(s_.canary_counts.requests)},
          {"canary_errors", static_cast<std::int64_t>(s_.canary_counts.errors)}});
  actions_.push_back(Finish{outcome, reason});
}

// --- operators -------------------------------------------------------------------------------

void Decider::pause(const std::string& reason, Phase resume_to) {
  s_.bake_left = s_.phase == Phase::Baking && s_.deadline > now_ ? s_.deadline - now_ : Duration{};
  s_.deadline = kNever;
  s_.attempts = 0;
  s_.resume_to = resume_to;
  s_.reason = reason;
  enter(Phase::Paused);
  look_now();
}

void Decider::resume() {
  if (s_.resume_to == Phase::Shifting) return shift(Phase::Shifting, s_.target);
  if (s_.weights_disputed) actions_.push_back(ChangeWeights{s_.target});
  if (s_.resume_to == Phase::Paused) return enter_step(s_.step + 1);
  // The step may be a weight whose successor is not a bake: then go on with the plan.
  if (!std::holds_alternative<Bake>(plan_.steps[s_.step].what)) return enter_step(s_.step + 1);
  start_bake(s_.bake_left);
}

void Decider::on(const Operator& spoken) {
  const bool running = !is_over(s_.phase) && s_.phase != Phase::RollingBack;
  bool accepted = running;
  if (spoken.command == Command::Pause) accepted = running && s_.phase != Phase::Paused;
  if (spoken.command == Command::Resume) accepted = s_.phase == Phase::Paused;
  if (s_.phase == Phase::Baseline) accepted = false;
  if (s_.phase == Phase::Promoting && spoken.command != Command::Abort) accepted = false;
  record("operator", {{"command", std::string(to_string(spoken.command))},
                      {"reason", spoken.reason},
                      {"accepted", accepted}});
  if (!accepted) return;
  switch (spoken.command) {
    case Command::Pause:
      return pause(spoken.reason.empty() ? "paused by an operator" : spoken.reason,
                   s_.phase == Phase::Shifting ? Phase::Shifting : Phase::Baking);
    case Command::Resume:
      return resume();
    case Command::Promote:
      decision("promote", "an operator skips the remaining steps");
      s_.step = plan_.steps.size();
      return shift(Phase::Promoting, Percent{100});
    case Command::Abort:
      return roll_back(Outcome::Aborted,
                       spoken.reason.empty() ? "aborted by an operator" : spoken.reason);
    case Command::SetWeights:
      if (s_.phase == Phase::Baking) {
        s_.bake_left = s_.deadline > now_ ? s_.deadline - now_ : Duration{};
      }
      s_.deadline = kNever;
      s_.reason = fmt::format("held at {} by an operator", to_string(spoken.canary));
      s_.resume_to = Phase::Shifting;
      return shift(Phase::Shifting, spoken.canary);
  }
}

}  // namespace

bool is_over(Phase phase) {
  switch (phase) {
    case Phase::Promoted:
    case Phase::Completed:
    case Phase::RolledBack:
    case Phase::Aborted:
    case Phase::Failed:
      return true;
    default:
      return false;
  }
}

Decision decide(const Plan& plan, RolloutState state, const Input& input, TimePoint now) {
  Decider decider(plan, std::move(state), now);
  std::visit([&decider](const auto& what) { decider.on(what); }, input);
  return std::move(decider).take();
}

std::string_view to_string(Phase phase) {
  switch (phase) {
    case Phase::Baseline:
      return "baseline";
    case Phase::Shifting:
      return "shifting";
    case Phase::Baking:
      return "baking";
    case Phase::Paused:
      return "paused";
    case Phase::Promoting:
      return "promoting";
    case Phase::RollingBack:
      return "rolling-back";
    case Phase::Promoted:
      return "promoted";
    case Phase::Completed:
      return "completed";
    case Phase::RolledBack:
      return "rolled-back";
    case Phase::Aborted:
      return "aborted";
    case Phase::Failed:
      return "failed";
  }
  CHECK_FAILED("phase");
}

std::string_view to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::Promoted:
      return "promoted";
    case Outcome::Completed:
      return "completed";
    case Outcome::RolledBack:
      return "rolled-back";
    case Outcome::Aborted:
      return "aborted";
    case Outcome::Failed:
      return "failed";
  }
  CHECK_FAILED("outcome");
}

std::string_view to_string(Command command) {
  switch (command) {
    case Command::Pause:
      return "pause";
    case Command::Resume:
      return "resume";
    case Command::Promote:
      return "promote";
    case Command::Abort:
      return "abort";
    case Command::SetWeights:
      return "set-weights";
  }
  CHECK_FAILED("command");
}

}  // namespace coalmine::rollout
