#include "sim/rollout/analysis/sprt.h"

#include <fmt/format.h>

#include "sim/core/check.h"
#include "sim/core/math.h"
#include "sim/rollout/analysis/bernoulli.h"

namespace coalmine::rollout {

SprtBounds sprt_bounds(double alpha, double beta) {
  return {math::log((1 - beta) / alpha), math::log(beta / (1 - alpha))};
}

double sprt_step(const SprtTest& test, bool bad) {
  const double p0 = test.from.share(), p1 = test.to.share();
  return bad ? math::log(p1 / p0) : math::log1p(-p1) - math::log1p(-p0);
}

SprtMeans sprt_wald_means(const SprtTest& test) {
  const SprtBounds bounds = sprt_bounds(test.alpha, test.beta);
  const auto mean_step = [&test](double p) {
    return p * sprt_step(test, true) + (1 - p) * sprt_step(test, false);
  };
  const auto end = [&bounds](double reject) {
    return reject * bounds.reject + (1 - reject) * bounds.accept;
  };
  return {end(test.alpha) / mean_step(test.from.share()),
          end(1 - test.beta) / mean_step(test.to.share())};
}

Sprt::Sprt(const SprtTest& test)
    : test_(test),
      bounds_(sprt_bounds(test.alpha, test.beta)),
      step_bad_(sprt_step(test, true)),
      step_good_(sprt_step(test, false)),
      reject_at_(math::log(wealth_.factor_for((1 - test.beta) / test.alpha))) {}

void Sprt::add(std::uint64_t bad, std::uint64_t requests) {
  CHECK(bad <= requests);
  bad_ += bad;
  requests_ += requests;
  s_ += static_cast<double>(bad) * step_bad_ + static_cast<double>(requests - bad) * step_good_;
  if (s_ > bounds_.accept) return;
  ++accepted_;
  renew();
}

void Sprt::renew() {
  wealth_.renew(math::exp(s_));
  reject_at_ = math::log(wealth_.factor_for((1 - test_.beta) / test_.alpha));
  s_ = 0;
  bad_ = requests_ = 0;
}

double Sprt::evidence() const {
  return wealth_.with(math::exp(s_));
}

void Sprt::next_step() {
  if (requests_ > 0) renew();
  accepted_ = 0;
}

void Sprt::add(const Observation& seen, Scope scope) {
  const BadCounts counts = bad_counts(seen.window, scope, test_.over);
  add(counts.bad, counts.requests);
}

Verdict Sprt::verdict() const {
  if (rejected()) return Verdict::Fail;
  return accepted() ? Verdict::Accept : Verdict::Continue;
}

Evaluation Sprt::evaluate() const {
  Evaluation e;
  e.test = "sprt";
  e.value = share_of_counts(bad_, requests_);
  e.limit = test_.to.share();
  e.n = requests_;
  e.statistic = s_;
  e.needs = reject_at_;
  const std::string before =
      accepted_ == 0 ? ""
                     : fmt::format(", passed {} before",
                                   accepted_ == 1 ? "once" : fmt::format("{} times", accepted_));
  e.sentence = fmt::format(
      "{} of {} canary requests {} ({} against {}), log-likelihood ratio {:.2f} (fails at {:.2f}, "
      "passes at {:.2f}){}",
      bad_, requests_, bad_text(test_.over), percent_text(test_.to.share()),
      percent_text(test_.from.share()), s_, reject_at_, bounds_.accept, before);
  return e;
}

}  // namespace coalmine::rollout
