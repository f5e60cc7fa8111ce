// Connections that are passed through: WebSockets once the upstream agreed, and tcp listeners.
//
// Each direction reads only while what it read before has been passed on, so a tunnel holds at
// most one read of each side. An end is passed on behind the last byte, and the other direction
// goes on; an error ends both.
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>

#include "sim/gateway/worker_types.h"

namespace coalmine::gateway {

// One pick and one attempt per connection, as Envoy's tcp_proxy has it.
void Worker::begin_tcp(Client* c) {
  if (c->slot->listener == nullptr) {  // accepted as the listener went
    drop_client(c);
    return;
  }
  const traffic::ForwardIndex& forward = *c->slot->listener->routes.front().forward;
  const traffic::TargetIndex& picked = forward.targets[forward.choose(random_.next())];
  PlanTarget& target = plan_->targets[picked.id];
  begin_tunnel(c, *target.stats, picked.timeouts.idle, timeouts_.tcp_idle);
  const std::size_t i = target.cluster->state.next();
  if (i == traffic::ClusterState::kNobody) {
    count_reply("UH");
    drop_client(c);
    return;
  }
  Host* host = target.cluster->hosts[i];
  if (host->connections >= target.cluster->limits.max_connections) {
    ++target.stats->overflows;
    ++host->stats.overflows;
    count_reply("UO");
    drop_client(c);
    return;
  }
  ++target.stats->attempts;
  ++host->stats.attempts;
  Upstream* u = connect_to(host);
  if (u == nullptr) {
    tcp_failed(c, *host);
    return;
  }
  u->client = c;
  c->up = u;
}

void Worker::tcp_failed(Client* c, Host& host) {
  ++c->tunnel->stats->connect_failures;
  ++host.stats.connect_failures;
  attempt_ended(host, 0, 0);
  count_reply("UF");
  drop_client(c);
}

// `idle` or, if that is none, `otherwise`: how long nothing may pass.
void Worker::begin_tunnel(Client* c, TargetStats& stats, Duration idle, Duration otherwise) {
  c->tunnel = std::make_unique<Tunnel>();
  c->tunnel->stats = &stats;
  c->tunnel->idle_ns = (idle > Duration{} ? idle : otherwise).count();
  ++stats.tunnels_total;
  ++stats.tunnels_active;
  c->state = Client::State::Tunnel;
  c->timer = Client::Timer::Tunnel;
  touch_tunnel(c);
}

// The upstream answered 101 to a request that asked for it. Only now may bytes that the client
// sent behind its request go on (pingora, CVE-2026-2833). `early`: what came behind the 101.
void Worker::begin_upgrade(Upstream* u, std::string_view early) {
  Client* c = u->client;
  timers_.remove(*u);
  begin_tunnel(c, *c->plan_target->stats, c->forward->targets[c->target].timeouts.idle,
               timeouts_.stream_idle);
  c->tunnel->upgraded = true;
  c->tunnel->stats->tunnel_bytes_down += early.size();
  c->sent += early.size();
  ++c->slot->stats->upgrades_total;
  ++c->slot->stats->upgrades_active;
  attempt_ended(*u->host, 101, u->begun_ns);
  ++u->host->stats.requests;
  c->head_ns = now_ns_;
  record(c, 101);
  leave_plan(c);  // a tunnel may live for hours; the plan need not
  if (pending_request(c) == 0) {
    give_buffer(c->request);
    c->request_sent = 0;
  }
  send_to_client(c, head_out_, early);
  head_out_.clear();
  if (c->dead) return;
  take_up(c);
}

void Worker::touch_tunnel(Client* c) {
  timers_.set(*c, now_ns_ + c->tunnel->idle_ns, now_ns_);
}

bool Worker::tunnel_blocked(const Client* c) const {
  return c->up->connecting || pending_request(c) > 0 || c->tunnel->client_ended ||
         c->tunnel->broken;
}

void Worker::tunnel_event(Upstream* u, std::uint32_t events) {
  Client* c = u->client;
  if (u->connecting) {
    int failure = 0;
    socklen_t size = sizeof failure;
    getsockopt(u->fd, SOL_SOCKET, SO_ERROR, &failure, &size);
    if (failure != 0) {
      tcp_failed(c, *u->host);
      return;
    }
    if ((events & EPOLLOUT) == 0) return;
    u->connecting = false;
    judge(*u->host, 200);
    timers_.remove(*u);
    client_readable(c);
  } else if ((events & EPOLLOUT) != 0 && pending_request(c) > 0) {
    tunnel_flush_up(c);
  }
  if (u->dead) return;
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) tunnel_down(u);
}

