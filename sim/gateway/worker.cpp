#include "sim/gateway/worker.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <future>

#include "sim/core/check.h"
#include "sim/gateway/worker_types.h"

namespace coalmine::gateway {
namespace {

constexpr int kEventsPerTurn = 256;
constexpr int kAcceptsPerTurn = 64;  // so that a flood of connections does not starve requests
constexpr int kLogFlushMs = 50;      // lines of the access log wait for company
constexpr std::size_t kLogFlushBytes = 32 << 10;
constexpr std::size_t kFreeBuffers = 64;
constexpr std::size_t kMaxFreeBufferBytes = 128 << 10;

std::int64_t nanoseconds(clockid_t clock) {
  timespec t{};
  clock_gettime(clock, &t);
  return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

}  // namespace

Worker::Worker(int number, int count, std::uint64_t seed, const WorkerOptions& options)
    : number_(number),
      count_(count),
      options_(options),
      timeouts_(options.timeouts),
      random_(Random(seed).split("gateway").split(static_cast<std::uint64_t>(number))),
      scratch_(kScratchBytes),
      plan_(std::make_unique<Plan>()) {
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  wake_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  spare_fd_ = open("/dev/null", O_RDONLY | O_CLOEXEC);
  CHECK(epoll_ >= 0 && wake_ >= 0);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = nullptr;
  CHECK(epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event) == 0);
  read_clock();
}

Worker::~Worker() {
  if (thread_.joinable()) stop(Duration{});
  while (clients_ != nullptr) drop_client(clients_);
  for (auto& [name, cluster] : clusters_) {
    for (const auto& host : cluster->all_hosts) {
      while (!host->idle.empty()) drop_upstream(host->idle.back());
      stop_checks(*host);
    }
    timers_.remove(*cluster);
  }
  delete_dead();
  flush_log();
  for (auto& [port, slot] : slots_) {
    if (slot->fd >= 0) close(slot->fd);
  }
  for (Buffer* buffer : free_buffers_) delete buffer;
  close(epoll_);
  close(wake_);
  if (spare_fd_ >= 0) close(spare_fd_);
}

void Worker::start() {
  thread_ = std::thread([this] { run(); });
}

void Worker::post(std::function<void()> message) {
  {
    const std::lock_guard lock(inbox_mutex_);
    if (closed_) return;
    inbox_.push_back(std::move(message));
  }
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = write(wake_, &one, sizeof one);
}

void Worker::run_messages() {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto got = read(wake_, &count, sizeof count);
  std::vector<std::function<void()>> messages;
  {
    const std::lock_guard lock(inbox_mutex_);
    messages.swap(inbox_);
  }
  for (const auto& message : messages) message();
}

void Worker::update(WorkerUpdate update) {
  // std::function must be copyable, so the sockets go by value; descriptors are plain numbers
  post([this, update = std::move(update)] { adopt(update); });
}

// What `f` gives when it is called by the worker's thread, or by us once that has ended.
template <typename F>
auto Worker::between_turns(F f) {
  std::promise<decltype(f())> promise;
  auto future = promise.get_future();
  {
    const std::lock_guard lock(inbox_mutex_);
    if (closed_) return f();
    inbox_.emplace_back([&] { promise.set_value(f()); });
  }
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = write(wake_, &one, sizeof one);
  return future.get();
}

GatewayStats Worker::stats() {
  return between_turns([this] { return collect(); });
}

RequestRing::Batch Worker::requests() {
  return between_turns([this] {
    observed_ = true;
    return ring_.drain();
  });
}

GatewayStats Worker::collect() const {
  GatewayStats out = counts_;
  for (const auto& [key, stats] : target_stats_) out.targets[key].merge(*stats);
  for (const auto& [key, stats] : mirror_stats_) out.mirrors[key].merge(*stats);
  for (const auto& [flag, count] : replies_) out.local_replies[std::string(flag)] += count;
  collect_instances(out);
  return out;
}

void Worker::stop(Duration drain) {
  post([this, drain] {
    drain_until_ns_ = now_ns_ + drain.count();
    begin_drain();
  });
  if (thread_.joinable()) thread_.join();
}

void Worker::read_clock() {
  now_ns_ = nanoseconds(CLOCK_MONOTONIC);
  epoch_ns_ = nanoseconds(CLOCK_REALTIME);
  epoch_s_ = epoch_ns_ / 1'000'000'000;
}

const std::string& Worker::date() {
  if (date_epoch_s_ != epoch_s_) {
    date_epoch_s_ = epoch_s_;
    date_ = http_date(epoch_s_);
  }
  return date_;
}

void Worker::run() {
  while (running_) {
    turn();
    if (draining_ && (drained() || now_ns_ >= drain_until_ns_)) running_ = false;
  }
  flush_log();
  const std::lock_guard lock(inbox_mutex_);
  closed_ = true;
  for (const auto& message : inbox_) message();  // somebody may wait for an answer
  inbox_.clear();
}

void Worker::turn() {
  epoll_event events[kEventsPerTurn];
  int wait_ms = timers_.wait_ms(now_ns_);
  if (draining_) {
    const auto left = static_cast<int>((drain_until_ns_ - now_ns_) / 1'000'000 + 1);
    if (wait_ms < 0 || left < wait_ms) wait_ms = std::max(left, 0);
  }
  if (!log_lines_.empty() && (wait_ms < 0 || wait_ms > kLogFlushMs)) wait_ms = kLogFlushMs;
  const int count = epoll_wait(epoll_, events, kEventsPerTurn, wait_ms);
  read_clock();
  bool mail = false;
  for (int i = 0; i < count; ++i) {
    auto* connection = static_cast<Connection*>(events[i].data.ptr);
    if (connection == nullptr) {
      mail = true;
      continue;
    }
    if (connection->dead) continue;
    switch (connection->kind) {
      case Connection::Kind::Client:
        client_event(static_cast<Client*>(connection), events[i].events);
        break;
      case Connection::Kind::Upstream:
        upstream_event(static_cast<Upstream*>(connection), events[i].events);
        break;
      case Connection::Kind::Listen:
        accept_clients(*static_cast<Slot*>(connection));
        break;
      case Connection::Kind::Check:
        check_event(static_cast<Check*>(connection), events[i].events);
        break;
      case Connection::Kind::Wake:
      case Connection::Kind::Cluster:
      case Connection::Kind::Host:
        break;
    }
  }
  if (mail) run_messages();
  timers_.advance(now_ns_, [this](TimerNode& node) { fire(node); });
  feed_hungry();
  start_mirrored();
  const bool log_is_due = log_lines_.size() > kLogFlushBytes ||
                          now_ns_ - log_flushed_ns_ > std::int64_t{kLogFlushMs} * 1'000'000;
  if (!log_lines_.empty() && log_is_due) flush_log();
  delete_dead();
}

void Worker::delete_dead() {
  for (Connection* c : dead_) {
    if (c->kind == Connection::Kind::Client) {
      delete static_cast<Client*>(c);
    } else if (c->kind == Connection::Kind::Check) {
      delete static_cast<Check*>(c);
    } else {
      delete static_cast<Upstream*>(c);
    }
  }
  dead_.clear();
}

// The object stays until the end of the turn: events of it may still be in the batch.
void Worker::bury(Connection* connection) {
  timers_.remove(*connection);
  if (connection->fd >= 0) close(connection->fd);
  connection->dead = true;
  dead_.push_back(connection);
}

void Worker::add_to_epoll(Connection* connection) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = connection;
  CHECK(epoll_ctl(epoll_, EPOLL_CTL_ADD, connection->fd, &event) == 0);
}

