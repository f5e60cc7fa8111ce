// Comparisons of whole distributions: confidence sequences, quantiles, Mann-Whitney, the judge.
#include "sim/rollout/analysis/latency_tests.h"

#include <cmath>
#include <numeric>

#include "sim/core/math.h"
#include "sim/core/random.h"
#include "sim/rollout/analysis/analysis.h"
#include "sim/rollout/analysis/judge.h"
#include "sim/rollout/analysis/measure.h"
#include "tests/unit/sim_rollout/fake_world.h"

namespace coalmine::rollout {
namespace {

using namespace std::chrono_literals;

// Golden values of this block: the unit tests of gostevehoward/confseq, from its R original.
TEST(Confidence, BandsEqualTheReference) {
  EXPECT_NEAR(band_radius(1000, 100, lil_constant(.05)), .08204769, 1e-7);
  EXPECT_NEAR(band_radius(1000, 100, lil_constant_closed(.05)), .08285, 6e-6);
  EXPECT_GT(lil_constant_closed(.005), lil_constant(.005));
}

TEST(Confidence, DoubleStitchingEqualsTheReference) {
  EXPECT_NEAR(double_stitching_bound(.5, 1000, .05, 100), 68.62803, 1e-5);
  EXPECT_NEAR(double_stitching_bound(.9, 1000, .05, 100), 43.72119, 1e-5);
  EXPECT_NEAR(double_stitching_bound(.1, 1000, .05, 100), 59.96521, 1e-5);
}

TEST(Confidence, BernoulliIntervalsEqualTheReference) {
  struct Case {
    std::uint64_t k, n;
    double t_opt, low, high;
  };
  for (const Case& c : {Case{700, 1000, 100, .651629, .745949},
                        {15, 50, 50, .129556, .511896},
                        {5, 50, 50, .013021, .269264},
                        {1, 50, 50, 0, .13489},
                        {1, 2, 50, 0, 1},
                        {100, 200, 1, .328923, .671076},
                        {0, 1, 50, 0, 1}}) {
    const Interval interval = bernoulli_interval(c.k, c.n, .05, c.t_opt);
    EXPECT_NEAR(interval.low, c.low, 1e-5) << c.k << " of " << c.n;
    EXPECT_NEAR(interval.high, c.high, 1e-5) << c.k << " of " << c.n;
  }
}

TEST(Confidence, TwoSampleQuantilesEqualTheReference) {
  const auto p_value = [](double q, int offset) {
    std::vector<double> x(1000), y(1000);
    std::iota(x.begin(), x.end(), 1);
    std::iota(y.begin(), y.end(), 1 + offset);
    return two_sample_quantile_p(x, y, q, 100, .05);
  };
  EXPECT_NEAR(p_value(.5, 70), .814704, 1e-5);
  EXPECT_NEAR(p_value(.5, 85), .0838055, 1e-5);
  EXPECT_NEAR(p_value(.5, 100), .0054947, 1e-5);
  EXPECT_NEAR(p_value(.9, 55), .0340463, 1e-5);
}

TEST(LatencyQuantile, LiesAboveALimitExactlyIfEnoughAreSlower) {
  const VersionCounts counts{100, 0, {{100ms, 10}, {200ms, 2}, {400ms, 1}}};
  EXPECT_GT(*latency_quantile(counts, .95), .1);
  EXPECT_LE(*latency_quantile(counts, .95), .2);
  EXPECT_LE(*latency_quantile(counts, .98), .2) << "2 of 100 slower than 200ms is not more than 2%";
  EXPECT_GT(*latency_quantile(counts, .985), .2);
  EXPECT_EQ(*latency_quantile(counts, .999), .8) << "beyond the last limit";
  EXPECT_FALSE(latency_quantile({}, .5));
}

/// Counts above the grid of `requests` lognormal latencies with median 20 ms, times `factor`.
VersionCounts lognormal(Random& random, std::uint64_t requests, double factor, double sigma = .6) {
  VersionCounts counts{requests, 0, {}};
  for (const Duration limit : latency_grid()) counts.slow.push_back({limit, 0});
  for (std::uint64_t i = 0; i < requests; ++i) {
    const double seconds = factor * random.lognormal(math::log(.02), sigma);
    for (SlowCount& slow : counts.slow) {
      if (seconds <= to_seconds(slow.over)) break;
      ++slow.count;
    }
  }
  return counts;
}

/// Share of runs that fail, of `windows` datapoints of 90 stable and 10 canary requests.
int failures(const AnalysisSpec& spec, int runs, int windows, double factor, std::uint64_t seed) {
  int failed = 0;
  const Random root(seed);
  for (int run = 0; run < runs; ++run) {
    Random random = root.split(static_cast<std::uint64_t>(run));
    Analysis analysis(spec, 1);
    for (int i = 0; i < windows && analysis.verdict() != Verdict::Fail; ++i) {
      const TimePoint from = kVirtualEpoch + i * 1s;
      analysis.add({from, from + 1s, lognormal(random, 90, 1), lognormal(random, 10, factor), {}},
                   .1);
      if (i == windows / 2) analysis.next_step();
    }
    failed += analysis.verdict() == Verdict::Fail ? 1 : 0;
  }
  return failed;
}

AnalysisSpec latency_spec(TestSpec test) {
  return {"latency", std::move(test), OnFail::Rollback, {}};
}

TEST(QuantileCompare, FalseAlarmsStayBelowAlphaAndSlowCanariesAreFound) {
  const AnalysisSpec p90 = latency_spec(QuantileTest{.9, .05, 0});
  EXPECT_LE(failures(p90, 100, 60, 1, 31), 100 * .05 + 4 * std::sqrt(100 * .05 * .95));
  EXPECT_GE(failures(p90, 20, 200, 2.5, 32), 18);
  EXPECT_EQ(failures(latency_spec(QuantileTest{.9, .05, 2}), 20, 100, 2.5, 32), 0)
      << "within the tolerance";
}

TEST(DistributionCompare, FalseAlarmsStayBelowAlphaAndSlowCanariesAreFound) {
  const AnalysisSpec up = latency_spec(DistributionTest{.05, Direction::Up});
  EXPECT_LE(failures(up, 150, 60, 1, 33), 150 * .05 + 4 * std::sqrt(150 * .05 * .95));
  EXPECT_EQ(failures(up, 20, 200, 2.5, 34), 20);
  EXPECT_EQ(failures(up, 20, 200, .4, 35), 0) << "faster is no fault";
  EXPECT_EQ(failures(latency_spec(DistributionTest{.05, Direction::Either}), 20, 200, .4, 35), 20);
}

TEST(QuantileCompare, ForgetsWhatStableDidBeforeTheCanaryHadAStep) {
  // Stable was slow by day and alone; at night it is fast, and so must the canary be.
  for (const TestSpec& test :
       {TestSpec{QuantileTest{.5, .001, .5}}, TestSpec{DistributionTest{}}}) {
    Random random(7);
    const AnalysisSpec spec = latency_spec(test);
    const auto verdict = [&](double canary) {
      Analysis analysis(spec, 1);
      analysis.add({kVirtualEpoch, kVirtualEpoch + 1s, lognormal(random, 90'000, 3), {}, {}}, 0);
      analysis.next_step();
      for (int i = 1; i <= 20; ++i) {
        const TimePoint from = kVirtualEpoch + i * 1s;
        analysis.add({from, from + 1s, lognormal(random, 90, 1), lognormal(random, 90, canary), {}},
                     .5);
      }
      return analysis.verdict();
    };
    EXPECT_EQ(verdict(1), Verdict::Continue);
    EXPECT_EQ(verdict(3), Verdict::Fail);
  }
}

TEST(QuantileCompare, TellsBothQuantiles) {
  Random random(36);
  Analysis analysis(latency_spec(QuantileTest{}), 1);
  analysis.add({kVirtualEpoch,
                kVirtualEpoch + 10s,
                lognormal(random, 5000, 1),
                lognormal(random, 5000, 4),
                {}},
               .5);
  EXPECT_EQ(analysis.verdict(), Verdict::Fail);
  const std::string text = analysis.evaluate().sentence;
  EXPECT_EQ(text.find("latency: p99 of 5000 canary requests is 3"), 0U) << text;
}

const std::vector<double> kCanary = {12, 15, 11, 18, 16, 14, 19, 17, 13, 20};
const std::vector<double> kStable = {10, 9, 12, 8, 11, 7, 13, 6, 10.5, 9.5};

TEST(MannWhitney, EqualsTheGoldenExample) {
  const MannWhitney test = mann_whitney(kCanary, kStable, .98);
  EXPECT_EQ(test.u, 95.5);
  EXPECT_NEAR(test.cles, .955, 1e-12);
  EXPECT_NEAR(test.z, 3.40552, 6e-6);
  EXPECT_NEAR(test.shift, 6.0, 1e-12);
  EXPECT_NEAR(test.low, 2.5, 1e-12);
  EXPECT_NEAR(test.high, 9.0, 1e-12);
  EXPECT_NEAR(normal_quantile(.99), 2.3263478740408408, 1e-9);
}

TEST(MannWhitney, ClassesTheGoldenExampleHigh) {
  const Classified found = classify(JudgedMetric{}, kCanary, kStable);
  EXPECT_EQ(found.verdict, MetricClass::High);
  EXPECT_NEAR(found.ratio, 1.614583, 6e-7);
  EXPECT_EQ(classify(JudgedMetric{}, kStable, kCanary).verdict, MetricClass::Low);
  JudgedMetric up;
  up.direction = Direction::Up;
  EXPECT_EQ(classify(up, kStable, kCanary).verdict, MetricClass::Pass);
  JudgedMetric lenient;
  lenient.allowed_increase = 2;
  EXPECT_EQ(classify(lenient, kCanary, kStable).verdict, MetricClass::Pass);
  JudgedMetric cles;
  cles.effect = JudgedMetric::Effect::Cles;
  cles.allowed_increase = .96;
  EXPECT_EQ(classify(cles, kCanary, kStable).verdict, MetricClass::Pass);
}

TEST(MannWhitney, EdgesAreDefined) {
  const JudgedMetric metric;
  EXPECT_EQ(classify(metric, {}, kStable).verdict, MetricClass::NoData);
  EXPECT_EQ(classify(metric, {3, 1, 2}, {2, 3, 1}).verdict, MetricClass::Pass);
  EXPECT_EQ(classify(metric, {5, 5, 5}, {5, 5}).verdict, MetricClass::Pass);
  std::vector<double> zeros(60, 0.0), few = zeros;
  few[3] = few[40] = .02;
  EXPECT_EQ(classify(metric, few, zeros).verdict, MetricClass::Pass) << "mostly ties at 0";
  std::vector<double> many(60, .05);
  EXPECT_EQ(classify(metric, many, zeros).verdict, MetricClass::Pass)
      << "a baseline without errors passes everything: Kayenta's quirk";
  JudgedMetric must = metric;
  must.must_have_data = true;
  EXPECT_EQ(classify(must, {}, kStable).verdict, MetricClass::NoDataFails);
  std::vector<double> with_outlier = kStable;
  with_outlier.push_back(1000);
  EXPECT_EQ(without_outliers(kStable).size(), kStable.size());
}

JudgeTest judge_of(std::vector<std::pair<std::string, std::string>> metrics) {
  JudgeTest test;
  for (auto& [name, group] : metrics) {
    JudgedMetric metric;
    metric.name = name;
    metric.group = group;
    metric.direction = Direction::Up;
    metric.measure.window = 10s;
    test.metrics.push_back(metric);
  }
  test.interval = 5min;
  return test;
}

TEST(Judge, ScoresGroupsByTheirWeights) {
  JudgeTest test = judge_of({{"a", "errors"}, {"b", "errors"}, {"c", "latency"}, {"d", "cpu"}});
  test.groups = {{"errors", 50}};
  Classified pass, high, none;
  high.verdict = MetricClass::High;
  none.verdict = MetricClass::NoData;
  EXPECT_EQ(kayenta_score(test, {pass, pass, pass, pass}), 100);
  EXPECT_EQ(kayenta_score(test, {pass, high, pass, pass}), 75);
  EXPECT_EQ(kayenta_score(test, {pass, pass, high, pass}), 75);
  EXPECT_EQ(kayenta_score(test, {pass, pass, high, none}), 75) << "an empty group counts 100";
  EXPECT_EQ(kayenta_score(test, {pass, pass, none, none}), 0) << "half without data";
  high.critical = true;
  EXPECT_EQ(kayenta_score(test, {pass, high, pass, pass}), 0);
}

/// 1% of 100 requests per second, a value per minute.
int judged_bad(double canary_errors, int minutes, int runs, std::uint64_t seed) {
  int failed = 0;
  const Random root(seed);
  for (int run = 0; run < runs; ++run) {
    Random random = root.split(static_cast<std::uint64_t>(run));
    JudgeTest test = judge_of({{"error rate", ""}});
    test.metrics[0].measure.window = 1min;
    test.interval = minutes * 1min;
    Analysis analysis({"errors", test, OnFail::Rollback, {}}, 1);
    for (int i = 0; i < minutes; ++i) {
      const TimePoint from = kVirtualEpoch + i * 1min;
      const auto requests = random.poisson(60);
      analysis.add({from,
                    from + 1min,
                    {5940, random.binomial(5940, .001), {}},
                    {requests, random.binomial(requests, canary_errors), {}},
                    {}},
                   .01);
    }
    failed += analysis.verdict() == Verdict::Fail ? 1 : 0;
  }
  return failed;
}

/// Powers against the full stable fleet as simulated independently of this code.
TEST(Judge, FindsALargeFaultAndIsBlindForASmallOneAtOnePercent) {
  EXPECT_GE(judged_bad(.05, 20, 50, 41), 48) << "100% at 20 points";
  EXPECT_LE(judged_bad(.01, 60, 50, 42), 1) << "0% at 60 points: most minutes have no error";
  EXPECT_LE(judged_bad(.001, 60, 50, 43), 1) << "healthy";
}

TEST(Judge, ExplainsItsScore) {
  Analysis analysis({"errors", judge_of({{"error rate", ""}}), OnFail::Rollback, {}}, 1);
  for (int i = 0; i < 30; ++i) {
    const TimePoint from = kVirtualEpoch + i * 10s;
    const auto bump = static_cast<std::uint64_t>(i % 3);
    analysis.add({from, from + 10s, {1000, 10 + bump, {}}, {100, 4 + bump, {}}, {}}, .01);
  }
  EXPECT_EQ(analysis.verdict(), Verdict::Fail);
  const Evaluation e = analysis.evaluate();
  EXPECT_EQ(e.sentence.find("errors: score 0 (fails below 75) from 30 datapoints: error rate High "
                            "(shift "),
            0U)
      << e.sentence;
  EXPECT_EQ(e.n, 30U);
}

}  // namespace
}  // namespace coalmine::rollout
