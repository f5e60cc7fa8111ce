// A running gateway between a client and an upstream that send any bytes, in pieces.
//
// The input is [options] [where the upstream's part begins, 2 bytes] [client's bytes, upstream's].
// Whatever comes: nobody crashes or hangs, the upstream gets well-formed requests only, and the
// client gets answers that begin like answers.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <thread>

#include "sim/core/check.h"
#include "sim/gateway/chunks.h"
#include "sim/gateway/gateway.h"

namespace {

using namespace coalmine;
using namespace coalmine::gateway;
using std::chrono::milliseconds;

constexpr int kDeadlineMs = 20'000;

sockaddr_in loopback(int port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(static_cast<std::uint16_t>(port));
  out.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return out;
}

void send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

/// Reads what a gateway sends and insists on requests by the letter.
class RequestReader {
 public:
  void take(std::string_view bytes) {
    data_ += bytes;
    while (!data_.empty() && step()) {
    }
  }

 private:
  bool step() {
    if (chunks_) {
      const auto done = chunks_->decode(data_.data(), data_.size());
      CHECK(!chunks_->bad());
      data_.erase(0, done.consumed);
      if (!chunks_->done()) return false;
      chunks_.reset();
      return true;
    }
    if (left_ > 0) {
      const auto take = static_cast<std::size_t>(std::min<std::uint64_t>(left_, data_.size()));
      data_.erase(0, take);
      left_ -= take;
      return left_ == 0;
    }
    HeadScan scan;
    RequestHead head;
    const Parsed parsed = parse_request(data_, scan, head);
    // what is added may make a head too large for ourselves
    if (parsed.state == Parsed::State::Bad && (parsed.status == 431 || parsed.status == 414)) {
      data_.clear();
      return false;
    }
    CHECK(parsed.state != Parsed::State::Bad);
    if (parsed.state == Parsed::State::Incomplete) return false;
    left_ = head.framing.kind == BodyKind::Length ? head.framing.length : 0;
    if (head.framing.kind == BodyKind::Chunked) chunks_ = std::make_unique<ChunkDecoder>();
    data_.erase(0, parsed.length);
    return true;
  }
  std::string data_;
  std::uint64_t left_ = 0;
  std::unique_ptr<ChunkDecoder> chunks_;
};

/// Answers every connection's first bytes with the text of the day, and then ends.
class Upstream {
 public:
  Upstream() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = loopback(0);
    CHECK(bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    CHECK(listen(fd_, 1024) == 0);
    socklen_t size = sizeof address;
    getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    std::thread([this] {
      for (;;) {
        const int fd = accept(fd_, nullptr, nullptr);
        if (fd >= 0) std::thread([this, fd] { serve(fd); }).detach();
      }
    }).detach();
  }
  int port() const { return port_; }
  void set(std::string answer) {
    const std::lock_guard lock(mutex_);
    answer_ = std::move(answer);
  }

 private:
  void serve(int fd) {
    RequestReader reader;
    std::string answer;
    bool answered = false;
    char piece[65536];
    for (;;) {
      const ssize_t n = recv(fd, piece, sizeof piece, 0);
      if (n <= 0) break;
      if (answer.find(" 101 ") == std::string::npos) {  // behind it anything may come
        reader.take({piece, static_cast<std::size_t>(n)});
      }
      if (answered) continue;
      answered = true;
      {
        const std::lock_guard lock(mutex_);
        answer = answer_;
      }
      send_all(fd, std::string_view(answer).substr(0, answer.size() / 2));
      send_all(fd, std::string_view(answer).substr(answer.size() / 2));
      shutdown(fd, SHUT_WR);
    }
    close(fd);
  }
  int fd_;
  int port_ = 0;
  std::mutex mutex_;
  std::string answer_;
};

struct World {
  Upstream upstream;
  std::unique_ptr<Gateway> gateways[2];
  int ports[2];

  World() {
    for (int i = 0; i < 2; ++i) {
      const Json target = {{"name", "v1"},
                           {"instances", {fmt::format("127.0.0.1:{}", upstream.port())}}};
      const Json json = {{"version", 1},
                         {"listeners",
                          {{{"port", 0},
                            {"dialect", i == 0 ? "envoy" : "alb"},
                            {"max_body", 100'000},
                            {"routes",
                             {{{"match", {{"prefix", "/"}}},
                               {"targets", {target}},
                               {"retry", {{"on", {"5xx"}}, {"max_retries", 1}}},
                               {"mirror", {{"target", "v1"}, {"percent", 10}}},
                               {"timeouts", {{"request", "300ms"}, {"idle", "300ms"}}}}}}}}}};
      auto table = traffic::route_table_from_json(json);
      CHECK(table);
      GatewayOptions options;
      options.admin_port = std::nullopt;
      options.timeouts.head = options.timeouts.stream_idle = options.timeouts.linger =
          milliseconds(100);
      auto gateway =
          Gateway::start(options, std::make_shared<const traffic::RouteTable>(std::move(*table)));
      CHECK(gateway);
      gateways[i] = std::move(*gateway);
      ports[i] = gateways[i]->ports().front().bound;
      (void)gateways[i]->requests(0);  // results are kept, too
    }
  }
};

void exchange(int port, std::string_view bytes, std::size_t cut, bool half_close) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(port);
  CHECK(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  send_all(fd, bytes.substr(0, cut));
  send_all(fd, bytes.substr(cut));
  if (half_close) shutdown(fd, SHUT_WR);
  std::string got;
  char piece[65536];
  for (;;) {
    pollfd p{fd, POLLIN, 0};
    // Without our end the gateway waits for another request: silence is enough then.
    const int ready = poll(&p, 1, half_close ? kDeadlineMs : 50);
    if (ready == 0 && !half_close) break;
    if (ready < 0 && errno == EINTR) continue;  // libFuzzer's own alarm
    CHECK(ready > 0);                           // or it hangs
    const ssize_t n = recv(fd, piece, sizeof piece, 0);
    if (n <= 0) break;
    got.append(piece, static_cast<std::size_t>(n));
  }
  close(fd);
  if (!got.empty()) {
    CHECK(got.starts_with("HTTP/1.1 ") || got.starts_with(std::string_view("\0\0\0\x04", 4)));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static World& world = *new World;  // threads use it until the process ends
  if (size < 3) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 3, size - 3);
  const std::size_t split = std::min<std::size_t>(data[1] | data[2] << 8U, rest.size());
  const std::string_view client = rest.substr(0, split);
  world.upstream.set(std::string(rest.substr(split)));
  exchange(world.ports[data[0] & 1U], client, client.size() * ((data[0] >> 2U) & 7U) / 8,
           (data[0] & 2U) == 0);
  return 0;
}
