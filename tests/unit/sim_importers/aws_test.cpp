#include "tests/support/golden.h"
#include "tests/unit/sim_importers/import_run.h"

namespace coalmine::importers {
namespace {

using namespace std::chrono_literals;
using rollout::Outcome;
using test::plan_of;
using test::play;

rollout::AlarmSpec canary_5xx() {
  rollout::AlarmSpec alarm;
  alarm.name = "canary-5xx";
  alarm.threshold = 10;
  return alarm;
}

// --- ECS -----------------------------------------------------------------------------------------

const char* kEcsCanary = R"({
  "strategy": "CANARY",
  "bakeTimeInMinutes": 15,
  "canaryConfiguration": {"canaryPercent": 10.0, "canaryBakeTimeInMinutes": 5},
  "alarms": {"alarmNames": ["canary-5xx"], "enable": true, "rollback": true}
})";

TEST(Ecs, CanaryBakesTwiceOnceSmallOnceWhole) {
  auto plan = plan_of(import_ecs(kEcsCanary, "ecs.json"));
  plan.alarms = {canary_5xx()};
  const auto played = play(plan);
  ASSERT_TRUE(played.end) << to_string(played.end.error());
  EXPECT_EQ(played.end->outcome, Outcome::Promoted);
  EXPECT_EQ(played.steps, "0m 10, 5m 100, 20m 100");
}

TEST(Ecs, AnAlarmTakesTheTrafficBackAlsoWhileItAllBakes) {
  auto plan = plan_of(import_ecs(kEcsCanary, "ecs.json"));
  plan.alarms = {canary_5xx()};
  const auto early = play(plan, [](Duration) { return 0.5; });
  EXPECT_EQ(early.end->outcome, Outcome::RolledBack);
  EXPECT_EQ(early.steps, "0m 10, 1m 0");
  const auto late = play(plan, [](Duration t) { return t >= 8min ? 0.5 : 0.0; });
  EXPECT_EQ(late.steps, "0m 10, 5m 100, 9m 0");
}

TEST(Ecs, AnAlarmThatIsRedAtTheStartIsIgnored) {
  auto plan = plan_of(import_ecs(kEcsCanary, "ecs.json"));
  plan.alarms = {canary_5xx()};
  plan.alarms[0].initially = rollout::AlarmState::Alarm;
  const auto played = play(plan, [](Duration) { return 0.5; });
  EXPECT_EQ(played.end->outcome, Outcome::Promoted);
  EXPECT_NE(played.timeline.find("no alarm counts"), std::string::npos) << played.timeline;
}

TEST(Ecs, LinearBakesBetweenStepsAndNotAfterTheLast) {
  const auto played = play(plan_of(import_ecs(
      R"({"deploymentConfiguration": {"strategy": "LINEAR", "bakeTimeInMinutes": 3,
          "linearConfiguration": {"stepPercent": 30, "stepBakeTimeInMinutes": 2}}})",
      "ecs.json")));
  EXPECT_EQ(played.steps, "0m 30, 2m 60, 4m 90, 6m 100, 9m 100");
}

TEST(Ecs, DefaultsAreThoseOfTheApi) {
  EXPECT_EQ(play(plan_of(import_ecs(R"({"strategy": "CANARY"})", "ecs.json"))).steps,
            "0m 5, 10m 100, 10m 100");
  EXPECT_EQ(play(plan_of(import_ecs(R"({"strategy": "CANARY"})", "ecs.json"))).tasks,
            (std::vector<std::string>{"0:00.000 v2 4", "10:30.000 v1 0"}));
  const auto linear = play(plan_of(import_ecs(R"({"strategy": "LINEAR"})", "ecs.json")));
  EXPECT_EQ(linear.steps.substr(0, 20), "0m 10, 6m 20, 12m 30");
  EXPECT_NE(linear.steps.find("48m 90, 54m 100"), std::string::npos) << linear.steps;
}

