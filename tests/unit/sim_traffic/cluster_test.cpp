#include "sim/traffic/cluster.h"

#include <gtest/gtest.h>

#include "sim/traffic/route_index.h"

namespace coalmine::traffic {
namespace {

using std::chrono::seconds;
using Indices = std::vector<std::size_t>;

/// `health` has one letter per instance: + healthy, - not.
Target target_of(std::string_view health) {
  Target out;
  out.name = "v1";
  for (std::size_t i = 0; i < health.size(); ++i) {
    out.instances.push_back(
        {fmt::format("task-{}", i), "10.0.0.1", static_cast<int>(9000 + i), health[i] == '+'});
  }
  return out;
}

struct UsableCase {
  const char* name;
  std::string_view table;    ///< as target_of() reads it
  std::string_view ejected;  ///< x: ejected
  EmptyPolicy empty;
  int panic_percent;
  Indices want;
};
class Usable : public testing::TestWithParam<UsableCase> {};

TEST_P(Usable, FollowsHealthEjectionsAndPanic) {
  const UsableCase& c = GetParam();
  Target target = target_of(c.table);
  target.panic_percent = c.panic_percent;
  target.outlier.emplace();
  target.outlier->consecutive_errors = 1;
  target.outlier->max_ejection_percent = 100;
  ClusterState state;
  state.update(target, c.empty);
  for (std::size_t i = 0; i < c.ejected.size(); ++i) {
    if (c.ejected[i] == 'x') state.record(i, 500, kVirtualEpoch);
  }
  EXPECT_EQ(state.usable(), c.want);
}

// Source: Envoy, panic threshold (healthy < 50% -> all hosts; 0 -> none); ALB, fail open.
constexpr EmptyPolicy kRefuse = EmptyPolicy::Refuse;
constexpr EmptyPolicy kOpen = EmptyPolicy::FailOpen;
INSTANTIATE_TEST_SUITE_P(
    Table, Usable,
    testing::Values(UsableCase{"AllIn", "++", "", kRefuse, 50, {0, 1}},
                    UsableCase{"TheTableSaysNo", "+-", "", kRefuse, 50, {0}},
                    UsableCase{"NobodyIsHealthy", "--", "", kRefuse, 50, {}},
                    UsableCase{"NobodyIsHealthyAtAnAlb", "--", "", kOpen, 50, {0, 1}},
                    UsableCase{"OneOfTwoEjected", "++", "x", kRefuse, 50, {1}},
                    UsableCase{"TwoOfThreeEjectedIsPanic", "+++", "xx", kRefuse, 50, {0, 1, 2}},
                    UsableCase{"SickOnesAreNoMembers", "+++-", "x", kRefuse, 50, {1, 2}},
                    UsableCase{"PanicLeavesSickOnesOut", "+++-", "xx", kRefuse, 50, {0, 1, 2}},
                    UsableCase{"AllEjectedWithoutPanic", "++", "xx", kRefuse, 0, {}},
                    UsableCase{"AllEjectedAtAnAlb", "++", "xx", kOpen, 0, {0, 1}}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(Cluster, GoesRoundThoseThatMay) {
  ClusterState state;
  state.update(target_of("+-++"), EmptyPolicy::Refuse);
  Indices got;
  for (int i = 0; i < 5; ++i) got.push_back(state.next());
  EXPECT_EQ(got, (Indices{0, 2, 3, 0, 2}));
  state.update(target_of("-"), EmptyPolicy::Refuse);
  EXPECT_EQ(state.next(), ClusterState::kNobody);
}

TEST(Cluster, AnEjectionOutlivesTableUpdates) {
  Target target = target_of("++++");
  target.outlier.emplace();
  target.outlier->consecutive_errors = 2;
  ClusterState state;
  state.update(target, EmptyPolicy::Refuse);
  state.record(1, 500, kVirtualEpoch);
  state.record(1, 500, kVirtualEpoch);
  state.record(2, 500, kVirtualEpoch);
  std::rotate(target.instances.begin(), target.instances.begin() + 1, target.instances.end());
  target.weight = 7;
  state.update(target, EmptyPolicy::Refuse);
  EXPECT_TRUE(state.ejected(0)) << "the same task under another number";
  EXPECT_EQ(state.usable(), (Indices{1, 2, 3}));
  target.outlier->max_ejection_percent = 50;
  state.update(target, EmptyPolicy::Refuse);
  EXPECT_TRUE(state.record(1, 500, kVirtualEpoch)) << "one error before the update, one after";
  target.instances[0].id = "a new task at the same address";
  state.update(target, EmptyPolicy::Refuse);
  EXPECT_FALSE(state.ejected(0));
  state.sweep(kVirtualEpoch + seconds(30));
  EXPECT_EQ(state.usable(), (Indices{0, 1, 2, 3}));
}

// --- active health checks (Envoy, health_checker) ------------------------------------------------

Target checked_target() {
  Target target = target_of("++++");
  target.health_check.emplace();
  target.health_check->healthy_threshold = 2;
  target.health_check->unhealthy_threshold = 3;
  return target;
}

TEST(Cluster, ANewInstanceIsInFromItsFirstPassedCheckOn) {
  ClusterState state;
  state.update(checked_target(), EmptyPolicy::Refuse);
  EXPECT_EQ(state.usable().size(), 4U) << "none is checked yet: panic, so that traffic flows";
  EXPECT_TRUE(state.panic());
  state.checked(0, true);
  state.checked(1, true);
  EXPECT_EQ(state.usable(), (Indices{0, 1}));
  EXPECT_TRUE(state.check_failed(2));
  state.checked(2, false);
  state.checked(3, true);
  EXPECT_EQ(state.usable(), (Indices{0, 1, 3}));
}

TEST(Cluster, ThresholdsCountChecksInARow) {
  ClusterState state;
  state.update(checked_target(), EmptyPolicy::Refuse);
  for (std::size_t i = 0; i < 4; ++i) state.checked(i, true);
  for (const bool passed : {false, false, true, false, false}) state.checked(0, passed);
  EXPECT_EQ(state.usable().size(), 4U) << "never three failures in a row";
  state.checked(0, false);
  EXPECT_EQ(state.usable(), (Indices{1, 2, 3}));
  for (const bool passed : {true, false, true}) state.checked(0, passed);
  EXPECT_EQ(state.usable(), (Indices{1, 2, 3})) << "never two passes in a row";
  state.checked(0, true);
  EXPECT_EQ(state.usable().size(), 4U);
}

TEST(Cluster, APassedCheckTakesAnEjectedInstanceBack) {
  Target target = checked_target();
  target.outlier.emplace();
  target.outlier->consecutive_errors = 1;
  ClusterState state;
  state.update(target, EmptyPolicy::Refuse);
  for (std::size_t i = 0; i < 4; ++i) state.checked(i, true);
  EXPECT_TRUE(state.record(3, 500, kVirtualEpoch));
  state.checked(3, false);
  EXPECT_TRUE(state.ejected(3));
  state.checked(3, true);
  EXPECT_FALSE(state.ejected(3));
}

// --- clusters of a table -----------------------------------------------------------------------

std::shared_ptr<const RouteIndex> index_of(std::vector<Route> routes) {
  RouteTable table;
  table.listeners.push_back({"l", 9080, Dialect::Envoy, std::move(routes)});
  const auto index = RouteIndex::compile(std::make_shared<const RouteTable>(std::move(table)));
  EXPECT_TRUE(index) << index.error().message;
  return *index;
}

Route route_to(std::string name, std::vector<Target> targets) {
  Route route;
  route.name = std::move(name);
  Forward forward;
  forward.targets = std::move(targets);
  route.action = std::move(forward);
  return route;
}

TEST(Cluster, IsSharedByEqualTargetsOfOneName) {
  Target other_weight = target_of("+");
  other_weight.weight = 5;
  Target elsewhere = target_of("++");
  Target v2 = target_of("+");
  v2.name = "v2";
  const auto index = index_of({route_to("a", {target_of("+"), v2}), route_to("b", {other_weight}),
                               route_to("c", {elsewhere})});
  std::vector<std::string> names;
  for (const ClusterIndex& cluster : index->clusters()) names.push_back(cluster.name);
  EXPECT_EQ(names, (std::vector<std::string>{"v1@l/a", "v2", "v1@l/c"}));
  EXPECT_EQ(index->forwards()[1]->targets[0].cluster, 0U);
  EXPECT_EQ(index->forwards()[2]->targets[0].cluster, 2U);
}

TEST(Timeouts, OfTheTargetComeFirstAndPerTryMustBeBelow) {
  Target own = target_of("+");
  own.timeouts = {seconds(2), seconds(3)};
  Target none = target_of("+");
  none.name = "v2";
  none.timeouts = {Duration{}, Duration{}};
  Target plain = target_of("+");
  plain.name = "v3";
  Route route = route_to("a", {own, none, plain});
  auto& forward = std::get<Forward>(route.action);
  forward.retry.per_try_timeout = seconds(2);
  const auto index = index_of({route});
  const auto& targets = index->forwards()[0]->targets;
  EXPECT_EQ(targets[0].timeouts, (Timeouts{seconds(2), seconds(3)}));
  EXPECT_EQ(targets[0].per_try, Duration{}) << "not below the request's: ignored";
  EXPECT_EQ(targets[1].per_try, seconds(2));
  EXPECT_EQ(targets[2].timeouts.request, seconds(15)) << "the route's";
}

}  // namespace
}  // namespace coalmine::traffic
