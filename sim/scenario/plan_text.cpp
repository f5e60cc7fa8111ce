#include "sim/scenario/plan_text.h"

#include <algorithm>
#include <cctype>

#include "sim/core/units.h"

namespace coalmine::scenario {
namespace {

using rollout::AlarmSpec;
using rollout::Bound;
using rollout::CheckSpec;
using rollout::Limit;
using rollout::Signal;

/// Plain where YAML reads it back as the same text.
std::string scalar(const std::string& text) {
  const bool plain = !text.empty() && text != "none" && text != "true" && text != "false" &&
                     text != "null" && std::all_of(text.begin(), text.end(), [](unsigned char c) {
                       return std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-' || c == '/';
                     });
  const bool number = !text.empty() && std::isdigit(static_cast<unsigned char>(text[0])) != 0;
  if (plain && !number && text[0] != '-') return text;
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "\"";
}

std::string time(Duration d) {
  return coalmine::to_string(d);
}

/// "{a: 1, b: 2}" of what was added.
class Flow {
 public:
  void add(std::string_view key, const std::string& value) {
    text_ += fmt::format("{}{}: {}", text_.empty() ? "" : ", ", key, value);
  }
  template <typename T>
  void add_unless(std::string_view key, const T& value, const T& fallback,
                  const std::string& text) {
    if (value != fallback) add(key, text);
  }
  std::string str() const { return "{" + text_ + "}"; }

