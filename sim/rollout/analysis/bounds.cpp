#include "sim/rollout/analysis/bounds.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "sim/core/check.h"
#include "sim/core/math.h"
#include "sim/rollout/analysis/sprt.h"

namespace coalmine::rollout {
namespace {

/// a ln(a/b), 0 at a = 0.
double entropy_part(double a, double b) {
  return a <= 0 ? 0 : a * math::log(a / b);
}

/// P(X <= c) for X ~ Binomial(n, p).
double binomial_cdf(std::uint64_t c, std::uint64_t n, double p) {
  if (c >= n) return 1;
  return math::incomplete_beta_upper(static_cast<double>(c) + 1, static_cast<double>(n - c), p);
}

}  // namespace

double kl(double a, double b) {
  return entropy_part(a, b) + entropy_part(1 - a, 1 - b);
}

double least_requests(double from, double to, double alpha, double beta) {
  return kl(1 - beta, alpha) / kl(to, from);
}

double least_requests_to_clear(double from, double to, double alpha, double beta) {
  return kl(1 - alpha, beta) / kl(from, to);
}

FixedTest fixed_test(double from, double to, double alpha, double beta) {
  CHECK(from > 0 && from < to && to < 1);
  // For each critical number the false alarms bound n from above and the misses from below.
  for (std::uint64_t c = 0;; ++c) {
    std::uint64_t low = c + 1, high = c + 2;
    while (binomial_cdf(c, high, to) > beta) high *= 2;
    while (low < high) {  // the fewest requests with few enough misses
      const std::uint64_t middle = low + (high - low) / 2;
      if (binomial_cdf(c, middle, to) > beta) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    if (1 - binomial_cdf(c, low, from) <= alpha) return {low, c};
  }
}

SprtExact sprt_exact(const SprtTest& test, double reject_at, double accept_at, double p) {
  const double bad = sprt_step(test, true), good = sprt_step(test, false);
  // weight[k]: probability that the walk still goes on with k bad requests.
  std::vector<double> weight{1};
  SprtExact result;
  double alive = 1, accepted = 0;
  for (std::uint64_t n = 1; alive > 1e-13; ++n) {
    std::vector<double> next(weight.size() + 1, 0.0);
    for (std::size_t k = 0; k < weight.size(); ++k) {
      next[k] += weight[k] * (1 - p);
      next[k + 1] += weight[k] * p;
    }
    result.requests += alive;
    for (std::size_t k = 0; k < next.size(); ++k) {
      const double s =
          static_cast<double>(k) * bad + (static_cast<double>(n) - static_cast<double>(k)) * good;
      if (s >= reject_at) {
        result.reject += next[k];
        result.requests_reject += static_cast<double>(n) * next[k];
        next[k] = 0;
      } else if (s <= accept_at) {
        accepted += next[k];
        next[k] = 0;
      }
    }
    while (next.size() > 1 && next.back() == 0) next.pop_back();
    alive = 0;
    for (const double w : next) alive += w;
    weight = std::move(next);
  }
  CHECK(std::fabs(result.reject + accepted - 1) < 1e-9);
  if (result.reject > 0) result.requests_reject /= result.reject;
  return result;
}

BlastParts blast_parts(std::uint64_t counted, std::uint64_t at_decision, std::uint64_t total) {
  at_decision = std::max(at_decision, counted);
  total = std::max(total, at_decision);
  return {counted, at_decision - counted, total - at_decision};
}

}  // namespace coalmine::rollout
