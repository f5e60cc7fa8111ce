#include "sim/study/floor.h"

#include <gtest/gtest.h>

namespace coalmine::study {
namespace {

using world::Fault;
using world::FaultKind;

world::Spec spec_of(std::vector<Fault> stable, std::vector<Fault> canary) {
  world::Spec spec;
  spec.versions.resize(2);
  spec.versions[0].name = "v1";
  spec.versions[0].faults = std::move(stable);
  spec.versions[1].name = "v2";
  spec.versions[1].faults = std::move(canary);
  return spec;
}
Fault errors(double percent) {
  Fault fault;
  fault.share = Percent{percent};
  return fault;
}
world::Event inject(Duration at, std::string target, Fault fault) {
  return {at, world::InjectFault{std::move(target), std::move(fault), std::nullopt}, {}};
}

struct FloorCase {
  const char* name;
  double stable, canary, want;
};
class Floor : public testing::TestWithParam<FloorCase> {};

TEST_P(Floor, IsTheLeastThatAnyTestNeeds) {
  const auto floor = information_floor(
      divergence(spec_of({errors(GetParam().stable)}, {errors(GetParam().canary)})));
  ASSERT_TRUE(floor);
  EXPECT_NEAR(*floor, GetParam().want, GetParam().want * 2e-3);
}
INSTANTIATE_TEST_SUITE_P(Errors, Floor,
                         testing::Values(FloorCase{"OnePercent", 0.1, 1, 320.1},
                                         FloorCase{"TwoPercent", 0.1, 2, 109.6},
                                         FloorCase{"FivePercent", 0.1, 5, 30.5},
                                         FloorCase{"Twice", 0.1, 0.2, 11642}),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(InformationFloor, IsAbsentForAHealthyOrBetterCanary) {
  for (const double canary : {0.1, 0.05}) {
    const Divergence same = divergence(spec_of({errors(0.1)}, {errors(canary)}));
    EXPECT_FALSE(same.worse);
    EXPECT_FALSE(information_floor(same));
  }
}

TEST(InformationFloor, IsAbsentForAFaultThatNoMetricShows) {
  Fault wrong;
  wrong.kind = FaultKind::WrongBody;
  wrong.share = Percent{10};
  const Divergence hidden = divergence(spec_of({}, {wrong}));
  EXPECT_TRUE(hidden.worse);
  EXPECT_TRUE(hidden.invisible);
  EXPECT_FALSE(information_floor(hidden));
}

TEST(InformationFloor, KnowsThatALoadBalancersMetricsHaveNoResets) {
  Fault reset;
  reset.kind = FaultKind::Reset;
  reset.share = Percent{5};
  world::Spec spec = spec_of({}, {reset});
  EXPECT_TRUE(information_floor(divergence(spec))) << "Envoy counts them to the version";
  spec.plan.traffic = rollout::TrafficApi::Alb;
  EXPECT_TRUE(divergence(spec).invisible);
  spec.traffic.segments = {{"one", "/one", Percent{10}}};
  EXPECT_FALSE(divergence(spec).invisible) << "who counts a segment sees its answers";
}

TEST(InformationFloor, KnowsThatASegmentShowsWhatTheWholeHides) {
  world::Spec whole = spec_of({errors(0.1)}, {errors(0.1), errors(0.1)});
  world::Spec flow = spec_of({errors(0.1)}, {errors(0.1)});
  flow.traffic.segments = {{"one", "/one", Percent{0.1}}};
  Fault all = errors(100);
  all.segment = "one";
  flow.versions[1].faults.push_back(all);
  // ln(1/0.001) nats per request of the flow: 4.5 / 6.9 * 1000
  EXPECT_NEAR(*information_floor(divergence(flow)), 652, 5);
  EXPECT_GT(*information_floor(divergence(whole)), 10'000);
}

TEST(InformationFloor, SeesSlowness) {
  world::Spec slow = spec_of({}, {});
  slow.versions[1].latency =
      world::LognormalLatency{std::chrono::milliseconds{22}, std::chrono::milliseconds{88}};
  const auto a_little = information_floor(divergence(slow));
  slow.versions[1].latency =
      world::LognormalLatency{std::chrono::milliseconds{60}, std::chrono::milliseconds{240}};
  const auto much = information_floor(divergence(slow));
  ASSERT_TRUE(a_little && much);
  // Two lognormals with one sigma: D = ln(ratio)^2 / (2 sigma^2); sigma = ln 4 / 2.326 = 0.596.
  EXPECT_NEAR(*a_little, 4.50321 / (0.0953 * 0.0953 / (2 * 0.3551)), 12);
  EXPECT_LT(*much, 5);
}

TEST(InformationFloor, CountsAFaultThatBeginsLater) {
  world::Spec late = spec_of({errors(0.1)}, {errors(0.1)});
  late.events.push_back(inject(std::chrono::minutes{5}, "v2", errors(5)));
  EXPECT_NEAR(*information_floor(divergence(late)), 29.9, 1);
}

TEST(HealthyTwin, HasACanaryAsGoodAsStable) {
  world::Spec spec = spec_of({errors(0.1)}, {errors(5)});
  spec.versions[1].latency = world::FixedLatency{std::chrono::seconds{1}};
  spec.events.push_back(inject(std::chrono::minutes{1}, "v2", errors(50)));
  EXPECT_TRUE(divergence(spec).worse);
  const world::Spec twin = healthy_twin(spec);
  EXPECT_FALSE(divergence(twin).worse);
  EXPECT_TRUE(twin.events.empty());
}

TEST(HealthyTwin, KeepsAnOutageThatHitsBoth) {
  world::Spec spec = spec_of({}, {});
  spec.events.push_back(inject(std::chrono::minutes{1}, "v1", errors(50)));
  spec.events.push_back(inject(std::chrono::minutes{1}, "v2", errors(50)));
  EXPECT_FALSE(divergence(spec).worse);
  EXPECT_EQ(healthy_twin(spec).events.size(), 2u);
}

}  // namespace
}  // namespace coalmine::study
