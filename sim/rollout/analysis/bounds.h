#pragma once

#include <cstdint>

#include "sim/rollout/analysis/spec.h"

namespace coalmine::rollout {

// What is possible at all: the yardsticks that a report puts beside a plan.

/// Kullback-Leibler divergence of Bernoulli(a) from Bernoulli(b) in nats; a in [0, 1], b in (0, 1).
double kl(double a, double b);

/// The fewest canary requests that any test needs on average to find `to` against `from` with
/// error shares alpha and beta: kl(1-beta, alpha) / kl(to, from) (Wald 1945). The information
/// floor of a fault.
double least_requests(double from, double to, double alpha, double beta);
/// The same for clearing a healthy canary: kl(1-alpha, beta) / kl(from, to).
double least_requests_to_clear(double from, double to, double alpha, double beta);

/// The smallest test that looks once: reject if more than `critical` of `requests` are bad.
struct FixedTest {
  std::uint64_t requests = 0, critical = 0;
};
FixedTest fixed_test(double from, double to, double alpha, double beta);

/// An SPRT by exact dynamic programming over the number of bad requests, at true share `p`.
struct SprtExact {
  double requests = 0;         ///< mean until either decision
  double requests_reject = 0;  ///< mean of the runs that reject
  double reject = 0;           ///< probability
};
/// `reject_at`, `accept_at`: boundaries of the log-likelihood ratio, as of sprt_bounds().
SprtExact sprt_exact(const SprtTest& test, double reject_at, double accept_at, double p);

/// How much of a blast radius is whose: requests the canary served until the analysis had what it
/// needed, until that had come through the metric pipeline and the controller had looked, and
/// until the weights were back.
struct BlastParts {
  std::uint64_t test = 0, pipeline = 0, route = 0;
};
/// `counted`: canary requests in the datapoints that the decision rests on; `at_decision`: served
/// by then; `total`: served by the end. Rising; smaller ones are raised to the one before.
BlastParts blast_parts(std::uint64_t counted, std::uint64_t at_decision, std::uint64_t total);

}  // namespace coalmine::rollout