 private:
  std::string text_;
};

template <typename T>
std::string name_of(T value) {
  return std::string(rollout::to_string(value));
}

std::string quantile(double q) {
  return fmt::format("p{:.6g}", q * 100);
}

std::string value_text(Signal signal, double value) {
  if (signal == Signal::Errors) return fmt::format("{}%", value);
  if (signal == Signal::Latency) return time(from_seconds(value));
  return fmt::format("{}/s", value);
}

// --- checks ------------------------------------------------------------------------------------

std::string limit_text(const Limit& limit) {
  Flow flow;
  flow.add("metric", name_of(limit.signal));
  if (!limit.name.empty()) flow.add("name", scalar(limit.name));
  flow.add_unless("scope", limit.scope, rollout::Scope::Canary, name_of(limit.scope));
  if (limit.signal == Signal::Latency) flow.add("quantile", quantile(limit.quantile));
  if (limit.signal == Signal::Constant) flow.add("result", name_of(limit.constant));
  const auto bound = [&](const std::optional<Bound>& b, const char* itself, const char* beyond) {
    if (b) flow.add(b->itself ? itself : beyond, value_text(limit.signal, b->value));
  };
  bound(limit.pass_max, "max", "below");
  bound(limit.pass_min, "min", "above");
  bound(limit.fail_above, "fails-from", "fails-over");
  bound(limit.fail_below, "fails-to", "fails-under");
  if (limit.window) flow.add("window", time(*limit.window));
  return flow.str();
}

std::string check_text(const CheckSpec& spec, const std::string& indent) {
  const CheckSpec usual;
  std::string text;
  const auto line = [&](std::string_view key, const std::string& value) {
    text += fmt::format("{}{}{}: {}\n", indent, text.empty() ? "- " : "  ", key, value);
  };
  if (!spec.name.empty()) line("name", scalar(spec.name));
  line("every", time(spec.every));
  line("window", time(spec.window));
  if (spec.delay > Duration{}) line("delay", time(spec.delay));
  if (spec.count) line("count", fmt::format("{}", *spec.count));
  line("failures", spec.failures ? fmt::format("{}", *spec.failures) : "none");
  if (spec.inconclusives != usual.inconclusives) {
    line("inconclusives", spec.inconclusives ? fmt::format("{}", *spec.inconclusives) : "none");
  }
  if (spec.errors_in_a_row != usual.errors_in_a_row) {
    line("errors-in-a-row", fmt::format("{}", spec.errors_in_a_row));
  }
  if (spec.successes) line("successes", fmt::format("{}", *spec.successes));
  if (spec.counted != usual.counted) line("counted", name_of(spec.counted));
  line("on-no-data", name_of(spec.no_data));
  if (spec.on_fail != usual.on_fail) line("on-fail", name_of(spec.on_fail));
  if (spec.on_inconclusive != usual.on_inconclusive) {
    line("on-inconclusive", name_of(spec.on_inconclusive));
  }
  if (spec.holds_step) line("holds-step", "true");
  if (spec.acts_late) line("acts-late", "true");
  if (spec.from_step > 0) line("from-step", fmt::format("{}", spec.from_step + 1));
  if (spec.to_step) line("to-step", fmt::format("{}", *spec.to_step + 1));
  if (spec.retry_errors > Duration{}) line("retry-errors", time(spec.retry_errors));
  line("limits", "");
  text.resize(text.size() - 2);
  text += "\n";
  for (const Limit& limit : spec.limits) {
    text += fmt::format("{}    - {}\n", indent, limit_text(limit));
  }
  return text;
}

// --- steps -------------------------------------------------------------------------------------

std::string step_text(const rollout::Step& step) {
  using namespace rollout;
  Flow flow;
  if (const auto* weight = std::get_if<SetWeight>(&step.what)) {
    flow.add("weight", coalmine::to_string(weight->canary));
  } else if (const auto* bake = std::get_if<Bake>(&step.what)) {
    flow.add("bake", time(bake->length));
  } else if (const auto* pause = std::get_if<Pause>(&step.what)) {
    Flow inner;
    if (pause->timeout) inner.add("timeout", time(*pause->timeout));
    if (pause->on_timeout == OnTimeout::Continue) inner.add("on-timeout", "continue");
    if (!pause->gate.empty()) inner.add("gate", scalar(pause->gate));
    flow.add("pause", inner.str());
  } else if (const auto* promote = std::get_if<Promote>(&step.what)) {
    Flow inner;
    inner.add("version", promote->version);
    if (promote->kind == PromoteKind::Replace) inner.add("kind", "replace");
    if (promote->kind == PromoteKind::ImageSwap) inner.add("kind", "image-swap");
    if (promote->stops_idle) inner.add("stops-idle", "true");
    const bool plain = promote->kind == PromoteKind::ByWeights && !promote->stops_idle;
    flow.add("promote", plain ? promote->version : inner.str());
  } else if (const auto* route = std::get_if<RouteMatching>(&step.what)) {
    std::string list;
    for (const RouteMatch& match : route->any_of) {
      Flow inner;
      inner.add(match.by == RouteMatch::By::Header   ? "header"
                : match.by == RouteMatch::By::Cookie ? "cookie"
                                                     : "segment",
                scalar(match.name));
      if (!match.value.empty()) inner.add(match.regex ? "regex" : "value", scalar(match.value));
      list += (list.empty() ? "" : ", ") + inner.str();
    }
    flow.add("route", "[" + list + "]");
  } else if (const auto* mirror = std::get_if<Mirror>(&step.what)) {
    flow.add("mirror", coalmine::to_string(mirror->share));
  } else if (const auto* scale = std::get_if<ScaleCanary>(&step.what)) {
    Flow inner;
    if (scale->how == ScaleCanary::How::Tasks)
      inner.add("tasks", fmt::format("{:.0f}", scale->amount));
    if (scale->how == ScaleCanary::How::Percent)
      inner.add("percent", fmt::format("{}%", scale->amount));
    if (scale->how == ScaleCanary::How::FollowWeight) inner.add("follow", "weight");
    flow.add("scale-canary", inner.str());
  } else if (const auto* experiment = std::get_if<Experiment>(&step.what)) {
    Flow inner;
    inner.add("for", time(experiment->length));
    inner.add("share", coalmine::to_string(experiment->share));
    flow.add("experiment", inner.str());
  }
  return flow.str();
}

std::string steps_text(const std::vector<rollout::Step>& steps) {
  std::string text = "  plan:\n";
  std::string line;
  const auto flush = [&] {
    if (!line.empty()) text += "    - " + line + "\n";
    line.clear();
  };
  for (const rollout::Step& step : steps) {
    flush();
    if (const auto* examine = std::get_if<rollout::Examine>(&step.what)) {
      text += "    - check:\n";
      for (const CheckSpec& spec : examine->checks) text += check_text(spec, "        ");
    } else {
      line = step_text(step);
    }
  }
  flush();
  return text;
}

// --- alarms ------------------------------------------------------------------------------------

std::string comparison_word(rollout::AlarmComparison comparison) {
  switch (comparison) {
    case rollout::AlarmComparison::GreaterOrEqual:
      return "greater-or-equal";
    case rollout::AlarmComparison::Greater:
      return "greater";
    case rollout::AlarmComparison::Less:
      return "less";
    case rollout::AlarmComparison::LessOrEqual:
      return "less-or-equal";
  }
  return "";
}

std::string alarm_text(const AlarmSpec& alarm) {
  using rollout::AlarmStatistic;
  Flow flow;
  flow.add("name", scalar(alarm.name));
  flow.add("metric", name_of(alarm.metric));
  flow.add("scope", name_of(alarm.scope));
  flow.add("statistic", alarm.statistic == AlarmStatistic::Quantile ? quantile(alarm.quantile)
                                                                    : name_of(alarm.statistic));
  flow.add("comparison", comparison_word(alarm.comparison));
  flow.add("threshold",
           alarm.statistic == AlarmStatistic::Sum
               ? fmt::format("{:.0f}", alarm.threshold)
               : value_text(
                     alarm.statistic == AlarmStatistic::Average ? Signal::Errors : Signal::Latency,
                     alarm.threshold));
  flow.add("period", time(alarm.period));
  flow.add("periods", fmt::format("{}", alarm.periods));
  flow.add("to-alarm", fmt::format("{}", alarm.to_alarm));
  flow.add("missing-data", name_of(alarm.missing));
  if (alarm.initially != rollout::AlarmState::InsufficientData) {
    flow.add("initially", name_of(alarm.initially));
  }
  return flow.str();
}

std::string alarms_text(const rollout::Plan& plan) {
  std::vector<AlarmSpec> alarms = plan.alarms;
  bool guessed = false;
  for (std::size_t i = 0; plan.watch && i < plan.watch->names.size(); ++i) {
    const std::string& name = plan.watch->names[i];
    if (std::any_of(alarms.begin(), alarms.end(),
                    [&name](const AlarmSpec& a) { return a.name == name; })) {
      continue;
    }
    guessed = true;
    alarms.push_back(guessed_alarm(name));
  }
  if (alarms.empty()) return {};
  std::string text = "given:\n  alarms:\n";
  if (guessed) {
    text += "    # The plan only names its alarms: what they measure below is a first guess.\n";
  }
  for (const AlarmSpec& alarm : alarms) text += "    - " + alarm_text(alarm) + "\n";
  return text;
}

// --- the rest ----------------------------------------------------------------------------------

std::string hook_text(const rollout::Hook& hook) {
  Flow flow;
  flow.add("name", scalar(hook.name));
  flow.add("at", name_of(hook.at));
  if (!hook.url.empty()) flow.add("url", scalar(hook.url));
  if (!hook.command.empty()) flow.add("command", scalar(hook.command));
  flow.add("timeout", time(hook.timeout));
  if (hook.retries > 0) flow.add("retries", fmt::format("{}", hook.retries));
  flow.add("on-fail", name_of(hook.on_fail));
  return flow.str();
}

std::string ends_text(const rollout::Plan& plan) {
  using namespace rollout;
  std::string text;
  if (plan.on_no_data != OnNoData::Hold) {
    text += fmt::format("  on-no-data: {}\n",
                        plan.on_no_data == OnNoData::Continue ? "continue" : "rollback");
  }
  if (plan.rollback.kind == RollbackKind::Hold) text += "  rollback: {kind: hold}\n";
  if (plan.rollback.kind == RollbackKind::Stepwise) {
    text += fmt::format("  rollback: {{kind: stepwise, step: {}, every: {}}}\n",
                        coalmine::to_string(plan.rollback.step), time(plan.rollback.every));
  }
  if (plan.deadline) {
    text += fmt::format("  deadline: {{after: {}, then: {}}}\n", time(plan.deadline->after),
                        name_of(plan.deadline->then));
  }
  if (plan.on_newer != OnNewer::Restart) {
    text += fmt::format("  on-newer: {}\n", plan.on_newer == OnNewer::Swap ? "swap" : "refuse");
  }
  if (plan.affinity) {
    text += fmt::format("  session-affinity: {{cookie: {}, lasts: {}}}\n",
                        scalar(plan.affinity->cookie), time(plan.affinity->lasts));
  }
  if (plan.load) text += fmt::format("  load: {}\n", coalmine::to_string(plan.load->rate));
  if (plan.capacity == CanaryCapacity::FollowWeight) text += "  canary-tasks: follow-weight\n";
  if (plan.task_patience != kTaskPatience) {
    text += fmt::format("  tasks-ready-within: {}\n", time(plan.task_patience));
  }
  return text;
}

}  // namespace

rollout::AlarmSpec guessed_alarm(std::string name) {
  AlarmSpec alarm;
  alarm.name = std::move(name);
  alarm.statistic = rollout::AlarmStatistic::Average;
  alarm.threshold = 1;
  alarm.missing = rollout::MissingData::NotBreaching;
  return alarm;
}

std::string render_plan(const rollout::Plan& plan) {
  std::string text = alarms_text(plan);
  text += fmt::format("rollout:\n  stable: {}\n  canary: {}\n", plan.stable, plan.canary);
  text += steps_text(plan.steps);
  if (!plan.checks.empty()) text += "  checks:\n";
  for (const CheckSpec& spec : plan.checks) text += check_text(spec, "    ");
  if (plan.watch) {
    std::string names;
    for (const std::string& name : plan.watch->names) {
      names += (names.empty() ? "" : ", ") + scalar(name);
    }
    text += fmt::format("  alarms: {{watch: [{}], if-red-at-start: {}, on-alarm: {}}}\n", names,
                        plan.watch->at_start == rollout::AlarmAtStart::Stop ? "stop" : "ignore",
                        name_of(plan.watch->on_alarm));
  }
  if (!plan.hooks.empty()) text += "  hooks:\n";
  for (const rollout::Hook& hook : plan.hooks) text += "    - " + hook_text(hook) + "\n";
  return text + ends_text(plan);
}

}  // namespace coalmine::scenario
