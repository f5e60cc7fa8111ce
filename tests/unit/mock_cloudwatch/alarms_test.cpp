#include "tests/unit/mock_cloudwatch/cloudwatch_fixture.h"

namespace coalmine::mock {
namespace {

using namespace std::chrono_literals;

struct AlarmsTest : CloudWatchTest {
  Json alarm(const char* name = "errors") {
    return {{"AlarmName", name},
            {"Namespace", "Test"},
            {"MetricName", "5xx"},
            {"Statistic", "Sum"},
            {"Period", 60},
            {"EvaluationPeriods", 1},
            {"Threshold", 1},
            {"ComparisonOperator", "GreaterThanThreshold"},
            {"AlarmActions", {"arn:aws:sns:us-east-1:000000000000:page"}}};
  }
  Json described(const char* name = "errors") {
    return ok("DescribeAlarms", {{"AlarmNames", {name}}})["MetricAlarms"][0];
  }
};

TEST_F(AlarmsTest, BeginUncheckedAndAlarmOnTheMinute) {
  ok("PutMetricAlarm", alarm());
  EXPECT_EQ(described()["StateValue"], "INSUFFICIENT_DATA");
  EXPECT_EQ(described()["StateReason"], "Unchecked: Initial alarm creation");
  EXPECT_EQ(described()["AlarmArn"], "arn:aws:cloudwatch:us-east-1:000000000000:alarm:errors");
  put("5xx", 2, now + 30s);
  now += 59s;
  cloudwatch.tick(now);
  EXPECT_EQ(cloudwatch.alarm_state("errors"), AlarmState::InsufficientData);
  EXPECT_EQ(cloudwatch.next_wakeup(), kVirtualEpoch + 60s);
  now += 1s;
  cloudwatch.tick(now);
  EXPECT_EQ(cloudwatch.alarm_state("errors"), AlarmState::Alarm);
  EXPECT_EQ(recorder.events.back().first, "alarm.changed");
  EXPECT_EQ(recorder.events.back().second["actions"].size(), 1U);
  EXPECT_EQ(Json::parse(std::string(described()["StateReasonData"]))["recentDatapoints"],
            Json({2.0}));
}

TEST_F(AlarmsTest, OneLongTickEqualsManyShortOnes) {
  const auto history = [&](Duration step) {
    test::RecordingSink quiet;
    CloudWatch other(Scope{}, Random(1), quiet);
    test::Caller other_call(other);
    other_call.ok("PutMetricAlarm", alarm());
    for (const auto at : {30s, 90s, 600s}) {
      MetricDatum datum{"5xx", {}, kVirtualEpoch + at, "Count", {5}, {1}, false};
      other.put_metrics("Test", {datum}, kVirtualEpoch);
    }
    for (TimePoint t = kVirtualEpoch; t <= kVirtualEpoch + 1h; t += step) other.tick(t);
    other_call.now = kVirtualEpoch + 1h;
    return other_call.ok("DescribeAlarmHistory", Json::object());
  };
  EXPECT_EQ(history(1h), history(7s));
}

TEST_F(AlarmsTest, SetStateLastsUntilTheNextEvaluation) {
  ok("PutMetricAlarm", alarm());
  put("5xx", 0, now + 10s);
  now += 61s;
  cloudwatch.tick(now);
  ASSERT_EQ(cloudwatch.alarm_state("errors"), AlarmState::Ok);
  ok("SetAlarmState", {{"AlarmName", "errors"}, {"StateValue", "ALARM"}, {"StateReason", "drill"}});
  EXPECT_EQ(described()["StateReason"], "drill");
  put("5xx", 0, now);
  now += 60s;
  cloudwatch.tick(now);
  EXPECT_EQ(cloudwatch.alarm_state("errors"), AlarmState::Ok);
  const Json items = ok("DescribeAlarmHistory", {{"HistoryItemType", "StateUpdate"}});
  ASSERT_EQ(items["AlarmHistoryItems"].size(), 3U);
  EXPECT_EQ(items["AlarmHistoryItems"][0]["HistorySummary"], "Alarm updated from ALARM to OK");
}

TEST_F(AlarmsTest, UpdatesOverwriteSettingsAndKeepState) {
  ok("PutMetricAlarm", alarm());
  ok("SetAlarmState", {{"AlarmName", "errors"}, {"StateValue", "ALARM"}, {"StateReason", "x"}});
  Json changed = alarm();
  changed.erase("AlarmActions");
  changed["Threshold"] = 5;
  ok("PutMetricAlarm", changed);
  EXPECT_EQ(described()["StateValue"], "ALARM");
  EXPECT_EQ(described()["Threshold"], 5.0);
  EXPECT_EQ(described()["AlarmActions"].size(), 0U);
}

TEST_F(AlarmsTest, ShortPeriodsAreJudgedEveryTenSeconds) {
  Json fast = alarm();
  fast["Period"] = 10;
  ok("PutMetricAlarm", fast);
  MetricDatum datum{"5xx", {}, now + 3s, "Count", {5}, {1}, true};
  cloudwatch.put_metrics("Test", {datum}, now);
  cloudwatch.tick(now + 10s);
  EXPECT_EQ(cloudwatch.alarm_state("errors"), AlarmState::Alarm);
}

TEST_F(AlarmsTest, JudgeExpressions) {
  const auto metric = [](const char* id, const char* name) {
    return Json{{"Id", id},
                {"ReturnData", false},
                {"MetricStat",
                 {{"Metric", {{"Namespace", "Test"}, {"MetricName", name}}},
                  {"Period", 60},
                  {"Stat", "Sum"}}}};
  };
  ok("PutMetricAlarm", {{"AlarmName", "share"},
                        {"EvaluationPeriods", 1},
                        {"Threshold", 5},
                        {"ComparisonOperator", "GreaterThanThreshold"},
                        {"Metrics",
                         {metric("e", "5xx"),
                          metric("r", "requests"),
                          {{"Id", "share"}, {"Expression", "100 * e / r"}}}}});
  put("5xx", 6, now);
  put("requests", 100, now);
  cloudwatch.tick(now + 60s);
  EXPECT_EQ(cloudwatch.alarm_state("share"), AlarmState::Alarm);
  EXPECT_EQ(described("share")["Metrics"].size(), 3U);
}

TEST_F(AlarmsTest, CompositesFollowTheirChildren) {
  ok("PutMetricAlarm", alarm("a"));
  ok("PutMetricAlarm", alarm("b"));
  ok("PutCompositeAlarm",
     {{"AlarmName", "both"}, {"AlarmRule", "ALARM(\"a\") AND NOT (OK(b) OR FALSE)"}});
  EXPECT_EQ(cloudwatch.alarm_state("both"), AlarmState::Ok);
  ok("SetAlarmState", {{"AlarmName", "a"}, {"StateValue", "ALARM"}, {"StateReason", "x"}});
  EXPECT_EQ(cloudwatch.alarm_state("both"), AlarmState::Alarm);
  ok("SetAlarmState", {{"AlarmName", "b"}, {"StateValue", "OK"}, {"StateReason", "x"}});
  EXPECT_EQ(cloudwatch.alarm_state("both"), AlarmState::Ok);
  EXPECT_EQ(ok("DescribeAlarms", Json::object())["CompositeAlarms"].size(), 0U);
  EXPECT_EQ(ok("DescribeAlarms", {{"AlarmTypes", {"CompositeAlarm"}}})["CompositeAlarms"].size(),
            1U);
  const Reply bad = call("PutCompositeAlarm", {{"AlarmName", "x"}, {"AlarmRule", "ALARM(nope)"}});
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().message, "AlarmRule is not valid: alarm nope does not exist");
}

TEST_F(AlarmsTest, UnknownNamesAreAbsentNotErrors) {
  EXPECT_EQ(ok("DescribeAlarms", {{"AlarmNames", {"no"}}})["MetricAlarms"].size(), 0U);
  const Reply reply =
      call("SetAlarmState", {{"AlarmName", "no"}, {"StateValue", "OK"}, {"StateReason", "x"}});
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, "ResourceNotFound");
}

