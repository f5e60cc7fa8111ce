#include "mock-aws/server/api_faults.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/case_name.h"

namespace coalmine::mock {
namespace {

const ApiCall kUpdateRoute{"appmesh", "UpdateRoute"};
const ApiCall kUpdateService{"ecs", "UpdateService"};

ApiFaults faults(const char* json) {
  const auto parsed = parse_api_faults(*parse_json(json));
  EXPECT_TRUE(parsed) << (parsed ? "" : parsed.error().message);
  ApiFaults result;
  if (parsed) {
    EXPECT_TRUE(result.add(*parsed));
  }
  return result;
}

std::string code(ApiFaults& all, const ApiCall& call, Random& random) {
  const ApiFaultOutcome outcome = all.decide(call, random);
  return outcome.drop ? "drop" : outcome.error ? outcome.error->code : "";
}

TEST(ApiFaults, StrikeTheNamedOperation) {
  Random random(1);
  ApiFaults all = faults(R"({"service":"appmesh","operation":"UpdateRoute","action":"throttle"})");
  EXPECT_EQ(code(all, kUpdateRoute, random), "TooManyRequestsException");
  EXPECT_EQ(code(all, {"appmesh", "DescribeRoute"}, random), "");
  EXPECT_EQ(code(all, kUpdateService, random), "");
  ApiFaults any = faults(R"({"service":"*","action":"throttle"})");
  EXPECT_EQ(code(any, kUpdateService, random), "ThrottlingException");
  EXPECT_EQ(code(any, {"elbv2", "ModifyRule"}, random), "Throttling");
}

TEST(ApiFaults, StrikeOnlyTheNthCall) {
  Random random(1);
  ApiFaults all =
      faults(R"([{"action":"drop","nth":2},{"service":"ecs","action":"drop","nth":1}])");
  EXPECT_EQ(code(all, kUpdateRoute, random), "");
  EXPECT_EQ(code(all, kUpdateRoute, random), "drop");
  EXPECT_EQ(code(all, kUpdateRoute, random), "");
  EXPECT_EQ(code(all, kUpdateService, random), "drop");
  EXPECT_EQ(code(all, kUpdateService, random), "");
}

TEST(ApiFaults, StrikeALimitedNumberOfTimes) {
  Random random(1);
  ApiFaults all = faults(R"({"faults":[{"action":"throttle","times":2}]})");
  EXPECT_EQ(code(all, kUpdateService, random), "ThrottlingException");
  EXPECT_EQ(code(all, kUpdateService, random), "ThrottlingException");
  EXPECT_EQ(code(all, kUpdateService, random), "");
}

TEST(ApiFaults, StrikeWithTheirProbability) {
  Random random(1);
  for (const char* json :
       {R"({"action":"drop","probability":0.1})", R"({"action":"drop","probability":"10%"})"}) {
    ApiFaults all = faults(json);
    int struck = 0;
    for (int i = 0; i < 20'000; ++i) struck += code(all, kUpdateRoute, random) == "drop" ? 1 : 0;
    EXPECT_NEAR(struck, 2000, 5 * std::sqrt(20'000 * 0.1 * 0.9));
  }
}

TEST(ApiFaults, DelaysAddUpBeforeAnError) {
  Random random(1);
  ApiFaults all = faults(
      R"([{"action":"delay","delay":"1s"},{"action":"error","code":"X","status":500,
          "message":"m","delay":"2s"},{"action":"drop"}])");
  const ApiFaultOutcome outcome = all.decide(kUpdateRoute, random);
  EXPECT_EQ(outcome.delay, std::chrono::seconds{3});
  ASSERT_TRUE(outcome.error);
  EXPECT_EQ(outcome.error->code, "X");
  EXPECT_EQ(outcome.error->message, "m");
  EXPECT_EQ(outcome.error->status, 500);
  EXPECT_FALSE(outcome.drop);
  ApiFaults most = faults(R"([{"action":"delay","delay":"1m"},{"action":"delay","delay":"1m"}])");
  EXPECT_EQ(most.decide(kUpdateRoute, random).delay, kMaxApiDelay);
}

TEST(ApiFaults, AreListedWithTheirCounters) {
  Random random(1);
  ApiFaults all = faults(R"({"service":"ecs","action":"delay","delay":"2s","nth":2})");
  all.decide(kUpdateService, random);
  all.decide(kUpdateService, random);
  EXPECT_EQ(dump_json(all.to_json()),
            R"([{"action":"delay","calls":2,"delay":"2s","nth":2,"service":"ecs","struck":1}])");
}

struct BadCase {
  const char* json;
  const char* says;
};
class BadApiFault : public testing::TestWithParam<BadCase> {};
TEST_P(BadApiFault, IsRefusedWithWhatIsAllowed) {
  const auto parsed = parse_api_faults(*parse_json(GetParam().json));
  ASSERT_FALSE(parsed);
  EXPECT_NE(parsed.error().message.find(GetParam().says), std::string::npos)
      << parsed.error().message;
}
INSTANTIATE_TEST_SUITE_P(
    Json, BadApiFault,
    testing::Values(BadCase{R"({})", "allowed are throttle"},
                    BadCase{R"({"action":"explode"})", "\"explode\""},
                    BadCase{R"({"action":"error"})", "needs \"code\""},
                    BadCase{R"({"action":"delay"})", "needs \"delay\""},
                    BadCase{R"({"action":"delay","delay":"61s"})", "at most 1m"},
                    BadCase{R"({"action":"delay","delay":2})", "write \"2s\""},
                    BadCase{R"({"action":"drop","nth":0})", "whole number 1"},
                    BadCase{R"({"action":"drop","nth":1.5})", "whole number 1"},
                    BadCase{R"({"action":"drop","probability":2})", "0 to 1"},
                    BadCase{R"({"action":"drop","status":200})", "400 to 599"},
                    BadCase{R"({"action":"drop","colour":1})", "no \"colour\""},
                    BadCase{R"([1])", "must be an object"}),
    [](const auto& info) { return test::case_name(info.index, info.param.says); });

TEST(ApiFaults, HaveALimitedNumber) {
  ApiFaults all;
  const ApiFault one{.action = ApiFault::Action::Drop};
  EXPECT_TRUE(all.add(std::vector<ApiFault>(kMaxApiFaults, one)));
  EXPECT_FALSE(all.add({one}));
}

}  // namespace
}  // namespace coalmine::mock
