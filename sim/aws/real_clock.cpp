#include "sim/aws/real_clock.h"

#include <algorithm>
#include <thread>

namespace coalmine::aws {
namespace {

/// How long a stop may go unnoticed.
constexpr Duration kSlice = std::chrono::milliseconds{50};

}  // namespace

RealClock::RealClock(const std::atomic<bool>* stop)
    : stop_(stop),
      wall_(std::chrono::duration_cast<Duration>(
          std::chrono::system_clock::now().time_since_epoch())),
      steady_(std::chrono::steady_clock::now()) {}

TimePoint RealClock::now() {
  return wall_ + std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now() - steady_);
}

void RealClock::sleep_until(TimePoint t) {
  for (TimePoint at = now(); at < t; at = now()) {
    if (stop_ != nullptr && stop_->load()) return;
    std::this_thread::sleep_for(std::min(kSlice, t - at));
  }
}

}  // namespace coalmine::aws
