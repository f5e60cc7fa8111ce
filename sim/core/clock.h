#pragma once

#include "sim/core/time.h"

namespace coalmine {

/// Where a shell's time comes from: the steady clock, the same sped up, or a virtual event
/// queue. The core proper never holds one; it is handed TimePoints.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimePoint now() = 0;
  /// Returns at `t` or later, or earlier when the world is being stopped.
  virtual void sleep_until(TimePoint t) = 0;
};

}  // namespace coalmine
