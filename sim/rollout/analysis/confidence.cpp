#include "sim/rollout/analysis/confidence.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "sim/core/check.h"
#include "sim/core/math.h"

namespace coalmine::rollout {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

/// Where f changes its sign between low and high.
template <typename F>
double bisect(F f, double low, double high) {
  const bool rising = f(high) > 0;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    ((f(middle) > 0) == rising ? high : low) = middle;
  }
  return (low + high) / 2;
}

/// The smallest value of a function that falls and then rises.
template <typename F>
double argmin(F f, double low, double high) {
  constexpr double kGolden = 0.61803398874989485;
  double a = high - kGolden * (high - low), b = low + kGolden * (high - low);
  double fa = f(a), fb = f(b);
  for (int i = 0; i < 60; ++i) {
    if (fa < fb) {
      high = b;
      b = a;
      fb = fa;
      fa = f(a = high - kGolden * (high - low));
    } else {
      low = a;
      a = b;
      fa = fb;
      fb = f(b = low + kGolden * (high - low));
    }
  }
  return (low + high) / 2;
}

}  // namespace

BetaPrior tuned_prior(double p, double t_opt, double alpha_opt, bool one_sided) {
  CHECK(p > 0 && p < 1);
  const double variance = p * (1 - p);
  const double l = 2 * math::log(1 / (one_sided ? 2 * alpha_opt : alpha_opt));
  const double rho = t_opt * variance / (l + math::log1p(l));
  const double r = std::max(rho - variance, 1e-3 * variance);
  return {r / (1 - p), r / p};
}

double log_mixture(double hits, double misses, double p, const BetaPrior& prior) {
  return math::lbeta(prior.a + hits, prior.b + misses) - math::lbeta(prior.a, prior.b) -
         hits * math::log(p) - misses * math::log1p(-p);
}

Interval bernoulli_interval(std::uint64_t k, std::uint64_t n, double alpha, double t_opt) {
  CHECK(k <= n && n > 0);
  const auto hits = static_cast<double>(k), misses = static_cast<double>(n - k);
  const double needs = math::log(1 / alpha), mean = hits / static_cast<double>(n);
  const auto excess = [&](double p) {
    return log_mixture(hits, misses, p, tuned_prior(p, t_opt, alpha, false)) - needs;
  };
  Interval interval;
  constexpr double kEdge = 1e-12;
  if (k > 0 && excess(kEdge) > 0) interval.low = bisect(excess, kEdge, mean);
  if (k < n && excess(1 - kEdge) > 0) interval.high = bisect(excess, mean, 1 - kEdge);
  return interval;
}

double band_radius(double t, double m, double c) {
  if (t < m) return kInf;
  return kBandFactor * std::sqrt((math::log1p(math::log(t / m)) + c) / t);
}

double lil_constant(double alpha) {
  const double a = kBandFactor;
  const auto error_at = [a](double c, double eta) {
    const double root = a - std::sqrt(2 * (eta - 1) / c);
    const double gamma_sq = 2 / eta * root * root;
    if (gamma_sq <= 1) return kInf;
    return 4 * math::exp(-gamma_sq * c) * (1 + 1 / ((gamma_sq - 1) * math::log(eta)));
  };
  const auto least_error = [&](double c) {
    const auto edge = [&](double eta) {
      return std::sqrt(eta / 2) + std::sqrt(2 * (eta - 1) / c) - a;
    };
    const double eta_high = bisect(edge, 1.0, 2 * a * a);
    const auto error_of = [&](double eta) { return error_at(c, eta); };
    return error_of(argmin(error_of, 1.0, eta_high));
  };
  return bisect([&](double c) { return least_error(c) - alpha; }, 2.0, 200.0);
}

double lil_constant_closed(double alpha) {
  return 0.8 * math::log(1612 / alpha);
}

double double_stitching_bound(double p, double t, double alpha, double t_opt) {
  constexpr double delta = 0.5, s = 1.4, eta = 2;
  constexpr double zeta_s = 3.1055472779775792;  // Riemann's zeta at 1.4
  const double quarter = std::sqrt(std::sqrt(eta));
  const double k1 = (quarter + 1 / quarter) / std::sqrt(2.0), k2 = (std::sqrt(eta) + 1) / 2;
  const auto logit = [](double x) { return math::log(x / (1 - x)); };
  const double time = std::max(t, t_opt);
  const double shifted = logit(p) + 2 * delta * std::sqrt(t_opt * eta / time);
  const double r = p >= 0.5 ? p : std::min(0.5, 1 / (1 + math::exp(-shifted)));
  const double variance = r * (1 - r);
  const double j = std::sqrt(time / t_opt) * std::fabs(logit(p)) / (2 * delta) + 1;
  const double ell =
      s * math::log(math::log(eta * time / t_opt)) + s * math::log(j) +
      math::log(2 * zeta_s * (2 * zeta_s + 1) / (alpha * math::pow(math::log(eta), s)));
  const double skew = k2 * (1 - 2 * p) / 3 * ell;
  return delta * std::sqrt(eta * time * variance / t_opt) +
         std::sqrt(k1 * k1 * variance * time * ell + skew * skew) + skew;
}

double two_sample_quantile_p(std::span<const double> x, std::span<const double> y, double q,
                             double t_opt, double alpha_opt) {
  const BetaPrior prior = tuned_prior(q, t_opt, alpha_opt, false);
  struct Sample {
    std::span<const double> values;
    double n, best;  // `best`: the share at or below the quantile that is least evidence
  };
  const auto evidence = [&](double share, double n) {
    return log_mixture(share * n, (1 - share) * n, q, prior);
  };
  const auto sample = [&](std::span<const double> values) {
    const auto n = static_cast<double>(values.size());
    return Sample{values, n, argmin([&](double share) { return evidence(share, n); }, 0.0, 1.0)};
  };
  const Sample samples[] = {sample(x), sample(y)};
  // At a common quantile v each sample's share at or below it lies between P(< v) and P(<= v).
  const auto at = [&](double v) {
    double sum = 0;
    for (const Sample& s : samples) {
      const auto [below, above] = std::equal_range(s.values.begin(), s.values.end(), v);
      const double low = static_cast<double>(below - s.values.begin()) / s.n;
      const double high = static_cast<double>(above - s.values.begin()) / s.n;
      sum += evidence(std::clamp(s.best, low, high), s.n);
    }
    return sum;
  };
  double least = kInf;
  for (const Sample& s : samples) {
    for (const double v : s.values) least = std::min(least, at(v));
  }
  return std::min(1.0, math::exp(-least));
}

}  // namespace coalmine::rollout
