// Whole runs of the virtual world, looked at from inside: what events do to requests.
#include "sim/engine/simulation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "sim/engine/aggregate.h"
#include "sim/engine/users.h"
#include "sim/engine/world/rate_curve.h"
#include "tests/unit/sim_engine/statistics.h"
#include "tests/unit/sim_engine/worlds.h"

namespace coalmine::engine {
namespace {

TEST(Simulation, ACrashLoopLosesWhatNoOtherTaskCouldServe) {
  world::Spec spec = half_and_half(minutes{5});
  world::Fault crash{world::FaultKind::Crash};
  crash.after = 1000;
  spec.versions[1].faults = {crash};
  for (const ControlPlaneMaker& maker :
       {ControlPlaneMaker(make_direct_plane), ControlPlaneMaker(make_mock_plane)}) {
    const world::Record record = play(spec, maker);
    // 1000 requests at 50/s last 20 s, a new task comes 10 s later: about ten times in 5 min.
    EXPECT_NEAR(static_cast<double>(events(record, "task.crashed")), 10, 1);
    EXPECT_NEAR(static_cast<double>(record.dropped), 10 * 500, 900);
    EXPECT_EQ(record.versions[1].endings[static_cast<std::size_t>(Ending::Reset)] > 0, true);
  }
}

TEST(Simulation, ACrashAtATimeIsOneCrashOfEveryTask) {
  world::Spec spec = half_and_half(minutes{5});
  spec.versions[1].tasks = 3;
  spec.events = {{minutes{1}, world::InjectFault{"v2", {world::FaultKind::Crash}, seconds{5}}, {}}};
  const world::Record record = play(spec);
  EXPECT_EQ(events(record, "task.crashed"), 3u);
  EXPECT_NEAR(static_cast<double>(record.dropped), 500, 120);
}

// --- retries -------------------------------------------------------------------------------------

struct RetryCase {
  const char* name;
  world::Fault fault;
  std::optional<world::Retries> retries;  ///< none: App Mesh's default
  rollout::TrafficApi traffic;
  bool in_order;         ///< played by the tasks
  int further_attempts;  ///< that the fault is worth
};

class Retries : public testing::TestWithParam<RetryCase> {};

/// A fault that strikes a fifth of the attempts, each anew.
world::Fault fifth(world::FaultKind kind, int status = 500) {
  world::Fault fault{kind};
  fault.share = Percent{20};
  fault.status = status;
  return fault;
}

TEST_P(Retries, UsersSeeWhatIsLeftAndTestsSeeTheSame) {
  const RetryCase& c = GetParam();
  for (const bool aggregate : {false, true}) {
    if (aggregate && c.in_order) continue;
    world::Spec spec = half_and_half(minutes{30});
    spec.plan.traffic = c.traffic;
    spec.platform.metric_period = minutes{1};
    spec.platform.retries = c.retries;
    spec.versions[1].faults = {c.fault};
    if (c.in_order) spec.versions[1].concurrency = 1000;
    world::RunOptions options;
    options.fidelity = aggregate ? world::Fidelity::Aggregate : world::Fidelity::Request;
    for (const ControlPlaneMaker& maker :
         {ControlPlaneMaker(make_direct_plane), ControlPlaneMaker(make_mock_plane)}) {
      const auto record = simulate(spec, options, maker);
      ASSERT_TRUE(record) << to_string(record.error());
      const world::VersionRecord& v2 = record->versions[1];
      const double n = static_cast<double>(v2.requests);
      double left = 0.2, retries = 0;
      for (int i = 0; i < c.further_attempts; ++i) {
        retries += n * left;
        left *= 0.2;
      }
      EXPECT_NEAR(static_cast<double>(v2.failed()), n * left, 5 * std::sqrt(n * left));
      EXPECT_NEAR(static_cast<double>(v2.retries), retries, 6 * std::sqrt(retries));
      // The tests count what users see: the gateway's metrics are of whole requests. But what a
      // load balancer answers itself is in no metric of a target group.
      const auto& finished = record->timeline.back();
      const double counted = c.traffic == rollout::TrafficApi::Alb ? 0 : 1;
      EXPECT_LE(finished.number("canary_errors"), counted * static_cast<double>(v2.failed()));
      EXPECT_GE(finished.number("canary_errors"), counted * 0.8 * static_cast<double>(v2.failed()));
      // Each attempt takes its time.
      const double mean_ms = to_seconds(v2.latency.mean()) * 1000;
      EXPECT_GT(mean_ms, 20);
      EXPECT_LT(mean_ms, c.further_attempts > 0 ? 45 : 30);
    }
  }
}

using rollout::TrafficApi;
INSTANTIATE_TEST_SUITE_P(
    Policies, Retries,
    testing::Values(
        RetryCase{
            "ResetsByDefault", fifth(world::FaultKind::Reset), {}, TrafficApi::AppMesh, false, 2},
        RetryCase{"ResetsOfTasksByDefault",
                  fifth(world::FaultKind::Reset),
                  {},
                  TrafficApi::AppMesh,
                  true,
                  2},
        RetryCase{"ServerErrorsNotByDefault",
                  fifth(world::FaultKind::Errors),
                  {},
                  TrafficApi::AppMesh,
                  false,
                  0},
        RetryCase{"UnavailableByDefault",
                  fifth(world::FaultKind::Errors, 503),
                  {},
                  TrafficApi::AppMesh,
                  false,
                  2},
        RetryCase{"ServerErrorsIfAsked", fifth(world::FaultKind::Errors),
                  world::Retries{3, {"server-error"}}, TrafficApi::AppMesh, false, 3},
        RetryCase{"ServerErrorsOfTasksIfAsked", fifth(world::FaultKind::Errors),
                  world::Retries{1, {"server-error"}}, TrafficApi::AppMesh, true, 1},
        RetryCase{"NoneIfNotWanted", fifth(world::FaultKind::Reset), world::Retries{0, {}},
                  TrafficApi::AppMesh, false, 0},
        RetryCase{
            "LoadBalancersNever", fifth(world::FaultKind::Reset), {}, TrafficApi::Alb, false, 0}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(Simulation, ALoadBalancerWaitsAMinuteForAnAnswerAndTheMeshFifteenSeconds) {
  for (const auto traffic : {rollout::TrafficApi::AppMesh, rollout::TrafficApi::Alb}) {
    for (const bool limited : {false, true}) {
      for (const bool aggregate : {false, true}) {
        if (limited && aggregate) continue;
        world::Spec spec = half_and_half(minutes{5});
        spec.plan.traffic = traffic;
        spec.versions[1].latency = world::FixedLatency{seconds{30}};
        if (limited) spec.versions[1].concurrency = 10'000;  // played task by task
        world::RunOptions options;
        options.fidelity = aggregate ? world::Fidelity::Aggregate : world::Fidelity::Request;
        const auto record = simulate(spec, options, make_direct_plane);
        ASSERT_TRUE(record) << to_string(record.error());
        const world::VersionRecord& slow = record->versions[1];
        const bool late = traffic == rollout::TrafficApi::AppMesh;
        EXPECT_EQ(slow.endings[static_cast<std::size_t>(world::Ending::Timeout)],
                  late ? slow.requests : 0u);
        EXPECT_NEAR(to_seconds(slow.latency.max()), late ? 15 : 30, .3);
      }
    }
  }
}

/// A user saw the gateway's 503, so the version that was picked for him answers for it.
TEST(Simulation, RequestsForAVersionWithoutTasksAreItsErrorsInTheMesh) {
  for (const auto traffic : {rollout::TrafficApi::AppMesh, rollout::TrafficApi::Alb}) {
    std::map<bool, double> errors;
    for (const bool aggregate : {false, true}) {
      world::Spec spec = half_and_half(minutes{10});
      spec.plan.traffic = traffic;
      spec.platform.metric_period = minutes{1};
      spec.events = {{minutes{4}, world::ScaleTasks{{{"v2", 0}}}, {}}};
      world::RunOptions options;
      options.fidelity = aggregate ? world::Fidelity::Aggregate : world::Fidelity::Request;
      const auto record = simulate(spec, options, make_mock_plane);
      ASSERT_TRUE(record) << to_string(record.error());
      EXPECT_EQ(record->fidelity, aggregate ? "aggregate" : "request");
      for (const rollout::Event& event : record->timeline) {
        if (event.name == "rollout.finished") errors[aggregate] = event.number("canary_errors");
      }
      EXPECT_NEAR(static_cast<double>(record->dropped), 6 * 60 * 50, 500);
      EXPECT_EQ(record->versions[1].failed(), 0u);
    }
    // Five whole minutes of 50/s, those that were read before the end, in either fidelity.
    const double expected = traffic == rollout::TrafficApi::AppMesh ? 5 * 60 * 50 : 0;
    EXPECT_NEAR(errors.at(false), expected, 5 * std::sqrt(expected));
    EXPECT_NEAR(errors.at(true), expected, 5 * std::sqrt(expected));
  }
}

TEST(Simulation, ScalingInLosesNothingAndScalingOutTakesItsTime) {
  world::Spec spec = half_and_half(minutes{5});
  spec.versions[1].tasks = 4;
  spec.versions[1].concurrency = 100;
  spec.platform.task_start = seconds{20};
  spec.events = {{minutes{1}, world::ScaleTasks{{{"v2", 1}}}, {}},
                 {minutes{2}, world::ScaleTasks{{{"v2", 0}}}, {}},
                 {minutes{3}, world::ScaleTasks{{{"v2", 2}}}, {}}};
  const world::Record record = play(spec);
  std::uint64_t lost_before = 0, lost = 0;
  for (const world::Span& span : record.spans) {
    (span.end <= minutes{2} ? lost_before : lost) += span.dropped;
  }
  EXPECT_EQ(lost_before, 0u);
  EXPECT_NEAR(static_cast<double>(lost), 80 * 50, 5 * std::sqrt(4000.0));
  EXPECT_EQ(record.versions[1].failed(), 0u);
}

TEST(Simulation, TooFewTasksForTheLoadTurnRequestsAway) {
  world::Spec spec = half_and_half(minutes{3});
  spec.versions[1].capacity = Rate{25};
  spec.versions[1].queue = 10;
  const world::Record record = play(spec);
  const auto& v2 = record.versions[1];
  const double share = static_cast<double>(v2.endings[static_cast<std::size_t>(Ending::Error)]) /
                       static_cast<double>(v2.requests);
  EXPECT_NEAR(share, 0.5, 0.03);
  EXPECT_EQ(record.versions[0].failed(), 0u);
}

TEST(Simulation, AThrottledRollbackTakesLonger) {
  world::Spec spec = half_and_half(minutes{10});
  spec.versions[1].faults = {{world::FaultKind::Errors, Percent{20}, 500, {}, ""}};
  spec.plan.analyses.resize(1);
  spec.plan.analyses[0].metric = "errors";
  spec.plan.analyses[0].test = rollout::ErrorShareTest{};
  const world::Record free = play(spec, make_mock_plane);
  ASSERT_TRUE(free.rollback_at && free.last_canary);
  spec.events = {{seconds{5}, world::ThrottleApi{Percent{100}, minutes{2}}, {}}};
  const world::Record throttled = play(spec, make_mock_plane);
  ASSERT_TRUE(throttled.last_canary);
  EXPECT_GT(*throttled.last_canary, *free.last_canary + minutes{1});
  EXPECT_EQ(throttled.outcome, world::Outcome::RolledBack);
  EXPECT_EQ(events(throttled, "api.throttled"), 2u);
}

TEST(Simulation, LostMetricsAreNeverSeen) {
  world::Spec spec = half_and_half(minutes{10});
  spec.versions[1].faults = {{world::FaultKind::Errors, Percent{50}, 500, {}, ""}};
  spec.plan.analyses.resize(1);
  spec.plan.analyses[0].metric = "errors";
  spec.plan.analyses[0].test = rollout::ErrorShareTest{};
  spec.platform.metric_loss = Percent{100};
  EXPECT_NE(play(spec).outcome, world::Outcome::RolledBack);
  spec.platform.metric_loss = Percent{50};
  EXPECT_EQ(play(spec).outcome, world::Outcome::RolledBack);
}

TEST(Simulation, ConstantArrivalsComeLikeAMetronome) {
  world::Spec spec = half_and_half(minutes{5});
  spec.traffic.arrivals = world::Arrivals::Constant;
  spec.versions[0].capacity = Rate{1000};
  const world::Record record = play(spec);
  EXPECT_EQ(record.versions[0].requests + record.versions[1].requests,
            static_cast<std::uint64_t>(100 * to_seconds(record.duration)));
}

TEST(Simulation, ATraceIsFollowed) {
  world::Spec spec = half_and_half(minutes{3});
  spec.traffic.trace = {{seconds{0}, Rate{10}}, {seconds{60}, Rate{1000}}, {seconds{90}, Rate{0}}};
  const world::Record record = play(spec);
  std::uint64_t first = 0, second = 0, third = 0;
  for (const world::Span& span : record.spans) {
    const std::uint64_t n = span.versions[0].requests + span.versions[1].requests;
    (span.end <= seconds{60} ? first : span.end <= seconds{90} ? second : third) += n;
  }
  EXPECT_NEAR(static_cast<double>(first), 600, 5 * std::sqrt(600.0));
  EXPECT_NEAR(static_cast<double>(second), 30'000, 5 * std::sqrt(30'000.0));
  EXPECT_EQ(third, 0u);
}

TEST(Simulation, SegmentsByHeaderMeetTheirFaults) {
  world::Spec spec = half_and_half(minutes{5});
  spec.traffic.segments = {{"beta", "/", Percent{10}, "X-User:beta"}};
  world::Fault fault{world::FaultKind::Errors};
  fault.segment = "beta";
  for (const double burst : {0.0, 5.0}) {  // by one draw, and one by one
    fault.burst = burst;
    spec.versions[1].faults = {fault};
    const world::VersionRecord v2 = play(spec).versions[1];
    const double n = static_cast<double>(v2.requests);
    EXPECT_NEAR(static_cast<double>(v2.failed()), n * 0.1, 5 * std::sqrt(n * 0.09));
    ASSERT_EQ(v2.segments.size(), 1u);
    EXPECT_NEAR(static_cast<double>(v2.segments[0].requests), n * 0.1, 5 * std::sqrt(n * 0.09));
    EXPECT_EQ(v2.segments[0].failed, v2.failed());
  }
}

TEST(Simulation, NamedSegmentsCountEveryRequestInEveryWayOfPlaying) {
  world::Spec spec = half_and_half(minutes{5});
  // Together they are all requests, so their sums are the versions' own.
  spec.traffic.segments = {{"a", "/a", Percent{70}, ""}, {"b", "/b", Percent{30}, ""}};
  world::Fault hang{world::FaultKind::Hang, Percent{1}};
  world::Fault slow{world::FaultKind::Slow, Percent{10}};
  slow.latency = world::UniformLatency{seconds{10}, seconds{20}};  // half of them time out
  world::Fault crash{world::FaultKind::Crash};
  crash.after = 3000;
  struct Way {
    const char* name;
    world::Fidelity fidelity;
    std::vector<world::Fault> faults;
  };
  for (const Way& way : {Way{"one draw", world::Fidelity::Request, {hang, slow}},
                         Way{"counts", world::Fidelity::Aggregate, {hang, slow}},
                         Way{"one by one", world::Fidelity::Request, {hang, slow, crash}}}) {
    spec.versions[1].faults = way.faults;
    world::RunOptions options;
    options.fidelity = way.fidelity;
    const auto record = simulate(spec, options, make_direct_plane);
    ASSERT_TRUE(record) << way.name;
    for (const world::VersionRecord& version : record->versions) {
      const world::Tally &a = version.segments[0], &b = version.segments[1];
      EXPECT_EQ(a.requests + b.requests, version.requests) << way.name << " " << version.name;
      EXPECT_EQ(a.failed + b.failed, version.failed()) << way.name << " " << version.name;
      const double n = static_cast<double>(version.requests);
      EXPECT_NEAR(static_cast<double>(a.requests), 0.7 * n, 5 * std::sqrt(n * 0.21)) << way.name;
    }
    EXPECT_GT(record->versions[1].failed(), 100u) << way.name;
  }
}

TEST(Simulation, OneBadFlowIsSeenInItsOwnSegmentOnBothPlanesAlike) {
  world::Spec spec = half_and_half(minutes{30});
  spec.plan.steps[0].what = rollout::SetWeight{Percent{10}};
  spec.traffic.segments = {{"voucher", "/voucher", Percent{0.1}, ""},
                           {"login", "/login", Percent{5}, ""}};
  for (world::Version& version : spec.versions) {
    version.faults = {{world::FaultKind::Errors, Percent{0.1}, 500, {}, ""}};
  }
  world::Fault broken{world::FaultKind::Errors};
  broken.segment = "voucher";
  spec.versions[1].faults.push_back(broken);
  spec.plan.analyses.resize(1);
  spec.plan.analyses[0].metric = "errors";
  spec.plan.analyses[0].test = rollout::ErrorShareTest{};
  spec.plan.analyses[0].segments = {"login", "voucher"};
  for (const rollout::TrafficApi api : {rollout::TrafficApi::AppMesh, rollout::TrafficApi::Alb}) {
    spec.plan.traffic = api;
    spec.platform.metric_period =
        api == rollout::TrafficApi::Alb ? Duration{minutes{1}} : Duration{seconds{10}};
    const world::Record mock = play(spec, make_mock_plane), direct = play(spec);
    EXPECT_EQ(direct.outcome, world::Outcome::RolledBack);
    EXPECT_EQ(direct.decided_in, "voucher");
    EXPECT_EQ(direct.reason, mock.reason);
    EXPECT_EQ(direct.decided_at, mock.decided_at);
    EXPECT_EQ(direct.timeline, mock.timeline);
    EXPECT_EQ(direct.versions[1].segments, mock.versions[1].segments);
  }
}

TEST(Simulation, ABakeCanWaitForEachSegment) {
  world::Spec spec = half_and_half(minutes{20});
  spec.traffic.segments = {{"often", "/often", Percent{50}, ""},
                           {"never", "/never", Percent{0}, ""}};
  spec.plan.steps = {{rollout::SetWeight{Percent{10}}, {}},
                     {rollout::Bake{minutes{5}}, {}},
                     {rollout::Promote{"v2"}, {}}};
  rollout::AnalysisSpec analysis{
      "errors", rollout::ErrorShareTest{}, rollout::OnFail::Rollback, {}};
  analysis.segments = {"often", "never"};
  const auto outcome = [&](bool each, rollout::OnNoData on_no_data) {
    analysis.each_segment = each;
    spec.plan.analyses = {analysis};
    spec.plan.on_no_data = on_no_data;
    const world::Record record = play(spec);
    return std::string(world::to_string(record.outcome)) + ": " + record.reason;
  };
  using rollout::OnNoData;
  EXPECT_TRUE(outcome(false, OnNoData::Rollback).starts_with("promoted"));
  EXPECT_TRUE(outcome(true, OnNoData::Continue).starts_with("promoted"));
  EXPECT_EQ(
      outcome(true, OnNoData::Rollback),
      "rolled-back: no v2 request in never was counted since the weights were set: nothing is "
      "known about it");
  EXPECT_TRUE(outcome(true, OnNoData::Hold).starts_with("unfinished"));
  analysis.segments = {"often"};
  EXPECT_TRUE(outcome(true, OnNoData::Hold).starts_with("promoted")) << "it has all it waits for";
}

TEST(RateCurve, ADaySwellsAndEbbs) {
  world::Traffic traffic;
  traffic.rate = Rate{100};
  traffic.diurnal = world::Diurnal{Percent{20}, hours{14}};
  const world::RateCurve curve(traffic);
  EXPECT_NEAR(curve.rate_at(hours{14}), 100, 0.01);
  EXPECT_NEAR(curve.rate_at(hours{2}), 20, 0.01);
  EXPECT_NEAR(curve.rate_at(hours{8}), 60, 0.2);
  EXPECT_NEAR(curve.expected(Duration{}, hours{24}), 60 * 86400.0, 1);
  EXPECT_EQ(curve.next_step(seconds{61}), seconds{120});
}

TEST(RateCurve, TheCosineIsOne) {
  constexpr double kTau = 6.283185307179586;
  for (int i = -500; i < 500; ++i) {
    const double x = i / 77.0;
    EXPECT_NEAR(world::cosine_of_turns(x), std::cos(kTau * x), 1e-11) << x;
  }
}

/// Every request draws its user.
UsersMet meet_one_by_one(const std::vector<std::uint64_t>& requests, std::uint64_t users,
                         Random& random) {
  std::vector<bool> known(users);
  UsersMet met;
  for (const std::uint64_t n : requests) {
    std::vector<bool> known_there(users);
    std::uint64_t there = 0;
    for (std::uint64_t i = 0; i < n; ++i) {
      const std::uint64_t user = random.below(users);
      met.all += known[user] ? 0 : 1;
      there += known_there[user] ? 0 : 1;
      known[user] = known_there[user] = true;
    }
    met.by_segment.push_back(there);
  }
  return met;
}

TEST(MeetUsers, IsInDistributionWhatEveryRequestForItselfIs) {
  struct Case {
    std::uint64_t users;
    std::vector<std::uint64_t> requests;
  };
  const Case cases[] = {
      {1, {3, 20'000}},
      {40, {5, 30, 300}},              // one by one
      {2'000, {12'000, 30, 900}},      // next to all
      {10'000'000, {10'001, 12'000}},  // next to no repeats, next to none in common
      {30'000, {25'000, 11'000, 0}},   // normal, and their sets normally many in common
      {20'000, {30'000, 40'000}}};
  constexpr int kRuns = 120;
  Random random(7);
  for (const Case& one : cases) {
    std::map<std::string, std::vector<double>> drawn, exact;
    const auto note = [&one](std::map<std::string, std::vector<double>>& into,
                             const UsersMet& met) {
      ASSERT_EQ(met.by_segment.size(), one.requests.size());
      double sum = 0;
      for (std::size_t i = 0; i < one.requests.size(); ++i) {
        EXPECT_LE(met.by_segment[i], std::min(one.requests[i], met.all));
        into[fmt::format("segment {}", i)].push_back(double(met.by_segment[i]));
        sum += double(met.by_segment[i]);
      }
      EXPECT_LE(met.all, one.users);
      into["all"].push_back(double(met.all));
      into["in several"].push_back(sum - double(met.all));
      EXPECT_GE(sum, double(met.all));
    };
    const int runs = one.users > 1'000'000 ? 40 : kRuns;
    for (int i = 0; i < runs; ++i) {
      note(drawn, meet_users(one.requests, one.users, random));
      note(exact, meet_one_by_one(one.requests, one.users, random));
    }
    for (const auto& [what, values] : exact) {
      EXPECT_LT(ks_excess(values, drawn[what]), 1) << what << " of " << one.users << " users";
    }
  }
}

TEST(MeetUsers, NothingJumpsWhereOneByOneEnds) {
  // Just below and above the bound: the same mean, within the noise of 400 draws.
  for (const std::uint64_t users : {20'000u, 100'000u, 5'000'000u, 1'000'000'000u}) {
    Random random(users);
    double below = 0, above = 0;
    for (int i = 0; i < 400; ++i) {
      below += static_cast<double>(distinct_users(kUsersOneByOne, users, random));
      above += static_cast<double>(distinct_users(kUsersOneByOne + 1, users, random));
    }
    EXPECT_NEAR(below / 400, above / 400, 5 * std::sqrt(2 * 2500.0 / 400) + 1) << users;
  }
}

}  // namespace
}  // namespace coalmine::engine
