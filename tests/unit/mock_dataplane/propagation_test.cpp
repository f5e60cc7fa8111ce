// Weights take their time to reach a gateway; where the tasks are does not.
#include "mock-aws/dataplane/propagation.h"

#include <gtest/gtest.h>

namespace coalmine::mock {
namespace {

using std::chrono::seconds;

traffic::RouteTable table(std::uint32_t v1, std::uint32_t v2, int tasks_of_v2 = 1) {
  traffic::Forward forward;
  forward.targets = {{"v1", v1, {{"a", "127.1.1.1", 9000, true}}, ""}, {"v2", v2, {}, ""}};
  for (int i = 0; i < tasks_of_v2; ++i) {
    forward.targets[1].instances.push_back({fmt::format("b{}", i), "127.1.1.2", 9000 + i, true});
  }
  traffic::Route route;
  route.name = "route";
  route.action = forward;
  // As App Mesh compiles it: the router's routes stand below a gateway route's virtual service.
  traffic::Route outer;
  outer.name = "gateway-route";
  outer.action = traffic::Chain{"app", {route}};
  traffic::RouteTable made;
  made.version = 7;
  made.listeners.push_back({"gateway", 9080, traffic::Dialect::Envoy, {outer}});
  return made;
}

struct Facts {
  std::uint32_t weight_of_v2;
  std::size_t tasks_of_v2;
  bool operator==(const Facts&) const = default;
};

Facts facts(const traffic::Snapshot& seen) {
  const auto& chain = std::get<traffic::Chain>(seen->listeners[0].routes[0].action);
  const auto& v2 = std::get<traffic::Forward>(chain.routes[0].action).targets[1];
  return {v2.weight, v2.instances.size()};
}

TimePoint at(int s) {
  return kVirtualEpoch + seconds{s};
}

TEST(Propagation, NothingIsSeenBeforeTheFirstTableAndThatOneAtOnce) {
  Propagation propagation(seconds{3});
  EXPECT_EQ(propagation.visible(at(0)), nullptr);
  propagation.observe(table(100, 0), at(0));
  EXPECT_EQ(facts(propagation.visible(at(0))), (Facts{0, 1}));
  EXPECT_EQ(propagation.visible(at(0))->version, 7u);
  EXPECT_EQ(propagation.next(), kNever);
}

TEST(Propagation, WeightsTakeEffectAfterTheDelay) {
  Propagation propagation(seconds{3});
  propagation.observe(table(100, 0), at(0));
  propagation.observe(table(90, 10), at(10));
  EXPECT_EQ(propagation.next(), at(13));
  EXPECT_EQ(facts(propagation.visible(at(12))).weight_of_v2, 0u);
  EXPECT_EQ(facts(propagation.visible(at(13))).weight_of_v2, 10u);
  EXPECT_EQ(propagation.visible(at(13))->version, 8u);
  EXPECT_EQ(propagation.next(), kNever);
}

TEST(Propagation, TwoChangesOnTheirWayTakeEffectOneAfterTheOther) {
  Propagation propagation(seconds{5});
  propagation.observe(table(100, 0), at(0));
  propagation.observe(table(90, 10), at(1));
  propagation.observe(table(50, 50), at(2));
  EXPECT_EQ(facts(propagation.visible(at(6))).weight_of_v2, 10u);
  EXPECT_EQ(facts(propagation.visible(at(7))).weight_of_v2, 50u);
  EXPECT_EQ(propagation.visible(at(7))->version, 9u);
}

TEST(Propagation, TasksAreKnownAtOnceAlsoInTablesThatAreStillOnTheirWay) {
  Propagation propagation(seconds{5});
  propagation.observe(table(100, 0), at(0));
  propagation.observe(table(90, 10), at(1));
  propagation.observe(table(90, 10, 3), at(2));
  EXPECT_EQ(facts(propagation.visible(at(2))), (Facts{0, 3}));
  EXPECT_EQ(facts(propagation.visible(at(6))), (Facts{10, 3}));
  EXPECT_EQ(propagation.next(), kNever);
}

TEST(Propagation, WithoutADelayEverythingIsSeenAtOnce) {
  Propagation propagation(Duration{});
  propagation.observe(table(100, 0), at(0));
  propagation.observe(table(0, 100), at(1));
  EXPECT_EQ(facts(propagation.visible(at(1))).weight_of_v2, 100u);
}

TEST(Propagation, ATableThatSaysTheSameIsNoChange) {
  Propagation propagation(seconds{1});
  propagation.observe(table(100, 0), at(0));
  propagation.observe(table(100, 0), at(5));
  EXPECT_EQ(propagation.next(), kNever);
  EXPECT_EQ(propagation.visible(at(9))->version, 7u);
}

}  // namespace
}  // namespace coalmine::mock
