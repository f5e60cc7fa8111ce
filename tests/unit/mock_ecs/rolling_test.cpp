#include "mock-aws/services/ecs/rolling.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace coalmine::mock::ecs {
namespace {

struct Row {
  const char* name;
  int desired, low, high;
  const char* order;  ///< what happens step by step
};

/// Plays a deployment from `desired` healthy old tasks: each line starts or stops, then everything
/// that was started gets healthy and everything that was told to stop has gone.
std::string play(const Row& row) {
  RollingCounts c;
  c.desired = row.desired;
  c.min_percent = row.low;
  c.max_percent = row.high;
  c.old = c.old_healthy = row.desired;
  std::string order;
  for (int i = 0; i < 20; ++i) {
    const RollingStep step = rolling_step(c);
    if (step.stuck) return order + "stuck";
    if (step.stop_old == 0 && step.start == 0) return order + "done";
    if (step.stop_old > 0) {
      order += fmt::format("stop {}, ", step.stop_old);
      c.old -= step.stop_old;
      c.old_healthy -= std::min(c.old_healthy, step.stop_old);
    }
    if (step.start > 0) order += fmt::format("start {}, ", step.start);
    c.fresh += step.start;
    c.fresh_healthy = c.fresh;
  }
  return order + "never ends";
}

class Rolling : public testing::TestWithParam<Row> {};

TEST_P(Rolling, StartsAndStopsInAwsOrder) {
  EXPECT_EQ(play(GetParam()), GetParam().order);
}

INSTANTIATE_TEST_SUITE_P(
    Percentages, Rolling,
    testing::Values(
        Row{"OneDefault", 1, 100, 200, "start 1, stop 1, done"},
        Row{"OneWithGap", 1, 0, 100, "stop 1, start 1, done"},
        Row{"OneHalfIsStuck", 1, 50, 100, "stuck"}, Row{"TwoIsStuck", 2, 75, 100, "stuck"},
        Row{"ThreeIsStuck", 3, 100, 125, "stuck"},
        Row{"FourDown", 4, 50, 100, "stop 2, start 2, stop 2, start 2, done"},
        Row{"FourUp", 4, 100, 150, "start 2, stop 2, start 2, stop 2, done"},
        Row{"FourDouble", 4, 100, 200, "start 4, stop 4, done"},
        Row{"TenByOne", 10, 90, 100,
            "stop 1, start 1, stop 1, start 1, stop 1, start 1, stop 1, start 1, stop 1, start 1, "
            "stop 1, start 1, stop 1, start 1, stop 1, start 1, stop 1, start 1, stop 1, start 1, "
            "never ends"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(RollingLimits, RoundLikeAws) {
  EXPECT_EQ(lower_limit(1, 50), 1);
  EXPECT_EQ(lower_limit(3, 50), 2);
  EXPECT_EQ(lower_limit(4, 0), 0);
  EXPECT_EQ(upper_limit(3, 125), 3);
  EXPECT_EQ(upper_limit(4, 150), 6);
  EXPECT_EQ(upper_limit(1, 199), 1);
}

TEST(RollingStep, NeverGoesBelowTheLowerNorAboveTheUpperLimit) {
  for (int desired = 0; desired <= 6; ++desired) {
    for (int low : {0, 25, 50, 75, 100}) {
      for (int high : {100, 125, 150, 200}) {
        for (int fresh = 0; fresh <= 6; ++fresh) {
          for (int fresh_healthy = 0; fresh_healthy <= fresh; ++fresh_healthy) {
            for (int old = 1; old <= 6; ++old) {
              for (int old_healthy = 0; old_healthy <= old; ++old_healthy) {
                for (int stopping = 0; stopping <= 2; ++stopping) {
                  const RollingCounts c{desired, low,         high,     fresh, fresh_healthy,
                                        old,     old_healthy, stopping, true};
                  const RollingStep step = rolling_step(c);
                  ASSERT_GE(step.start, 0);
                  ASSERT_LE(step.stop_old, old);
                  const int healthy_stops = std::max(0, step.stop_old - (old - old_healthy));
                  if (healthy_stops > 0) {
                    ASSERT_GE(fresh_healthy + old_healthy - healthy_stops,
                              std::min(lower_limit(desired, low), desired));
                  }
                  if (step.start > 0) {
                    ASSERT_LE(fresh + old + stopping + step.start, upper_limit(desired, high));
                  }
                }
              }
            }
          }
        }
      }
    }
  }
}

TEST(RollingStep, WithoutADeploymentACrashedTaskIsReplacedAtOnce) {
  RollingCounts c;
  c.desired = 2;
  c.max_percent = 100;
  c.fresh = c.fresh_healthy = 1;
  c.stopping = 1;
  EXPECT_EQ(rolling_step(c).start, 1);
  c.may_start = false;
  EXPECT_EQ(rolling_step(c).start, 0);
}

TEST(RollingStep, ScaleInStopsTheSurplus) {
  RollingCounts c;
  c.desired = 1;
  c.fresh = c.fresh_healthy = 3;
  EXPECT_EQ(rolling_step(c).stop_fresh, 2);
}

}  // namespace
}  // namespace coalmine::mock::ecs
