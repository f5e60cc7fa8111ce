#include "sim/rollout/analysis/cusum.h"

#include <fmt/format.h>

#include "sim/core/math.h"
#include "sim/rollout/analysis/bernoulli.h"
#include "sim/rollout/analysis/bounds.h"

namespace coalmine::rollout {

Cusum::Cusum(const CusumTest& test)
    : test_(test),
      step_bad_(math::log(test.to.share() / test.from.share())),
      step_good_(math::log1p(-test.to.share()) - math::log1p(-test.from.share())),
      alarm_at_(math::log(test.between)) {}

void Cusum::add(std::uint64_t bad, std::uint64_t requests) {
  w_ += static_cast<double>(bad) * step_bad_ + static_cast<double>(requests - bad) * step_good_;
  bad_ += bad;
  requests_ += requests;
  if (w_ > 0) return;
  w_ = 0;
  bad_ = requests_ = 0;
}

void Cusum::add(const Observation& seen, Scope scope) {
  const BadCounts counts = bad_counts(seen.window, scope, test_.over);
  add(counts.bad, counts.requests);
}

Evaluation Cusum::evaluate() const {
  Evaluation e;
  e.test = "late-fault";
  e.value = share_of_counts(bad_, requests_);
  e.limit = test_.to.share();
  e.n = requests_;
  e.statistic = w_;
  e.needs = alarm_at_;
  e.sentence = fmt::format(
      "{} of the last {} canary requests {} ({}, usual {}), CUSUM {:.2f} (alarm at {:.2f})", bad_,
      requests_, bad_text(test_.over), percent_text(e.value), percent_text(test_.from.share()), w_,
      alarm_at_);
  return e;
}

double cusum_delay(const CusumTest& test) {
  return math::log(test.between) / kl(test.to.share(), test.from.share());
}

}  // namespace coalmine::rollout
