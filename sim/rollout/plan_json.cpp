#include "sim/rollout/plan_json.h"

#include <nlohmann/json.hpp>

namespace coalmine::rollout {
namespace {

// --- words -----------------------------------------------------------------------------------

std::string_view to_string(PromoteKind kind) {
  return kind == PromoteKind::ByWeights   ? "weights"
         : kind == PromoteKind::ImageSwap ? "image-swap"
                                          : "replace";
}
std::string_view to_string(RollbackKind kind) {
  return kind == RollbackKind::AtOnce     ? "at-once"
         : kind == RollbackKind::Stepwise ? "stepwise"
                                          : "hold";
}
std::string_view to_string(OnNewer on_newer) {
  return on_newer == OnNewer::Restart ? "restart" : on_newer == OnNewer::Refuse ? "refuse" : "swap";
}
std::string_view to_string(RouteMatch::By by) {
  return by == RouteMatch::By::Header   ? "header"
         : by == RouteMatch::By::Cookie ? "cookie"
                                        : "segment";
}
std::string_view to_string(ScaleCanary::How how) {
  return how == ScaleCanary::How::Tasks     ? "tasks"
         : how == ScaleCanary::How::Percent ? "percent"
                                            : "follow-weight";
}

template <typename E>
std::string word(E value) {
  return std::string(to_string(value));
}
/// For enums of the outer scope, which the overloads above would hide.
template <typename E>
std::string outer(E value) {
  return std::string(rollout::to_string(value));
}

/// Puts the value that `key` names among `values` into `out`; an absent key leaves it.
template <typename E, typename Name>
Status read_word(const Json& json, const char* key, std::initializer_list<E> values, Name name,
                 E& out) {
  if (find(json, key) == nullptr) return {};
  const std::string text = get_string(json, key);
  for (const E value : values) {
    if (name(value) == text) {
      out = value;
      return {};
    }
  }
  return error("{} is \"{}\", which this program does not know", key, text);
}

std::optional<Duration> duration_at(const Json& json, std::string_view key) {
  if (find(json, key) == nullptr) return std::nullopt;
  return Duration{get_int(json, key)};
}
std::optional<int> int_at(const Json& json, std::string_view key) {
  if (find(json, key) == nullptr) return std::nullopt;
  return static_cast<int>(get_int(json, key));
}

const auto kOnFailName = [](OnFail value) { return outer(value); };
Status read_on_fail(const Json& json, const char* key, OnFail& out) {
  return read_word(json, key, {OnFail::Rollback, OnFail::Pause, OnFail::Ignore}, kOnFailName, out);
}
Status read_signal(const Json& json, const char* key, Signal& out) {
  return read_word(
      json, key, {Signal::Errors, Signal::Latency, Signal::Requests, Signal::Constant},
      [](Signal value) { return outer(value); }, out);
}
Status read_scope(const Json& json, const char* key, Scope& out) {
  return read_word(
      json, key, {Scope::Canary, Scope::Stable, Scope::Service},
      [](Scope value) { return outer(value); }, out);
}
Status read_result(const Json& json, const char* key, CheckResult& out) {
  return read_word(
      json, key,
      {CheckResult::Passed, CheckResult::Failed, CheckResult::Inconclusive, CheckResult::Error},
      [](CheckResult value) { return outer(value); }, out);
}

/// Items of a list, each read by `read`; an absent key is an empty list.
template <typename T, typename Read>
Status read_list(const Json& json, const char* key, Read read, std::vector<T>& out) {
  const Json* list = find(json, key);
  if (list == nullptr || !list->is_array()) return {};
  for (const Json& item : *list) {
    TRY(T one, read(item));
    out.push_back(std::move(one));
  }
  return {};
}

// --- checks ----------------------------------------------------------------------------------

void put_bound(Json& json, const char* key, const std::optional<Bound>& bound) {
  if (bound) json[key] = {{"value", bound->value}, {"itself", bound->itself}};
}
std::optional<Bound> bound_at(const Json& json, const char* key) {
  const Json* found = find(json, key);
  if (found == nullptr) return std::nullopt;
  return Bound{get_number(*found, "value"), get_bool(*found, "itself", true)};
}

Json limit_to_json(const Limit& limit) {
  Json json = {{"name", limit.name},
               {"signal", outer(limit.signal)},
               {"scope", outer(limit.scope)},
               {"quantile", limit.quantile},
               {"constant", outer(limit.constant)}};
  put_bound(json, "pass-min", limit.pass_min);
  put_bound(json, "pass-max", limit.pass_max);
  put_bound(json, "fail-below", limit.fail_below);
  put_bound(json, "fail-above", limit.fail_above);
  if (limit.window) json["window_ns"] = limit.window->count();
  return json;
}

Result<Limit> limit_from_json(const Json& json) {
  Limit limit;
  limit.name = get_string(json, "name");
  TRY_STATUS(read_signal(json, "signal", limit.signal));
  TRY_STATUS(read_scope(json, "scope", limit.scope));
  limit.quantile = get_number(json, "quantile", limit.quantile);
  TRY_STATUS(read_result(json, "constant", limit.constant));
  limit.pass_min = bound_at(json, "pass-min");
  limit.pass_max = bound_at(json, "pass-max");
  limit.fail_below = bound_at(json, "fail-below");
  limit.fail_above = bound_at(json, "fail-above");
  limit.window = duration_at(json, "window_ns");
  return limit;
}

Json check_to_json(const CheckSpec& spec) {
  Json json = {{"name", spec.name},
               {"every_ns", spec.every.count()},
               {"window_ns", spec.window.count()},
               {"delay_ns", spec.delay.count()},
               {"errors-in-a-row", spec.errors_in_a_row},
               {"counted", outer(spec.counted)},
               {"no-data", outer(spec.no_data)},
               {"on-fail", outer(spec.on_fail)},
               {"on-inconclusive", outer(spec.on_inconclusive)},
               {"holds-step", spec.holds_step},
               {"acts-late", spec.acts_late},
               {"from-step", spec.from_step},
               {"retry-errors_ns", spec.retry_errors.count()},
               {"limits", Json::array()}};
  if (spec.to_step) json["to-step"] = *spec.to_step;
  if (spec.count) json["count"] = *spec.count;
  if (spec.failures) json["failures"] = *spec.failures;
  if (spec.inconclusives) json["inconclusives"] = *spec.inconclusives;
  if (spec.successes) json["successes"] = *spec.successes;
  for (const Limit& limit : spec.limits) json["limits"].push_back(limit_to_json(limit));
  return json;
}

Result<CheckSpec> check_from_json(const Json& json) {
  CheckSpec spec;
  spec.name = get_string(json, "name");
  spec.every = Duration{get_int(json, "every_ns", spec.every.count())};
  spec.window = Duration{get_int(json, "window_ns", spec.window.count())};
  spec.delay = Duration{get_int(json, "delay_ns")};
  spec.count = int_at(json, "count");
  spec.failures = int_at(json, "failures");
  spec.inconclusives = int_at(json, "inconclusives");
  spec.successes = int_at(json, "successes");
  spec.errors_in_a_row = static_cast<int>(get_int(json, "errors-in-a-row", 4));
  TRY_STATUS(read_word(
      json, "counted", {Tally::Rollout, Tally::Step, Tally::InARow},
      [](Tally value) { return outer(value); }, spec.counted));
  TRY_STATUS(read_result(json, "no-data", spec.no_data));
  TRY_STATUS(read_on_fail(json, "on-fail", spec.on_fail));
  TRY_STATUS(read_on_fail(json, "on-inconclusive", spec.on_inconclusive));
  spec.holds_step = get_bool(json, "holds-step");
  spec.acts_late = get_bool(json, "acts-late");
  spec.from_step = static_cast<std::size_t>(get_int(json, "from-step"));
  if (find(json, "to-step")) spec.to_step = static_cast<std::size_t>(get_int(json, "to-step"));
  spec.retry_errors = Duration{get_int(json, "retry-errors_ns")};
  TRY_STATUS(read_list(json, "limits", limit_from_json, spec.limits));
  return spec;
}

// --- alarms ----------------------------------------------------------------------------------

Json alarm_to_json(const AlarmSpec& alarm) {
  return {{"name", alarm.name},
          {"metric", outer(alarm.metric)},
          {"scope", outer(alarm.scope)},
          {"statistic", outer(alarm.statistic)},
          {"quantile", alarm.quantile},
          {"comparison", outer(alarm.comparison)},
          {"threshold", alarm.threshold},
          {"period_ns", alarm.period.count()},
          {"periods", alarm.periods},
          {"to-alarm", alarm.to_alarm},
          {"missing", outer(alarm.missing)},
          {"initially", outer(alarm.initially)}};
}

Result<AlarmSpec> alarm_from_json(const Json& json) {
  AlarmSpec alarm;
  alarm.name = get_string(json, "name");
  TRY_STATUS(read_signal(json, "metric", alarm.metric));
  TRY_STATUS(read_scope(json, "scope", alarm.scope));
  TRY_STATUS(read_word(
      json, "statistic", {AlarmStatistic::Sum, AlarmStatistic::Average, AlarmStatistic::Quantile},
      [](AlarmStatistic value) { return outer(value); }, alarm.statistic));
  alarm.quantile = get_number(json, "quantile", alarm.quantile);
  TRY_STATUS(read_word(
      json, "comparison",
      {AlarmComparison::GreaterOrEqual, AlarmComparison::Greater, AlarmComparison::Less,
       AlarmComparison::LessOrEqual},
      [](AlarmComparison value) { return outer(value); }, alarm.comparison));
  alarm.threshold = get_number(json, "threshold");
  alarm.period = Duration{get_int(json, "period_ns", alarm.period.count())};
  alarm.periods = static_cast<int>(get_int(json, "periods", 1));
  alarm.to_alarm = static_cast<int>(get_int(json, "to-alarm", 1));
  TRY_STATUS(read_word(
      json, "missing",
      {MissingData::Missing, MissingData::Ignore, MissingData::Breaching,
       MissingData::NotBreaching},
      [](MissingData value) { return outer(value); }, alarm.missing));
  TRY_STATUS(read_word(
      json, "initially", {AlarmState::Ok, AlarmState::Alarm, AlarmState::InsufficientData},
      [](AlarmState value) { return outer(value); }, alarm.initially));
  return alarm;
}

// --- hooks -----------------------------------------------------------------------------------

Json hook_to_json(const Hook& hook) {
  return {{"name", hook.name},
          {"at", outer(hook.at)},
          {"url", hook.url},
          {"command", hook.command},
          {"timeout_ns", hook.timeout.count()},
          {"retries", hook.retries},
          {"on-fail", outer(hook.on_fail)}};
}

Result<Hook> hook_from_json(const Json& json) {
  Hook hook;
  hook.name = get_string(json, "name");
  TRY_STATUS(read_word(
      json, "at",
      {HookStage::PreRollout, HookStage::PreStep, HookStage::PostStep, HookStage::ConfirmPromote,
       HookStage::PostRollout, HookStage::OnRollback, HookStage::Gate},
      [](HookStage value) { return outer(value); }, hook.at));
  hook.url = get_string(json, "url");
  hook.command = get_string(json, "command");
  hook.timeout = Duration{get_int(json, "timeout_ns", hook.timeout.count())};
  hook.retries = static_cast<int>(get_int(json, "retries"));
  TRY_STATUS(read_on_fail(json, "on-fail", hook.on_fail));
  return hook;
}

// --- steps -----------------------------------------------------------------------------------

struct StepWriter {
  Json operator()(const SetWeight& x) const { return {{"weight", x.canary.value}}; }
  Json operator()(const Bake& x) const { return {{"bake_ns", x.length.count()}}; }
  Json operator()(const Pause& x) const {
    Json json = {{"pause", true}};
    if (x.timeout) json["timeout_ns"] = x.timeout->count();
    if (x.on_timeout == OnTimeout::Continue) json["on-timeout"] = "continue";
    if (!x.gate.empty()) json["gate"] = x.gate;
    return json;
  }
  Json operator()(const Promote& x) const {
    Json json = {{"promote", x.version}};
    if (x.kind != PromoteKind::ByWeights) json["kind"] = word(x.kind);
    if (x.stops_idle) json["stops-idle"] = true;
    return json;
  }
  Json operator()(const Examine& x) const {
    Json json = {{"checks", Json::array()}};
    for (const CheckSpec& spec : x.checks) json["checks"].push_back(check_to_json(spec));
    return json;
  }
  Json operator()(const RouteMatching& x) const {
    Json json = {{"route", Json::array()}};
    for (const RouteMatch& match : x.any_of) {
      json["route"].push_back({{"by", word(match.by)},
                               {"name", match.name},
                               {"value", match.value},
                               {"regex", match.regex}});
      if (!match.path.empty()) json["route"].back()["path"] = match.path;
      if (!match.header.empty()) json["route"].back()["header"] = match.header;
    }
    return json;
  }
  Json operator()(const Mirror& x) const { return {{"mirror", x.share.value}}; }
  Json operator()(const ScaleCanary& x) const {
    return {{"scale-canary", word(x.how)}, {"amount", x.amount}};
  }
  Json operator()(const Experiment& x) const {
    return {{"experiment_ns", x.length.count()}, {"share", x.share.value}};
  }
};

Result<RouteMatch> match_from_json(const Json& json) {
  RouteMatch match;
  TRY_STATUS(read_word(
      json, "by", {RouteMatch::By::Header, RouteMatch::By::Cookie, RouteMatch::By::Segment},
      [](RouteMatch::By value) { return word(value); }, match.by));
  match.name = get_string(json, "name");
  match.value = get_string(json, "value");
  match.regex = get_bool(json, "regex");
  match.path = get_string(json, "path");
  match.header = get_string(json, "header");
  return match;
}

}  // namespace

Json step_to_json(const Step& step) {
  return std::visit(StepWriter{}, step.what);
}

Result<Step> step_from_json(const Json& json) {
  if (find(json, "weight")) return Step{SetWeight{Percent{get_number(json, "weight")}}, {}};
  if (find(json, "bake_ns")) return Step{Bake{Duration{get_int(json, "bake_ns")}}, {}};
  if (find(json, "pause")) {
    Pause pause{duration_at(json, "timeout_ns"), OnTimeout::Rollback, get_string(json, "gate")};
    if (get_string(json, "on-timeout") == "continue") pause.on_timeout = OnTimeout::Continue;
    return Step{pause, {}};
  }
  if (find(json, "promote")) {
    Promote promote{get_string(json, "promote"), PromoteKind::ByWeights,
                    get_bool(json, "stops-idle")};
    TRY_STATUS(read_word(
        json, "kind", {PromoteKind::ByWeights, PromoteKind::ImageSwap, PromoteKind::Replace},
        [](PromoteKind value) { return word(value); }, promote.kind));
    return Step{promote, {}};
  }
  if (find(json, "checks")) {
    Examine examine;
    TRY_STATUS(read_list(json, "checks", check_from_json, examine.checks));
    return Step{examine, {}};
  }
  if (find(json, "route")) {
    RouteMatching route;
    TRY_STATUS(read_list(json, "route", match_from_json, route.any_of));
    return Step{route, {}};
  }
  if (find(json, "mirror")) return Step{Mirror{Percent{get_number(json, "mirror")}}, {}};
  if (find(json, "scale-canary")) {
    ScaleCanary scale;
    scale.amount = get_number(json, "amount");
    TRY_STATUS(read_word(
        json, "scale-canary",
        {ScaleCanary::How::Tasks, ScaleCanary::How::Percent, ScaleCanary::How::FollowWeight},
        [](ScaleCanary::How value) { return word(value); }, scale.how));
    return Step{scale, {}};
  }
  if (find(json, "experiment_ns")) {
    return Step{
        Experiment{Duration{get_int(json, "experiment_ns")}, Percent{get_number(json, "share")}},
        {}};
  }
  return error("unknown step {}", dump_json(json));
}

void parts_to_json(const Plan& plan, Json& json) {
  for (const CheckSpec& spec : plan.checks) json["checks"].push_back(check_to_json(spec));
  for (const AlarmSpec& alarm : plan.alarms) json["alarms"].push_back(alarm_to_json(alarm));
  for (const Hook& hook : plan.hooks) json["hooks"].push_back(hook_to_json(hook));
  if (plan.watch) {
    json["watch"] = {{"names", plan.watch->names},
                     {"at-start", plan.watch->at_start == AlarmAtStart::Ignore ? "ignore" : "stop"},
                     {"on-alarm", outer(plan.watch->on_alarm)}};
  }
  if (plan.rollback.kind != RollbackKind::AtOnce) {
    json["rollback"] = {{"kind", word(plan.rollback.kind)},
                        {"step", plan.rollback.step.value},
                        {"every_ns", plan.rollback.every.count()}};
  }
  if (plan.deadline) {
    json["deadline"] = {{"after_ns", plan.deadline->after.count()},
                        {"then", outer(plan.deadline->then)}};
  }
  if (plan.on_newer != OnNewer::Restart) json["on-newer"] = word(plan.on_newer);
  if (plan.affinity) {
    json["affinity"] = {{"cookie", plan.affinity->cookie},
                        {"lasts_ns", plan.affinity->lasts.count()}};
  }
  if (plan.load) json["load_per_s"] = plan.load->rate.per_s;
  if (plan.capacity == CanaryCapacity::FollowWeight) json["capacity"] = "follow-weight";
  if (plan.task_patience != kTaskPatience) json["task-patience_ns"] = plan.task_patience.count();
}

Status parts_from_json(const Json& json, Plan& plan) {
  TRY_STATUS(read_list(json, "checks", check_from_json, plan.checks));
  TRY_STATUS(read_list(json, "alarms", alarm_from_json, plan.alarms));
  TRY_STATUS(read_list(json, "hooks", hook_from_json, plan.hooks));
  if (const Json* watch = find(json, "watch"); watch != nullptr) {
    plan.watch.emplace();
    if (const Json* names = find(*watch, "names"); names != nullptr && names->is_array()) {
      for (const Json& name : *names) {
        if (name.is_string()) plan.watch->names.push_back(name.get<std::string>());
      }
    }
    if (get_string(*watch, "at-start") == "stop") plan.watch->at_start = AlarmAtStart::Stop;
    TRY_STATUS(read_on_fail(*watch, "on-alarm", plan.watch->on_alarm));
  }
  if (const Json* back = find(json, "rollback"); back != nullptr) {
    TRY_STATUS(read_word(
        *back, "kind", {RollbackKind::AtOnce, RollbackKind::Stepwise, RollbackKind::Hold},
        [](RollbackKind value) { return word(value); }, plan.rollback.kind));
    plan.rollback.step = Percent{get_number(*back, "step", 10)};
    plan.rollback.every = Duration{get_int(*back, "every_ns", plan.rollback.every.count())};
  }
  if (const Json* deadline = find(json, "deadline"); deadline != nullptr) {
    plan.deadline.emplace();
    plan.deadline->after = Duration{get_int(*deadline, "after_ns")};
    TRY_STATUS(read_on_fail(*deadline, "then", plan.deadline->then));
  }
  TRY_STATUS(read_word(
      json, "on-newer", {OnNewer::Restart, OnNewer::Refuse, OnNewer::Swap},
      [](OnNewer value) { return word(value); }, plan.on_newer));
  if (const Json* affinity = find(json, "affinity"); affinity != nullptr) {
    plan.affinity = SessionAffinity{
        get_string(*affinity, "cookie"), Duration{get_int(*affinity, "lasts_ns")}, {}};
  }
  if (find(json, "load_per_s")) plan.load = SyntheticLoad{Rate{get_number(json, "load_per_s")}, {}};
  if (get_string(json, "capacity") == "follow-weight") {
    plan.capacity = CanaryCapacity::FollowWeight;
  }
  plan.task_patience = duration_at(json, "task-patience_ns").value_or(plan.task_patience);
  return {};
}

}  // namespace coalmine::rollout
