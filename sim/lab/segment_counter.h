#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <tuple>
#include <vector>

#include "sim/engine/world/world.h"
#include "sim/lab/tally.h"

namespace coalmine::lab {

/// Requests of a version in a named segment that ended in a metric period.
struct SegmentCount {
  TimePoint period;  ///< its begin
  std::size_t version = 0, segment = 0;
  std::uint64_t requests = 0, errors = 0;
  bool operator==(const SegmentCount&) const = default;
};

/// Counts by segment what no gateway reports: in a live run the load generator is the one who
/// knows which segment a request belongs to. Any thread.
class SegmentCounter {
 public:
  /// `start`: when the scenario began, from which requests count their time.
  SegmentCounter(const world::Spec& spec, TimePoint start) : spec_(spec), start_(start) {}

  void add(const Seen& seen);
  /// What was added since the last call, by period, version and segment.
  std::vector<SegmentCount> take();

 private:
  struct Counts {
    std::uint64_t requests = 0, errors = 0;
  };
  const world::Spec& spec_;
  const TimePoint start_;
  std::mutex mutex_;
  std::map<std::tuple<TimePoint, std::size_t, std::size_t>, Counts> counts_;
};

}  // namespace coalmine::lab
