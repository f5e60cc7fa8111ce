// Alarms: their evaluation as time moves.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "mock-aws/services/cloudwatch/cloudwatch.h"
#include "mock-aws/services/cloudwatch/composite_rule.h"
#include "sim/core/json.h"

namespace coalmine::mock {
namespace {

using std::chrono::seconds;

/// "2024-07-09T11:53:10.312+0000", as in StateReasonData.
std::string data_time(TimePoint t) {
  std::string text = to_iso8601_millis(t);
  text.pop_back();
  return text + "+0000";
}

/// Short periods are judged every 10 seconds, the rest on the minute.
Duration cadence(Duration period) {
  return period < seconds{60} ? Duration{seconds{10}} : Duration{seconds{60}};
}

}  // namespace

TimePoint CloudWatch::next_mark(TimePoint t, Duration period) {
  const Duration every = cadence(period);
  return TimePoint{(t.time_since_epoch() / every + 1) * every};
}

void CloudWatch::change_state(Alarm& alarm, AlarmState state, std::string reason, std::string data,
                              TimePoint now) {
  const AlarmState old = alarm.state;
  alarm.reason = std::move(reason);
  alarm.reason_data = std::move(data);
  alarm.updated = now;
  if (old == state) return;
  alarm.state = state;
  alarm.transitioned = now;
  remember(now, alarm, "StateUpdate",
           fmt::format("Alarm updated from {} to {}", to_string(old), to_string(state)),
           {{"version", "1.0"},
            {"oldState", {{"stateValue", to_string(old)}}},
            {"newState", {{"stateValue", to_string(state)}, {"stateReason", alarm.reason}}}});
  const auto& actions = state == AlarmState::Ok      ? alarm.ok_actions
                        : state == AlarmState::Alarm ? alarm.alarm_actions
                                                     : alarm.insufficient_actions;
  Json fields = {{"alarm", alarm.name},
                 {"from", to_string(old)},
                 {"to", to_string(state)},
                 {"reason", alarm.reason}};
  if (alarm.actions_enabled && !actions.empty()) fields["actions"] = actions;
  events_.event(now, "alarm.changed", std::move(fields));
}

void CloudWatch::evaluate_at(Alarm& alarm, TimePoint now) {
  const Query* judged = nullptr;
  for (const Query& query : alarm.queries) {
    if (query.return_data) judged = &query;
  }
  const int range = alarm.rule.periods + kExtraEvaluationPoints;
  const TimePoint start = now - range * judged->period;
  const auto series = run_query(alarm.queries, *judged, start, now);
  if (!series) {
    if (alarm.state != AlarmState::InsufficientData) {
      change_state(alarm, AlarmState::InsufficientData, series.error().message, "", now);
    }
    return;
  }
  std::vector<AlarmPoint> points;
  points.reserve(static_cast<std::size_t>(range));
  auto next = series->rbegin();
  for (int i = 1; i <= range; ++i) {
    AlarmPoint point{now - i * judged->period, std::nullopt};
    if (next != series->rend() && next->first == point.start) point.value = (next++)->second;
    points.push_back(point);
  }
  AlarmVerdict verdict = evaluate(alarm.rule, points);
  if (!verdict.state || *verdict.state == alarm.state) return;
  Json recent = Json::array(), evaluated = Json::array();
  for (auto it = verdict.used.rbegin(); it != verdict.used.rend(); ++it)
    recent.push_back(*it->value);
  for (const AlarmPoint& point : verdict.used) {
    evaluated.push_back({{"timestamp", data_time(point.start)}, {"value", *point.value}});
  }
  Json data = {{"version", "1.0"},
               {"queryDate", data_time(now)},
               {"period", judged->period / seconds{1}},
               {"recentDatapoints", std::move(recent)},
               {"threshold", alarm.rule.threshold},
               {"evaluatedDatapoints", std::move(evaluated)}};
  if (!verdict.used.empty()) data["startDate"] = data_time(verdict.used.back().start);
  if (!judged->stat_name.empty()) data["statistic"] = judged->stat_name;
  change_state(alarm, *verdict.state, std::move(verdict.reason), dump_json(data), now);
}

void CloudWatch::evaluate_composites(TimePoint now) {
  // Composites may rest on composites: at most one pass per level.
  for (std::size_t pass = 0; pass <= alarms_.size(); ++pass) {
    bool changed = false;
    for (auto& [alarm_name, alarm] : alarms_) {
      if (!alarm.composite) continue;
      const auto holds = evaluate_composite(
          alarm.rule_text, [this](const std::string& child) { return alarm_state(child); });
      const AlarmState state = !holds   ? AlarmState::InsufficientData
                               : *holds ? AlarmState::Alarm
                                        : AlarmState::Ok;
      if (state == alarm.state) continue;
      const std::string reason =
          holds ? fmt::format("{} transitioned to {} because its rule {} now", arn(alarm_name),
                              to_string(state), *holds ? "holds" : "does not hold")
                : holds.error().message;
      change_state(alarm, state, reason, "", now);
      changed = true;
    }
    if (!changed) return;
  }
}

void CloudWatch::tick(TimePoint now) {
  // In the order of time, so that the history is the same however far apart the ticks are.
  for (;;) {
    const TimePoint due = next_wakeup();
    if (due > now) return;
    for (auto& [alarm_name, alarm] : alarms_) {
      if (alarm.next_evaluation > due) continue;
      Duration period = seconds{60};
      for (const Query& query : alarm.queries) {
        if (query.return_data) period = query.period;
      }
      evaluate_at(alarm, due);
      const TimePoint earliest = now - kMaxEvaluationsPerTick * cadence(period);
      alarm.next_evaluation = next_mark(std::max(due, earliest), period);
    }
    evaluate_composites(due);
  }
}

TimePoint CloudWatch::next_wakeup() const {
  TimePoint next = kNever;
  for (const auto& [alarm_name, alarm] : alarms_) next = std::min(next, alarm.next_evaluation);
  return next;
}

}  // namespace coalmine::mock
