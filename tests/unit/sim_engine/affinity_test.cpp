// Users who keep the version they met first.
#include <cmath>

#include "sim/engine/affinity.h"
#include "sim/engine/fidelity.h"
#include "tests/unit/sim_engine/worlds.h"

namespace coalmine::engine {
namespace {

/// 600 users, each about ten times a minute, behind a load balancer that remembers them.
world::Spec sticky_users(Duration lasts) {
  world::Spec spec = half_and_half(hours{1});
  spec.traffic.users = 600;
  spec.platform.metric_period = minutes{1};
  spec.plan.traffic = rollout::TrafficApi::Alb;
  spec.plan.affinity = rollout::SessionAffinity{"c", lasts, {}};
  spec.plan.steps = {{rollout::SetWeight{Percent{10}}, {}},
                     {rollout::Bake{minutes{10}}, {}},
                     {rollout::SetWeight{Percent{50}}, {}},
                     {rollout::Bake{minutes{10}}, {}},
                     {rollout::Promote{"v2"}, {}}};
  return spec;
}

/// Share of the requests in [begin, end) that the canary served.
double canary_share(const world::Record& record, Duration begin, Duration end) {
  double canary = 0, all = 0;
  for (const world::Span& span : record.spans) {
    if (span.begin < begin || span.end > end) continue;
    canary += static_cast<double>(span.versions[1].requests);
    all += static_cast<double>(span.versions[0].requests + span.versions[1].requests);
  }
  return canary / all;
}

TEST(SessionAffinity, UsersKeepTheVersionTheyMetWhateverTheWeights) {
  const world::Record record = play(sticky_users(hours{24}));
  ASSERT_EQ(record.outcome, world::Outcome::Promoted) << record.reason;
  const double before = canary_share(record, minutes{2}, minutes{10});
  EXPECT_NEAR(before, 0.1, 5 * std::sqrt(0.09 / 600));
  // Almost all have come in the first minute; what is left of them came soon after.
  EXPECT_NEAR(canary_share(record, minutes{12}, minutes{20}), before, 0.01);
  EXPECT_NEAR(canary_share(record, minutes{22}, minutes{60}), before, 0.01) << "at 100%";
  EXPECT_NEAR(static_cast<double>(record.blast_users), before * 600, 15);
  for (const world::Span& span : record.spans) {
    if (span.versions[1].requests > 0) {
      EXPECT_TRUE(span.weights.empty()) << "no weight explains that";
    }
  }
}

TEST(SessionAffinity, UsersAreCountedBySegmentToo) {
  world::Spec spec = sticky_users(hours{24});
  spec.traffic.segments = {{"pay", "/pay", Percent{1}, ""}, {"shop", "/shop", Percent{90}, ""}};
  const world::Record record = play(spec);
  const world::VersionRecord& canary = record.versions[1];
  ASSERT_EQ(canary.segment_users.size(), 2u);
  EXPECT_EQ(canary.segment_users[1], record.blast_users) << "each asks some hundred times";
  EXPECT_LT(canary.segment_users[0], record.blast_users);
  EXPECT_GT(canary.segment_users[0], record.blast_users / 2);
  EXPECT_LT(canary.segment_users[0], canary.segments[0].requests);
}

TEST(SessionAffinity, ACookieThatHasExpiredIsDrawnAnew) {
  const world::Record record = play(sticky_users(minutes{2}));
  ASSERT_EQ(record.outcome, world::Outcome::Promoted);
  EXPECT_NEAR(canary_share(record, minutes{3}, minutes{10}), 0.1, 0.04);
  EXPECT_NEAR(canary_share(record, minutes{13}, minutes{20}), 0.5, 0.06);
  EXPECT_EQ(record.spans.back().end, *record.promoted_at + minutes{2})
      << "the world goes on until the last cookie has expired";
  const Duration gone = *record.promoted_at + minutes{1};
  EXPECT_GT(canary_share(record, *record.promoted_at, gone), 0.5);
  EXPECT_LT(canary_share(record, *record.promoted_at, gone), 1);
}

TEST(SessionAffinity, ARollbackLeavesThoseWhoHaveMetTheCanary) {
  world::Spec spec = sticky_users(minutes{15});
  spec.versions[1].faults = {{world::FaultKind::Errors, Percent{20}, 500, {}, ""}};
  spec.plan.analyses.resize(1);
  spec.plan.analyses[0].metric = "errors";
  spec.plan.analyses[0].test = rollout::ErrorShareTest{};
  for (const bool queues : {false, true}) {
    if (queues) spec.versions[1].capacity = Rate{1000};
    const world::Record mock = play(spec, make_mock_plane), direct = play(spec);
    EXPECT_EQ(direct.outcome, world::Outcome::RolledBack);
    EXPECT_EQ(mock.timeline, direct.timeline);
    EXPECT_EQ(mock.blast_users, direct.blast_users);
    EXPECT_GT(*direct.last_canary, *direct.rollback_at + minutes{10});
    EXPECT_LE(*direct.last_canary, *direct.rollback_at + minutes{15});
    EXPECT_LE(direct.blast_users, 100u);
    EXPECT_GT(direct.versions[1].requests, 5000u) << "the same users again and again";
  }
  spec.plan.affinity.reset();
  const world::Record without = play(spec);
  EXPECT_LE(*without.last_canary, *without.rollback_at + seconds{1});
}

TEST(SessionAffinity, IsPlayedOneByOneOrNotAtAll) {
  world::Spec spec = sticky_users(minutes{15});
  spec.limit = hours{1000};
  const auto chosen = choose_fidelity(spec, world::Fidelity::Auto);
  ASSERT_TRUE(chosen);
  EXPECT_FALSE(chosen->aggregate);
  EXPECT_EQ(chosen->reason, "session affinity remembers what version every user met");
  EXPECT_FALSE(choose_fidelity(spec, world::Fidelity::Aggregate));
  spec.traffic.users = kMaxStickyUsers + 1;
  EXPECT_FALSE(choose_fidelity(spec, world::Fidelity::Auto));
}

}  // namespace
}  // namespace coalmine::engine
