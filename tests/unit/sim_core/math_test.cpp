#include "sim/core/math.h"

#include <gtest/gtest.h>

#include <cmath>

#include "sim/core/random.h"

namespace coalmine {
namespace {

// libm's last bits differ between machines, so it is the judge to a few ulp only.
TEST(Math, AgreesWithLibmToAFewUnitsInTheLastPlace) {
  Random random(5);
  for (int i = 0; i < 20000; ++i) {
    const double x = random.uniform() * std::pow(10.0, random.uniform(-8, 8));
    EXPECT_NEAR(math::log(x), std::log(x), std::fabs(std::log(x)) * 1e-15 + 1e-16) << x;
    const double y = random.uniform(-700, 700);
    EXPECT_NEAR(math::exp(y) / std::exp(y), 1, 1e-15) << y;
    EXPECT_NEAR(math::lgamma(x + 1e-3), std::lgamma(x + 1e-3),
                1e-13 * (1 + std::fabs(std::lgamma(x + 1e-3))))
        << x;
  }
}

TEST(Math, EdgesAreExact) {
  EXPECT_EQ(math::log(1), 0);
  EXPECT_EQ(math::exp(0), 1);
  EXPECT_TRUE(std::isinf(math::log(0)));
  EXPECT_TRUE(std::isnan(math::log(-1)));
  EXPECT_EQ(math::exp(-1000), 0);
  EXPECT_TRUE(std::isinf(math::exp(1000)));
}

TEST(Math, IncompleteBetaMeetsKnownValues) {
  EXPECT_NEAR(math::incomplete_beta(1, 1, 0.3), 0.3, 1e-14);
  EXPECT_NEAR(math::incomplete_beta(2, 3, 0.4), 0.5248, 1e-12);        // 1 - sum of binomial terms
  EXPECT_NEAR(math::incomplete_beta(0.5, 0.5, 0.25), 1.0 / 3, 1e-12);  // arcsine law
  EXPECT_NEAR(math::incomplete_beta(2, 3, 0.4) + math::incomplete_beta_upper(2, 3, 0.4), 1, 1e-14);
}

TEST(Math, NormalTailMeetsKnownValues) {
  EXPECT_NEAR(math::normal_cdf(1.959963984540054), 0.975, 1e-13);
  EXPECT_NEAR(math::normal_cdf(-4), 3.167124183311992e-5, 1e-16);
  EXPECT_EQ(math::normal_cdf(0), 0.5);
}

}  // namespace
}  // namespace coalmine
