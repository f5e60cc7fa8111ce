#include "tests/unit/mock_cloudwatch/cloudwatch_fixture.h"

#include "tests/support/case_name.h"

namespace coalmine::mock {
namespace {

using namespace std::chrono_literals;

using Metrics = CloudWatchTest;

Json stat_query(const char* id, const char* metric, const char* stat, int period_s = 60) {
  return {{"Id", id},
          {"MetricStat",
           {{"Metric", {{"Namespace", "Test"}, {"MetricName", metric}}},
            {"Period", period_s},
            {"Stat", stat}}}};
}

TEST_F(Metrics, StatisticsSumToWhatWasPut) {
  now += 10min;
  ok("PutMetricData",
     {{"Namespace", "App"},
      {"MetricData",
       {{{"MetricName", "Latency"}, {"Values", {1, 2}}, {"Counts", {3, 4}}, {"Unit", "Seconds"}},
        {{"MetricName", "Latency"},
         {"StatisticValues", {{"SampleCount", 2}, {"Sum", 10}, {"Minimum", 4}, {"Maximum", 6}}},
         {"Unit", "Seconds"}}}}});
  const Json got = ok("GetMetricStatistics",
                      {{"Namespace", "App"},
                       {"MetricName", "Latency"},
                       {"StartTime", epoch(now)},
                       {"EndTime", epoch(now + 1min)},
                       {"Period", 60},
                       {"Statistics", {"Sum", "SampleCount", "Average", "Minimum", "Maximum"}}});
  ASSERT_EQ(got["Datapoints"].size(), 1U);
  EXPECT_EQ(got["Datapoints"][0], Json({{"Timestamp", epoch(now)},
                                        {"Unit", "Seconds"},
                                        {"Sum", 21.0},
                                        {"SampleCount", 9.0},
                                        {"Average", 21.0 / 9},
                                        {"Minimum", 1.0},
                                        {"Maximum", 6.0}}));
}

struct PutError {
  const char* name;
  Json datum;
  const char* code;
  const char* message;
};
class PutErrors : public CloudWatchTest, public testing::WithParamInterface<PutError> {};

TEST_P(PutErrors, SayWhatIsWrongAndStoreNothing) {
  Json datum = GetParam().datum;
  datum["MetricName"] = "m";
  const Reply reply =
      call("PutMetricData",
           {{"Namespace", "N"}, {"MetricData", {{{"MetricName", "good"}, {"Value", 1}}, datum}}});
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, GetParam().code);
  EXPECT_EQ(reply.error().message, GetParam().message);
  EXPECT_EQ(cloudwatch.metrics().size(), 0U);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, PutErrors,
    testing::Values(
        PutError{"Nothing", Json::object(), "MissingRequiredParameterException",
                 "At least one of the parameters MetricData.member.2.Value, "
                 "MetricData.member.2.Values and MetricData.member.2.StatisticValues must be "
                 "specified."},
        PutError{"Both",
                 {{"Value", 1}, {"Values", {1}}},
                 "InvalidParameterCombinationException",
                 "The parameters MetricData.member.2.Value and MetricData.member.2.Values are "
                 "mutually exclusive and you have specified both."},
        PutError{"Resolution",
                 {{"Value", 1}, {"StorageResolution", 2}},
                 "InvalidParameterValueException",
                 "The parameter MetricData.member.2.StorageResolution must be 1 or 60, but is 2."},
        PutError{"TooOld",
                 {{"Value", 1}, {"Timestamp", 1767225600 - 14 * 86400 - 1}},
                 "InvalidParameterValueException",
                 "The parameter MetricData.member.2.Timestamp must specify a time no more than two "
                 "weeks in the past."},
        PutError{"TooNew",
                 {{"Value", 1}, {"Timestamp", 1767225600 + 7201}},
                 "InvalidParameterValueException",
                 "The parameter MetricData.member.2.Timestamp must specify a time no more than two "
                 "hours in the future."},
        PutError{
            "TooManyValues",
            {{"Values", std::vector<double>(151, 1)}},
            "InvalidParameterValueException",
            "The collection MetricData.member.2.Values must not have a size greater than 150."},
        PutError{"OtherCounts",
                 {{"Values", {1, 2}}, {"Counts", {1}}},
                 "InvalidParameterValueException",
                 "The parameters MetricData.member.2.Values and MetricData.member.2.Counts must be "
                 "the same size."}),
    [](const auto& info) { return std::string(info.param.name); });

TEST_F(Metrics, AwsNamespacesAreThePlatformsOwn) {
  const Reply reply =
      call("PutMetricData",
           {{"Namespace", "AWS/ECS"}, {"MetricData", {{{"MetricName", "m"}, {"Value", 1}}}}});
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().message, "The value AWS/ECS for parameter Namespace is invalid.");
}

