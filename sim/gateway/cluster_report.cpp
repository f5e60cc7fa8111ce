#include "sim/gateway/cluster_report.h"

#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>

namespace coalmine::gateway {
namespace {

using Line = std::pair<std::string_view, std::uint64_t>;

/// Envoy's figures per host. Errors are attempts without an answer or with a 5xx.
std::vector<Line> host_lines(const InstanceStats& i) {
  std::uint64_t good = 0;
  for (std::size_t c = 1; c < 5; ++c) good += i.codes[c];
  return {{"cx_active", i.connections_active},
          {"cx_connect_fail", i.connect_failures},
          {"cx_total", i.connections_total},
          {"rq_active", i.requests_active},
          {"rq_error", i.codes[0] + i.codes[5]},
          {"rq_success", good},
          {"rq_timeout", i.timeouts},
          {"rq_total", i.attempts}};
}

std::string host_text(const InstanceKey& key, const InstanceStats& stats) {
  const std::string base = fmt::format("{}::{}::", key.cluster, key.address);
  std::string out;
  for (const auto& [name, value] : host_lines(stats)) {
    out += fmt::format("{}{}::{}\n", base, name, value);
  }
  out += fmt::format("{}hostname::{}\n", base, key.id == key.address ? "" : key.id);
  out += fmt::format("{}health_flags::{}\n", base, stats.health_flags());
  out += fmt::format("{}ejections::{}\n", base, stats.ejections);
  return out;
}

Json instance_json(const traffic::Instance& instance, const InstanceStats& stats) {
  Json codes = Json::object();
  for (std::size_t i = 1; i < stats.codes.size(); ++i) {
    if (stats.codes[i] > 0) codes[fmt::format("{}xx", i)] = stats.codes[i];
  }
  return {{"id", instance.id},
          {"address", fmt::format("{}:{}", instance.address, instance.port)},
          {"healthy", instance.healthy},
          {"health_flags", stats.health_flags()},
          {"requests", stats.requests},
          {"attempts", stats.attempts},
          {"codes", codes},
          {"unanswered", stats.codes[0]},
          {"connect_failures", stats.connect_failures},
          {"resets", stats.resets},
          {"timeouts", stats.timeouts},
          {"overflows", stats.overflows},
          {"ejections", stats.ejections},
          {"checks", stats.checks},
          {"check_failures", stats.check_failures},
          {"connections", stats.connections_active},
          {"active", stats.requests_active},
          {"waiting", stats.requests_waiting},
          {"p99_us", microseconds(stats.latency.quantile(0.99))}};
}

InstanceStats stats_of(const GatewayStats& all, const std::string& cluster,
                       const traffic::Instance& instance) {
  const auto found = all.instances.find(
      {cluster, instance.id, fmt::format("{}:{}", instance.address, instance.port)});
  return found == all.instances.end() ? InstanceStats{} : found->second;
}

std::shared_ptr<const traffic::RouteIndex> index_of(Gateway& gateway) {
  const auto table = gateway.table();
  if (!table) return nullptr;
  auto index = traffic::RouteIndex::compile(table);
  return index ? *index : nullptr;
}

/// Envoy's figures of a whole cluster.
void add_cluster_values(const GatewayStats& stats, Values& out) {
  struct Members {
    std::uint64_t total = 0, healthy = 0, out_now = 0, ejections = 0;
  };
  std::map<std::string, Members> clusters;
  for (const auto& [key, i] : stats.instances) {
    Members& members = clusters[key.cluster];
    members.ejections += i.ejections;
    if (i.draining) continue;
    ++members.total;
    if (i.health_flags() == "healthy") ++members.healthy;
    if (i.ejected) ++members.out_now;
  }
  for (const auto& [name, members] : clusters) {
    const std::string base = fmt::format("cluster.{}.", name);
    out.emplace_back(base + "membership_total", members.total);
    out.emplace_back(base + "membership_healthy", members.healthy);
    out.emplace_back(base + "outlier_detection.ejections_active", members.out_now);
    out.emplace_back(base + "outlier_detection.ejections_enforced_total", members.ejections);
  }
}

}  // namespace

std::uint64_t microseconds(Duration d) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(d).count());
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out;
}

std::string clusters_text(Gateway& gateway) {
  std::string out;
  const auto index = index_of(gateway);
  if (index == nullptr) return out;
  const GatewayStats stats = gateway.stats();
  for (const traffic::ClusterIndex& cluster : index->clusters()) {
    const traffic::PoolLimits& pool = cluster.target->pool;
    out += fmt::format(
        "{0}::observability_name::{0}\n"
        "{0}::default_priority::max_connections::{1}\n"
        "{0}::default_priority::max_pending_requests::{2}\n"
        "{0}::default_priority::max_retries::{3}\n",
        cluster.name, pool.max_connections, pool.max_pending, pool.max_retries);
    for (const auto& [key, instance] : stats.instances) {
      if (key.cluster == cluster.name) out += host_text(key, instance);
    }
  }
  return out;
}