Worker::Buffer* Worker::take_buffer() {
  if (free_buffers_.empty()) return new Buffer;
  Buffer* buffer = free_buffers_.back();
  free_buffers_.pop_back();
  return buffer;
}

void Worker::give_buffer(Buffer*& buffer) {
  if (buffer == nullptr) return;
  if (free_buffers_.size() >= kFreeBuffers || buffer->data.capacity() > kMaxFreeBufferBytes) {
    delete buffer;
  } else {
    buffer->data.clear();
    free_buffers_.push_back(buffer);
  }
  buffer = nullptr;
}

TargetStats* Worker::stats_for(const StatsKey& key) {
  auto& cell = target_stats_[key];
  if (!cell) cell = std::make_unique<TargetStats>();
  return cell.get();
}

TargetStats* Worker::mirror_stats_for(const StatsKey& key) {
  auto& cell = mirror_stats_[key];
  if (!cell) cell = std::make_unique<TargetStats>();
  return cell.get();
}

void Worker::count_reply(std::string_view flag) {
  for (auto& [known, count] : replies_) {
    if (known == flag) {
      ++count;
      return;
    }
  }
  replies_.emplace_back(flag, 1);
}

void Worker::adopt(const WorkerUpdate& update) {
  const auto& index = update.index;
  if (log_ != update.log) flush_log();
  log_ = update.log;
  observed_ = log_ != nullptr || ring_.on();
  auto plan = std::make_unique<Plan>();
  adopt_clusters(*index, *plan);
  plan->index = index;
  counts_.version = index->table().version;
  if (plan_->users > 0) old_plans_.push_back(std::move(plan_));
  plan_ = std::move(plan);
  for (const ListenSocket& socket : update.sockets) {
    auto& slot = slots_[socket.port];
    if (!slot) slot = std::make_unique<Slot>();
    slot->port = socket.port;
    slot->bound_port = socket.bound_port;
    slot->fd = socket.fd;
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = slot.get();
    CHECK(epoll_ctl(epoll_, EPOLL_CTL_ADD, slot->fd, &event) == 0);
  }
  for (auto& [port, slot] : slots_) {
    slot->listener = index->listener(port);
    if (slot->listener != nullptr) {
      const auto& listener = *slot->listener->listener;
      slot->dialect = listener.dialect;
      slot->protocol = listener.protocol;
      const auto found = update.tls.find(port);
      slot->tls = found == update.tls.end() ? nullptr : found->second;
      slot->tls_permissive = listener.tls && listener.tls->permissive;
      slot->desync = listener.desync;
      slot->drop_invalid_headers = listener.drop_invalid_headers;
      name_slot(*slot, listener.name.empty() ? fmt::format(":{}", slot->port) : listener.name);
    } else if (slot->fd >= 0) {
      close_listener(*slot);
    }
  }
  release(nullptr);
}

