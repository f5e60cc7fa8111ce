#include "sim/rollout/metrics.h"

#include <algorithm>

namespace coalmine::rollout {

std::uint64_t VersionCounts::slower_than(Duration over) const {
  for (const SlowCount& s : slow) {
    if (s.over == over) return s.count;
  }
  return 0;
}

VersionCounts& VersionCounts::operator+=(const VersionCounts& other) {
  requests += other.requests;
  errors += other.errors;
  for (const SlowCount& more : other.slow) {
    const auto at = std::find_if(slow.begin(), slow.end(),
                                 [&more](const SlowCount& s) { return s.over >= more.over; });
    if (at != slow.end() && at->over == more.over) {
      at->count += more.count;
    } else {
      slow.insert(at, more);
    }
  }
  return *this;
}

}  // namespace coalmine::rollout
