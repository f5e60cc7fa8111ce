#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "sim/rollout/analysis/burst.h"
#include "sim/rollout/analysis/evaluation.h"
#include "sim/rollout/analysis/spec.h"
#include "sim/rollout/analysis/wealth.h"

namespace coalmine::rollout {

/// Failed requests of both versions; `canary` of `total` were the canary's.
struct ErrorCounts {
  std::uint64_t canary = 0;
  std::uint64_t total = 0;
  bool operator==(const ErrorCounts&) const = default;
};

/// Evidence that the canary fails more often than its share of the traffic explains, from the
/// errors alone: if both versions fail equally often, each error is the canary's with
/// probability `share`, whatever that common rate is and however it moves.
///
/// Mixture over theta ~ Beta(a, b), for k of m errors from the canary and share w:
///   E = B(a+k, b+m-k) / [B(a, b) w^k (1-w)^(m-k)]
/// (Lindon & Malek, arXiv 2011.03567, for two outcomes.) An e-value: 1 says nothing, 1/alpha
/// rejects at level alpha whenever one looks. `share` must lie in (0, 1).
double error_share_evidence_two_sided(ErrorCounts errors, double share, double a = 1, double b = 1);

/// The same, one-sided: the prior is cut to theta > share, so a canary that is better than
/// stable is no evidence against it. Multiplies the above by the posterior's upper tail over
/// the prior's. Valid too when the true share is below `share` (the factor of each error has an
/// expectation that rises with it), so a share rounded up is safe.
double error_share_evidence(ErrorCounts errors, double share, double a = 1, double b = 1);

/// The same question while nobody knows the routed share, as after a weight was lowered: each
/// datapoint brings its own share, measured as the canary's part of the requests.
///
/// If both versions fail equally often, the canary's errors among the m of a datapoint are drawn
/// without replacement from its requests. For a canary that fails rho times as often,
///   factor = rho^k / (1 - w + rho w)^m,   w = canary requests / requests
/// is the likelihood ratio of drawing with replacement; as it is convex in k, its expectation
/// without replacement is no larger (Hoeffding 1963), so at most 1. rho is mixed over 2, 4, …,
/// 1024 in equal parts.
class RateRatioBet {
 public:
  void add(ErrorCounts errors, std::uint64_t canary_requests, std::uint64_t requests);
  double factor() const;
  void reset() { *this = RateRatioBet{}; }

 private:
  std::array<double, 10> logs_{};
};

/// The test over a whole rollout, whose share changes from step to step: one bet per stretch of
/// equal share, carried over as Wealth says.
class ErrorShare {
 public:
  explicit ErrorShare(const ErrorShareTest& test, std::optional<Duration> burst = {});

  /// Counts a window's errors; `share` is the largest the canary can have had in it. Shares of 0
  /// and 1 say nothing and are not counted.
  void add(ErrorCounts errors, double share, TimePoint from = {}, TimePoint to = {});
  /// The share is not known but measured.
  void add_measured(ErrorCounts errors, std::uint64_t canary_requests, std::uint64_t requests);
  /// Total wealth: compare with 1/alpha.
  double evidence() const { return wealth_.with(factor_); }
  const ErrorCounts& counted() const { return counts_; }  ///< since the running bet began
  double share() const { return share_; }                 ///< 0 before the first window

  void add(const Observation& seen, Scope scope);
  /// Counts of a part of the traffic only; the share is the same.
  void add(const Observation& seen, const VersionCounts& stable, const VersionCounts& canary);
  Verdict verdict() const;
  Evaluation evaluate() const;

 private:
  void renew();
  void begin_stretch();
  void count(ErrorCounts errors);

  ErrorShareTest test_;
  Wealth wealth_;
  double factor_ = 1;
  ErrorCounts counts_;  ///< of the running bet
  ErrorCounts seen_;    ///< since the share changed, over all bets; only told
  double share_ = 0;
  bool measured_ = false;
  std::uint64_t canary_requests_ = 0, requests_ = 0;  ///< of a measured bet
  RateRatioBet ratio_;
  std::optional<BurstWindow> window_;
  BurstBet burst_;
};

}  // namespace coalmine::rollout
