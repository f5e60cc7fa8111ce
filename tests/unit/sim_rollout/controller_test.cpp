#include "sim/rollout/controller.h"

#include <set>

#include "tests/support/golden.h"
#include "tests/unit/sim_rollout/fake_world.h"

namespace coalmine::rollout {
namespace {

using namespace std::chrono_literals;
using test::error_share;
using test::FakeRun;
using test::plan_of;
using test::run;
using Phases = std::vector<std::string>;

Plan classic(std::vector<AnalysisSpec> analyses = {error_share()}) {
  return plan_of({SetWeight{Percent{1}}, Bake{10min}, SetWeight{Percent{10}}, Bake{5min},
                  SetWeight{Percent{50}}, Bake{5min}, Promote{"v2"}},
                 std::move(analyses));
}

std::vector<double> steps(const FakeRun& result) {
  std::vector<double> weights;
  for (const auto& [t, weight] : result.weights) weights.push_back(weight);
  return weights;
}

TEST(Controller, HealthyCanaryIsPromoted) {
  const FakeRun result = run(classic(), {.001, 0}, {.001, 0});
  ASSERT_TRUE(result.end) << to_string(result.end.error());
  EXPECT_EQ(result.end->outcome, Outcome::Promoted);
  EXPECT_EQ(steps(result), (std::vector<double>{1, 10, 50, 100}));
  EXPECT_EQ(result.phases, (Phases{"shifting", "baking", "shifting", "baking", "shifting", "baking",
                                   "promoting", "promoted"}));
  EXPECT_EQ(result.weights[1].first, kVirtualEpoch + 10min);
  EXPECT_EQ(result.weights[3].first, kVirtualEpoch + 20min);
}

TEST(Controller, FaultyCanaryIsRolledBackAtOnePercent) {
  const FakeRun result = run(classic(), {.001, 0}, {.05, 0});
  ASSERT_TRUE(result.end);
  EXPECT_EQ(result.end->outcome, Outcome::RolledBack);
  EXPECT_EQ(steps(result), (std::vector<double>{1, 0}));
  EXPECT_EQ(result.phases, (Phases{"shifting", "baking", "rolling-back", "rolled-back"}));
  EXPECT_GOLDEN("rollout/faulty-canary.timeline", result.timeline);
}

TEST(Controller, SharedOutageBlamesNobody) {
  const FakeRun result = run(classic(), {.3, 0}, {.3, 0});
  EXPECT_EQ(result.end->outcome, Outcome::Promoted);
}

TEST(Controller, SlowCanaryIsFoundByLatency) {
  const AnalysisSpec latency{
      "latency", SprtTest{Percent{1}, Percent{5}, .01, .01, Duration{250ms}}, OnFail::Rollback, {}};
  EXPECT_EQ(run(classic({latency}), {0, .005}, {0, .2}).end->outcome, Outcome::RolledBack);
  EXPECT_EQ(run(classic({latency}), {0, .005}, {0, .005}).end->outcome, Outcome::Promoted);
}

TEST(Controller, WithoutCanaryTrafficABakeHoldsInsteadOfJudging) {
  FakeRun result = run(classic(), {}, {}, 1, {{30min, {Command::Abort, "no traffic", {}}}}, 0, 0);
  EXPECT_EQ(result.end->outcome, Outcome::Aborted);
  EXPECT_EQ(steps(result), (std::vector<double>{1, 0}));
  EXPECT_NE(result.timeline.find("decision  hold: no v2 request was counted"), std::string::npos);

  Plan blind = classic();
  blind.on_no_data = OnNoData::Continue;
  EXPECT_EQ(run(blind, {}, {}, 1, {}, 0, 0).end->outcome, Outcome::Promoted);
  blind.on_no_data = OnNoData::Rollback;
  EXPECT_EQ(run(blind, {}, {}, 1, {}, 0, 0).end->outcome, Outcome::RolledBack);
}

TEST(Controller, FailedWeightsAreTriedAgainThenRolledBackThenFailed) {
  EXPECT_EQ(run(classic(), {}, {}, 1, {}, kMaxShiftAttempts - 1).end->outcome, Outcome::Promoted);
  const FakeRun back = run(classic(), {}, {}, 1, {}, kMaxShiftAttempts + 3);
  EXPECT_EQ(back.end->outcome, Outcome::RolledBack);
  EXPECT_EQ(steps(back), (std::vector<double>{0}));
  const FakeRun failed = run(classic(), {}, {}, 1, {}, 1000);
  EXPECT_EQ(failed.end->outcome, Outcome::Failed);
  EXPECT_NE(failed.end->reason.find("Set them by hand"), std::string::npos);
}

TEST(Controller, PausePlanStepWaitsForResumeAndRollsBackAfterItsTimeout) {
  const Plan plan = plan_of({SetWeight{Percent{5}}, Pause{Duration{1h}}, Promote{"v2"}});
  const FakeRun resumed = run(plan, {}, {}, 1, {{30min, {Command::Resume, "", {}}}});
  EXPECT_EQ(resumed.end->outcome, Outcome::Promoted);
  EXPECT_EQ(resumed.weights.back().first, kVirtualEpoch + 30min);
  const FakeRun timed_out = run(plan, {}, {});
  EXPECT_EQ(timed_out.end->outcome, Outcome::RolledBack);
  EXPECT_EQ(timed_out.weights.back().first, kVirtualEpoch + 1h);
}

struct OperatorCase {
  const char* name;
  std::vector<std::pair<Duration, Operator>> commands;
  Outcome outcome;
  std::vector<double> weights;
  Duration end;
};

class OperatorTest : public testing::TestWithParam<OperatorCase> {};

TEST_P(OperatorTest, IsObeyed) {
  const OperatorCase& c = GetParam();
  const FakeRun result = run(classic(), {.001, 0}, {.001, 0}, 1, c.commands);
  ASSERT_TRUE(result.end);
  EXPECT_EQ(result.end->outcome, c.outcome) << result.timeline;
  EXPECT_EQ(steps(result), c.weights) << result.timeline;
  EXPECT_EQ(result.weights.back().first, kVirtualEpoch + c.end) << result.timeline;
}

INSTANTIATE_TEST_SUITE_P(
    Commands, OperatorTest,
    testing::Values(
        OperatorCase{"AbortAtFiftyPercent",
                     {{16min, {Command::Abort, "checkout looks odd", {}}}},
                     Outcome::Aborted,
                     {1, 10, 50, 0},
                     16min},
        OperatorCase{"PauseStopsTheBakesClock",
                     {{5min, {Command::Pause, "", {}}}, {65min, {Command::Resume, "", {}}}},
                     Outcome::Promoted,
                     {1, 10, 50, 100},
                     80min},
        OperatorCase{"AbortWhilePaused",
                     {{5min, {Command::Pause, "", {}}}, {6min, {Command::Abort, "", {}}}},
                     Outcome::Aborted,
                     {1, 0},
                     6min},
        OperatorCase{"PromoteSkipsTheRest",
                     {{5min, {Command::Promote, "", {}}}},
                     Outcome::Promoted,
                     {1, 100},
                     5min},
        OperatorCase{
            "SetWeightsHoldsUntilResume",
            {{5min, {Command::SetWeights, "", Percent{20}}}, {60min, {Command::Resume, "", {}}}},
            Outcome::Promoted,
            {1, 20, 10, 50, 100},
            75min},
        OperatorCase{"ResumeOfARunningRolloutIsRefused",
                     {{5min, {Command::Resume, "", {}}}},
                     Outcome::Promoted,
                     {1, 10, 50, 100},
                     20min}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(Controller, FailedAnalysisPausesOrIsIgnoredAsThePlanSays) {
  const FakeRun paused = run(classic({error_share(.01, OnFail::Pause)}), {.001, 0}, {.05, 0}, 1,
                             {{1h, {Command::Resume, "known", {}}}});
  EXPECT_EQ(paused.end->outcome, Outcome::Promoted);
  EXPECT_GT(paused.weights[1].first, kVirtualEpoch + 1h);
  EXPECT_EQ(run(classic({error_share(.01, OnFail::Ignore)}), {.001, 0}, {.05, 0}).end->outcome,
            Outcome::Promoted);
}

TEST(Controller, PlanWithoutPromoteEndsWithItsLastWeight) {
  const FakeRun result = run(plan_of({SetWeight{Percent{5}}, Bake{1min}}), {}, {});
  EXPECT_EQ(result.end->outcome, Outcome::Completed);
  EXPECT_EQ(steps(result), (std::vector<double>{5}));
}

TEST(Controller, EveryDecisionCarriesItsNumbers) {
  test::FakeClock clock;
  test::FakeTraffic traffic(clock);
  test::FakeMetrics metrics(traffic, 100, {.001, 0}, {.05, 0}, 1);
  const Event* found = nullptr;
  std::vector<Event> events;
  RolloutWorld world{traffic, metrics, clock,
                     nullptr, nullptr, [&events](const Event& e) { events.push_back(e); },
                     {}};
  const Plan plan = classic();
  ASSERT_TRUE(run_rollout(plan, world));
  for (const Event& e : events) {
    if (e.name == "decision" && e.text("decision") == "roll-back") found = &e;
  }
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->text("metric"), "errors");
  EXPECT_GE(found->number("statistic"), found->number("needs"));
  EXPECT_EQ(found->number("needs"), 100);
  EXPECT_EQ(found->number("limit"), .01);
  EXPECT_GT(found->number("value"), .01);
  EXPECT_GT(found->number("n"), 0);
  EXPECT_FALSE(found->text("reason").empty());
}

TEST(Controller, InterruptedByTheClockSaysSoAndLeavesTheState) {
  test::FakeClock clock;
  clock.stop = kVirtualEpoch + 12min;
  test::FakeTraffic traffic(clock);
  test::FakeMetrics metrics(traffic, 100, {}, {}, 1);
  RolloutWorld world{traffic, metrics, clock, nullptr, nullptr, {}, {}};
  const Plan plan = classic();
  const auto end = run_rollout(plan, world);
  ASSERT_TRUE(end);
  EXPECT_FALSE(end->outcome);
  EXPECT_EQ(end->state.phase, Phase::Baking);
  EXPECT_EQ(end->state.target.value, 10);
}

TEST(Controller, ImpossibleWeightIsRefusedBeforeAnythingChanges) {
  const FakeRun result = run(plan_of({SetWeight{Percent{.1}}, Promote{"v2"}}), {}, {});
  ASSERT_FALSE(result.end);
  EXPECT_EQ(result.end.error().message,
            "weight 0.1% cannot be set with App Mesh weights (whole numbers 0 to 100, sum at most "
            "100); the nearest are 0% and 1%");
  EXPECT_TRUE(result.weights.empty());
}

/// Random commands, failures and faults: the rollout ends, weights rise only by the plan or by
/// an operator, and the end agrees with the last weight set.
TEST(Controller, PropertyEveryPathEndsAndWeightsRiseOnlyByPlanOrOperator) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    Random random(seed);
    std::vector<std::pair<Duration, Operator>> commands;
    Duration at{};
    std::set<double> allowed = {1, 10, 50, 100};
    for (std::uint64_t i = random.below(6); i > 0; --i) {
      at += std::chrono::seconds(random.below(600));
      const auto command = static_cast<Command>(random.below(5));
      const Percent weight{static_cast<double>(random.below(101))};
      if (command == Command::SetWeights) allowed.insert(weight.value);
      commands.push_back({at, {command, "", weight}});
    }
    commands.push_back({3h, {Command::Abort, "enough", {}}});
    const FakeRun result = run(classic(), {.002, 0}, {random.uniform() < .5 ? .002 : .03, 0}, seed,
                               commands, static_cast<int>(random.below(4)));
    ASSERT_TRUE(result.end) << "seed " << seed;
    ASSERT_TRUE(result.end->outcome) << "seed " << seed << "\n" << result.timeline;
    double before = 0;
    for (const double weight : steps(result)) {
      EXPECT_TRUE(weight <= before || allowed.contains(weight)) << "seed " << seed;
      before = weight;
    }
    const double last = result.weights.back().second;
    EXPECT_EQ(last, result.end->outcome == Outcome::Promoted ? 100 : 0) << "seed " << seed << "\n"
                                                                        << result.timeline;
  }
}

TEST(Weights, BecomeTheSmallestFittingIntegers) {
  const auto pair = [](double percent, const WeightRange& range) {
    const auto got = to_weights(Percent{percent}, range);
    return got ? *got : SplitWeights{-1, -1};
  };
  EXPECT_EQ(pair(1, kAppMeshWeights), (SplitWeights{99, 1}));
  EXPECT_EQ(pair(0, kAppMeshWeights), (SplitWeights{100, 0}));
  EXPECT_EQ(pair(100, kAppMeshWeights), (SplitWeights{0, 100}));
  EXPECT_EQ(pair(2.5, kAppMeshWeights), (SplitWeights{39, 1}));
  EXPECT_EQ(pair(33.3, kAppMeshWeights), (SplitWeights{2, 1})) << "within the tolerance";
  EXPECT_EQ(pair(10, kAlbWeights), (SplitWeights{90, 10}));
  EXPECT_EQ(pair(0.1, kAlbWeights), (SplitWeights{999, 1}));
  EXPECT_EQ(pair(0.01, kAlbWeights), (SplitWeights{-1, -1}));
  EXPECT_EQ(pair(101, kAlbWeights), (SplitWeights{-1, -1}));
  const auto split = [](double canary, double baseline) {
    return to_weights({Percent{canary}, Percent{baseline}}, kAppMeshWeights);
  };
  EXPECT_EQ(split(5, 5).value(), (SplitWeights{90, 5, 5}));
  EXPECT_EQ(split(50, 50).value(), (SplitWeights{0, 50, 50}));
  EXPECT_EQ(split(2.5, 2.5).value(), (SplitWeights{38, 1, 1}));
  EXPECT_FALSE(split(5, 4)) << "a comparison is of equals";
  EXPECT_FALSE(split(60, 60));
}

TEST(PlanCheck, NamesEveryProblemAtItsPlace) {
  Plan plan;
  plan.steps = {{Bake{1min}, {"f.yaml", 3, 5}},
                {SetWeight{Percent{150}}, {"f.yaml", 4, 5}},
                {Promote{"v3"}, {"f.yaml", 5, 5}},
                {Bake{Duration{}}, {"f.yaml", 6, 5}}};
  plan.analyses = {{"errrors", ErrorShareTest{}, OnFail::Rollback, {"f.yaml", 9, 3}},
                   {"latency",
                    SprtTest{Percent{5}, Percent{1}, .01, .01, {}},
                    OnFail::Rollback,
                    {"f.yaml", 10, 3}}};
  std::string all;
  for (const Error& e : check(plan)) all += to_string(e) + "\n";
  EXPECT_GOLDEN("rollout/plan-errors.txt", all);
  EXPECT_TRUE(check(classic()).empty());
}

}  // namespace
}  // namespace coalmine::rollout