// The counts of a listener go by its name; its open connections follow it to a new one.
void Worker::name_slot(Slot& slot, const std::string& name) {
  if (slot.stats != nullptr && slot.name == name) return;
  ListenerStats* before = slot.stats;
  slot.name = name;
  slot.stats = &counts_.listeners[name];
  slot.untargeted = stats_for({name, "", ""});
  slot.untargeted_key = &target_stats_.find({name, "", ""})->first;
  if (before == nullptr) return;
  slot.stats->connections_active += std::exchange(before->connections_active, 0);
  slot.stats->upgrades_active += std::exchange(before->upgrades_active, 0);
}

void Worker::release(Plan* plan) {
  if (plan != nullptr && (--plan->users > 0 || plan == plan_.get())) return;
  std::erase_if(old_plans_, [](const auto& old) { return old->users == 0; });
  if (old_plans_.empty()) purge_clusters();
}

// Clients that are already queued are still served; idle ones are asked to leave.
void Worker::close_listener(Slot& slot) {
  accept_clients(slot);
  close(slot.fd);
  slot.fd = -1;
  Client* next = nullptr;
  for (Client* c = clients_; c != nullptr; c = next) {
    next = c->next_client;
    if (c->slot == &slot) close_idle(c);
  }
}

void Worker::close_idle(Client* c) {
  if (c->state == Client::State::Handshake || c->idle) {
    drop_client(c);
  } else {
    c->keep_alive = false;
  }
}

