// Copies of requests: what the shadow gets, and that nobody else notices.
#include <cmath>

#include "tests/unit/sim_gateway/fixture.h"

namespace coalmine::gateway::test {
namespace {

/// Keeps what it gets; answers what it is told to.
class Recorder {
 public:
  explicit Recorder(std::string answer = ok("shadow"))
      : upstream_([this, answer](Socket& socket) {
          for (std::string r = read_request(socket); !r.empty(); r = read_request(socket)) {
            {
              const std::lock_guard lock(mutex_);
              requests_.push_back(r);
            }
            if (answer.empty()) {
              eventually([this] { return over_.load(); });
              return;
            }
            if (!socket.write(answer)) return;
          }
        }) {}
  ~Recorder() { answer_no_more(); }
  void answer_no_more() { over_ = true; }  ///< those who wait for an answer are sent away
  int port() const { return upstream_.port(); }
  int connections() const { return upstream_.connections(); }
  std::vector<std::string> requests() {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> requests_;
  std::atomic<bool> over_{false};
  Upstream upstream_;
};

Json mirror_to(int port, double percent = 100) {
  return {{"mirror",
           {{"target", {{"name", "shadow"}, {"instances", {fmt::format("127.0.0.1:{}", port)}}}},
            {"percent", percent}}}};
}

TargetStats mirror_stats(Gateway& gateway) {
  const auto stats = gateway.stats();
  return stats.mirrors.empty() ? TargetStats{} : stats.mirrors.begin()->second;
}

TEST(Mirror, TheShadowGetsTheSameUnderAnotherHost) {
  Upstream v1(echo("v1"));
  Recorder shadow;
  const auto gateway =
      start_gateway(table_of({{"v1", 1, {v1.port()}}}, 1, mirror_to(shadow.port())));
  Socket socket = Socket::connect_to(port_of(*gateway));
  std::size_t sent = 0;
  const auto send = [&](const std::string& request) {  // copies may overtake each other
    socket.write(request);
    Answer answer = read_answer(socket);
    ++sent;
    EXPECT_TRUE(eventually([&] { return mirror_stats(*gateway).codes[2] == sent; }));
    return answer;
  };
  const Answer first = send("GET /a?b HTTP/1.1\r\nHost: shop.example:8080\r\nX-Kept: 1\r\n\r\n");
  const Answer second =
      send("POST /c HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 3\r\n\r\nabc");
  const Answer third =
      send("PUT /d HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
  const auto copies = shadow.requests();
  ASSERT_EQ(copies.size(), 3U);
  // Envoy puts "-shadow" behind the name, before the port
  const auto expected = [](const Answer& answer, const std::string& from, const std::string& to) {
    std::string text = answer.body.substr(3);  // behind "v1\n": what v1 got
    return text.replace(text.find(from), from.size(), to);
  };
  EXPECT_EQ(copies[0], expected(first, "shop.example:8080", "shop.example-shadow:8080"));
  EXPECT_EQ(copies[1], expected(second, "shop.example", "shop.example-shadow"));
  EXPECT_EQ(copies[2], expected(third, "host: x", "host: x-shadow"));
}

TEST(Mirror, IsCountedApartAndUsesItsConnectionsAgain) {
  Upstream v1(echo("v1"));
  Recorder shadow("HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n");
  const auto gateway =
      start_gateway(table_of({{"v1", 1, {v1.port()}}}, 1, mirror_to(shadow.port())));
  Socket socket = Socket::connect_to(port_of(*gateway));
  for (std::uint64_t i = 1; i <= 10; ++i) {
    socket.write(kGet);
    ASSERT_EQ(read_answer(socket).status, 200);
    ASSERT_TRUE(eventually([&] { return mirror_stats(*gateway).codes[5] == i; }));
  }
  EXPECT_EQ(shadow.connections(), 1);
  const GatewayStats stats = gateway->stats();
  EXPECT_EQ(stats.targets.at({":0", "r", "v1"}).requests, 10U);
  EXPECT_EQ(stats.targets.at({":0", "r", "v1"}).codes[2], 10U);
  EXPECT_EQ(stats.mirrors.at({":0", "r", "shadow"}).requests, 10U);
  EXPECT_EQ(stats.targets.count({":0", "r", "shadow"}), 0U);
  EXPECT_EQ(stats.listeners.at(":0").requests, 10U);
  EXPECT_TRUE(stats.local_replies.empty());
}

TEST(Mirror, GoesToAPartOfTheRequests) {
  Upstream v1(echo("v1"));
  Recorder shadow;
  const auto gateway =
      start_gateway(table_of({{"v1", 1, {v1.port()}}}, 1, mirror_to(shadow.port(), 25)));
  Socket socket = Socket::connect_to(port_of(*gateway));
  constexpr int kRequests = 800;
  for (int i = 0; i < kRequests; ++i) {
    socket.write(kGet);
    ASSERT_EQ(read_answer(socket).status, 200);
  }
  EXPECT_TRUE(
      eventually([&] { return mirror_stats(*gateway).codes[2] == shadow.requests().size(); }));
  const double sigma = std::sqrt(kRequests * 0.25 * 0.75);
  EXPECT_NEAR(static_cast<double>(shadow.requests().size()), kRequests * 0.25, 5 * sigma);
}

TEST(Mirror, MayBeOneOfTheRoutesTargetsWithoutWeight) {
  Upstream v1(echo("v1"));
  Recorder v2;
  const auto gateway = start_gateway(table_of({{"v1", 1, {v1.port()}}, {"v2", 0, {v2.port()}}}, 1,
                                              {{"mirror", {{"target", "v2"}}}}));
  EXPECT_EQ(ask(port_of(*gateway), kGet).status, 200);
  EXPECT_TRUE(eventually([&] { return v2.requests().size() == 1; }));
  EXPECT_EQ(gateway->stats().targets.at({":0", "r", "v2"}).requests, 0U);
}

TEST(Mirror, AShadowThatFailsOrHangsIsNobodysBusiness) {
  Upstream v1(echo("v1"));
  Recorder hangs("");
  Upstream resets([](Socket& socket) { read_request(socket); });
  Upstream garbage([](Socket& socket) {
    read_request(socket);
    socket.write("SSH-2.0\r\n\r\n");
  });
  for (const int port : {hangs.port(), resets.port(), garbage.port(), 1}) {
    Json more = mirror_to(port);
    more["timeouts"] = {{"request", "400ms"}};
    const auto gateway = start_gateway(table_of({{"v1", 1, {v1.port()}}}, 1, more));
    Socket socket = Socket::connect_to(port_of(*gateway));
    for (int i = 0; i < 5; ++i) {
      socket.write(kGet);
      ASSERT_EQ(read_answer(socket).status, 200) << port;
    }
    EXPECT_TRUE(eventually([&] { return mirror_stats(*gateway).requests == 5; })) << port;
    EXPECT_EQ(mirror_stats(*gateway).codes[5], 5U);
  }
}

TEST(Mirror, NobodyWaitsForAShadow) {
  Upstream v1(echo("v1"));
  Recorder hangs("");
  Json more = mirror_to(hangs.port());
  more["timeouts"] = {{"request", "0s"}};
  const auto gateway = start_gateway(table_of({{"v1", 1, {v1.port()}}}, 1, more));
  Socket socket = Socket::connect_to(port_of(*gateway));
  for (std::size_t i = 1; i <= 5; ++i) {
    socket.write(kGet);
    ASSERT_EQ(read_answer(socket).status, 200);
    ASSERT_TRUE(eventually([&] { return hangs.requests().size() == i; }));
  }
  EXPECT_EQ(mirror_stats(*gateway).requests, 0U) << "none of them has its answer yet";
}

TEST(Mirror, SoManyAtATimeAndNoMore) {
  Upstream v1(echo("v1"));
  Recorder hangs("");
  const auto gateway =
      start_gateway(table_of({{"v1", 1, {v1.port()}}}, 1, mirror_to(hangs.port())));
  Socket socket = Socket::connect_to(port_of(*gateway));
  for (std::size_t i = 0; i < kMaxMirrored + 3; ++i) {
    socket.write(kGet);
    ASSERT_EQ(read_answer(socket).status, 200);
  }
  EXPECT_EQ(mirror_stats(*gateway).uncopied, 3U);
  EXPECT_TRUE(eventually([&] { return hangs.requests().size() == kMaxMirrored; }));
}

TEST(Mirror, ABodyThatIsNotKeptIsNotCopied) {
  Upstream v1(echo("v1"));
  Recorder shadow;
  const auto gateway =
      start_gateway(table_of({{"v1", 1, {v1.port()}}}, 1, mirror_to(shadow.port())));
  const std::string body(4 * kMaxReplayBytes, 'x');
  const Answer answer = ask(
      port_of(*gateway),
      fmt::format("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{}", body.size(), body));
  EXPECT_TRUE(answer.body.ends_with(body));
  EXPECT_EQ(mirror_stats(*gateway).uncopied, 1U);
  EXPECT_EQ(shadow.connections(), 0);
}

TEST(Mirror, DoesNotStandInLineForConnections) {  // of a target that users' requests need
  std::atomic<bool> go{false};
  Upstream slow([&](Socket& socket) {
    for (std::string r = read_request(socket); !r.empty(); r = read_request(socket)) {
      eventually([&] { return go.load(); });
      if (!socket.write(ok("late"))) return;
    }
  });
  auto table = std::make_shared<traffic::RouteTable>(
      *table_of({{"v1", 1, {slow.port()}}}, 1, {{"mirror", {{"target", "v1"}}}}));
  std::get<traffic::Forward>(table->listeners[0].routes[0].action).targets[0].pool.max_connections =
      1;
  const auto gateway = start_gateway(table);
  Socket socket = Socket::connect_to(port_of(*gateway));
  socket.write(kGet);
  EXPECT_TRUE(eventually([&] { return mirror_stats(*gateway).overflows == 1; }));
  go = true;
  EXPECT_EQ(read_answer(socket).body, "late");
}

TEST(Mirror, CopiesUnderWayDoNotKeepTheGatewayFromStopping) {
  Upstream v1(echo("v1"));
  Recorder hangs("");
  Json more = mirror_to(hangs.port());
  more["timeouts"] = {{"request", "0s"}};
  const auto gateway =
      start_gateway(table_of({{"v1", 1, {v1.port()}}}, 1, more), 1, {}, std::chrono::hours(1));
  EXPECT_EQ(ask(port_of(*gateway), kGet).status, 200);
  EXPECT_TRUE(eventually([&] { return hangs.requests().size() == 1; }));
  std::atomic<bool> stopped{false};
  std::thread stopping([&] {
    gateway->stop();
    stopped = true;
  });
  EXPECT_TRUE(eventually([&] { return stopped.load(); })) << "the drain would take an hour";
  hangs.answer_no_more();
  stopping.join();
}

}  // namespace
}  // namespace coalmine::gateway::test
