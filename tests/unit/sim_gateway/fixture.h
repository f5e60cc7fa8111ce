// A gateway on loopback between raw sockets: what goes in and comes out, byte by byte.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <list>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "sim/gateway/gateway.h"

namespace coalmine::gateway::test {

inline constexpr int kDeadlineMs = 60'000;  // a machine may stand still for a while

class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket(const Socket&) = delete;
  Socket& operator=(Socket&&) = delete;
  ~Socket() { shut(); }
  void shut() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

  static Socket connect_to(int port) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0) << port;
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return Socket(fd);
  }

  bool write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }
  int fd() const { return fd_; }
  void end_writing() { shutdown(fd_, SHUT_WR); }
  /// Ends the connection with a reset, so that the other side notices at once.
  void abort() {
    const ::linger at_once{1, 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    shut();
  }

  /// One more piece into `buffer`; false at the end or after the deadline.
  bool read_more(int deadline_ms = kDeadlineMs) {
    pollfd p{fd_, POLLIN, 0};
    if (poll(&p, 1, deadline_ms) <= 0) return false;
    char piece[65536];
    const ssize_t n = recv(fd_, piece, sizeof piece, 0);
    if (n <= 0) {
      ended = true;
      reset = n < 0;
      return false;
    }
    buffer.append(piece, static_cast<std::size_t>(n));
    return true;
  }
  /// Everything up to the end of the connection.
  std::string read_all() {
    while (read_more()) {
    }
    return std::exchange(buffer, {});
  }
  bool read_until(std::string_view mark) {
    while (buffer.find(mark) == std::string::npos) {
      if (!read_more()) return false;
    }
    return true;
  }

  std::string buffer;
  bool ended = false;
  bool reset = false;

 private:
  int fd_;
};

struct Answer {
  int status = 0;
  std::string head;
  std::string body;
  std::string field(std::string_view name) const {
    const std::size_t at = head.find("\r\n" + std::string(name) + ": ");
    if (at == std::string::npos) return "";
    const std::size_t from = at + name.size() + 4;
    return head.substr(from, head.find("\r\n", from) - from);
  }
};

/// Reads one answer (Content-Length, chunked, or to the end) off a connection.
inline Answer read_answer(Socket& socket, bool to_head = false) {
  Answer out;
  if (!socket.read_until("\r\n\r\n")) {
    ADD_FAILURE() << (socket.reset   ? "the connection was reset"
                      : socket.ended ? "the connection ended"
                                     : "nothing came in time")
                  << ", got: " << socket.buffer;
    return out;
  }
  const std::size_t end = socket.buffer.find("\r\n\r\n") + 4;
  out.head = socket.buffer.substr(0, end);
  socket.buffer.erase(0, end);
  out.status = std::stoi(out.head.substr(9, 3));
  if (to_head || out.status == 204 || out.status == 304 || out.status < 200) return out;
  std::string length = out.field("content-length");
  if (length.empty()) length = out.field("Content-Length");
  if (!length.empty()) {
    const std::size_t size = std::stoul(length);
    while (socket.buffer.size() < size && socket.read_more()) {
    }
    out.body = socket.buffer.substr(0, size);
    socket.buffer.erase(0, size);
  } else if (out.field("transfer-encoding") == "chunked") {
    for (;;) {
      if (!socket.read_until("\r\n")) return out;
      const std::size_t line = socket.buffer.find("\r\n");
      const std::size_t size = std::stoul(socket.buffer.substr(0, line), nullptr, 16);
      if (size == 0) {
        // trailers up to the empty line
        while (socket.buffer.find("\r\n\r\n", line) == std::string::npos && socket.read_more()) {
        }
        const std::size_t stop = socket.buffer.find("\r\n\r\n", line) + 4;
        out.head += socket.buffer.substr(line + 2, stop - line - 4);
        socket.buffer.erase(0, stop);
        return out;
      }
      while (socket.buffer.size() < line + 4 + size && socket.read_more()) {
      }
      out.body += socket.buffer.substr(line + 2, size);
      socket.buffer.erase(0, line + 4 + size);
    }
  } else {
    out.body = socket.read_all();
  }
  return out;
}

/// An upstream whose every connection is served by `serve` on a thread of its own.
class Upstream {
 public:
  using Serve = std::function<void(Socket&)>;

