// The control plane in virtual time: the mock's own APIs between the rollout and the routes.
#include <gtest/gtest.h>

#include <tuple>
#include <variant>

#include "sim/engine/direct_plane.h"
#include "sim/engine/mock_plane.h"
#include "sim/engine/simulation.h"
#include "sim/traffic/route_index.h"

namespace coalmine::engine {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

struct StandingClock : Clock {
  TimePoint now() override { return time; }
  void sleep_until(TimePoint t) override { time = std::max(time, t); }
  TimePoint time = kVirtualEpoch;
};

world::Spec two_versions(rollout::TrafficApi api) {
  world::Spec spec;
  spec.limit = minutes{20};
  spec.versions.resize(2);
  spec.versions[0].name = "v1";
  spec.versions[0].tasks = 3;
  spec.versions[1].name = "v2";
  spec.plan.traffic = api;
  spec.plan.steps = {{rollout::SetWeight{Percent{10}}, {}}, {rollout::Bake{minutes{10}}, {}}};
  spec.platform.metric_period = minutes{1};
  return spec;
}

const traffic::Forward& forward_of(const traffic::RouteTable& table) {
  const traffic::Route* route = &table.listeners.at(0).routes.at(0);
  while (!std::holds_alternative<traffic::Forward>(route->action)) {
    route = &std::get<traffic::Chain>(route->action).routes.at(0);
  }
  return std::get<traffic::Forward>(route->action);
}

class Planes : public testing::TestWithParam<rollout::TrafficApi> {};

TEST_P(Planes, WeightsGoThroughTheApiIntoTheRoutes) {
  const world::Spec spec = two_versions(GetParam());
  StandingClock clock;
  const auto plane = make_mock_plane(spec, 7, clock);
  ASSERT_TRUE(plane) << to_string(plane.error());
  const traffic::Snapshot before = (*plane)->routes();
  ASSERT_EQ(forward_of(*before).targets.size(), 2u);
  EXPECT_EQ(forward_of(*before).targets[0].instances.size(), 3u);
  EXPECT_TRUE(forward_of(*before).targets[0].instances[2].healthy);
  EXPECT_EQ(forward_of(*before).targets[1].weight, 0u);

  const std::uint64_t revision = (*plane)->revision();
  ASSERT_TRUE((*plane)->traffic().set_weights(Percent{10}));
  EXPECT_GT((*plane)->revision(), revision);
  const traffic::Snapshot after = (*plane)->routes();
  const traffic::Forward& forward = forward_of(*after);
  EXPECT_EQ(forward.targets[0].weight, 9 * forward.targets[1].weight);
  EXPECT_EQ(forward_of(*before).targets[1].weight, 0u);  // a snapshot does not change

  EXPECT_TRUE((*plane)->set_foreign({{"v1", 1}, {"v2", 3}}));
  EXPECT_EQ(forward_of(*(*plane)->routes()).targets[1].weight, 3u);
}

TEST_P(Planes, MetricsComeBackAsTheyWereWritten) {
  const world::Spec spec = two_versions(GetParam());
  StandingClock clock;
  const auto plane = make_mock_plane(spec, 7, clock);
  ASSERT_TRUE(plane);
  PeriodMetrics period{clock.time, clock.time + minutes{1}, {{990, 3, {}, {}}, {10, 2, {}, {}}}};
  period.versions[1].latency.add(std::chrono::milliseconds{20}, 7);
  period.versions[1].latency.add(std::chrono::milliseconds{400}, 3);
  clock.time += minutes{1};
  (*plane)->publish(period, clock.time);
  const auto reading =
      (*plane)->metrics().read(kVirtualEpoch, {std::chrono::milliseconds{250}}, clock.time);
  ASSERT_TRUE(reading) << to_string(reading.error());
  ASSERT_EQ(reading->windows.size(), 1u);
  EXPECT_EQ(reading->windows[0].stable.requests, 990u);
  EXPECT_EQ(reading->windows[0].stable.errors, 3u);
  EXPECT_EQ(reading->windows[0].canary.requests, 10u);
  EXPECT_EQ(reading->windows[0].canary.errors, 2u);
  EXPECT_EQ(reading->windows[0].canary.slower_than(std::chrono::milliseconds{250}), 3u);
  EXPECT_EQ(reading->next, kVirtualEpoch + minutes{2});
}

/// An analysis of segments a and c; b is named, but nobody asks for it.
world::Spec with_segments(rollout::TrafficApi api) {
  world::Spec spec = two_versions(api);
  spec.traffic.segments = {
      {"c", "/c", Percent{1}, ""}, {"b", "/b", Percent{1}, ""}, {"a", "/a", Percent{1}, ""}};
  spec.plan.analyses.resize(1);
  spec.plan.analyses[0].metric = "errors";
  spec.plan.analyses[0].test = rollout::ErrorShareTest{};
  spec.plan.analyses[0].segments = {"a", "c"};
  return spec;
}

TEST_P(Planes, SegmentsComeBackAsTheyWereWritten) {
  const world::Spec spec = with_segments(GetParam());
  PeriodMetrics period{
      kVirtualEpoch, kVirtualEpoch + minutes{1}, {{990, 3, {}, {}}, {10, 2, {}, {}}}};
  period.versions[0].segments = {{7, 1}, {9, 0}, {0, 0}};
  period.versions[1].segments = {{2, 2}, {1, 0}, {0, 0}};
  PeriodMetrics next{period.to, period.to + minutes{1}, {{990, 3, {}, {}}, {10, 2, {}, {}}}};
  next.versions[0].segments = {{0, 0}, {9, 0}, {4, 0}};
  next.versions[1].segments = {{0, 0}, {1, 1}, {0, 0}};
  for (const ControlPlaneMaker& maker :
       {ControlPlaneMaker(make_mock_plane), ControlPlaneMaker(make_direct_plane)}) {
    StandingClock clock;
    const auto plane = maker(spec, 7, clock);
    ASSERT_TRUE(plane);
    clock.time = next.to;
    (*plane)->publish(period, clock.time);
    (*plane)->publish(next, clock.time);
    const auto reading = (*plane)->metrics().read(kVirtualEpoch, {}, clock.time);
    ASSERT_TRUE(reading) << to_string(reading.error());
    ASSERT_EQ(reading->windows.size(), 2u);
    EXPECT_EQ(reading->windows[0].segments,
              (std::vector<rollout::SegmentCounts>{{"c", {7, 1, {}}, {2, 2, {}}}}));
    EXPECT_EQ(reading->windows[1].segments,
              (std::vector<rollout::SegmentCounts>{{"a", {4, 0, {}}, {0, 0, {}}}}));
  }
}

/// The target of a GET for "/" with this header.
std::string target_of(const traffic::Snapshot& routes, const std::string& path,
                      const traffic::HeaderView& header) {
  const auto index = traffic::RouteIndex::compile(routes);
  if (!index) return to_string(index.error());
  traffic::RequestView request;
  request.path = path;
  request.headers = {&header, 1};
  std::string scratch;
  const traffic::Decision decision =
      traffic::resolve((*index)->listeners().front(), request, 0, scratch);
  return decision.forward == nullptr ? "nobody" : decision.chosen().target->name;
}

TEST_P(Planes, MatchesGoToTheCanaryOnBothPlanesAlikeAndAreTakenAwayAgain) {
  using rollout::RouteMatch;
  const world::Spec spec = two_versions(GetParam());
  StandingClock clock;
  const auto mock = make_mock_plane(spec, 7, clock), direct = make_direct_plane(spec, 7, clock);
  ASSERT_TRUE(mock && direct);
  const std::vector<RouteMatch> matches = {
      {RouteMatch::By::Header, "X-Tester", "alice"},
      {RouteMatch::By::Cookie, "group", "beta"},
      {RouteMatch::By::Segment, "shop", "", false, "/shop", "X-User:7"}};
  struct Case {
    const char *path, *name, *value;
    bool canary;
  };
  const Case cases[] = {
      {"/", "X-Tester", "alice", true},    {"/any", "x-tester", "alice", true},
      {"/", "X-Tester", "bob", false},     {"/", "Cookie", "a=1; group=beta; b=2", true},
      {"/", "Cookie", "group=beta", true}, {"/", "Cookie", "group=betamax", false},
      {"/shop/cart", "X-User", "7", true}, {"/", "X-User", "7", false},
      {"/shop", "X-User", "8", false}};
  for (const auto& [name, plane, stable, canary] :
       {std::tuple("mock", mock->get(), "app-v1", "app-v2"),
        std::tuple("direct", direct->get(), "v1", "v2")}) {
    const std::uint64_t revision = plane->revision();
    const auto set = plane->traffic().set_matches(matches);
    ASSERT_TRUE(set) << name << ": " << to_string(set.error());
    EXPECT_GT(plane->revision(), revision);
    ASSERT_TRUE(plane->traffic().set_matches(matches)) << "it is safe to repeat";
    for (const Case& one : cases) {
      EXPECT_EQ(target_of(plane->routes(), one.path, {one.name, one.value}),
                one.canary ? canary : stable)
          << name << " " << one.path << " " << one.name << ": " << one.value;
    }
    ASSERT_TRUE(plane->traffic().set_weights(Percent{10}));
    ASSERT_TRUE(plane->traffic().set_matches({matches[1]})) << "fewer than before";
    EXPECT_EQ(target_of(plane->routes(), "/", {"X-Tester", "alice"}), stable);
    EXPECT_EQ(target_of(plane->routes(), "/", {"Cookie", "group=beta"}), canary);
    ASSERT_TRUE(plane->traffic().set_matches({}));
    EXPECT_EQ(target_of(plane->routes(), "/", {"Cookie", "group=beta"}), stable);
    EXPECT_EQ(forward_of(*plane->routes()).targets.size(), 2u) << "nothing is left";
    const auto weights = plane->traffic().current_weights();
    ASSERT_TRUE(weights);
    EXPECT_EQ(rollout::share_of(*weights, "v2"), 0.1);
  }
  EXPECT_EQ(
      GetParam() == rollout::TrafficApi::AppMesh,
      (*mock)->traffic().set_matches({{RouteMatch::By::Header, "X", "a|b", true}}).has_value());
}

TEST_P(Planes, TasksComeAndGo) {
  const world::Spec spec = two_versions(GetParam());
  StandingClock clock;
  const auto plane = make_mock_plane(spec, 7, clock);
  ASSERT_TRUE(plane);
  (*plane)->task_stopped({0, 1}, clock.time);
  EXPECT_EQ(forward_of(*(*plane)->routes()).targets[0].instances.size(), 2u);
  (*plane)->task_started({0, 1}, clock.time);
  EXPECT_EQ(forward_of(*(*plane)->routes()).targets[0].instances.size(), 3u);
}

TEST_P(Planes, ThrottledCallsAreTriedAgainAndAtLastGivenUp) {
  const world::Spec spec = two_versions(GetParam());
  StandingClock clock;
  const auto plane = make_mock_plane(spec, 7, clock);
  ASSERT_TRUE(plane);
  (*plane)->throttle(1);
  const auto set = (*plane)->traffic().set_weights(Percent{10});
  ASSERT_FALSE(set);
  EXPECT_NE(set.error().message.find("Rate exceeded"), std::string::npos);
  EXPECT_GT(clock.time, kVirtualEpoch);
  EXPECT_TRUE((*plane)->set_foreign({{"v1", 2}, {"v2", 1}}));  // somebody else's calls are not
  (*plane)->throttle(0);
  EXPECT_TRUE((*plane)->traffic().set_weights(Percent{10}));
}

INSTANTIATE_TEST_SUITE_P(Apis, Planes,
                         testing::Values(rollout::TrafficApi::AppMesh, rollout::TrafficApi::Alb),
                         [](const auto& info) {
                           return info.param == rollout::TrafficApi::Alb ? "Alb" : "AppMesh";
                         });

TEST(AlbPlane, ATargetThatFailsItsHealthChecksGetsNoRequests) {
  world::Spec spec = two_versions(rollout::TrafficApi::Alb);
  spec.versions[0].faults = {{world::FaultKind::Unhealthy}};
  StandingClock clock;
  const auto plane = make_mock_plane(spec, 7, clock);
  ASSERT_TRUE(plane);
  (*plane)->set_health_probe([](TaskId task, TimePoint) { return task.task != 1; });
  clock.time += seconds{30};
  (*plane)->tick(clock.time);
  const auto instances = forward_of(*(*plane)->routes()).targets[0].instances;
  ASSERT_EQ(instances.size(), 3u);
  EXPECT_TRUE(instances[0].healthy);
  EXPECT_FALSE(instances[1].healthy);
}

TEST(AlbPlane, SessionAffinityIsTheTargetGroupsStickinessOnBothPlanesAlike) {
  world::Spec spec = two_versions(rollout::TrafficApi::Alb);
  spec.plan.affinity = rollout::SessionAffinity{"c", minutes{15}, {}};
  StandingClock clock;
  const auto mock = make_mock_plane(spec, 7, clock), direct = make_direct_plane(spec, 7, clock);
  ASSERT_TRUE(mock && direct);
  for (ControlPlane* plane : {mock->get(), direct->get()}) {
    EXPECT_EQ(forward_of(*plane->routes()).stickiness.duration, Duration{});
    ASSERT_TRUE(plane->traffic().set_weights(Percent{0})) << "the weights are so already";
    EXPECT_EQ(forward_of(*plane->routes()).stickiness.duration, minutes{15});
    ASSERT_TRUE(plane->traffic().set_weights(Percent{10}));
    EXPECT_EQ(forward_of(*plane->routes()).stickiness.duration, minutes{15});
    EXPECT_TRUE(plane->set_foreign({{"v1", 1}, {"v2", 1}}));
    EXPECT_EQ(forward_of(*plane->routes()).stickiness.duration, minutes{15});
  }
}

TEST(TaskAddresses, ThereAndBack) {
  for (const TaskId id : {TaskId{0, 0}, TaskId{0, 249}, TaskId{0, 250}, TaskId{1, 999}}) {
    EXPECT_EQ(task_at(task_address(id)), id) << task_address(id);
  }
  for (const char* bad : {"", "127.0.0.1", "127.1.0.5", "127.1.1", "127.1.1.0", "127.1.1.251",
                          "127.1.1.1.1", "10.1.1.1", "127.1.x.1"}) {
    EXPECT_FALSE(task_at(bad)) << bad;
  }
}

}  // namespace
}  // namespace coalmine::engine
