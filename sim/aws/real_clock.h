#pragma once

#include <atomic>
#include <chrono>

#include "sim/core/clock.h"

namespace coalmine::aws {

/// Wall time as it was at construction, moved on by the steady clock: signatures need the former,
/// bakes the latter. sleep_until returns early once `stop` is set, if one is given.
class RealClock : public Clock {
 public:
  explicit RealClock(const std::atomic<bool>* stop = nullptr);
  TimePoint now() override;
  void sleep_until(TimePoint t) override;

 private:
  const std::atomic<bool>* stop_;
  TimePoint wall_;
  std::chrono::steady_clock::time_point steady_;
};

}  // namespace coalmine::aws