TEST_F(AlarmsTest, PagesCoverAllAlarms) {
  for (const char* name : {"a", "b", "c", "d", "e"}) ok("PutMetricAlarm", alarm(name));
  Json input = {{"MaxRecords", 2}};
  std::string names;
  for (int i = 0; i < 5; ++i) {
    const Json reply = ok("DescribeAlarms", input);
    for (const Json& each : reply["MetricAlarms"]) names += std::string(each["AlarmName"]);
    if (!reply.contains("NextToken")) break;
    input["NextToken"] = reply["NextToken"];
  }
  EXPECT_EQ(names, "abcde");
}

struct Refusal {
  const char* name;
  Json change;
  const char* message;
};
class AlarmRefusals : public AlarmsTest, public testing::WithParamInterface<Refusal> {};

TEST_P(AlarmRefusals, SayWhatIsAllowed) {
  Json input = alarm();
  for (const auto& [key, value] : GetParam().change.items()) input[key] = value;
  const Reply reply = call("PutMetricAlarm", input);
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, "ValidationError");
  EXPECT_EQ(reply.error().message, GetParam().message);
  EXPECT_EQ(cloudwatch.alarm_state("errors"), std::nullopt);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, AlarmRefusals,
    testing::Values(
        Refusal{"Period",
                {{"Period", 45}},
                "Metric period must be 10, 20, 30 or a multiple of 60 seconds, but is 45."},
        Refusal{"Day",
                {{"EvaluationPeriods", 1441}},
                "Metrics cannot be checked across more than a day (EvaluationPeriods * Period must "
                "be <= 86400)."},
        Refusal{"MofN",
                {{"DatapointsToAlarm", 2}},
                "DatapointsToAlarm must not be greater than EvaluationPeriods."},
        Refusal{"Missing",
                {{"TreatMissingData", "zero"}},
                "Invalid value for TreatMissingData: zero. Valid values: breaching, notBreaching, "
                "ignore, missing."},
        Refusal{"BothStatistics",
                {{"ExtendedStatistic", "p99"}},
                "Exactly one of Statistic and ExtendedStatistic must be specified."}),
    [](const auto& info) { return std::string(info.param.name); });

TEST_F(AlarmsTest, TagsBelongToTheArn) {
  Json input = alarm();
  input["Tags"] = {{{"Key", "team"}, {"Value", "mine"}}};
  ok("PutMetricAlarm", input);
  const Json arn = described()["AlarmArn"];
  ok("TagResource", {{"ResourceARN", arn}, {"Tags", {{{"Key", "env"}, {"Value", "dev"}}}}});
  ok("UntagResource", {{"ResourceARN", arn}, {"TagKeys", {"team"}}});
  EXPECT_EQ(ok("ListTagsForResource", {{"ResourceARN", arn}})["Tags"],
            Json({{{"Key", "env"}, {"Value", "dev"}}}));
  EXPECT_EQ(call("ListTagsForResource", {{"ResourceARN", "arn:x"}}).error().code,
            "ResourceNotFoundException");
}

}  // namespace
}  // namespace coalmine::mock
