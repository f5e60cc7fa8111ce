#pragma once

#include <atomic>
#include <chrono>

#include "sim/core/clock.h"

namespace coalmine::aws {

/// Sleeps until `clock`, which runs `speed` times faster than real time, shows `t`, in slices:
/// returns soon after `stop` is set, if one is given.
void sleep_in_slices(Clock& clock, TimePoint t, double speed, const std::atomic<bool>* stop);

/// Time as it was at construction, moved on by the steady clock: signatures need the former, bakes
/// the latter. sleep_until returns early once `stop` is set, if one is given.
class RealClock : public Clock {
 public:
  /// Wall time.
  explicit RealClock(const std::atomic<bool>* stop = nullptr);
  /// It is `time` now, and time runs `speed` times faster than the wall's.
  RealClock(TimePoint time, double speed, const std::atomic<bool>* stop);
  TimePoint now() override;
  void sleep_until(TimePoint t) override { sleep_in_slices(*this, t, speed_, stop_); }

 private:
  const TimePoint begin_;
  const double speed_;
  const std::atomic<bool>* stop_;
  const std::chrono::steady_clock::time_point steady_;
};

}  // namespace coalmine::aws
