// The instance's side of an exchange: attempts, answers, and what to do when there is none.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "sim/core/check.h"
#include "sim/gateway/untaken.h"
#include "sim/gateway/worker_types.h"
#include "sim/traffic/stickiness.h"

namespace coalmine::gateway {

using traffic::AttemptOutcome;

namespace {

constexpr std::size_t kWorthCopying = 2 << 10;

}  // namespace

/// A socket that is connecting; -1 and errno if that fails at once.
int Worker::open_connection(std::uint32_t ipv4, int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = ipv4;
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 &&
      errno != EINPROGRESS) {
    const int why = errno;
    close(fd);
    errno = why;
    return -1;
  }
  return fd;
}

Worker::Upstream* Worker::connect_to(Host* host) {
  const int fd = open_connection(host->ipv4, host->port);
  if (fd < 0) return nullptr;
  auto* u = new Upstream;
  u->fd = fd;
  u->host = host;
  u->connecting = true;
  ++host->connections;
  ++host->stats.connections_total;
  ++counts_.upstream_connections_total;
  add_to_epoll(u);
  timers_.set(*u, now_ns_ + timeouts_.connect.count(), now_ns_);
  return u;
}

// One attempt on the next instance of the picked target. A retry stays in the target, but goes by
// what is known of its instances now: the one that failed may be the one that was taken away. It
// leaves that one out if it can: requests of others in between would make the round robin come
// back to a dead task by chance (Envoy has the retry host predicate previous_hosts for it).
void Worker::attempt(Client* c, bool fresh_only) {
  Cluster& cluster = *c->plan_target->cluster;
  std::size_t i = cluster.state.next();
  if (i != traffic::ClusterState::kNobody && cluster.hosts[i] == c->tried) i = cluster.state.next();
  if (i == traffic::ClusterState::kNobody) {
    answer(c,
           failure_reply(
               Failure::NoHost, dialect_of(c),
               fmt::format("target {}: all of its {} instances are ejected, sick or gone",
                           c->forward->targets[c->target].target->name, cluster.state.size())),
           !c->request_whole);
    return;
  }
  attempt_on(c, cluster.hosts[i], fresh_only);
}

void Worker::attempt_on(Client* c, Host* host, bool fresh_only) {
  Upstream* u = nullptr;
  if (fresh_only && !host->idle.empty() &&
      host->connections >= host->cluster->limits.max_connections) {
    drop_upstream(host->idle.front());  // it would be stale too
  }
  if (!fresh_only && !host->idle.empty()) {
    u = host->idle.back();
    host->idle.pop_back();
    u->reused = true;
  } else if (host->connections >= host->cluster->limits.max_connections) {
    wait_for(c, host);
    return;
  }
  ++c->plan_target->stats->attempts;
  ++host->stats.attempts;
  if (c->log != nullptr) c->log->upstream_host = host->name;
  c->request_sent = 0;
  if (u == nullptr) {
    u = connect_to(host);
    if (u == nullptr) {
      const int why = errno;
      c->tried = host;
      ++c->plan_target->stats->connect_failures;
      ++host->stats.connect_failures;
      attempt_ended(*host, 0, 0);
      attempt_failed(c, Failure::ConnectFailure,
                     fmt::format("cannot connect to {} (target {}): {}", host->name,
                                 c->forward->targets[c->target].target->name, std::strerror(why)));
      return;
    }
  }
  u->client = c;
  c->up = u;
  c->tried = host;
  u->in_body = false;
  u->any_byte = false;
  u->more = false;
  u->scan = {};
  u->begun_ns = now_ns_;
  if (!u->connecting) {
    begin_try(u);
    flush_request(c);
  }
}

// The connection stands: from now on the per-try timeout counts.
void Worker::begin_try(Upstream* u) {
  const Client* c = u->client;
  const Duration per_try = c->forward->targets[c->target].per_try;
  if (per_try > Duration{}) timers_.set(*u, now_ns_ + per_try.count(), now_ns_);
}

void Worker::flush_request(Client* c) {
  std::string& data = c->request->data;
  while (c->request_sent < data.size()) {
    const std::size_t size = data.size() - c->request_sent;
    const ssize_t n = send(c->up->fd, data.data() + c->request_sent, size, MSG_NOSIGNAL);
    // After an error the socket reports its end; an answer that came before is read first.
    if (n < 0) return;
    c->request_sent += static_cast<std::size_t>(n);
    if (static_cast<std::size_t>(n) < size) return;
  }
}

// Room was made for more of a request body whose sender had to wait.
void Worker::resume_upload(Client* c) {
  if (c->more && c->state == Client::State::Body) client_readable(c);
}

