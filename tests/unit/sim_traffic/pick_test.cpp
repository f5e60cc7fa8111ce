#include "sim/traffic/pick.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "sim/core/random.h"

namespace coalmine::traffic {
namespace {

std::vector<Target> targets(const std::vector<std::uint32_t>& weights) {
  std::vector<Target> out;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    Target target;
    target.name = fmt::format("v{}", i + 1);
    target.weight = weights[i];
    out.push_back(target);
  }
  return out;
}

struct Weights {
  const char* name;
  std::vector<std::uint32_t> weights;
};
std::string case_name(const testing::TestParamInfo<Weights>& info) {
  return info.param.name;
}

class Pick : public testing::TestWithParam<Weights> {};

TEST_P(Pick, EveryDrawFallsWhereTheWeightsSay) {
  const auto list = targets(GetParam().weights);
  std::vector<std::uint32_t> seen(list.size(), 0);
  for (std::uint64_t u = 0; u < total_weight(list); ++u) ++seen[pick(list, u)];
  EXPECT_EQ(seen, GetParam().weights);
}

INSTANTIATE_TEST_SUITE_P(AllDraws, Pick,
                         testing::Values(Weights{"OneInAHundred", {99, 1}},
                                         Weights{"ZeroIsNever", {0, 1, 0, 3}},
                                         Weights{"SumNotAHundred", {2, 7, 13}},
                                         Weights{"Alone", {1}},
                                         Weights{"Ten", {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}}),
                         case_name);

TEST(Pick, TheLargestSumOfWeightsWorks) {
  const auto list = targets({4294967294, 1});
  EXPECT_EQ(pick(list, 4294967293), 0U);
  EXPECT_EQ(pick(list, 4294967294), 1U);
  EXPECT_EQ(scale_draw(~std::uint64_t{0}, total_weight(list)), 4294967294U);
  EXPECT_EQ(scale_draw(0, total_weight(list)), 0U);
}

TEST(Pick, RandomSharesPassChiSquare) {
  for (const auto& weights :
       std::vector<std::vector<std::uint32_t>>{{99, 1}, {9999, 1}, {1, 1, 98}}) {
    const auto list = targets(weights);
    const auto total = static_cast<double>(total_weight(list));
    Random random(2026);
    std::vector<double> seen(list.size(), 0);
    constexpr int kDraws = 1'000'000;
    for (int i = 0; i < kDraws; ++i)
      ++seen[pick(list, scale_draw(random.next(), total_weight(list)))];
    double chi2 = 0;
    for (std::size_t i = 0; i < list.size(); ++i) {
      const double want = 1.0 * kDraws * list[i].weight / total;
      chi2 += (seen[i] - want) * (seen[i] - want) / want;
    }
    EXPECT_LT(chi2, 13.8) << "p = 0.001 at two degrees of freedom";
  }
}

// Bounds proved by Tijdeman 1980 for prefixes; a window is the difference of two prefixes.
void expect_balanced(ExactOrder& order, const std::vector<Target>& list, std::size_t picks) {
  const auto total = static_cast<double>(total_weight(list));
  const auto k = static_cast<double>(
      std::count_if(list.begin(), list.end(), [](const Target& t) { return t.weight > 0; }));
  const double bound = k < 2 ? 0 : 1 - 1 / (2 * k - 2);
  const double window = k < 2 ? 0 : k == 2 ? 1 : 2 - 1 / (k - 1);
  std::vector<double> taken(list.size(), 0);
  std::vector<double> low(list.size(), 0);
  std::vector<double> high(list.size(), 0);
  for (std::size_t n = 1; n <= picks; ++n) {
    ++taken[order.next()];
    for (std::size_t i = 0; i < list.size(); ++i) {
      const double off = taken[i] - static_cast<double>(n) * list[i].weight / total;
      ASSERT_LE(std::fabs(off), bound + 1e-9) << "pick " << n << " target " << i;
      low[i] = std::min(low[i], off);
      high[i] = std::max(high[i], off);
      ASSERT_LE(high[i] - low[i], window + 1e-9) << "pick " << n << " target " << i;
    }
  }
}

class Exact : public testing::TestWithParam<Weights> {};

TEST_P(Exact, KeepsPrefixAndWindowBounds) {
  const auto list = targets(GetParam().weights);
  ExactOrder order(list);
  expect_balanced(order, list, 3 * std::min<std::uint64_t>(order.period(), 70'000));
}

class ExactPeriod : public testing::TestWithParam<Weights> {};

TEST_P(ExactPeriod, GivesEachTargetItsWeight) {
  const auto list = targets(GetParam().weights);
  ExactOrder order(list);
  const std::uint64_t divisor = total_weight(list) / order.period();
  std::vector<std::uint64_t> seen(list.size(), 0);
  for (std::uint64_t n = 0; n < order.period(); ++n) ++seen[order.next()];
  for (std::size_t i = 0; i < list.size(); ++i) EXPECT_EQ(seen[i] * divisor, list[i].weight);
}

const auto kPeriodsToWalk = testing::Values(
    Weights{"OneInAHundred", {99, 1}}, Weights{"Half", {50, 50}},
    Weights{"TenThousandth", {9999, 1}}, Weights{"Alone", {7}}, Weights{"WithZero", {0, 3, 0, 1}},
    Weights{"Three", {13, 9, 5}}, Weights{"Canaries", {98, 1, 1}}, Weights{"Hard", {70, 25, 5}},
    Weights{"Eight", {24, 39, 11, 39, 1, 1, 1, 7}},
    Weights{"Ten", {999, 999, 999, 999, 999, 1, 1, 1, 1, 1}}, Weights{"Stepped", {99'991, 7}});
INSTANTIATE_TEST_SUITE_P(Weights, Exact, kPeriodsToWalk, case_name);
INSTANTIATE_TEST_SUITE_P(Weights, ExactPeriod, kPeriodsToWalk, case_name);
// A period of 4,294,967,294 picks: too long to walk, the bounds hold all the same.
INSTANTIATE_TEST_SUITE_P(LongPeriod, Exact,
                         testing::Values(Weights{"SteppedLarge", {4294967290, 3, 1}}), case_name);

TEST(Exact, RandomWeightsKeepTheBounds) {
  Random random(4);
  for (int round = 0; round < 200; ++round) {
    std::vector<std::uint32_t> weights;
    const std::size_t k = 2 + random.below(9);
    for (std::size_t i = 0; i < k; ++i) {
      weights.push_back(static_cast<std::uint32_t>(random.below(100)));
    }
    weights[0] += 1;
    const auto list = targets(weights);
    ExactOrder order(list);
    expect_balanced(order, list, 2 * order.period());
    if (HasFatalFailure()) FAIL() << "round " << round;
  }
}

TEST(Exact, WeightChangesDoNotStarveTheCanary) {
  // 99:1 set anew every 40 requests: restarting the order each time would never reach pick 51.
  auto list = targets({99, 1});
  auto order = std::make_unique<ExactOrder>(list);
  double canary = 0;
  constexpr int kChanges = 500;
  for (int change = 0; change < kChanges; ++change) {
    for (int n = 0; n < 40; ++n) canary += order->next() == 1 ? 1 : 0;
    list[0].weight = change % 2 == 0 ? 990 : 99;  // 0.1% more or less than 1%
    list[1].weight = change % 2 == 0 ? 11 : 1;
    const auto lags = order->lags();
    order = std::make_unique<ExactOrder>(list, lags);
  }
  const double due = 40.0 * kChanges * (0.01 + 11.0 / 1001) / 2;
  EXPECT_NEAR(canary, due, 4) << "the phase is found to the nearest pick, so a little is lost";
}

TEST(Exact, CarriedLagsSurviveIntoTheStepRule) {
  const auto old_list = targets({1, 1});
  ExactOrder old(old_list);
  (void)old.next();
  const auto list = targets({70'001, 70'000});
  ExactOrder order(list, old.lags());
  EXPECT_NE(order.next(), ExactOrder(old_list).next()) << "the other target is owed half a pick";
}

TEST(Exact, KnowsItsTargets) {
  const auto list = targets({99, 1});
  const ExactOrder order(list);
  EXPECT_TRUE(order.same_targets(list));
  EXPECT_FALSE(order.same_targets(targets({98, 2})));
  EXPECT_FALSE(order.same_targets(targets({99})));
}

}  // namespace
}  // namespace coalmine::traffic
