#include "sim/rollout/analysis/error_share.h"

#include "sim/core/check.h"
#include "sim/core/math.h"

namespace coalmine::rollout {

double error_share_evidence_two_sided(ErrorCounts errors, double share, double a, double b) {
  CHECK(share > 0 && share < 1 && errors.canary <= errors.total);
  const auto k = static_cast<double>(errors.canary);
  const auto others = static_cast<double>(errors.total - errors.canary);
  return math::exp(math::lbeta(a + k, b + others) - math::lbeta(a, b) - k * math::log(share) -
                   others * math::log1p(-share));
}

double error_share_evidence(ErrorCounts errors, double share, double a, double b) {
  if (errors.total == 0) return 1;
  const auto k = static_cast<double>(errors.canary);
  const auto others = static_cast<double>(errors.total - errors.canary);
  const double cut = math::incomplete_beta_upper(a + k, b + others, share) /
                     math::incomplete_beta_upper(a, b, share);
  return cut == 0 ? 0 : error_share_evidence_two_sided(errors, share, a, b) * cut;
}

void ErrorShare::add(ErrorCounts errors, double share) {
  if (share <= 0 || share >= 1) return;
  if (share != share_) {
    if (share_ != 0) wealth_.next_step(factor());
    share_ = share;
    counts_ = {};
  }
  counts_.canary += errors.canary;
  counts_.total += errors.total;
}

double ErrorShare::factor() const {
  return share_ == 0 ? 1 : error_share_evidence(counts_, share_, test_.prior_a, test_.prior_b);
}

double ErrorShare::evidence() const {
  return wealth_.with(factor());
}

}  // namespace coalmine::rollout