void Worker::upstream_event(Upstream* u, std::uint32_t events) {
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) u->hangup = true;
  Client* c = u->client;
  if (c != nullptr && c->tunnel) {
    tunnel_event(u, events);
    return;
  }
  if (u->connecting) {
    CHECK(c != nullptr);  // who gives a client up ends its attempt
    int failure = 0;
    socklen_t size = sizeof failure;
    getsockopt(u->fd, SOL_SOCKET, SO_ERROR, &failure, &size);
    if (failure != 0) {
      const std::string reason =
          fmt::format("{} by {} (target {})",
                      failure == ECONNREFUSED ? "connection refused" : std::strerror(failure),
                      u->host->name, c->forward->targets[c->target].target->name);
      ++c->plan_target->stats->connect_failures;
      ++u->host->stats.connect_failures;
      attempt_ended(*u->host, 0, 0);
      drop_upstream(u);
      attempt_failed(c, Failure::ConnectFailure, reason);
      return;
    }
    if ((events & EPOLLOUT) == 0) return;
    u->connecting = false;
    timers_.remove(*u);
    begin_try(u);
    flush_request(c);
    resume_upload(c);
  } else if ((events & EPOLLOUT) != 0 && c != nullptr && pending_request(c) > 0) {
    flush_request(c);
    resume_upload(c);
  }
  if (u->dead) return;
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) upstream_readable(u);
}

void Worker::upstream_readable(Upstream* u) {
  for (;;) {
    Client* c = u->client;
    if (c != nullptr && c->tunnel) {
      tunnel_down(u);
      return;
    }
    if (c != nullptr && c->out != nullptr && u->in_body) {
      if (!u->more) ++c->plan_target->stats->reads_paused;
      u->more = true;
      return;
    }
    const ssize_t n = recv(u->fd, scratch_.data(), scratch_.size(), 0);
    if (n < 0 && errno == EAGAIN) return;
    if (c == nullptr) {  // bytes or an end on an idle connection: of no use any more (9112 9.2)
      drop_upstream(u);
      return;
    }
    if (n <= 0) {
      upstream_closed(u, n == 0);
      return;
    }
    const auto size = static_cast<std::size_t>(n);
    u->any_byte = true;
    c->active_ns = now_ns_;
    response_bytes(u, scratch_.data(), size);
    if (u->dead || u->client != c) return;
    if (size < scratch_.size() && !u->hangup) return;
  }
}

void Worker::response_bytes(Upstream* u, char* bytes, std::size_t size) {
  if (u->in_body) {
    response_body(u, bytes, size);
    return;
  }
  Buffer* joined = u->in;
  u->in = nullptr;
  if (joined != nullptr) {
    joined->data.append(bytes, size);
    bytes = joined->data.data();
    size = joined->data.size();
  }
  Client* c = u->client;
  while (!u->dead && u->client == c) {
    const Parsed parsed = parse_response({bytes, size}, u->scan, c->to_head, response_);
    if (parsed.state == Parsed::State::Incomplete) {
      u->in = take_buffer();
      u->in->data.assign(bytes, size);
      break;
    }
    u->scan = {};
    if (parsed.state == Parsed::State::Bad) {
      const std::string reason =
          fmt::format("{} sent a bad response: {}", u->host->name, parsed.why);
      attempt_ended(*u->host, 0, 0);
      drop_upstream(u);
      attempt_failed(c, Failure::Protocol, reason);
      break;
    }
    bytes += parsed.length;
    size -= parsed.length;
    if (response_head(u, {bytes, size})) {
      response_body(u, bytes, size);
      break;
    }
    if (size == 0 || (!u->dead && c->tunnel)) break;
  }
  give_buffer(joined);
}

