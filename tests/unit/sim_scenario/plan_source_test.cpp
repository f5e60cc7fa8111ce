// Plans of files: what import prints loads again as the same plan, and fits into a scenario.
#include "sim/scenario/plan_source.h"

#include "sim/engine/direct_plane.h"
#include "sim/engine/simulation.h"
#include "sim/rollout/journal.h"
#include "sim/scenario/plan_text.h"
#include "tests/support/golden.h"

namespace coalmine::scenario {
namespace {

const char* kFlagger =
    "kind: Canary\n"
    "spec:\n"
    "  analysis:\n"
    "    interval: 1m\n"
    "    threshold: 5\n"
    "    maxWeight: 50\n"
    "    stepWeight: 10\n"
    "    metrics:\n"
    "      - {name: request-success-rate, thresholdRange: {min: 99}}\n"
    "      - {name: request-duration, thresholdRange: {max: 500}, interval: 30s}\n";

const char* kArgo =
    "kind: Rollout\n"
    "spec:\n"
    "  strategy:\n"
    "    canary:\n"
    "      trafficRouting: {}\n"
    "      steps:\n"
    "        - setWeight: 20\n"
    "        - analysis: {templates: [{templateName: errors}]}\n"
    "        - pause: {}\n"
    "---\n"
    "kind: AnalysisTemplate\n"
    "metadata: {name: errors}\n"
    "spec:\n"
    "  metrics:\n"
    "    - name: errors\n"
    "      interval: 30s\n"
    "      count: 4\n"
    "      successCondition: result[0] < 0.01\n"
    "      failureCondition: result[0] >= 0.05\n"
    "      provider: {prometheus: {query: 'sum(rate(r{code=~\"5.*\"}[2m])) / sum(rate(r[2m]))'}}\n";

const char* kEcs =
    "{\"strategy\": \"CANARY\", \"bakeTimeInMinutes\": 5,\n"
    " \"alarms\": {\"alarmNames\": [\"canary-5xx\"], \"enable\": true, \"rollback\": true}}\n";

const char* kScenario =
    "scenario: test\n"
    "given:\n"
    "  clock: {seed: 3, limit: 10m}\n"
    "  traffic: {rate: 100/s}\n"
    "  versions:\n"
    "    old: {tasks: 2, errors: 0.1%}\n"
    "    new: {tasks: 1, errors: 20%}\n"
    "  alarms:\n"
    "    - {name: canary-5xx, metric: errors, scope: canary, statistic: sum, threshold: 10}\n"
    "rollout:\n"
    "  plan: [{weight: 1%}, {bake: 1m}, {promote: new}]\n"
    "  analysis: [{metric: errors, test: error-share}]\n"
    "then: [{outcome: rolled-back}]\n";

rollout::Plan imported(const std::string& kind, const char* text) {
  const LoadedPlan loaded = load_plan_text(kind, text, "plan");
  for (const Error& problem : loaded.problems) ADD_FAILURE() << to_string(problem);
  return loaded.choice ? loaded.choice->plan : rollout::Plan{};
}

TEST(PlanText, WhatIsPrintedLoadsAsTheSamePlan) {
  const std::pair<const char*, const char*> plans[] = {
      {"flagger", kFlagger},
      {"argo", kArgo},
      {"ecs", "{\"strategy\": \"LINEAR\"}"},
      {"codedeploy", "CodeDeployDefault.ECSCanary10Percent5Minutes"}};
  for (const auto& [kind, text] : plans) {
    const rollout::Plan plan = imported(kind, text);
    const std::string printed = render_plan(plan);
    const LoadedPlan again = load_plan_text("coalmine", printed, "printed");
    for (const Error& problem : again.problems) {
      ADD_FAILURE() << render_problem(problem, printed) << printed;
    }
    ASSERT_TRUE(again.choice) << printed;
    EXPECT_EQ(dump_json(rollout::to_json(again.choice->plan), 1),
              dump_json(rollout::to_json(plan), 1))
        << printed;
  }
}

TEST(PlanText, RoutesMirrorsLoadAndAffinityComeBackToo) {
  const rollout::Plan plan =
      imported("coalmine",
               "rollout:\n"
               "  plan:\n"
               "    - route: [{header: X-A, regex: 'x\\.y.*'}, {cookie: c}, {segment: shop}]\n"
               "    - bake: 1m\n"
               "    - mirror: 5%\n"
               "    - bake: 1m\n"
               "    - route: []\n"
               "    - promote: v2\n"
               "  session-affinity: {lasts: 15m}\n"
               "  load: 5/s\n");
  const std::string printed = render_plan(plan);
  const rollout::Plan again = imported("coalmine", printed.c_str());
  EXPECT_EQ(dump_json(rollout::to_json(again), 1), dump_json(rollout::to_json(plan), 1)) << printed;
  ASSERT_TRUE(again.affinity && again.load);
  EXPECT_EQ(std::get<rollout::RouteMatching>(again.steps[0].what).any_of[0].value, "x\\.y.*");
}

TEST(PlanText, PeopleCanReadIt) {
  EXPECT_GOLDEN("scenario/import-flagger.yaml", render_plan(imported("flagger", kFlagger)));
  EXPECT_GOLDEN("scenario/import-argo.yaml", render_plan(imported("argo", kArgo)));
  EXPECT_GOLDEN("scenario/import-ecs.yaml", render_plan(imported("ecs", kEcs)));
}

TEST(PlanSource, AnImportedPlanTakesTheScenariosVersionsAlarmsAndIsPlayed) {
  for (const auto& [kind, text] : {std::pair{"flagger", kFlagger}, std::pair{"ecs", kEcs}}) {
    Loaded loaded = load_scenario(kScenario, "test.yaml");
    for (const Error& problem : loaded.problems) ADD_FAILURE() << to_string(problem);
    ASSERT_TRUE(loaded.scenario);
    const LoadedPlan plan = load_plan_text(kind, text, "plan");
    const PlanUse use = use_plan(*loaded.scenario, *plan.choice);
    EXPECT_TRUE(use.problems.empty()) << to_string(use.problems.front());
    EXPECT_EQ(loaded.scenario->spec.plan.canary, "new");
    EXPECT_TRUE(loaded.scenario->spec.plan.analyses.empty());
    const auto record = engine::simulate(loaded.scenario->spec, {}, engine::make_direct_plane);
    ASSERT_TRUE(record) << to_string(record.error());
    EXPECT_EQ(record->outcome, world::Outcome::RolledBack) << kind << ": " << record->reason;
  }
}

TEST(PlanSource, AnAlarmThatNobodyDeclaredIsTakenForTheCanarysErrorsAndItIsSaid) {
  std::string text = kScenario;
  text.erase(text.find("  alarms:"), text.find("rollout:") - text.find("  alarms:"));
  Loaded loaded = load_scenario(text, "test.yaml");
  ASSERT_TRUE(loaded.scenario);
  const LoadedPlan plan = load_plan_text("ecs", kEcs, "ecs.json");
  const PlanUse use = use_plan(*loaded.scenario, *plan.choice);
  EXPECT_TRUE(use.problems.empty()) << to_string(use.problems[0]);
  ASSERT_FALSE(use.warnings.empty());
  EXPECT_EQ(to_string(use.warnings[0]).rfind("ecs.json:2:12: error: given.alarms does not say", 0),
            0u)
      << to_string(use.warnings[0]);
  const rollout::AlarmSpec& alarm = loaded.scenario->spec.plan.alarms.back();
  EXPECT_EQ(alarm.scope, rollout::Scope::Canary);
  EXPECT_EQ(alarm.statistic, rollout::AlarmStatistic::Average);
  EXPECT_EQ(alarm.threshold, 1);
}

TEST(PlanSource, HooksThatNobodyAnswersAreTakenAsPassed) {
  Loaded loaded = load_scenario(kScenario, "test.yaml");
  ASSERT_TRUE(loaded.scenario);
  const LoadedPlan plan = load_plan_text("coalmine", R"(rollout:
  plan: [{weight: 50%}, {bake: 2m}, {promote: v2}]
  hooks: [{name: smoke-test, at: pre-rollout, url: "http://test.example/"}]
)",
                                         "own.yaml");
  ASSERT_TRUE(plan.choice);
  const PlanUse use = use_plan(*loaded.scenario, *plan.choice);
  EXPECT_TRUE(use.problems.empty()) << to_string(use.problems[0]);
  ASSERT_FALSE(use.warnings.empty());
  EXPECT_NE(to_string(use.warnings[0]).find("does not say what smoke-test answers"),
            std::string::npos)
      << to_string(use.warnings[0]);
  EXPECT_EQ(loaded.scenario->spec.hooks.at("smoke-test").says, rollout::HookVerdict::Passed);
}

TEST(PlanSource, UnknownKindsAndFilesAreTold) {
  EXPECT_NE(to_string(load_plan("spinnaker:x").problems.at(0)).find("allowed are coalmine"),
            std::string::npos);
  EXPECT_NE(to_string(load_plan("canary.yaml").problems.at(0)).find("KIND:FILE"),
            std::string::npos);
  EXPECT_EQ(load_plan("flagger:/nowhere/x.yaml").problems.at(0).kind, ErrorKind::Environment);
}

// --- the format's new parts ----------------------------------------------------------------------

std::string with_rollout(const std::string& rollout) {
  std::string text = kScenario;
  const auto from = text.find("rollout:");
  return text.replace(from, text.find("then:") - from, "rollout:\n" + rollout);
}

TEST(Steps, ShortFormsBecomeTheStepsTheyStandFor) {
  const std::pair<const char*, const char*> cases[] = {
      {"{linear: {step: 40%, every: 1m}}",
       "{weight: 40%}, {bake: 1m}, {weight: 80%}, {bake: 1m}, {weight: 100%}"},
      {"{canary: {weight: 5%, for: 10m}}", "{weight: 5%}, {bake: 10m}, {weight: 100%}"},
      {"{weights: {list: [1%, 50%], every: 2m}}",
       "{weight: 1%}, {bake: 2m}, {weight: 50%}, {bake: 2m}"},
  };
  for (const auto& [brief, full] : cases) {
    const auto plan = [](const std::string& steps) {
      const std::string text = "rollout:\n  plan: [" + steps + ", {promote: v2}]\n";
      const LoadedPlan loaded = load_plan_text("coalmine", text, "plan");
      for (const Error& problem : loaded.problems) ADD_FAILURE() << to_string(problem);
      return loaded.choice ? dump_json(rollout::to_json(loaded.choice->plan)) : "";
    };
    EXPECT_EQ(plan(brief), plan(full)) << brief;
  }
}

TEST(Steps, TasksAndWaysToPromoteArePlayedAndPrintedAsTheyWereRead) {
  const std::string text =
      "rollout:\n  plan: [{scale-canary: {percent: 50%}}, {weight: 10%}, {bake: 1m},"
      " {scale-canary: {tasks: 3}}, {scale-canary: {follow: weight}}, {weight: 50%}, {bake: 1m},"
      " {promote: {version: v2, kind: image-swap, stops-idle: true}}]\n"
      "  canary-tasks: follow-weight\n  tasks-ready-within: 5m\n";
  const LoadedPlan loaded = load_plan_text("coalmine", text, "plan");
  for (const Error& problem : loaded.problems) ADD_FAILURE() << to_string(problem);
  ASSERT_TRUE(loaded.choice);
  const rollout::Plan& plan = loaded.choice->plan;
  EXPECT_TRUE(rollout::check_playable(plan).empty());
  EXPECT_TRUE(rollout::changes_tasks(plan));
  EXPECT_EQ(plan.task_patience, Duration{std::chrono::minutes{5}});
  const LoadedPlan again = load_plan_text("coalmine", render_plan(plan), "printed");
  ASSERT_TRUE(again.choice) << render_plan(plan);
  EXPECT_EQ(dump_json(rollout::to_json(again.choice->plan)), dump_json(rollout::to_json(plan)));
}

TEST(Validate, ImpossibleAndUnplayablePlansAreRefusedWithTheReason) {
  const char* cases[] = {
      "  plan: [{weight: 1%}, {bake: 1h}, {promote: new}]\n  deadline: {after: 30m}\n",
      "  plan: [{weight: 0%}, {bake: 1m}, {promote: new}]\n"
      "  checks: [{limits: [{metric: errors, max: 1%}]}]\n",
      "  plan: [{weight: 1%}, {experiment: {for: 20s, share: 5%}}, {promote: new}]\n",
      "  plan: [{experiment: {for: 5m, share: 5%}}, {promote: new}]\n"
      "  traffic: alb\n  session-affinity: {cookie: AWSALBTG}\n",
      "  plan: [{route: [{header: x-canary, value: insider}]}, {weight: 1%}, {bake: 1m}]\n",
      "  plan: [{weight: 1%}, {bake: 1m}, {promote: new}]\n"
      "  hooks: [{name: ask, at: pre-step, url: \"http://127.0.0.1:1/\"}]\n",
      "  plan: [{weight: 1%}, {bake: 1m}, {promote: new}]\n  alarms: {watch: [nobody]}\n",
      "  plan: [{weight: 1%}, {pause: {gate: nobody}}, {promote: new}]\n",
      "  plan: [{weight: 1%}, {check: [{limits: [{metric: errors, max: 1%}]}]}]\n",
      "  plan: [{weight: 1%}, {bake: 1m}]\n"
      "  checks: [{count: 3, failures: 3, limits: [{metric: latency, max: 200%}]}]\n",
      "  plan: [{weight: 1%}, {bake: 1m}]\n"
      "  checks: [{limits: [{metric: latency, min: 200ms}]}]\n",
      "  plan: [{weight: 1%}, {bake: 1m}]\n  session-affinity: {cookie: c}\n",
  };
  std::string all;
  for (const char* rollout : cases) {
    const std::string text = with_rollout(rollout);
    const Loaded loaded = load_scenario(text, "test.yaml");
    EXPECT_FALSE(loaded.scenario) << text;
    for (const Error& problem : loaded.problems) all += render_problem(problem, text);
  }
  EXPECT_GOLDEN("scenario/plan-problems.txt", all);
}

TEST(Routes, SegmentsAreTakenFromTheTrafficAndEveryRouteNeedsATraveller) {
  std::string text = with_rollout(
      "  plan: [{route: [{segment: shop}, {cookie: group, value: beta}]}, {bake: 1m}]\n");
  const auto traffic = [&text](const std::string& segments) {
    std::string with = text;
    const auto at = with.find("traffic: {") + 10;
    return with.insert(at, "segments: [" + segments + "], ");
  };
  const Loaded good = load_scenario(
      traffic("{name: shop, path: /shop, share: 5%}, {name: b, header: \"Cookie:x=1;group=beta\", "
              "share: 1%}"),
      "test.yaml");
  for (const Error& problem : good.problems) ADD_FAILURE() << to_string(problem);
  ASSERT_TRUE(good.scenario);
  const auto& route = std::get<rollout::RouteMatching>(good.scenario->spec.plan.steps[0].what);
  EXPECT_EQ(route.any_of[0].path, "/shop");
  const auto problems = [](const std::string& with) {
    std::string all;
    for (const Error& problem : load_scenario(with, "t").problems) all += problem.message + "\n";
    return all;
  };
  EXPECT_EQ(problems(traffic("{name: shop, path: /shop, share: 5%}")),
            "no request of the scenario has the cookie group: beta, so the route would judge "
            "nobody; give given.traffic a segment that has it\n");
  EXPECT_EQ(problems(traffic("{name: shop, share: 5%}")),
            "nothing tells the requests of the segment \"shop\" from others: it needs a path or a "
            "header\n");
  EXPECT_EQ(problems(text), "there is no segment \"shop\": the traffic has none\n");
}

TEST(Validate, DoubtfulPlansAreWarnedOf) {
  const char* cases[] = {
      "  plan: [{weight: 10%}, {bake: 1m}, {weight: 5%}, {bake: 1m}, {promote: new}]\n"
      "  analysis: [{metric: errors, test: error-share}]\n",
      "  plan: [{weight: 10%}, {bake: 1m}, {promote: new}]\n",
      "  plan: [{weight: 100%}, {promote: new}]\n",
      "  plan: [{weight: 1%}, {bake: 5m}, {promote: new}]\n"
      "  checks: [{limits: [{metric: errors, scope: service, max: 1%}]}]\n",
      "  plan: [{weight: 1%}, {bake: 5m}, {promote: new}]\n"
      "  checks: [{name: slow, failures: 9, limits: [{metric: errors, max: 1%}]}]\n",
  };
  std::string all;
  for (const char* rollout : cases) {
    const std::string text = with_rollout(rollout);
    const Loaded loaded = load_scenario(text, "test.yaml");
    for (const Error& problem : loaded.problems) ADD_FAILURE() << to_string(problem);
    for (const Error& warning : loaded.warnings) all += render_warning(warning, text);
  }
  EXPECT_GOLDEN("scenario/plan-warnings.txt", all);
}

}  // namespace
}  // namespace coalmine::scenario
