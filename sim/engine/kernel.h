// The inner loop of the virtual world: modelled requests, many millions a second.
//
// Between two events nothing changes, so the requests of such a stretch are independent and
// alike: a Regime holds all that is constant (routes and weights, faults, latencies), and
// generate() models every request of the stretch with one random draw, whose bits say where it
// goes, whether it fails and how long it takes. No allocation, no virtual call, no clock.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "sim/core/histogram.h"
#include "sim/core/random.h"
#include "sim/core/time.h"
#include "sim/engine/latency_table.h"
#include "sim/engine/world/world.h"

namespace coalmine::engine {

inline constexpr std::size_t kMaxTargets = 10;
inline constexpr Duration kRequestTimeout = std::chrono::seconds{15};  ///< App Mesh's default

/// What one version makes of a request of one segment.
struct Behaviour {
  struct Failure {
    std::uint64_t below = 0;  ///< of 2^32, cumulative
    world::Ending ending = world::Ending::Error;
  };
  std::vector<Failure> failures;
  std::uint64_t failure_below = 0;  ///< the last one's bound; 0: never fails
  struct Delay {
    std::uint64_t below = 0;  ///< of 2^32
    std::shared_ptr<const LatencyTable> table;
  };
  std::vector<Delay> delays;
};

/// "Each fault is drawn by itself, the first failure wins, delays add up", as in
/// sim/traffic/faults.
Behaviour make_behaviour(const std::vector<world::Fault>& faults, const std::string& segment);

/// Where the requests of one segment go.
struct SegmentRegime {
  double share = 1;         ///< of all requests
  bool refused = false;     ///< no route, or no weight: every request is dropped
  std::size_t targets = 0;  ///< with a weight
  /// Target k takes draws in [edge[k-1], edge[k]): the same requests that traffic::pick gives it
  /// for the same draw. The last edge is 2^64 and left out.
  std::array<std::uint64_t, kMaxTargets> edges{};
  std::array<std::size_t, kMaxTargets> version{};  ///< index in Spec::versions
  std::array<bool, kMaxTargets> up{};              ///< whether the target has an instance
  std::array<Behaviour, kMaxTargets> behaviour;
};

/// Smallest 64-bit draw that scale_draw(draw, total) maps to `cumulative` or more.
std::uint64_t edge_of(std::uint64_t cumulative, std::uint64_t total);

struct VersionRegime {
  std::shared_ptr<const LatencyTable> latency;
  int tasks = 1;
  Duration service_time{};  ///< of one request at one task; zero: no limit, no queue
};

struct Regime {
  std::vector<SegmentRegime> segments;
  std::vector<VersionRegime> versions;
  bool queues() const;
};

/// What a version did since the meter was last cleared. The fast loop counts a request by its
/// latency part alone; the others are in `requests`, `endings` and `other`.
struct Meter {
  std::uint64_t requests = 0;
  std::array<std::uint64_t, world::kEndings> endings{};
  Histogram other;
  std::array<std::uint32_t, LatencyTable::kSize> fast{};  ///< answered well, by latency part

  std::uint64_t fast_requests() const;
  std::uint64_t total() const;
  void clear();
};

/// When each task has worked off what it was given.
struct Queues {
  std::vector<std::vector<TimePoint>> free_at;  ///< by version and task
  std::vector<std::size_t> next_task;           ///< round robin, as Envoy does
};

/// Models `count` requests that arrive within [begin, end), into one meter per version.
/// `dropped` counts those that never reach a version.
void generate(const Regime& regime, std::uint64_t count, Random& random, std::vector<Meter>& meters,
              std::uint64_t& dropped);

/// The same with tasks that queue: arrivals need an order, so each is placed in time;
/// `even`: at equal distances.
void generate_queued(const Regime& regime, std::uint64_t count, TimePoint begin, TimePoint end,
                     bool even, Random& random, std::vector<Meter>& meters, Queues& queues,
                     std::uint64_t& dropped);

}  // namespace coalmine::engine
