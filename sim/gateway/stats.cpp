#include "sim/gateway/stats.h"

namespace coalmine::gateway {

void TargetStats::merge(const TargetStats& other) {
  requests += other.requests;
  for (std::size_t i = 0; i < codes.size(); ++i) codes[i] += other.codes[i];
  unserved += other.unserved;
  for (const auto& [status, count] : other.own_answers) own_answers[status] += count;
  attempts += other.attempts;
  retries += other.retries;
  resends += other.resends;
  connect_failures += other.connect_failures;
  resets += other.resets;
  timeouts += other.timeouts;
  overflows += other.overflows;
  retries_spent += other.retries_spent;
  retry_overflows += other.retry_overflows;
  reads_paused += other.reads_paused;
  latency.merge(other.latency);
  bytes_received += other.bytes_received;
  bytes_sent += other.bytes_sent;
  uncopied += other.uncopied;
  tunnels_total += other.tunnels_total;
  tunnels_active += other.tunnels_active;
  tunnel_bytes_up += other.tunnel_bytes_up;
  tunnel_bytes_down += other.tunnel_bytes_down;
}

void InstanceStats::merge(const InstanceStats& other) {
  requests += other.requests;
  attempts += other.attempts;
  for (std::size_t i = 0; i < codes.size(); ++i) codes[i] += other.codes[i];
  connect_failures += other.connect_failures;
  resets += other.resets;
  timeouts += other.timeouts;
  overflows += other.overflows;
  ejections += other.ejections;
  checks += other.checks;
  check_failures += other.check_failures;
  connections_total += other.connections_total;
  connections_active += other.connections_active;
  requests_active += other.requests_active;
  requests_waiting += other.requests_waiting;
  draining |= other.draining;
  unhealthy |= other.unhealthy;
  ejected |= other.ejected;
  check_failed |= other.check_failed;
  latency.merge(other.latency);
}

std::string InstanceStats::health_flags() const {
  std::string out;
  if (check_failed) out += "/failed_active_hc";
  if (ejected) out += "/failed_outlier_check";
  if (unhealthy) out += "/failed_eds_health";
  if (draining) out += "/pending_dynamic_removal";
  return out.empty() ? "healthy" : out;
}

void ListenerStats::merge(const ListenerStats& other) {
  connections_total += other.connections_total;
  connections_active += other.connections_active;
  requests += other.requests;
  malformed += other.malformed;
  for (std::size_t i = 0; i < desync.size(); ++i) desync[i] += other.desync[i];
  connections_shed += other.connections_shed;
  connections_refused += other.connections_refused;
  http2_refused += other.http2_refused;
  tls_handshakes += other.tls_handshakes;
  tls_failures += other.tls_failures;
  upgrades_total += other.upgrades_total;
  upgrades_active += other.upgrades_active;
  reads_paused += other.reads_paused;
}

void GatewayStats::merge(const GatewayStats& other) {
  version = std::max(version, other.version);
  for (const auto& [key, stats] : other.targets) targets[key].merge(stats);
  for (const auto& [key, stats] : other.mirrors) mirrors[key].merge(stats);
  for (const auto& [key, stats] : other.instances) instances[key].merge(stats);
  for (const auto& [name, stats] : other.listeners) listeners[name].merge(stats);
  for (const auto& [flag, count] : other.local_replies) local_replies[flag] += count;
  upstream_connections_total += other.upstream_connections_total;
  upstream_connections_active += other.upstream_connections_active;
}

}  // namespace coalmine::gateway
