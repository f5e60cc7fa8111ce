// A bare socket for tests: sends bytes as given and reads what comes back.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <string_view>

namespace coalmine::test {

class RawSocket {
 public:
  explicit RawSocket(int port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
  }
  ~RawSocket() { ::close(fd_); }
  RawSocket(const RawSocket&) = delete;
  RawSocket& operator=(const RawSocket&) = delete;

  bool connected() const { return connected_; }
  void send(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
  }
  void finish_sending() const { ::shutdown(fd_, SHUT_WR); }

  /// Reads until `text` has come, the peer closes, or 20 s have passed.
  std::string read_until(std::string_view text) {
    while (seen_.find(text) == std::string::npos && read_some()) {
    }
    return seen_;
  }
  /// Reads until the peer closes.
  std::string read_all() {
    while (read_some()) {
    }
    return seen_;
  }
  bool was_reset() const { return reset_; }
  bool was_closed() const { return closed_; }
  void forget() { seen_.clear(); }

 private:
  bool read_some() {
    pollfd look{fd_, POLLIN, 0};
    if (::poll(&look, 1, 20'000) <= 0) return false;
    char bytes[4096];
    const ssize_t n = ::recv(fd_, bytes, sizeof bytes, 0);
    reset_ = reset_ || n < 0;
    closed_ = closed_ || n == 0;
    if (n > 0) seen_.append(bytes, static_cast<std::size_t>(n));
    return n > 0;
  }

  int fd_;
  bool connected_ = false;
  bool reset_ = false;
  bool closed_ = false;
  std::string seen_;
};

}  // namespace coalmine::test
