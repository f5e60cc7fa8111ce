#pragma once

#include <cstdint>
#include <span>

namespace coalmine::rollout {

// Confidence sequences: bounds that hold at all times together, so that one may look whenever one
// likes (Howard, Ramdas, McAuliffe & Sekhon, arXiv 1810.08240; Howard & Ramdas, arXiv 1906.09512).

/// A Beta prior for mixture_evidence() on probability p that is tight around `t_opt` trials.
struct BetaPrior {
  double a = 1, b = 1;
};
BetaPrior tuned_prior(double p, double t_opt, double alpha_opt, bool one_sided);

/// ln of mixture_evidence_two_sided() for counts that need not be whole.
double log_mixture(double hits, double misses, double p, const BetaPrior& prior);

struct Interval {
  double low = 0, high = 1;
};
/// The p that k hits of n trials do not rule out at level alpha, at any time.
Interval bernoulli_interval(std::uint64_t k, std::uint64_t n, double alpha, double t_opt);

/// Half-width of a band around an empirical distribution function after t >= m observations that
/// covers the true one at all times together with probability 1 - alpha:
///   A sqrt((ln(1 + ln(t/m)) + C) / t)
/// with A = 0.85 and C from lil_constant().
double band_radius(double t, double m, double c);
inline constexpr double kBandFactor = 0.85;
/// The smallest valid C, by the bound of arXiv 1906.09512, theorem 2, minimised over its eta.
double lil_constant(double alpha);
/// A closed form that is a little larger, so valid too: 0.8 ln(1612/alpha).
double lil_constant_closed(double alpha);

/// Bound on the count of observations at or below the p-quantile, minus p t, at all t and all p
/// together (double stitching, arXiv 1906.09512, with delta 0.5, s 1.4, eta 2).
double double_stitching_bound(double p, double t, double alpha, double t_opt);

/// Two samples have the same q-quantile: a p-value that is valid at all times. Both sorted.
double two_sample_quantile_p(std::span<const double> x, std::span<const double> y, double q,
                             double t_opt, double alpha_opt);

}  // namespace coalmine::rollout
