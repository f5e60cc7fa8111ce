#include "sim/aws/real_clock.h"

#include <algorithm>
#include <thread>

namespace coalmine::aws {
namespace {

/// How long a stop may go unnoticed.
constexpr Duration kSlice = std::chrono::milliseconds{50};

/// `d` times `factor`, exactly `d` for 1.
Duration scaled(Duration d, double factor) {
  if (factor == 1) return d;
  return Duration{static_cast<std::int64_t>(static_cast<double>(d.count()) * factor)};
}

}  // namespace

void sleep_in_slices(Clock& clock, TimePoint t, double speed, const std::atomic<bool>* stop) {
  for (TimePoint at = clock.now(); at < t; at = clock.now()) {
    if (stop != nullptr && stop->load()) return;
    std::this_thread::sleep_for(std::min(kSlice, scaled(t - at, 1 / speed) + Duration{1}));
  }
}

RealClock::RealClock(const std::atomic<bool>* stop)
    : RealClock(TimePoint{std::chrono::system_clock::now().time_since_epoch()}, 1, stop) {}

RealClock::RealClock(TimePoint time, double speed, const std::atomic<bool>* stop)
    : begin_(time), speed_(speed), stop_(stop), steady_(std::chrono::steady_clock::now()) {}

TimePoint RealClock::now() {
  return begin_ + scaled(std::chrono::steady_clock::now() - steady_, speed_);
}

}  // namespace coalmine::aws
