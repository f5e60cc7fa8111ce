// Alarms: their operations, and their evaluation as time moves.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "mock-aws/services/cloudwatch/cloudwatch.h"
#include "mock-aws/services/cloudwatch/composite_rule.h"
#include "sim/core/json.h"

namespace coalmine::mock {
namespace {

using std::chrono::seconds;

std::vector<std::string> strings(const Json& input, const char* member) {
  std::vector<std::string> values;
  if (const Json* list = find(input, member)) {
    for (const Json& value : *list) values.push_back(value.get<std::string>());
  }
  return values;
}

AwsError invalid(std::string message) {
  return {"ValidationError", std::move(message), 0, {}};
}

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

/// The first mark of the cadence after `t`.
TimePoint mark_after(TimePoint t, Duration every) {
  const auto since = t.time_since_epoch();
  return TimePoint{(since / every + 1) * every};
}

}  // namespace

std::string CloudWatch::arn(const std::string& alarm) const {
  return fmt::format("arn:aws:cloudwatch:{}:{}:alarm:{}", scope_.region, scope_.account, alarm);
}

CloudWatch::Alarm* CloudWatch::find_by_arn(const std::string& resource) {
  const std::string prefix = arn("");
  if (!resource.starts_with(prefix)) return nullptr;
  const auto found = alarms_.find(resource.substr(prefix.size()));
  return found == alarms_.end() ? nullptr : &found->second;
}

void CloudWatch::remember(TimePoint now, const Alarm& alarm, std::string type, std::string summary,
                          const Json& data) {
  history_.push_back(
      {now, alarm.name, std::move(type), std::move(summary), dump_json(data), alarm.composite});
  if (history_.size() > kMaxAlarmHistory) history_.pop_front();
}

std::optional<AwsError> CloudWatch::read_metric_alarm(const Json& input, Alarm& alarm) const {
  if (find(input, "EvaluationCriteria") != nullptr) {
    return invalid("EvaluationCriteria (PromQL) is not implemented here.");
  }
  if (find(input, "ThresholdMetricId") != nullptr) {
    return invalid("ThresholdMetricId (anomaly detection) is not implemented here.");
  }
  alarm.comparison = get_string(input, "ComparisonOperator");
  const auto comparison = parse_comparison(alarm.comparison);
  if (alarm.comparison.empty()) return invalid("The parameter ComparisonOperator is required.");
  if (!comparison) {
    return invalid(fmt::format("ComparisonOperator {} (anomaly detection) is not implemented here.",
                               alarm.comparison));
  }
  alarm.missing = get_string(input, "TreatMissingData");
  const auto missing = parse_missing_data(alarm.missing);
  if (!missing) {
    return invalid(
        fmt::format("Invalid value for TreatMissingData: {}. Valid values: breaching, "
                    "notBreaching, ignore, missing.",
                    alarm.missing));
  }
  if (find(input, "EvaluationPeriods") == nullptr) {
    return invalid("The parameter EvaluationPeriods is required.");
  }
  if (find(input, "Threshold") == nullptr) return invalid("The parameter Threshold is required.");
  const std::int64_t periods = get_int(input, "EvaluationPeriods");
  const std::int64_t to_alarm = get_int(input, "DatapointsToAlarm", periods);
  alarm.has_to_alarm = find(input, "DatapointsToAlarm") != nullptr;
  if (to_alarm > periods) {
    return invalid("DatapointsToAlarm must not be greater than EvaluationPeriods.");
  }
  alarm.low_sample = get_string(input, "EvaluateLowSampleCountPercentile");

  if (const Json* metrics = find(input, "Metrics")) {
    if (find(input, "MetricName") != nullptr || find(input, "Namespace") != nullptr ||
        find(input, "Statistic") != nullptr || find(input, "Period") != nullptr) {
      return invalid("MetricName and Metrics are mutually exclusive and you have specified both.");
    }
    auto queries = parse_queries(*metrics);
    if (!queries) return queries.error();
    alarm.queries = std::move(*queries);
    alarm.metrics = dump_json(*metrics);
    const auto returned = std::count_if(alarm.queries.begin(), alarm.queries.end(),
                                        [](const Query& query) { return query.return_data; });
    if (returned != 1) {
      return invalid("Exactly one element of the metrics list should return data.");
    }
  } else {
    Query query;
    query.id = "m1";
    query.metric = {get_string(input, "Namespace"), get_string(input, "MetricName"),
                    dimensions_from(input)};
    if (query.metric.name.empty() || query.metric.metric_namespace.empty()) {
      return invalid("Exactly one of MetricName with Namespace or Metrics must be specified.");
    }
    const bool plain = find(input, "Statistic") != nullptr;
    if (plain == (find(input, "ExtendedStatistic") != nullptr)) {
      return invalid("Exactly one of Statistic and ExtendedStatistic must be specified.");
    }
    alarm.statistic_member = plain ? "Statistic" : "ExtendedStatistic";
    query.stat_name = get_string(input, alarm.statistic_member);
    const auto statistic = parse_statistic(query.stat_name);
    if (!statistic) return invalid(statistic.error().message);
    query.statistic = *statistic;
    query.unit = get_string(input, "Unit");
    const std::int64_t period_s = get_int(input, "Period");
    if (period_s != 10 && period_s != 20 && period_s != 30 &&
        (period_s < 60 || period_s % 60 != 0)) {
      return invalid(fmt::format(
          "Metric period must be 10, 20, 30 or a multiple of 60 seconds, but is {}.", period_s));
    }
    query.period = seconds{period_s};
    alarm.queries = {std::move(query)};
  }
  Duration period{};
  for (const Query& query : alarm.queries) {
    if (query.return_data) period = query.period;
  }
  if (periods > (std::chrono::hours{24} / period)) {
    return invalid(
        "Metrics cannot be checked across more than a day (EvaluationPeriods * Period "
        "must be <= 86400).");
  }
  alarm.rule = {static_cast<int>(periods), static_cast<int>(to_alarm),
                get_number(input, "Threshold"), *comparison, *missing};
  return std::nullopt;
}

void CloudWatch::store_alarm(Alarm alarm, const Json& input, TimePoint now) {
  alarm.description = get_string(input, "AlarmDescription");
  alarm.actions_enabled = get_bool(input, "ActionsEnabled", true);
  alarm.ok_actions = strings(input, "OKActions");
  alarm.alarm_actions = strings(input, "AlarmActions");
  alarm.insufficient_actions = strings(input, "InsufficientDataActions");
  alarm.configured = now;
  const auto old = alarms_.find(alarm.name);
  const bool fresh = old == alarms_.end();
  if (fresh) {
    alarm.state = AlarmState::InsufficientData;
    alarm.reason = "Unchecked: Initial alarm creation";
    alarm.updated = alarm.transitioned = now;
    if (const Json* tags = find(input, "Tags")) {
      for (const Json& tag : *tags) alarm.tags[get_string(tag, "Key")] = get_string(tag, "Value");
    }
  } else {  // an update overwrites the settings and keeps state and tags
    alarm.state = old->second.state;
    alarm.reason = old->second.reason;
    alarm.reason_data = old->second.reason_data;
    alarm.updated = old->second.updated;
    alarm.transitioned = old->second.transitioned;
    alarm.tags = old->second.tags;
  }
  remember(now, alarm, "ConfigurationUpdate",
           fmt::format("Alarm \"{}\" {}", alarm.name, fresh ? "created" : "updated"),
           {{"version", "1.0"}, {"type", fresh ? "Create" : "Update"}});
  events_.event(now, fresh ? "alarm.created" : "alarm.updated", {{"alarm", alarm.name}});
  alarms_.insert_or_assign(alarm.name, std::move(alarm));
}

Reply CloudWatch::put_metric_alarm(const Json& input, CallContext& context) {
  Alarm alarm;
  alarm.name = get_string(input, "AlarmName");
  const auto old = alarms_.find(alarm.name);
  if (old != alarms_.end() && old->second.composite) {
    return aws_error("ValidationError", "A composite alarm named {} exists already.", alarm.name);
  }
  if (const auto bad = read_metric_alarm(input, alarm)) return tl::unexpected(*bad);
  for (const Query& query : alarm.queries) {
    if (query.return_data) {
      alarm.next_evaluation = mark_after(context.now, cadence(query.period));
    }
    if (!query.is_expression) continue;
    // A dry run finds what is wrong with an expression before it is stored.
    const auto tried = run_query(alarm.queries, query, context.now - query.period, context.now);
    if (!tried) {
      return aws_error("ValidationError", "Error in expression '{}': {}", query.id,
                       tried.error().message);
    }
  }
  store_alarm(std::move(alarm), input, context.now);
  return Json::object();
}

Reply CloudWatch::put_composite_alarm(const Json& input, CallContext& context) {
  Alarm alarm;
  alarm.name = get_string(input, "AlarmName");
  alarm.composite = true;
  alarm.rule_text = get_string(input, "AlarmRule");
  if (find(input, "ActionsSuppressor") != nullptr) {
    return aws_error("ValidationError", "ActionsSuppressor is not implemented here.");
  }
  const auto old = alarms_.find(alarm.name);
  if (old != alarms_.end() && !old->second.composite) {
    return aws_error("ValidationError", "A metric alarm named {} exists already.", alarm.name);
  }
  const auto holds = evaluate_composite(
      alarm.rule_text, [this](const std::string& child) { return alarm_state(child); });
  if (!holds) {
    return aws_error("ValidationError", "AlarmRule is not valid: {}", holds.error().message);
  }
  const std::string alarm_name = alarm.name;
  store_alarm(std::move(alarm), input, context.now);
  evaluate_composites(context.now);
  return Json::object();
}

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
  const auto names = strings(input, "AlarmNames");
  const auto types = strings(input, "AlarmTypes");
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

Reply CloudWatch::delete_alarms(const Json& input, CallContext& context) {
  const auto names = strings(input, "AlarmNames");
  for (const std::string& alarm_name : names) {
    if (alarms_.find(alarm_name) != alarms_.end()) continue;
    if (names.size() == 1) continue;  // deleting one that is gone already succeeds
    return aws_error("ResourceNotFound", "Alarm {} does not exist.", alarm_name);
  }
  for (const std::string& alarm_name : names) {
    const auto found = alarms_.find(alarm_name);
    if (found == alarms_.end()) continue;
    remember(context.now, found->second, "ConfigurationUpdate",
             fmt::format("Alarm \"{}\" deleted", alarm_name),
             {{"version", "1.0"}, {"type", "Delete"}});
    events_.event(context.now, "alarm.deleted", {{"alarm", alarm_name}});
    alarms_.erase(found);
  }
  return Json::object();
}

Reply CloudWatch::set_alarm_state(const Json& input, CallContext& context) {
  const std::string alarm_name = get_string(input, "AlarmName");
  const auto found = alarms_.find(alarm_name);
  if (found == alarms_.end()) {
    return aws_error("ResourceNotFound", "Alarm {} does not exist.", alarm_name);
  }
  const std::string data = get_string(input, "StateReasonData");
  if (!data.empty() && !parse_json(data)) {
    return aws_error("InvalidFormatFault", "StateReasonData is not valid JSON.");
  }
  change_state(found->second, *parse_alarm_state(get_string(input, "StateValue")),
               get_string(input, "StateReason"), data, context.now);
  evaluate_composites(context.now);
  return Json::object();
}

Reply CloudWatch::describe_alarm_history(const Json& input, CallContext&) {
  const std::string alarm_name = get_string(input, "AlarmName");
  const std::string type = get_string(input, "HistoryItemType");
  const auto types = strings(input, "AlarmTypes");
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

Reply CloudWatch::enable_alarm_actions(const Json& input, CallContext&) {
  for (const std::string& alarm_name : strings(input, "AlarmNames")) {
    if (const auto found = alarms_.find(alarm_name); found != alarms_.end()) {
      found->second.actions_enabled = true;
    }
  }
  return Json::object();
}

Reply CloudWatch::disable_alarm_actions(const Json& input, CallContext&) {
  for (const std::string& alarm_name : strings(input, "AlarmNames")) {
    if (const auto found = alarms_.find(alarm_name); found != alarms_.end()) {
      found->second.actions_enabled = false;
    }
  }
  return Json::object();
}

namespace {

tl::unexpected<AwsError> no_resource(const std::string& resource) {
  return tl::unexpected<AwsError>(AwsError{"ResourceNotFoundException",
                                           fmt::format("Unknown resource {}", resource),
                                           0,
                                           {{"ResourceType", "alarm"}, {"ResourceId", resource}}});
}

}  // namespace

Reply CloudWatch::tag_resource(const Json& input, CallContext&) {
  Alarm* alarm = find_by_arn(get_string(input, "ResourceARN"));
  if (alarm == nullptr) return no_resource(get_string(input, "ResourceARN"));
  auto tags = alarm->tags;
  for (const Json& tag : *find(input, "Tags")) {
    tags[get_string(tag, "Key")] = get_string(tag, "Value");
  }
  if (tags.size() > kMaxTagsPerAlarm) {
    return aws_error("InvalidParameterValueException", "An alarm has at most {} tags.",
                     kMaxTagsPerAlarm);
  }
  alarm->tags = std::move(tags);
  return Json::object();
}

Reply CloudWatch::untag_resource(const Json& input, CallContext&) {
  Alarm* alarm = find_by_arn(get_string(input, "ResourceARN"));
  if (alarm == nullptr) return no_resource(get_string(input, "ResourceARN"));
  for (const std::string& key : strings(input, "TagKeys")) alarm->tags.erase(key);
  return Json::object();
}

Reply CloudWatch::list_tags_for_resource(const Json& input, CallContext&) {
  const Alarm* alarm = find_by_arn(get_string(input, "ResourceARN"));
  if (alarm == nullptr) return no_resource(get_string(input, "ResourceARN"));
  Json tags = Json::array();
  for (const auto& [key, value] : alarm->tags) tags.push_back({{"Key", key}, {"Value", value}});
  return Json{{"Tags", std::move(tags)}};
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
      Duration every = cadence(seconds{60});
      for (const Query& query : alarm.queries) {
        if (query.return_data) every = cadence(query.period);
      }
      evaluate_at(alarm, due);
      const TimePoint earliest = now - kMaxEvaluationsPerTick * every;
      alarm.next_evaluation = mark_after(std::max(due, earliest), every);
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
