#include "sim/study/sweep.h"

#include <gtest/gtest.h>

#include "sim/study/advice.h"

namespace coalmine::study {
namespace {

scenario::Scenario faulty() {
  return scenario::load_scenario_file("scenarios/faulty-v2-is-rolled-back.yaml").scenario.value();
}

double first_weight(const scenario::Scenario& scenario) {
  return std::get<rollout::SetWeight>(scenario.spec.plan.steps[0].what).canary.value;
}

TEST(Sweep, SetsTheFirstWeightAndLiftsLaterOnes) {
  const auto changed = with_parameter(faulty(), "weight", "20%");
  ASSERT_TRUE(changed);
  EXPECT_EQ(first_weight(*changed), 20);
  EXPECT_EQ(std::get<rollout::SetWeight>(changed->spec.plan.steps[2].what).canary.value, 20);
  EXPECT_EQ(std::get<rollout::SetWeight>(changed->spec.plan.steps[4].what).canary.value, 50);
}

TEST(Sweep, SetsTheCanarysFaultAndLeavesStableAlone) {
  const auto changed = with_parameter(faulty(), "fault", "2%");
  ASSERT_TRUE(changed);
  EXPECT_EQ(changed->spec.versions[0].faults[0].share.value, 0.1);
  EXPECT_EQ(changed->spec.versions[1].faults[0].share.value, 2);
}

TEST(Sweep, LongBakesGetTheTimeTheyNeed) {
  const auto changed = with_parameter(faulty(), "bake", "2h");
  ASSERT_TRUE(changed);
  EXPECT_GE(changed->spec.limit, std::chrono::hours{6});
}

TEST(Sweep, ReadsAlphaAsShareOrPercent) {
  for (const char* text : {"0.05", "5%"}) {
    const auto changed = with_parameter(faulty(), "alpha", text);
    ASSERT_TRUE(changed) << text;
    EXPECT_DOUBLE_EQ(std::get<rollout::ErrorShareTest>(changed->spec.plan.analyses[0].test).alpha,
                     0.05);
  }
}

TEST(Sweep, CombinesTwoParameters) {
  const auto trials = sweep_trials(
      own_trial(faulty()), {{"weight", {"1%", "5%"}}, {"rate", {"10/s", "100/s", "1000/s"}}});
  ASSERT_TRUE(trials);
  ASSERT_EQ(trials->size(), 6u);
  EXPECT_EQ((*trials)[4].parameters[0].second, "5%");
  EXPECT_EQ((*trials)[4].parameters[1].second, "100/s");
  EXPECT_EQ((*trials)[4].scenario.spec.traffic.rate.per_s, 100);
}

TEST(Sweep, RefusesWhatItCannotSet) {
  for (const char* text : {"weight", "weight=", "weight=1%,,2%", "colour=red", "=1%"}) {
    EXPECT_FALSE(parse_sweep(text)) << text;
  }
  for (const auto& [name, value] :
       std::vector<std::pair<const char*, const char*>>{{"weight", "101%"},
                                                        {"weight", "5"},
                                                        {"bake", "0s"},
                                                        {"bake", "5"},
                                                        {"fault", "-1%"},
                                                        {"rate", "x/s"},
                                                        {"alpha", "1"},
                                                        {"alpha", "0"},
                                                        {"metric-period", "1ms"}}) {
    EXPECT_FALSE(with_parameter(faulty(), name, value)) << name << "=" << value;
  }
}

TEST(Advice, LooksAroundTheOwnPlan) {
  scenario::Scenario scenario = faulty();
  scenario.spec.plan.steps[0].what = rollout::SetWeight{Percent{20}};
  scenario.spec.plan.steps[2].what = rollout::SetWeight{Percent{30}};
  rollout::Threshold limit;
  limit.max_errors = Percent{1};
  scenario.spec.plan.analyses[0].test = limit;
  const std::vector<Trial> trials = alternatives(scenario);
  ASSERT_GE(trials.size(), 5u);
  EXPECT_EQ(trials[0].plan, "your plan");
  EXPECT_EQ(trials[1].plan, "judge by error-share");
  EXPECT_EQ(trials[2].plan, "begin at 1% for 5m");
}

}  // namespace
}  // namespace coalmine::study
