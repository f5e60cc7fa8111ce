#include "sim/gateway/gateway.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <mutex>
#include <thread>

#include "sim/gateway/admin.h"
#include "sim/net/http.h"

namespace coalmine::gateway {
namespace {

constexpr int kBacklog = 4096;

Result<int> open_socket(const std::string& host, int port, bool shared) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  if (inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) {
    return error("listen address \"{}\" is not an IPv4 address", host);
  }
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return error(ErrorKind::Environment, "socket: {}", std::strerror(errno));
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (shared) setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      listen(fd, kBacklog) != 0) {
    const int why = errno;
    close(fd);
    return error(ErrorKind::Environment, "cannot listen on {}:{}: {}", host, port,
                 std::strerror(why));
  }
  return fd;
}

int port_of(int fd) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin_port);
}

// One socket per worker on the same port. SO_REUSEPORT would let two gateways share a port
// unnoticed, so a plain socket asks first whether it is free.
Result<std::vector<int>> open_sockets(const std::string& host, int port, int count) {
  if (count == 1) {
    TRY(const int fd, open_socket(host, port, false));
    return std::vector<int>{fd};
  }
  TRY(const int probe, open_socket(host, port, false));
  port = port_of(probe);
  close(probe);
  std::vector<int> out;
  for (int i = 0; i < count; ++i) {
    auto fd = open_socket(host, port, true);
    if (!fd) {
      for (const int opened : out) close(opened);
      return tl::unexpected(fd.error());
    }
    out.push_back(*fd);
  }
  return out;
}

class RunningGateway final : public Gateway {
 public:
  explicit RunningGateway(GatewayOptions options) : options_(std::move(options)) {}
  ~RunningGateway() override { stop(); }

  Status begin(traffic::Snapshot initial) {
    if (options_.threads < 1 || options_.threads > kMaxThreads) {
      return error("{} threads, allowed are 1 to {}", options_.threads, kMaxThreads);
    }
    for (int i = 0; i < options_.threads; ++i) {
      workers_.push_back(
          std::make_unique<Worker>(i, options_.threads, options_.seed, worker_options()));
      workers_.back()->start();
    }
    if (options_.admin_port) {
      TRY(admin_, net::Server::listen(options_.admin_host, *options_.admin_port,
                                      [this](const net::Request& request) {
                                        return admin_response(*this, request);
                                      }));
    }
    if (initial) TRY_STATUS(update(std::move(initial)));
    return {};
  }

