#pragma once

#include <cstdint>

#include "sim/rollout/analysis/evaluation.h"
#include "sim/rollout/analysis/spec.h"

namespace coalmine::rollout {

/// CUSUM on the canary's bad share, for faults that come late: W = max(0, W + z) where z is the
/// log-likelihood ratio of `to` against `from` of what was counted; alarm at W >= ln(between).
/// Then at least `between` requests lie between false alarms on average (Page 1954; Lorden 1971,
/// theorem 2), and a fault is found about ln(between) / kl(to, from) requests after it began.
/// W is looked at once per datapoint, so it can only be lower than if it were after every
/// request: fewer false alarms than promised.
class Cusum {
 public:
  explicit Cusum(const CusumTest& test);

  void add(std::uint64_t bad, std::uint64_t requests);
  double height() const { return w_; }
  double alarm_at() const { return alarm_at_; }

  void add(const Observation& seen, Scope scope);
  Verdict verdict() const { return w_ >= alarm_at_ ? Verdict::Fail : Verdict::Continue; }
  Evaluation evaluate() const;

 private:
  CusumTest test_;
  double step_bad_, step_good_, alarm_at_;
  double w_ = 0;
  std::uint64_t bad_ = 0, requests_ = 0;  ///< since W was last 0
};

/// Requests from the fault to the alarm on average, without overshoot: ln(between) / kl.
double cusum_delay(const CusumTest& test);

}  // namespace coalmine::rollout
