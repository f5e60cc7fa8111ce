#pragma once

#include <cstdint>
#include <optional>

#include "sim/rollout/analysis/burst.h"
#include "sim/rollout/analysis/evaluation.h"
#include "sim/rollout/analysis/spec.h"
#include "sim/rollout/analysis/wealth.h"

namespace coalmine::rollout {

/// Evidence against "each of n trials is a hit with probability p" from k hits, by a mixture over
/// theta ~ Beta(a, b):
///   E = B(a+k, b+n-k) / [B(a, b) p^k (1-p)^(n-k)]
/// An e-value: 1 says nothing, 1/alpha rejects at level alpha whenever one looks (Robbins 1970;
/// Lindon & Malek, arXiv 2011.03567). k <= n, p in (0, 1).
double mixture_evidence_two_sided(std::uint64_t k, std::uint64_t n, double p, double a, double b);

/// The same against "at most p": the prior is cut to theta > p, which multiplies the above by the
/// posterior's upper tail over the prior's. Valid for every true probability up to p, as the
/// factor of each trial has an expectation that rises with it.
double mixture_evidence(std::uint64_t k, std::uint64_t n, double p, double a, double b);

/// The canary's bad share is at most `at_most`, over a whole rollout.
class Bernoulli {
 public:
  Bernoulli(const BernoulliTest& test, std::optional<Duration> burst);

  /// Requests finished in [from, to).
  void add(std::uint64_t bad, std::uint64_t requests, TimePoint from = {}, TimePoint to = {});
  void next_step();
  double evidence() const { return wealth_.with(factor_); }
  std::uint64_t bad() const { return bad_; }            ///< since the running bet began
  std::uint64_t requests() const { return requests_; }  ///< since the running bet began

  void add(const Observation& seen, Scope scope);
  Verdict verdict() const;
  Evaluation evaluate() const;

 private:
  void renew();

  BernoulliTest test_;
  Wealth wealth_;
  double factor_ = 1;
  std::uint64_t bad_ = 0, requests_ = 0;
  std::optional<BurstWindow> window_;
  BurstBet bet_;
};

/// Bad requests and requests of `scope` in the datapoint; bad: failed, or slower than `over`.
struct BadCounts {
  std::uint64_t bad = 0, requests = 0;
};
BadCounts bad_counts(const MetricsWindow& window, Scope scope, std::optional<Duration> over);

/// "failed" or "slower than 250ms".
std::string bad_text(std::optional<Duration> over);

}  // namespace coalmine::rollout
