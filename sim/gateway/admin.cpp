#include "sim/gateway/admin.h"

#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "sim/gateway/cluster_report.h"

namespace coalmine::gateway {
namespace {

constexpr std::string_view kDesyncClasses[] = {"compliant", "acceptable", "ambiguous", "severe"};

std::string label(const std::string& text) {
  return text.empty() ? "-" : text;
}

/// Everything that is counted, under Envoy-like names.
Values named_values(const GatewayStats& stats) {
  Values out = {{"coalmine.route_table.version", stats.version},
                {"server.live", stats.version > 0 ? 1U : 0U},
                {"cluster_manager.upstream_cx_total", stats.upstream_connections_total},
                {"cluster_manager.upstream_cx_active", stats.upstream_connections_active}};
  for (const auto& [flag, count] : stats.local_replies) {
    out.emplace_back("http.ingress.local_replies." + flag, count);
  }
  for (const auto& [name, l] : stats.listeners) {
    const std::string base = "listener." + name + ".";
    out.emplace_back(base + "downstream_cx_total", l.connections_total);
    out.emplace_back(base + "downstream_cx_active", l.connections_active);
    out.emplace_back(base + "downstream_rq_total", l.requests);
    out.emplace_back(base + "downstream_rq_malformed", l.malformed);
    for (std::size_t i = 1; i < l.desync.size(); ++i) {
      out.emplace_back(fmt::format("{}desync.{}", base, kDesyncClasses[i]), l.desync[i]);
    }
    out.emplace_back(base + "downstream_cx_shed", l.connections_shed);
    out.emplace_back(base + "downstream_cx_overflow", l.connections_refused);
    out.emplace_back(base + "downstream_cx_http2_refused", l.http2_refused);
    out.emplace_back(base + "ssl.handshake", l.tls_handshakes);
    out.emplace_back(base + "ssl.connection_error", l.tls_failures);
    out.emplace_back(base + "downstream_cx_upgrades_total", l.upgrades_total);
    out.emplace_back(base + "downstream_cx_upgrades_active", l.upgrades_active);
    out.emplace_back(base + "downstream_flow_control_paused_reading_total", l.reads_paused);
  }
  for (const auto& [key, t] : stats.targets) {
    const std::string base =
        fmt::format("cluster.{}.{}.{}.", label(key.listener), label(key.route), label(key.target));
    out.emplace_back(base + "downstream_rq_total", t.requests);
    for (std::size_t i = 1; i < t.codes.size(); ++i) {
      out.emplace_back(fmt::format("{}downstream_rq_{}xx", base, i), t.codes[i]);
    }
    out.emplace_back(base + "downstream_rq_aborted", t.codes[0]);
    out.emplace_back(base + "upstream_cx_none_healthy", t.unserved);
    out.emplace_back(base + "upstream_rq_total", t.attempts);
    out.emplace_back(base + "upstream_rq_retry", t.retries);
    out.emplace_back(base + "upstream_rq_resent", t.resends);
    out.emplace_back(base + "upstream_rq_timeout", t.timeouts);
    out.emplace_back(base + "upstream_cx_connect_fail", t.connect_failures);
    out.emplace_back(base + "upstream_cx_reset", t.resets);
    out.emplace_back(base + "upstream_rq_pending_overflow", t.overflows);
    out.emplace_back(base + "upstream_rq_retry_limit_exceeded", t.retries_spent);
    out.emplace_back(base + "upstream_rq_retry_overflow", t.retry_overflows);
    out.emplace_back(base + "upstream_flow_control_paused_reading_total", t.reads_paused);
    out.emplace_back(base + "downstream_rq_rx_bytes_total", t.bytes_received);
    out.emplace_back(base + "downstream_rq_tx_bytes_total", t.bytes_sent);
    out.emplace_back(base + "tunnels_total", t.tunnels_total);
    out.emplace_back(base + "tunnels_active", t.tunnels_active);
    out.emplace_back(base + "tunnel_bytes_sent", t.tunnel_bytes_up);
    out.emplace_back(base + "tunnel_bytes_received", t.tunnel_bytes_down);
    for (const double q : {0.5, 0.9, 0.99}) {
      out.emplace_back(fmt::format("{}rq_time_us.p{:g}", base, q * 100),
                       microseconds(t.latency.quantile(q)));
    }
    out.emplace_back(base + "rq_time_us.max", microseconds(t.latency.max()));
  }
  for (const auto& [key, t] : stats.mirrors) {
    const std::string base =
        fmt::format("mirror.{}.{}.{}.", label(key.listener), label(key.route), label(key.target));
    out.emplace_back(base + "rq_total", t.requests);
    for (std::size_t i = 1; i < t.codes.size(); ++i) {
      out.emplace_back(fmt::format("{}rq_{}xx", base, i), t.codes[i]);
    }
    out.emplace_back(base + "rq_aborted", t.codes[0]);
    out.emplace_back(base + "rq_uncopied", t.uncopied);
    out.emplace_back(base + "rq_time_us.p50", microseconds(t.latency.quantile(0.5)));
    out.emplace_back(base + "rq_time_us.p99", microseconds(t.latency.quantile(0.99)));
  }
  add_instance_values(stats, out);
  return out;
}

std::string labels(const StatsKey& key) {
  return fmt::format("listener=\"{}\",route=\"{}\",target=\"{}\"", escaped(key.listener),
                     escaped(key.route), escaped(key.target));
}

std::optional<std::uint64_t> parse_from(std::string_view query) {
  if (query.empty()) return 0;
  if (!query.starts_with("from=")) return std::nullopt;
  query.remove_prefix(5);
  std::uint64_t out = 0;
  const auto [end, failure] = std::from_chars(query.data(), query.data() + query.size(), out);
  if (failure != std::errc{} || end != query.data() + query.size()) return std::nullopt;
  return out;
}

Json server_info(Gateway& gateway) {
  const auto table = gateway.table();
  return {{"version", "coalmine/" COALMINE_VERSION},
          {"state", table ? "LIVE" : "PRE_INITIALIZING"},
          {"route_table_version", table ? table->version : 0}};
}

}  // namespace

std::string stats_text(const GatewayStats& stats) {
  std::string out;
  for (const auto& [name, value] : named_values(stats)) out += fmt::format("{}: {}\n", name, value);
  return out;
}

std::string prometheus_text(const GatewayStats& stats) {
  std::string out =
      "# HELP coalmine_route_table_version Version of the route table in force.\n"
      "# TYPE coalmine_route_table_version gauge\n";
  out += fmt::format("coalmine_route_table_version {}\n", stats.version);
  const auto family = [&](std::string_view name, std::string_view help, auto value) {
    out += fmt::format("# HELP {0} {1}\n# TYPE {0} counter\n", name, help);
    for (const auto& [key, t] : stats.targets) {
      out += fmt::format("{}{{{}}} {}\n", name, labels(key), value(t));
    }
  };
  out +=
      "# HELP coalmine_requests_total Requests as users saw them, by status class.\n"
      "# TYPE coalmine_requests_total counter\n";
  for (const auto& [key, t] : stats.targets) {
    for (std::size_t i = 0; i < t.codes.size(); ++i) {
      if (t.codes[i] == 0) continue;
      out += fmt::format("coalmine_requests_total{{{},code=\"{}\"}} {}\n", labels(key),
                         i == 0 ? "aborted" : fmt::format("{}xx", i), t.codes[i]);
    }
  }
  family("coalmine_attempts_total", "Attempts on the target, retries included.",
         [](const TargetStats& t) { return t.attempts; });
  family("coalmine_retries_total", "Attempts beyond the first.",
         [](const TargetStats& t) { return t.retries; });
  family("coalmine_connect_failures_total", "Connections that could not be made.",
         [](const TargetStats& t) { return t.connect_failures; });
  out +=
      "# HELP coalmine_mirrored_requests_total Copies of requests, by status class.\n"
      "# TYPE coalmine_mirrored_requests_total counter\n";
  for (const auto& [key, t] : stats.mirrors) {
    for (std::size_t i = 0; i < t.codes.size(); ++i) {
      if (t.codes[i] == 0) continue;
      out += fmt::format("coalmine_mirrored_requests_total{{{},code=\"{}\"}} {}\n", labels(key),
                         i == 0 ? "aborted" : fmt::format("{}xx", i), t.codes[i]);
    }
  }
  family("coalmine_request_bytes_total", "Bytes of request bodies.",
         [](const TargetStats& t) { return t.bytes_received; });
  family("coalmine_response_bytes_total", "Bytes of response bodies.",
         [](const TargetStats& t) { return t.bytes_sent; });
  family("coalmine_tunnels_total", "WebSockets and TCP connections carried.",
         [](const TargetStats& t) { return t.tunnels_total; });
  family("coalmine_tunnel_bytes_sent_total", "Bytes from clients to the target in tunnels.",
         [](const TargetStats& t) { return t.tunnel_bytes_up; });
  family("coalmine_tunnel_bytes_received_total", "Bytes from the target to clients in tunnels.",
         [](const TargetStats& t) { return t.tunnel_bytes_down; });
  out +=
      "# HELP coalmine_request_duration_seconds Request begun to response ended.\n"
      "# TYPE coalmine_request_duration_seconds summary\n";
  for (const auto& [key, t] : stats.targets) {
    for (const double q : {0.5, 0.9, 0.99, 0.999}) {
      out += fmt::format("coalmine_request_duration_seconds{{{},quantile=\"{:g}\"}} {}\n",
                         labels(key), q, to_seconds(t.latency.quantile(q)));
    }
    out += fmt::format("coalmine_request_duration_seconds_sum{{{}}} {}\n", labels(key),
                       to_seconds(t.latency.sum()));
    out += fmt::format("coalmine_request_duration_seconds_count{{{}}} {}\n", labels(key),
                       t.latency.count());
  }
  add_instance_families(stats, out);
  const auto of_listeners = [&](std::string_view name, std::string_view help, auto value) {
    out += fmt::format("# HELP {0} {1}\n# TYPE {0} counter\n", name, help);
    for (const auto& [listener, l] : stats.listeners) {
      out += fmt::format("{}{{listener=\"{}\"}} {}\n", name, escaped(listener), value(l));
    }
  };
  of_listeners("coalmine_malformed_total", "Requests refused for what they were.",
               [](const ListenerStats& l) { return l.malformed; });
  out +=
      "# HELP coalmine_non_compliant_total Requests to ALB listeners by desync class.\n"
      "# TYPE coalmine_non_compliant_total counter\n";
  for (const auto& [name, l] : stats.listeners) {
    for (std::size_t i = 1; i < l.desync.size(); ++i) {
      if (l.desync[i] == 0) continue;
      out += fmt::format("coalmine_non_compliant_total{{listener=\"{}\",class=\"{}\"}} {}\n",
                         escaped(name), kDesyncClasses[i], l.desync[i]);
    }
  }
  of_listeners("coalmine_connections_total", "Client connections taken.",
               [](const ListenerStats& l) { return l.connections_total; });
  of_listeners("coalmine_connections_shed_total", "Idle connections closed to make room.",
               [](const ListenerStats& l) { return l.connections_shed; });
  of_listeners("coalmine_connections_refused_total", "Connections for which there was no room.",
               [](const ListenerStats& l) { return l.connections_refused; });
  of_listeners("coalmine_tls_handshakes_total", "TLS handshakes completed.",
               [](const ListenerStats& l) { return l.tls_handshakes; });
  of_listeners("coalmine_tls_failures_total", "TLS handshakes that failed.",
               [](const ListenerStats& l) { return l.tls_failures; });
  of_listeners("coalmine_upgrades_total", "Requests that became WebSockets.",
               [](const ListenerStats& l) { return l.upgrades_total; });
  out +=
      "# HELP coalmine_connections_active Open client connections.\n"
      "# TYPE coalmine_connections_active gauge\n";
  for (const auto& [name, l] : stats.listeners) {
    out += fmt::format("coalmine_connections_active{{listener=\"{}\"}} {}\n", escaped(name),
                       l.connections_active);
  }
  return out;
}

net::Response admin_response(Gateway& gateway, const net::Request& request) {
  const std::string_view path = request.path();
  if (request.method != "GET" && request.method != "HEAD") {
    return net::text_response(405, "only GET is allowed\n");
  }
  if (path == "/server_info") return net::json_response(200, server_info(gateway).dump(1) + "\n");
  if (path == "/ready") {
    const bool live = gateway.table() != nullptr;
    return net::text_response(live ? 200 : 503, live ? "LIVE\n" : "PRE_INITIALIZING\n");
  }
  if (path == "/stats" || path == "/stats/prometheus") {
    if (path == "/stats/prometheus" || request.query() == "format=prometheus") {
      return net::text_response(200, prometheus_text(gateway.stats()), "text/plain; version=0.0.4");
    }
    if (request.query() != "format=json") {
      return net::text_response(200, stats_text(gateway.stats()));
    }
    Json values = Json::array();
    for (const auto& [name, value] : named_values(gateway.stats())) {
      values.push_back({{"name", name}, {"value", value}});
    }
    return net::json_response(200, Json{{"stats", values}}.dump() + "\n");
  }
  if (path == "/metrics") {
    return net::text_response(200, prometheus_text(gateway.stats()), "text/plain; version=0.0.4");
  }
  if (path == "/clusters") {
    return request.query() == "format=json"
               ? net::json_response(200, clusters_json(gateway).dump(1) + "\n")
               : net::text_response(200, clusters_text(gateway));
  }
  if (path == "/requests") {
    const auto from = parse_from(request.query());
    if (!from) return net::text_response(400, "from must be a whole number: /requests?from=N\n");
    return net::text_response(200, gateway.requests(*from), "application/x-ndjson");
  }
  if (path == "/config_dump") {
    const auto table = gateway.table();
    return net::json_response(200, (table ? to_json(*table) : Json::object()).dump(1) + "\n");
  }
  return net::text_response(
      404, "paths: /server_info /ready /stats /metrics /clusters /config_dump /requests\n");
}

}  // namespace coalmine::gateway