// Decides what a response head means; false if it is not the final one or was not passed on.
// The head for the client is left in head_out_, to be sent together with the body at hand.
// `early`: what came behind the head.
bool Worker::response_head(Upstream* u, std::string_view early) {
  Client* c = u->client;
  const ResponseHead& head = response_;
  head_out_.clear();
  if (head.status == 101 && c->upgrade && head.upgrade == Upgrade::WebSocket) {
    append_downstream_head(head_out_, head, dialect_of(c), BodyKind::None, false, 0, date());
    begin_upgrade(u, early);
    return false;
  }
  if (head.status == 101) {
    const std::string reason = u->host->name + " switched protocols without being asked";
    attempt_ended(*u->host, 0, 0);
    drop_upstream(u);
    attempt_failed(c, Failure::Protocol, reason);
    return false;
  }
  if (head.status < 200) {
    if (head.status != 100 && c->minor >= 1) {
      append_downstream_head(head_out_, head, dialect_of(c), BodyKind::None, false, 0, date());
      send_to_client(c, head_out_);
      head_out_.clear();
    }
    return false;
  }
  attempt_ended(*u->host, head.status, u->begun_ns);
  if (retry_later(c, {AttemptOutcome::Kind::Response, head.status})) return false;
  timers_.remove(*u);
  c->response_started = true;
  c->head_ns = now_ns_;
  c->status = head.status;
  u->in_body = true;
  u->keep_alive = head.keep_alive && !c->isolate;
  u->body = head.framing;
  if (head.framing.kind == BodyKind::Chunked) u->chunks = std::make_unique<ChunkDecoder>();
  u->to_client = head.framing.kind == BodyKind::UntilClose ? BodyKind::Chunked : head.framing.kind;
  if (u->to_client == BodyKind::Chunked && c->minor == 0) u->to_client = BodyKind::UntilClose;
  if (u->to_client == BodyKind::UntilClose || !c->request_whole) c->keep_alive = false;
  if (draining_ || c->slot->listener == nullptr) c->keep_alive = false;
  append_downstream_head(head_out_, head, dialect_of(c), u->to_client, !c->keep_alive,
                         (now_ns_ - c->begun_ns) / 1'000'000, date());
  if (c->keep_alive && c->minor == 0) {
    head_out_.insert(head_out_.size() - 2, "connection: keep-alive\r\n");
  }
  if (c->first_met) remember_target(c);
  return true;
}

// Users of a sticky forward are told which target they met; the head waits in head_out_.
void Worker::remember_target(const Client* c) {
  const traffic::Forward& forward = *c->forward->forward;
  const std::int64_t expires_s = epoch_s_ + forward.stickiness.duration / std::chrono::seconds{1};
  head_out_.resize(head_out_.size() - 2);  // the empty line
  traffic::append_sticky_cookies(head_out_,
                                 traffic::sticky_value(forward.targets[c->target].name, expires_s),
                                 http_date(expires_s));
  head_out_ += "\r\n";
}

void Worker::response_body(Upstream* u, char* bytes, std::size_t size) {
  Client* c = u->client;
  std::string_view payload{bytes, size};
  std::string_view tail;
  std::string tail_text;
  bool done = false;
  bool extra = false;
  switch (u->body.kind) {
    case BodyKind::None:
      payload = {};
      done = true;
      extra = size > 0;
      break;
    case BodyKind::Length: {
      const auto take = static_cast<std::size_t>(std::min<std::uint64_t>(u->body.length, size));
      payload = payload.substr(0, take);
      u->body.length -= take;
      done = u->body.length == 0;
      extra = size > take;
      break;
    }
    case BodyKind::Chunked: {
      const ChunkDecoder::Step step = u->chunks->decode(bytes, size);
      if (u->chunks->bad()) {
        head_out_.clear();
        abort_response(c, "UPE");
        return;
      }
      payload = payload.substr(0, step.payload);
      done = u->chunks->done();
      extra = step.consumed < size;
      break;
    }
    case BodyKind::UntilClose:
      break;
  }
  if (u->to_client == BodyKind::Chunked) {
    if (!payload.empty()) {
      append_chunk_size(head_out_, payload.size());
      tail = "\r\n";
    }
    if (done) {
      tail_text = std::string(tail) + "0\r\n" + u->chunks->trailers() + "\r\n";
      tail = tail_text;
    }
  }
  c->sent += payload.size();
  // Of a small answer one piece is made: that costs less than having the kernel gather it.
  if (!head_out_.empty() && payload.size() + tail.size() <= kWorthCopying) {
    head_out_.append(payload).append(tail);
    payload = tail = {};
  }
  send_to_client(c, head_out_, payload, tail);
  head_out_.clear();
  if (!c->dead && done) response_complete(u, extra);
}

void Worker::response_complete(Upstream* u, bool extra_bytes) {
  Client* c = u->client;
  const bool sent = c->request_whole && pending_request(c) == 0;
  Host* host = u->host;
  record(c, c->status);
  ++host->stats.requests;
  timers_.remove(*u);
  u->client = nullptr;
  c->up = nullptr;
  u->chunks.reset();
  if (u->keep_alive && sent && !extra_bytes && !u->hangup && !host->retired &&
      host->idle.size() < kMaxIdlePerInstance) {
    u->idle_since_ns = now_ns_;
    host->idle.push_back(u);
    if (host->waiting > 0) call_next(host);
  } else {
    u->client = nullptr;
    u->in_body = false;
    drop_upstream(u);
  }
  client_done(c);
}

