#pragma once

#include <cstdint>

#include "sim/rollout/analysis/evaluation.h"
#include "sim/rollout/analysis/spec.h"
#include "sim/rollout/analysis/wealth.h"

namespace coalmine::rollout {

/// Wald's boundaries for the log-likelihood ratio S of "share is `to`" against "share is
/// `from`": roll back at S >= reject = ln((1-beta)/alpha), accept at S <= accept =
/// ln(beta/(1-alpha)). They promise alpha' <= alpha/(1-beta) and beta' <= beta/(1-alpha)
/// (Wald 1945, "Sequential tests of statistical hypotheses").
struct SprtBounds {
  double reject = 0;
  double accept = 0;
};
SprtBounds sprt_bounds(double alpha, double beta);

/// What one counted request adds to S: ln(p1/p0) if it is bad, ln((1-p1)/(1-p0)) if not.
double sprt_step(const SprtTest& test, bool bad);

/// Means of the test by Wald's approximation (no overshoot) when the true bad share is the
/// plan's `from` or `to`; also the least that any test with these errors needs.
struct SprtMeans {
  double requests_if_from = 0;
  double requests_if_to = 0;
};
SprtMeans sprt_wald_means(const SprtTest& test);

/// The test over a whole rollout. An accepted canary is accepted for its weight step; the test
/// goes on all the same, as a new round with what Wealth has left, so that a fault which shows
/// later in the step is still found. A new weight step begins a new round too.
class Sprt {
 public:
  explicit Sprt(const SprtTest& test);

  void add(std::uint64_t bad, std::uint64_t requests);
  void next_step();

  double log_ratio() const { return s_; }
  double evidence() const;                         ///< wealth: rejects at (1 - beta) / alpha
  double reject_at() const { return reject_at_; }  ///< S at which this round rejects
  double accept_at() const { return bounds_.accept; }
  bool rejected() const { return s_ >= reject_at_; }
  bool accepted() const { return accepted_ > 0; }       ///< in this step
  std::uint64_t bad() const { return bad_; }            ///< in this round
  std::uint64_t requests() const { return requests_; }  ///< in this round

  void add(const Observation& seen, Scope scope);
  Verdict verdict() const;
  Evaluation evaluate() const;

 private:
  void renew();

  SprtTest test_;
  SprtBounds bounds_;
  double step_bad_, step_good_;
  Wealth wealth_;
  double reject_at_;
  double s_ = 0;
  int accepted_ = 0;
  std::uint64_t bad_ = 0, requests_ = 0;
};

}  // namespace coalmine::rollout
