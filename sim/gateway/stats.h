#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "sim/core/histogram.h"

namespace coalmine::gateway {

/// What a count is about. Requests that were answered before a pick have no target.
struct StatsKey {
  std::string listener;
  std::string route;
  std::string target;
  auto operator<=>(const StatsKey&) const = default;
};

/// Counts of one target behind one route. Requests are what users saw; attempts are what the
/// target saw: retries hide errors, so the two are kept apart.
struct TargetStats {
  std::uint64_t requests = 0;
  std::array<std::uint64_t, 6> codes{};  ///< by class, [2] = 2xx; [0]: the client left or was cut
  std::uint64_t attempts = 0;
  std::uint64_t retries = 0;
  std::uint64_t connect_failures = 0;
  std::uint64_t resets = 0;
  std::uint64_t timeouts = 0;
  Histogram latency;  ///< request begun to response ended, of answered requests

  void merge(const TargetStats& other);
};

/// Latency buckets for the outside: upper bound in microseconds and count.
using LatencyBuckets = std::vector<std::pair<std::uint64_t, std::uint64_t>>;

struct ListenerStats {
  std::uint64_t connections_total = 0;
  std::uint64_t connections_active = 0;
  std::uint64_t requests = 0;
  std::uint64_t malformed = 0;
  void merge(const ListenerStats& other);
};

struct GatewayStats {
  std::uint64_t version = 0;  ///< of the route table in force
  std::map<StatsKey, TargetStats> targets;
  std::map<std::string, ListenerStats> listeners;
  std::map<std::string, std::uint64_t> local_replies;  ///< by Envoy's flag: NR, UH, UF, ...
  std::uint64_t upstream_connections_total = 0;
  std::uint64_t upstream_connections_active = 0;
  void merge(const GatewayStats& other);
};

}  // namespace coalmine::gateway
