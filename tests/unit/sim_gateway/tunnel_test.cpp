// Connections that are passed through: WebSockets and tcp listeners.
#include <cmath>

#include "tests/unit/sim_gateway/fixture.h"

namespace coalmine::gateway::test {
namespace {

using std::chrono::milliseconds;

const std::string kAsk =
    "GET /chat HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const std::string kAgreed =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Sends back what it gets until the other side ends, then says good-bye and ends, too.
void echo_bytes(Socket& socket) {
  for (;;) {
    if (!socket.buffer.empty() && !socket.write(std::exchange(socket.buffer, {}))) return;
    if (!socket.read_more()) break;
  }
  socket.write("bye");
}

/// A WebSocket server whose frames are plain bytes.
Upstream::Serve web_socket() {
  return [](Socket& socket) {
    // It keeps the connection, as its answer says: a request on one that it has just ended may
    // fail.
    for (std::string r = read_request(socket); !r.empty(); r = read_request(socket)) {
      if (r.find("connection: Upgrade\r\nupgrade: websocket\r\n") != std::string::npos) {
        socket.write(kAgreed);
        return echo_bytes(socket);
      }
      socket.write(ok("no upgrade\n" + r));
    }
  };
}

ListenerStats listener_stats(Gateway& gateway) {
  return gateway.stats().listeners.begin()->second;
}
TargetStats target_stats(Gateway& gateway, const std::string& target) {
  return gateway.stats().targets.at({":0", "r", target});
}

TEST(Upgrade, IsATunnelAfterThe101) {
  Upstream upstream(web_socket());
  const auto gateway = start_gateway(table_of({{"v1", 1, {upstream.port()}}}));
  Socket socket = Socket::connect_to(port_of(*gateway));
  socket.write(kAsk);
  const Answer answer = read_answer(socket);
  EXPECT_EQ(answer.status, 101);
  EXPECT_EQ(answer.field("connection"), "Upgrade");
  EXPECT_EQ(answer.field("upgrade"), "websocket");
  EXPECT_EQ(answer.field("Sec-WebSocket-Accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  socket.write("hello");
  ASSERT_TRUE(socket.read_until("hello"));
  EXPECT_EQ(listener_stats(*gateway).upgrades_active, 1U);
  socket.end_writing();
  EXPECT_EQ(socket.read_all(), "hellobye") << "what comes after our end still arrives";
  ASSERT_TRUE(eventually([&] { return listener_stats(*gateway).upgrades_active == 0; }));
  EXPECT_EQ(listener_stats(*gateway).upgrades_total, 1U);
  const TargetStats stats = target_stats(*gateway, "v1");
  EXPECT_EQ(stats.requests, 1U);
  EXPECT_EQ(stats.codes[1], 1U);
  EXPECT_EQ(stats.tunnels_active, 0U);
  EXPECT_EQ(stats.tunnel_bytes_up, 5U);
  EXPECT_EQ(stats.tunnel_bytes_down, 8U);
}

TEST(Upgrade, MayBeCutAnywhereAndBytesMayFollowAtOnce) {
  Upstream upstream([](Socket& socket) {
    read_request(socket);
    socket.write(kAgreed + "early,");  // in one piece with the 101
    echo_bytes(socket);
  });
  const auto gateway = start_gateway(table_of({{"v1", 1, {upstream.port()}}}));
  const std::string all = kAsk + "at once";
  for (std::size_t cut = 1; cut <= all.size(); cut += 3) {
    Socket socket = Socket::connect_to(port_of(*gateway));
    socket.write(all.substr(0, cut));
    socket.write(all.substr(cut));
    socket.end_writing();
    ASSERT_EQ(read_answer(socket).status, 101) << cut;
    ASSERT_EQ(socket.read_all(), "early,at oncebye") << cut;
  }
}

// pingora, CVE-2026-2833: bytes behind the request were passed on before the upstream agreed.
TEST(Upgrade, WithoutA101TheNextBytesAreTheNextRequest) {
  std::atomic<int> stray{0};
  Upstream upstream([&](Socket& socket) {
    for (std::string r = read_request(socket); !r.empty(); r = read_request(socket)) {
      if (r.starts_with("GET /chat")) {
        pollfd p{socket.fd(), POLLIN, 0};
        if (poll(&p, 1, 50) > 0) ++stray;
      }
      socket.write(ok(r.substr(0, r.find('\r'))));
    }
  });
  const auto gateway = start_gateway(table_of({{"v1", 1, {upstream.port()}}}));
  Socket socket = Socket::connect_to(port_of(*gateway));
  socket.write(kAsk + "GET /next HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(read_answer(socket).body, "GET /chat HTTP/1.1");
  EXPECT_EQ(read_answer(socket).body, "GET /next HTTP/1.1");
  EXPECT_EQ(stray, 0);
  EXPECT_EQ(listener_stats(*gateway).upgrades_total, 0U);
}

TEST(Upgrade, IsOnlyAskedForIfTheClientSaidSoTwice) {  // RFC 9110 7.8: Connection names it
  Upstream upstream(web_socket());
  const auto gateway = start_gateway(table_of({{"v1", 1, {upstream.port()}}}));
  for (const char* request :
       {"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"}) {
    const Answer answer = ask(port_of(*gateway), request);
    EXPECT_TRUE(answer.body.starts_with("no upgrade\n")) << request;
    EXPECT_EQ(answer.body.find("pgrade: "), std::string::npos) << answer.body;
  }
}

TEST(Upgrade, ToSomethingElseThanAskedIs502) {
  Upstream upstream([](Socket& socket) {
    read_request(socket);
    socket.write("HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: tls/1.0\r\n\r\n");
    socket.read_all();
  });
  const auto gateway = start_gateway(table_of({{"v1", 1, {upstream.port()}}}));
  EXPECT_EQ(ask(port_of(*gateway), kAsk).status, 502);
}

TEST(Upgrade, LargeTransfersPassInBothDirectionsAtOnce) {
  Upstream upstream(web_socket());
  const auto gateway = start_gateway(table_of({{"v1", 1, {upstream.port()}}}));
  Socket socket = Socket::connect_to(port_of(*gateway));
  socket.write(kAsk);
  ASSERT_EQ(read_answer(socket).status, 101);
  constexpr std::size_t kSize = 32 << 20;
  std::thread writer([&] {
    std::string piece(1 << 20, 'x');
    for (std::size_t i = 0; i < kSize; i += piece.size()) {
      piece[0] = static_cast<char>('a' + i / piece.size() % 26);
      if (!socket.write(piece)) return;
    }
    socket.end_writing();
  });
  std::size_t got = 0;
  std::size_t marks = 0;
  while (socket.read_more()) {
    for (std::size_t i = 0; i < socket.buffer.size(); ++i) {
      const std::size_t at = got + i;
      if (at % (1 << 20) == 0 && at < kSize) {
        marks += socket.buffer[i] == static_cast<char>('a' + (at >> 20) % 26) ? 1 : 0;
      }
    }
    got += socket.buffer.size();
    if (socket.buffer.size() >= 3) socket.buffer.erase(0, socket.buffer.size());
  }
  writer.join();
  EXPECT_EQ(got, kSize + 3);
  EXPECT_EQ(marks, kSize >> 20) << "in order";
}

// Nobody reads: the sender has to wait, whichever side it is.
TEST(Upgrade, HoldsNoMoreThanItMust) {
  constexpr std::size_t kSize = 64 << 20;
  std::atomic<std::size_t> produced{0};
  const auto produce = [&](Socket& socket) {
    const std::string piece(1 << 20, 'x');
    for (std::size_t i = 0; i < kSize; i += piece.size()) {
      if (!socket.write(piece)) return;
      produced += piece.size();
    }
  };
  Upstream upstream([&](Socket& socket) {
    const std::string request = read_request(socket);
    socket.write(kAgreed);
    if (request.starts_with("GET /down")) {
      produce(socket);
    } else {
      eventually([&] { return produced == kSize + 1; });
    }
  });
  const auto gateway = start_gateway(table_of({{"v1", 1, {upstream.port()}}}));
  const auto so_far = [&] { return produced.load(); };
  {
    Socket reader = Socket::connect_to(port_of(*gateway));
    reader.write("GET /down" + kAsk.substr(9));
    ASSERT_TRUE(reader.read_until("\r\n\r\n"));
    EXPECT_TRUE(comes_to_rest(*gateway, answers_held_back, so_far));
    EXPECT_LT(produced, kSize / 2);
  }
  produced = 0;
  Socket sender = Socket::connect_to(port_of(*gateway));
  sender.write(kAsk);
  ASSERT_TRUE(sender.read_until("\r\n\r\n"));
  const std::uint64_t before = clients_held_back(gateway->stats());
  std::thread writer([&] { produce(sender); });
  EXPECT_TRUE(comes_to_rest(
      *gateway, [&](const GatewayStats& s) { return clients_held_back(s) - before; }, so_far));
  EXPECT_LT(produced, kSize / 2);
  produced = kSize + 1;
  writer.join();
}

TEST(Upgrade, EndsAfterSilence) {
  Upstream upstream(web_socket());
  const auto gateway = start_gateway(
      table_of({{"v1", 1, {upstream.port()}}}, 1, {{"timeouts", {{"idle", "1500ms"}}}}));
  Socket socket = Socket::connect_to(port_of(*gateway));
  socket.write(kAsk);
  ASSERT_EQ(read_answer(socket).status, 101);
  for (int i = 0; i < 20; ++i) {  // longer than the timeout, but never silent for as long
    socket.write("x");
    ASSERT_TRUE(socket.read_more());
    std::this_thread::sleep_for(milliseconds(100));
  }
  EXPECT_EQ(socket.read_all(), std::string(20, 'x'));
  EXPECT_TRUE(socket.ended);
}

TEST(Upgrade, OutlivesTheRequestTimeoutAndTheTableThatBeganIt) {
  Upstream upstream(web_socket());
  Upstream silent([](Socket& silent_socket) { silent_socket.read_all(); });
  const auto table = [&](std::string target, int port, std::uint64_t version) {
    return table_of({{std::move(target), 1, {port}}}, version,
                    {{"timeouts", {{"request", "200ms"}}}});
  };
  const auto gateway = start_gateway(table("v1", upstream.port(), 1));
  Socket socket = Socket::connect_to(port_of(*gateway));
  socket.write(kAsk);
  ASSERT_EQ(read_answer(socket).status, 101);
  ASSERT_TRUE(gateway->update(table("v2", silent.port(), 2)));
  EXPECT_EQ(ask(port_of(*gateway), kGet).status, 504) << "a request that began later is over";
  socket.write("still here");
  EXPECT_TRUE(socket.read_until("still here"));
}

TEST(Upgrade, AnUpstreamThatIsCutCutsTheClient) {
  std::atomic<bool> cut{false};
  Upstream upstream([&](Socket& socket) {
    read_request(socket);
    socket.write(kAgreed);
    eventually([&] { return cut.load(); });
    const linger reset{1, 0};
    setsockopt(socket.fd(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  });
  const auto gateway = start_gateway(table_of({{"v1", 1, {upstream.port()}}}));
  Socket socket = Socket::connect_to(port_of(*gateway));
  socket.write(kAsk);
  ASSERT_EQ(read_answer(socket).status, 101);
  cut = true;
  EXPECT_FALSE(socket.read_more());
  EXPECT_TRUE(socket.ended);
  EXPECT_TRUE(eventually([&] { return listener_stats(*gateway).upgrades_active == 0; }));
}

// --- tcp listeners -----------------------------------------------------------------------------

traffic::Snapshot tcp_table(const std::vector<TargetSpec>& targets, std::uint64_t version = 1,
                            Json more = Json::object()) {
  more["match"] = Json::object();
  return table_of(targets, version, more, {{"protocol", "tcp"}});
}

TEST(Tcp, PassesConnectionsThroughBothWays) {
  Upstream upstream(echo_bytes);
  const auto gateway = start_gateway(tcp_table({{"v1", 1, {upstream.port()}}}));
  Socket socket = Socket::connect_to(port_of(*gateway));
  socket.write("any bytes\0 at all");
  ASSERT_TRUE(socket.read_until("any bytes"));
  EXPECT_EQ(target_stats(*gateway, "v1").tunnels_active, 1U);
  socket.end_writing();
  EXPECT_EQ(socket.read_all(), "any bytesbye");
  ASSERT_TRUE(eventually([&] { return target_stats(*gateway, "v1").tunnels_active == 0; }));
  EXPECT_EQ(target_stats(*gateway, "v1").requests, 0U) << "a connection is no request";
}

TEST(Tcp, AServerMaySpeakAndEndFirst) {
  Upstream upstream([](Socket& socket) {
    socket.write("220 hello\r\n");
    socket.end_writing();
    socket.read_all();
    socket.write("lost");
  });
  const auto gateway = start_gateway(tcp_table({{"v1", 1, {upstream.port()}}}));
  Socket socket = Socket::connect_to(port_of(*gateway));
  EXPECT_EQ(socket.read_all(), "220 hello\r\n");
  EXPECT_FALSE(socket.reset);
  EXPECT_TRUE(socket.write("one more"));
  socket.end_writing();
  ASSERT_TRUE(eventually([&] { return target_stats(*gateway, "v1").tunnels_active == 0; }));
  EXPECT_EQ(target_stats(*gateway, "v1").tunnel_bytes_up, 8U);
}

TEST(Tcp, SpreadsConnectionsByTheWeights) {
  const auto named = [](std::string name) {
    return [name](Socket& socket) { socket.write(name); };
  };
  Upstream v1(named("v1"));
  Upstream v2(named("v2"));
  const auto gateway = start_gateway(
      tcp_table({{"v1", 3, {v1.port()}}, {"v2", 1, {v2.port()}}}, 1, {{"selection", "exact"}}));
  int canary = 0;
  for (int i = 0; i < 40; ++i) {
    canary += Socket::connect_to(port_of(*gateway)).read_all() == "v2" ? 1 : 0;
  }
  EXPECT_EQ(canary, 10);
}

TEST(Tcp, AConnectionThatCannotBeMadeEndsTheClients) {
  const auto gateway = start_gateway(tcp_table({{"v1", 1, {1}}}));
  EXPECT_EQ(Socket::connect_to(port_of(*gateway)).read_all(), "");
  EXPECT_EQ(target_stats(*gateway, "v1").connect_failures, 1U);
  ASSERT_TRUE(gateway->update(tcp_table({{"v1", 1, {}}}, 2)));
  ASSERT_TRUE(eventually([&] { return gateway->stats().version == 2; }));
  EXPECT_EQ(Socket::connect_to(port_of(*gateway)).read_all(), "");
  EXPECT_EQ(gateway->stats().local_replies.at("UH"), 1U);
}

TEST(Tcp, EndsAfterSilence) {
  Upstream upstream(echo_bytes);
  const auto gateway = start_gateway(
      tcp_table({{"v1", 1, {upstream.port()}}}, 1, {{"timeouts", {{"idle", "200ms"}}}}));
  Socket socket = Socket::connect_to(port_of(*gateway));
  EXPECT_EQ(socket.read_all(), "");
  EXPECT_TRUE(socket.ended);
}

}  // namespace
}  // namespace coalmine::gateway::test
