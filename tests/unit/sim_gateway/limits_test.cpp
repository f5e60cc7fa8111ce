// Limits of what clients may send, hold and leave undone: at the edge, and one past it.
#include <future>

#include "sim/gateway/chunks.h"
#include "tests/unit/sim_gateway/fixture.h"

namespace coalmine::gateway::test {
namespace {

using std::chrono::milliseconds;

class Limits : public testing::Test {
 protected:
  traffic::Snapshot table(const Json& more = Json::object(),
                          const Json& listener = Json::object()) {
    return table_of({{"v1", 1, {upstream_.port()}}}, 1, more, listener);
  }
  Upstream upstream_{echo("v1")};
};

ListenerStats listener_stats(Gateway& gateway) {
  return gateway.stats().listeners.begin()->second;
}

std::string get(const std::string& target, const std::string& fields = "") {
  return "GET " + target + " HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n";
}

std::string put(std::size_t size) {
  return fmt::format("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{}", size,
                     std::string(size, 'b'));
}

std::string put_chunked(std::size_t size) {
  std::string out = "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (std::size_t i = 0; i < size; i += 7) {
    append_chunk_size(out, std::min<std::size_t>(7, size - i));
    out += std::string(std::min<std::size_t>(7, size - i), 'b') + "\r\n";
  }
  return out + "0\r\n\r\n";
}

TEST_F(Limits, OfHeadsHoldAtTheEdgeAndOnePast) {
  const auto gateway = start_gateway(table());
  const int port = port_of(*gateway);
  const auto uri = [](std::size_t n) { return get("/" + std::string(n - 1, 'a')); };
  EXPECT_EQ(ask(port, uri(kMaxUriBytes)).status, 200);
  EXPECT_EQ(ask(port, uri(kMaxUriBytes + 1)).status, 414);
  const auto field = [](std::size_t n) {
    return get("/", "A: " + std::string(n - 5, 'a') + "\r\n");
  };
  EXPECT_EQ(ask(port, field(kMaxFieldBytes)).status, 200);
  EXPECT_EQ(ask(port, field(kMaxFieldBytes + 1)).status, 431);
  const auto fields = [](std::size_t n) {
    std::string out;
    for (std::size_t i = 1; i < n; ++i) out += "A: b\r\n";
    return get("/", out);
  };
  EXPECT_EQ(ask(port, fields(kMaxFields)).status, 200);
  EXPECT_EQ(ask(port, fields(kMaxFields + 1)).status, 431);
  const auto head = [](std::size_t n) {
    std::string lines;
    const std::size_t fixed = get("/").size();
    while (fixed + lines.size() + 10'000 < n) lines += "A: " + std::string(8000, 'a') + "\r\n";
    return get("/", lines + "B: " + std::string(n - fixed - lines.size() - 5, 'b') + "\r\n");
  };
  ASSERT_EQ(head(kMaxHeadBytes).size(), kMaxHeadBytes);
  EXPECT_EQ(ask(port, head(kMaxHeadBytes)).status, 200);
  EXPECT_EQ(ask(port, head(kMaxHeadBytes + 1)).status, 431);
}

TEST_F(Limits, OfAnAlb) {  // ALB user guide, HTTP 400, 414, 463
  const auto gateway = start_gateway(table(Json::object(), {{"dialect", "alb"}}));
  const int port = port_of(*gateway);
  EXPECT_EQ(ask(port, get("/", "A: " + std::string(17'000, 'a') + "\r\n")).status, 400);
  EXPECT_EQ(ask(port, get("/" + std::string(9000, 'a'))).status, 414);
  const auto forwarded = [](std::size_t n) {
    std::string list = "10.0.0.1";
    for (std::size_t i = 1; i < n; ++i) list += ", 10.0.0.1";
    return get("/", "X-Forwarded-For: " + list + "\r\n");
  };
  EXPECT_EQ(ask(port, forwarded(kMaxForwardedFor)).status, 200);
  EXPECT_EQ(ask(port, forwarded(kMaxForwardedFor + 1)).status, 463);
}

TEST_F(Limits, OfBodiesHoldInEitherFraming) {
  for (const bool of_route : {false, true}) {
    const Json limit = {{"max_body", 1000}};
    const auto gateway =
        start_gateway(of_route ? table(limit, {{"max_body", 5}}) : table(Json::object(), limit));
    const int port = port_of(*gateway);
    EXPECT_EQ(ask(port, put(1000)).status, 200);
    EXPECT_EQ(ask(port, put_chunked(1000)).status, 200);
    const int before = upstream_.connections();
    const Answer refused = ask(port, put(1001));
    EXPECT_EQ(refused.status, 413);
    EXPECT_EQ(refused.field("connection"), "close");
    EXPECT_EQ(ask(port, put_chunked(1001)).status, 413);
    EXPECT_EQ(upstream_.connections(), before) << "nothing of it reached the upstream";
  }
}

TEST_F(Limits, ABodyThatIsTooLargeIsRefusedBeforeItIsAskedFor) {
  const auto gateway = start_gateway(table({{"max_body", 10}}));
  Socket socket = Socket::connect_to(port_of(*gateway));
  socket.write("PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n");
  EXPECT_EQ(read_answer(socket).status, 413);
  socket.shut();
  // A chunked one shows its size only while it comes; the upstream's request never ends.
  std::promise<std::string> received;
  Upstream upstream([&](Socket& s) { received.set_value(s.read_all()); });
  const auto other = start_gateway(table_of({{"v1", 1, {upstream.port()}}}, 1, {{"max_body", 10}}));
  Socket slow = Socket::connect_to(port_of(*other));
  slow.write("PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n");
  ASSERT_TRUE(eventually([&] { return upstream.connections() == 1; }));
  slow.write("6\r\nabcdef\r\n0\r\n\r\n");
  EXPECT_EQ(read_answer(slow).status, 413);
  other->stop();
  EXPECT_EQ(received.get_future().get().find("\r\n0\r\n"), std::string::npos);
}

TEST_F(Limits, ZeroIsNoLimit) {
  const auto gateway = start_gateway(table({{"max_body", 0}}, {{"max_body", 5}}));
  EXPECT_EQ(ask(port_of(*gateway), put(100'000)).status, 200);
}

// A client that sends a byte now and then must not hold a head open for ever.
TEST_F(Limits, SlowHeadsAreCutHoweverTheyTrickle) {
  WorkerTimeouts timeouts;
  timeouts.head = milliseconds(300);
  const auto gateway = start_gateway(table(), 1, timeouts);
  Socket socket = Socket::connect_to(port_of(*gateway));
  const std::string head = get("/" + std::string(1000, 'a'));
  std::size_t sent = 0;
  while (sent < head.size() && !socket.read_more(20)) {
    if (socket.ended) break;
    socket.write(head.substr(sent++, 1));
  }
  EXPECT_LT(sent, head.size());
  EXPECT_EQ(read_answer(socket).status, 408);
}

TEST_F(Limits, SlowBodiesAreCutWhenNothingComes) {
  WorkerTimeouts timeouts;
  timeouts.stream_idle = milliseconds(1500);
  const auto gateway = start_gateway(table(), 1, timeouts);
  Socket socket = Socket::connect_to(port_of(*gateway));
  socket.write("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n");
  for (int i = 0; i < 20; ++i) {  // longer than the timeout, but never silent for as long
    socket.write("x");
    EXPECT_FALSE(socket.read_more(100));
    ASSERT_FALSE(socket.ended);
  }
  EXPECT_EQ(read_answer(socket).status, 408);
}

// --- connections -------------------------------------------------------------------------------

class Capped : public Limits {
 protected:
  std::unique_ptr<Gateway> start(std::size_t max, traffic::Snapshot table) {
    GatewayOptions options;
    options.admin_port = std::nullopt;
    options.max_connections = max;
    options.drain = milliseconds(100);
    auto gateway = Gateway::start(options, std::move(table));
    EXPECT_TRUE(gateway);
    return std::move(*gateway);
  }
};

TEST_F(Capped, TheOneThatWasIdleLongestMakesRoom) {
  const auto gateway = start(3, table());
  const int port = port_of(*gateway);
  std::vector<Socket> sockets;
  for (int i = 0; i < 3; ++i) {
    sockets.push_back(Socket::connect_to(port));
    sockets.back().write(kGet);
    ASSERT_EQ(read_answer(sockets.back()).status, 200);
  }
  sockets[0].write(kGet);  // now the second one has been idle longest
  ASSERT_EQ(read_answer(sockets[0]).status, 200);
  Socket fresh = Socket::connect_to(port);
  fresh.write(kGet);
  EXPECT_EQ(read_answer(fresh).status, 200);
  EXPECT_FALSE(sockets[1].read_more());
  EXPECT_TRUE(sockets[1].ended);
  for (const std::size_t still : {0U, 2U}) {
    sockets[still].write(kGet);
    EXPECT_EQ(read_answer(sockets[still]).status, 200) << still;
  }
  EXPECT_EQ(listener_stats(*gateway).connections_shed, 1U);
  EXPECT_EQ(listener_stats(*gateway).connections_active, 3U);
}

TEST_F(Capped, IfAllAreBusyTheNewOneIsRefused) {
  std::atomic<bool> go{false};
  Upstream slow([&](Socket& socket) {
    for (std::string r = read_request(socket); !r.empty(); r = read_request(socket)) {
      eventually([&] { return go.load(); });
      if (!socket.write(ok("late"))) return;
    }
  });
  const auto gateway = start(2, table_of({{"v1", 1, {slow.port()}}}));
  const int port = port_of(*gateway);
  Socket first = Socket::connect_to(port);
  Socket second = Socket::connect_to(port);
  first.write(kGet);
  second.write("GET / HTTP/1.1\r\nHo");  // half a head is busy, too
  ASSERT_TRUE(eventually([&] {
    const auto stats = gateway->stats();
    return stats.listeners.begin()->second.requests == 1 && slow.connections() == 1;
  }));
  Socket refused = Socket::connect_to(port);
  refused.write(kGet);
  const Answer answer = read_answer(refused);
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.field("connection"), "close");
  EXPECT_EQ(answer.field("x-coalmine-reason"), "all 2 client connections are busy");
  EXPECT_FALSE(refused.read_more());
  EXPECT_EQ(listener_stats(*gateway).connections_refused, 1U);
  go = true;
  EXPECT_EQ(read_answer(first).body, "late");
  second.write("st: x\r\n\r\n");
  EXPECT_EQ(read_answer(second).body, "late");
}

TEST_F(Capped, AStormOfConnectionsDoesNotMoveTheBusyOnes) {
  std::atomic<bool> go{false};
  Upstream slow([&](Socket& socket) {
    read_request(socket);
    eventually([&] { return go.load(); });
    socket.write(ok("late"));
  });
  const auto gateway = start(2, table_of({{"v1", 1, {slow.port()}}}));
  Socket busy[2] = {Socket::connect_to(port_of(*gateway)), Socket::connect_to(port_of(*gateway))};
  for (Socket& socket : busy) socket.write(kGet);
  ASSERT_TRUE(eventually([&] { return slow.connections() == 2; }));
  for (int i = 0; i < 300; ++i) Socket::connect_to(port_of(*gateway));
  EXPECT_TRUE(eventually([&] {
    const ListenerStats stats = listener_stats(*gateway);
    return stats.connections_refused == 300 && stats.connections_active == 2;
  }));
  go = true;
  for (Socket& socket : busy) EXPECT_EQ(read_answer(socket).body, "late");
}

TEST_F(Capped, ARefusedTcpConnectionIsJustClosed) {
  Upstream silent([](Socket& socket) { socket.read_all(); });
  const auto gateway = start(1, table_of({{"v1", 1, {silent.port()}}}, 1,
                                         {{"match", Json::object()}}, {{"protocol", "tcp"}}));
  Socket first = Socket::connect_to(port_of(*gateway));
  ASSERT_TRUE(eventually([&] { return silent.connections() == 1; }));
  EXPECT_EQ(Socket::connect_to(port_of(*gateway)).read_all(), "");
  EXPECT_EQ(listener_stats(*gateway).connections_refused, 1U);
}

// --- clients of every kind -----------------------------------------------------------------------

TEST_F(Limits, AnHttp10ClientIsKeptIfItAsksForIt) {
  const auto gateway = start_gateway(table());
  Socket socket = Socket::connect_to(port_of(*gateway));
  for (int i = 0; i < 3; ++i) {
    socket.write("GET / HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n");
    const Answer answer = read_answer(socket);
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.field("connection"), "keep-alive");
  }
}

TEST_F(Limits, AnExpectingClientMayAlsoNotWait) {  // RFC 9110 10.1.1
  const auto gateway = start_gateway(table());
  Socket at_once = Socket::connect_to(port_of(*gateway));
  at_once.write(
      "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc");
  EXPECT_EQ(read_answer(at_once).status, 200) << "no 100: the body is there already";
  Socket old = Socket::connect_to(port_of(*gateway));
  old.write("POST / HTTP/1.0\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  EXPECT_FALSE(old.read_more(100)) << "no 100 for HTTP/1.0";
  old.write("abc");
  EXPECT_EQ(read_answer(old).status, 200);
}

TEST_F(Limits, PipeliningHoldsBackTheSenderWhileAnAnswerIsAwaited) {
  std::atomic<bool> go{false};
  Upstream slow([&](Socket& socket) {
    for (std::string r = read_request(socket); !r.empty(); r = read_request(socket)) {
      eventually([&] { return go.load(); });
      if (!socket.write(ok("x"))) return;
    }
  });
  const auto gateway = start_gateway(table_of({{"v1", 1, {slow.port()}}}));
  Socket socket = Socket::connect_to(port_of(*gateway));
  constexpr int kRequests = 200;
  std::atomic<int> sent{0};
  const std::string one =
      get("/", "A: " + std::string(15'000, 'a') + "\r\nB: " + std::string(15'000, 'b') + "\r\n");
  std::thread writer([&] {
    while (sent < 100 * kRequests && !(go && sent >= kRequests) && socket.write(one)) ++sent;
    socket.end_writing();
  });
  EXPECT_TRUE(
      comes_to_rest(*gateway, clients_held_back, [&] { return static_cast<std::size_t>(sent); }));
  EXPECT_LT(sent, 100 * kRequests) << "600 MB would be a lot to keep";
  go = true;
  int answers = 0;
  for (; socket.read_until("\r\n\r\n"); ++answers) EXPECT_EQ(read_answer(socket).status, 200);
  writer.join();
  EXPECT_EQ(answers, sent) << "all are answered, in spite of the client's end";
}

}  // namespace
}  // namespace coalmine::gateway::test