TEST(Ecs, APauseHookStandsBeforeEveryStep) {
  const auto plan = plan_of(import_ecs(
      R"({"strategy": "CANARY", "canaryConfiguration": {"canaryBakeTimeInMinutes": 1},
          "lifecycleHooks": [{"targetType": "PAUSE",
            "lifecycleStages": ["PRE_PRODUCTION_TRAFFIC_SHIFT"],
            "timeoutConfiguration": {"timeoutInMinutes": 30, "action": "CONTINUE"}}]})",
      "ecs.json"));
  EXPECT_EQ(play(plan).steps, "30m 5, 61m 100, 61m 100");
}

TEST(Ecs, EveryProblemIsToldWithItsPlace) {
  const auto imported = import_ecs(
      "{\n"
      "  \"strategy\": \"LINEAR\",\n"
      "  \"bakeTimeInMinutes\": 1441,\n"
      "  \"linearConfiguration\": {\"stepPercent\": 2, \"stepBakeTimeInMinutes\": -1},\n"
      "  \"alarms\": {\"alarmNames\": []},\n"
      "  \"deploymentCircuitBreaker\": {\"enable\": true, \"rollback\": true}\n"
      "}\n",
      "ecs.json");
  EXPECT_FALSE(imported.plan);
  EXPECT_GOLDEN("rollout/import-ecs.problems",
                test::errors_of(imported) + test::texts(imported.warnings));
}

TEST(Ecs, RollingHasNoPlan) {
  EXPECT_FALSE(import_ecs("{}", "ecs.json").plan);
  EXPECT_FALSE(import_ecs(R"({"strategy": "ROLLING"})", "ecs.json").plan);
}

// --- CodeDeploy ----------------------------------------------------------------------------------

struct NamedCase {
  const char* name;
  const char* steps;
};

TEST(CodeDeploy, PredefinedNamesShiftAsDocumented) {
  const NamedCase cases[] = {
      {"CodeDeployDefault.ECSCanary10Percent5Minutes", "0m 10, 5m 100, 5m 100"},
      {"CodeDeployDefault.ECSCanary10Percent15Minutes", "0m 10, 15m 100, 15m 100"},
      {"CodeDeployDefault.ECSLinear10PercentEvery1Minutes",
       "0m 10, 1m 20, 2m 30, 3m 40, 4m 50, 5m 60, 6m 70, 7m 80, 8m 90, 9m 100, 9m 100"},
      {"CodeDeployDefault.ECSLinear10PercentEvery3Minutes",
       "0m 10, 3m 20, 6m 30, 9m 40, 12m 50, 15m 60, 18m 70, 21m 80, 24m 90, 27m 100, 27m 100"},
      {"CodeDeployDefault.ECSAllAtOnce", "0m 100, 0m 100"},
  };
  for (const NamedCase& c : cases) {
    EXPECT_EQ(play(plan_of(import_codedeploy(c.name, "name"))).steps, c.steps) << c.name;
  }
  EXPECT_FALSE(import_codedeploy("CodeDeployDefault.OneAtATime", "name").plan);
}

