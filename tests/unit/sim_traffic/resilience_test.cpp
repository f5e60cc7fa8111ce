#include <gtest/gtest.h>

#include "sim/traffic/outlier.h"
#include "sim/traffic/retry.h"

namespace coalmine::traffic {
namespace {

using Kind = AttemptOutcome::Kind;
using std::chrono::milliseconds;
using std::chrono::seconds;

struct RetryCase {
  const char* name;
  std::vector<std::string> on;
  AttemptOutcome outcome;
  bool want;
};
class Retry : public testing::TestWithParam<RetryCase> {};

TEST_P(Retry, EventsAreThoseOfEnvoyAndAppMesh) {
  const RetryPolicy policy{GetParam().on, 1, {}};
  const auto conditions = parse_retry_conditions(policy.on);
  ASSERT_TRUE(conditions) << conditions.error().message;
  EXPECT_EQ(should_retry(policy, *conditions, GetParam().outcome, 0), GetParam().want);
}

// Source: Envoy router_filter documentation (x-envoy-retry-on); App Mesh API model.
INSTANTIATE_TEST_SUITE_P(
    Table, Retry,
    testing::Values(
        RetryCase{"NoneIsNone", {}, {Kind::Response, 503}, false},
        RetryCase{"FiveHundreds", {"5xx"}, {Kind::Response, 500}, true},
        RetryCase{"FiveHundredsConnect", {"5xx"}, {Kind::ConnectFailure, 0}, true},
        RetryCase{"FiveHundredsReset", {"5xx"}, {Kind::ResetBeforeHead, 0}, true},
        RetryCase{"FiveHundredsNot404", {"5xx"}, {Kind::Response, 404}, false},
        RetryCase{"GatewayErrorNot500", {"gateway-error"}, {Kind::Response, 500}, false},
        RetryCase{"GatewayError502", {"gateway-error"}, {Kind::Response, 502}, true},
        RetryCase{"GatewayError504", {"gateway-error"}, {Kind::Response, 504}, true},
        RetryCase{"ConnectOnly", {"connect-failure"}, {Kind::ConnectFailure, 0}, true},
        RetryCase{"ConnectNotReset", {"connect-failure"}, {Kind::ResetBeforeHead, 0}, false},
        RetryCase{"Reset", {"reset"}, {Kind::ResetBeforeHead, 0}, true},
        RetryCase{"Retriable4xx409", {"retriable-4xx"}, {Kind::Response, 409}, true},
        RetryCase{"Retriable4xxNot404", {"retriable-4xx"}, {Kind::Response, 404}, false},
        RetryCase{"ClientError409", {"client-error"}, {Kind::Response, 409}, true},
        RetryCase{"ServerErrorNot509", {"server-error"}, {Kind::Response, 509}, false},
        RetryCase{"ServerError510", {"server-error"}, {Kind::Response, 510}, true},
        RetryCase{"Status503", {"503"}, {Kind::Response, 503}, true},
        RetryCase{"Status503Not502", {"503"}, {Kind::Response, 502}, false}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(Retry, AppMeshRetriesTwiceByDefault) {
  const RetryPolicy policy = app_mesh_default_retries();
  const auto conditions = parse_retry_conditions(policy.on);
  ASSERT_TRUE(conditions);
  EXPECT_TRUE(should_retry(policy, *conditions, {Kind::Response, 503}, 1));
  EXPECT_FALSE(should_retry(policy, *conditions, {Kind::Response, 503}, 2));
  EXPECT_FALSE(should_retry(policy, *conditions, {Kind::Response, 500}, 0));
  EXPECT_TRUE(should_retry(policy, *conditions, {Kind::ConnectFailure, 0}, 0));
}

TEST(Retry, SpentIsWhatWouldHaveBeenRetried) {  // Envoy: flag URX
  const RetryPolicy policy{{"503"}, 1, {}};
  const auto on = *parse_retry_conditions(policy.on);
  EXPECT_EQ(ask_retry_policy(policy, on, {Kind::Response, 503}, 0), RetryAnswer::Yes);
  EXPECT_EQ(ask_retry_policy(policy, on, {Kind::Response, 503}, 1), RetryAnswer::Spent);
  EXPECT_EQ(ask_retry_policy(policy, on, {Kind::Response, 500}, 1), RetryAnswer::No);
}

TEST(Retry, UnknownConditionsAreNamed) {
  EXPECT_NE(parse_retry_conditions({"sometimes"}).error().message.find("\"sometimes\""),
            std::string::npos);
}

TEST(Retry, BackoffIsJitteredAndCapped) {  // Envoy: [0, (2^n - 1) * 25 ms), at most 250 ms
  EXPECT_EQ(retry_backoff(1, 0), Duration{});
  EXPECT_LT(retry_backoff(1, 0.999999), milliseconds(25));
  EXPECT_GT(retry_backoff(2, 0.999), milliseconds(74));
  EXPECT_LT(retry_backoff(2, 0.999999), milliseconds(75));
  EXPECT_LT(retry_backoff(30, 0.999999), milliseconds(250));
  EXPECT_GT(retry_backoff(30, 0.999), milliseconds(249));
}

// Source of the outlier cases: Envoy outlier_detection_impl_test.cc and its documentation.
TEST(Outlier, TheFifthErrorInARowEjects) {
  OutlierState state({}, 4);
  for (int i = 0; i < 4; ++i) EXPECT_FALSE(state.record(0, 500, kVirtualEpoch));
  EXPECT_TRUE(state.record(0, 500, kVirtualEpoch));
  EXPECT_TRUE(state.ejected(0));
  EXPECT_EQ(state.ejected_count(), 1U);
}

TEST(Outlier, AnyOtherAnswerResetsTheCount) {
  OutlierState state({}, 4);
  for (int i = 0; i < 4; ++i) state.record(0, 500, kVirtualEpoch);
  state.record(0, 200, kVirtualEpoch);
  EXPECT_FALSE(state.record(0, 500, kVirtualEpoch));
}

TEST(Outlier, OfTheGatewaysOwnErrorsFewerAreEnough) {
  OutlierPolicy policy;
  policy.consecutive_gateway_errors = 3;
  struct Row {
    std::vector<int> statuses;
    bool ejects;
  };
  for (const Row& row : {Row{{502, 503, 504}, true}, Row{{0, 0, 0}, true},
                         Row{{503, 503, 500, 503}, false}, Row{{503, 503, 200, 503}, false},
                         Row{{500, 501, 505, 503}, false}, Row{{500, 500, 503, 503, 500}, true}}) {
    OutlierState state(policy, 4);
    bool ejected = false;
    for (const int status : row.statuses) ejected |= state.record(0, status, kVirtualEpoch);
    EXPECT_EQ(ejected, row.ejects) << row.statuses[0] << row.statuses[2];
  }
}

// Envoy, successRateEjectionThreshold(): mean - 1.9 * standard deviation. Of four hosts at 100%
// and one at 50% the mean is 90%, the deviation 20% and the threshold 52%. One host of five that
// differs from the others lies two deviations below the mean, however little it differs.
struct RateCase {
  const char* name;
  std::vector<int> good;  ///< of how many requests in a hundred each host makes a success
  std::vector<std::size_t> ejected;
  int requests = 100;
  double factor = 1.9;
};
class SuccessRate : public testing::TestWithParam<RateCase> {};

TEST_P(SuccessRate, EjectsWhatLiesFarBelowTheOthers) {
  const RateCase& c = GetParam();
  OutlierPolicy policy;
  policy.consecutive_errors = 0;
  policy.max_ejection_percent = 100;
  policy.success_rate = SuccessRatePolicy{5, 100, c.factor};
  OutlierState state(policy, c.good.size());
  for (std::size_t i = 0; i < c.good.size(); ++i) {
    for (int n = 0; n < c.requests; ++n) {
      EXPECT_FALSE(state.record(i, n < c.good[i] ? 200 : 500, kVirtualEpoch));
    }
  }
  EXPECT_EQ(state.sweep(kVirtualEpoch + seconds(10)), c.ejected);
  for (const std::size_t i : c.ejected) EXPECT_TRUE(state.ejected(i));
  EXPECT_TRUE(state.sweep(kVirtualEpoch + seconds(20)).empty()) << "an interval of its own";
}

INSTANTIATE_TEST_SUITE_P(
    Hosts, SuccessRate,
    testing::Values(RateCase{"OneFarBelow", {100, 100, 50, 100, 100}, {2}},
                    RateCase{"OneSlightlyBelow", {100, 100, 100, 100, 99}, {4}},
                    RateCase{"AllAlike", {60, 60, 60, 60, 60}, {}},
                    RateCase{"SpreadOut", {90, 80, 70, 60, 50}, {}},
                    RateCase{"TooFewHosts", {100, 100, 0, 100}, {}},
                    RateCase{"TooFewRequests", {99, 99, 0, 99, 99}, {}, 99},
                    RateCase{"AWiderMargin", {100, 100, 50, 100, 100}, {}, 100, 2.1},
                    RateCase{"Two", {100, 100, 100, 100, 100, 100, 100, 100, 0, 0}, {8, 9}}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(SuccessRate, KeepsToTheLimitOfEjections) {
  OutlierPolicy policy;
  policy.max_ejection_percent = 10;
  policy.success_rate = SuccessRatePolicy{5, 1, 1.0};
  OutlierState state(policy, 10);
  for (std::size_t i = 0; i < 10; ++i) state.record(i, i < 8 ? 200 : 500, kVirtualEpoch);
  EXPECT_EQ(state.sweep(kVirtualEpoch), std::vector<std::size_t>{8});
  EXPECT_EQ(state.sweep(state.back_at(8)), std::vector<std::size_t>{}) << "back in time";
  EXPECT_FALSE(state.ejected(8));
}

void eject(OutlierState& state, std::size_t instance, TimePoint now) {
  for (int i = 0; i < 5; ++i) state.record(instance, 500, now);
}

TEST(Outlier, EjectionsGrowAndAreCapped) {
  OutlierState state({}, 4);
  TimePoint now = kVirtualEpoch;
  for (const int want_s : {30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300}) {
    eject(state, 0, now);
    EXPECT_EQ(state.back_at(0), now + seconds(want_s));
    now += seconds(want_s);
    state.sweep(now - milliseconds(1));
    EXPECT_TRUE(state.ejected(0));
    state.sweep(now);
    EXPECT_FALSE(state.ejected(0));
  }
}

TEST(Outlier, AHealthyIntervalMakesTheNextEjectionShorter) {
  OutlierState state({}, 4);
  TimePoint now = kVirtualEpoch;
  for (int i = 0; i < 2; ++i) {
    eject(state, 0, now);
    now = state.back_at(0);
    state.sweep(now);
  }
  state.sweep(now + seconds(10));
  eject(state, 0, now + seconds(10));
  EXPECT_EQ(state.back_at(0), now + seconds(10) + seconds(60)) << "2 - 1 + 1 ejections";
}

TEST(Outlier, AtMostTenPercentButAlwaysOne) {
  OutlierState state({}, 4);
  eject(state, 0, kVirtualEpoch);
  eject(state, 1, kVirtualEpoch);
  EXPECT_EQ(state.ejected_count(), 1U);
  OutlierPolicy strict;
  strict.always_eject_one = false;
  OutlierState none(strict, 4);
  eject(none, 0, kVirtualEpoch);
  EXPECT_EQ(none.ejected_count(), 0U);
  OutlierState twenty({}, 20);
  for (std::size_t i = 0; i < 3; ++i) eject(twenty, i, kVirtualEpoch);
  EXPECT_EQ(twenty.ejected_count(), 2U);
}

TEST(Outlier, AHealthCheckTakesItBack) {
  OutlierState state({}, 4);
  eject(state, 2, kVirtualEpoch);
  state.readmit(2);
  EXPECT_FALSE(state.ejected(2));
  EXPECT_EQ(state.back_at(2), kNever);
}

}  // namespace
}  // namespace coalmine::traffic
