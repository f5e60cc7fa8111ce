#include "sim/gateway/untaken.h"

#include <linux/tcp.h>  // not netinet/tcp.h, whose tcp_info ends before the byte counts
#include <netinet/in.h>
#include <sys/socket.h>

namespace coalmine::gateway {
namespace {

constexpr int kTcpClose = 7;  // tcpi_state of a connection that was reset; netinet/tcp.h: TCP_CLOSE

}  // namespace

Reach reach_of(int fd, std::size_t sent) {
  if (sent == 0) return Reach::Refused;
  tcp_info info{};
  socklen_t size = sizeof info;
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return Reach::Unknown;
  constexpr std::size_t kNeeded = offsetof(tcp_info, tcpi_bytes_retrans) + sizeof(std::uint64_t);
  if (size < kNeeded) return Reach::Unknown;  // Linux before 4.19
  const std::uint64_t written = info.tcpi_bytes_sent - info.tcpi_bytes_retrans;
  // Of a connection that we opened its SYN counts as one acknowledged byte.
  const std::uint64_t taken = info.tcpi_bytes_acked == 0 ? 0 : info.tcpi_bytes_acked - 1;
  if (written < sent || taken + sent > written) return Reach::Unknown;
  return info.tcpi_state == kTcpClose ? Reach::Refused : Reach::Unacknowledged;
}

}  // namespace coalmine::gateway