// Those who wait for their next request are in the order in which they began to.
void Worker::enter_idle(Client* c) {
  c->idle = true;
  c->newer_idle = nullptr;
  c->older_idle = newest_idle_;
  (newest_idle_ == nullptr ? oldest_idle_ : newest_idle_->newer_idle) = c;
  newest_idle_ = c;
}

void Worker::leave_idle(Client* c) {
  if (!c->idle) return;
  c->idle = false;
  (c->older_idle == nullptr ? oldest_idle_ : c->older_idle->newer_idle) = c->newer_idle;
  (c->newer_idle == nullptr ? newest_idle_ : c->newer_idle->older_idle) = c->older_idle;
}

bool Worker::make_room() {
  Client* oldest = oldest_idle_;
  if (oldest == nullptr) return false;
  ++oldest->slot->stats->connections_shed;
  drop_client(oldest);
  return true;
}

// The client is told, if it is easily done; its request, if it sent one, is not looked at.
void Worker::refuse_connection(Client* c) {
  ++c->slot->stats->connections_refused;
  const bool plain_http = c->slot->tls == nullptr && c->slot->protocol == traffic::Protocol::Http;
  if (!plain_http || refusing_ >= kMaxRefusing) {
    drop_client(c);
    return;
  }
  ++refusing_;
  c->refused = true;
  std::string text;
  append_local_reply(
      text,
      failure_reply(Failure::NoRoom, c->slot->dialect,
                    fmt::format("all {} client connections are busy", options_.max_clients)),
      c->slot->dialect, false, true, date());
  send_to_client(c, text);
  if (!c->dead) linger(c);
}

void Worker::begin_drain() {
  draining_ = true;
  for (auto& [port, slot] : slots_) {
    if (slot->fd >= 0) close_listener(*slot);
  }
}

bool Worker::drained() const {
  return client_count_ == 0;
}

void Worker::accept_clients(Slot& slot) {
  for (int i = 0; i < kAcceptsPerTurn && slot.fd >= 0; ++i) {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    const int fd = accept4(slot.fd, reinterpret_cast<sockaddr*>(&address), &size,
                           SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if ((errno == EMFILE || errno == ENFILE) && spare_fd_ >= 0) {
        // Out of descriptors: take the connection with the spare one and close it, or the
        // listener would stay readable and the loop would spin.
        close(spare_fd_);
        const int refused = accept4(slot.fd, nullptr, nullptr, SOCK_CLOEXEC);
        if (refused >= 0) close(refused);
        spare_fd_ = open("/dev/null", O_RDONLY | O_CLOEXEC);
      }
      return;
    }
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const bool full = client_count_ >= options_.max_clients && !make_room();
    auto* c = new Client;
    c->fd = fd;
    c->slot = &slot;
    c->peer_ipv4 = ntohl(address.sin_addr.s_addr);
    inet_ntop(AF_INET, &address.sin_addr, c->peer, sizeof c->peer);
    c->next_client = clients_;
    if (clients_ != nullptr) clients_->previous_client = c;
    clients_ = c;
    ++client_count_;
    ++slot.stats->connections_total;
    ++slot.stats->connections_active;
    add_to_epoll(c);
    if (full) {
      refuse_connection(c);
    } else if (slot.tls != nullptr) {
      c->state = Client::State::Handshake;
      c->timer = Client::Timer::Head;
      timers_.set(*c, now_ns_ + timeouts_.head.count(), now_ns_);
      if (!slot.tls_permissive) c->tls = slot.tls->accept(fd);
    } else {
      begin_serving(c);
    }
  }
}

