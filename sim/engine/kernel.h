// The inner loops of the virtual world: modelled requests, many millions a second.
//
// Between two events nothing changes, so the requests of such a stretch are independent and
// alike: a Regime holds all that is constant (routes and weights, faults, latencies). Ways
// to play a stretch, with the same results in distribution:
//
//   generate()       one random draw per request, whose bits say where it goes, whether it fails
//                    and how long it takes. No allocation, no virtual call, no clock.
//   task_pool.h      one by one in the order of time, where requests queue or faults remember
//   aggregate.h      only counts, whose cost does not grow with the rate
//   affinity.h       one by one, where users keep the version they met first
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "sim/core/histogram.h"
#include "sim/core/random.h"
#include "sim/core/time.h"
#include "sim/engine/behaviour.h"
#include "sim/engine/latency_table.h"
#include "sim/engine/world/world.h"

namespace coalmine::engine {

inline constexpr std::size_t kMaxTargets = 10;

/// Where the requests of one segment go.
struct SegmentRegime {
  SegmentFacts facts;
  double share = 1;         ///< of all requests
  bool refused = false;     ///< no route, or no weight: every request is dropped
  std::size_t targets = 0;  ///< with a weight
  /// Behind those: without a weight, for users who keep the version they met (affinity.h).
  std::size_t idle = 0;
  Duration sticky{};  ///< so long they keep it; zero: not at all
  /// Target k takes draws in [edge[k-1], edge[k]): the same requests that traffic::pick gives it
  /// for the same draw. The last edge is 2^64 and left out.
  std::array<std::uint64_t, kMaxTargets> edges{};
  std::array<double, kMaxTargets> weight{};        ///< share of the segment's requests
  std::array<std::size_t, kMaxTargets> version{};  ///< index in Spec::versions
  std::array<bool, kMaxTargets> up{};              ///< whether the target has an instance
  std::array<Behaviour, kMaxTargets> behaviour;
  Retrying retrying;
};

/// The target that a draw falls on.
inline std::size_t target_of(const SegmentRegime& segment, std::uint64_t draw) {
  std::size_t target = 0;
  for (std::size_t k = 0; k + 1 < segment.targets; ++k) target += draw >= segment.edges[k] ? 1 : 0;
  return target;
}

/// How a request ended for its user, with all its attempts.
struct Tried {
  world::Ending ending = world::Ending::Ok;
  Duration latency{};  ///< if there was an answer
};
/// Makes attempts at a target until one is not made again. `draw`: decides the first of them;
/// `spent` by the `done` ones before. Adds to `retries`.
Tried make_attempts(const SegmentRegime& segment, std::size_t target, const LatencyTable& table,
                    std::uint64_t draw, Duration spent, int done, Random& random,
                    std::uint64_t& retries);

/// Smallest 64-bit draw that scale_draw(draw, total) maps to `cumulative` or more.
std::uint64_t edge_of(std::uint64_t cumulative, std::uint64_t total);

struct VersionRegime {
  std::shared_ptr<const LatencyTable> latency;
  bool ordered = false;  ///< played one by one by its tasks; behaviours are not looked at
};

struct Regime {
  std::vector<SegmentRegime> segments;
  std::vector<VersionRegime> versions;
};

/// What became of a version's requests of one segment.
struct SegmentMeter {
  std::uint64_t requests = 0;  ///< begun
  std::array<std::uint64_t, world::kEndings> endings{};
};

/// What a version did since the meter was last cleared. The fast loop counts its requests in
/// `fast_requests`, and by latency part; the others are in `requests`, `endings` and `other`.
struct Meter {
  std::uint64_t requests = 0;
  std::array<std::uint64_t, world::kEndings> endings{};
  Histogram other;
  std::uint64_t fast_requests = 0;  ///< begun and answered well at once
  /// Picked this version and found no task of it: the gateway answered 503. Not in `requests`.
  std::uint64_t dropped = 0;
  std::uint64_t retries = 0;  ///< attempts beyond the first of each request
  /// The same by latency part, since the run began: clearing 16 KB a period costs more than the
  /// period's requests, and most runs read latencies only at the end.
  std::array<std::uint32_t, LatencyTable::kSize> fast{};
  /// By index in Regime::segments, of those that are counted: as many as the scenario names, so
  /// that the unnamed rest behind them costs nothing. Here the fast loop's requests count as well.
  std::vector<SegmentMeter> segments;
  /// Where requests count that no user waits for: those of segments from `beside_from` on.
  Meter* beside = nullptr;
  Duration timeout = world::kMeshRequestTimeout;  ///< the gateway's patience
  std::size_t beside_from = std::numeric_limits<std::size_t>::max();

  Meter& of(std::size_t segment) { return segment < beside_from ? *this : *beside; }
  bool counts(std::size_t segment) const { return segment < segments.size(); }
  void begin(std::size_t segment) {
    ++requests;
    if (counts(segment)) ++segments[segment].requests;
  }
  /// A request ended so after `latency`, unless the gateway had lost patience before.
  void end(world::Ending ending, Duration latency, std::size_t segment);
  std::uint64_t total() const { return requests + fast_requests; }  ///< begun
  /// A task that may crash has requests under way: these end in a later span than they begin.
  std::uint64_t ended() const;
  void clear();
};

/// Requests by version and segment that are left to the versions' tasks.
using OrderedCounts = std::vector<std::vector<std::uint64_t>>;

/// How many of `count` requests fall on each segment: `each(segment index, n)` one by one.
template <typename Each>
void split_by_segment(const Regime& regime, std::uint64_t count, Random& random, Each each) {
  double left = 1;
  for (std::size_t i = 0; i < regime.segments.size() && count > 0; ++i) {
    const double share = regime.segments[i].share;
    const bool last = i + 1 == regime.segments.size();
    const std::uint64_t n = last || share >= left ? count : random.binomial(count, share / left);
    each(i, n);
    count -= n;
    left -= share;
  }
}

/// Models `count` requests, into one meter per version. `dropped` counts those that never reach a
/// version, `ordered` gets those of ordered versions.
void generate(const Regime& regime, std::uint64_t count, Random& random, std::vector<Meter>& meters,
              std::uint64_t& dropped, OrderedCounts& ordered);

}  // namespace coalmine::engine
