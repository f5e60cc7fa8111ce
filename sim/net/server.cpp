#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "sim/net/connection.h"
#include "sim/net/http.h"

namespace coalmine::net {
namespace {

constexpr int kRetryAcceptMs = 20;  // when descriptors or memory have run out

class ThreadedServer : public Server {
 public:
  ThreadedServer(std::string host, int port, Fd listener, Handler handler, ServerOptions options)
      : host_(std::move(host)), port_(port), listener_(std::move(listener)) {
    context_.handler = std::move(handler);
    context_.options = options;
    context_.wake = Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    acceptor_ = std::thread([this] { accept_until_stopped(); });
  }
  ~ThreadedServer() override { ThreadedServer::stop(); }

  int port() const override { return port_; }
  const std::string& host() const override { return host_; }

  void stop() override {
    const std::lock_guard once(stop_mutex_);
    if (!acceptor_.joinable()) return;
    context_.stopping.store(true, std::memory_order_release);
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(context_.wake.get(), &one, sizeof one);
    acceptor_.join();
    std::unique_lock lock(mutex_);
    all_gone_.wait(lock, [this] { return connections_ == 0; });
  }

 private:
  void accept_until_stopped() {
    while (!context_.stopping.load(std::memory_order_acquire)) {
      std::array<pollfd, 2> fds{pollfd{listener_.get(), POLLIN, 0},
                                pollfd{context_.wake.get(), POLLIN, 0}};
      if (::poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR) break;
      if (!accept_pending()) ::poll(&fds[1], 1, kRetryAcceptMs);
    }
    accept_pending();  // clients that were already connected get their answer
    listener_.reset();
  }

  /// False when the system cannot give more descriptors or threads just now.
  bool accept_pending() {
    for (;;) {
      SocketAddress peer;
      peer.length = sizeof peer.storage;
      Fd socket(::accept4(listener_.get(), reinterpret_cast<sockaddr*>(&peer.storage), &peer.length,
                          SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!socket) {
        if (errno == EINTR || errno == ECONNABORTED) continue;
        return errno == EAGAIN || errno == EWOULDBLOCK;
      }
      const int on = 1;
      setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      if (!start(std::move(socket), to_string(peer))) return false;
    }
  }

  bool start(Fd socket, std::string peer) {
    {
      const std::lock_guard lock(mutex_);
      if (connections_ >= context_.options.max_connections) {
        const std::string answer = refusal(
            503, fmt::format("all {} connections are taken", context_.options.max_connections));
        ::send(socket.get(), answer.data(), answer.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        ::shutdown(socket.get(), SHUT_WR);
        return true;
      }
      ++connections_;
    }
    try {
      std::thread([this, fd = socket.get(), peer = std::move(peer)]() mutable {
        serve_connection(context_, Fd(fd), std::move(peer));
        leave();
      }).detach();
      socket.release();
      return true;
    } catch (const std::system_error&) {  // no thread to be had: close this one
      leave();
      return false;
    }
  }

  void leave() {
    // Notified under the lock: once it is free, stop() may destroy us.
    const std::lock_guard lock(mutex_);
    --connections_;
    all_gone_.notify_all();
  }

  ServerContext context_;
  std::string host_;
  int port_;
  Fd listener_;
  std::mutex mutex_;
  std::condition_variable all_gone_;
  std::size_t connections_ = 0;
  std::mutex stop_mutex_;
  std::thread acceptor_;
};

}  // namespace

Result<std::unique_ptr<Server>> Server::listen(const std::string& host, int port, Handler handler,
                                               ServerOptions options) {
  TRY(Fd listener, listen_on(host, port));
  SocketAddress bound;
  bound.length = sizeof bound.storage;
  ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&bound.storage), &bound.length);
  return std::make_unique<ThreadedServer>(host, port_of(bound), std::move(listener),
                                          std::move(handler), options);
}

}  // namespace coalmine::net
