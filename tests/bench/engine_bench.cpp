// How many modelled requests a second one core makes in each way, and what whole runs cost.
#include <benchmark/benchmark.h>

#include "sim/engine/aggregate.h"
#include "sim/engine/direct_plane.h"
#include "sim/engine/kernel.h"
#include "sim/engine/mock_plane.h"
#include "sim/engine/simulation.h"
#include "sim/engine/task_pool.h"

namespace coalmine::engine {
namespace {

world::Spec one_hour(double rate) {
  world::Spec spec;
  spec.limit = std::chrono::hours{2};
  spec.traffic.rate = Rate{rate};
  spec.versions.resize(2);
  spec.versions[0].name = "v1";
  spec.versions[1].name = "v2";
  for (auto& version : spec.versions) {
    version.faults = {{world::FaultKind::Errors, Percent{0.1}, 500, {}, ""}};
  }
  spec.plan.steps = {{rollout::SetWeight{Percent{1}}, {}},
                     {rollout::Bake{std::chrono::minutes{30}}, {}},
                     {rollout::SetWeight{Percent{10}}, {}},
                     {rollout::Bake{std::chrono::minutes{30}}, {}},
                     {rollout::Promote{"v2"}, {}}};
  spec.plan.analyses.resize(1);
  spec.plan.analyses[0].metric = "errors";
  spec.plan.analyses[0].test = rollout::ErrorShareTest{};
  return spec;
}

constexpr std::uint64_t kBatch = 1'000'000;

/// 99:1 between two versions that fail for 0.1%.
Regime two_versions() {
  const world::Spec spec = one_hour(1);
  Regime regime;
  SegmentRegime segment;
  segment.targets = 2;
  segment.edges[0] = edge_of(99, 100);
  segment.weight = {0.99, 0.01};
  segment.version = {0, 1};
  segment.up = {true, true};
  for (std::size_t k = 0; k < 2; ++k) {
    segment.behaviour[k] = make_behaviour(spec.versions[k].faults, spec, {});
    regime.versions.push_back({std::make_shared<LatencyTable>(spec.versions[k].latency)});
  }
  regime.segments.push_back(segment);
  return regime;
}

void BM_Requests(benchmark::State& state) {
  const Regime regime = two_versions();
  Random random(1);
  std::vector<Meter> meters(2);
  std::uint64_t dropped = 0;
  OrderedCounts ordered;
  for (auto _ : state) generate(regime, kBatch, random, meters, dropped, ordered);
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kBatch));
}
BENCHMARK(BM_Requests)->Unit(benchmark::kMillisecond);

/// The same requests in ten segments. 0: nobody names them, 1: each is counted by itself.
void BM_RequestsInSegments(benchmark::State& state) {
  Regime regime = two_versions();
  regime.segments.resize(10, regime.segments[0]);
  for (SegmentRegime& segment : regime.segments) segment.share = 0.1;
  Random random(1);
  std::vector<Meter> meters(2);
  for (Meter& meter : meters) meter.segments.resize(state.range(0) == 1 ? 10 : 0);
  std::uint64_t dropped = 0;
  OrderedCounts ordered;
  for (auto _ : state) generate(regime, kBatch, random, meters, dropped, ordered);
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kBatch));
}
BENCHMARK(BM_RequestsInSegments)->ArgName("named")->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond);

/// One by one through the tasks of a version. 0: spaced by capacity, 1: eight at a time and a
/// bounded queue, 2: with faults that the sample app's code decides.
void BM_RequestsThroughTasks(benchmark::State& state) {
  TaskPool::Limits limits;
  if (state.range(0) == 1) {
    limits.concurrency = 8;
    limits.queue = 100;
  } else {
    limits.spacing = Duration{1000};
  }
  const Regime regime = two_versions();
  TaskPool pool(limits, std::make_shared<LatencyTable>(world::FixedLatency{Duration{10'000}}), 4,
                kVirtualEpoch);
  pool.set_usable({0, 1, 2, 3});
  if (state.range(0) == 2) {
    pool.set_faults(*faults::parse_faults("errors=1%,burst=20; latency=1us,share=10%"),
                    kVirtualEpoch);
  }
  Random random(1);
  Meter meter;
  std::uint64_t dropped = 0;
  TimePoint now = kVirtualEpoch;
  for (auto _ : state) {
    pool.play(regime.segments, {kBatch}, now, now + std::chrono::seconds{1}, random, meter,
              dropped);
    now += std::chrono::seconds{1};
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kBatch));
}
BENCHMARK(BM_RequestsThroughTasks)->Arg(0)->Arg(1)->Arg(2)->Unit(benchmark::kMillisecond);

void BM_AggregateInterval(benchmark::State& state) {
  const Regime regime = two_versions();
  Aggregate aggregate(regime, {std::chrono::milliseconds{100}});
  Random random(1);
  std::vector<Meter> meters(2);
  std::uint64_t dropped = 0;
  for (auto _ : state) aggregate.generate(10'000'000, random, meters, dropped);
}
BENCHMARK(BM_AggregateInterval)->Unit(benchmark::kMicrosecond);

void run(benchmark::State& state, const world::Spec& spec, const ControlPlaneMaker& maker) {
  for (auto _ : state) {
    const auto record = simulate(spec, {}, maker);
    if (!record) state.SkipWithError(record.error().message.c_str());
  }
}

void BM_OneHourOnTheMock(benchmark::State& state) {
  world::Spec spec = one_hour(100);
  if (state.range(0) == 1) {
    spec.plan.traffic = rollout::TrafficApi::Alb;
    spec.platform.metric_period = std::chrono::minutes{1};
  }
  run(state, spec, make_mock_plane);
}
BENCHMARK(BM_OneHourOnTheMock)->ArgName("alb")->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond);

void BM_OneHour(benchmark::State& state) {
  run(state, one_hour(static_cast<double>(state.range(0))), make_direct_plane);
}
BENCHMARK(BM_OneHour)->Arg(100)->Arg(10'000)->Unit(benchmark::kMillisecond);

/// A day at a million requests a second: counted, not played.
void BM_OneDayOfMillions(benchmark::State& state) {
  world::Spec spec = one_hour(1e6);
  spec.limit = std::chrono::hours{24};
  spec.plan.steps[1].what = rollout::Bake{std::chrono::hours{12}};
  spec.plan.steps[3].what = rollout::Bake{std::chrono::minutes{11 * 60 + 30}};
  run(state, spec, state.range(0) == 1 ? make_mock_plane : make_plane);
}
BENCHMARK(BM_OneDayOfMillions)->ArgName("mock")->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond);

/// What an evaluation over many seeds pays for each: v2 fails 5% and is rolled back at 1%.
void BM_FaultyCanary(benchmark::State& state) {
  world::Spec spec = one_hour(100);
  spec.versions[1].faults[0].share = Percent{5};
  spec.platform.route_delay = std::chrono::seconds{3};
  spec.platform.metric_delay = std::chrono::seconds{5};
  std::uint64_t seed = 0;
  for (auto _ : state) {
    world::RunOptions options;
    options.seed = ++seed;
    benchmark::DoNotOptimize(simulate(spec, options, make_direct_plane));
  }
}
BENCHMARK(BM_FaultyCanary)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace coalmine::engine
