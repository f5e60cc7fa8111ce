// Analyses: cost of an update, and the promises measured over 10,000 seeds (about 10 s):
//   build/bin/analysis_bench --benchmark_filter=Seeds
#include <benchmark/benchmark.h>

#include <array>

#include "sim/core/random.h"
#include "sim/rollout/analysis/analysis.h"
#include "sim/rollout/analysis/bounds.h"
#include "sim/rollout/analysis/confidence.h"
#include "sim/rollout/analysis/measure.h"

namespace coalmine::rollout {
namespace {

using namespace std::chrono_literals;

MetricsWindow window_at(int i, Random& random) {
  const TimePoint from = kVirtualEpoch + i * 10s;
  MetricsWindow window{from,
                       from + 10s,
                       {990, random.binomial(990, .001), {}},
                       {10, random.binomial(10, .001), {}},
                       {}};
  return window;
}

/// One datapoint and one look, 120 datapoints per rollout, as evaluate does for every seed.
void datapoint(benchmark::State& state, TestSpec test) {
  Random random(1);
  std::vector<MetricsWindow> windows;
  for (int i = 0; i < 120; ++i) windows.push_back(window_at(i, random));
  for (MetricsWindow& window : windows) {
    for (VersionCounts* counts : {&window.stable, &window.canary}) {
      for (const Duration limit : latency_limits({{"latency", test, OnFail::Rollback, {}}})) {
        counts->slow.push_back({limit, limit < 40ms ? counts->requests / 2 : 0});
      }
    }
  }
  const AnalysisSpec spec{"errors", std::move(test), OnFail::Rollback, {}};
  for (auto _ : state) {
    Analysis analysis(spec, 1);
    for (const MetricsWindow& window : windows) {
      analysis.add(window, .01);
      benchmark::DoNotOptimize(analysis.verdict());
    }
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(windows.size()));
}
BENCHMARK_CAPTURE(datapoint, error_share, ErrorShareTest{});
BENCHMARK_CAPTURE(datapoint, bernoulli, BernoulliTest{Percent{1}, .01, 1, 20, {}});
BENCHMARK_CAPTURE(datapoint, sprt, SprtTest{Percent{.1}, Percent{5}, .01, .01, {}});
BENCHMARK_CAPTURE(datapoint, late_fault, CusumTest{Percent{.1}, Percent{5}, 1e6, {}});
BENCHMARK_CAPTURE(datapoint, threshold, Threshold{Percent{1}, {}, .99, 1, 3});
BENCHMARK_CAPTURE(datapoint, quantile, QuantileTest{});
BENCHMARK_CAPTURE(datapoint, distribution, DistributionTest{});

constexpr int kSeeds = 10'000;

/// Healthy rollouts of 1% 10 min, 10% 5 min, 50% 5 min at 100/s with 0.1% errors; the evidence is
/// looked at after every single error, the hardest way to keep the promise.
void error_share_healthy_seeds(benchmark::State& state) {
  struct Step {
    double share;
    int seconds;
  };
  constexpr std::array<Step, 3> kSteps = {Step{.01, 600}, {.10, 300}, {.50, 300}};
  int alarms = 0;
  for (auto _ : state) {
    alarms = 0;
    const Random root(1);
    for (int seed = 0; seed < kSeeds; ++seed) {
      Random random = root.split(static_cast<std::uint64_t>(seed));
      ErrorShare test(ErrorShareTest{});
      bool alarm = false;
      for (const Step& step : kSteps) {
        const std::uint64_t errors = random.poisson(100 * .001 * step.seconds);
        for (std::uint64_t i = 0; i < errors && !alarm; ++i) {
          test.add({random.bernoulli(step.share) ? 1U : 0U, 1}, step.share);
          alarm = test.verdict() == Verdict::Fail;
        }
      }
      alarms += alarm ? 1 : 0;
    }
  }
  const Interval interval =
      bernoulli_interval(static_cast<std::uint64_t>(alarms), kSeeds, .05, kSeeds);
  state.counters["false_rollbacks"] = alarms / static_cast<double>(kSeeds);
  state.counters["low"] = interval.low;
  state.counters["high"] = interval.high;
}
BENCHMARK(error_share_healthy_seeds)
    ->Name("Seeds/error_share_healthy")
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);

/// Canary requests until error-share finds a fault at 1% of the traffic, no delay of any kind.
void error_share_faulty_seeds(benchmark::State& state, double bad) {
  double mean = 0;
  for (auto _ : state) {
    std::uint64_t total = 0;
    const Random root(2);
    for (int seed = 0; seed < kSeeds; ++seed) {
      Random random = root.split(static_cast<std::uint64_t>(seed));
      ErrorShare test(ErrorShareTest{});
      while (test.verdict() != Verdict::Fail) {
        const bool canary = random.bernoulli(.01);
        total += canary ? 1 : 0;
        if (!random.bernoulli(canary ? bad : .001)) continue;
        test.add({canary ? 1U : 0U, 1}, .01);
      }
    }
    mean = static_cast<double>(total) / kSeeds;
  }
  state.counters["canary_requests"] = mean;
  state.counters["floor"] = least_requests(.001, bad, .01, .01);
}
BENCHMARK_CAPTURE(error_share_faulty_seeds, five_percent, .05)
    ->Name("Seeds/error_share_finds_5_percent")
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(error_share_faulty_seeds, one_percent, .01)
    ->Name("Seeds/error_share_finds_1_percent")
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);

