// What the mock's event stream tells about weights on their way.
#include "sim/lab/route_watch.h"

#include <gtest/gtest.h>

#include "sim/core/result.h"

namespace coalmine::lab {
namespace {

std::string event(const char* name, int second, int version, int v2, const char* who = "m/g") {
  return fmt::format(
      R"({{"time":"2026-01-01T00:00:{:02}.250Z","event":"{}","gateway":"{}","version":{},)"
      R"("weights":{{"route":{{"app-v1":{},"app-v2":{}}}}},"healthy":{{"app-v1":2,"app-v2":1}}}})",
      second, name, who, version, 100 - v2, v2);
}

TimePoint at(int second) {
  return kVirtualEpoch + std::chrono::milliseconds{second * 1000 + 250};
}

TEST(RouteWatch, FollowsAChangeFromSentToAdopted) {
  RouteWatch watch("m/g");
  EXPECT_FALSE(watch.settled());
  watch.see(event("routes.sent", 1, 5, 0));
  watch.see(event("routes.adopted", 2, 5, 0));
  watch.see(event("routes.sent", 10, 6, 30));
  ASSERT_EQ(watch.changes().size(), 2u);
  EXPECT_FALSE(watch.settled());
  EXPECT_EQ(watch.changes()[1].sent, at(10));
  watch.see(event("routes.adopted", 11, 6, 30));
  EXPECT_TRUE(watch.settled());
  EXPECT_EQ(watch.changes()[1].adopted, at(11));
  EXPECT_EQ(watch.changes()[1].weights.at("app-v2"), 30u);
  EXPECT_EQ(watch.healthy().at("app-v1"), 2u);
}

TEST(RouteWatch, ATableWithTheSameWeightsIsNoChange) {
  RouteWatch watch("m/g");
  watch.see(event("routes.sent", 1, 5, 0));
  watch.see(event("routes.adopted", 2, 5, 0));
  watch.see(event("routes.sent", 3, 6, 0));
  EXPECT_EQ(watch.changes().size(), 1u);
  EXPECT_TRUE(watch.settled());
}

TEST(RouteWatch, AWeightThatWasOvertakenIsNeverAdopted) {
  RouteWatch watch("m/g");
  watch.see(event("routes.sent", 1, 5, 10));
  watch.see(event("routes.sent", 2, 6, 20));
  watch.see(event("routes.adopted", 3, 6, 20));
  ASSERT_EQ(watch.changes().size(), 2u);
  EXPECT_FALSE(watch.changes()[0].adopted);
  EXPECT_TRUE(watch.changes()[1].adopted);
}

TEST(RouteWatch, ARouteToOneTargetIsAChangeThatKeepsTheWeights) {
  const auto with_route = [](const char* name, int second, int version, bool routed) {
    return fmt::format(
        R"({{"time":"2026-01-01T00:00:{:02}.250Z","event":"{}","gateway":"m/g","version":{},)"
        R"("weights":{{"route":{{"app-v1":90,"app-v2":10}}{}}}}})",
        second, name, version, routed ? R"(,"route-to-app-v2-1":{"app-v2":100})" : "");
  };
  RouteWatch watch("m/g");
  watch.see(with_route("routes.sent", 1, 5, false));
  watch.see(with_route("routes.adopted", 2, 5, false));
  watch.see(with_route("routes.sent", 3, 6, true));
  ASSERT_EQ(watch.changes().size(), 2u);
  EXPECT_FALSE(watch.settled());
  watch.see(with_route("routes.adopted", 4, 6, true));
  EXPECT_TRUE(watch.settled());
  EXPECT_TRUE(watch.changes()[1].by_marks);
  EXPECT_EQ(watch.changes()[1].weights.at("app-v2"), 10u);
  watch.see(with_route("routes.sent", 5, 7, false));
  ASSERT_EQ(watch.changes().size(), 3u);
  EXPECT_FALSE(watch.changes()[2].by_marks);
}

TEST(RouteWatch, OthersAndNonsenseArePassedOver) {
  RouteWatch watch("m/g");
  watch.see(event("routes.sent", 1, 5, 10, "m/other"));
  watch.see("{\"event\":\"routes.sent\",\"gateway\":\"m/g\"}");
  watch.see("not json");
  EXPECT_TRUE(watch.changes().empty());
  EXPECT_EQ(watch.failure(), "");
}

TEST(RouteWatch, ATableThatTheGatewayRefusesIsAFailure) {
  RouteWatch watch("m/g");
  watch.see(event("routes.sent", 1, 5, 10));
  watch.see(R"({"event":"routes.refused","gateway":"m/g","version":5,"reason":"port in use"})");
  EXPECT_EQ(watch.failure(), "port in use");
  EXPECT_FALSE(watch.settled());
}

TEST(RouteWatch, TellsWhyALoadBalancerCannotBeServed) {
  RouteWatch watch("lb");
  watch.see(R"({"event":"load-balancer.failed","loadBalancer":"lb","reason":"address in use"})");
  EXPECT_EQ(watch.failure(), "address in use");
}

}  // namespace
}  // namespace coalmine::lab
