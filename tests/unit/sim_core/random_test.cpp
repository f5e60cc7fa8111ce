#include "sim/core/random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

namespace coalmine {
namespace {

TEST(Random, TheFirstDrawsOfASeedNeverChange) {
  Random random(42);
  EXPECT_EQ(random.next(), 15021278609987233951ULL);
  EXPECT_EQ(random.split("arrivals").next(), Random(42).split("arrivals").next());
}

TEST(Random, ADrawInOneStreamNeverShiftsAnother) {
  Random drawn_from(7);
  for (int i = 0; i < 100; ++i) drawn_from.next();
  EXPECT_EQ(drawn_from.split("a").next(), Random(7).split("a").next());
  EXPECT_NE(Random(7).split("a").next(), Random(7).split("b").next());
  EXPECT_NE(Random(7).split(1).next(), Random(7).split(2).next());
}

TEST(Random, BelowIsUniformByChiSquare) {
  Random random(1);
  constexpr int kBins = 10, kDraws = 100000;
  std::vector<double> seen(kBins);
  for (int i = 0; i < kDraws; ++i) seen[random.below(kBins)] += 1;
  double chi2 = 0;
  for (const double n : seen) chi2 += (n - 1e4) * (n - 1e4) / 1e4;
  EXPECT_LT(chi2, 27.9);  // 0.999 quantile, 9 degrees of freedom
}

struct Moments {
  double mean;
  double variance;
};

template <typename Draw>
Moments moments(Draw draw) {
  constexpr int kDraws = 200000;
  double sum = 0, squares = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double x = static_cast<double>(draw());
    sum += x;
    squares += x * x;
  }
  const double mean = sum / kDraws;
  return {mean, squares / kDraws - mean * mean};
}

struct CountCase {
  const char* name;
  double mean;
  double variance;
  std::uint64_t (*draw)(Random&);
};

class Counts : public testing::TestWithParam<CountCase> {};

TEST_P(Counts, HaveTheirMeanAndVariance) {
  Random random(3);
  const CountCase& c = GetParam();
  const Moments m = moments([&] { return c.draw(random); });
  EXPECT_NEAR(m.mean, c.mean, 5 * std::sqrt(c.variance / 200000));
  EXPECT_NEAR(m.variance / c.variance, 1, 0.03);
}

INSTANTIATE_TEST_SUITE_P(
    Distributions, Counts,
    testing::Values(
        CountCase{"PoissonSmall", 3, 3, [](Random& r) { return r.poisson(3); }},
        CountCase{"PoissonLarge", 250, 250, [](Random& r) { return r.poisson(250); }},
        CountCase{"BinomialRare", 1, 0.99, [](Random& r) { return r.binomial(100, 0.01); }},
        CountCase{"BinomialLarge", 300, 210, [](Random& r) { return r.binomial(1000, 0.3); }},
        CountCase{"BinomialMirrored", 700, 210, [](Random& r) { return r.binomial(1000, 0.7); }}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(Random, ContinuousDistributionsHaveTheirMoments) {
  Random random(4);
  const Moments e = moments([&] { return random.exponential(); });
  EXPECT_NEAR(e.mean, 1, 0.012);
  const Moments n = moments([&] { return random.normal(); });
  EXPECT_NEAR(n.mean, 0, 0.012);
  EXPECT_NEAR(n.variance, 1, 0.02);
  const Moments l = moments([&] { return random.lognormal(0, 0.5); });
  EXPECT_NEAR(l.mean, std::exp(0.125), 0.01);
}

}  // namespace
}  // namespace coalmine
