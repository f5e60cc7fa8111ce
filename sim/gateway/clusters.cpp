// What a worker knows of the instances behind a target: who they are, who may take requests, who
// waits for a connection.
#include <arpa/inet.h>

#include <algorithm>

#include "sim/core/check.h"
#include "sim/gateway/worker_types.h"

namespace coalmine::gateway {
namespace {

std::uint32_t share(std::uint32_t limit, int number, int count) {
  if (limit == traffic::PoolLimits::kNone) return limit;
  const auto workers = static_cast<std::uint32_t>(count);
  return limit / workers + (static_cast<std::uint32_t>(number) < limit % workers ? 1 : 0);
}

}  // namespace

// --- following the table -------------------------------------------------------------------------

void Worker::adopt_clusters(const traffic::RouteIndex& index, Plan& plan) {
  for (auto& [name, cluster] : clusters_) cluster->retired = true;
  std::vector<Cluster*> in_force;
  for (const traffic::ClusterIndex& described : index.clusters()) {
    Cluster* cluster = cluster_named(described.name);
    cluster->retired = false;
    cluster->limits = share_of(described.target->pool);
    cluster->state.update(*described.target, described.empty);
    adopt_hosts(*cluster, *described.target);
    adopt_checks(*cluster, described.target->health_check);
    const auto& outlier = described.target->outlier;
    cluster->sweep_interval = outlier ? outlier->interval : Duration{};
    if (outlier && cluster->deadline_ns == TimerNode::kNone) {
      timers_.set(*cluster, now_ns_ + outlier->interval.count(), now_ns_);
    }
    in_force.push_back(cluster);
  }
  for (auto& [name, cluster] : clusters_) {
    if (!cluster->retired) continue;
    retire_hosts(*cluster);
    adopt_checks(*cluster, std::nullopt);
  }
  plan.targets.resize(index.target_count());
  for (const traffic::ForwardIndex* forward : index.forwards()) {
    for (const traffic::TargetIndex& target : forward->targets) {
      const StatsKey key{forward->listener, forward->route_name, target.target->name};
      TargetStats* stats = stats_for(key);
      plan.targets[target.id] = {in_force[target.cluster], stats, &target_stats_.find(key)->first};
    }
  }
  for (const traffic::ForwardIndex* forward : index.mirrors()) {
    const traffic::TargetIndex& target = forward->targets.front();
    plan.targets[target.id] = {
        in_force[target.cluster],
        mirror_stats_for({forward->listener, forward->route_name, target.target->name}), nullptr};
  }
}

Worker::Cluster* Worker::cluster_named(const std::string& name) {
  auto& cluster = clusters_[name];
  if (!cluster) {
    cluster = std::make_unique<Cluster>();
    cluster->name = name;
    // workers begin at different instances, so that few requests are spread, too
    cluster->state = traffic::ClusterState(static_cast<std::uint64_t>(number_));
  }
  return cluster.get();
}

/// The hosts stand in the order of the state's instances.
void Worker::adopt_hosts(Cluster& cluster, const traffic::Target& target) {
  retire_hosts(cluster);
  cluster.hosts.clear();
  for (const traffic::Instance& instance : target.instances) {
    const std::string name = fmt::format("{}:{}", instance.address, instance.port);
    const auto known =
        std::find_if(cluster.all_hosts.begin(), cluster.all_hosts.end(),
                     [&](const auto& h) { return h->id == instance.id && h->name == name; });
    Host* host = known == cluster.all_hosts.end() ? nullptr : known->get();
    if (host == nullptr) {
      in_addr address{};
      CHECK(inet_pton(AF_INET, instance.address.c_str(), &address) == 1);
      host = cluster.all_hosts.emplace_back(std::make_unique<Host>()).get();
      host->cluster = &cluster;
      host->id = instance.id;
      host->name = name;
      host->port = instance.port;
      host->ipv4 = address.s_addr;
    }
    host->retired = false;
    host->index = cluster.hosts.size();
    host->stats.unhealthy = !instance.healthy;
    cluster.hosts.push_back(host);
  }
  for (const auto& host : cluster.all_hosts) {
    while (host->retired && !host->idle.empty()) drop_upstream(host->idle.back());
  }
}

/// Who waits for a connection to one of them is served all the same, or sent elsewhere.
void Worker::retire_hosts(Cluster& cluster) {
  for (const auto& host : cluster.all_hosts) {
    host->retired = true;
    if (host->waiting > 0) call_next(host.get());
    if (!cluster.retired) continue;
    while (!host->idle.empty()) drop_upstream(host->idle.back());
  }
}

/// Forgets what neither a plan nor a connection needs.
void Worker::purge_clusters() {
  std::erase_if(clusters_, [this](auto& entry) {
    Cluster& cluster = *entry.second;
    std::erase_if(cluster.all_hosts, [](const auto& host) {
      return host->retired && host->connections == 0 && host->waiting == 0 && !host->hungry;
    });
    if (!cluster.retired || !cluster.all_hosts.empty()) return false;
    timers_.remove(cluster);
    return true;
  });
}

/// Limits are shared out among the workers: nothing is counted across threads. One connection per
/// instance is always allowed, or requests would wait for ever (Envoy does the same).
traffic::PoolLimits Worker::share_of(const traffic::PoolLimits& limits) const {
  return {std::max<std::uint32_t>(share(limits.max_connections, number_, count_), 1),
          share(limits.max_pending, number_, count_), share(limits.max_retries, number_, count_)};
}

// --- outlier detection, retries ------------------------------------------------------------------

void Worker::sweep(Cluster& cluster) {
  if (cluster.sweep_interval == Duration{}) return;
  for (const std::size_t i : cluster.state.sweep(TimePoint{Duration{now_ns_}})) {
    ++cluster.hosts[i]->stats.ejections;
  }
  timers_.set(cluster, now_ns_ + cluster.sweep_interval.count(), now_ns_);
}

/// An attempt has its answer, or status 0: it will get none.
void Worker::attempt_ended(Host& host, int status, std::int64_t begun_ns) {
  ++host.stats.codes[static_cast<std::size_t>(status / 100 < 6 ? status / 100 : 0)];
  if (status != 0) host.stats.latency.add(Duration{now_ns_ - begun_ns});
  judge(host, status);
}

void Worker::judge(Host& host, int status) {
  if (host.retired) return;
  if (host.cluster->state.record(host.index, status, TimePoint{Duration{now_ns_}})) {
    ++host.stats.ejections;
  }
}

/// Whether the cluster has room for another retry; one request counts once, however often it is
/// retried, until it ends (Envoy, circuit breakers: max_retries).
bool Worker::begin_retry(Client* c) {
  if (c->retrying) return true;
  Cluster& cluster = *c->plan_target->cluster;
  if (cluster.retries >= cluster.limits.max_retries) {
    ++c->plan_target->stats->retry_overflows;
    return false;
  }
  ++cluster.retries;
  c->retrying = true;
  return true;
}

// --- waiting for a connection --------------------------------------------------------------------

void Worker::wait_for(Client* c, Host* host) {
  // A copy must not stand in line before a request that somebody waits for.
  if (host->waiting >= host->cluster->limits.max_pending || c->mirrored) {
    ++c->plan_target->stats->overflows;
    ++host->stats.overflows;
    answer(c,
           failure_reply(Failure::Overflow, dialect_of(c),
                         fmt::format("{} (target {}) has all its {} connections in use and {} "
                                     "requests waiting",
                                     host->name, c->forward->targets[c->target].target->name,
                                     host->connections, host->waiting)),
           !c->request_whole);
    return;
  }
  ++host->waiting;
  c->waits_for = host;
  c->next_waiting = nullptr;
  c->previous_waiting = host->last_waiting;
  (host->last_waiting == nullptr ? host->first_waiting : host->last_waiting->next_waiting) = c;
  host->last_waiting = c;
}

void Worker::stop_waiting(Client* c) {
  Host* host = c->waits_for;
  --host->waiting;
  (c->previous_waiting == nullptr ? host->first_waiting : c->previous_waiting->next_waiting) =
      c->next_waiting;
  (c->next_waiting == nullptr ? host->last_waiting : c->next_waiting->previous_waiting) =
      c->previous_waiting;
  c->waits_for = nullptr;
}

/// Not at once: whoever frees a connection is in the middle of something.
void Worker::call_next(Host* host) {
  if (host->hungry) return;
  host->hungry = true;
  hungry_.push_back(host);
}

void Worker::feed_hungry() {
  if (hungry_.empty()) return;
  while (!hungry_.empty()) {
    Host* host = hungry_.back();
    hungry_.pop_back();
    feed(*host);
    host->hungry = false;  // not before: it keeps the host
  }
  if (old_plans_.empty()) purge_clusters();
}

/// Each of those who wait now is asked once at most: they may end up waiting again.
void Worker::feed(Host& host) {
  const bool elsewhere = host.retired && !host.cluster->retired;
  for (std::size_t left = host.waiting; left > 0 && host.waiting > 0; --left) {
    const bool room = !host.idle.empty() || host.connections < host.cluster->limits.max_connections;
    if (!elsewhere && !room) return;
    Client* c = host.first_waiting;
    stop_waiting(c);
    if (elsewhere) {
      attempt(c, false);
    } else {
      attempt_on(c, &host, false);
    }
  }
}

// --- counts --------------------------------------------------------------------------------------

void Worker::collect_instances(GatewayStats& out) const {
  for (const auto& [name, cluster] : clusters_) {
    for (const auto& host : cluster->all_hosts) {
      out.upstream_connections_active += host->connections;
      if (host->retired && host->connections == 0) continue;
      InstanceStats stats = host->stats;
      stats.connections_active = host->connections;
      stats.requests_active = host->connections - host->idle.size();
      stats.requests_waiting = host->waiting;
      stats.draining = host->retired;
      if (!host->retired) {
        stats.ejected = cluster->state.ejected(host->index);
        stats.check_failed = cluster->state.check_failed(host->index);
      }
      out.instances[{name, host->id, host->name}].merge(stats);
    }
  }
}

}  // namespace coalmine::gateway