  explicit Upstream(Serve serve, const std::string& host = "127.0.0.1") : serve_(std::move(serve)) {
    fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    EXPECT_EQ(inet_pton(AF_INET, host.c_str(), &address.sin_addr), 1);
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(listen(fd_, 1024), 0);
    socklen_t size = sizeof address;
    getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { accept_all(); });
  }
  ~Upstream() {
    stopping_ = true;
    shutdown(fd_, SHUT_RDWR);
    acceptor_.join();
    close(fd_);
    {
      const std::lock_guard lock(mutex_);
      for (const int fd : open_) shutdown(fd, SHUT_RDWR);
    }
    for (std::thread& t : threads_) t.join();
  }
  int port() const { return port_; }
  int connections() const { return connections_; }

 private:
  void accept_all() {
    while (!stopping_) {
      const int fd = accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) return;
      ++connections_;
      const int on = 1;
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      {
        const std::lock_guard lock(mutex_);
        open_.push_back(fd);
      }
      threads_.emplace_back([this, fd] {
        Socket socket(fd);
        serve_(socket);
        const std::lock_guard lock(mutex_);
        open_.remove(fd);
        socket.shut();
      });
    }
  }

  Serve serve_;
  int fd_ = -1;
  int port_ = 0;
  std::atomic<bool> stopping_{false};
  std::atomic<int> connections_{0};
  std::mutex mutex_;
  std::list<int> open_;
  std::thread acceptor_;
  std::list<std::thread> threads_;
};

/// Reads one request with Content-Length or chunked body; empty at the end of the connection.
inline std::string read_request(Socket& socket) {
  if (!socket.read_until("\r\n\r\n")) return {};
  const std::size_t head = socket.buffer.find("\r\n\r\n") + 4;
  const std::size_t length_at = socket.buffer.find("content-length: ");
  std::size_t size = head;
  if (length_at < head) {
    size += std::stoul(socket.buffer.substr(length_at + 16));
  } else if (socket.buffer.find("transfer-encoding: chunked") < head) {
    while (socket.buffer.find("0\r\n", head) == std::string::npos ||
           !socket.buffer.ends_with("\r\n\r\n")) {
      if (!socket.read_more()) return {};
    }
    size = socket.buffer.size();
  }
  while (socket.buffer.size() < size && socket.read_more()) {
  }
  std::string out = socket.buffer.substr(0, size);
  socket.buffer.erase(0, size);
  return out;
}

inline std::string ok(std::string_view body) {
  return fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", body.size(), body);
}

/// Answers every request with its own text, prefixed by `name`.
inline Upstream::Serve echo(std::string name) {
  return [name](Socket& socket) {
    for (std::string request = read_request(socket); !request.empty();
         request = read_request(socket)) {
      if (!socket.write(ok(name + "\n" + request))) return;
    }
  };
}

struct TargetSpec {
  std::string name;
  std::uint32_t weight;
  std::vector<int> ports;
};

inline traffic::Snapshot table_of(const std::vector<TargetSpec>& targets, std::uint64_t version = 1,
                                  const Json& more = Json::object(),
                                  const Json& listener = Json::object()) {
  Json list = Json::array();
  for (const TargetSpec& t : targets) {
    Json instances = Json::array();
    for (const int port : t.ports) instances.push_back(fmt::format("127.0.0.1:{}", port));
    list.push_back({{"name", t.name}, {"weight", t.weight}, {"instances", instances}});
  }
  Json route = {{"name", "r"}, {"match", {{"prefix", "/"}}}, {"targets", list}};
  route.update(more);
  Json l = {{"port", 0}, {"routes", {route}}};
  l.update(listener);
  auto table = traffic::route_table_from_json(Json{{"version", version}, {"listeners", {l}}});
  EXPECT_TRUE(table) << table.error().message;
  return std::make_shared<const traffic::RouteTable>(std::move(*table));
}

inline std::unique_ptr<Gateway> start_gateway(traffic::Snapshot table, int threads = 1,
                                              WorkerTimeouts timeouts = {},
                                              Duration drain = std::chrono::seconds(5)) {
  GatewayOptions options;
  options.threads = threads;
  options.admin_port = std::nullopt;
  options.seed = 1;
  options.drain = drain;
  options.timeouts = timeouts;
  auto gateway = Gateway::start(options, std::move(table));
  EXPECT_TRUE(gateway) << gateway.error().message;
  return std::move(*gateway);
}

inline int port_of(Gateway& gateway) {
  return gateway.ports().front().bound;
}

inline Answer ask(int port, std::string_view request) {
  Socket socket = Socket::connect_to(port);
  socket.write(request);
  return read_answer(socket);
}

/// Polls until `f` holds.
inline bool eventually(const std::function<bool()>& f) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(kDeadlineMs);
  while (!f()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

/// Waits until somebody was held back, by the count `paused`, and `done` stands still for a hundred
/// turns of the worker's loop: each reading of the counts is served between two of them.
inline bool comes_to_rest(Gateway& gateway,
                          const std::function<std::uint64_t(const GatewayStats&)>& paused,
                          const std::function<std::size_t()>& done) {
  return eventually([&] { return paused(gateway.stats()) > 0; }) && eventually([&] {
           const std::size_t before = done();
           for (int turn = 0; turn < 100; ++turn) gateway.stats();
           return done() == before;
         });
}
inline std::uint64_t clients_held_back(const GatewayStats& stats) {
  return stats.listeners.begin()->second.reads_paused;
}
inline std::uint64_t answers_held_back(const GatewayStats& stats) {
  std::uint64_t out = 0;
  for (const auto& [key, target] : stats.targets) out += target.reads_paused;
  return out;
}

inline constexpr const char* kGet = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

}  // namespace coalmine::gateway::test
