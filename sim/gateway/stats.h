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
  std::uint64_t unserved = 0;            ///< of them those that no instance could be asked for: 503
  std::map<int, std::uint64_t> own_answers;  ///< by status: of them those that we gave ourselves
  std::uint64_t attempts = 0;
  std::uint64_t retries = 0;
  std::uint64_t resends = 0;  ///< of requests that a kept connection's end had not let through
  std::uint64_t connect_failures = 0;
  std::uint64_t resets = 0;
  std::uint64_t timeouts = 0;
  std::uint64_t overflows = 0;        ///< too many waited for a connection already
  std::uint64_t retries_spent = 0;    ///< requests that failed after all their retries
  std::uint64_t retry_overflows = 0;  ///< too many retries were going on already
  std::uint64_t reads_paused = 0;     ///< answers held back until their client took more
  Histogram latency;                  ///< request begun to response ended, of answered requests

  std::uint64_t bytes_received = 0;  ///< of request bodies
  std::uint64_t bytes_sent = 0;      ///< of response bodies
  std::uint64_t uncopied = 0;  ///< of a mirror: requests too large, or too many copies under way

  std::uint64_t tunnels_total = 0;  ///< connections carried: WebSockets, and all of a tcp listener
  std::uint64_t tunnels_active = 0;
  std::uint64_t tunnel_bytes_up = 0;  ///< from clients to the target
  std::uint64_t tunnel_bytes_down = 0;

  void merge(const TargetStats& other);
};

/// An instance of a cluster: one task, as long as the table names it or it drains.
struct InstanceKey {
  std::string cluster;  ///< the target's name, as traffic::ClusterIndex has it
  std::string id;
  std::string address;  ///< "127.0.0.1:9001"
  auto operator<=>(const InstanceKey&) const = default;
};

/// Counts of one instance. Every attempt ends in one of `codes`, unless the client left first, the
/// request was resent (TargetStats::resends), or it is a tcp connection that was made.
struct InstanceStats {
  std::uint64_t requests = 0;  ///< that were answered to the end by it
  std::uint64_t attempts = 0;
  std::array<std::uint64_t, 6> codes{};  ///< attempts by class of answer; [0]: there was none
  std::uint64_t connect_failures = 0;
  std::uint64_t resets = 0;
  std::uint64_t timeouts = 0;
  std::uint64_t overflows = 0;
  std::uint64_t ejections = 0;
  std::uint64_t checks = 0;  ///< active health checks, of every worker
  std::uint64_t check_failures = 0;
  std::uint64_t connections_total = 0;
  std::uint64_t connections_active = 0;
  std::uint64_t requests_active = 0;
  std::uint64_t requests_waiting = 0;  ///< for a connection
  bool draining = false;      ///< the table does not name it any more, requests are still on it
  bool unhealthy = false;     ///< the table says so
  bool ejected = false;       ///< by a worker's outlier detection
  bool check_failed = false;  ///< a worker's health checks fail, or have not ended yet
  Histogram latency;          ///< attempt begun to response head

  void merge(const InstanceStats& other);
  /// Envoy's health flags: "healthy", or "/failed_active_hc/failed_outlier_check" and the like.
  std::string health_flags() const;
};

/// Latency buckets for the outside: upper bound in microseconds and count.
using LatencyBuckets = std::vector<std::pair<std::uint64_t, std::uint64_t>>;

struct ListenerStats {
  std::uint64_t connections_total = 0;
  std::uint64_t connections_active = 0;
  std::uint64_t requests = 0;
  std::uint64_t malformed = 0;
  /// Requests that were looked at twice, by class: compliant, acceptable, ambiguous, severe.
  std::array<std::uint64_t, 4> desync{};
  std::uint64_t connections_shed = 0;     ///< idle ones that made room for new ones
  std::uint64_t connections_refused = 0;  ///< new ones for which there was none
  std::uint64_t http2_refused = 0;        ///< connections that began with HTTP/2; malformed, too
  std::uint64_t tls_handshakes = 0;
  std::uint64_t tls_failures = 0;    ///< handshakes that failed
  std::uint64_t upgrades_total = 0;  ///< requests that became WebSockets
  std::uint64_t upgrades_active = 0;
  std::uint64_t reads_paused = 0;  ///< clients held back until what they sent was passed on
  void merge(const ListenerStats& other);
};

struct GatewayStats {
  std::uint64_t version = 0;  ///< of the route table in force
  std::map<StatsKey, TargetStats> targets;
  std::map<StatsKey, TargetStats> mirrors;  ///< copies of requests; no user saw their results
  std::map<InstanceKey, InstanceStats> instances;
  std::map<std::string, ListenerStats> listeners;
  std::map<std::string, std::uint64_t> local_replies;  ///< by Envoy's flag: NR, UH, UF, ...
  std::uint64_t upstream_connections_total = 0;
  std::uint64_t upstream_connections_active = 0;
  void merge(const GatewayStats& other);
};

}  // namespace coalmine::gateway