TEST_F(Metrics, StatisticsAreLimitedTo1440Points) {
  const auto ask = [&](Duration span) {
    return call("GetMetricStatistics", {{"Namespace", "N"},
                                        {"MetricName", "m"},
                                        {"StartTime", epoch(now)},
                                        {"EndTime", epoch(now + span)},
                                        {"Period", 60},
                                        {"Statistics", {"Sum"}}});
  };
  EXPECT_TRUE(ask(1440min));
  const Reply reply = ask(1441min);
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, "InvalidParameterCombinationException");
  EXPECT_EQ(reply.error().message,
            "You have requested up to 1441 datapoints, which exceeds the limit of 1440. You may "
            "reduce the datapoints requested by increasing Period, or decreasing the time range.");
}

TEST_F(Metrics, DataComesNewestFirstUnlessAskedOtherwise) {
  put("m", 1, now);
  put("m", 2, now + 1min);
  Json input = {{"MetricDataQueries", {stat_query("m1", "m", "Sum")}},
                {"StartTime", epoch(now)},
                {"EndTime", epoch(now + 5min)}};
  const Json newest = ok("GetMetricData", input);
  EXPECT_EQ(newest["MetricDataResults"][0]["Values"], Json({2.0, 1.0}));
  EXPECT_EQ(newest["MetricDataResults"][0]["StatusCode"], "Complete");
  input["ScanBy"] = "TimestampAscending";
  EXPECT_EQ(ok("GetMetricData", input)["MetricDataResults"][0]["Values"], Json({1.0, 2.0}));
}

TEST_F(Metrics, PagesJoinToTheWhole) {
  for (int i = 0; i < 7; ++i) put("m", i, now + std::chrono::minutes(i));
  Json input = {{"MetricDataQueries", {stat_query("a", "m", "Sum"), stat_query("b", "m", "Sum")}},
                {"StartTime", epoch(now)},
                {"EndTime", epoch(now + 1h)},
                {"MaxDatapoints", 3},
                {"ScanBy", "TimestampAscending"}};
  std::map<std::string, std::vector<double>> got;
  for (int page = 0; page < 10; ++page) {
    const Json reply = ok("GetMetricData", input);
    for (const Json& result : reply["MetricDataResults"]) {
      for (const Json& value : result["Values"]) got[result["Id"]].push_back(value);
    }
    if (!reply.contains("NextToken")) break;
    input["NextToken"] = reply["NextToken"];
  }
  const std::vector<double> want = {0, 1, 2, 3, 4, 5, 6};
  EXPECT_EQ(got["a"], want);
  EXPECT_EQ(got["b"], want);
}

struct MathCase {
  const char* expression;
  std::vector<double> want;  // oldest first
};
class MathTable : public CloudWatchTest, public testing::WithParamInterface<MathCase> {};

