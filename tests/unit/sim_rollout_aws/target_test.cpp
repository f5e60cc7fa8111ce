#include "sim/rollout/aws/target.h"

#include <gtest/gtest.h>

namespace coalmine::rollout {
namespace {

using namespace std::chrono_literals;

class StillClock : public Clock {
 public:
  TimePoint now() override { return kVirtualEpoch; }
  void sleep_until(TimePoint) override {}
};

aws::Environment world(std::map<std::string, std::string> variables) {
  return {[variables](const std::string& name) -> std::optional<std::string> {
            const auto at = variables.find(name);
            if (at == variables.end()) return std::nullopt;
            return at->second;
          },
          [](const std::string&) -> std::optional<std::string> { return std::nullopt; }};
}

TEST(RolloutTarget, SettingsSurviveTheJournal) {
  TargetSettings settings;
  settings.aws = true;
  settings.traffic = "alb";
  settings.listener_port = 8080;
  settings.rule_arn = "arn:rule";
  settings.metric_period = 30s;
  const auto back = settings_from_map(to_map(settings));
  EXPECT_EQ(to_map(back), to_map(settings));
  EXPECT_EQ(to_map(settings_from_map({})), to_map(TargetSettings{}));
}

TEST(RolloutTarget, LocalNeedsNothingAndRealAwsSaysWhatItMisses) {
  StillClock clock;
  TargetSettings settings;
  const auto local = RolloutTarget::open(settings, {}, clock, world({}));
  ASSERT_TRUE(local) << to_string(local.error());
  EXPECT_EQ((*local)->description(), "http://127.0.0.1:4566, region us-east-1");
  const auto elsewhere =
      RolloutTarget::open(settings, {}, clock, world({{"AWS_ENDPOINT_URL", "http://h:1/"}}));
  EXPECT_EQ((*elsewhere)->description(), "http://h:1, region us-east-1");

  settings.aws = true;
  const auto no_region = RolloutTarget::open(settings, {}, clock, world({{"HOME", "/h"}}));
  ASSERT_FALSE(no_region);
  EXPECT_TRUE(no_region.error().message.starts_with("no AWS region found; tried"));
  const auto no_keys =
      RolloutTarget::open(settings, {}, clock, world({{"HOME", "/h"}, {"AWS_REGION", "r"}}));
  ASSERT_FALSE(no_keys);
  EXPECT_EQ(no_keys.error().kind, ErrorKind::Environment);
  EXPECT_TRUE(no_keys.error().message.starts_with("no AWS credentials found; tried"));
}

TEST(RolloutTarget, UnknownTrafficAndPeriodsAreRefused) {
  StillClock clock;
  TargetSettings settings;
  for (const char* traffic : {"ecs", "nginx"}) {
    settings.traffic = traffic;
    EXPECT_FALSE(RolloutTarget::open(settings, {}, clock, world({})));
  }
  settings.traffic = "alb";
  for (const Duration bad : {Duration{7s}, Duration{61s}, Duration{500ms}}) {
    settings.metric_period = bad;
    EXPECT_FALSE(RolloutTarget::open(settings, {}, clock, world({})));
  }
  settings.metric_period = 5min;
  EXPECT_TRUE(RolloutTarget::open(settings, {}, clock, world({})));
}

}  // namespace
}  // namespace coalmine::rollout