TEST(CodeDeploy, GroupAndConfigurationTogether) {
  const auto imported = import_codedeploy(
      R"({"deploymentConfigInfo": {"deploymentConfigName": "mine", "computePlatform": "ECS",
            "trafficRoutingConfig": {"type": "TimeBasedLinear",
              "timeBasedLinear": {"linearPercentage": 40, "linearInterval": 2}}},
          "deploymentGroupInfo": {"deploymentConfigName": "mine",
            "alarmConfiguration": {"enabled": true, "alarms": [{"name": "canary-5xx"}]},
            "autoRollbackConfiguration": {"enabled": true, "events": ["DEPLOYMENT_STOP_ON_ALARM"]},
            "blueGreenDeploymentConfiguration": {
              "terminateBlueInstancesOnDeploymentSuccess":
                {"action": "TERMINATE", "terminationWaitTimeInMinutes": 5},
              "deploymentReadyOption": {"actionOnTimeout": "CONTINUE_DEPLOYMENT"}}}})",
      "group.json");
  EXPECT_EQ(test::texts(imported.warnings), "");
  auto plan = plan_of(imported);
  plan.alarms = {canary_5xx()};
  EXPECT_EQ(play(plan).steps, "0m 40, 2m 80, 4m 100, 9m 100");
  EXPECT_EQ(play(plan, [](Duration) { return 0.5; }).end->outcome, Outcome::RolledBack);
  plan.alarms[0].initially = rollout::AlarmState::Alarm;
  EXPECT_EQ(play(plan).end->outcome, Outcome::RolledBack);  // red at the start: stopped at once
}

TEST(CodeDeploy, StopDeploymentWaitsForSomebodyThenStops) {
  const auto plan = plan_of(import_codedeploy(
      R"({"deploymentConfigName": "CodeDeployDefault.ECSCanary10Percent5Minutes",
          "blueGreenDeploymentConfiguration":
            {"deploymentReadyOption": {"actionOnTimeout": "STOP_DEPLOYMENT",
                                       "waitTimeInMinutes": 60}}})",
      "group.json"));
  EXPECT_EQ(play(plan).steps, "60m 0");
  EXPECT_EQ(
      play(plan, [](Duration) { return 0.0; }, 0, {{3min, {rollout::Command::Resume, "", {}}}})
          .steps,
      "3m 10, 8m 100, 8m 100");
}

TEST(CodeDeploy, WithoutAutomaticRollbackAnAlarmLeavesTheTraffic) {
  const auto imported = import_codedeploy(
      R"({"deploymentConfigName": "CodeDeployDefault.ECSCanary10Percent5Minutes",
          "alarmConfiguration": {"enabled": true, "alarms": [{"name": "canary-5xx"}]}})",
      "group.json");
  EXPECT_NE(test::texts(imported.warnings).find("leaves the traffic"), std::string::npos);
  auto plan = plan_of(imported);
  plan.alarms = {canary_5xx()};
  EXPECT_EQ(play(plan, [](Duration) { return 0.5; }).steps, "0m 10");
}

// --- the ten-step pipeline -----------------------------------------------------------------------

std::string properties(int stable, int canary, bool always) {
  return fmt::format(
      R"({{"app_name": "shop", "env_name": "dev", "traffic_weight_route1": {},
           "traffic_weight_route2": {}, "setLatestStableOnce": false, "setLatestStable": {}}})",
      stable, canary, always);
}

TEST(Properties, WeightsAreSetOnceAndNobodyLooks) {
  const auto imported = import_properties(properties(70, 30, false), "app.properties.json");
  EXPECT_EQ(test::texts(imported.warnings), "");
  const auto played = play(plan_of(imported), [](Duration) { return 1.0; });
  EXPECT_EQ(played.end->outcome, Outcome::Completed);
  EXPECT_EQ(played.steps, "0m 30");
}

TEST(Properties, PitfallsAreTold) {
  const auto imported = import_properties(properties(70, 20, true), "app.properties.json");
  const std::string warnings = test::texts(imported.warnings);
  EXPECT_NE(warnings.find("together 90"), std::string::npos) << warnings;
  EXPECT_NE(warnings.find("22.22%"), std::string::npos);
  EXPECT_NE(warnings.find("promotes on every push"), std::string::npos);
  const auto played = play(plan_of(imported));
  EXPECT_EQ(played.end->reason, "v1 runs v2 and takes all traffic");
  EXPECT_EQ(played.tasks, (std::vector<std::string>{"0:00.000 image app:3"}));
  EXPECT_FALSE(import_properties("{}", "app.properties.json").plan);
}

}  // namespace
}  // namespace coalmine::importers
