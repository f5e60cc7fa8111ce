#pragma once

#include <cstdint>

#include "sim/rollout/plan.h"

namespace coalmine::rollout {

/// A plain limit on the share of bad requests per window: `limit` is the largest share allowed.
/// Windows are joined until they hold `min_requests`; `consecutive` breaches in a row fail. No
/// promise about false alarms: that is what the sequential tests are for.
class ShareLimit {
 public:
  ShareLimit(double limit, std::uint64_t min_requests, int consecutive)
      : limit_(limit), min_requests_(min_requests), consecutive_(consecutive) {}

  void add(std::uint64_t bad, std::uint64_t requests);
  /// A new weight step begins: breaches seen at the old weight no longer count.
  void next_step();

  bool breached() const { return breaches_ >= consecutive_; }
  int breaches() const { return breaches_; }
  int consecutive() const { return consecutive_; }
  double limit() const { return limit_; }
  std::uint64_t bad() const { return judged_bad_; }            ///< in the last judged window
  std::uint64_t requests() const { return judged_requests_; }  ///< in the last judged window

 private:
  double limit_;
  std::uint64_t min_requests_;
  int consecutive_;
  int breaches_ = 0;
  std::uint64_t open_bad_ = 0, open_requests_ = 0;
  std::uint64_t judged_bad_ = 0, judged_requests_ = 0;
};

}  // namespace coalmine::rollout
