// Requests that are routed by what they carry.
#include <cmath>

#include "tests/unit/sim_engine/worlds.h"

namespace coalmine::engine {
namespace {

/// Testers with a header, everybody else below it at weight 0, then 10%.
world::Spec testers_first() {
  world::Spec spec = half_and_half(minutes{30});
  spec.traffic.segments = {{"testers", "/", Percent{5}, "X-Tester:alice"},
                           {"shop", "/shop", Percent{20}, ""}};
  spec.plan.steps = {
      {rollout::RouteMatching{{{rollout::RouteMatch::By::Header, "X-Tester", "alice"}}}, {}},
      {rollout::Bake{minutes{5}}, {}},
      {rollout::SetWeight{Percent{10}}, {}},
      {rollout::Bake{minutes{5}}, {}},
      {rollout::Promote{"v2"}, {}}};
  spec.plan.analyses.resize(1);
  spec.plan.analyses[0].metric = "errors";
  spec.plan.analyses[0].test = rollout::ErrorShareTest{};
  spec.platform.route_delay = seconds{3};
  return spec;
}

TEST(Simulation, RoutedRequestsGoToTheCanaryOnBothPlanesAlike) {
  for (const rollout::TrafficApi api : {rollout::TrafficApi::AppMesh, rollout::TrafficApi::Alb}) {
    world::Spec spec = testers_first();
    spec.plan.traffic = api;
    if (api == rollout::TrafficApi::Alb) spec.platform.metric_period = minutes{1};
    const world::Record mock = play(spec, make_mock_plane), direct = play(spec);
    EXPECT_EQ(direct.outcome, world::Outcome::Promoted) << direct.reason;
    EXPECT_EQ(direct.timeline, mock.timeline);
    EXPECT_EQ(direct.versions[1].segments, mock.versions[1].segments);
    EXPECT_EQ(direct.final_weights, mock.final_weights);
    EXPECT_NEAR(to_seconds(*direct.first_canary), 3, 2) << "the routes have a way, too";
    // Ten minutes at 100/s: 5% of them are testers, and of the others a tenth in the second half.
    const auto& [testers, shop] =
        std::pair{direct.versions[1].segments[0], direct.versions[1].segments[1]};
    EXPECT_NEAR(static_cast<double>(testers.requests), 3000, 300);
    EXPECT_NEAR(static_cast<double>(shop.requests), 600, 150);
    EXPECT_EQ(direct.max_canary_share, 0.1) << "as the weights go";
  }
}

TEST(Simulation, WeightsSayNothingOfTheShareWhileRoutesAreInForce) {
  const world::Record record = play(testers_first());
  std::size_t without = 0;
  for (const world::Span& span : record.spans) {
    if (span.weights.empty()) {
      ++without;
      continue;
    }
    EXPECT_EQ(span.versions[1].requests, 0u) << "all canary requests came beside the weights";
  }
  EXPECT_GT(without, 50u);
}

TEST(Simulation, ARolledBackRouteIsTakenAway) {
  world::Spec spec = testers_first();
  spec.versions[1].faults = {{world::FaultKind::Errors, Percent{20}, 500, {}, ""}};
  for (const auto fidelity : {world::Fidelity::Request, world::Fidelity::Aggregate}) {
    world::RunOptions options;
    options.fidelity = fidelity;
    const auto record = simulate(spec, options, make_mock_plane);
    ASSERT_TRUE(record) << to_string(record.error());
    EXPECT_EQ(record->outcome, world::Outcome::RolledBack);
    EXPECT_EQ(record->versions[1].segments[0].requests, record->versions[1].requests);
    EXPECT_LE(*record->last_canary, *record->rollback_at + seconds{3});
    EXPECT_EQ(record->max_canary_share, 0);
  }
}

}  // namespace
}  // namespace coalmine::engine
