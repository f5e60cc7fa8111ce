#include "mock-aws/services/elbv2/target_health.h"

#include <gtest/gtest.h>

namespace coalmine::mock {
namespace {

/// '.' passes, 'x' answers 500, 't' times out, 'f' fails; the state after each.
std::string states_after(std::string_view probes) {
  const HealthCheck check;
  TargetProgress progress = registered();
  std::string states;
  for (const char c : probes) {
    ProbeOutcome outcome;
    if (c == 'x') outcome.status = 500;
    if (c == 't') outcome.kind = ProbeOutcome::Kind::TimedOut;
    if (c == 'f') outcome.kind = ProbeOutcome::Kind::Failed;
    progress = after_probe(check, progress, outcome);
    states += to_string(progress.health.state).front();
  }
  return states;
}

TEST(TargetHealthRule, OnePassIsEnoughAfterRegistration) {
  EXPECT_EQ(states_after("."), "h");
  EXPECT_EQ(states_after("x."), "ih");
}

TEST(TargetHealthRule, ThresholdsCountInARow) {
  EXPECT_EQ(states_after(".x.x.xx"), "hhhhhhu");
  EXPECT_EQ(states_after("xx...."), "iuuuuu");
  EXPECT_EQ(states_after("xx....."), "iuuuuuh");
  EXPECT_EQ(states_after("xx....x....."), "iuuuuuuuuuuh");
}

TEST(TargetHealthRule, ReasonsNameTheLastFailure) {
  const auto reason = [](ProbeOutcome outcome) {
    TargetProgress progress = registered();
    for (int i = 0; i < 2; ++i) progress = after_probe({}, progress, outcome);
    return progress.health.reason + ": " + progress.health.description;
  };
  EXPECT_EQ(reason({ProbeOutcome::Kind::Answered, 500}),
            "Target.ResponseCodeMismatch: Health checks failed with these codes: [500]");
  EXPECT_EQ(reason({ProbeOutcome::Kind::TimedOut, 0}), "Target.Timeout: Request timed out");
  EXPECT_EQ(reason({ProbeOutcome::Kind::Failed, 0}),
            "Target.FailedHealthChecks: Health checks failed");
}

TEST(Matcher, CoversCodesAndRanges) {
  EXPECT_TRUE(matches("200", 200));
  EXPECT_FALSE(matches("200", 201));
  EXPECT_TRUE(matches("200,302", 302));
  EXPECT_TRUE(matches("200-299", 299));
  EXPECT_FALSE(matches("200-299", 300));
  EXPECT_TRUE(valid_matcher("200-499"));
  for (const char* bad : {"", "199", "500", "300-200", "200,", "2xx", "200-"}) {
    EXPECT_FALSE(valid_matcher(bad)) << bad;
  }
}

}  // namespace
}  // namespace coalmine::mock