void Worker::tunnel_up(Client* c, std::string_view bytes) {
  touch_tunnel(c);
  c->tunnel->stats->tunnel_bytes_up += bytes.size();
  c->received += bytes.size();
  if (pending_request(c) == 0) {
    const ssize_t n = send(c->up->fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) {
      tunnel_broken(c);
      return;
    }
    if (n > 0) bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  if (bytes.empty()) return;
  if (c->request == nullptr) c->request = take_buffer();
  c->request->data.append(bytes);
}

void Worker::tunnel_flush_up(Client* c) {
  const std::string& data = c->request->data;
  while (c->request_sent < data.size()) {
    const ssize_t n =
        send(c->up->fd, data.data() + c->request_sent, data.size() - c->request_sent, MSG_NOSIGNAL);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
      tunnel_broken(c);
      return;
    }
    c->request_sent += static_cast<std::size_t>(n);
  }
  give_buffer(c->request);
  c->request_sent = 0;
  touch_tunnel(c);
  if (c->tunnel->client_ended) {
    pass_on_client_end(c);
  } else if (c->more) {
    client_readable(c);
  }
}

// The socket reports its end, too; what the upstream sent before is passed on first.
void Worker::tunnel_broken(Client* c) {
  c->tunnel->broken = true;
  give_buffer(c->request);
  c->request_sent = 0;
}

void Worker::tunnel_client_ended(Client* c) {
  c->more = false;
  c->tunnel->client_ended = true;
  if (pending_request(c) == 0) pass_on_client_end(c);
}

void Worker::pass_on_client_end(Client* c) {
  shutdown(c->up->fd, SHUT_WR);
  if (c->tunnel->upstream_ended && c->out == nullptr) drop_client(c);
}

void Worker::tunnel_down(Upstream* u) {
  Client* c = u->client;
  while (!c->tunnel->upstream_ended) {
    if (c->out != nullptr) {
      if (!u->more) ++c->tunnel->stats->reads_paused;
      u->more = true;
      return;
    }
    const ssize_t n = recv(u->fd, scratch_.data(), scratch_.size(), 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) {
      abort_response(c, "UC");
      return;
    }
    if (n == 0) {
      c->tunnel->upstream_ended = true;
      tunnel_upstream_ended(c);
      return;
    }
    touch_tunnel(c);
    const auto size = static_cast<std::size_t>(n);
    c->tunnel->stats->tunnel_bytes_down += size;
    c->sent += size;
    send_to_client(c, {scratch_.data(), size});
    if (c->dead || (size < scratch_.size() && !u->hangup)) return;
  }
}

void Worker::tunnel_upstream_ended(Client* c) {
  if (c->out != nullptr) return;  // tunnel_flushed_down() comes back
  if (c->tunnel->broken) {
    abort_response(c, "UC");
  } else if (c->tunnel->client_ended && pending_request(c) == 0) {
    drop_client(c);
  } else {
    end_writing(c);
  }
}

void Worker::tunnel_flushed_down(Client* c) {
  touch_tunnel(c);
  if (c->tunnel->upstream_ended) {
    tunnel_upstream_ended(c);
  } else if (c->up->more) {
    c->up->more = false;
    tunnel_down(c->up);
  }
}

void Worker::end_tunnel(Client* c) {
  --c->tunnel->stats->tunnels_active;
  if (c->tunnel->upgraded) --c->slot->stats->upgrades_active;
  if (c->log != nullptr) finish_log(c, 101);
  c->tunnel.reset();
}

}  // namespace coalmine::gateway
