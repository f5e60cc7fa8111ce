#include "sim/study/plan_words.h"

#include <fmt/format.h>

#include <vector>

#include "sim/rollout/matches.h"

namespace coalmine::study {
namespace {

using rollout::Bound;
using rollout::CheckSpec;
using rollout::Limit;
using rollout::Signal;

std::string value_words(Signal signal, double value) {
  if (signal == Signal::Errors) return fmt::format("{:g}%", value);
  if (signal == Signal::Latency) return to_string(from_seconds(value));
  return fmt::format("{:g}/s", value);
}

std::string signal_words(Signal signal, double quantile) {
  if (signal == Signal::Latency) return fmt::format("p{:g}", quantile * 100);
  return std::string(rollout::to_string(signal));
}

std::string scope_words(rollout::Scope scope) {
  if (scope == rollout::Scope::Canary) return {};
  return fmt::format(" of the {}", rollout::to_string(scope));
}

// --- tests -------------------------------------------------------------------------------------

std::string threshold_words(const rollout::Threshold& limit) {
  std::string text = "threshold";
  if (limit.max_errors) text += " " + to_string(*limit.max_errors);
  if (limit.max_latency) {
    text += fmt::format(" p{:g} {}", limit.quantile * 100, to_string(*limit.max_latency));
  }
  if (limit.consecutive > 1) text += fmt::format(" {} times in a row", limit.consecutive);
  return text;
}

std::string analysis_words(const rollout::AnalysisSpec& analysis) {
  std::string test(rollout::test_name(analysis.test));
  if (const auto* share = std::get_if<rollout::ErrorShareTest>(&analysis.test)) {
    test = fmt::format("error-share, alpha {}", share->alpha);
  } else if (const auto* sprt = std::get_if<rollout::SprtTest>(&analysis.test)) {
    test = fmt::format("sprt, {} against {}", to_string(sprt->from), to_string(sprt->to));
  } else if (const auto* limit = std::get_if<rollout::Threshold>(&analysis.test)) {
    test = threshold_words(*limit);
  }
  if (!analysis.segments.empty()) {
    test += fmt::format(", for each of {} segments", analysis.segments.size());
  }
  return fmt::format("{}: {}", analysis.metric, test);
}

// --- checks ------------------------------------------------------------------------------------

/// The good side of the limit.
std::string limit_words(const Limit& limit) {
  if (limit.signal == Signal::Constant) {
    return fmt::format("always {}", rollout::to_string(limit.constant));
  }
  std::vector<std::string> sides;
  const auto side = [&](const std::optional<Bound>& bound, const char* with, const char* without,
                        bool good) {
    if (!bound) return;
    sides.push_back(fmt::format("{} {}", bound->itself == good ? with : without,
                                value_words(limit.signal, bound->value)));
  };
  side(limit.pass_min, "at least", "over", true);
  if (!limit.pass_min) side(limit.fail_below, "at least", "over", false);
  side(limit.pass_max, "at most", "under", true);
  if (!limit.pass_max) side(limit.fail_above, "at most", "under", false);
  return fmt::format("{}{} {}", signal_words(limit.signal, limit.quantile),
                     scope_words(limit.scope), fmt::join(sides, " and "));
}

std::string failure_words(const CheckSpec& check) {
  if (!check.failures) return ", whatever comes out";
  const char* what = check.on_fail == rollout::OnFail::Rollback ? "rolled back"
                     : check.on_fail == rollout::OnFail::Pause  ? "paused"
                                                                : "told";
  if (*check.failures == 0) return fmt::format(", {} at the first failure", what);
  return fmt::format(", {} at failure {}{}", what, *check.failures + 1,
                     check.counted == rollout::Tally::InARow ? " in a row"
                     : check.counted == rollout::Tally::Step ? " of a step"
                                                             : "");
}

std::string check_words(const CheckSpec& check) {
  std::vector<std::string> limits;
  for (const Limit& limit : check.limits) limits.push_back(limit_words(limit));
  return fmt::format("{} every {}{}", fmt::join(limits, ", "), to_string(check.every),
                     failure_words(check));
}

// --- alarms ------------------------------------------------------------------------------------

std::string alarm_words(const rollout::AlarmSpec& alarm) {
  const bool counts = alarm.statistic == rollout::AlarmStatistic::Sum;
  return fmt::format(
      "alarm {} ({}{} {} {} in {})", alarm.name, signal_words(alarm.metric, alarm.quantile),
      scope_words(alarm.scope), rollout::to_string(alarm.comparison),
      counts ? fmt::format("{:g}", alarm.threshold) : value_words(alarm.metric, alarm.threshold),
      alarm.periods == 1 ? to_string(alarm.period)
                         : fmt::format("{} of {} times {}", alarm.to_alarm, alarm.periods,
                                       to_string(alarm.period)));
}

void add_alarms(const rollout::Plan& plan, std::vector<std::string>& parts) {
  if (!plan.watch) return;
  for (const std::string& name : plan.watch->names) {
    for (const rollout::AlarmSpec& alarm : plan.alarms) {
      if (alarm.name == name) parts.push_back(alarm_words(alarm));
    }
  }
}

// --- tasks -------------------------------------------------------------------------------------

std::string scale_words(const rollout::ScaleCanary& scale) {
  using How = rollout::ScaleCanary::How;
  if (scale.how == How::FollowWeight) return "tasks follow the weight";
  return scale.how == How::Tasks ? fmt::format("{:g} tasks", scale.amount)
                                 : fmt::format("{:g}% of the tasks", scale.amount);
}

std::string promotion_words(const rollout::Promote& promote) {
  switch (promote.kind) {
    case rollout::PromoteKind::ByWeights:
      return {};
    case rollout::PromoteKind::ImageSwap:
      return " by image swap";
    case rollout::PromoteKind::Replace:
      return " by replacement";
  }
  return {};
}

}  // namespace

std::string describe_steps(const rollout::Plan& plan) {
  std::string text;
  for (const rollout::Step& step : plan.steps) {
    const auto next = [&text] { return text.empty() ? "" : ", "; };
    if (const auto* weight = std::get_if<rollout::SetWeight>(&step.what)) {
      text += next() + to_string(weight->canary);
    } else if (const auto* bake = std::get_if<rollout::Bake>(&step.what)) {
      text += (text.empty() ? "bake " : " ") + to_string(bake->length);
    } else if (const auto* route = std::get_if<rollout::RouteMatching>(&step.what)) {
      text += fmt::format("{}route {}", next(),
                          route->any_of.empty() ? "none" : rollout::describe(route->any_of));
    } else if (const auto* mirror = std::get_if<rollout::Mirror>(&step.what)) {
      text += fmt::format("{}mirror {}", next(), to_string(mirror->share));
    } else if (const auto* experiment = std::get_if<rollout::Experiment>(&step.what)) {
      text += fmt::format("{}experiment at {} {}", next(), to_string(experiment->share),
                          to_string(experiment->length));
    } else if (std::holds_alternative<rollout::Pause>(step.what)) {
      text += next() + std::string("pause");
    } else if (const auto* scale = std::get_if<rollout::ScaleCanary>(&step.what)) {
      text += next() + scale_words(*scale);
    } else if (const auto* promote = std::get_if<rollout::Promote>(&step.what)) {
      text += next() + std::string("promote") + promotion_words(*promote);
    }
  }
  return text;
}

std::string describe_judge(const rollout::Plan& plan) {
  std::vector<std::string> parts;
  for (const rollout::AnalysisSpec& analysis : plan.analyses) {
    parts.push_back(analysis_words(analysis));
  }
  for (const CheckSpec& check : plan.checks) parts.push_back(check_words(check));
  for (const rollout::Step& step : plan.steps) {
    if (const auto* examine = std::get_if<rollout::Examine>(&step.what)) {
      for (const CheckSpec& check : examine->checks) parts.push_back(check_words(check));
    }
  }
  add_alarms(plan, parts);
  return fmt::format("{}", fmt::join(parts, "; "));
}

}  // namespace coalmine::study
