// Requests beside the users': a rollout's own load, and copies.
#include <cmath>

#include "tests/unit/sim_engine/worlds.h"

namespace coalmine::engine {
namespace {

/// The ways of playing requests, which must agree.
struct Way {
  const char* name;
  world::Fidelity fidelity;
  std::optional<Rate> capacity;
};
const Way kWays[] = {{"one draw", world::Fidelity::Request, {}},
                     {"counts", world::Fidelity::Aggregate, {}},
                     {"one by one", world::Fidelity::Request, Rate{200}}};

world::Spec few_users_and_own_load() {
  world::Spec spec = half_and_half(minutes{30});
  spec.traffic.rate = Rate{2};
  spec.plan.steps = {{rollout::SetWeight{Percent{20}}, {}},
                     {rollout::Bake{minutes{10}}, {}},
                     {rollout::Promote{"v2"}, {}}};
  spec.plan.load = rollout::SyntheticLoad{Rate{50}, {}};
  spec.plan.analyses.resize(1);
  spec.plan.analyses[0].metric = "errors";
  spec.plan.analyses[0].test = rollout::ErrorShareTest{};
  return spec;
}

TEST(OwnLoad, IsSeenByTheMetricsAndIsNobodysUser) {
  for (const Way& way : kWays) {
    world::Spec spec = few_users_and_own_load();
    spec.versions[0].capacity = spec.versions[1].capacity = way.capacity;
    world::RunOptions options;
    options.fidelity = way.fidelity;
    const auto with = simulate(spec, options, make_direct_plane);
    ASSERT_TRUE(with) << to_string(with.error());
    EXPECT_EQ(with->outcome, world::Outcome::Promoted) << way.name << with->reason;
    const double minutes = to_seconds(with->duration) / 60;
    const world::VersionRecord &v1 = with->versions[0], &v2 = with->versions[1];
    EXPECT_NEAR(static_cast<double>(v1.requests + v2.requests), minutes * 120, 150) << way.name;
    EXPECT_NEAR(static_cast<double>(v1.beside + v2.beside), minutes * 3000, 900) << way.name;
    EXPECT_NEAR(static_cast<double>(v2.beside), minutes * 600, 400) << way.name;
    EXPECT_LE(with->blast_users, v2.requests) << way.name;
    std::uint64_t in_spans = 0, by_ending = 0;
    for (const world::Span& span : with->spans) in_spans += span.versions[1].requests;
    for (const std::uint64_t n : v2.endings) by_ending += n;
    EXPECT_EQ(in_spans, v2.requests) << way.name;
    EXPECT_EQ(by_ending, v2.requests) << way.name;
    EXPECT_EQ(v2.latency.count(), v2.requests) << way.name;

    // It finds the fault that a few users would not have shown in time.
    spec.versions[1].faults = {{world::FaultKind::Errors, Percent{5}, 500, {}, ""}};
    const auto faulty = simulate(spec, options, make_direct_plane);
    ASSERT_TRUE(faulty);
    EXPECT_EQ(faulty->outcome, world::Outcome::RolledBack) << way.name;
    EXPECT_LT(*faulty->decided_at, seconds{120}) << way.name;
  }
}

TEST(OwnLoad, ChangesNothingForTheUsers) {
  world::Spec spec = few_users_and_own_load();
  spec.plan.analyses.clear();
  spec.traffic.rate = Rate{100};
  const world::Record with = play(spec);
  spec.plan.load.reset();
  const world::Record without = play(spec);
  EXPECT_EQ(with.spans.size(), without.spans.size());
  for (std::size_t v = 0; v < 2; ++v) {
    EXPECT_EQ(with.versions[v].requests, without.versions[v].requests);
    EXPECT_EQ(without.versions[v].beside, 0u);
  }
}

TEST(OwnLoad, IsTheSameOnBothPlanesAndCanBeRoutedByItsHeader) {
  world::Spec spec = few_users_and_own_load();
  spec.plan.steps.insert(
      spec.plan.steps.begin(),
      {{rollout::RouteMatching{{{rollout::RouteMatch::By::Header, "X-Coalmine-Load", "1"}}}, {}},
       {rollout::Bake{minutes{2}}, {}}});
  const world::Record mock = play(spec, make_mock_plane), direct = play(spec);
  EXPECT_EQ(mock.timeline, direct.timeline);
  EXPECT_EQ(mock.versions[1].beside, direct.versions[1].beside);
  EXPECT_GT(direct.versions[1].beside, 20 * direct.versions[0].beside)
      << "all of it goes to the canary";
  EXPECT_GE(*direct.first_canary, minutes{2}) << "users only come by the weights";
}

world::Spec mirrored() {
  world::Spec spec = half_and_half(minutes{20});
  spec.plan.steps = {{rollout::Mirror{Percent{20}}, {}},
                     {rollout::Bake{minutes{5}}, {}},
                     {rollout::Mirror{}, {}},
                     {rollout::SetWeight{Percent{0}}, {}},
                     {rollout::Bake{minutes{5}}, {}}};
  spec.plan.analyses.resize(1);
  spec.plan.analyses[0].metric = "errors";
  spec.plan.analyses[0].test = rollout::ErrorShareTest{};
  spec.platform.route_delay = seconds{3};
  return spec;
}

TEST(Mirror, CopiesAreSeenByTheMetricsAndByNoUser) {
  for (const Way& way : kWays) {
    world::Spec spec = mirrored();
    spec.versions[0].capacity = spec.versions[1].capacity = way.capacity;
    world::RunOptions options;
    options.fidelity = way.fidelity;
    const auto good = simulate(spec, options, make_direct_plane);
    ASSERT_TRUE(good) << to_string(good.error());
    EXPECT_EQ(good->outcome, world::Outcome::Completed) << way.name << good->reason;
    EXPECT_EQ(good->versions[1].requests, 0u) << way.name;
    EXPECT_EQ(good->blast_users, 0u) << way.name;
    EXPECT_EQ(good->versions[0].beside, 0u) << way.name;
    // A fifth of 100/s for five minutes; the routes come and go three seconds late.
    EXPECT_NEAR(static_cast<double>(good->versions[1].beside), 6000, 500) << way.name;
    EXPECT_NE(good->fidelity_reason.find("a mesh that mirrors is assumed"), std::string::npos);
    spec.versions[1].faults = {{world::FaultKind::Errors, Percent{10}, 500, {}, ""}};
    const auto faulty = simulate(spec, options, make_direct_plane);
    ASSERT_TRUE(faulty);
    EXPECT_EQ(faulty->outcome, world::Outcome::RolledBack) << way.name;
    EXPECT_EQ(faulty->versions[0].failed() + faulty->versions[1].failed(), 0u) << way.name;
  }
}

TEST(Mirror, IsTheSameOnBothPlanesAndLeavesUsersAlone) {
  world::Spec spec = mirrored();
  spec.plan.analyses.clear();
  const world::Record mock = play(spec, make_mock_plane), direct = play(spec);
  EXPECT_EQ(mock.timeline, direct.timeline);
  EXPECT_EQ(mock.versions[1].beside, direct.versions[1].beside);
  spec.plan.steps = {{rollout::SetWeight{Percent{0}}, {}}, {rollout::Bake{minutes{10}}, {}}};
  const world::Record without = play(spec);
  EXPECT_NEAR(static_cast<double>(direct.versions[0].requests),
              static_cast<double>(without.versions[0].requests), 2000);
}

}  // namespace
}  // namespace coalmine::engine
