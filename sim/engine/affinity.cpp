#include "sim/engine/affinity.h"

namespace coalmine::engine {
namespace {

/// The segment that a draw falls on; the last one takes what rounding leaves.
std::size_t segment_of(const Regime& regime, double u) {
  for (std::size_t i = 0; i + 1 < regime.segments.size(); ++i) {
    if (u < regime.segments[i].share) return i;
    u -= regime.segments[i].share;
  }
  return regime.segments.size() - 1;
}

}  // namespace

Affinity::Affinity(std::uint64_t users, std::size_t canary, std::size_t segments, Random random)
    : kept_(users),
      met_there_(segments, std::vector<bool>(users)),
      canary_(canary),
      random_(random) {
  met_.by_segment.resize(segments);
}

/// The canary serves a request of this user.
void Affinity::meet(std::size_t user, std::size_t segment) {
  met_.all += kept_[user].met_canary ? 0 : 1;
  kept_[user].met_canary = true;
  if (segment >= met_there_.size()) return;
  met_.by_segment[segment] += met_there_[segment][user] ? 0 : 1;
  met_there_[segment][user] = true;
}

std::size_t Affinity::choose(const SegmentRegime& segment, Kept& kept, TimePoint now,
                             std::uint64_t draw) const {
  if (segment.sticky <= Duration{}) return target_of(segment, draw);
  for (std::size_t k = 0; now < kept.until && k < segment.targets + segment.idle; ++k) {
    if (segment.version[k] == kept.version) return k;
  }
  const std::size_t target = target_of(segment, draw);
  kept.until = now + segment.sticky;
  kept.version = static_cast<std::uint32_t>(segment.version[target]);
  return target;
}

void Affinity::generate(const Regime& regime, std::uint64_t count, TimePoint begin, TimePoint end,
                        Random& random, std::vector<Meter>& meters, std::uint64_t& dropped,
                        OrderedCounts& ordered) {
  const double gap = to_seconds(end - begin) / static_cast<double>(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    const TimePoint now = begin + from_seconds((static_cast<double>(i) + 0.5) * gap);
    const std::size_t user = random_.below(kept_.size());
    const std::size_t index =
        regime.segments.size() == 1 ? 0 : segment_of(regime, random_.uniform());
    const SegmentRegime& segment = regime.segments[index];
    if (segment.refused) {
      ++dropped;
      continue;
    }
    const std::uint64_t draw = random.next();
    const std::size_t target = choose(segment, kept_[user], now, draw);
    const std::size_t v = segment.version[target];
    if (v == canary_ && segment.up[target]) meet(user, index);
    Meter& meter = meters[v];
    if (!segment.up[target]) {
      ++dropped;
      ++meter.dropped;
    } else if (regime.versions[v].ordered) {
      ++ordered[v][index];
    } else {
      meter.begin(index);
      const Tried tried = make_attempts(segment, target, *regime.versions[v].latency, draw,
                                        Duration{}, 0, random, meter.retries);
      meter.end(tried.ending, tried.latency, index);
    }
  }
}

}  // namespace coalmine::engine
