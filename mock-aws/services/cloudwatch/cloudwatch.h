// mock-aws/services/cloudwatch: metrics and alarms of one account and region.
//
// Metrics are stored exactly (metric_store.h), alarms are judged by a pure function of the last
// points (alarm_rule.h), expressions by metric_math.h and composite_rule.h. This class gives the
// AWS operations their meaning and evaluates alarms on the minute (every 10 seconds for periods
// below a minute) as tick() moves time.
//
//   put_metrics / PutMetricData -> MetricStore -> GetMetricData, alarms -> ECS, controller
//
// Alarm actions are not carried out: there is no SNS here; the event "alarm.changed" names them.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "mock-aws/protocol/service.h"
#include "mock-aws/services/cloudwatch/alarm_rule.h"
#include "mock-aws/services/cloudwatch/metric_math.h"
#include "mock-aws/services/cloudwatch/metric_store.h"
#include "mock-aws/services/ports.h"

namespace coalmine::mock {

inline constexpr int kMaxMetricsPerPut = 1000;
inline constexpr int kMaxValuesPerDatum = 150;
inline constexpr int kMaxDatapointsPerStatistics = 1440;
inline constexpr int kMaxQueriesPerGet = 500;
inline constexpr int kMaxDatapointsPerGet = 100'800;
inline constexpr std::size_t kListMetricsPage = 500;
inline constexpr int kDescribeAlarmsPage = 50;
inline constexpr Duration kMaxDatumAge = std::chrono::hours{24 * 14};
inline constexpr Duration kMaxDatumAhead = std::chrono::hours{2};
inline constexpr std::size_t kMaxAlarmHistory = 2000;  ///< items kept, the oldest go
inline constexpr int kMaxTagsPerAlarm = 50;
/// Evaluations that one tick() catches up on; of a longer jump only the last ones are made.
inline constexpr int kMaxEvaluationsPerTick = 24 * 60;

class CloudWatch : public Service, public Alarms, public MetricSink {
 public:
  CloudWatch(Scope scope, Random random, EventSink& events);

  std::string_view name() const override { return "cloudwatch"; }
  bool implements(std::string_view operation) const override;
  Reply call(std::string_view operation, const Json& input, CallContext& context) override;
  void tick(TimePoint now) override;
  TimePoint next_wakeup() const override;
  Json state() const override;

  std::optional<AlarmState> alarm_state(const std::string& name) const override;
  void put_metrics(const std::string& metric_namespace, const std::vector<MetricDatum>& data,
                   TimePoint now) override;

  const MetricStore& metrics() const { return store_; }

 private:
  /// One entry of MetricDataQueries: a metric or an expression.
  struct Query {
    std::string id;
    bool is_expression = false;
    std::string expression;
    std::string label;
    MetricId metric;
    Statistic statistic;
    std::string stat_name;
    std::string unit;
    Duration period{};
    bool return_data = true;
  };
  struct Alarm {
    std::string name, description;
    bool composite = false;
    bool actions_enabled = true;
    std::vector<std::string> ok_actions, alarm_actions, insufficient_actions;
    AlarmState state = AlarmState::InsufficientData;
    std::string reason, reason_data;
    TimePoint updated{}, configured{}, transitioned{};
    std::map<std::string, std::string> tags;
    std::string rule_text;         // composite
    AlarmRule rule;                // metric alarms from here
    std::vector<Query> queries;    // one, or those of Metrics; the returned one is judged
    std::string statistic_member;  // "Statistic" or "ExtendedStatistic"; empty: Metrics
    std::string comparison, missing, low_sample;
    bool has_to_alarm = false;
    std::string metrics;  // Metrics as given, as JSON text
    TimePoint next_evaluation = kNever;
  };
  struct HistoryItem {
    TimePoint time;
    std::string alarm, type, summary, data;
    bool composite = false;
  };

  static const OperationTable<CloudWatch>& operations();

  // metrics.cpp
  Reply put_metric_data(const Json& input, CallContext& context);
  Reply get_metric_statistics(const Json& input, CallContext& context);
  Reply get_metric_data(const Json& input, CallContext& context);
  Reply list_metrics(const Json& input, CallContext& context);
  tl::expected<std::vector<Query>, AwsError> parse_queries(const Json& queries) const;
  Result<Series> run_query(const std::vector<Query>& queries, const Query& query, TimePoint start,
                           TimePoint end) const;
  Result<MathValue> value_of_query(const std::vector<Query>& queries, const Query& query,
                                   TimePoint start, TimePoint end, int depth) const;

  // put_alarms.cpp, describe_alarms.cpp, alarms.cpp
  Reply put_metric_alarm(const Json& input, CallContext& context);
  Reply put_composite_alarm(const Json& input, CallContext& context);
  Reply describe_alarms(const Json& input, CallContext& context);
  Reply describe_alarms_for_metric(const Json& input, CallContext& context);
  Reply delete_alarms(const Json& input, CallContext& context);
  Reply set_alarm_state(const Json& input, CallContext& context);
  Reply describe_alarm_history(const Json& input, CallContext& context);
  Reply enable_alarm_actions(const Json& input, CallContext& context);
  Reply disable_alarm_actions(const Json& input, CallContext& context);
  Reply tag_resource(const Json& input, CallContext& context);
  Reply untag_resource(const Json& input, CallContext& context);
  Reply list_tags_for_resource(const Json& input, CallContext& context);
  std::optional<AwsError> read_metric_alarm(const Json& input, Alarm& alarm) const;
  void store_alarm(Alarm alarm, const Json& input, TimePoint now);
  Json describe(const Alarm& alarm) const;
  std::string arn(const std::string& alarm) const;
  Alarm* find_by_arn(const std::string& resource);
  void remember(TimePoint now, const Alarm& alarm, std::string type, std::string summary,
                const Json& data);

  // alarm_evaluation.cpp
  /// When an alarm of this period is judged next after `t`.
  static TimePoint next_mark(TimePoint t, Duration period);
  void evaluate_at(Alarm& alarm, TimePoint now);
  void evaluate_composites(TimePoint now);
  void change_state(Alarm& alarm, AlarmState state, std::string reason, std::string data,
                    TimePoint now);

  Scope scope_;
  EventSink& events_;
  MetricStore store_;
  std::map<std::string, Alarm> alarms_;
  std::deque<HistoryItem> history_;  // oldest first
};

/// The dimensions of an input's Dimensions list.
Dimensions dimensions_from(const Json& input);
Json dimensions_to(const Dimensions& dimensions);
/// The texts of a list member; none when the input lacks it.
std::vector<std::string> strings_from(const Json& input, const char* member);

}  // namespace coalmine::mock
