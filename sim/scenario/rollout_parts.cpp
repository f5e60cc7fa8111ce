// The parts of a rollout beside weights and analyses: checks, alarms, hooks, ends.
#include "sim/scenario/tables.h"

namespace coalmine::scenario {
namespace {

using rollout::AlarmSpec;
using rollout::Bound;
using rollout::CheckResult;
using rollout::CheckSpec;
using rollout::Limit;
using rollout::OnFail;
using rollout::Scope;
using rollout::Signal;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::int64_t kMaxCount = 1'000'000;

Rule<OnFail> on_fail_rule(std::string doc) {
  return word_rule<OnFail>(
      std::move(doc),
      {{"rollback", OnFail::Rollback}, {"pause", OnFail::Pause}, {"ignore", OnFail::Ignore}});
}

Rule<Scope> scope_rule() {
  return word_rule<Scope>(
      "whose requests are looked at; default canary",
      {{"canary", Scope::Canary}, {"stable", Scope::Stable}, {"service", Scope::Service}});
}

Rule<CheckResult> result_rule(std::string doc) {
  return word_rule<CheckResult>(std::move(doc), {{"passed", CheckResult::Passed},
                                                 {"failed", CheckResult::Failed},
                                                 {"inconclusive", CheckResult::Inconclusive},
                                                 {"error", CheckResult::Error}});
}

/// A whole number, or "none".
using MaybeCount = std::optional<int>;
Rule<MaybeCount> count_or_none_rule(std::string doc) {
  Json schema = {
      {"description", std::move(doc)},
      {"oneOf",
       {{{"type", "integer"}, {"minimum", 0}, {"maximum", kMaxCount}}, {{"enum", {"none"}}}}}};
  const auto number = integer_rule("", 0, kMaxCount).read;
  return {std::move(schema), [number](const YamlNode& node, Reader& reader, MaybeCount& out) {
            if (node.text == "none") {
              out = std::nullopt;
              return true;
            }
            std::int64_t value = 0;
            if (!number(node, reader, value)) return false;
            out = static_cast<int>(value);
            return true;
          }};
}

// --- limits ------------------------------------------------------------------------------------

/// A value in the signal's unit: 1% of errors, 250ms of latency, 5/s of requests.
bool read_value(const YamlNode& node, Reader& reader, Signal signal, double& out) {
  if (signal == Signal::Errors) {
    const Result<Percent> percent = parse_percent(node.text);
    if (percent) out = percent->value;
    return percent || reader.problem(node, "{} is no share of errors such as 1%", describe(node));
  }
  if (signal == Signal::Latency) {
    const Result<Duration> time = parse_duration(node.text);
    if (time) out = to_seconds(*time);
    return time || reader.problem(node, "{} is no latency such as 250ms", describe(node));
  }
  const Result<Rate> rate = parse_rate(node.text);
  if (rate) out = rate->per_s;
  return rate || reader.problem(node, "{} is no rate of requests such as 5/s", describe(node));
}

struct BoundKey {
  const char* key;
  const char* doc;
  std::optional<Bound> Limit::*bound;
  bool itself;
};
constexpr BoundKey kBoundKeys[] = {
    {"max", "passes up to this: 1% of errors, 250ms, 5/s", &Limit::pass_max, true},
    {"below", "passes below this", &Limit::pass_max, false},
    {"min", "passes from this on", &Limit::pass_min, true},
    {"above", "passes above this", &Limit::pass_min, false},
    {"fails-over", "fails above this", &Limit::fail_above, false},
    {"fails-from", "fails from this on", &Limit::fail_above, true},
    {"fails-under", "fails below this", &Limit::fail_below, false},
    {"fails-to", "fails up to this", &Limit::fail_below, true},
};

struct LimitDraft {
  Limit limit;
  bool constant = false;
};

bool finish_limit(const YamlNode& node, Reader& reader, LimitDraft& draft) {
  Limit& limit = draft.limit;
  bool good = true;
  for (const auto& [name, value] : node.pairs) {
    for (const BoundKey& key : kBoundKeys) {
      if (name.text != key.key) continue;
      if (limit.*key.bound) {
        good = reader.problem(name, "this side of the limit is given twice");
        continue;
      }
      Bound bound{0, key.itself};
      good = read_value(value, reader, limit.signal, bound.value) && good;
      limit.*key.bound = bound;
    }
  }
  return good;
}

Rule<Limit> limit_rule() {
  ObjectRule<LimitDraft> object("what a check holds against what");
  object.add("metric", true,
             word_rule<Signal>("what is measured: the share of errors, a quantile of latency, "
                               "requests per second, or nothing at all",
                               {{"errors", Signal::Errors},
                                {"latency", Signal::Latency},
                                {"requests", Signal::Requests},
                                {"constant", Signal::Constant}}),
             [](LimitDraft& d, Signal signal) { d.limit.signal = signal; });
  object.add("name", false, text_rule("its name for people; default: the metric's"),
             [](LimitDraft& d, std::string name) { d.limit.name = std::move(name); });
  object.add("scope", false, scope_rule(),
             [](LimitDraft& d, Scope scope) { d.limit.scope = scope; });
  object.add("quantile", false, quantile_rule("of latency; default p99"),
             [](LimitDraft& d, double quantile) { d.limit.quantile = quantile; });
  object.add("window", false, duration_rule("instead of the check's window", seconds{1}, hours{24}),
             [](LimitDraft& d, Duration window) { d.limit.window = window; });
  object.add("result", false, result_rule("of the metric constant; default passed"),
             [](LimitDraft& d, CheckResult result) { d.limit.constant = result; });
  for (const BoundKey& key : kBoundKeys) {
    object.add(key.key, false, text_rule(key.doc, 40), [](LimitDraft&, const std::string&) {});
  }
  object.then(finish_limit);
  return converted<Limit>(object.rule(), [](LimitDraft&& draft) { return draft.limit; });
}

}  // namespace

Rule<bool> truth_rule(std::string doc) {
  Json schema = {{"description", std::move(doc)}, {"type", "boolean"}};
  return {std::move(schema), [](const YamlNode& node, Reader& reader, bool& out) {
            if (node.kind != YamlNode::Kind::Scalar || node.quoted ||
                (node.text != "true" && node.text != "false")) {
              return reader.problem(node, "{} is not allowed here; true and false are",
                                    describe(node));
            }
            out = node.text == "true";
            return true;
          }};
}

// --- checks ------------------------------------------------------------------------------------

Rule<CheckSpec> plan_check_rule() {
  const auto step = [](std::string doc) { return integer_rule(std::move(doc), 1, 10000); };
  ObjectRule<CheckSpec> object(
      "measurements on a schedule, counted as rollout tools count them; no promise on false "
      "alarms");
  object.optional("name", text_rule("for people"), &CheckSpec::name)
      .required("limits",
                list_rule("in order; the first that does not pass is the measurement's result",
                          limit_rule(), 1, 20),
                &CheckSpec::limits)
      .optional(
          "every",
          duration_rule("from one measurement to the next; default 1m", seconds{1}, hours{24}),
          &CheckSpec::every)
      .optional("window",
                duration_rule("a measurement looks back so far; default 1m", seconds{1}, hours{24}),
                &CheckSpec::window)
      .optional("delay",
                duration_rule("from the start to the first measurement; default 0s", Duration{},
                              kMaxLimit),
                &CheckSpec::delay)
      .add("count", false,
           integer_rule("passed after so many measurements; default: never ends", 1, kMaxCount),
           [](CheckSpec& c, std::int64_t n) { c.count = static_cast<int>(n); })
      .add("failures", false,
           count_or_none_rule("so many failed measurements are allowed; default 0"),
           [](CheckSpec& c, MaybeCount n) { c.failures = n; })
      .add("inconclusives", false,
           count_or_none_rule("so many inconclusive measurements are allowed; default 0"),
           [](CheckSpec& c, MaybeCount n) { c.inconclusives = n; })
      .add("errors-in-a-row", false,
           integer_rule("so many measurement errors in a row are allowed; default 4", 0,
                        std::int64_t{1} << 30),
           [](CheckSpec& c, std::int64_t n) { c.errors_in_a_row = static_cast<int>(n); })
      .add("successes", false,
           integer_rule("passed after so many successes in a row", 1, kMaxCount),
           [](CheckSpec& c, std::int64_t n) { c.successes = static_cast<int>(n); })
      .optional("counted",
                word_rule<rollout::Tally>("which failures count together; default rollout",
                                          {{"rollout", rollout::Tally::Rollout},
                                           {"step", rollout::Tally::Step},
                                           {"in-a-row", rollout::Tally::InARow}}),
                &CheckSpec::counted)
      .optional("on-no-data", result_rule("a measurement without data is this; default failed"),
                &CheckSpec::no_data)
      .optional("on-fail", on_fail_rule("what a failed check does; default rollback"),
                &CheckSpec::on_fail)
      .optional("on-inconclusive", on_fail_rule("what an inconclusive check does; default pause"),
                &CheckSpec::on_inconclusive)
      .optional("holds-step",
                truth_rule("a measurement that does not pass keeps the bake from ending until the "
                           "next one; default false"),
                &CheckSpec::holds_step)
      .optional("acts-late",
                truth_rule("a failure acts when the next measurement is due; default false"),
                &CheckSpec::acts_late)
      .add("from-step", false, step("begins with this step of the plan; default 1"),
           [](CheckSpec& c, std::int64_t n) { c.from_step = static_cast<std::size_t>(n - 1); })
      .add("to-step", false, step("ends before this step of the plan; default: with the rollout"),
           [](CheckSpec& c, std::int64_t n) { c.to_step = static_cast<std::size_t>(n - 1); })
      .optional("retry-errors",
                duration_rule("after a measurement error measure again then; default: as always",
                              seconds{1}, hours{1}),
                &CheckSpec::retry_errors)
      .then([](const YamlNode& node, Reader& reader, CheckSpec& spec) {
        spec.place = reader.place(node);
        return true;
      });
  return object.rule();
}

// --- alarms ------------------------------------------------------------------------------------

namespace {

struct AlarmDraft {
  AlarmSpec spec;
  std::string statistic, threshold;
};

bool finish_alarm(const YamlNode& node, Reader& reader, AlarmDraft& d) {
  AlarmSpec& spec = d.spec;
  spec.place = reader.place(node);
  const YamlNode* threshold = nullptr;
  const YamlNode* statistic = &node;
  for (const auto& [name, value] : node.pairs) {
    if (name.text == "threshold") threshold = &value;
    if (name.text == "statistic") statistic = &value;
  }
  if (d.statistic == "sum" || d.statistic == "average") {
    spec.statistic =
        d.statistic == "sum" ? rollout::AlarmStatistic::Sum : rollout::AlarmStatistic::Average;
  } else if (quantile_rule("").read(*statistic, reader, spec.quantile)) {
    spec.statistic = rollout::AlarmStatistic::Quantile;
  } else {
    return false;
  }
  if (spec.statistic == rollout::AlarmStatistic::Sum) {
    const auto count = parse_integer(threshold->text, "threshold", 0, 1'000'000'000'000);
    if (!count) {
      return reader.problem(*threshold,
                            "{} is no count; of the statistic sum the threshold is a "
                            "whole number",
                            describe(*threshold));
    }
    spec.threshold = static_cast<double>(*count);
    return true;
  }
  return read_value(
      *threshold, reader,
      spec.statistic == rollout::AlarmStatistic::Average ? Signal::Errors : Signal::Latency,
      spec.threshold);
}

}  // namespace

Rule<AlarmSpec> alarm_rule() {
  using D = AlarmDraft;
  using rollout::AlarmComparison;
  using rollout::AlarmState;
  using rollout::MissingData;
  ObjectRule<D> object("an alarm as CloudWatch has them; a rollout watches it by name");
  object
      .add("name", true, name_rule("its name"),
           [](D& d, std::string name) { d.spec.name = std::move(name); })
      .add("metric", true,
           word_rule<Signal>("what is measured", {{"errors", Signal::Errors},
                                                  {"latency", Signal::Latency},
                                                  {"requests", Signal::Requests}}),
           [](D& d, Signal metric) { d.spec.metric = metric; })
      .add("scope", false, scope_rule(), [](D& d, Scope scope) { d.spec.scope = scope; })
      .required("statistic",
                text_rule("sum (a count), average (of errors: their share) or a quantile such as "
                          "p99 (of latency)",
                          10),
                &D::statistic)
      .add("comparison", false,
           word_rule<AlarmComparison>("how the statistic breaches the threshold; default greater",
                                      {{"greater", AlarmComparison::Greater},
                                       {"greater-or-equal", AlarmComparison::GreaterOrEqual},
                                       {"less", AlarmComparison::Less},
                                       {"less-or-equal", AlarmComparison::LessOrEqual}}),
           [](D& d, AlarmComparison c) { d.spec.comparison = c; })
      .required("threshold", text_rule("a count, a share such as 1%, or a latency", 40),
                &D::threshold)
      .add("period", false,
           duration_rule("one statistic per period; default 1m", seconds{10}, hours{24}),
           [](D& d, Duration period) { d.spec.period = period; })
      .add("periods", false,
           integer_rule("N: so many of the last periods are looked at; default 1", 1,
                        rollout::kMaxAlarmPeriods),
           [](D& d, std::int64_t n) { d.spec.periods = static_cast<int>(n); })
      .add("to-alarm", false,
           integer_rule("M: so many of them must breach; default 1", 1, rollout::kMaxAlarmPeriods),
           [](D& d, std::int64_t n) { d.spec.to_alarm = static_cast<int>(n); })
      .add("missing-data", false,
           word_rule<MissingData>("how periods without data count; default missing",
                                  {{"missing", MissingData::Missing},
                                   {"ignore", MissingData::Ignore},
                                   {"breaching", MissingData::Breaching},
                                   {"not-breaching", MissingData::NotBreaching}}),
           [](D& d, MissingData missing) { d.spec.missing = missing; })
      .add("initially", false,
           word_rule<AlarmState>("its state before the rollout; default INSUFFICIENT_DATA",
                                 {{"OK", AlarmState::Ok},
                                  {"ALARM", AlarmState::Alarm},
                                  {"INSUFFICIENT_DATA", AlarmState::InsufficientData}}),
           [](D& d, AlarmState state) { d.spec.initially = state; })
      .then(finish_alarm);
  return converted<AlarmSpec>(object.rule(), [](D&& d) { return std::move(d.spec); });
}

Rule<rollout::AlarmWatch> watch_rule() {
  using rollout::AlarmAtStart;
  using rollout::AlarmWatch;
  return ObjectRule<AlarmWatch>("alarms (given.alarms) that end the rollout")
      .required("watch", list_rule("their names", name_rule("of an alarm"), 1, 100),
                &AlarmWatch::names)
      .optional(
          "if-red-at-start",
          word_rule<AlarmAtStart>("one is in ALARM as the rollout begins: ignore all alarms "
                                  "(as ECS does), or stop; default ignore",
                                  {{"ignore", AlarmAtStart::Ignore}, {"stop", AlarmAtStart::Stop}}),
          &AlarmWatch::at_start)
      .optional("on-alarm", on_fail_rule("what an alarm does; default rollback"),
                &AlarmWatch::on_alarm)
      .then([](const YamlNode& node, Reader& reader, AlarmWatch& watch) {
        watch.place = reader.place(node);
        return true;
      })
      .rule();
}

// --- hooks and ends ----------------------------------------------------------------------------

Rule<rollout::Hook> hook_rule() {
  using rollout::Hook;
  using rollout::HookStage;
  ObjectRule<Hook> object("a call to somebody who may object");
  object.required("name", name_rule("its name"), &Hook::name)
      .required(
          "at",
          word_rule<HookStage>("when it is called", {{"pre-rollout", HookStage::PreRollout},
                                                     {"pre-step", HookStage::PreStep},
                                                     {"post-step", HookStage::PostStep},
                                                     {"confirm-promote", HookStage::ConfirmPromote},
                                                     {"post-rollout", HookStage::PostRollout},
                                                     {"on-rollback", HookStage::OnRollback},
                                                     {"gate", HookStage::Gate}}),
          &Hook::at)
      .optional("url", text_rule("POSTed to; 200 to 202 passes", 2000), &Hook::url)
      .optional("command", text_rule("run by the shell; 0 passes", 2000), &Hook::command)
      .optional("timeout", duration_rule("of one call; default 10s", milliseconds{1}, hours{24}),
                &Hook::timeout)
      .add("retries", false, integer_rule("further calls when it objects; default 0", 0, 1000),
           [](Hook& h, std::int64_t n) { h.retries = static_cast<int>(n); })
      .optional("on-fail", on_fail_rule("what an objection does; default rollback"), &Hook::on_fail)
      .exactly_one_of({"url", "command"})
      .then([](const YamlNode& node, Reader& reader, Hook& hook) {
        hook.place = reader.place(node);
        return true;
      });
  return object.rule();
}

Rule<rollout::Rollback> rollback_rule() {
  using rollout::Rollback;
  using rollout::RollbackKind;
  return ObjectRule<Rollback>("how a roll-back is done; default at once")
      .required("kind",
                word_rule<RollbackKind>("at once, step by step, or not at all: hold the weights "
                                        "until an operator speaks",
                                        {{"at-once", RollbackKind::AtOnce},
                                         {"stepwise", RollbackKind::Stepwise},
                                         {"hold", RollbackKind::Hold}}),
                &Rollback::kind)
      .optional("step", percent_rule("stepwise: so much less each time; default 10%", 0, 100),
                &Rollback::step)
      .optional(
          "every",
          duration_rule("stepwise: from one step to the next; default 1m", seconds{1}, hours{24}),
          &Rollback::every)
      .rule();
}

Rule<rollout::Deadline> deadline_rule() {
  using rollout::Deadline;
  return ObjectRule<Deadline>("when the rollout must be over")
      .required("after", duration_rule("since its start", seconds{1}, kMaxLimit), &Deadline::after)
      .optional("then", on_fail_rule("what happens then; default rollback"), &Deadline::then)
      .then([](const YamlNode& node, Reader& reader, Deadline& deadline) {
        deadline.place = reader.place(node);
        return true;
      })
      .rule();
}

Rule<rollout::SessionAffinity> affinity_rule() {
  using rollout::SessionAffinity;
  return ObjectRule<SessionAffinity>(
             "users keep the version they met first, whatever the weights say later; with traffic "
             "alb: its target groups' stickiness")
      .optional("cookie", name_rule("that remembers it; a load balancer calls it AWSALBTG always"),
                &SessionAffinity::cookie)
      .optional("lasts",
                duration_rule("so long, from the request on that met it; default 1d, a load "
                              "balancer's longest is 7d",
                              seconds{1}, kMaxLimit),
                &SessionAffinity::lasts)
      .then([](const YamlNode& node, Reader& reader, SessionAffinity& affinity) {
        affinity.place = reader.place(node);
        return true;
      })
      .rule();
}

void add_parts(ObjectRule<Rollout>& object) {
  using rollout::OnNewer;
  using rollout::OnNoData;
  object
      .optional(
          "checks",
          list_rule("checks that run in the background", plan_check_rule(), 0, rollout::kMaxChecks),
          &Rollout::checks)
      .optional("alarms", watch_rule(), &Rollout::watch)
      .optional("hooks", list_rule("calls to others at stages of the rollout", hook_rule(), 0, 100),
                &Rollout::hooks)
      .optional("on-no-data",
                word_rule<OnNoData>("a bake ends and no canary request was counted: hold until "
                                    "there are some, continue as if all were well, or roll back; "
                                    "default hold",
                                    {{"hold", OnNoData::Hold},
                                     {"continue", OnNoData::Continue},
                                     {"rollback", OnNoData::Rollback}}),
                &Rollout::on_no_data)
      .optional("rollback", rollback_rule(), &Rollout::rollback)
      .optional("deadline", deadline_rule(), &Rollout::deadline)
      .optional("on-newer",
                word_rule<OnNewer>("a newer revision arrives (when: revision): roll back and "
                                   "begin anew with it, refuse it until this rollout is over, or "
                                   "swap it in at the present weight; default restart",
                                   {{"restart", OnNewer::Restart},
                                    {"refuse", OnNewer::Refuse},
                                    {"swap", OnNewer::Swap}}),
                &Rollout::on_newer)
      .optional("session-affinity", affinity_rule(), &Rollout::affinity)
      .optional("load",
                rate_rule("requests of the rollout's own, so that there is something to judge: to "
                          "/, with the header X-Coalmine-Load: 1, from the canary's first share "
                          "until the end. Metrics count them, users and blast radius do not",
                          0, kMaxRatePerS),
                &Rollout::load)
      .optional("canary-tasks",
                word_rule<rollout::CanaryCapacity>(
                    "as many as given, or following the weight; default full",
                    {{"full", rollout::CanaryCapacity::Full},
                     {"follow-weight", rollout::CanaryCapacity::FollowWeight}}),
                &Rollout::capacity)
      .optional("tasks-ready-within",
                duration_rule("tasks that the rollout asks for must take requests by then, or it "
                              "is rolled back; default 10m",
                              seconds{1}, kMaxLimit),
                &Rollout::task_patience);
}

void put_parts(Rollout&& draft, rollout::Plan& plan) {
  plan.checks = std::move(draft.checks);
  plan.watch = std::move(draft.watch);
  plan.hooks = std::move(draft.hooks);
  plan.on_no_data = draft.on_no_data;
  plan.rollback = draft.rollback;
  plan.deadline = draft.deadline;
  plan.on_newer = draft.on_newer;
  plan.affinity = draft.affinity;
  if (draft.load) plan.load = rollout::SyntheticLoad{*draft.load, draft.place};
  plan.capacity = draft.capacity;
  plan.task_patience = draft.task_patience;
}

}  // namespace coalmine::scenario