void Worker::fire(TimerNode& node) {
  auto* connection = static_cast<Connection*>(&node);
  if (connection->dead) return;
  if (connection->kind == Connection::Kind::Cluster) {
    sweep(*static_cast<Cluster*>(connection));
    return;
  }
  if (connection->kind == Connection::Kind::Host) {
    begin_check(*static_cast<Host*>(connection));
    return;
  }
  if (connection->kind == Connection::Kind::Check) {
    check_ended(*static_cast<Check*>(connection)->host, false);
    return;
  }
  if (connection->kind == Connection::Kind::Upstream) {
    auto* u = static_cast<Upstream*>(connection);
    Client* c = u->client;
    if (c == nullptr) return;
    if (c->tunnel) {  // a tcp connection that could not be made in time
      ++c->tunnel->stats->timeouts;
      ++u->host->stats.timeouts;
      tcp_failed(c, *u->host);
      return;
    }
    const std::string where =
        fmt::format("{} (target {})", u->host->name, c->forward->targets[c->target].target->name);
    ++c->plan_target->stats->timeouts;
    ++u->host->stats.timeouts;
    attempt_ended(*u->host, 0, 0);
    const bool connecting = u->connecting;
    if (connecting) ++u->host->stats.connect_failures;
    drop_upstream(u);
    if (connecting) {
      ++c->plan_target->stats->connect_failures;
      attempt_failed(c, Failure::ConnectTimeout, "connect timeout to " + where);
    } else {
      attempt_failed(c, Failure::RequestTimeout,
                     "no answer within the per-try timeout from " + where);
    }
    return;
  }
  auto* c = static_cast<Client*>(connection);
  switch (c->timer) {
    case Client::Timer::Idle:
    case Client::Timer::Linger:
    case Client::Timer::Tunnel:
      drop_client(c);
      break;
    case Client::Timer::Head:
      if (c->state == Client::State::Handshake) {
        ++c->slot->stats->tls_failures;
        drop_client(c);
        break;
      }
      begin_exchange(c);
      if (log_ != nullptr) begin_log_of_nothing(c);
      refuse(c, 408, "the request head did not come in time");
      break;
    case Client::Timer::StreamIdle:
      stream_idle(c);
      break;
    case Client::Timer::Retry:
      if (now_ns_ < c->request_deadline_ns) {
        c->timer = Client::Timer::Request;
        arm_request_timer(c);
        attempt(c, false);
        break;
      }
      [[fallthrough]];
    case Client::Timer::Request:
      if (now_ns_ >= c->request_deadline_ns) {
        request_timed_out(c);
      } else if (now_ns_ < c->active_ns + c->idle_ns) {
        arm_request_timer(c);  // there was something to hear since
      } else {
        stream_idle(c);
      }
      break;
  }
}

// Neither side was heard for too long. Envoy's "stream timeout": 408 while the request is not
// complete, else 504.
void Worker::stream_idle(Client* c) {
  if (c->response_started) {
    abort_response(c, "SI");
    return;
  }
  const traffic::TargetIndex& target = c->forward->targets[c->target];
  const Duration limit{c->request_whole ? c->idle_ns : body_idle_ns(c)};
  traffic::LocalReply reply = failure_reply(
      Failure::StreamIdle, dialect_of(c),
      c->request_whole
          ? fmt::format("nothing from target {} for {}", target.target->name, to_string(limit))
          : fmt::format("nothing of the request body for {}", to_string(limit)));
  if (!c->request_whole) reply.status = 408;
  answer(c, reply, !c->request_whole);
}

void Worker::request_timed_out(Client* c) {
  if (c->response_started) {
    abort_response(c, "UT");
    return;
  }
  ++c->plan_target->stats->timeouts;
  if (c->up != nullptr) {
    ++c->up->host->stats.timeouts;
    attempt_ended(*c->up->host, 0, 0);
  }
  const traffic::TargetIndex& target = c->forward->targets[c->target];
  answer(c,
         failure_reply(Failure::RequestTimeout, dialect_of(c),
                       fmt::format("target {} did not answer within {}", target.target->name,
                                   to_string(target.timeouts.request))),
         !c->request_whole);
}

traffic::Dialect Worker::dialect_of(const Client* c) const {
  return c->slot->dialect;
}

}  // namespace coalmine::gateway
