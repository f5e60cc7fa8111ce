#include "sim/rollout/importers/argo_metrics.h"
#include "tests/support/golden.h"
#include "tests/unit/sim_importers/import_run.h"

namespace coalmine::importers {
namespace {

using namespace std::chrono_literals;
using rollout::Outcome;
using test::plan_of;
using test::play;

const char* kSuccessRate =
    "---\n"
    "apiVersion: argoproj.io/v1alpha1\n"
    "kind: AnalysisTemplate\n"
    "metadata: {name: success-rate}\n"
    "spec:\n"
    "  args:\n"
    "    - {name: service}\n"
    "    - {name: limit, value: '0.95'}\n"
    "  metrics:\n"
    "    - name: success-rate\n"
    "      interval: 5m\n"
    "      successCondition: result[0] >= {{args.limit}}\n"
    "      failureLimit: 3\n"
    "      provider:\n"
    "        prometheus:\n"
    "          query: |\n"
    "            sum(rate(requests{service=\"{{args.service}}\",code!~\"5.*\"}[5m])) /\n"
    "            sum(rate(requests{service=\"{{args.service}}\"}[5m]))\n";

Imported import_steps(const std::string& strategy, const std::string& more = kSuccessRate) {
  return import_argo(
      "apiVersion: argoproj.io/v1alpha1\n"
      "kind: Rollout\n"
      "metadata: {name: shop}\n"
      "spec:\n"
      "  replicas: 5\n"
      "  strategy:\n"
      "    canary:\n"
      "      trafficRouting: {appMesh: {virtualService: {name: shop}}}\n" +
          strategy + more,
      "rollout.yaml");
}

const char* kBackground =
    "      analysis:\n"
    "        startingStep: 1\n"
    "        templates: [{templateName: success-rate}]\n"
    "        args: [{name: service, value: shop}]\n"
    "      steps:\n"
    "        - setWeight: 20\n"
    "        - pause: {duration: 10m}\n"
    "        - setWeight: 40\n"
    "        - pause: {duration: 600}\n"
    "        - setWeight: 80\n"
    "        - pause: {duration: 10m}\n";

TEST(Argo, StepsFollowTheirPauses) {
  const auto played = play(plan_of(import_steps(kBackground)));
  ASSERT_TRUE(played.end) << to_string(played.end.error());
  EXPECT_EQ(played.end->outcome, Outcome::Promoted);
  EXPECT_EQ(played.steps, "0m 20, 10m 40, 20m 80, 30m 100");
  // Of the stable version's four, rounded up; the old ones go behind the promotion.
  EXPECT_EQ(played.tasks,
            (std::vector<std::string>{"10:00.000 v2 2", "20:00.000 v2 4", "30:30.000 v1 0"}));
}

TEST(Argo, CanaryScaleOverridesTheWeightUntilItIsToldToFollowAgain) {
  const auto played =
      play(plan_of(import_steps("      steps:\n"
                                "        - setCanaryScale: {replicas: 3}\n"
                                "        - setWeight: 10\n"
                                "        - pause: {duration: 1m}\n"
                                "        - setCanaryScale: {weight: 25}\n"
                                "        - setWeight: 50\n"
                                "        - pause: {duration: 1m}\n"
                                "        - setCanaryScale: {matchTrafficWeight: true}\n"
                                "        - pause: {duration: 1m}\n")));
  EXPECT_EQ(played.steps, "0m 10, 1m 50, 3m 100");
  EXPECT_EQ(played.tasks,
            (std::vector<std::string>{"0:00.000 v2 3", "1:00.000 v2 1", "2:00.000 v2 2",
                                      "3:00.000 v2 4", "3:30.000 v1 0"}));
}

TEST(Argo, FailureLimitThreeTripsAtTheFourthFailure) {
  // Measured at 0 (no data yet: a failure), 5, 10 and 15 minutes.
  const auto played = play(plan_of(import_steps(kBackground)), [](Duration) { return 0.06; });
  EXPECT_EQ(played.end->outcome, Outcome::RolledBack);
  EXPECT_EQ(played.steps, "0m 20, 10m 40, 15m 0");
  EXPECT_NE(played.end->reason.find("failed checks 4 of 4"), std::string::npos)
      << played.end->reason;
}

TEST(Argo, FailuresAreCountedWhateverPassesInBetween) {
  // Bad in every other window of five minutes.
  const auto bad = [](Duration t) { return (t / 5min) % 2 == 0 ? 0.06 : 0.0; };
  const auto played = play(plan_of(import_steps(kBackground)), bad);
  // 0 (no data), 5, 15, 25 minutes.
  EXPECT_EQ(played.steps, "0m 20, 10m 40, 20m 80, 25m 0");
}

TEST(Argo, TheLimitItselfPasses) {
  EXPECT_EQ(play(plan_of(import_steps(kBackground)), [](Duration) { return 0.05; }).end->outcome,
            Outcome::Promoted);
}

TEST(Argo, AnAnalysisStepEndsWithItsCount) {
  std::string once = kSuccessRate;
  once.replace(once.find("interval: 5m"), 12,
               "interval: 1m\n      initialDelay: 1m\n      count: 3");
  once.replace(once.find("failureLimit: 3"), 15, "failureLimit: 1");
  const char* steps =
      "      steps:\n"
      "        - setWeight: 10\n"
      "        - analysis: {templates: [{templateName: success-rate}]}\n"
      "        - setWeight: 50\n"
      "        - pause: {duration: 1m}\n";
  const auto good = play(plan_of(import_steps(steps, once)));
  EXPECT_EQ(good.steps, "0m 10, 3m 50, 4m 100");
  const auto bad = play(plan_of(import_steps(steps, once)), [](Duration) { return 0.5; });
  EXPECT_EQ(bad.steps, "0m 10, 2m 0");
}

TEST(Argo, AnAnalysisStepWithoutEndIsAnError) {
  const auto imported = import_steps(
      "      steps:\n"
      "        - setWeight: 10\n"
      "        - analysis: {templates: [{templateName: success-rate}]}\n");
  EXPECT_FALSE(imported.plan);
  EXPECT_NE(test::errors_of(imported).find("never end"), std::string::npos);
}

TEST(Argo, AnEmptyPauseWaitsForSomebody) {
  const auto imported = import_steps(
      "      steps:\n"
      "        - setWeight: 10\n"
      "        - pause: {}\n"
      "        - setWeight: 50\n");
  const auto played = play(plan_of(imported), [](Duration) { return 0.0; }, 0,
                           {{7min, {rollout::Command::Resume, "", {}}}});
  EXPECT_EQ(played.steps, "0m 10, 7m 50, 7m 100");
}

TEST(Argo, BetweenTwoConditionsItIsInconclusiveAndPauses) {
  std::string both = kSuccessRate;
  both.replace(both.find("failureLimit: 3"), 15, "failureCondition: result[0] < 0.9");
  const auto played = play(plan_of(import_steps(kBackground, both)), [](Duration) { return 0.07; });
  EXPECT_EQ(played.steps, "0m 20");
  EXPECT_NE(played.timeline.find("pause"), std::string::npos);
}

TEST(Argo, WeightsAreRelativeToTheLargest) {
  const auto imported = import_steps("      steps: [{setWeight: 5}, {pause: {duration: 1m}}]\n");
  std::string text =
      "kind: Rollout\nspec: {strategy: {canary: {trafficRouting: {maxTrafficWeight: 1000},"
      " steps: [{setWeight: 5}, {pause: {duration: 1m}}]}}}\n";
  const auto fine = import_argo(text, "rollout.yaml");
  EXPECT_EQ(play(plan_of(imported)).steps, "0m 5, 1m 100");
  EXPECT_EQ(play(plan_of(fine)).steps, "0m 0.5, 1m 100");
}

TEST(Argo, HeaderRoutesOfSeveralNamesStandBesideEachOther) {
  using By = rollout::RouteMatch::By;
  const auto plan = plan_of(import_steps(
      "      steps:\n"
      "        - setCanaryScale: {replicas: 1}\n"
      "        - setHeaderRoute:\n"
      "            name: testers\n"
      "            match: [{headerName: X-Tester, headerValue: {exact: alice}}]\n"
      "        - pause: {duration: 10m}\n"
      "        - setHeaderRoute:\n"
      "            name: phones\n"
      "            match: [{headerName: User-Agent, headerValue: {prefix: Phone/1.}}]\n"
      "        - setHeaderRoute: {name: testers}\n"
      "        - setWeight: 20\n"));
  std::vector<std::vector<rollout::RouteMatch>> routes;
  for (const rollout::Step& step : plan.steps) {
    const auto* route = std::get_if<rollout::RouteMatching>(&step.what);
    if (route != nullptr) routes.push_back(route->any_of);
  }
  const rollout::RouteMatch testers{By::Header, "X-Tester", "alice"};
  const rollout::RouteMatch phones{By::Header, "User-Agent", "Phone/1\\..*", true};
  EXPECT_EQ(routes, (std::vector<std::vector<rollout::RouteMatch>>{
                        {testers}, {testers, phones}, {phones}}));
  EXPECT_TRUE(rollout::check_playable(plan).empty());
}

TEST(Argo, WhatCannotBeCarriedOverIsToldByLine) {
  const auto imported = import_argo(
      "kind: Rollout\n"
      "spec:\n"
      "  progressDeadlineSeconds: 600\n"
      "  strategy:\n"
      "    canary:\n"
      "      dynamicStableScale: true\n"
      "      analysis: {templates: [{templateName: elsewhere}]}\n"
      "      steps:\n"
      "        - setWeight: 10\n"
      "        - plugin: {name: step}\n"
      "        - pause: {duration: 1m}\n",
      "rollout.yaml");
  ASSERT_TRUE(imported.plan);
  EXPECT_GOLDEN("rollout/import-argo.warnings", test::texts(imported.warnings));
}

struct ConditionCase {
  const char* text;
  bool understood;
  std::optional<double> above, below;
  bool no_data = false;
};

TEST(ArgoCondition, ComparisonsOfTheResultAreUnderstood) {
  const ConditionCase cases[] = {
      {"result[0] >= 0.95", true, 0.95, {}},
      {"result >= 0.95", true, 0.95, {}},
      {"0.95 <= result[0]", true, 0.95, {}},
      {"result[0] < 500", true, {}, 500},
      {"result[0] >= 0.9 && result[0] <= 1", true, 0.9, 1},
      {"len(result) == 0 || result[0] >= 0.95", true, 0.95, {}, true},
      {"isNaN(result[0]) || result[0] >= 0.95", true, 0.95, {}, true},
      {"asFloat(result) < 0.05", true, {}, 0.05},
      {"result == true", false, {}, {}},
      {"result[0] < 1 || result[0] > 2", false, {}, {}},
      {"all(result, {# > 0.9})", false, {}, {}},
      {"", false, {}, {}},
  };
  for (const ConditionCase& c : cases) {
    const auto parsed = parse_condition(c.text);
    ASSERT_EQ(parsed.has_value(), c.understood) << c.text;
    if (!parsed) continue;
    EXPECT_EQ(parsed->above, c.above) << c.text;
    EXPECT_EQ(parsed->below, c.below) << c.text;
    EXPECT_EQ(parsed->no_data_is_true, c.no_data) << c.text;
  }
}

TEST(ArgoQuery, SharesAndQuantilesAreToldApart) {
  const auto latency = meaning_of(
      "histogram_quantile(0.95, sum(rate(request_duration_seconds_bucket[2m])) by (le))");
  ASSERT_TRUE(latency);
  EXPECT_EQ(latency->signal, rollout::Signal::Latency);
  EXPECT_EQ(latency->quantile, 0.95);
  EXPECT_EQ(latency->seconds, 1);
  EXPECT_EQ(latency->window, Duration{2min});
  const auto failures = meaning_of("100 * sum(rate(r{code=~\"5..\"}[1m])) / sum(rate(r[1m]))");
  ASSERT_TRUE(failures);
  EXPECT_FALSE(failures->success);
  EXPECT_EQ(failures->whole, 100);
  EXPECT_FALSE(meaning_of("sum(up)"));
}

TEST(Argo, AnExperimentOfEqualWeightsIsPlayedAndAnotherLeftOutWithAWarning) {
  const auto steps = [](int canary, int stable) {
    return fmt::format(
        "      steps:\n"
        "        - experiment:\n            duration: 10m\n            templates:\n"
        "              - {{name: new, specRef: canary, weight: {}}}\n"
        "              - {{name: old, specRef: stable, weight: {}}}\n"
        "        - setWeight: 50\n        - pause: {{duration: 1m}}\n",
        canary, stable);
  };
  const Imported equal = import_steps(steps(5, 5));
  ASSERT_TRUE(equal.plan);
  EXPECT_TRUE(rollout::has_step<rollout::Experiment>(*equal.plan));
  EXPECT_TRUE(rollout::check(*equal.plan).empty());
  EXPECT_TRUE(rollout::check_playable(*equal.plan).empty());
  const Imported lopsided = import_steps(steps(5, 0));
  ASSERT_TRUE(lopsided.plan);
  EXPECT_FALSE(rollout::has_step<rollout::Experiment>(*lopsided.plan));
  EXPECT_TRUE(std::any_of(lopsided.warnings.begin(), lopsided.warnings.end(), [](const Error& w) {
    return w.message.find("weight 5 to the canary's template and 0 to stable's") !=
           std::string::npos;
  }));
}

}  // namespace
}  // namespace coalmine::importers
