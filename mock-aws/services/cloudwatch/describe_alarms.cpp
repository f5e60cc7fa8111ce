// Alarms: what the Describe operations tell.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "mock-aws/services/cloudwatch/cloudwatch.h"
#include "mock-aws/services/cloudwatch/composite_rule.h"
#include "sim/core/json.h"

namespace coalmine::mock {
namespace {

using std::chrono::seconds;

}  // namespace

Json CloudWatch::describe(const Alarm& alarm) const {
  Json json = {{"AlarmName", alarm.name},
               {"AlarmArn", arn(alarm.name)},
               {"AlarmConfigurationUpdatedTimestamp", to_epoch_seconds(alarm.configured)},
               {"ActionsEnabled", alarm.actions_enabled},
               {"OKActions", alarm.ok_actions},
               {"AlarmActions", alarm.alarm_actions},
               {"InsufficientDataActions", alarm.insufficient_actions},
               {"StateValue", to_string(alarm.state)},
               {"StateReason", alarm.reason},
               {"StateUpdatedTimestamp", to_epoch_seconds(alarm.updated)},
               {"StateTransitionedTimestamp", to_epoch_seconds(alarm.transitioned)}};
  if (!alarm.description.empty()) json["AlarmDescription"] = alarm.description;
  if (!alarm.reason_data.empty()) json["StateReasonData"] = alarm.reason_data;
  if (alarm.composite) {
    json["AlarmRule"] = alarm.rule_text;
    return json;
  }
  json["EvaluationPeriods"] = alarm.rule.periods;
  if (alarm.has_to_alarm) json["DatapointsToAlarm"] = alarm.rule.to_alarm;
  json["Threshold"] = alarm.rule.threshold;
  json["ComparisonOperator"] = alarm.comparison;
  if (!alarm.missing.empty()) json["TreatMissingData"] = alarm.missing;
  if (!alarm.low_sample.empty()) json["EvaluateLowSampleCountPercentile"] = alarm.low_sample;
  if (alarm.statistic_member.empty()) {
    json["Metrics"] = parse_json(alarm.metrics).value();
    return json;
  }
  const Query& query = alarm.queries.front();
  json["MetricName"] = query.metric.name;
  json["Namespace"] = query.metric.metric_namespace;
  json["Dimensions"] = dimensions_to(query.metric.dimensions);
  json["Period"] = query.period / seconds{1};
  json[alarm.statistic_member] = query.stat_name;
  if (!query.unit.empty()) json["Unit"] = query.unit;
  return json;
}

Reply CloudWatch::describe_alarms(const Json& input, CallContext&) {
  const auto names = strings_from(input, "AlarmNames");
  const auto types = strings_from(input, "AlarmTypes");
  const std::string prefix = get_string(input, "AlarmNamePrefix");
  if (!names.empty() && !prefix.empty()) {
    return aws_error("ValidationError",
                     "AlarmNames and AlarmNamePrefix are mutually exclusive and you have specified "
                     "both.");
  }
  const std::string state = get_string(input, "StateValue");
  const std::string action = get_string(input, "ActionPrefix");
  const std::string parents_of = get_string(input, "ParentsOfAlarmName");
  const std::string children_of = get_string(input, "ChildrenOfAlarmName");
  const auto children = [this](const Alarm& parent) {
    std::vector<std::string> found;
    static_cast<void>(evaluate_composite(
        parent.rule_text, [this](const std::string& child) { return alarm_state(child); }, &found));
    return found;
  };
  const auto has = [](const std::vector<std::string>& list, const std::string& what) {
    return std::find(list.begin(), list.end(), what) != list.end();
  };
  std::vector<std::string> only;
  if (const auto parent = alarms_.find(children_of); parent != alarms_.end()) {
    only = children(parent->second);
  }
  const auto wanted = [&](const Alarm& alarm) {
    if (types.empty() ? alarm.composite && parents_of.empty() && children_of.empty()
                      : !has(types, alarm.composite ? "CompositeAlarm" : "MetricAlarm")) {
      return false;
    }
    if (!names.empty() && !has(names, alarm.name)) return false;
    if (!alarm.name.starts_with(prefix)) return false;
    if (!state.empty() && to_string(alarm.state) != state) return false;
    if (!children_of.empty() && !has(only, alarm.name)) return false;
    if (!parents_of.empty() && !(alarm.composite && has(children(alarm), parents_of))) return false;
    if (action.empty()) return true;
    for (const auto* list :
         {&alarm.ok_actions, &alarm.alarm_actions, &alarm.insufficient_actions}) {
      for (const std::string& each : *list) {
        if (each.starts_with(action)) return true;
      }
    }
    return false;
  };
  const auto most = static_cast<std::size_t>(
      get_int(input, "MaxRecords", names.empty() ? kDescribeAlarmsPage : 100));
  const std::string after = get_string(input, "NextToken");
  if (!after.empty() && alarms_.find(after) == alarms_.end()) {
    return aws_error("InvalidNextToken", "The token is not one that was given out.");
  }
  Json metric_alarms = Json::array(), composite_alarms = Json::array();
  std::string last, next;
  for (auto it = after.empty() ? alarms_.begin() : alarms_.upper_bound(after); it != alarms_.end();
       ++it) {
    if (!wanted(it->second)) continue;
    if (metric_alarms.size() + composite_alarms.size() == most) {
      next = last;
      break;
    }
    (it->second.composite ? composite_alarms : metric_alarms).push_back(describe(it->second));
    last = it->first;
  }
  Json reply = {{"MetricAlarms", std::move(metric_alarms)},
                {"CompositeAlarms", std::move(composite_alarms)}};
  if (!next.empty()) reply["NextToken"] = next;
  return reply;
}

Reply CloudWatch::describe_alarms_for_metric(const Json& input, CallContext&) {
  const MetricId id{get_string(input, "Namespace"), get_string(input, "MetricName"),
                    dimensions_from(input)};
  const Json* period = find(input, "Period");
  const std::string statistic = get_string(input, "Statistic");
  const std::string extended = get_string(input, "ExtendedStatistic");
  const std::string unit = get_string(input, "Unit");
  Json alarms = Json::array();
  for (const auto& [alarm_name, alarm] : alarms_) {
    const bool uses =
        std::any_of(alarm.queries.begin(), alarm.queries.end(), [&](const Query& query) {
          return !query.is_expression && query.metric == id &&
                 (period == nullptr || query.period == seconds{period->get<std::int64_t>()}) &&
                 (statistic.empty() || query.stat_name == statistic) &&
                 (extended.empty() || query.stat_name == extended) &&
                 (unit.empty() || query.unit == unit);
        });
    if (uses) alarms.push_back(describe(alarm));
  }
  return Json{{"MetricAlarms", std::move(alarms)}};
}

Reply CloudWatch::describe_alarm_history(const Json& input, CallContext&) {
  const std::string alarm_name = get_string(input, "AlarmName");
  const std::string type = get_string(input, "HistoryItemType");
  const auto types = strings_from(input, "AlarmTypes");
  const Json* from = find(input, "StartDate");
  const Json* to = find(input, "EndDate");
  const auto wanted = [&](const HistoryItem& item) {
    if (!alarm_name.empty() && item.alarm != alarm_name) return false;
    if (!type.empty() && item.type != type) return false;
    if (types.empty()
            ? item.composite && alarm_name.empty()
            : std::find(types.begin(), types.end(),
                        item.composite ? "CompositeAlarm" : "MetricAlarm") == types.end()) {
      return false;
    }
    if (from != nullptr && item.time < from_epoch_seconds(from->get<double>())) return false;
    return to == nullptr || item.time <= from_epoch_seconds(to->get<double>());
  };
  std::vector<const HistoryItem*> items;
  for (const HistoryItem& item : history_) {
    if (wanted(item)) items.push_back(&item);
  }
  if (get_string(input, "ScanBy") != "TimestampAscending") std::reverse(items.begin(), items.end());
  const std::string token = get_string(input, "NextToken");
  if (token.find_first_not_of("0123456789") != std::string::npos || token.size() > 9) {
    return aws_error("InvalidNextToken", "The token is not one that was given out.");
  }
  const std::size_t first = token.empty() ? 0 : std::stoul(token);
  const auto most = static_cast<std::size_t>(get_int(input, "MaxRecords", 50));
  Json list = Json::array();
  for (std::size_t i = first; i < items.size() && list.size() < most; ++i) {
    list.push_back({{"AlarmName", items[i]->alarm},
                    {"AlarmType", items[i]->composite ? "CompositeAlarm" : "MetricAlarm"},
                    {"Timestamp", to_epoch_seconds(items[i]->time)},
                    {"HistoryItemType", items[i]->type},
                    {"HistorySummary", items[i]->summary},
                    {"HistoryData", items[i]->data}});
  }
  Json reply = {{"AlarmHistoryItems", std::move(list)}};
  if (first + most < items.size()) reply["NextToken"] = std::to_string(first + most);
  return reply;
}

}  // namespace coalmine::mock
