#include "mock-aws/services/cloudwatch/alarm_rule.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace coalmine::mock {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kNow = kVirtualEpoch + 2h;

/// '0' holds, 'X' breaches "> 1", '-' is missing; newest right.
std::vector<AlarmPoint> points(std::string_view text) {
  std::vector<AlarmPoint> newest_first;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[text.size() - 1 - i];
    newest_first.push_back({kNow - std::chrono::minutes(i + 1), std::nullopt});
    if (c != '-') newest_first.back().value = c == 'X' ? 2 : 0;
  }
  return newest_first;
}

struct MissingCase {
  const char* points;
  int to_alarm;
  const char *missing, *ignore, *breaching, *not_breaching;
};

class MissingDataTable : public testing::TestWithParam<MissingCase> {};

TEST_P(MissingDataTable, FollowsTheUserGuide) {
  const MissingCase& row = GetParam();
  const auto state = [&](MissingData policy) {
    const AlarmRule rule{3, row.to_alarm, 1, Comparison::Greater, policy};
    const auto verdict = evaluate(rule, points(row.points));
    return verdict.state ? std::string(to_string(*verdict.state)) : "keep";
  };
  EXPECT_EQ(state(MissingData::Missing), row.missing);
  EXPECT_EQ(state(MissingData::Ignore), row.ignore);
  EXPECT_EQ(state(MissingData::Breaching), row.breaching);
  EXPECT_EQ(state(MissingData::NotBreaching), row.not_breaching);
}

INSTANTIATE_TEST_SUITE_P(
    ThreePeriods, MissingDataTable,
    testing::Values(MissingCase{"0-X-X", 3, "OK", "OK", "OK", "OK"},
                    MissingCase{"0----", 3, "OK", "OK", "OK", "OK"},
                    MissingCase{"-----", 3, "INSUFFICIENT_DATA", "keep", "ALARM", "OK"},
                    MissingCase{"0XX-X", 3, "ALARM", "ALARM", "ALARM", "ALARM"},
                    MissingCase{"--X--", 3, "ALARM", "keep", "ALARM", "OK"},
                    MissingCase{"0-X-X", 2, "ALARM", "ALARM", "ALARM", "ALARM"},
                    MissingCase{"00X0X", 2, "ALARM", "ALARM", "ALARM", "ALARM"},
                    MissingCase{"0-X--", 2, "OK", "OK", "ALARM", "OK"},
                    MissingCase{"----0", 2, "OK", "OK", "ALARM", "OK"},
                    MissingCase{"---X-", 2, "ALARM", "keep", "ALARM", "OK"}),
    [](const auto& info) {  // "0-X-X" of which 3 must breach: "3_of_0mXmX"
      std::string points = info.param.points;
      std::replace(points.begin(), points.end(), '-', 'm');
      return std::to_string(info.param.to_alarm) + "_of_" + points;
    });

TEST(AlarmReason, SpeaksAsCloudWatchDoes) {
  AlarmRule rule{1, 1, 1, Comparison::Greater, MissingData::Missing};
  EXPECT_EQ(
      evaluate(rule, points("X")).reason,
      "Threshold Crossed: 1 out of the last 1 datapoints [2.0 (01/01/26 01:59:00)] was greater "
      "than the threshold (1.0) (minimum 1 datapoint for OK -> ALARM transition).");
  EXPECT_EQ(evaluate(rule, points("0")).reason,
            "Threshold Crossed: 1 out of the last 1 datapoints [0.0 (01/01/26 01:59:00)] was not "
            "greater than the threshold (1.0) (minimum 1 datapoint for ALARM -> OK transition).");
  EXPECT_EQ(evaluate(rule, points("-")).reason, "Insufficient Data: 1 datapoint was unknown.");
  rule.missing = MissingData::NotBreaching;
  EXPECT_EQ(
      evaluate(rule, points("-")).reason,
      "Threshold Crossed: no datapoints were received for 1 period and 1 missing datapoint was "
      "treated as [NonBreaching].");
  rule.periods = 3;
  EXPECT_EQ(evaluate(rule, points("---")).reason,
            "Threshold Crossed: no datapoints were received for 3 periods and 3 missing datapoints "
            "were treated as [NonBreaching].");
  rule.missing = MissingData::Missing;
  EXPECT_EQ(evaluate(rule, points("---")).reason, "Insufficient Data: 3 datapoints were unknown.");
  rule.to_alarm = 2;
  EXPECT_EQ(
      evaluate(rule, points("X0X")).reason,
      "Threshold Crossed: 2 out of the last 3 datapoints [2.0 (01/01/26 01:59:00), 2.0 "
      "(01/01/26 01:57:00)] were greater than the threshold (1.0) (minimum 2 datapoints for OK "
      "-> ALARM transition).");
}

TEST(AlarmRule, ComparesAtTheThreshold) {
  const auto at = [](Comparison c, double v) { return breaches({1, 1, 1, c, {}}, v); };
  EXPECT_TRUE(at(Comparison::GreaterOrEqual, 1));
  EXPECT_FALSE(at(Comparison::Greater, 1));
  EXPECT_FALSE(at(Comparison::Less, 1));
  EXPECT_TRUE(at(Comparison::LessOrEqual, 1));
}

}  // namespace
}  // namespace coalmine::mock
