// sim/net/address: names to socket addresses, and sockets that listen or say why they cannot.
#pragma once

#include <sys/socket.h>

#include <string>

#include "sim/core/result.h"
#include "sim/core/time.h"

namespace coalmine::net {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

/// An owned file descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept;
  ~Fd() { reset(); }
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release();
  void reset();

 private:
  int fd_ = -1;
};

/// "localhost" is 127.0.0.1 without asking anybody; the rest as the system resolves it.
Result<SocketAddress> resolve(const std::string& host, int port);
/// "127.0.0.1:4566", "[::1]:4566"
std::string to_string(const SocketAddress& address);
int port_of(const SocketAddress& address);

/// A non-blocking listening socket. Errors (Environment) name the address and the reason.
Result<Fd> listen_on(const std::string& host, int port);

/// Why a connection to host:port fails just now: "Connection refused", "no answer within 5s",
/// "the name does not resolve: ...". Empty if it succeeds.
std::string why_no_connection(const std::string& host, int port, Duration timeout);

}  // namespace coalmine::net
