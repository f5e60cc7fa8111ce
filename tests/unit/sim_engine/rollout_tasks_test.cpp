// Rollouts that change tasks, in virtual time.
#include <gtest/gtest.h>

#include <map>

#include "sim/engine/direct_plane.h"
#include "sim/engine/mock_plane.h"
#include "sim/engine/simulation.h"

namespace coalmine::engine {
namespace {

using rollout::PromoteKind;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using world::Ending;

world::Spec planned(std::vector<rollout::StepKind> steps) {
  world::Spec spec;
  spec.limit = minutes{30};
  spec.traffic.rate = Rate{100};
  spec.versions.resize(2);
  spec.versions[0].name = "v1";
  spec.versions[0].tasks = 4;
  spec.versions[1].name = "v2";
  for (rollout::StepKind& step : steps) spec.plan.steps.push_back({std::move(step), {}});
  return spec;
}

world::Record play(const world::Spec& spec, const ControlPlaneMaker& maker = make_direct_plane,
                   world::Fidelity fidelity = world::Fidelity::Auto) {
  world::RunOptions options;
  options.fidelity = fidelity;
  const auto record = simulate(spec, options, maker);
  if (!record) {
    ADD_FAILURE() << to_string(record.error());
    return {};
  }
  return *record;
}

std::uint64_t late(const world::VersionRecord& version) {
  return version.endings[static_cast<std::size_t>(Ending::Timeout)];
}

/// "0:10.000 v2 1 -> 3" of every change of tasks.
std::vector<std::string> changes(const world::Record& record) {
  std::vector<std::string> list;
  for (const rollout::Event& event : record.timeline) {
    if (event.name != "tasks.asked") continue;
    list.push_back(fmt::format("{} {} {} -> {}", to_stopwatch(event.t - record.start),
                               event.text("version"), event.number("from"), event.number("tasks")));
  }
  return list;
}

std::optional<Duration> time_of(const world::Record& record, std::string_view name) {
  for (const rollout::Event& event : record.timeline) {
    if (event.name == name) return event.t - record.start;
  }
  return std::nullopt;
}

std::vector<rollout::StepKind> to_half() {
  return {rollout::SetWeight{Percent{10}}, rollout::Bake{minutes{2}},
          rollout::SetWeight{Percent{50}}, rollout::Bake{minutes{5}}, rollout::Promote{"v2"}};
}

TEST(RolloutTasks, FollowTheWeightSoThatNobodyWaits) {
  for (const bool follows : {false, true}) {
    world::Spec spec = planned(to_half());
    for (world::Version& version : spec.versions) version.capacity = Rate{30};
    if (follows) spec.plan.capacity = rollout::CanaryCapacity::FollowWeight;
    const world::Record record = play(spec);
    EXPECT_EQ(record.outcome, world::Outcome::Promoted) << record.reason;
    EXPECT_EQ(record.dropped, 0u);
    if (follows) {
      EXPECT_EQ(late(record.versions[1]), 0u);
      EXPECT_EQ(changes(record),
                (std::vector<std::string>{"2:00.000 v2 1 -> 2", "7:10.000 v2 2 -> 4"}));
      // The new task takes requests ten seconds later, and then the weight rises.
      EXPECT_EQ(record.duration, minutes{7} + seconds{20});
    } else {
      EXPECT_GT(late(record.versions[1]), 3000u);
    }
  }
}

TEST(RolloutTasks, ThatAreTooManyGoWithoutLosingARequest) {
  world::Spec spec = planned(to_half());
  spec.versions[1].tasks = 4;
  spec.versions[1].concurrency = 100;
  spec.versions[1].faults = {{world::FaultKind::Errors, Percent{20}, 500, {}, ""}};
  spec.plan.analyses.resize(1);
  spec.plan.analyses[0].metric = "errors";
  spec.plan.analyses[0].test = rollout::ErrorShareTest{};
  spec.plan.capacity = rollout::CanaryCapacity::FollowWeight;
  spec.platform.route_delay = seconds{20};
  const world::Record record = play(spec);
  EXPECT_EQ(record.outcome, world::Outcome::RolledBack);
  EXPECT_EQ(record.dropped, 0u);
  ASSERT_EQ(changes(record).size(), 2u);
  EXPECT_EQ(changes(record)[0], "0:30.000 v2 4 -> 1");
  EXPECT_NE(changes(record)[1].find("v2 1 -> 0"), std::string::npos);
}

TEST(RolloutTasks, ALoadBalancersNewTargetsAreWaitedFor) {
  world::Spec spec = planned(to_half());
  spec.plan.traffic = rollout::TrafficApi::Alb;
  spec.platform.metric_period = minutes{1};
  spec.plan.capacity = rollout::CanaryCapacity::FollowWeight;
  EXPECT_EQ(play(spec, make_quick_plane).outcome, world::Outcome::Promoted);
  // A target whose checks do not pass is not ready, although a group of sick ones fails open; and
  // the rollout does not wait for ever.
  spec.versions[1].faults = {{world::FaultKind::Unhealthy}};
  const world::Record sick = play(spec, make_quick_plane);
  EXPECT_EQ(sick.outcome, world::Outcome::RolledBack);
  EXPECT_EQ(sick.reason, "0 of 2 tasks of v2 take requests after 10m");
  EXPECT_EQ(sick.max_canary_share, 0.1);
}

std::vector<rollout::StepKind> promoted_by(PromoteKind kind) {
  return {rollout::SetWeight{Percent{20}}, rollout::Bake{minutes{2}},
          rollout::Promote{"v2", kind, false}};
}

TEST(RolloutTasks, AnImageSwapMakesStableRunTheCanarysBuild) {
  // Errors of the build: stable's users meet them from the swap on, and not before.
  for (const world::Fidelity fidelity : {world::Fidelity::Request, world::Fidelity::Aggregate}) {
    world::Spec spec = planned(promoted_by(PromoteKind::ImageSwap));
    spec.versions[1].faults = {{world::FaultKind::Errors, Percent{50}, 500, {}, ""}};
    spec.platform.task_start = seconds{15};
    spec.hooks["last"].takes = minutes{5};
    rollout::Hook hook;
    hook.name = "last";
    hook.at = rollout::HookStage::PostRollout;
    hook.url = "http://x/";
    hook.timeout = minutes{10};
    spec.plan.hooks = {hook};
    const world::Record record = play(spec, make_direct_plane, fidelity);
    EXPECT_EQ(record.outcome, world::Outcome::Promoted);
    EXPECT_EQ(record.reason, "v1 runs v2 and takes all traffic");
    EXPECT_EQ(record.final_weights.at("v1"), 100u);
    EXPECT_EQ(time_of(record, "tasks.swapped"), minutes{2} + seconds{15});
    std::uint64_t before = 0, after = 0, requests = 0;
    for (const world::Span& span : record.spans) {
      const world::Tally& v1 = span.versions[0];
      (span.end <= minutes{2} + seconds{15} ? before : after) += v1.failed;
      if (span.begin >= minutes{2} + seconds{15}) requests += v1.requests;
    }
    EXPECT_EQ(before, 0u);
    EXPECT_NEAR(static_cast<double>(after), static_cast<double>(requests) / 2, 400);
    EXPECT_GT(requests, 20'000u);
  }
}

TEST(RolloutTasks, AnImageSwapBringsTheBuildsLatencyAndCapacity) {
  world::Spec spec = planned(promoted_by(PromoteKind::ImageSwap));
  spec.versions[0].latency = world::FixedLatency{milliseconds{10}};
  spec.versions[1].latency = world::FixedLatency{milliseconds{300}};
  spec.platform.task_start = seconds{12};  // so that the rollout looks eight seconds later
  std::map<world::Fidelity, std::uint64_t> slow;
  for (const world::Fidelity fidelity : {world::Fidelity::Request, world::Fidelity::Aggregate}) {
    const world::Record record = play(spec, make_direct_plane, fidelity);
    EXPECT_EQ(record.outcome, world::Outcome::Promoted);
    EXPECT_GE(record.versions[0].latency.max(), milliseconds{290});
    for (const auto& [value_us, count] : record.versions[0].latency.filled()) {
      if (value_us > 100'000) slow[fidelity] += count;
    }
  }
  // From the swap until the rollout looks again, at 80 a second.
  EXPECT_NEAR(static_cast<double>(slow[world::Fidelity::Request]), 8 * 80, 130);
  EXPECT_NEAR(static_cast<double>(slow[world::Fidelity::Aggregate]), 8 * 80, 130);
}

TEST(RolloutTasks, ABuildWhoseTasksAreNeverHealthyDoesNotReachStable) {
  world::Spec spec = planned(promoted_by(PromoteKind::ImageSwap));
  spec.plan.traffic = rollout::TrafficApi::Alb;
  spec.platform.metric_period = minutes{1};
  spec.plan.on_no_data = rollout::OnNoData::Continue;
  spec.versions[1].faults = {{world::FaultKind::Unhealthy}};
  const world::Record record = play(spec, make_quick_plane);
  EXPECT_EQ(record.outcome, world::Outcome::RolledBack);
  EXPECT_EQ(record.reason, "0 of 4 tasks of v1 take requests with the image asked for after 10m");
  EXPECT_FALSE(time_of(record, "tasks.swapped"));
  EXPECT_EQ(record.versions[0].failed(), 0u);
}

TEST(RolloutTasks, AReplacementGrowsTheCanaryAndStopsStable) {
  world::Spec spec = planned(promoted_by(PromoteKind::Replace));
  for (world::Version& version : spec.versions) version.capacity = Rate{30};
  const world::Record record = play(spec);
  EXPECT_EQ(record.outcome, world::Outcome::Promoted);
  EXPECT_EQ(changes(record),
            (std::vector<std::string>{"2:00.000 v2 1 -> 4", "2:40.000 v1 4 -> 0"}));
  EXPECT_EQ(record.dropped, 0u);
  EXPECT_EQ(late(record.versions[1]), 0u);
}

struct BothPlanes {
  const char* name;
  PromoteKind kind;
};

class OnBothPlanes : public testing::TestWithParam<BothPlanes> {};

TEST_P(OnBothPlanes, ThingsGoAlike) {
  world::Spec spec = planned(to_half());
  std::get<rollout::Promote>(spec.plan.steps.back().what) = {"v2", GetParam().kind, true};
  spec.plan.capacity = rollout::CanaryCapacity::FollowWeight;
  spec.versions[1].capacity = Rate{40};
  spec.versions[1].faults = {{world::FaultKind::Errors, Percent{1}, 500, {}, ""}};
  spec.platform.route_delay = seconds{3};
  spec.events = {{minutes{3}, world::ControllerDies{seconds{30}}, {}},
                 {minutes{7} + seconds{12}, world::ControllerDies{seconds{5}}, {}}};
  const world::Record mock = play(spec, make_mock_plane), direct = play(spec);
  EXPECT_EQ(direct.outcome, world::Outcome::Promoted) << direct.reason;
  EXPECT_EQ(direct.timeline, mock.timeline);
  EXPECT_EQ(direct.versions[0].requests, mock.versions[0].requests);
  EXPECT_EQ(direct.versions[1].requests, mock.versions[1].requests);
  EXPECT_EQ(direct.versions[0].failed(), mock.versions[0].failed());
  EXPECT_EQ(direct.final_weights, mock.final_weights);
  EXPECT_EQ(direct.dropped, 0u);
}

INSTANTIATE_TEST_SUITE_P(Promotions, OnBothPlanes,
                         testing::Values(BothPlanes{"ByWeights", PromoteKind::ByWeights},
                                         BothPlanes{"ByImageSwap", PromoteKind::ImageSwap},
                                         BothPlanes{"ByReplacement", PromoteKind::Replace}),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace coalmine::engine
