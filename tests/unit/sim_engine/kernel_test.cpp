// The inner loop: the same picks as the gateway's, the right shares, latencies and queues.
#include <gtest/gtest.h>

#include <cmath>

#include "sim/engine/direct_plane.h"
#include "sim/engine/kernel.h"
#include "sim/engine/simulation.h"
#include "sim/traffic/pick.h"

namespace coalmine::engine {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using world::Ending;

Regime two_versions(std::uint32_t a, std::uint32_t b,
                    std::vector<world::Fault> canary_faults = {}) {
  Regime regime;
  SegmentRegime segment;
  segment.targets = 2;
  segment.edges[0] = edge_of(a, a + b);
  segment.weight = {static_cast<double>(a) / (a + b), static_cast<double>(b) / (a + b)};
  segment.version = {0, 1};
  segment.up = {true, true};
  segment.behaviour[1] = make_behaviour(canary_faults, world::Spec{}, {});
  regime.segments.push_back(segment);
  const auto table = std::make_shared<LatencyTable>(world::kDefaultLatency);
  regime.versions = {{table}, {table}};
  return regime;
}

TEST(Kernel, PicksWhatTheGatewayPicks) {
  Random random(5);
  for (int round = 0; round < 200; ++round) {
    std::vector<traffic::Target> targets;
    std::uint64_t total = 0;
    for (std::uint64_t k = 0; k < 2 + random.below(8); ++k) {
      traffic::Target target;
      target.weight = static_cast<std::uint32_t>(1 + random.below(999));
      total += target.weight;
      targets.push_back(target);
    }
    std::vector<std::uint64_t> edges;
    std::uint64_t cumulative = 0;
    for (std::size_t k = 0; k + 1 < targets.size(); ++k) {
      edges.push_back(edge_of(cumulative += targets[k].weight, total));
    }
    std::vector<std::uint64_t> draws;
    for (int i = 0; i < 100; ++i) draws.push_back(random.next());
    for (const std::uint64_t edge : edges) draws.insert(draws.end(), {edge - 1, edge, edge + 1});
    for (const std::uint64_t draw : draws) {
      std::size_t mine = 0;
      for (const std::uint64_t edge : edges) mine += draw >= edge ? 1 : 0;
      EXPECT_EQ(mine, traffic::pick(targets, traffic::scale_draw(draw, total)));
    }
  }
}

TEST(Kernel, SharesAndFailuresLieWithinFiveSigma) {
  const double p = 0.05;
  const Regime regime = two_versions(99, 1, {{world::FaultKind::Errors, Percent{5}, 500, {}, ""}});
  Random random(1);
  std::vector<Meter> meters(2);
  std::uint64_t dropped = 0;
  const std::uint64_t n = 2'000'000;
  OrderedCounts ordered;
  generate(regime, n, random, meters, dropped, ordered);
  EXPECT_EQ(meters[0].total() + meters[1].total(), n);
  const double canary = static_cast<double>(meters[1].total());
  EXPECT_LT(std::fabs(canary - n * 0.01), 5 * std::sqrt(n * 0.01 * 0.99));
  const double errors =
      static_cast<double>(meters[1].endings[static_cast<std::size_t>(Ending::Error)]);
  EXPECT_LT(std::fabs(errors - canary * p), 5 * std::sqrt(canary * p * (1 - p)));
  EXPECT_EQ(meters[0].endings[static_cast<std::size_t>(Ending::Error)], 0u);
}

TEST(Kernel, FaultsAreDrawnOneByOneAndTheFirstWins) {
  world::Spec spec;
  spec.traffic.segments = {{"x", "/x", Percent{10}, ""}};
  const std::vector<world::Fault> faults = {{world::FaultKind::Errors, Percent{50}, 500, {}, ""},
                                            {world::FaultKind::Reset, Percent{50}, 500, {}, ""},
                                            {world::FaultKind::Hang, Percent{100}, 500, {}, "x"}};
  const Behaviour behaviour = make_behaviour(faults, spec, {});
  ASSERT_EQ(behaviour.failures.size(), 2u);
  EXPECT_EQ(behaviour.failures[0].below, std::uint64_t{1} << 31);
  EXPECT_EQ(behaviour.failures[1].below, std::uint64_t{3} << 30);
  EXPECT_EQ(make_behaviour(faults, spec, {"/x/1", {}}).failures.size(), 3u);
}

TEST(Kernel, AnUnavailableTargetDropsItsShareOnly) {
  Regime regime = two_versions(1, 1);
  regime.segments[0].up[1] = false;
  Random random(3);
  std::vector<Meter> meters(2);
  std::uint64_t dropped = 0;
  OrderedCounts ordered;
  generate(regime, 100'000, random, meters, dropped, ordered);
  EXPECT_EQ(meters[0].total() + dropped, 100'000u);
  EXPECT_NEAR(static_cast<double>(dropped), 50'000, 1000);
}

TEST(LatencyTable, QuantilesAreThoseOfTheDistribution) {
  const LatencyTable table(world::LognormalLatency{milliseconds{20}, milliseconds{80}});
  Random random(9);
  Histogram histogram;
  for (int i = 0; i < 1'000'000; ++i) histogram.add(table.sample(random.next(), random));
  EXPECT_NEAR(to_seconds(histogram.quantile(0.5)), 0.020, 0.0004);
  EXPECT_NEAR(to_seconds(histogram.quantile(0.99)), 0.080, 0.0015);
  // p99.99 = 20 ms * (80/20)^(3.719/2.3263)
  EXPECT_NEAR(to_seconds(histogram.quantile(0.9999)), 0.1834, 0.015);
}

TEST(LatencyTable, NormalQuantiles) {
  EXPECT_NEAR(normal_quantile(0.5), 0, 1e-12);
  EXPECT_NEAR(normal_quantile(0.99), 2.3263478740408408, 1e-10);
  EXPECT_NEAR(normal_quantile(0.0001), -3.7190164854556804, 1e-9);
}

TEST(Simulation, FaultsBeginAndEndWhenTheScenarioSays) {
  world::Spec spec;
  spec.limit = seconds{100};
  spec.traffic.rate = Rate{1000};
  spec.versions.resize(2);
  spec.versions[0].name = "v1";
  spec.versions[1].name = "v2";
  spec.plan.steps = {{rollout::SetWeight{Percent{50}}, {}}, {rollout::Bake{seconds{99}}, {}}};
  spec.events = {
      {seconds{20},
       world::InjectFault{"v2", {world::FaultKind::Reset, Percent{100}, 500, {}, ""}, seconds{10}},
       {}}};
  const auto record = simulate(spec, {}, make_direct_plane);
  ASSERT_TRUE(record) << to_string(record.error());
  for (const world::Span& span : record->spans) {
    const bool faulty = span.begin >= seconds{20} && span.end <= seconds{30};
    EXPECT_EQ(span.versions[1].failed, faulty ? span.versions[1].requests : 0);
  }
  EXPECT_NEAR(static_cast<double>(record->versions[1].failed()), 5000, 400);
}

TEST(Simulation, AccountsForEveryRequest) {
  world::Spec spec;
  spec.limit = seconds{300};
  spec.traffic.rate = Rate{200};
  spec.traffic.segments = {{"checkout", "/checkout", Percent{3}}};
  spec.versions.resize(2);
  spec.versions[0].name = "v1";
  spec.versions[1].name = "v2";
  spec.plan.steps = {{rollout::SetWeight{Percent{10}}, {}}, {rollout::Bake{seconds{250}}, {}}};
  const auto record = simulate(spec, {}, make_direct_plane);
  ASSERT_TRUE(record);
  std::uint64_t spans = 0, totals = record->dropped;
  for (const world::Span& span : record->spans) {
    for (const world::Tally& tally : span.versions) spans += tally.requests;
    spans += span.dropped;
  }
  for (const world::VersionRecord& version : record->versions) totals += version.requests;
  EXPECT_EQ(spans, totals);
  EXPECT_EQ(record->versions[0].latency.count(), record->versions[0].requests);
  EXPECT_NEAR(static_cast<double>(totals), 50'000, 5 * std::sqrt(50'000.0));
}

}  // namespace
}  // namespace coalmine::engine
