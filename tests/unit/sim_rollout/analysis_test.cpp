#include "sim/rollout/analysis/analysis.h"

#include <cmath>

#include "sim/core/math.h"
#include "sim/core/random.h"
#include "tests/unit/sim_rollout/fake_world.h"

namespace coalmine::rollout {
namespace {

using namespace std::chrono_literals;

struct EvidenceCase {
  std::uint64_t canary, total;
  double share, a, b, want;
};

// Values computed independently from the closed form of arXiv 2011.03567.
TEST(ErrorShare, UncutEvidenceEqualsTheClosedForm) {
  for (const EvidenceCase& c : {EvidenceCase{1, 1, .01, 1, 1, 50},
                                {2, 2, .01, 1, 1, 3333.33},
                                {3, 10, .01, 1, 1, 812.793},
                                {2, 10, .01, 1, 1, 21.8934},
                                {3, 30, .01, 1, 1, 10.4223},
                                {0, 50, .01, 1, 1, .0324093},
                                {3, 5, .05, 1, 1, 147.738},
                                {5, 20, .05, 1, 1, 21.2145},
                                {3, 10, .01, .5, .5, 585.261}}) {
    const double got = error_share_evidence_two_sided({c.canary, c.total}, c.share, c.a, c.b);
    EXPECT_NEAR(got / c.want, 1, 5e-6) << c.canary << " of " << c.total << " at " << c.share;
  }
}

TEST(ErrorShare, CutPriorIsTheTailRatioOfTheUncutOne) {
  // Beta(1,1): the prior's tail above w is 1-w; one error from the canary leaves 1-w^2.
  EXPECT_NEAR(error_share_evidence({1, 1}, .01), 50 * (1 - .0001) / .99, 1e-9);
  EXPECT_EQ(error_share_evidence({0, 0}, .01), 1);
}

TEST(ErrorShare, ABetterCanaryIsNoEvidenceAgainstIt) {
  EXPECT_GT(error_share_evidence_two_sided({0, 400}, .5), 100);
  EXPECT_LT(error_share_evidence({0, 400}, .5), .02);
  EXPECT_EQ(error_share_evidence({0, 100000}, .5), 0) << "underflow is no evidence, not NaN";
}

/// A fair game at any share: the mean of the evidence after one more error never exceeds what
/// it was, if the canary's true share is at most the claimed one.
TEST(ErrorShare, EvidenceIsASupermartingaleUnderEqualErrorRates) {
  for (const double w : {.01, .05, .5, .9}) {
    for (std::uint64_t m = 0; m < 40; ++m) {
      for (std::uint64_t k = 0; k <= m; ++k) {
        const double now = error_share_evidence({k, m}, w);
        const double up = error_share_evidence({k + 1, m + 1}, w);
        const double down = error_share_evidence({k, m + 1}, w);
        EXPECT_LE(w * up + (1 - w) * down, now * (1 + 1e-9) + 1e-300);
        EXPECT_LE(.8 * w * up + (1 - .8 * w) * down, now * (1 + 1e-9) + 1e-300);
      }
    }
  }
}

TEST(ErrorShare, ALongHealthyStepDoesNotBlindTheNextOne) {
  ErrorShare test(ErrorShareTest{});
  test.add({100, 10000}, .01);
  EXPECT_LT(test.evidence(), 1);
  test.add({30, 40}, .10);
  EXPECT_GT(test.evidence(), 1e6);
  EXPECT_EQ(test.counted(), (ErrorCounts{30, 40}));
}

TEST(ErrorShare, SharesOfNothingAndEverythingAreNotCounted) {
  ErrorShare test(ErrorShareTest{});
  test.add({5, 5}, 0);
  test.add({5, 5}, 1);
  EXPECT_EQ(test.evidence(), 1);
}

/// Healthy canary, evidence looked at after every error, three steps: the share of runs that
/// ever reach 1/alpha must stay at or below alpha (4 sigma of a binomial above it at most).
TEST(ErrorShare, FalseAlarmsStayBelowAlpha) {
  const double alpha = .05;
  const int runs = 3000;
  int alarms = 0;
  const Random root(7);
  for (int run = 0; run < runs; ++run) {
    Random random = root.split(static_cast<std::uint64_t>(run));
    ErrorShare test(ErrorShareTest{alpha, 1, 1});
    bool alarm = false;
    for (const double share : {.01, .1, .5}) {
      for (int error = 0; error < 60 && !alarm; ++error) {
        test.add({random.bernoulli(share) ? 1U : 0U, 1}, share);
        alarm = test.evidence() >= 1 / alpha;
      }
    }
    alarms += alarm ? 1 : 0;
  }
  EXPECT_LE(alarms, runs * alpha + 4 * std::sqrt(runs * alpha * (1 - alpha)));
  EXPECT_GT(alarms, 0) << "the bound would be vacuous";
}

TEST(ErrorShare, FindsAFivePercentFaultWithinFiftyCanaryRequestsOnAverage) {
  const int runs = 4000;
  std::uint64_t total = 0;
  const Random root(11);
  for (int run = 0; run < runs; ++run) {
    Random random = root.split(static_cast<std::uint64_t>(run));
    ErrorShare test(ErrorShareTest{});
    std::uint64_t canary_requests = 0;
    bool found = false;
    while (!found && canary_requests < 5000) {
      const bool canary = random.bernoulli(.01);
      canary_requests += canary ? 1 : 0;
      if (!random.bernoulli(canary ? .05 : .001)) continue;
      test.add({canary ? 1U : 0U, 1}, .01);
      found = test.evidence() >= 100;
    }
    total += canary_requests;
  }
  EXPECT_LE(static_cast<double>(total) / runs, 50);
}

TEST(Sprt, BoundsAndWaldMeansAreTheTextbooks) {
  const SprtBounds bounds = sprt_bounds(.01, .01);
  EXPECT_NEAR(bounds.reject, 4.59512, 5e-6);
  EXPECT_NEAR(bounds.accept, -4.59512, 5e-6);
  struct Case {
    double from, to, if_from, if_to;
  };
  for (const Case& c : {Case{.1, 1, 668.3, 320.1},
                        {.1, 2, 278.2, 109.6},
                        {.1, 5, 97.2, 30.5},
                        {1, 5, 182.1, 109.1},
                        {1, 3, 488.5, 342.1}}) {
    const SprtTest test{Percent{c.from}, Percent{c.to}, .01, .01, {}};
    EXPECT_NEAR(sprt_wald_means(test).requests_if_from, c.if_from, .06);
    EXPECT_NEAR(sprt_wald_means(test).requests_if_to, c.if_to, .06);
  }
}

/// The exact means of 0.1% against 5% are 42.8 and 99.4, power .99024, alpha' .00230. The class
/// keeps a reserve for later steps; here the plain walk is checked by its own two constants.
TEST(Sprt, WalkHasTheExactMeans) {
  const SprtTest spec{Percent{.1}, Percent{5}, .01, .01, {}};
  const SprtBounds bounds = sprt_bounds(.01, .01);
  const double bad = sprt_step(spec, true), good = sprt_step(spec, false);
  const int runs = 6000;
  for (const auto& [p, want, room] : {std::tuple{.05, 42.8, 2.5}, {.001, 99.4, 2.5}}) {
    Random random(5);
    std::uint64_t total = 0;
    for (int run = 0; run < runs; ++run) {
      double s = 0;
      while (s > bounds.accept && s < bounds.reject) {
        s += random.bernoulli(p) ? bad : good;
        ++total;
      }
    }
    EXPECT_NEAR(static_cast<double>(total) / runs, want, room);
  }
}

TEST(Sprt, AcceptanceHoldsForTheStepAndLaterFaultsAreStillFound) {
  Sprt sprt(SprtTest{Percent{1}, Percent{5}, .01, .01, {}});
  sprt.add(0, 1000);
  EXPECT_TRUE(sprt.accepted());
  EXPECT_EQ(sprt.verdict(), Verdict::Accept);
  EXPECT_EQ(sprt.requests(), 0U) << "a new round began";
  sprt.add(20, 100);
  EXPECT_TRUE(sprt.rejected());
  EXPECT_EQ(sprt.verdict(), Verdict::Fail);
  Sprt next(SprtTest{Percent{1}, Percent{5}, .01, .01, {}});
  next.add(0, 1000);
  next.next_step();
  EXPECT_FALSE(next.accepted());
}

TEST(Sprt, AFaultAfterAHundredAcceptancesIsFound) {
  Sprt sprt(SprtTest{Percent{.1}, Percent{5}, .01, .01, {}});
  for (int round = 0; round < 100; ++round) sprt.add(0, 200);
  EXPECT_LT(sprt.reject_at(), 20);
  for (int i = 0; i < 6; ++i) sprt.add(1, 20);
  EXPECT_TRUE(sprt.rejected());
}

TEST(Sprt, FalseAlarmsStayBelowAlphaOverSeveralSteps) {
  const SprtTest spec{Percent{1}, Percent{5}, .05, .05, {}};
  const int runs = 2000;
  int alarms = 0;
  const Random root(3);
  for (int run = 0; run < runs; ++run) {
    Random random = root.split(static_cast<std::uint64_t>(run));
    Sprt sprt(spec);
    for (int step = 0; step < 3 && !sprt.rejected(); ++step) {
      if (step > 0) sprt.next_step();
      for (int i = 0; i < 1000 && !sprt.rejected(); ++i) {
        sprt.add(random.bernoulli(.01) ? 1 : 0, 1);
      }
    }
    alarms += sprt.rejected() ? 1 : 0;
  }
  const double promise = .05 / .95;
  EXPECT_LE(alarms, runs * promise + 4 * std::sqrt(runs * promise));
}

void add(ShareLimit& limit, std::uint64_t bad, std::uint64_t requests,
         VersionCounts stable = {1000, 10, {}}) {
  const MetricsWindow window{
      kVirtualEpoch, kVirtualEpoch + 10s, std::move(stable), {requests, bad, {}}, {}};
  limit.add(Observation{window, .01, true}, Scope::Canary);
}

TEST(ShareLimit, CountsConsecutiveWindowsOfEnoughRequests) {
  ShareLimit limit(Threshold{Percent{1}, {}, .99, 100, 2});
  add(limit, 5, 50);
  EXPECT_EQ(limit.requests(), 0U) << "too few: no verdict yet";
  add(limit, 5, 50);
  EXPECT_EQ(limit.count().breaches(), 1);
  add(limit, 1, 100);
  EXPECT_EQ(limit.count().breaches(), 0) << "exactly the limit is allowed";
  add(limit, 2, 100);
  EXPECT_EQ(limit.verdict(), Verdict::Continue);
  add(limit, 2, 100);
  EXPECT_EQ(limit.verdict(), Verdict::Fail);
}

TEST(ShareLimit, CountsCumulativelyOverStepsOrMOfN) {
  Threshold in_all{Percent{1}, {}, .99, 1, 1};
  in_all.cumulative = 3;
  Threshold of_last{Percent{1}, {}, .99, 1, 2};
  of_last.of_last = 4;
  ShareLimit all(in_all), recent(of_last);
  for (const std::uint64_t bad : {9U, 0U, 0U, 0U, 9U}) {
    add(all, bad, 100);
    add(recent, bad, 100);
  }
  EXPECT_EQ(all.count().breaches(), 2);
  EXPECT_EQ(recent.count().breaches(), 1) << "the first has left the last four";
  all.next_step();
  recent.next_step();
  add(all, 9, 100);
  EXPECT_EQ(all.verdict(), Verdict::Fail);
  EXPECT_EQ(all.evaluate().sentence,
            "9 of 100 canary requests failed (9%, allowed 1%), 3 of 3 breaches in all");
  add(recent, 9, 100);
  EXPECT_EQ(recent.evaluate().sentence,
            "9 of 100 canary requests failed (9%, allowed 1%), 1 of 2 breaches in the last 4");
}

TEST(ShareLimit, RelativeLimitsFollowStable) {
  Threshold ratio;
  ratio.max_ratio = 2;
  Threshold increase;
  increase.max_increase = Percent{1};
  ShareLimit twice(ratio), one_more(increase), zero(ratio);
  add(twice, 2, 100);
  add(one_more, 2, 100);
  EXPECT_EQ(twice.verdict(), Verdict::Continue);
  EXPECT_EQ(one_more.verdict(), Verdict::Continue);
  add(twice, 3, 100);
  add(one_more, 3, 100);
  EXPECT_EQ(twice.verdict(), Verdict::Fail);
  EXPECT_EQ(twice.evaluate().sentence,
            "3 of 100 canary requests failed (3%, allowed 2 times stable's 1%), 1 of 1 breaches in "
            "a row");
  EXPECT_EQ(one_more.verdict(), Verdict::Fail);
  add(zero, 1, 100, {1000, 0, {}});
  EXPECT_EQ(zero.verdict(), Verdict::Fail) << "a baseline without errors is no excuse";
  ShareLimit alone(ratio);
  add(alone, 50, 100, {});
  EXPECT_EQ(alone.verdict(), Verdict::Continue) << "nothing to compare with";
}

TEST(Analysis, SentenceShowsEverythingTheDecisionRestsOn) {
  Analysis analysis(test::error_share(), 1);
  MetricsWindow window{kVirtualEpoch, kVirtualEpoch + 10s, {990, 7, {}}, {10, 3, {}}};
  analysis.add(window, .01);
  const Evaluation e = analysis.evaluate();
  EXPECT_EQ(e.verdict, Verdict::Fail);
  EXPECT_EQ(e.sentence, "errors: 3 of 10 from 1% of traffic, evidence 739 (needs 100)");
  EXPECT_EQ(e.n, 10U);
  EXPECT_NEAR(e.value, .3, 1e-12);
  EXPECT_EQ(e.limit, .01);
}

TEST(Analysis, LatencyLimitJudgesTheQuantileByCounting) {
  Threshold p99{{}, Duration{250ms}, .99, 100, 1};
  Analysis analysis({"latency", p99, OnFail::Rollback, {}}, 1);
  analysis.add({kVirtualEpoch, kVirtualEpoch + 10s, {}, {100, 0, {{250ms, 1}}}}, .01);
  EXPECT_EQ(analysis.verdict(), Verdict::Continue);
  analysis.add({kVirtualEpoch, kVirtualEpoch + 10s, {}, {100, 0, {{250ms, 2}}}}, .01);
  EXPECT_EQ(analysis.verdict(), Verdict::Fail);
  EXPECT_EQ(analysis.evaluate().sentence,
            "latency: 2 of 100 canary requests slower than 250ms (2%, allowed 1%), 1 of 1 breaches "
            "in a row");
}

TEST(Analysis, SeveralTestsShareTheirPromise) {
  const AnalysisSpec sprt{
      "errors", SprtTest{Percent{1}, Percent{5}, .01, .01, {}}, OnFail::Rollback, {}};
  const AnalysisSpec plain{"errors", Threshold{Percent{1}, {}, .99, 1, 1}, OnFail::Rollback, {}};
  EXPECT_EQ(split_alpha({test::error_share()}), 1);
  EXPECT_EQ(split_alpha({test::error_share(), sprt}), .5);
  EXPECT_EQ(split_alpha({test::error_share(), sprt, plain}), .5);
  EXPECT_EQ(split_alpha({test::error_share(), test::error_share(.01, OnFail::Ignore)}), 1);
}

}  // namespace
}  // namespace coalmine::rollout
