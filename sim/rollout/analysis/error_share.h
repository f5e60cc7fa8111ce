#pragma once

#include <cstdint>

#include "sim/rollout/analysis/wealth.h"
#include "sim/rollout/plan.h"

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

/// The test over a whole rollout, whose share changes from step to step: one bet per stretch of
/// equal share, carried over as Wealth says.
class ErrorShare {
 public:
  explicit ErrorShare(const ErrorShareTest& test) : test_(test) {}

  /// Counts a window's errors; `share` is the largest the canary can have had in it. Shares of 0
  /// and 1 say nothing and are not counted.
  void add(ErrorCounts errors, double share);
  /// Total wealth: compare with 1/alpha.
  double evidence() const;
  const ErrorCounts& counted() const { return counts_; }  ///< at the present share
  double share() const { return share_; }                 ///< 0 before the first window

 private:
  double factor() const;

  ErrorShareTest test_;
  Wealth wealth_;
  ErrorCounts counts_;
  double share_ = 0;
};

}  // namespace coalmine::rollout
