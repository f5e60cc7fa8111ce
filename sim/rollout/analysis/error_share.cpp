#include "sim/rollout/analysis/error_share.h"

#include <fmt/format.h>

#include "sim/core/check.h"
#include "sim/core/math.h"
#include "sim/rollout/analysis/bernoulli.h"

namespace coalmine::rollout {

double error_share_evidence_two_sided(ErrorCounts errors, double share, double a, double b) {
  return mixture_evidence_two_sided(errors.canary, errors.total, share, a, b);
}

double error_share_evidence(ErrorCounts errors, double share, double a, double b) {
  return mixture_evidence(errors.canary, errors.total, share, a, b);
}

void RateRatioBet::add(ErrorCounts errors, std::uint64_t canary_requests, std::uint64_t requests) {
  const double w = share_of_counts(canary_requests, requests);
  const auto k = static_cast<double>(errors.canary), m = static_cast<double>(errors.total);
  double rho = 1;
  for (double& log : logs_) {
    rho *= 2;
    log += k * math::log(rho) - m * math::log1p(w * (rho - 1));
  }
}

double RateRatioBet::factor() const {
  double sum = 0;
  for (const double log : logs_) sum += math::exp(log);
  return sum / static_cast<double>(logs_.size());
}

ErrorShare::ErrorShare(const ErrorShareTest& test, std::optional<Duration> burst) : test_(test) {
  if (burst) window_.emplace(*burst);
}

void ErrorShare::renew() {
  wealth_.renew(factor_);
  factor_ = 1;
  counts_ = {};
  canary_requests_ = requests_ = 0;
  ratio_.reset();
  burst_.reset();
}

/// The share is another one from here on.
void ErrorShare::begin_stretch() {
  if (share_ != 0) renew();
  if (window_) window_->cut();
  seen_ = {};
}

void ErrorShare::count(ErrorCounts errors) {
  for (ErrorCounts* counts : {&counts_, &seen_}) {
    counts->canary += errors.canary;
    counts->total += errors.total;
  }
}

void ErrorShare::add(ErrorCounts errors, double share, TimePoint from, TimePoint to) {
  if (share <= 0 || share >= 1) return;
  if (share != share_ || measured_) {
    begin_stretch();
    share_ = share;
    measured_ = false;
  }
  count(errors);
  if (window_) {
    if (!window_->add(from, to, errors.canary, errors.total) || window_->whole() == 0) return;
    burst_.add(share_of_counts(window_->part(), window_->whole()), share);
    factor_ = burst_.factor();
  } else if (errors.total > 0) {
    factor_ = error_share_evidence(counts_, share, test_.prior_a, test_.prior_b);
  }
  if (factor_ < Wealth::kLost) renew();
}

void ErrorShare::add_measured(ErrorCounts errors, std::uint64_t canary_requests,
                              std::uint64_t requests) {
  if (canary_requests == 0 || canary_requests >= requests) return;
  if (!measured_) {
    begin_stretch();
    measured_ = true;
  }
  count(errors);
  canary_requests_ += canary_requests;
  requests_ += requests;
  share_ = share_of_counts(canary_requests_, requests_);
  if (errors.total == 0) return;
  if (window_) {
    burst_.add(share_of_counts(errors.canary, errors.total),
               share_of_counts(canary_requests, requests));
    factor_ = burst_.factor();
  } else {
    ratio_.add(errors, canary_requests, requests);
    factor_ = ratio_.factor();
  }
  if (factor_ < Wealth::kLost) renew();
}

void ErrorShare::add(const Observation& seen, Scope) {
  add(seen, seen.window.stable, seen.window.canary);
}

void ErrorShare::add(const Observation& seen, const VersionCounts& stable,
                     const VersionCounts& canary) {
  const ErrorCounts errors{canary.errors, canary.errors + stable.errors};
  if (seen.settled) return add(errors, seen.canary_share, seen.window.from, seen.window.to);
  add_measured(errors, canary.requests, canary.requests + stable.requests);
}

Verdict ErrorShare::verdict() const {
  return evidence() >= 1 / test_.alpha ? Verdict::Fail : Verdict::Continue;
}

Evaluation ErrorShare::evaluate() const {
  Evaluation e;
  e.test = "error-share";
  e.value = share_of_counts(counts_.canary, counts_.total);
  e.limit = share_;
  e.n = counts_.total;
  e.statistic = evidence();
  e.needs = 1 / test_.alpha;
  std::string counted = fmt::format("{} of {}", counts_.canary, counts_.total);
  if (seen_ != counts_) {
    counted += fmt::format(" lately ({} of {} in all)", seen_.canary, seen_.total);
  }
  e.sentence =
      fmt::format("{} from {} of traffic{}, evidence {} (needs {})", counted, percent_text(share_),
                  measured_ ? " as measured" : "", figure(e.statistic), figure(e.needs));
  return e;
}

}  // namespace coalmine::rollout
