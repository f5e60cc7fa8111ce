#include "sim/gateway/long_poll.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "sim/core/units.h"
#include "sim/gateway/chunks.h"
#include "sim/gateway/http1.h"
#include "sim/traffic/request.h"

namespace coalmine::gateway {
namespace {

constexpr int kConnectTimeoutMs = 5'000;
constexpr int kAnswerTimeoutMs = 40'000;  // the other end waits about 25 s
constexpr std::size_t kMaxTableBytes = 64 << 20;

struct Closer {
  int fd;
  ~Closer() { close(fd); }
};

}  // namespace

Result<std::unique_ptr<LongPoll>> LongPoll::open(std::string_view origin) {
  constexpr std::string_view kScheme = "http://";
  if (!origin.starts_with(kScheme)) {
    return error("control URL \"{}\" must be http://ADDRESS[:PORT]", origin);
  }
  std::string_view rest = origin.substr(kScheme.size());
  if (rest.ends_with('/')) rest.remove_suffix(1);
  std::string host(traffic::without_port(rest));
  int port = 80;
  if (host.size() < rest.size()) {
    TRY(const long long given,
        parse_integer(rest.substr(host.size() + 1), "the control URL's port", 1, 65535));
    port = static_cast<int>(given);
  }
  if (host == "localhost") host = "127.0.0.1";
  in_addr address{};
  if (inet_pton(AF_INET, host.c_str(), &address) != 1) {
    return error("control URL \"{}\": \"{}\" is not an IPv4 address", origin, host);
  }
  const int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  return std::unique_ptr<LongPoll>(new LongPoll(host, port, wake));
}

LongPoll::LongPoll(std::string host, int port, int wake)
    : host_(std::move(host)),
      port_(port),
      wake_(wake),
      origin_(fmt::format("{}:{}", host_, port_)) {}

LongPoll::~LongPoll() {
  close(wake_);
}

void LongPoll::interrupt() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = write(wake_, &one, sizeof one);
}

Status LongPoll::wait_for(int fd, short events, int timeout_ms) const {
  pollfd both[2] = {{fd, events, 0}, {wake_, POLLIN, 0}};
  const int ready = poll(both, 2, timeout_ms);
  if (both[1].revents != 0) return error(ErrorKind::Environment, "stopped");
  if (ready <= 0) return error(ErrorKind::Environment, "{} did not answer in time", origin_);
  return {};
}

Result<int> LongPoll::connect_now() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return error(ErrorKind::Environment, "socket: {}", std::strerror(errno));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port_));
  inet_pton(AF_INET, host_.c_str(), &address.sin_addr);
  int failure = connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 ? 0 : errno;
  if (failure == EINPROGRESS) {
    if (auto waited = wait_for(fd, POLLOUT, kConnectTimeoutMs); !waited) {
      close(fd);
      return tl::unexpected(waited.error());
    }
    socklen_t size = sizeof failure;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size);
  }
  if (failure != 0) {
    close(fd);
    return error(ErrorKind::Environment, "cannot connect to {}: {}", origin_,
                 std::strerror(failure));
  }
  return fd;
}

Result<PollAnswer> LongPoll::get(const std::string& target) {
  TRY(const int fd, connect_now());
  const Closer closer{fd};
  const std::string request =
      fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", target, origin_);
  if (send(fd, request.data(), request.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(request.size())) {
    return error(ErrorKind::Environment, "cannot send to {}", origin_);
  }
  std::string bytes;
  bool ended = false;
  while (!ended && bytes.size() < kMaxTableBytes) {
    TRY_STATUS(wait_for(fd, POLLIN, kAnswerTimeoutMs));
    char piece[16384];
    const ssize_t n = recv(fd, piece, sizeof piece, 0);
    if (n < 0 && errno == EAGAIN) continue;
    if (n < 0) return error(ErrorKind::Environment, "{}: {}", origin_, std::strerror(errno));
    ended = n == 0;
    bytes.append(piece, static_cast<std::size_t>(n));
  }
  HeadScan scan;
  ResponseHead head;
  const Parsed parsed = parse_response(bytes, scan, false, head);
  if (parsed.state != Parsed::State::Done) {
    return error(ErrorKind::Environment, "{} sent no proper response", origin_);
  }
  PollAnswer out;
  out.status = head.status;
  out.body = bytes.substr(parsed.length);
  if (head.framing.kind == BodyKind::Length && out.body.size() != head.framing.length) {
    return error(ErrorKind::Environment, "{} ended its response early", origin_);
  }
  if (head.framing.kind == BodyKind::Chunked) {
    ChunkDecoder decoder;
    const auto step = decoder.decode(out.body.data(), out.body.size());
    if (!decoder.done()) return error(ErrorKind::Environment, "{} sent a bad body", origin_);
    out.body.resize(step.payload);
  }
  return out;
}

}  // namespace coalmine::gateway
