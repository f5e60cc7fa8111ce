#include "sim/lab/segment_counter.h"

namespace coalmine::lab {

void SegmentCounter::add(const Seen& seen) {
  using world::Ending;
  if (seen.version < 0 || seen.segment >= spec_.traffic.segments.size()) return;
  // CloudWatch's periods, which do not begin with the scenario.
  const TimePoint ended = start_ + seen.due + seen.latency;
  const TimePoint period = ended - ended.time_since_epoch() % spec_.platform.metric_period;
  const bool error = seen.ending == Ending::Error || seen.ending == Ending::Reset ||
                     seen.ending == Ending::Timeout;
  const std::lock_guard lock(mutex_);
  Counts& counts = counts_[{period, static_cast<std::size_t>(seen.version), seen.segment}];
  ++counts.requests;
  counts.errors += error ? 1 : 0;
}

std::vector<SegmentCount> SegmentCounter::take() {
  std::map<std::tuple<TimePoint, std::size_t, std::size_t>, Counts> taken;
  {
    const std::lock_guard lock(mutex_);
    taken.swap(counts_);
  }
  std::vector<SegmentCount> list;
  for (const auto& [where, counts] : taken) {
    const auto& [period, version, segment] = where;
    list.push_back({period, version, segment, counts.requests, counts.errors});
  }
  return list;
}

}  // namespace coalmine::lab