/// 20,000 healthy requests: hundreds of acceptances, each followed by a new round.
void sprt_healthy_seeds(benchmark::State& state) {
  int alarms = 0;
  for (auto _ : state) {
    alarms = 0;
    const Random root(3);
    for (int seed = 0; seed < kSeeds; ++seed) {
      Random random = root.split(static_cast<std::uint64_t>(seed));
      Sprt test({Percent{1}, Percent{5}, .01, .01, {}});
      for (int i = 0; i < 2000 && !test.rejected(); ++i) test.add(random.binomial(10, .01), 10);
      alarms += test.rejected() ? 1 : 0;
    }
  }
  state.counters["false_rollbacks"] = alarms / static_cast<double>(kSeeds);
}
BENCHMARK(sprt_healthy_seeds)
    ->Name("Seeds/sprt_healthy")
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);

/// Three dependent tests at alpha 0.01 each, put together.
void merged_healthy_seeds(benchmark::State& state) {
  const std::vector<AnalysisSpec> specs{
      {"errors", ErrorShareTest{}, OnFail::Rollback, {}},
      {"errors", BernoulliTest{Percent{.1}, .01, 1, 20, {}}, OnFail::Rollback, {}},
      {"errors", SprtTest{Percent{.1}, Percent{5}, .01, .01, {}}, OnFail::Rollback, {}}};
  const double part = split_alpha(specs);
  int alarms = 0;
  for (auto _ : state) {
    alarms = 0;
    const Random root(4);
    for (int seed = 0; seed < kSeeds; ++seed) {
      Random random = root.split(static_cast<std::uint64_t>(seed));
      std::vector<Analysis> tests;
      for (const AnalysisSpec& spec : specs) tests.emplace_back(spec, part);
      bool alarm = false;
      for (int i = 0; i < 60 && !alarm; ++i) {
        const MetricsWindow window = window_at(i, random);
        for (Analysis& test : tests) {
          test.add(window, .01);
          alarm = alarm || test.verdict() == Verdict::Fail;
        }
        alarm = alarm || merge_evidence(tests, {true, true, true}).fails();
      }
      alarms += alarm ? 1 : 0;
    }
  }
  state.counters["false_rollbacks"] = alarms / static_cast<double>(kSeeds);
}
BENCHMARK(merged_healthy_seeds)
    ->Name("Seeds/merged_healthy")
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace coalmine::rollout
