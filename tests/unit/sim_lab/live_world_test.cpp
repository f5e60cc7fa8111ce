// A short rollout live on loopback: real processes, a real gateway, real requests.
#include "sim/lab/live_world.h"

#include <gtest/gtest.h>

#include <filesystem>

namespace coalmine::lab {
namespace {

using std::chrono::seconds;

world::Spec short_spec(double canary_errors) {
  world::Spec spec;
  spec.seed = 5;
  spec.limit = seconds{120};
  spec.traffic.rate = Rate{50};
  spec.versions.resize(2);
  spec.versions[0].name = "v1";
  spec.versions[1].name = "v2";
  for (world::Version& version : spec.versions) {
    version.latency = world::FixedLatency{std::chrono::milliseconds{5}};
  }
  if (canary_errors > 0) {
    spec.versions[1].faults = {{world::FaultKind::Errors, Percent{canary_errors}}};
  }
  spec.platform.metric_period = seconds{5};
  spec.plan.steps = {{rollout::SetWeight{Percent{20}}, {}},
                     {rollout::Bake{seconds{20}}, {}},
                     {rollout::Promote{"v2"}, {}}};
  spec.plan.analyses = {{"errors", rollout::ErrorShareTest{}, rollout::OnFail::Rollback, {}}};
  return spec;
}

Result<world::Record> play(const world::Spec& spec) {
  const std::string program = std::filesystem::path("/proc/self/exe").string();
  const auto folder = std::filesystem::read_symlink(program).parent_path();
  world::RunOptions options;
  options.speed = 10;
  return play_live(spec, options,
                   {(folder / "coalmine").string(), (folder / "sample-app").string(), nullptr});
}

TEST(LiveWorld, AHealthyCanaryIsPromotedAndNothingIsDropped) {
  const auto record = play(short_spec(0));
  ASSERT_TRUE(record) << to_string(record.error());
  EXPECT_EQ(record->outcome, world::Outcome::Promoted) << record->reason;
  EXPECT_EQ(record->dropped, 0u);
  EXPECT_GT(record->versions[1].requests, 50u);
  EXPECT_EQ(record->versions[0].failed() + record->versions[1].failed(), 0u);
  EXPECT_EQ(record->final_weights.at("v2"), 100u);
}

TEST(LiveWorld, AFaultyCanaryIsRolledBack) {
  const auto record = play(short_spec(60));
  ASSERT_TRUE(record) << to_string(record.error());
  EXPECT_EQ(record->outcome, world::Outcome::RolledBack) << record->reason;
  EXPECT_EQ(record->decided_by, "errors");
  EXPECT_GT(record->versions[1].failed(), 0u);
  EXPECT_EQ(record->versions[0].failed(), 0u);
}

TEST(LiveWorld, AMissingProgramIsTheEnvironmentsFault) {
  const auto record = play_live(short_spec(0), {}, {"/bin/true", "/no/such/sample-app", nullptr});
  ASSERT_FALSE(record);
  EXPECT_EQ(record.error().kind, ErrorKind::Environment);
}

TEST(LiveWorld, TooMuchLoadIsRefused) {
  world::Spec spec = short_spec(0);
  spec.traffic.rate = Rate{1e6};
  EXPECT_FALSE(play(spec));
}

}  // namespace
}  // namespace coalmine::lab
