#include "sim/rollout/analysis/threshold.h"

namespace coalmine::rollout {

void ShareLimit::add(std::uint64_t bad, std::uint64_t requests) {
  if (breached()) return;
  open_bad_ += bad;
  open_requests_ += requests;
  if (open_requests_ == 0 || open_requests_ < min_requests_) return;
  judged_bad_ = open_bad_;
  judged_requests_ = open_requests_;
  open_bad_ = open_requests_ = 0;
  const double share = static_cast<double>(judged_bad_) / static_cast<double>(judged_requests_);
  breaches_ = share > limit_ ? breaches_ + 1 : 0;
}

void ShareLimit::next_step() {
  breaches_ = 0;
  open_bad_ = open_requests_ = 0;
  judged_bad_ = judged_requests_ = 0;
}

}  // namespace coalmine::rollout