  Status update(traffic::Snapshot table) override {
    const std::lock_guard lock(mutex_);
    if (stopped_) return error(ErrorKind::Failed, "the gateway is stopped");
    TRY(auto index, traffic::RouteIndex::compile(std::move(table), index_.get(),
                                                 traffic::IndexOptions{options_.selection}));
    TRY(const TlsContexts tls, load_tls(*index));
    TRY(auto log, open_log(index->table()));
    std::vector<std::vector<ListenSocket>> sockets(workers_.size());
    std::vector<BoundPort> ports;
    auto opened = open_listeners(*index, sockets, ports);
    if (!opened) {
      for (const auto& list : sockets) {
        for (const ListenSocket& socket : list) close(socket.fd);
      }
      return opened;
    }
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      workers_[i]->update({index, std::move(sockets[i]), tls, log});
    }
    log_ = std::move(log);
    tell_problems(index_ ? index_->table().problems : std::vector<std::string>{},
                  index->table().problems);
    ports_ = std::move(ports);
    index_ = std::move(index);
    return {};
  }

  GatewayStats stats() override {
    GatewayStats out;
    for (const auto& worker : workers_) out.merge(worker->stats());
    return out;
  }
  std::string requests(std::uint64_t from) override {
    const std::lock_guard lock(stream_mutex_);
    RequestRing::Batch all;
    for (const auto& worker : workers_) {
      RequestRing::Batch batch = worker->requests();
      all.lost += batch.lost;
      all.results.insert(all.results.end(), batch.results.begin(), batch.results.end());
    }
    std::stable_sort(all.results.begin(), all.results.end(),
                     [](const RequestResult& a, const RequestResult& b) {
                       return a.end_epoch_us < b.end_epoch_us;
                     });
    stream_.add(std::move(all));
    return stream_.read(from);
  }
  void reopen_log() override {
    const std::lock_guard lock(mutex_);
    if (log_) log_->reopen();
  }
  traffic::Snapshot table() override {
    const std::lock_guard lock(mutex_);
    return index_ ? index_->snapshot() : nullptr;
  }
  std::vector<BoundPort> ports() override {
    const std::lock_guard lock(mutex_);
    return ports_;
  }
  int admin_port() const override { return admin_ ? admin_->port() : 0; }

  void stop() override {
    {
      const std::lock_guard lock(mutex_);
      if (stopped_) return;
      stopped_ = true;
    }
    std::vector<std::thread> waiters;
    for (const auto& worker : workers_) {
      waiters.emplace_back([&worker, this] { worker->stop(options_.drain); });
    }
    for (std::thread& waiter : waiters) waiter.join();
    if (log_) log_->flush();
    if (admin_) admin_->stop();
  }

 private:
  WorkerOptions worker_options() const {
    WorkerOptions out;
    out.timeouts = options_.timeouts;
    out.max_clients = options_.max_connections;
    out.access_log_ppm = static_cast<std::uint32_t>(options_.access_log_percent * 10'000 + 0.5);
    out.traceparent = options_.traceparent;
    return out;
  }

  // The one that is open already, if its name is the same.
  Result<std::shared_ptr<AccessLog>> open_log(const traffic::RouteTable& table) const {
    const std::string& path = options_.access_log.empty() ? table.access_log : options_.access_log;
    if (path.empty()) return std::shared_ptr<AccessLog>();
    if (log_ && log_->path() == path) return log_;
    return AccessLog::open(path);
  }

  static Result<TlsContexts> load_tls(const traffic::RouteIndex& index) {
    TlsContexts out;
    for (const auto& indexed : index.listeners()) {
      const traffic::Listener& listener = *indexed.listener;
      if (!listener.tls) continue;
      auto loaded = TlsContext::load(*listener.tls, listener.protocol);
      if (!loaded) return error("listener {}: {}", listener.port, loaded.error().message);
      out[listener.port] = std::move(*loaded);
    }
    return out;
  }

  static void tell_problems(const std::vector<std::string>& before,
                            const std::vector<std::string>& now) {
    for (const std::string& problem : now) {
      if (std::find(before.begin(), before.end(), problem) != before.end()) continue;
      fmt::print(stderr, "coalmine: {}\n", problem);
    }
  }

  Status open_listeners(const traffic::RouteIndex& index,
                        std::vector<std::vector<ListenSocket>>& sockets,
                        std::vector<BoundPort>& ports) {
    const auto& listeners = index.listeners();
    if (options_.port && listeners.size() != 1) {
      return error(
          "a listen port was given, but the table has {} listeners; it can replace the "
          "port of an only one",
          listeners.size());
    }
    for (const auto& listener : listeners) {
      const int port = listener.listener->port;
      const bool tls = listener.listener->tls.has_value();
      const auto known = std::find_if(ports_.begin(), ports_.end(),
                                      [&](const BoundPort& p) { return p.port == port; });
      if (known != ports_.end()) {
        ports.push_back({port, known->bound, tls});
        continue;
      }
      TRY(const auto fds, open_sockets(options_.host, options_.port.value_or(port),
                                       static_cast<int>(workers_.size())));
      const int bound = port_of(fds.front());
      for (std::size_t i = 0; i < fds.size(); ++i) sockets[i].push_back({port, bound, fds[i]});
      ports.push_back({port, bound, tls});
    }
    return {};
  }

  const GatewayOptions options_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::mutex mutex_;
  bool stopped_ = false;
  std::shared_ptr<const traffic::RouteIndex> index_;
  std::vector<BoundPort> ports_;
  std::shared_ptr<AccessLog> log_;
  std::mutex stream_mutex_;
  RequestStream stream_;
  std::unique_ptr<net::Server> admin_;
};

}  // namespace

Result<std::unique_ptr<Gateway>> Gateway::start(GatewayOptions options, traffic::Snapshot initial) {
  auto gateway = std::make_unique<RunningGateway>(std::move(options));
  TRY_STATUS(gateway->begin(std::move(initial)));
  return gateway;
}

}  // namespace coalmine::gateway
