#include "sim/study/statistics.h"

#include <gtest/gtest.h>

#include <cmath>

namespace coalmine::study {
namespace {

TEST(Summary, IsEmptyWithoutValues) {
  EXPECT_EQ(summarise({}).n, 0u);
  EXPECT_EQ(summarise({}).max, 0);
}

TEST(Summary, OneValueHasNoSpread) {
  const Summary one = summarise({7});
  EXPECT_EQ(one.mean, 7);
  EXPECT_EQ(one.low, 7);
  EXPECT_EQ(one.high, 7);
  EXPECT_EQ(one.p95, 7);
}

TEST(Summary, QuantilesAreValuesThatOccurred) {
  std::vector<double> values;
  for (int i = 100; i >= 1; --i) values.push_back(i);
  const Summary summary = summarise(values);
  EXPECT_EQ(summary.mean, 50.5);
  EXPECT_EQ(summary.p50, 50);
  EXPECT_EQ(summary.p95, 95);
  EXPECT_EQ(summary.max, 100);
  // s = 29.0115, / 10, * 1.96
  EXPECT_NEAR(summary.high - summary.mean, 5.6861, 1e-3);
}

struct IntervalCase {
  const char* name;
  std::uint64_t count, n;
  double low, high;
};
class Interval : public testing::TestWithParam<IntervalCase> {};

TEST_P(Interval, IsClopperAndPearsons) {
  const Proportion share = proportion(GetParam().count, GetParam().n);
  EXPECT_NEAR(share.low, GetParam().low, 2e-5);
  EXPECT_NEAR(share.high, GetParam().high, 2e-5);
}

// scipy.stats.binomtest(k, n).proportion_ci(method="exact")
INSTANTIATE_TEST_SUITE_P(Tables, Interval,
                         testing::Values(IntervalCase{"None", 0, 10, 0, 0.30850},
                                         IntervalCase{"All", 10, 10, 0.69150, 1},
                                         IntervalCase{"Some", 5, 10, 0.18709, 0.81291},
                                         IntervalCase{"Few", 1, 100, 0.00025, 0.05446},
                                         IntervalCase{"NoneOfMany", 0, 1000, 0, 0.00368}),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(Divergence, IsTheRelativeEntropyOfTwoCoins) {
  EXPECT_NEAR(binary_divergence(0.99, 0.01), 4.50321, 1e-5);
  EXPECT_NEAR(binary_divergence(0.01, 0.001), 0.0140665, 1e-7);
  EXPECT_NEAR(binary_divergence(0.05, 0.001), 0.1478230, 1e-7);
  EXPECT_EQ(binary_divergence(0.3, 0.3), 0);
  EXPECT_TRUE(std::isinf(binary_divergence(0.3, 0)));
}

}  // namespace
}  // namespace coalmine::study
