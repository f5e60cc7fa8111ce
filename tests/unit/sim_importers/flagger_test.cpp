#include "tests/unit/sim_importers/import_run.h"

namespace coalmine::importers {
namespace {

using namespace std::chrono_literals;
using rollout::Outcome;
using test::plan_of;
using test::play;

std::string canary(const std::string& analysis) {
  return "apiVersion: flagger.app/v1beta1\n"
         "kind: Canary\n"
         "metadata: {name: shop, namespace: prod}\n"
         "spec:\n"
         "  targetRef: {apiVersion: apps/v1, kind: Deployment, name: shop}\n"
         "  service: {port: 80}\n"
         "  analysis:\n" +
         analysis;
}

const char* kTenFailures =
    "    interval: 1m\n"
    "    threshold: 10\n"
    "    maxWeight: 50\n"
    "    stepWeight: 5\n"
    "    metrics:\n"
    "      - name: request-success-rate\n"
    "        thresholdRange: {min: 99}\n"
    "        interval: 1m\n"
    "      - name: request-duration\n"
    "        thresholdRange: {max: 500}\n"
    "        interval: 1m\n";

Imported import_text(const std::string& analysis) {
  return import_flagger(canary(analysis), "canary.yaml");
}

TEST(Flagger, HealthyCanaryTakesAStepPerIntervalAndThreeTicksMore) {
  const auto imported = import_text(kTenFailures);
  EXPECT_EQ(test::texts(imported.warnings), "");
  const auto played = play(plan_of(imported));
  ASSERT_TRUE(played.end) << to_string(played.end.error());
  EXPECT_EQ(played.end->outcome, Outcome::Promoted);
  // Noticed at 0, ten steps, then the promotion; the manual's 10 minutes are the steps alone.
  EXPECT_EQ(played.steps,
            "0m 0, 1m 5, 2m 10, 3m 15, 4m 20, 5m 25, 6m 30, 7m 35, 8m 40, 9m 45, 10m 50, 11m 0");
  // The primary gets the build, then the traffic; the canary is stopped.
  EXPECT_EQ(played.tasks, (std::vector<std::string>{"11:00.000 image app:3", "11:30.000 v2 0"}));
}

TEST(Flagger, FailureIsActedOnOneIntervalAfterTheLastCheck) {
  // The manual: interval x threshold = 10 minutes. The code: the count is looked at before the
  // check, so 11 minutes from the first weight.
  const auto played = play(plan_of(import_text(kTenFailures)), [](Duration) { return 0.5; });
  EXPECT_EQ(played.end->outcome, Outcome::RolledBack);
  EXPECT_EQ(played.steps, "0m 0, 1m 5, 12m 0");
}

TEST(Flagger, FailedChecksAreCountedOverTheWholeRollout) {
  // Five bad minutes at 5%, then good, then bad again: five more are enough.
  const auto bad = [](Duration t) { return t < 6min || t >= 9min ? 0.5 : 0.0; };
  const auto played = play(plan_of(import_text(kTenFailures)), bad);
  EXPECT_EQ(played.end->outcome, Outcome::RolledBack);
  EXPECT_EQ(played.steps, "0m 0, 1m 5, 7m 10, 8m 15, 9m 20, 15m 0");
}

TEST(Flagger, AFailedCheckKeepsTheWeightForAnotherInterval) {
  const auto once = [](Duration t) { return t >= 2min && t < 3min ? 0.5 : 0.0; };
  const auto played = play(plan_of(import_text(kTenFailures)), once);
  EXPECT_EQ(played.end->outcome, Outcome::Promoted);
  EXPECT_EQ(played.steps.substr(0, 33), "0m 0, 1m 5, 2m 10, 4m 15, 5m 20, ");
}

TEST(Flagger, NoTrafficIsAFailedCheck) {
  const auto played = play(plan_of(import_text(kTenFailures)), [](Duration) { return -1.0; });
  EXPECT_EQ(played.end->outcome, Outcome::RolledBack);
  EXPECT_EQ(played.steps, "0m 0, 1m 5, 12m 0");
  EXPECT_NE(played.end->reason.find("no canary request was counted"), std::string::npos);
}

TEST(Flagger, OneFailedMetricIsOneFailedCheckAndLatencyIsP99) {
  const auto played = play(
      plan_of(import_text(kTenFailures)), [](Duration) { return 0.0; }, 0.02);
  EXPECT_EQ(played.end->outcome, Outcome::RolledBack);
  EXPECT_NE(played.end->reason.find("request-duration"), std::string::npos) << played.end->reason;
  const auto fast = play(
      plan_of(import_text(kTenFailures)), [](Duration) { return 0.0; }, 0.009);
  EXPECT_EQ(fast.end->outcome, Outcome::Promoted);
}

TEST(Flagger, WithoutThresholdTheFirstFailureIsOneTooMany) {
  const auto imported = import_text(
      "    interval: 30s\n"
      "    stepWeights: [1, 2, 10, 80]\n"
      "    metrics: [{name: request-success-rate, thresholdRange: {min: 99}}]\n");
  const auto healthy = play(plan_of(imported));
  EXPECT_EQ(healthy.steps, "0m 0, 0.5m 1, 1m 2, 1.5m 10, 2m 80, 2.5m 0");
  const auto bad = play(plan_of(imported), [](Duration) { return 0.5; });
  EXPECT_EQ(bad.steps, "0m 0, 0.5m 1, 1.5m 0");  // one check, acted on at the next
}

TEST(Flagger, AStepBeyondMaxWeightIsTakenInFull) {
  const auto played = play(plan_of(
      import_text("    maxWeight: 50\n"
                  "    stepWeight: 30\n"
                  "    metrics: [{name: request-success-rate, thresholdRange: {min: 99}}]\n")));
  EXPECT_EQ(played.steps, "0m 0, 1m 30, 2m 60, 3m 0");
}

TEST(Flagger, WhatCannotBeCarriedOverIsToldByLine) {
  const auto imported = import_flagger(
      "kind: Canary\n"
      "spec:\n"
      "  progressDeadlineSeconds: 60\n"
      "  autoscalerRef: {name: x}\n"
      "  service: {port: 80, retries: {attempts: 3}}\n"
      "  analysis:\n"
      "    interval: 5s\n"
      "    stepWeight: 10\n"
      "    wonder: 1\n"
      "    metrics:\n"
      "      - name: 404s\n"
      "        templateRef: {name: not-found}\n"
      "        thresholdRange: {max: 5}\n"
      "      - name: request-success-rate\n"
      "        thresholdRange: {min: 99}\n"
      "    webhooks:\n"
      "      - {name: load-test, url: 'http://tester/', metadata: {cmd: hey}}\n",
      "canary.yaml");
  ASSERT_TRUE(imported.plan);
  EXPECT_EQ(imported.plan->task_patience, Duration{60s});
  const std::string want[] = {
      "canary.yaml:4:3: warning: autoscalerRef",
      "canary.yaml:5:23: warning: retries",
      "canary.yaml:7:15: warning: interval is 5s; Flagger takes 10s",
      "canary.yaml:9:5: warning: spec.analysis.wonder is not known",
      "canary.yaml:11:9: warning: the metric 404s is not carried over",
      "canary.yaml:17:9: warning: the webhook load-test is not carried over"};
  for (const std::string& line : want) {
    EXPECT_NE(test::texts(imported.warnings).find(line), std::string::npos)
        << line << "\nnot in\n"
        << test::texts(imported.warnings);
  }
}

TEST(Flagger, AllErrorsAreFoundInOnePass) {
  const auto imported = import_text(
      "    interval: soon\n"
      "    threshold: many\n"
      "    stepWeights: [10, 5, 120]\n"
      "    metrics: [{name: request-success-rate, thresholdRange: {min: high}}]\n");
  EXPECT_FALSE(imported.plan);
  EXPECT_EQ(imported.errors.size(), 5u) << test::errors_of(imported);
}

TEST(Flagger, TheLoadTesterBecomesALoadOfTheRolloutsOwn) {
  const auto imported = import_text(
      "    stepWeight: 10\n"
      "    threshold: 2\n"
      "    webhooks:\n"
      "      - name: load\n"
      "        url: http://flagger-loadtester.test/\n"
      "        metadata: {cmd: \"hey -z 1m -q 10 -c 2 http://podinfo-canary.test:9898/\"}\n"
      "    metrics: [{name: request-success-rate, thresholdRange: {min: 99}}]\n");
  const auto plan = plan_of(imported);
  ASSERT_TRUE(plan.load);
  EXPECT_EQ(plan.load->rate.per_s, 20);
  EXPECT_TRUE(plan.hooks.empty());
}

TEST(Flagger, MatchesBecomeRoutes) {
  using By = rollout::RouteMatch::By;
  const auto imported = import_text(
      "    iterations: 2\n"
      "    threshold: 2\n"
      "    match:\n"
      "      - headers: {x-canary: {exact: insider}}\n"
      "      - headers: {cookie: {regex: \"^(.*?;)?(canary=always)(;.*)?$\"}}\n"
      "      - headers: {user-agent: {prefix: \"curl/7.\"}}\n"
      "    metrics: [{name: request-success-rate, thresholdRange: {min: 99}}]\n");
  const auto plan = plan_of(imported);
  EXPECT_TRUE(rollout::check_playable(plan).empty());
  const auto& route = std::get<rollout::RouteMatching>(plan.steps[2].what);
  EXPECT_EQ(route.any_of,
            (std::vector<rollout::RouteMatch>{{By::Header, "x-canary", "insider"},
                                              {By::Cookie, "canary", "always"},
                                              {By::Header, "user-agent", "curl/7\\..*", true}}));
}

}  // namespace
}  // namespace coalmine::importers
