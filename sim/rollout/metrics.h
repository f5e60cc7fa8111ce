#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/core/time.h"

namespace coalmine::rollout {

/// How many requests took longer than `over`.
struct SlowCount {
  Duration over{};
  std::uint64_t count = 0;
  bool operator==(const SlowCount&) const = default;
};

/// What one version did in a stretch of time.
struct VersionCounts {
  std::uint64_t requests = 0;
  std::uint64_t errors = 0;     ///< 5xx answers and requests without an answer
  std::vector<SlowCount> slow;  ///< one per latency limit that was asked for, rising
  std::uint64_t slower_than(Duration over) const;
  VersionCounts& operator+=(const VersionCounts& other);
  bool operator==(const VersionCounts&) const = default;
};

/// A part of the traffic, for tests per segment.
struct SegmentCounts {
  std::string name;
  VersionCounts stable, canary;
  VersionCounts baseline = {};
  bool operator==(const SegmentCounts&) const = default;
};

/// One datapoint of all versions: requests finished in [from, to).
struct MetricsWindow {
  TimePoint from, to;
  VersionCounts stable, canary;
  /// Those segments that analyses ask for (see segments_of) and that had a request.
  std::vector<SegmentCounts> segments = {};
  VersionCounts baseline = {};  ///< an experiment's fresh copy of stable
  bool operator==(const MetricsWindow&) const = default;
};

}  // namespace coalmine::rollout