// Whether a request goes out once more, beyond any policy for retries, because the kept connection
// it was given ended: only if the server is known, or likely, not to have seen it. Else a version
// that breaks connections would look better than it is: Envoy resends nothing but by policy.
//
// It is known if the server's TCP took nothing of the request; once that was refused even a POST
// may be sent again (RFC 9110 9.2.2). It is likely if the connection had been idle for so long that
// the server may have lost patience with it just then (RFC 9112 9.3.1).
bool Worker::may_resend(const Upstream* u, bool clean_end) const {
  const Client* c = u->client;
  const Reach reach =
      clean_end || c->request_sent == 0 ? reach_of(u->fd, c->request_sent) : Reach::Unknown;
  if (reach == Reach::Refused) return true;
  if (!c->idempotent) return false;
  return reach == Reach::Unacknowledged ||
         u->begun_ns - u->idle_since_ns >= timeouts_.patience.count();
}

void Worker::upstream_closed(Upstream* u, bool clean_end) {
  Client* c = u->client;
  if (u->in_body) {
    if (u->body.kind == BodyKind::UntilClose) {
      if (u->to_client == BodyKind::Chunked) send_to_client(c, "0\r\n\r\n");
      if (!c->dead) response_complete(u, false);
    } else {
      ++u->host->stats.resets;
      judge(*u->host, 0);
      abort_response(c, "UC");
    }
    return;
  }
  const bool again = u->reused && !u->any_byte && c->replayable && may_resend(u, clean_end);
  const std::string reason =
      fmt::format("{} (target {}) closed the connection before its answer", u->host->name,
                  c->forward->targets[c->target].target->name);
  ++(again ? c->plan_target->stats->resends : c->plan_target->stats->resets);
  if (!again) {
    ++u->host->stats.resets;
    attempt_ended(*u->host, 0, 0);
  }
  drop_upstream(u);
  if (again) {
    attempt(c, true);
    return;
  }
  attempt_failed(c, Failure::ClosedBeforeHead, reason);
}

// Asks the policy. True if another attempt was scheduled; the upstream connection is given up.
bool Worker::retry_later(Client* c, const AttemptOutcome& outcome) {
  const traffic::Forward& forward = *c->forward->forward;
  if (forward.retry.max_retries == 0 || !c->replayable || !c->request_whole) return false;
  const auto answer =
      traffic::ask_retry_policy(forward.retry, c->forward->retry_on, outcome, c->retries);
  if (answer == traffic::RetryAnswer::Spent) {
    ++c->plan_target->stats->retries_spent;
    if (c->log != nullptr) c->log->retries_spent = true;
  }
  if (answer != traffic::RetryAnswer::Yes || !begin_retry(c)) return false;
  ++c->retries;
  ++c->plan_target->stats->retries;
  if (c->up != nullptr) drop_upstream(c->up);
  const Duration wait = traffic::retry_backoff(c->retries, random_.uniform());
  c->timer = Client::Timer::Retry;
  timers_.set(*c, std::min(now_ns_ + wait.count(), c->request_deadline_ns), now_ns_);
  return true;
}

void Worker::attempt_failed(Client* c, Failure failure, std::string reason) {
  AttemptOutcome outcome;
  switch (failure) {
    case Failure::ConnectFailure:
    case Failure::ConnectTimeout:
      outcome.kind = AttemptOutcome::Kind::ConnectFailure;
      break;
    case Failure::RequestTimeout:
      outcome.kind = AttemptOutcome::Kind::PerTryTimeout;
      break;
    case Failure::ClosedBeforeHead:
    case Failure::Protocol:
      outcome.kind = AttemptOutcome::Kind::ResetBeforeHead;
      break;
    case Failure::NoHost:  // no attempts, so none that failed
    case Failure::Overflow:
    case Failure::NoRoom:
    case Failure::StreamIdle:
      CHECK_FAILED("a failure that is answered at once");
  }
  if (retry_later(c, outcome)) return;
  answer(c, failure_reply(failure, dialect_of(c), std::move(reason)), !c->request_whole);
}

// The response cannot be completed and its head is out: the client must notice, so no clean end.
void Worker::abort_response(Client* c, std::string_view flag) {
  c->flag = flag;
  const ::linger reset{1, 0};
  setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  c->tls.reset();  // whose closing message would make the end a clean one
  drop_client(c);
}

void Worker::forget_idle(Upstream* u) {
  auto& idle = u->host->idle;
  const auto at = std::find(idle.begin(), idle.end(), u);
  if (at != idle.end()) idle.erase(at);
}

void Worker::drop_upstream(Upstream* u) {
  if (u->dead) return;
  if (u->client != nullptr) {
    u->client->up = nullptr;
    u->client = nullptr;
  } else {
    forget_idle(u);
  }
  give_buffer(u->in);
  --u->host->connections;
  if (u->host->waiting > 0) call_next(u->host);
  bury(u);
}

}  // namespace coalmine::gateway
