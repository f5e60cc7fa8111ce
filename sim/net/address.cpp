#include "sim/net/address.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace coalmine::net {
namespace {

constexpr int kBacklog = 512;

std::string reason(int error_number) {
  return std::error_code(error_number, std::generic_category()).message();
}

}  // namespace

Fd& Fd::operator=(Fd&& other) noexcept {
  reset();
  fd_ = other.release();
  return *this;
}

int Fd::release() {
  return std::exchange(fd_, -1);
}

void Fd::reset() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

Result<SocketAddress> resolve(const std::string& host, int port) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  const std::string name = host == "localhost" ? "127.0.0.1" : host;
  addrinfo* found = nullptr;
  const int status = getaddrinfo(name.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (status != 0) {
    return error(ErrorKind::Environment, "the name does not resolve: {}",
                 status == EAI_SYSTEM ? reason(errno) : gai_strerror(status));
  }
  SocketAddress address;
  std::memcpy(&address.storage, found->ai_addr, found->ai_addrlen);
  address.length = found->ai_addrlen;
  freeaddrinfo(found);
  return address;
}

std::string to_string(const SocketAddress& address) {
  char host[INET6_ADDRSTRLEN] = "";
  if (address.storage.ss_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&address.storage);
    inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
    return fmt::format("[{}]:{}", host, ntohs(v6->sin6_port));
  }
  const auto* v4 = reinterpret_cast<const sockaddr_in*>(&address.storage);
  inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
  return fmt::format("{}:{}", host, ntohs(v4->sin_port));
}

int port_of(const SocketAddress& address) {
  if (address.storage.ss_family == AF_INET6) {
    return ntohs(reinterpret_cast<const sockaddr_in6*>(&address.storage)->sin6_port);
  }
  return ntohs(reinterpret_cast<const sockaddr_in*>(&address.storage)->sin_port);
}

Result<Fd> listen_on(const std::string& host, int port) {
  const auto fail = [&](std::string_view why) {
    return error(ErrorKind::Environment, "cannot listen on {}:{}: {}", host, port, why);
  };
  if (port < 0 || port > 65535) return fail("the port must be 0 to 65535");
  const Result<SocketAddress> address = resolve(host, port);
  if (!address) return fail(address.error().message);
  Fd fd(::socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail(reason(errno));
  // Restarting on a port whose old connections linger is fine; two servers on one port is not,
  // so SO_REUSEPORT stays off.
  const int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(fd.get(), address->get(), address->length) != 0) return fail(reason(errno));
  if (::listen(fd.get(), kBacklog) != 0) return fail(reason(errno));
  return fd;
}

std::string why_no_connection(const std::string& host, int port, Duration timeout) {
  const Result<SocketAddress> address = resolve(host, port);
  if (!address) return address.error().message;
  const Fd fd(::socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return reason(errno);
  if (::connect(fd.get(), address->get(), address->length) == 0) return "";
  if (errno != EINPROGRESS) return reason(errno);
  pollfd waiting{fd.get(), POLLOUT, 0};
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(timeout).count();
  if (::poll(&waiting, 1, static_cast<int>(std::min<std::int64_t>(ms, 60'000))) == 0) {
    return fmt::format("no answer within {}", coalmine::to_string(timeout));
  }
  int status = 0;
  socklen_t size = sizeof status;
  getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &status, &size);
  return status == 0 ? "" : reason(status);
}

}  // namespace coalmine::net
