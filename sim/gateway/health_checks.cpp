// Active health checks: every worker asks every instance by itself, so that workers share nothing.
// A check is a connection of its own (Envoy's default keeps it open; a fresh one also finds out
// whether connections are accepted).
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "sim/gateway/worker_types.h"

namespace coalmine::gateway {

constexpr std::size_t kMaxCheckAnswer = 64 << 10;

/// Follows the policy in force: hosts new to it are checked at once, those that left no more.
void Worker::adopt_checks(Cluster& cluster, const std::optional<traffic::HealthCheck>& policy) {
  const bool changed = cluster.health_check != policy;
  cluster.health_check = policy;
  for (const auto& host : cluster.all_hosts) {
    if (changed || host->retired) stop_checks(*host);
    const bool waits = host->deadline_ns != TimerNode::kNone || host->check != nullptr;
    if (policy && !host->retired && !waits) begin_check(*host);
  }
}

void Worker::stop_checks(Host& host) {
  timers_.remove(host);
  if (host.check == nullptr) return;
  bury(host.check);
  host.check = nullptr;
}

void Worker::begin_check(Host& host) {
  const traffic::HealthCheck& policy = *host.cluster->health_check;
  const int fd = open_connection(host.ipv4, policy.port != 0 ? policy.port : host.port);
  ++host.stats.checks;
  if (fd < 0) {
    check_ended(host, false);
    return;
  }
  auto* check = new Check;
  check->fd = fd;
  check->host = &host;
  host.check = check;
  add_to_epoll(check);
  timers_.set(*check, now_ns_ + policy.timeout.count(), now_ns_);
}

void Worker::check_event(Check* check, std::uint32_t events) {
  Host& host = *check->host;
  const traffic::HealthCheck& policy = *host.cluster->health_check;
  if (!check->connected) {
    int failure = 0;
    socklen_t size = sizeof failure;
    getsockopt(check->fd, SOL_SOCKET, SO_ERROR, &failure, &size);
    if (failure != 0) {
      check_ended(host, false);
      return;
    }
    if ((events & EPOLLOUT) == 0) return;
    check->connected = true;
    if (policy.protocol == traffic::HealthCheck::Protocol::Tcp) {
      check_ended(host, true);
      return;
    }
    const std::string request = fmt::format(
        "GET {} HTTP/1.1\r\nhost: {}\r\nuser-agent: Envoy/HC\r\nconnection: close\r\n\r\n",
        policy.path, host.name);
    // So short that a new connection takes it whole; if not, the check fails.
    if (send(check->fd, request.data(), request.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(request.size())) {
      check_ended(host, false);
      return;
    }
  }
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) read_check(check);
}

void Worker::read_check(Check* check) {
  for (;;) {
    const ssize_t n = recv(check->fd, scratch_.data(), scratch_.size(), 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0 || check->answer.size() > kMaxCheckAnswer) {
      check_ended(*check->host, false);
      return;
    }
    check->answer.append(scratch_.data(), static_cast<std::size_t>(n));
    for (;;) {
      const Parsed parsed = parse_response(check->answer, check->scan, false, response_);
      if (parsed.state == Parsed::State::Incomplete) break;
      if (parsed.state == Parsed::State::Bad || response_.status >= 200) {
        // Envoy: 200 and nothing else is healthy (expected_statuses).
        check_ended(*check->host, parsed.state != Parsed::State::Bad && response_.status == 200);
        return;
      }
      check->answer.erase(0, parsed.length);
      check->scan = {};
    }
  }
}

/// Until the next check: another while nobody uses the cluster (Envoy: no_traffic_interval).
Duration Worker::check_interval(const Cluster& cluster) const {
  const traffic::HealthCheck& policy = *cluster.health_check;
  const bool used = std::any_of(cluster.all_hosts.begin(), cluster.all_hosts.end(),
                                [](const auto& h) { return h->stats.connections_total > 0; });
  return used || policy.no_traffic_interval == Duration{} ? policy.interval
                                                          : policy.no_traffic_interval;
}

void Worker::check_ended(Host& host, bool passed) {
  if (host.check != nullptr) bury(host.check);
  host.check = nullptr;
  if (!passed) ++host.stats.check_failures;
  host.cluster->state.checked(host.index, passed);
  timers_.set(host, now_ns_ + check_interval(*host.cluster).count(), now_ns_);
}

}  // namespace coalmine::gateway