Json clusters_json(Gateway& gateway) {
  Json out = Json::array();
  const auto index = index_of(gateway);
  if (index == nullptr) return out;
  const GatewayStats stats = gateway.stats();
  for (const traffic::ForwardIndex* forward : index->forwards()) {
    for (const traffic::TargetIndex& target : forward->targets) {
      const std::string& cluster = index->clusters()[target.cluster].name;
      Json instances = Json::array();
      for (const traffic::Instance& i : target.target->instances) {
        instances.push_back(instance_json(i, stats_of(stats, cluster, i)));
      }
      const auto found =
          stats.targets.find({forward->listener, forward->route_name, target.target->name});
      out.push_back({{"listener", forward->listener},
                     {"route", forward->route_name},
                     {"target", target.target->name},
                     {"cluster", cluster},
                     {"weight", target.target->weight},
                     {"instances", instances},
                     {"requests", found == stats.targets.end() ? 0 : found->second.requests}});
    }
  }
  return out;
}

void add_instance_values(const GatewayStats& stats, Values& out) {
  add_cluster_values(stats, out);
  for (const auto& [key, i] : stats.instances) {
    const std::string base = fmt::format("cluster.{}.instance.{}.", key.cluster, key.address);
    for (const auto& [name, value] : host_lines(i))
      out.emplace_back(base + std::string(name), value);
    for (std::size_t c = 1; c < i.codes.size(); ++c) {
      out.emplace_back(fmt::format("{}rq_{}xx", base, c), i.codes[c]);
    }
    out.emplace_back(base + "rq_reset", i.resets);
    out.emplace_back(base + "rq_pending_overflow", i.overflows);
    out.emplace_back(base + "rq_pending_active", i.requests_waiting);
    out.emplace_back(base + "ejections_total", i.ejections);
    out.emplace_back(base + "health_check.attempt", i.checks);
    out.emplace_back(base + "health_check.failure", i.check_failures);
    out.emplace_back(base + "healthy", i.health_flags() == "healthy" ? 1U : 0U);
    out.emplace_back(base + "rq_time_us.p99", microseconds(i.latency.quantile(0.99)));
  }
}

void add_instance_families(const GatewayStats& stats, std::string& out) {
  const auto labels = [](const InstanceKey& key) {
    return fmt::format("target=\"{}\",instance=\"{}\",address=\"{}\"", escaped(key.cluster),
                       escaped(key.id), key.address);
  };
  const auto family = [&](std::string_view name, std::string_view type, std::string_view help,
                          auto value) {
    out += fmt::format("# HELP coalmine_instance_{0} {1}\n# TYPE coalmine_instance_{0} {2}\n", name,
                       help, type);
    for (const auto& [key, i] : stats.instances) {
      out += fmt::format("coalmine_instance_{}{{{}}} {}\n", name, labels(key), value(i));
    }
  };
  using I = const InstanceStats&;
  family("requests_total", "counter", "Requests answered to the end by the instance.",
         [](I i) { return i.requests; });
  family("attempts_total", "counter", "Attempts on the instance, retries included.",
         [](I i) { return i.attempts; });
  out +=
      "# HELP coalmine_instance_answers_total Attempts by class of their answer.\n"
      "# TYPE coalmine_instance_answers_total counter\n";
  for (const auto& [key, i] : stats.instances) {
    for (std::size_t c = 0; c < i.codes.size(); ++c) {
      if (i.codes[c] == 0) continue;
      out += fmt::format("coalmine_instance_answers_total{{{},code=\"{}\"}} {}\n", labels(key),
                         c == 0 ? "none" : fmt::format("{}xx", c), i.codes[c]);
    }
  }
  family("connect_failures_total", "counter", "Connections that could not be made.",
         [](I i) { return i.connect_failures; });
  family("resets_total", "counter", "Connections that ended before their answer.",
         [](I i) { return i.resets; });
  family("timeouts_total", "counter", "Attempts that took too long.",
         [](I i) { return i.timeouts; });
  family("overflows_total", "counter", "Requests refused because too many waited.",
         [](I i) { return i.overflows; });
  family("ejections_total", "counter", "Times outlier detection took the instance out.",
         [](I i) { return i.ejections; });
  family("checks_total", "counter", "Active health checks.", [](I i) { return i.checks; });
  family("check_failures_total", "counter", "Active health checks that failed.",
         [](I i) { return i.check_failures; });
  family("healthy", "gauge", "1 unless the table, its checks or outlier detection keep it out.",
         [](I i) { return i.health_flags() == "healthy" ? 1 : 0; });
  family("connections_active", "gauge", "Open connections to the instance.",
         [](I i) { return i.connections_active; });
  family("requests_active", "gauge", "Requests the instance is working on.",
         [](I i) { return i.requests_active; });
  out +=
      "# HELP coalmine_instance_response_seconds Attempt begun to response head.\n"
      "# TYPE coalmine_instance_response_seconds summary\n";
  for (const auto& [key, i] : stats.instances) {
    for (const double q : {0.5, 0.9, 0.99}) {
      out += fmt::format("coalmine_instance_response_seconds{{{},quantile=\"{:g}\"}} {}\n",
                         labels(key), q, to_seconds(i.latency.quantile(q)));
    }
    out += fmt::format(
        "coalmine_instance_response_seconds_sum{{{0}}} {1}\n"
        "coalmine_instance_response_seconds_count{{{0}}} {2}\n",
        labels(key), to_seconds(i.latency.sum()), i.latency.count());
  }
}

}  // namespace coalmine::gateway
