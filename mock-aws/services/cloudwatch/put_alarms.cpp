// Alarms: what PutMetricAlarm and PutCompositeAlarm take and store.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "mock-aws/services/cloudwatch/cloudwatch.h"
#include "mock-aws/services/cloudwatch/composite_rule.h"
#include "sim/core/json.h"

namespace coalmine::mock {
namespace {

using std::chrono::seconds;

AwsError invalid(std::string message) {
  return {"ValidationError", std::move(message), 0, {}};
}

}  // namespace

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
  alarm.ok_actions = strings_from(input, "OKActions");
  alarm.alarm_actions = strings_from(input, "AlarmActions");
  alarm.insufficient_actions = strings_from(input, "InsufficientDataActions");
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
      alarm.next_evaluation = next_mark(context.now, query.period);
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

}  // namespace coalmine::mock
