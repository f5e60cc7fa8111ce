#include "mock-aws/services/cloudwatch/cloudwatch.h"

#include <nlohmann/json.hpp>

#include "sim/core/json.h"

namespace coalmine::mock {

CloudWatch::CloudWatch(Scope scope, Random random, EventSink& events)
    : scope_(std::move(scope)), events_(events) {
  static_cast<void>(random);  // nothing here is drawn: ARNs carry names
}

const OperationTable<CloudWatch>& CloudWatch::operations() {
  static const OperationTable<CloudWatch> kOperations = {
      {"PutMetricData", &CloudWatch::put_metric_data},
      {"GetMetricStatistics", &CloudWatch::get_metric_statistics},
      {"GetMetricData", &CloudWatch::get_metric_data},
      {"ListMetrics", &CloudWatch::list_metrics},
      {"PutMetricAlarm", &CloudWatch::put_metric_alarm},
      {"PutCompositeAlarm", &CloudWatch::put_composite_alarm},
      {"DescribeAlarms", &CloudWatch::describe_alarms},
      {"DescribeAlarmsForMetric", &CloudWatch::describe_alarms_for_metric},
      {"DeleteAlarms", &CloudWatch::delete_alarms},
      {"SetAlarmState", &CloudWatch::set_alarm_state},
      {"DescribeAlarmHistory", &CloudWatch::describe_alarm_history},
      {"EnableAlarmActions", &CloudWatch::enable_alarm_actions},
      {"DisableAlarmActions", &CloudWatch::disable_alarm_actions},
      {"TagResource", &CloudWatch::tag_resource},
      {"UntagResource", &CloudWatch::untag_resource},
      {"ListTagsForResource", &CloudWatch::list_tags_for_resource},
  };
  return kOperations;
}

bool CloudWatch::implements(std::string_view operation) const {
  return operations().count(operation) > 0;
}

Reply CloudWatch::call(std::string_view operation, const Json& input, CallContext& context) {
  const auto found = operations().find(operation);
  if (found == operations().end()) {
    return aws_error("NotImplemented", "cloudwatch {} is not implemented", operation);
  }
  tick(context.now);
  return (this->*found->second)(input, context);
}

void CloudWatch::put_metrics(const std::string& metric_namespace,
                             const std::vector<MetricDatum>& data, TimePoint) {
  for (const MetricDatum& datum : data) store_.put(metric_namespace, datum);
}

std::optional<AlarmState> CloudWatch::alarm_state(const std::string& alarm_name) const {
  const auto found = alarms_.find(alarm_name);
  return found == alarms_.end() ? std::nullopt : std::optional(found->second.state);
}

Json CloudWatch::state() const {
  Json alarms = Json::array();
  for (const auto& [alarm_name, alarm] : alarms_) alarms.push_back(describe(alarm));
  Json metrics = Json::array();
  for (const auto& listed : store_.list()) {
    metrics.push_back({{"Namespace", listed.id->metric_namespace},
                       {"MetricName", listed.id->name},
                       {"Dimensions", dimensions_to(listed.id->dimensions)},
                       {"newest", to_iso8601(listed.newest)}});
  }
  return {{"alarms", std::move(alarms)}, {"metrics", std::move(metrics)}};
}

Dimensions dimensions_from(const Json& input) {
  Dimensions dimensions;
  if (const Json* list = find(input, "Dimensions")) {
    for (const Json& dimension : *list) {
      dimensions[get_string(dimension, "Name")] = get_string(dimension, "Value");
    }
  }
  return dimensions;
}

Json dimensions_to(const Dimensions& dimensions) {
  Json list = Json::array();
  for (const auto& [dimension, value] : dimensions) {
    list.push_back({{"Name", dimension}, {"Value", value}});
  }
  return list;
}

}  // namespace coalmine::mock
