#include "sim/rollout/analysis/sprt.h"

#include "sim/core/check.h"
#include "sim/core/math.h"

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
      step_good_(sprt_step(test, false)) {}

double Sprt::reject_at() const {
  return math::log(wealth_.factor_for((1 - test_.beta) / test_.alpha));
}

void Sprt::add(std::uint64_t bad, std::uint64_t requests) {
  CHECK(bad <= requests);
  if (accepted_) return;
  bad_ += bad;
  requests_ += requests;
  s_ += static_cast<double>(bad) * step_bad_ + static_cast<double>(requests - bad) * step_good_;
  accepted_ = s_ <= bounds_.accept;
}

void Sprt::next_step() {
  wealth_.next_step(math::exp(s_));
  s_ = 0;
  accepted_ = false;
  bad_ = requests_ = 0;
}

}  // namespace coalmine::rollout
