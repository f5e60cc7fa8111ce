#include "sim/rollout/analysis/bernoulli.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/core/check.h"
#include "sim/core/math.h"

namespace coalmine::rollout {

double mixture_evidence_two_sided(std::uint64_t k, std::uint64_t n, double p, double a, double b) {
  CHECK(p > 0 && p < 1 && k <= n);
  const auto hits = static_cast<double>(k);
  const auto misses = static_cast<double>(n - k);
  return math::exp(math::lbeta(a + hits, b + misses) - math::lbeta(a, b) - hits * math::log(p) -
                   misses * math::log1p(-p));
}

double mixture_evidence(std::uint64_t k, std::uint64_t n, double p, double a, double b) {
  if (n == 0) return 1;
  const auto hits = static_cast<double>(k);
  const auto misses = static_cast<double>(n - k);
  const double cut =
      math::incomplete_beta_upper(a + hits, b + misses, p) / math::incomplete_beta_upper(a, b, p);
  return cut == 0 ? 0 : mixture_evidence_two_sided(k, n, p, a, b) * cut;
}

Bernoulli::Bernoulli(const BernoulliTest& test, std::optional<Duration> burst) : test_(test) {
  if (burst) window_.emplace(*burst);
}

void Bernoulli::add(std::uint64_t bad, std::uint64_t requests, TimePoint from, TimePoint to) {
  CHECK(bad <= requests);
  const double p = test_.at_most.share();
  bad_ += bad;
  requests_ += requests;
  if (window_) {
    if (!window_->add(from, to, bad, requests) || window_->whole() == 0) return;
    bet_.add(share_of_counts(window_->part(), window_->whole()), p);
    factor_ = bet_.factor();
  } else if (requests > 0) {
    factor_ = mixture_evidence(bad_, requests_, p, test_.prior_a, test_.prior_b);
  }
  if (factor_ < Wealth::kLost) renew();
}

void Bernoulli::renew() {
  wealth_.renew(factor_);
  factor_ = 1;
  bad_ = requests_ = 0;
  bet_.reset();
}

void Bernoulli::next_step() {
  if (window_) window_->cut();
  if (requests_ > 0) renew();
}

void Bernoulli::add(const Observation& seen, Scope scope) {
  const BadCounts counts = bad_counts(seen.window, scope, test_.over);
  add(counts.bad, counts.requests, seen.window.from, seen.window.to);
}

Verdict Bernoulli::verdict() const {
  return evidence() >= 1 / test_.alpha ? Verdict::Fail : Verdict::Continue;
}

Evaluation Bernoulli::evaluate() const {
  Evaluation e;
  e.test = "bernoulli";
  e.value = share_of_counts(bad_, requests_);
  e.limit = test_.at_most.share();
  e.n = requests_;
  e.statistic = evidence();
  e.needs = 1 / test_.alpha;
  e.sentence = fmt::format("{} of {} canary requests {} ({}, at most {}), evidence {} (needs {})",
                           bad_, requests_, bad_text(test_.over), percent_text(e.value),
                           percent_text(e.limit), figure(e.statistic), figure(e.needs));
  return e;
}

BadCounts bad_counts(const MetricsWindow& window, Scope scope, std::optional<Duration> over) {
  const auto of = [&over](const VersionCounts& v) {
    // Slow requests come from another metric than requests and may be ahead of it by a few.
    return BadCounts{std::min(over ? v.slower_than(*over) : v.errors, v.requests), v.requests};
  };
  const BadCounts canary = of(window.canary), stable = of(window.stable);
  switch (scope) {
    case Scope::Canary:
      return canary;
    case Scope::Stable:
      return stable;
    case Scope::Service:
      return {canary.bad + stable.bad, canary.requests + stable.requests};
  }
  CHECK_FAILED("scope");
}

std::string bad_text(std::optional<Duration> over) {
  return over ? fmt::format("slower than {}", coalmine::to_string(*over)) : std::string("failed");
}

}  // namespace coalmine::rollout