TEST_P(MathTable, Evaluates) {
  put("errors", 2, now);
  put("errors", 3, now + 2min);
  for (int i = 0; i < 3; ++i) put("requests", i == 2 ? 0 : 10, now + std::chrono::minutes(i));
  Json errors = stat_query("e", "errors", "Sum"), requests = stat_query("r", "requests", "Sum");
  errors["ReturnData"] = requests["ReturnData"] = false;
  const Json reply = ok("GetMetricData",
                        {{"MetricDataQueries",
                          {errors, requests, {{"Id", "x"}, {"Expression", GetParam().expression}}}},
                         {"StartTime", epoch(now)},
                         {"EndTime", epoch(now + 3min)},
                         {"ScanBy", "TimestampAscending"}});
  ASSERT_EQ(reply["MetricDataResults"].size(), 1U);
  EXPECT_EQ(reply["MetricDataResults"][0]["Values"].get<std::vector<double>>(), GetParam().want);
}

INSTANTIATE_TEST_SUITE_P(
    Expressions, MathTable,
    testing::Values(MathCase{"e / r", {0.2}},  // no errors: no point; no requests: none either
                    MathCase{"100 * e / r", {20}}, MathCase{"e + 1", {3, 4}},
                    MathCase{"-(e - 1) * 2", {-2, -4}}, MathCase{"FILL(e, 0)", {2, 0, 3}},
                    MathCase{"FILL(e, REPEAT)", {2, 2, 3}},
                    MathCase{"FILL(e, 0) / r * 100", {20, 0}},
                    MathCase{"IF(r > 5, 1, 0)", {1, 1, 0}}, MathCase{"IF(e > 2, e)", {3}},
                    MathCase{"e > 2 AND r == 0", {0, 1}}, MathCase{"SUM(e) + 0 * r", {5, 5, 5}},
                    MathCase{"1 + 2 * 3", {7, 7, 7}}),
    [](const auto& info) { return test::case_name(info.index, info.param.expression); });

TEST_F(Metrics, BadExpressionsSayWhere) {
  for (const auto& [expression, want] : std::vector<std::pair<const char*, const char*>>{
           {"m1 +", "Error in expression 'x': unexpected end at position 5"},
           {"nope * 2", "Error in expression 'x': there is no query with the id nope"},
           {"x + 1", "Error in expression 'x': expressions refer to one another in a circle"},
           {"SEARCH('a', 1)",
            "Error in expression 'x': function SEARCH is not implemented; there are IF, FILL, ABS, "
            "CEIL, FLOOR, SUM, AVG, MIN and MAX"}}) {
    const Reply reply =
        call("GetMetricData",
             {{"MetricDataQueries",
               {stat_query("m1", "m", "Sum"), {{"Id", "x"}, {"Expression", expression}}}},
              {"StartTime", epoch(now)},
              {"EndTime", epoch(now + 1min)}});
    ASSERT_FALSE(reply) << expression;
    EXPECT_EQ(reply.error().message, want);
  }
}

TEST_F(Metrics, ListFiltersByDimension) {
  ok("PutMetricData",
     {{"Namespace", "N"},
      {"MetricData",
       {{{"MetricName", "m"}, {"Value", 1}, {"Dimensions", {{{"Name", "v"}, {"Value", "1"}}}}},
        {{"MetricName", "m"}, {"Value", 1}, {"Dimensions", {{{"Name", "v"}, {"Value", "2"}}}}}}}});
  EXPECT_EQ(ok("ListMetrics", {{"Namespace", "N"}})["Metrics"].size(), 2U);
  const Json one =
      ok("ListMetrics", {{"Dimensions", {{{"Name", "v"}, {"Value", "2"}}}}})["Metrics"];
  ASSERT_EQ(one.size(), 1U);
  EXPECT_EQ(one[0]["Dimensions"][0]["Value"], "2");
  EXPECT_EQ(ok("ListMetrics", {{"Dimensions", {{{"Name", "w"}}}}})["Metrics"].size(), 0U);
  now += 4h;
  EXPECT_EQ(ok("ListMetrics", {{"RecentlyActive", "PT3H"}})["Metrics"].size(), 0U);
}

}  // namespace
}  // namespace coalmine::mock
