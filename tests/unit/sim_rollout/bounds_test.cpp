#include "sim/rollout/analysis/bounds.h"

#include <gtest/gtest.h>

#include "sim/core/random.h"
#include "sim/rollout/analysis/cusum.h"
#include "sim/rollout/analysis/sprt.h"

namespace coalmine::rollout {
namespace {

// Golden values were computed independently of this code by exact dynamic programming.
struct Golden {
  double from, to;  ///< percent
  double kl_to, kl_from;
  double floor_to, floor_from;
  double sprt_to, sprt_from, alpha, power;
  std::uint64_t fixed_n, fixed_c;
};
constexpr Golden kGolden[] = {
    {.1, 1, .0140665, .0067382, 320.1, 668.3, 386.2, 675.9, .00454, .98998, 1157, 4},
    {.1, 2, .0410965, .0161873, 109.6, 278.2, 135.8, 282.1, .00427, .99008, 418, 2},
    {.1, 5, .1478230, .0463305, 30.5, 97.2, 42.8, 99.4, .00230, .99024, 130, 1},
    {1, 5, .041291, .024736, 109.1, 182.1, 124.0, 184.4, .00578, .99018, 344, 8},
    {1, 3, .013162, .009219, 342.1, 488.5, 372.5, 492.2, .00692, .99005, 1014, 18},
};

TEST(Bounds, DivergenceAndFloorEqualTheGoldenValues) {
  EXPECT_NEAR(kl(.99, .01), 4.50321, 1e-5);
  EXPECT_EQ(kl(.3, .3), 0);
  for (const Golden& g : kGolden) {
    EXPECT_NEAR(kl(g.to / 100, g.from / 100), g.kl_to, 6e-7);
    EXPECT_NEAR(kl(g.from / 100, g.to / 100), g.kl_from, 6e-7);
    EXPECT_NEAR(least_requests(g.from / 100, g.to / 100, .01, .01), g.floor_to, .06);
    EXPECT_NEAR(least_requests_to_clear(g.from / 100, g.to / 100, .01, .01), g.floor_from, .06);
  }
  EXPECT_NEAR(least_requests(.001, .002, .01, .01), 11642, 1);
  EXPECT_NEAR(least_requests_to_clear(.001, .002, .01, .01), 14652, 3);
}

TEST(Bounds, FixedTestsEqualTheGoldenValues) {
  for (const Golden& g : kGolden) {
    const FixedTest test = fixed_test(g.from / 100, g.to / 100, .01, .01);
    EXPECT_EQ(test.requests, g.fixed_n);
    EXPECT_EQ(test.critical, g.fixed_c);
  }
}

TEST(Bounds, ExactSprtEqualsTheGoldenValues) {
  const SprtBounds bounds = sprt_bounds(.01, .01);
  for (const Golden& g : kGolden) {
    const SprtTest test{Percent{g.from}, Percent{g.to}, .01, .01, {}};
    const SprtExact bad = sprt_exact(test, bounds.reject, bounds.accept, g.to / 100);
    const SprtExact good = sprt_exact(test, bounds.reject, bounds.accept, g.from / 100);
    EXPECT_NEAR(bad.requests, g.sprt_to, .06) << g.from << " vs " << g.to;
    EXPECT_NEAR(good.requests, g.sprt_from, .06) << g.from << " vs " << g.to;
    EXPECT_NEAR(good.reject, g.alpha, 6e-6);
    EXPECT_NEAR(bad.reject, g.power, 6e-6);
  }
}

TEST(Bounds, ExactSprtBetweenTheHypotheses) {
  const SprtBounds bounds = sprt_bounds(.01, .01);
  const SprtTest test{Percent{.1}, Percent{1}, .01, .01, {}};
  for (const auto& [p, reject, requests] :
       {std::tuple{.002084, .0616, 942.}, {.003914, .461, 1193.}, {.006589, .906, 729.}}) {
    const SprtExact exact = sprt_exact(test, bounds.reject, bounds.accept, p);
    EXPECT_NEAR(exact.reject, reject, 6e-4);
    EXPECT_NEAR(exact.requests, requests, 1);
  }
}

/// The test as it is run: a tenth of its stake is kept back for later rounds, which moves the
/// boundary by ln(1/0.9) and costs no request at these shares.
TEST(Bounds, TheSprtThatIsRunHasTheExactMeans) {
  const SprtTest test{Percent{.1}, Percent{5}, .01, .01, {}};
  const double reject_at = Sprt(test).reject_at(), accept_at = Sprt(test).accept_at();
  for (const double p : {.05, .001}) {
    const SprtExact exact = sprt_exact(test, reject_at, accept_at, p);
    EXPECT_NEAR(exact.requests, p > .01 ? 42.8 : 99.4, 1.5);
    Random random(5);
    const int runs = 6000;
    std::uint64_t total = 0;
    for (int run = 0; run < runs; ++run) {
      Sprt sprt(test);
      while (!sprt.accepted() && !sprt.rejected()) {
        sprt.add(random.bernoulli(p) ? 1 : 0, 1);
        ++total;
      }
    }
    EXPECT_NEAR(static_cast<double>(total) / runs, exact.requests, 2.5);
  }
}

TEST(Bounds, BlastRadiusIsSplitByWhoTookTheTime) {
  const BlastParts parts = blast_parts(40, 65, 70);
  EXPECT_EQ(parts.test, 40U);
  EXPECT_EQ(parts.pipeline, 25U);
  EXPECT_EQ(parts.route, 5U);
  EXPECT_EQ(blast_parts(40, 30, 20).route, 0U);
}

TEST(Cusum, DelayEqualsTheGoldenValue) {
  EXPECT_NEAR(cusum_delay({Percent{.1}, Percent{5}, 1e6, {}}), 93, .6);
}

TEST(Cusum, FindsALateFaultAboutAsFastAsPredicted) {
  const CusumTest test{Percent{.1}, Percent{5}, 1e6, {}};
  Random random(3);
  const int runs = 1000;
  std::uint64_t total = 0;
  for (int run = 0; run < runs; ++run) {
    Cusum cusum(test);
    for (int i = 0; i < 1000; ++i) cusum.add(random.bernoulli(.001) ? 1 : 0, 1);
    while (cusum.verdict() != Verdict::Fail) {
      cusum.add(random.bernoulli(.05) ? 1 : 0, 1);
      ++total;
    }
  }
  EXPECT_LE(static_cast<double>(total) / runs, 110) << "93 without overshoot";
}

TEST(Cusum, FalseAlarmsAreAtLeastSoFarApartOnAverage) {
  const CusumTest test{Percent{1}, Percent{5}, 500, {}};
  Random random(9);
  const int runs = 200;
  std::uint64_t total = 0;
  for (int run = 0; run < runs; ++run) {
    Cusum cusum(test);
    while (cusum.verdict() != Verdict::Fail) {
      cusum.add(random.bernoulli(.01) ? 1 : 0, 1);
      ++total;
    }
  }
  EXPECT_GE(static_cast<double>(total) / runs, 500 * (1 - 3 / 14.0)) << "3 sigma of 200 runs";
}

}  // namespace
}  // namespace coalmine::rollout
