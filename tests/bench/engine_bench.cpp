// How many modelled requests a second one core makes, and what a whole run costs.
#include <benchmark/benchmark.h>

#include "sim/engine/direct_plane.h"
#include "sim/engine/kernel.h"
#include "sim/engine/mock_plane.h"
#include "sim/engine/simulation.h"

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
  return spec;
}

void requests(benchmark::State& state, bool queues) {
  world::Spec spec = one_hour(1);
  if (queues) {
    for (auto& version : spec.versions) version.capacity = Rate{1e6};
  }
  Regime regime;
  SegmentRegime segment;
  segment.targets = 2;
  segment.edges[0] = edge_of(99, 100);
  segment.version = {0, 1};
  segment.up = {true, true};
  for (std::size_t k = 0; k < 2; ++k) {
    segment.behaviour[k] = make_behaviour(spec.versions[k].faults, "");
    regime.versions.push_back({std::make_shared<LatencyTable>(spec.versions[k].latency), 4,
                               queues ? Duration{1000} : Duration{}});
  }
  regime.segments.push_back(segment);
  Random random(1);
  std::vector<Meter> meters(2);
  Queues tasks;
  tasks.free_at.assign(2, std::vector<TimePoint>(4, kVirtualEpoch));
  tasks.next_task.assign(2, 0);
  std::uint64_t dropped = 0;
  TimePoint now = kVirtualEpoch;
  constexpr std::uint64_t kBatch = 1'000'000;
  for (auto _ : state) {
    if (queues) {
      generate_queued(regime, kBatch, now, now + std::chrono::seconds{1}, false, random, meters,
                      tasks, dropped);
      now += std::chrono::seconds{1};
    } else {
      generate(regime, kBatch, random, meters, dropped);
    }
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kBatch));
}

void BM_Requests(benchmark::State& state) {
  requests(state, false);
}
void BM_RequestsWithQueues(benchmark::State& state) {
  requests(state, true);
}
BENCHMARK(BM_Requests)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_RequestsWithQueues)->Unit(benchmark::kMillisecond);

void BM_OneHour(benchmark::State& state) {
  const world::Spec spec = one_hour(static_cast<double>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(simulate(spec, {}, make_direct_plane));
}
void BM_OneHourOnTheMock(benchmark::State& state) {
  const world::Spec spec = one_hour(100);
  for (auto _ : state) benchmark::DoNotOptimize(simulate(spec, {}, make_mock_plane));
}
BENCHMARK(BM_OneHourOnTheMock)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_OneHour)->Arg(100)->Arg(10'000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace coalmine::engine
