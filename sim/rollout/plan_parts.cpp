#include "sim/rollout/plan_parts.h"

#include <algorithm>
#include <set>

#include "sim/rollout/matches.h"

namespace coalmine::rollout {
namespace {

using std::chrono::seconds;

template <typename... Args>
void add(std::vector<Error>& errors, const Place& place, fmt::format_string<Args...> text,
         Args&&... args) {
  Error found{fmt::format(text, std::forward<Args>(args)...), ErrorKind::Invalid, std::nullopt};
  if (place != Place{}) found.place = place;
  errors.push_back(std::move(found));
}

void check_limit(const CheckSpec& spec, const Limit& limit, std::vector<Error>& errors) {
  for (const auto* bound :
       {&limit.pass_min, &limit.pass_max, &limit.fail_below, &limit.fail_above}) {
    if (!*bound) continue;
    if (limit.signal == Signal::Errors && !((*bound)->value >= 0 && (*bound)->value <= 100)) {
      add(errors, spec.place, "the limit is {}%, allowed is 0% to 100%", (*bound)->value);
    }
    if (limit.signal == Signal::Latency && !((*bound)->value > 0 && (*bound)->value <= 3600)) {
      add(errors, spec.place, "the limit is {}s, allowed is above 0s and up to 1h",
          (*bound)->value);
    }
  }
  if (limit.signal == Signal::Latency && (limit.pass_min || limit.fail_below)) {
    add(errors, spec.place, "a latency has an upper limit only");
  }
  if (limit.pass_min && limit.pass_max && limit.pass_min->value > limit.pass_max->value) {
    add(errors, spec.place, "nothing passes: min is {}, max is {}", limit.pass_min->value,
        limit.pass_max->value);
  }
  if (!(limit.quantile > 0 && limit.quantile < 1)) {
    add(errors, spec.place, "quantile is {}, allowed is above 0 and below 1", limit.quantile);
  }
}

void check_alarms(const Plan& plan, std::vector<Error>& errors) {
  std::set<std::string> names;
  for (const AlarmSpec& alarm : plan.alarms) {
    if (!names.insert(alarm.name).second) {
      add(errors, alarm.place, "the alarm \"{}\" is declared twice", alarm.name);
    }
    if (alarm.periods < 1 || alarm.periods > kMaxAlarmPeriods || alarm.to_alarm < 1 ||
        alarm.to_alarm > alarm.periods) {
      add(errors, alarm.place, "the alarm takes {} of {} periods; allowed is 1 <= M <= N <= {}",
          alarm.to_alarm, alarm.periods, kMaxAlarmPeriods);
    }
    const Duration period = alarm.period;
    if (period != seconds{10} && period != seconds{30} &&
        (period <= Duration{} || period % seconds{60} != Duration{})) {
      add(errors, alarm.place,
          "the alarm's period is {}; CloudWatch has 10s, 30s and whole minutes",
          coalmine::to_string(period));
    }
    const bool latency = alarm.metric == Signal::Latency;
    if (latency != (alarm.statistic == AlarmStatistic::Quantile)) {
      add(errors, alarm.place,
          "the statistic {} of {} cannot be had; errors have sum and average (their share), "
          "requests sum, latency a quantile such as p99",
          to_string(alarm.statistic), to_string(alarm.metric));
    }
    if (alarm.metric == Signal::Requests && alarm.statistic == AlarmStatistic::Average) {
      add(errors, alarm.place, "requests have the statistic sum only");
    }
    if (latency && !(alarm.threshold > 0)) {
      add(errors, alarm.place, "the threshold of a latency is above 0s");
    }
  }
  if (!plan.watch) return;
  if (plan.watch->names.empty()) {
    add(errors, plan.watch->place, "alarms are watched, but none is named");
  }
  for (const std::string& name : plan.watch->names) {
    if (names.count(name) > 0) continue;
    add(errors, plan.watch->place,
        "the alarm \"{}\" is watched but nowhere declared; the scenario's given.alarms says what "
        "it measures",
        name);
  }
}

void check_hooks(const Plan& plan, std::vector<Error>& errors) {
  std::set<std::string> names;
  for (const Hook& hook : plan.hooks) {
    if (!names.insert(hook.name).second) {
      add(errors, hook.place, "there are two hooks \"{}\"", hook.name);
    }
    if (hook.url.empty() == hook.command.empty()) {
      add(errors, hook.place, "a hook has a url or a command, one of them");
    }
    if (hook.timeout <= Duration{}) add(errors, hook.place, "timeout must be longer than 0s");
    if (hook.retries < 0) add(errors, hook.place, "retries must not be negative");
  }
  for (const Step& step : plan.steps) {
    const auto* pause = std::get_if<Pause>(&step.what);
    if (pause == nullptr || pause->gate.empty() || names.count(pause->gate) > 0) continue;
    add(errors, step.place, "there is no hook \"{}\" to ask whether the gate is open", pause->gate);
  }
}

}  // namespace

std::string named(const CheckSpec& spec) {
  return spec.name.empty() ? "" : " " + spec.name;
}

void check_check(const CheckSpec& spec, std::vector<Error>& errors) {
  if (spec.limits.empty()) add(errors, spec.place, "the check has no limit");
  if (spec.every < kMinEvery) {
    add(errors, spec.place, "every is {}, allowed is {} or more", coalmine::to_string(spec.every),
        coalmine::to_string(Duration{kMinEvery}));
  }
  if (spec.window <= Duration{}) add(errors, spec.place, "window must be longer than 0s");
  if (spec.delay < Duration{}) add(errors, spec.place, "delay must not be negative");
  if (spec.count && *spec.count < 1) {
    add(errors, spec.place, "count is {}, allowed is 1 or more", *spec.count);
  }
  if (spec.count && spec.failures && *spec.failures >= *spec.count) {
    add(errors, spec.place, "the check can never fail: it measures {} times and allows {} failures",
        *spec.count, *spec.failures);
  }
  for (const Limit& limit : spec.limits) check_limit(spec, limit, errors);
}

void check_parts(const Plan& plan, bool canary_bakes, std::vector<Error>& errors) {
  for (const CheckSpec& spec : plan.checks) {
    check_check(spec, errors);
    const bool canary = std::any_of(spec.limits.begin(), spec.limits.end(), [](const Limit& limit) {
      return limit.scope == Scope::Canary && limit.signal != Signal::Constant;
    });
    if (canary && !canary_bakes) {
      add(errors, spec.place,
          "the check{} never sees canary traffic: no bake, pause or check step at a weight above "
          "0%",
          named(spec));
    }
    if (spec.from_step >= plan.steps.size() && !plan.steps.empty()) {
      add(errors, spec.place, "the check{} begins with step {}, but there are {} steps",
          named(spec), spec.from_step + 1, plan.steps.size());
    }
  }
  check_alarms(plan, errors);
  check_hooks(plan, errors);
  if (plan.rollback.kind == RollbackKind::Stepwise &&
      (!(plan.rollback.step.value > 0 && plan.rollback.step.value <= 100) ||
       plan.rollback.every <= Duration{})) {
    add(errors, {}, "a stepwise roll-back needs a step above 0% and a pause above 0s");
  }
  if (plan.deadline && plan.deadline->after <= shortest_length(plan)) {
    add(errors, plan.deadline->place,
        "the deadline is after {}, but the bakes alone take {}: the rollout can never end well",
        coalmine::to_string(plan.deadline->after), coalmine::to_string(shortest_length(plan)));
  }
}

Duration shortest_length(const Plan& plan) {
  Duration length = bake_length(plan);
  for (const Step& step : plan.steps) {
    const auto* pause = std::get_if<Pause>(&step.what);
    if (pause != nullptr && pause->gate.empty() && pause->on_timeout == OnTimeout::Continue) {
      length += pause->timeout.value_or(Duration{});
    }
    if (const auto* examine = std::get_if<Examine>(&step.what)) {
      Duration longest{};
      for (const CheckSpec& spec : examine->checks) {
        const int looks = std::min(spec.count.value_or(1), spec.successes.value_or(1 << 20));
        longest = std::max(longest, spec.delay + spec.every * (looks - 1));
      }
      length += longest;
    }
  }
  return length;
}

// --- doubts ------------------------------------------------------------------------------------

namespace {

void doubt_scope(const Limit& limit, const Place& place, const std::string& name,
                 std::vector<Error>& doubts) {
  if (limit.signal == Signal::Constant || limit.scope == Scope::Canary) return;
  if (limit.scope == Scope::Stable && limit.signal != Signal::Requests) {
    add(doubts, place,
        "{} reads the stable version: it says nothing about the canary, and may blame it", name);
  } else if (limit.scope == Scope::Service) {
    add(doubts, place,
        "{} reads the whole service: at a small weight the stable version's requests hide the "
        "canary's failures; scope canary sees them",
        name);
  }
}

void doubt_weights(const Plan& plan, std::vector<Error>& doubts) {
  double before = 0;
  bool looks = false;
  const bool watched = !plan.analyses.empty() || !plan.checks.empty() || plan.watch;
  for (const Step& step : plan.steps) {
    if (const auto* weight = std::get_if<SetWeight>(&step.what)) {
      if (weight->canary.value < before) {
        add(doubts, step.place, "the weight falls from {}% to {}%: is that meant?", before,
            weight->canary.value);
      } else if (weight->canary.value == before && before > 0) {
        add(doubts, step.place, "the weight is {}% already: this step changes nothing", before);
      }
      before = weight->canary.value;
    } else if (!std::holds_alternative<Promote>(step.what) &&
               !std::holds_alternative<ScaleCanary>(step.what)) {
      looks = true;
    }
  }
  if (!looks && !plan.steps.empty()) {
    add(doubts, plan.steps.front().place,
        "nothing is waited for: the canary has all traffic before anybody could look");
  } else if (!watched && !plan.steps.empty()) {
    const bool asks = has_step<Pause>(plan) || has_step<Examine>(plan);
    if (!asks && plan.hooks.empty()) {
      add(doubts, plan.steps.front().place,
          "no analysis, check or alarm looks at the canary: whatever it does, it is promoted");
    }
  }
}

/// A step that takes all tasks away while the canary has a weight, or before it gets one.
void doubt_tasks(const Plan& plan, std::vector<Error>& doubts) {
  bool none = false;
  double weight = 0;
  for (const Step& step : plan.steps) {
    const auto* scale = std::get_if<ScaleCanary>(&step.what);
    const auto* set = std::get_if<SetWeight>(&step.what);
    if (scale != nullptr) none = scale->how != ScaleCanary::How::FollowWeight && scale->amount <= 0;
    if (set != nullptr) weight = set->canary.value;
    if ((scale == nullptr && set == nullptr) || !none || weight <= 0) continue;
    add(doubts, step.place, "the canary has {}% of the traffic and no task to take it", weight);
  }
}

void doubt_check(const Plan& plan, const CheckSpec& spec, std::vector<Error>& doubts) {
  for (const Limit& limit : spec.limits) {
    doubt_scope(limit, spec.place,
                limit.name.empty() ? std::string(to_string(limit.signal)) : limit.name, doubts);
  }
  if (!spec.failures || spec.holds_step || spec.every <= Duration{}) return;
  const auto looks = 1 + shortest_length(plan) / spec.every;
  if (looks <= *spec.failures) {
    add(doubts, spec.place,
        "{} cannot fail in time: the plan leaves room for {} measurements, and {} failures are "
        "allowed",
        spec.name.empty() ? "the check" : spec.name, looks, *spec.failures);
  }
}

}  // namespace

std::vector<Error> check_doubts(const Plan& plan) {
  std::vector<Error> doubts = analysis_warnings(plan);
  doubt_weights(plan, doubts);
  doubt_tasks(plan, doubts);
  for (const CheckSpec& spec : plan.checks) doubt_check(plan, spec, doubts);
  if (plan.watch) {
    for (const AlarmSpec& alarm : plan.alarms) {
      const auto& names = plan.watch->names;
      if (std::find(names.begin(), names.end(), alarm.name) == names.end()) continue;
      Limit limit;
      limit.signal = alarm.metric;
      limit.scope = alarm.scope;
      doubt_scope(limit, alarm.place, "the alarm " + alarm.name, doubts);
    }
  }
  if (plan.deadline && plan.deadline->after > shortest_length(plan) &&
      plan.deadline->after < shortest_length(plan) + shortest_length(plan) / 10) {
    add(doubts, plan.deadline->place, "the deadline of {} is cut close: the bakes alone take {}",
        coalmine::to_string(plan.deadline->after), coalmine::to_string(shortest_length(plan)));
  }
  return doubts;
}

// --- what no world plays -----------------------------------------------------------------------

namespace {

/// TargetGroupStickinessConfig's DurationSeconds (elasticloadbalancingv2 2015-12-01 model).
constexpr Duration kShortestStickiness = seconds{1},
                   kLongestStickiness = std::chrono::hours{24 * 7};

/// A step that brings requests to a canary which may have no task; null: none does.
const Step* needs_tasks_beside_weights(const Plan& plan) {
  bool follows = plan.capacity == CanaryCapacity::FollowWeight;
  double weight = 0;
  for (const Step& step : plan.steps) {
    if (const auto* scale = std::get_if<ScaleCanary>(&step.what)) {
      follows = scale->how == ScaleCanary::How::FollowWeight;
    }
    const auto* route = std::get_if<RouteMatching>(&step.what);
    const auto* mirror = std::get_if<Mirror>(&step.what);
    const bool beside = (route != nullptr && !route->any_of.empty()) ||
                        (mirror != nullptr && mirror->share.value > 0);
    if (const auto* set = std::get_if<SetWeight>(&step.what)) weight = set->canary.value;
    if (follows && weight <= 0 && beside) return &step;
  }
  return nullptr;
}

}  // namespace

std::vector<Error> check_playable(const Plan& plan) {
  std::vector<Error> errors;
  for (const Step& step : plan.steps) {
    if (const auto* route = std::get_if<RouteMatching>(&step.what)) {
      if (const auto said = conditions_of(route->any_of, plan.traffic); !said) {
        add(errors, step.place, "{}", said.error().message);
      }
    } else if (std::holds_alternative<Experiment>(step.what) && plan.affinity) {
      add(errors, step.place,
          "users who keep the version they met would keep the baseline, which is gone after the "
          "experiment: leave out either of the two");
    }
  }
  if (const Step* beside = needs_tasks_beside_weights(plan); beside != nullptr) {
    add(errors, beside->place,
        "tasks that follow the weight are none at 0%, and these requests come whatever the weight "
        "is: give the canary tasks by number or percent");
  }
  if (plan.affinity && plan.traffic == TrafficApi::AppMesh) {
    add(errors, plan.affinity->place,
        "App Mesh has no session affinity: every request draws anew. A load balancer has, by its "
        "target groups' cookie: traffic: alb");
  } else if (plan.affinity) {
    const Duration lasts = plan.affinity->lasts;
    if (lasts < kShortestStickiness || lasts > kLongestStickiness ||
        lasts % seconds{1} != Duration{}) {
      add(errors, plan.affinity->place,
          "users keep their version for {}; a load balancer's cookie lasts whole seconds, up to {}",
          coalmine::to_string(lasts), coalmine::to_string(kLongestStickiness));
    }
  }
  return errors;
}

}  // namespace coalmine::rollout
