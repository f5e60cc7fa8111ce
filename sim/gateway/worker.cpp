#include "sim/gateway/worker.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <ctime>
#include <future>

#include "sim/core/check.h"
#include "sim/gateway/worker_types.h"

namespace coalmine::gateway {
namespace {

constexpr int kEventsPerTurn = 256;
constexpr int kLogFlushMs = 50;  // lines of the access log wait for company
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
  adopt_listeners(update);
  release(nullptr);
}

void Worker::release(Plan* plan) {
  if (plan != nullptr && (--plan->users > 0 || plan == plan_.get())) return;
  std::erase_if(old_plans_, [](const auto& old) { return old->users == 0; });
  if (old_plans_.empty()) purge_clusters();
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
    upstream_timed_out(static_cast<Upstream*>(connection));
    return;
  }
  client_timed_out(static_cast<Client*>(connection));
}

}  // namespace coalmine::gateway
