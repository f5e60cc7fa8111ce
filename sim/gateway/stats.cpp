#include "sim/gateway/stats.h"

namespace coalmine::gateway {

void TargetStats::merge(const TargetStats& other) {
  requests += other.requests;
  for (std::size_t i = 0; i < codes.size(); ++i) codes[i] += other.codes[i];
  attempts += other.attempts;
  retries += other.retries;
  connect_failures += other.connect_failures;
  resets += other.resets;
  timeouts += other.timeouts;
  latency.merge(other.latency);
}

void ListenerStats::merge(const ListenerStats& other) {
  connections_total += other.connections_total;
  connections_active += other.connections_active;
  requests += other.requests;
  malformed += other.malformed;
}

void GatewayStats::merge(const GatewayStats& other) {
  version = std::max(version, other.version);
  for (const auto& [key, stats] : other.targets) targets[key].merge(stats);
  for (const auto& [name, stats] : other.listeners) listeners[name].merge(stats);
  for (const auto& [flag, count] : other.local_replies) local_replies[flag] += count;
  upstream_connections_total += other.upstream_connections_total;
  upstream_connections_active += other.upstream_connections_active;
}

}  // namespace coalmine::gateway
