// Evidence besides the plain error share: known rates, bursts, segments, tests put together.
#include <cmath>

#include "sim/core/random.h"
#include "sim/rollout/analysis/analysis.h"
#include "sim/rollout/analysis/error_share.h"
#include "sim/rollout/analysis/spec_check.h"
#include "sim/rollout/analysis/spec_json.h"
#include "tests/unit/sim_rollout/fake_world.h"

namespace coalmine::rollout {
namespace {

using namespace std::chrono_literals;

/// At most 4 standard deviations above what is promised.
void expect_at_most(int alarms, int runs, double alpha) {
  EXPECT_LE(alarms, runs * alpha + 4 * std::sqrt(runs * alpha * (1 - alpha)));
}

MetricsWindow window_of(VersionCounts stable, VersionCounts canary, int second = 0) {
  const TimePoint from = kVirtualEpoch + std::chrono::seconds{second};
  return {from, from + 1s, std::move(stable), std::move(canary), {}};
}

TEST(Bernoulli, UncutEvidenceEqualsTheClosedForm) {
  for (const auto& [k, n, want] : {std::tuple{2U, 40U, 202.367},
                                   {3U, 60U, 3346.93},
                                   {0U, 500U, .0634282},
                                   {4U, 300U, 198.492},
                                   {5U, 500U, 205.044}}) {
    EXPECT_NEAR(mixture_evidence_two_sided(k, n, .001, 1, 20) / want, 1, 4e-6);
  }
}

TEST(Bernoulli, FalseAlarmsStayBelowAlphaThroughStepsAndRenewals) {
  const double alpha = .05;
  const int runs = 1500;
  int alarms = 0;
  const Random root(21);
  for (int run = 0; run < runs; ++run) {
    Random random = root.split(static_cast<std::uint64_t>(run));
    Bernoulli test({Percent{1}, alpha, 1, 20, {}}, {});
    bool alarm = false;
    for (int step = 0; step < 3 && !alarm; ++step) {
      for (int i = 0; i < 150 && !alarm; ++i) {
        test.add(random.binomial(10, .01), 10);
        alarm = test.verdict() == Verdict::Fail;
      }
      test.next_step();
    }
    alarms += alarm ? 1 : 0;
  }
  expect_at_most(alarms, runs, alpha);
  EXPECT_GT(alarms, 0);
}

TEST(Bernoulli, FindsAFaultThatComesAfterALongHealthyTime) {
  Bernoulli test({Percent{.1}, .01, 1, 20, {}}, {});
  for (int i = 0; i < 500; ++i) test.add(0, 100);
  int requests = 0;
  while (test.verdict() != Verdict::Fail && requests < 2000) {
    test.add(1, 20);
    requests += 20;
  }
  EXPECT_LE(requests, 160) << "renewed stakes: without them the healthy time would count";
}

TEST(ErrorShare, JudgesByTheMeasuredShareWhileTheRoutedOneIsUnknown) {
  Analysis analysis(test::error_share(), 1);
  analysis.add(window_of({990, 7, {}}, {10, 3, {}}), 1.0, false);
  EXPECT_EQ(analysis.verdict(), Verdict::Fail) << "the rollout began at 100%, nothing was blind";
  EXPECT_NE(analysis.evaluate().sentence.find("3 of 10 from 1% of traffic as measured"),
            std::string::npos);
}

TEST(ErrorShare, JudgesByTheMeasuredShareWhereSomebodyElseSetTheWeights) {
  Analysis healthy(test::error_share(), 1), faulty(test::error_share(), 1);
  for (int i = 0; i < 100; ++i) {
    healthy.add(window_of({200, 1, {}}, {800, 4, {}}), .1);
    faulty.add(window_of({200, 1, {}}, {800, 40, {}}), .1);
  }
  EXPECT_EQ(healthy.verdict(), Verdict::Continue) << healthy.evaluate().sentence;
  EXPECT_EQ(faulty.verdict(), Verdict::Fail) << faulty.evaluate().sentence;
}

TEST(ErrorShare, TrustsTheRoutedShareWithinChance) {
  Analysis analysis(test::error_share(), 1);
  analysis.add(window_of({880, 1, {}}, {120, 1, {}}), .1);
  EXPECT_EQ(analysis.evaluate().sentence.find("as measured"), std::string::npos);
}

/// Healthy, the share falls from 100% to 1% bit by bit: errors drawn without replacement.
TEST(ErrorShare, FalseAlarmsStayBelowAlphaByTheMeasuredShare) {
  const double alpha = .05;
  const int runs = 2000;
  int alarms = 0;
  const Random root(22);
  for (int run = 0; run < runs; ++run) {
    Random random = root.split(static_cast<std::uint64_t>(run));
    ErrorShare test(ErrorShareTest{alpha, 1, 1});
    double share = .9;
    bool alarm = false;
    for (int i = 0; i < 60 && !alarm; ++i, share *= .93) {
      const std::uint64_t canary = random.binomial(40, share);
      const std::uint64_t bad = random.binomial(canary, .1);
      const std::uint64_t others = random.binomial(40 - canary, .1);
      test.add_measured({bad, bad + others}, canary, 40);
      alarm = test.verdict() == Verdict::Fail;
    }
    alarms += alarm ? 1 : 0;
  }
  expect_at_most(alarms, runs, alpha);
}

/// Both versions fail equally often, but ten errors at a time.
int burst_alarms(std::optional<Duration> burst, double alpha, int runs) {
  int alarms = 0;
  const Random root(23);
  for (int run = 0; run < runs; ++run) {
    Random random = root.split(static_cast<std::uint64_t>(run));
    ErrorShare test(ErrorShareTest{alpha, 1, 1}, burst);
    bool alarm = false;
    for (int second = 0; second < 600 && !alarm; ++second) {
      if (!random.bernoulli(.2)) continue;
      const bool canary = random.bernoulli(.1);
      const MetricsWindow window =
          window_of({90, canary ? 0U : 10U, {}}, {10, canary ? 10U : 0U, {}}, second);
      test.add(Observation{window, .1, true}, Scope::Canary);
      alarm = test.verdict() == Verdict::Fail;
    }
    alarms += alarm ? 1 : 0;
  }
  return alarms;
}

TEST(Burst, CappedEvidenceKeepsItsPromiseWhereCountingEveryErrorDoesNot) {
  const double alpha = .05;
  const int runs = 600;
  expect_at_most(burst_alarms(Duration{1s}, alpha, runs), runs, alpha);
  EXPECT_GT(burst_alarms({}, alpha, runs), runs / 4) << "why the cap is needed";
}

TEST(Burst, CappedEvidenceStillFindsAFaultInMinutes) {
  Random random(4);
  int seconds = 0;
  const int runs = 200;
  for (int run = 0; run < runs; ++run) {
    ErrorShare test(ErrorShareTest{.01, 1, 1}, Duration{10s});
    for (int second = 0; test.verdict() != Verdict::Fail && second < 3600; ++second, ++seconds) {
      const MetricsWindow window =
          window_of({99, random.binomial(99, .001), {}}, {1, random.binomial(1, .05), {}}, second);
      test.add(Observation{window, .01, true}, Scope::Canary);
    }
  }
  EXPECT_LE(seconds / runs, 150) << "43 s when every error counts";
}

AnalysisSpec per_segment(TestSpec test, int segments) {
  AnalysisSpec spec{"errors", std::move(test), OnFail::Rollback, {}};
  for (int i = 0; i < segments; ++i) spec.segments.push_back(fmt::format("flow-{:04}", i));
  return spec;
}

TEST(Segments, TwoErrorsOfOneFlowInAThousandSuffice) {
  Analysis analysis(per_segment(BernoulliTest{Percent{.1}, .01, 1, 1, {}}, 1000), 1);
  MetricsWindow window = window_of({}, {5, 1, {}});
  window.segments = {{"flow-0412", {}, {1, 1, {}}}};
  analysis.add(window, .01);
  EXPECT_EQ(analysis.verdict(), Verdict::Continue);
  analysis.add(window, .01);
  EXPECT_EQ(analysis.verdict(), Verdict::Fail);
  EXPECT_NE(analysis.evaluate().sentence.find("segment flow-0412: 2 of 2 canary requests failed"),
            std::string::npos)
      << analysis.evaluate().sentence;
}

TEST(Segments, FalseAlarmsOfAllTogetherStayBelowAlpha) {
  const double alpha = .05;
  const int runs = 500, flows = 20;
  int alarms = 0;
  const Random root(24);
  const AnalysisSpec spec = per_segment(ErrorShareTest{alpha, 1, 1}, flows);
  for (int run = 0; run < runs; ++run) {
    Random random = root.split(static_cast<std::uint64_t>(run));
    Analysis analysis(spec, 1);
    for (int i = 0; i < 60 && analysis.verdict() != Verdict::Fail; ++i) {
      MetricsWindow window = window_of({}, {}, i);
      for (const std::string& name : spec.segments) {
        window.segments.push_back(
            {name, {45, random.binomial(45, .02), {}}, {5, random.binomial(5, .02), {}}});
      }
      analysis.add(window, .1);
    }
    alarms += analysis.verdict() == Verdict::Fail ? 1 : 0;
  }
  expect_at_most(alarms, runs, alpha);
}

TEST(Merged, TwoHalvesOfTheEvidenceConvictTogether) {
  const std::vector<AnalysisSpec> specs{test::error_share(), test::error_share()};
  const double part = split_alpha(specs);
  EXPECT_EQ(part, .5);
  std::vector<Analysis> both;
  for (const AnalysisSpec& spec : specs) {
    both.emplace_back(spec, part);
    both.back().add(window_of({990, 3, {}}, {10, 2, {}}), .01);
    EXPECT_EQ(both.back().verdict(), Verdict::Continue) << "evidence 155, alone it needs 200";
  }
  const Merged merged = merge_evidence(both, {true, true});
  EXPECT_TRUE(merged.fails());
  EXPECT_EQ(merged.tests, 2U);
  const Evaluation e = evaluate_merged(both, merged);
  EXPECT_EQ(e.verdict, Verdict::Fail);
  EXPECT_NE(e.sentence.find("; the 2 tests together reach 15"), std::string::npos) << e.sentence;
  EXPECT_EQ(merge_evidence(both, {true, false}).tests, 1U);
  EXPECT_FALSE(merge_evidence(both, {true, false}).fails());
}

/// Three tests that look at the same errors, so as dependent as can be.
TEST(Merged, FalseAlarmsOfDependentTestsTogetherStayBelowAlpha) {
  const double alpha = .05;
  const AnalysisSpec bernoulli{
      "errors", BernoulliTest{Percent{1}, alpha, 1, 20, {}}, OnFail::Rollback, {}};
  const AnalysisSpec sprt{
      "errors", SprtTest{Percent{1}, Percent{5}, alpha, alpha, {}}, OnFail::Rollback, {}};
  const std::vector<AnalysisSpec> specs{test::error_share(alpha), bernoulli, sprt};
  const double part = split_alpha(specs);
  const int runs = 800;
  int alarms = 0;
  const Random root(25);
  for (int run = 0; run < runs; ++run) {
    Random random = root.split(static_cast<std::uint64_t>(run));
    std::vector<Analysis> tests;
    for (const AnalysisSpec& spec : specs) tests.emplace_back(spec, part);
    bool alarm = false;
    for (int i = 0; i < 100 && !alarm; ++i) {
      const MetricsWindow window =
          window_of({90, random.binomial(90, .01), {}}, {10, random.binomial(10, .01), {}}, i);
      for (Analysis& one : tests) {
        one.add(window, .1);
        alarm = alarm || one.verdict() == Verdict::Fail;
      }
      alarm = alarm || merge_evidence(tests, {true, true, true}).fails();
    }
    alarms += alarm ? 1 : 0;
  }
  expect_at_most(alarms, runs, alpha / (1 - alpha));
  EXPECT_GT(alarms, 0);
}

TEST(AnalysisSpec, ComesBackFromJsonAsItWas) {
  std::vector<AnalysisSpec> specs{
      test::error_share(.02, OnFail::Pause),
      {"latency", SprtTest{Percent{1}, Percent{5}, .01, .02, Duration{250ms}}, OnFail::Ignore, {}},
      {"errors", BernoulliTest{Percent{1}, .01, 2, 30, {}}, OnFail::Rollback, {}},
      {"errors", CusumTest{Percent{1}, Percent{5}, 1e5, {}}, OnFail::Rollback, {}},
      {"errors", Threshold{Percent{5}, {}, .99, 50, 3}, OnFail::Ignore, {}}};
  specs[0].burst = Duration{10s};
  specs[2].segments = {"checkout", "search"};
  specs[4].scope = Scope::Service;
  auto& relative = std::get<Threshold>(specs[4].test);
  relative.max_ratio = 1.5;
  relative.max_increase = Percent{2};
  relative.of_last = 5;
  for (const AnalysisSpec& spec : specs) {
    const Json json = to_json(spec);
    const auto back = analysis_from_json(json);
    ASSERT_TRUE(back) << to_string(back.error());
    EXPECT_EQ(dump_json(to_json(*back)), dump_json(json));
    EXPECT_EQ(back->test.index(), spec.test.index());
  }
}

std::string problems(AnalysisSpec spec, PlanView view = {true, true, 10}) {
  std::string text;
  for (const Error& error : check(spec, view)) text += error.message + "\n";
  for (const Error& error : warnings(spec, view)) text += "warning: " + error.message + "\n";
  return text;
}

TEST(AnalysisSpec, SenselessOnesAreRefusedWithTheReason) {
  EXPECT_EQ(problems(test::error_share()), "");
  EXPECT_EQ(problems(test::error_share(), {}),
            "the errors test never sees canary traffic: no bake or pause at a weight between 0% "
            "and 100%\n");
  AnalysisSpec spec = test::error_share();
  spec.scope = Scope::Stable;
  EXPECT_EQ(problems(spec), "error-share compares the canary with stable; it has no other scope\n");
  spec = {"errors", Threshold{Percent{20}, {}, .99, 1, 1}, OnFail::Rollback, {}};
  spec.scope = Scope::Stable;
  EXPECT_NE(problems(spec).find("a bad canary is never seen"), std::string::npos);
  spec.scope = Scope::Service;
  EXPECT_NE(problems(spec).find("warning: scope service cannot see this canary: at 10%"),
            std::string::npos);
  spec = {"latency", SprtTest{Percent{1}, Percent{5}, .01, .01, Duration{500}}, {}, {}};
  EXPECT_NE(problems(spec).find("over is 500ns, outside of what latencies are counted in"),
            std::string::npos);
  spec.burst = Duration{1s};
  EXPECT_NE(problems(spec).find("burst is for error-share and bernoulli"), std::string::npos);
  spec = {"latency", BernoulliTest{Percent{1}, .01, 1, 20, {}}, {}, {}};
  EXPECT_NE(problems(spec).find("bernoulli on latency needs over"), std::string::npos);
  spec = {"errors", CusumTest{Percent{5}, Percent{1}, 1e6, {}}, {}, {}};
  EXPECT_NE(problems(spec).find("late-fault is from 5% to 1%"), std::string::npos);
  EXPECT_NE(problems(spec).find("one false alarm in 1e+06 requests"), std::string::npos);
}

TEST(ErrorShare, TellsAllErrorsOfAStepAlthoughItsBetsBeginAnew) {
  ErrorShare test(ErrorShareTest{});
  for (int i = 0; i < 100; ++i) test.add({0, 10}, 0.1);
  EXPECT_LT(test.counted().total, 1000u) << "a bet that is lost is begun anew";
  EXPECT_NE(test.evaluate().sentence.find(" lately (0 of 1000 in all) from 10% of traffic"),
            std::string::npos)
      << test.evaluate().sentence;
  test.add({1, 2}, 0.5);
  EXPECT_EQ(test.evaluate().sentence.find("lately"), std::string::npos) << test.evaluate().sentence;
}

}  // namespace
}  // namespace coalmine::rollout
