#include "sim/gateway/gateway.h"

#include <cmath>

#include "sim/gateway/admin.h"
#include "sim/gateway/chunks.h"
#include "tests/unit/sim_gateway/fixture.h"

namespace coalmine::gateway::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(Gateway, ForwardsAndTidiesTheHead) {
  Upstream upstream(echo("v1"));
  const auto gateway = start_gateway(table_of({{"v1", 1, {upstream.port()}}}));
  const Answer answer = ask(
      port_of(*gateway),
      "GET /a?b=c HTTP/1.1\r\nHost: example.com\r\nX-Forwarded-For: 10.0.0.1\r\nTE: trailers\r\n"
      "Keep-Alive: 5\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nX-Kept: 2\r\n\r\n");
  ASSERT_EQ(answer.status, 200);
  EXPECT_TRUE(answer.body.starts_with("v1\nGET /a?b=c HTTP/1.1\r\nhost: example.com\r\n"));
  EXPECT_NE(answer.body.find("X-Kept: 2\r\n"), std::string::npos);
  EXPECT_NE(answer.body.find("x-forwarded-for: 10.0.0.1,127.0.0.1\r\n"), std::string::npos);
  EXPECT_NE(answer.body.find("x-forwarded-proto: http\r\n"), std::string::npos);
  EXPECT_NE(answer.body.find("x-request-id: "), std::string::npos);
  for (const char* gone : {"X-Hop", "TE:", "Keep-Alive", "Connection", "connection"}) {
    EXPECT_EQ(answer.body.find(gone), std::string::npos) << gone;
  }
  EXPECT_EQ(answer.field("server"), "envoy");
}

TEST(Gateway, SpeaksTheAlbDialect) {  // ALB user guide, X-Forwarded headers and request tracing
  Upstream upstream(echo("v1"));
  const auto gateway = start_gateway(
      table_of({{"v1", 1, {upstream.port()}}}, 1, Json::object(), {{"dialect", "alb"}}));
  const Answer answer = ask(port_of(*gateway),
                            "GET /a//b HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 10.0.0.1\r\n"
                            "X-Amzn-Trace-Id: Root=1-67891233-abcdef012345678912345678\r\n\r\n");
  EXPECT_NE(answer.body.find("GET /a//b "), std::string::npos) << "the path is left alone";
  EXPECT_NE(answer.body.find("x-forwarded-for: 10.0.0.1, 127.0.0.1\r\n"), std::string::npos);
  EXPECT_NE(answer.body.find(fmt::format("x-forwarded-port: {}\r\n", port_of(*gateway))),
            std::string::npos);
  EXPECT_NE(answer.body.find("Root=1-67891233-abcdef012345678912345678"), std::string::npos);
  EXPECT_EQ(answer.body.find("x-request-id"), std::string::npos);
  const Answer fresh = ask(port_of(*gateway), kGet);
  EXPECT_NE(fresh.body.find("x-amzn-trace-id: Root=1-"), std::string::npos);
  EXPECT_EQ(ask(port_of(*gateway), "TRACE / HTTP/1.1\r\nHost: x\r\n\r\n").status, 405);
}

TEST(Gateway, AStickyForwardKeepsUsersAtTheTargetTheyMet) {  // ALB: target group stickiness
  Upstream one(echo("v1")), two(echo("v2"));
  const Json sticky = {{"stickiness", {{"duration", "1h"}}}};
  const Json alb = {{"dialect", "alb"}};
  const auto table = [&](std::uint32_t first, std::uint32_t second, std::uint64_t version) {
    return table_of({{"v1", first, {one.port()}}, {"v2", second, {two.port()}}}, version, sticky,
                    alb);
  };
  const auto gateway = start_gateway(table(0, 1, 1));
  const Answer met = ask(port_of(*gateway), kGet);
  EXPECT_TRUE(met.body.starts_with("v2"));
  const std::string set = met.field("set-cookie");
  ASSERT_TRUE(set.starts_with("AWSALBTG=")) << met.head;
  EXPECT_NE(set.find("; Expires="), std::string::npos) << set;
  EXPECT_NE(met.head.find("; SameSite=None; Secure\r\n"), std::string::npos);
  const std::string cookie = set.substr(0, set.find(';'));
  const auto with = [](const std::string& value) {
    return "GET / HTTP/1.1\r\nHost: x\r\nCookie: a=b; " + value + "\r\n\r\n";
  };
  ASSERT_TRUE(gateway->update(table(1, 0, 2)));
  const Answer again = ask(port_of(*gateway), with(cookie));
  EXPECT_TRUE(again.body.starts_with("v2")) << "the cookie is read before the weights";
  EXPECT_EQ(again.field("set-cookie"), "") << "it is not prolonged";
  EXPECT_TRUE(ask(port_of(*gateway), kGet).body.starts_with("v1"));
  EXPECT_TRUE(ask(port_of(*gateway), with("AWSALBTG=x")).body.starts_with("v1"));
  ASSERT_TRUE(gateway->update(table_of({{"v1", 1, {one.port()}}, {"v2", 1, {}}}, 3, sticky, alb)));
  EXPECT_TRUE(ask(port_of(*gateway), with(cookie)).body.starts_with("v1"))
      << "nobody is left where the user was";
}

TEST(Gateway, KeepsConnectionsOnBothSides) {
  Upstream upstream(echo("v1"));
  const auto gateway = start_gateway(table_of({{"v1", 1, {upstream.port()}}}));
  Socket socket = Socket::connect_to(port_of(*gateway));
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(socket.write(kGet));
    ASSERT_EQ(read_answer(socket).status, 200);
  }
  EXPECT_EQ(upstream.connections(), 1);
  EXPECT_EQ(gateway->stats().listeners.begin()->second.connections_total, 1U);
}

TEST(Gateway, AnswersPipelinedRequestsInOrder) {
  Upstream upstream(echo("v1"));
  const auto gateway = start_gateway(table_of({{"v1", 1, {upstream.port()}}}));
  std::string all;
  for (int i = 0; i < 300; ++i) {
    all += fmt::format("POST /{} HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", i);
  }
  Socket socket = Socket::connect_to(port_of(*gateway));
  std::thread writer([&] { socket.write(all); });
  for (int i = 0; i < 300; ++i) {
    const Answer answer = read_answer(socket);
    ASSERT_NE(answer.body.find(fmt::format("POST /{} ", i)), std::string::npos) << answer.body;
  }
  writer.join();
}

TEST(Gateway, RequestsCutAnywhereArriveWhole) {
  Upstream upstream(echo("v1"));
  const auto gateway = start_gateway(table_of({{"v1", 1, {upstream.port()}}}));
  const std::string request =
      "POST /p HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: "
      "1\r\n\r\n";
  for (std::size_t cut = 1; cut < request.size(); ++cut) {
    Socket socket = Socket::connect_to(port_of(*gateway));
    ASSERT_TRUE(socket.write(request.substr(0, cut)) && socket.write(request.substr(cut)));
    const Answer answer = read_answer(socket);
    ASSERT_EQ(answer.status, 200) << cut;
    EXPECT_NE(answer.body.find("X-T: 1\r\n"), std::string::npos);
    // the pieces may be chunked anew
    std::string body = answer.body.substr(answer.body.find("\r\n\r\n") + 4);
    ChunkDecoder decoder;
    body.resize(decoder.decode(body.data(), body.size()).payload);
    EXPECT_EQ(body, "abc");
    EXPECT_TRUE(decoder.done());
  }
}

TEST(Gateway, ResponsesInEveryFramingArriveWhole) {
  const std::string chunked =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;e\r\nab\r\n1\r\nc\r\n0\r\nX-T: "
      "1\r\n\r\n";
  const std::string until_close = "HTTP/1.1 200 OK\r\n\r\nabc";
  for (const std::string& response : {ok("abc"), chunked, until_close}) {
    for (std::size_t cut = 1; cut < response.size(); cut += 3) {
      Upstream upstream([&](Socket& socket) {
        while (!read_request(socket).empty()) {
          socket.write(response.substr(0, cut));
          socket.write(response.substr(cut));
          if (response == until_close) return;
        }
      });
      const auto gateway = start_gateway(table_of({{"v1", 1, {upstream.port()}}}));
      Socket socket = Socket::connect_to(port_of(*gateway));
      socket.write(std::string(kGet) + kGet);
      EXPECT_EQ(read_answer(socket).body, "abc");
      const Answer second = read_answer(socket);
      EXPECT_EQ(second.body, "abc");
      EXPECT_EQ(second.field("X-T"), response == chunked ? "1" : "");
      const Answer old = ask(port_of(*gateway), "GET / HTTP/1.0\r\n\r\n");
      EXPECT_EQ(old.body, "abc") << "no chunks for HTTP/1.0";
    }
  }
}

TEST(Gateway, HeadAndBodilessStatusesHaveNoBody) {
  Upstream upstream([](Socket& socket) {
    for (std::string r = read_request(socket); !r.empty(); r = read_request(socket)) {
      if (r.starts_with("HEAD")) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
      if (r.starts_with("GET /204")) socket.write("HTTP/1.1 204 No Content\r\n\r\n");
      if (r.starts_with("GET /304"))
        socket.write("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n");
      if (r.starts_with("GET /early"))
        socket.write("HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + ok("x"));
    }
  });
  const auto gateway = start_gateway(table_of({{"v1", 1, {upstream.port()}}}));
  Socket socket = Socket::connect_to(port_of(*gateway));
  socket.write("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
  const Answer head = read_answer(socket, true);
  EXPECT_EQ(head.field("Content-Length"), "5");
  socket.write("GET /204 HTTP/1.1\r\nHost: x\r\n\r\nGET /304 HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(read_answer(socket).status, 204);
  EXPECT_EQ(read_answer(socket).status, 304);
  socket.write("GET /early HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(read_answer(socket).status, 103);
  EXPECT_EQ(read_answer(socket).body, "x");
  EXPECT_EQ(upstream.connections(), 1);
}

TEST(Gateway, TellsAnExpectingClientToGoOn) {
  Upstream upstream(echo("v1"));
  const auto gateway = start_gateway(table_of({{"v1", 1, {upstream.port()}}}));
  Socket socket = Socket::connect_to(port_of(*gateway));
  socket.write("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  EXPECT_EQ(read_answer(socket).status, 100);
  socket.write("abc");
  const Answer answer = read_answer(socket);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body.find("xpect"), std::string::npos);
}

// A slow reader at the far end must slow the sender down instead of filling memory.
TEST(Gateway, StreamsLargeBodiesWithBackpressure) {
  constexpr std::size_t kSize = 64 << 20;
  std::atomic<std::size_t> produced{0};
  Upstream upstream([&](Socket& socket) {
    if (!socket.read_until("\r\n\r\n")) return;
    socket.write(fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", kSize));
    const std::string piece(1 << 20, 'x');
    for (std::size_t i = 0; i < kSize; i += piece.size()) {
      if (!socket.write(piece)) return;
      produced += piece.size();
    }
  });
  const auto gateway = start_gateway(table_of({{"v1", 1, {upstream.port()}}}));
  Socket socket = Socket::connect_to(port_of(*gateway));
  socket.write(kGet);
  ASSERT_TRUE(socket.read_until("\r\n\r\n"));
  // Nobody reads: production stands still once buffers are full.
  ASSERT_TRUE(comes_to_rest(*gateway, answers_held_back, [&] { return produced.load(); }));
  EXPECT_LT(produced, kSize / 2);
  std::size_t got = socket.buffer.size() - socket.buffer.find("\r\n\r\n") - 4;
  socket.buffer.clear();
  while (got < kSize && socket.read_more()) got += std::exchange(socket.buffer, {}).size();
  EXPECT_EQ(got, kSize);
}

TEST(Gateway, StreamsLargeUploadsWithBackpressure) {
  constexpr std::size_t kSize = 64 << 20;
  std::atomic<bool> read_on{false};
  Upstream upstream([&](Socket& socket) {
    if (!socket.read_until("\r\n\r\n")) return;
    std::size_t got = socket.buffer.size() - socket.buffer.find("\r\n\r\n") - 4;
    eventually([&] { return read_on.load(); });
    socket.buffer.clear();
    while (got < kSize && socket.read_more()) got += std::exchange(socket.buffer, {}).size();
    socket.write(ok(std::to_string(got)));
  });
  const auto gateway = start_gateway(table_of({{"v1", 1, {upstream.port()}}}));
  Socket socket = Socket::connect_to(port_of(*gateway));
  std::atomic<std::size_t> sent{0};
  std::thread writer([&] {
    socket.write(fmt::format("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", kSize));
    const std::string piece(1 << 20, 'x');
    for (std::size_t i = 0; i < kSize; i += piece.size()) {
      if (!socket.write(piece)) return;
      sent += piece.size();
    }
  });
  EXPECT_TRUE(comes_to_rest(*gateway, clients_held_back, [&] { return sent.load(); }));
  EXPECT_LT(sent, kSize / 2);
  read_on = true;
  EXPECT_EQ(read_answer(socket).body, std::to_string(kSize));
  writer.join();
}

TEST(Gateway, AResponseThatEndsEarlyHasNoCleanEnd) {  // RFC 9112 8
  for (const char* start : {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
                            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"}) {
    Upstream upstream([&](Socket& socket) {
      read_request(socket);
      socket.write(start);
    });
    const auto gateway = start_gateway(table_of({{"v1", 1, {upstream.port()}}}));
    Socket socket = Socket::connect_to(port_of(*gateway));
    socket.write(kGet);
    const std::string all = socket.read_all();
    EXPECT_FALSE(all.ends_with("\r\n0\r\n\r\n"));
    EXPECT_TRUE(socket.ended);
  }
}

// --- answers given here ----------------------------------------------------------------------

TEST(Gateway, SaysExactlyWhyThereIsNoAnswer) {
  const auto gateway = start_gateway(table_of({{"v1", 1, {1}}}));
  const Answer refused = ask(port_of(*gateway), kGet);
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.field("x-coalmine-reason"), "connection refused by 127.0.0.1:1 (target v1)");
  EXPECT_EQ(refused.body,
            "upstream connect error or disconnect/reset before headers. reset reason: connection "
            "failure");
  ASSERT_TRUE(gateway->update(table_of({{"v1", 1, {}}}, 2)));
  Answer none;
  ASSERT_TRUE(eventually([&] {
    none = ask(port_of(*gateway), kGet);
    return none.body == "no healthy upstream";
  }));
  EXPECT_EQ(none.field("x-coalmine-reason"), "target v1 has no registered instance");
  ASSERT_TRUE(gateway->update(table_of({{"v1", 1, {}}}, 3, {{"match", {{"prefix", "/only"}}}})));
  ASSERT_TRUE(eventually([&] { return ask(port_of(*gateway), kGet).status == 404; }));
}

TEST(Gateway, BadResponsesAre502) {
  for (const char* text :
       {"SSH-2.0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 101 Switching\r\n\r\n"}) {
    Upstream upstream([&](Socket& socket) {
      read_request(socket);
      socket.write(text);
      socket.read_all();
    });
    const auto gateway = start_gateway(table_of({{"v1", 1, {upstream.port()}}}));
    EXPECT_EQ(ask(port_of(*gateway), kGet).status, 502) << text;
  }
}

TEST(Gateway, TimeoutsAreAnswered) {
  Upstream silent([](Socket& socket) { socket.read_all(); });
  WorkerTimeouts timeouts;
  timeouts.head = milliseconds(200);
  timeouts.stream_idle = milliseconds(200);
  const auto gateway = start_gateway(
      table_of({{"v1", 1, {silent.port()}}}, 1, {{"timeouts", {{"request", "300ms"}}}}), 1,
      timeouts);
  const Answer late = ask(port_of(*gateway), kGet);
  EXPECT_EQ(late.status, 504);
  EXPECT_EQ(late.body, "upstream request timeout");
  EXPECT_EQ(ask(port_of(*gateway), "GET / HT").status, 408) << "half a head";
  EXPECT_EQ(
      ask(port_of(*gateway), "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na").status, 408)
      << "half a body";
}

TEST(Gateway, SilenceIsAnsweredAfterTheIdleTimeout) {  // Envoy: stream timeout, 408 or 504
  Upstream silent([](Socket& socket) { socket.read_all(); });
  const auto gateway = start_gateway(table_of(
      {{"v1", 1, {silent.port()}}}, 1, {{"timeouts", {{"request", "0s"}, {"idle", "200ms"}}}}));
  const Answer late = ask(port_of(*gateway), kGet);
  EXPECT_EQ(late.status, 504);
  EXPECT_EQ(late.body, "stream timeout");
  EXPECT_EQ(late.field("x-coalmine-reason"), "nothing from target v1 for 200ms");
  const Answer half =
      ask(port_of(*gateway), "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na");
  EXPECT_EQ(half.status, 408);
  EXPECT_EQ(half.body, "stream timeout");
  EXPECT_EQ(gateway->stats().local_replies.at("SI"), 2U);
}

TEST(Gateway, AnAnswerThatKeepsComingIsNotIdle) {
  Upstream slow([](Socket& socket) {
    read_request(socket);
    socket.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    for (int i = 0; i < 5; ++i) {
      std::this_thread::sleep_for(milliseconds(400));  // five make more than one idle timeout
      socket.write("x");
    }
    read_request(socket);
    socket.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nxx");
    socket.read_all();
  });
  const auto gateway = start_gateway(table_of(
      {{"v1", 1, {slow.port()}}}, 1, {{"timeouts", {{"request", "0s"}, {"idle", "1800ms"}}}}));
  Socket socket = Socket::connect_to(port_of(*gateway));
  socket.write(kGet);
  EXPECT_EQ(read_answer(socket).body, "xxxxx");
  socket.write(kGet);
  ASSERT_TRUE(socket.read_until("xx"));
  EXPECT_FALSE(socket.read_more()) << "silent in the middle: cut";
  EXPECT_TRUE(socket.ended);
}

TEST(Gateway, ATargetsOwnTimeoutHoldsForIt) {
  Upstream silent([](Socket& socket) { socket.read_all(); });
  const Json target = {{"name", "v1"},
                       {"instances", {fmt::format("127.0.0.1:{}", silent.port())}},
                       {"timeouts", {{"request", "100ms"}}}};
  const auto gateway = start_gateway(table_of({{"v1", 1, {1}}}, 1, {{"targets", {target}}}));
  const Answer late = ask(port_of(*gateway), kGet);
  EXPECT_EQ(late.body, "upstream request timeout");
  EXPECT_EQ(late.field("x-coalmine-reason"), "target v1 did not answer within 100ms");
}

// --- retries ---------------------------------------------------------------------------------

TEST(Gateway, RetriesInsideThePickedTarget) {
  std::atomic<int> asked{0};
  Upstream flaky([&](Socket& socket) {
    while (!read_request(socket).empty()) {
      if (asked++ % 2 == 0) {
        socket.write("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n");
      } else {
        socket.write(ok("at last"));
      }
    }
  });
  Upstream other(echo("v2"));
  const Json retry = {{"retry", {{"on", {"503"}}, {"max_retries", 2}}}};
  const auto gateway =
      start_gateway(table_of({{"v1", 1, {flaky.port()}}, {"v2", 0, {other.port()}}}, 1, retry));
  EXPECT_EQ(ask(port_of(*gateway), kGet).body, "at last");
  const TargetStats stats = gateway->stats().targets.at({":" + std::to_string(0), "r", "v1"});
  EXPECT_EQ(stats.requests, 1U) << "what the user saw";
  EXPECT_EQ(stats.codes[2], 1U);
  EXPECT_EQ(stats.attempts, 2U) << "what the target saw";
  EXPECT_EQ(stats.retries, 1U);
  EXPECT_EQ(other.connections(), 0);
}

// --- shares and snapshots --------------------------------------------------------------------

TEST(Gateway, ObservedSharesFollowTheWeights) {
  Upstream v1(echo("v1"));
  Upstream v2(echo("v2"));
  const auto gateway = start_gateway(table_of({{"v1", 90, {v1.port()}}, {"v2", 10, {v2.port()}}}));
  Socket socket = Socket::connect_to(port_of(*gateway));
  constexpr int kRequests = 3000;
  double canary = 0;
  for (int i = 0; i < kRequests; ++i) {
    socket.write(kGet);
    canary += read_answer(socket).body.starts_with("v2") ? 1 : 0;
  }
  const double sigma = std::sqrt(kRequests * 0.1 * 0.9);
  EXPECT_NEAR(canary, kRequests * 0.1, 5 * sigma);
  const auto stats = gateway->stats();
  EXPECT_EQ(stats.targets.at({":0", "r", "v2"}).requests, static_cast<std::uint64_t>(canary));
}

TEST(Gateway, ExactSelectionIsExactAcrossConnectionsAndSnapshots) {
  Upstream v1(echo("v1"));
  Upstream v2(echo("v2"));
  const auto table = [&](std::uint64_t version) {
    return table_of({{"v1", 99, {v1.port()}}, {"v2", 1, {v2.port()}}}, version,
                    {{"selection", "exact"}});
  };
  const auto gateway = start_gateway(table(1));
  int canary = 0;
  for (int change = 0; change < 20; ++change) {
    Socket socket = Socket::connect_to(port_of(*gateway));
    for (int i = 0; i < 40; ++i) {
      socket.write(kGet);
      canary += read_answer(socket).body.starts_with("v2") ? 1 : 0;
    }
    ASSERT_TRUE(gateway->update(table(static_cast<std::uint64_t>(change) + 2)));
  }
  EXPECT_EQ(canary, 8);
}

TEST(Gateway, ListenersComeAndGoWithTheTable) {
  Upstream upstream(echo("v1"));
  const auto gateway = start_gateway(table_of({{"v1", 1, {upstream.port()}}}));
  const int old_port = port_of(*gateway);
  Socket idle = Socket::connect_to(old_port);
  idle.write(kGet);
  EXPECT_EQ(read_answer(idle).status, 200);
  auto empty = std::make_shared<traffic::RouteTable>();
  empty->version = 2;
  ASSERT_TRUE(gateway->update(empty));
  EXPECT_FALSE(idle.read_more()) << "an idle connection of a listener that went is closed";
  EXPECT_TRUE(idle.ended);
  EXPECT_TRUE(gateway->ports().empty());
  ASSERT_TRUE(gateway->update(table_of({{"v1", 1, {upstream.port()}}}, 3)));
  EXPECT_EQ(ask(port_of(*gateway), kGet).status, 200);
}

TEST(Gateway, StopLetsRequestsInFlightFinish) {
  std::atomic<bool> arrived{false};
  std::atomic<bool> go{false};
  Upstream upstream([&](Socket& socket) {
    read_request(socket);
    arrived = true;
    eventually([&] { return go.load(); });
    socket.write(ok("late"));
    socket.read_all();
  });
  const auto gateway = start_gateway(table_of({{"v1", 1, {upstream.port()}}}));
  Socket socket = Socket::connect_to(port_of(*gateway));
  socket.write(kGet);
  ASSERT_TRUE(eventually([&] { return arrived.load(); }));
  std::thread stopper([&] { gateway->stop(); });
  go = true;
  EXPECT_EQ(read_answer(socket).body, "late");
  stopper.join();
}

TEST(Gateway, ABusyPortIsAnError) {
  Upstream taken(echo("x"));
  for (const int threads : {1, 2}) {
    GatewayOptions options;
    options.port = taken.port();
    options.threads = threads;
    options.admin_port = std::nullopt;
    const auto gateway = Gateway::start(options, table_of({{"v1", 1, {1}}}));
    ASSERT_FALSE(gateway);
    EXPECT_EQ(gateway.error().kind, ErrorKind::Environment);
  }
}

TEST(Gateway, ABadTableChangesNothing) {
  Upstream upstream(echo("v1"));
  const auto gateway = start_gateway(table_of({{"v1", 1, {upstream.port()}}}));
  auto bad = std::make_shared<traffic::RouteTable>(*gateway->table());
  std::get<traffic::Forward>(bad->listeners[0].routes[0].action).targets[0].weight = 0;
  EXPECT_FALSE(gateway->update(bad));
  EXPECT_EQ(ask(port_of(*gateway), kGet).status, 200);
}

TEST(Gateway, AClientThatHalfClosesStillGetsItsAnswer) {
  Upstream upstream(echo("v1"));
  const auto gateway = start_gateway(table_of({{"v1", 1, {upstream.port()}}}));
  Socket socket = Socket::connect_to(port_of(*gateway));
  socket.write(kGet);
  socket.end_writing();
  EXPECT_EQ(read_answer(socket).status, 200);
}

// --- admin -----------------------------------------------------------------------------------

net::Response admin(Gateway& gateway, const std::string& target) {
  net::Request request;
  request.target = target;
  return admin_response(gateway, request);
}

TEST(Admin, IsInitializingUntilTheFirstTable) {
  const auto gateway = start_gateway(nullptr);
  EXPECT_NE(admin(*gateway, "/server_info").body.find("\"state\": \"PRE_INITIALIZING\""),
            std::string::npos);
  EXPECT_EQ(admin(*gateway, "/ready").status, 503);
  ASSERT_TRUE(gateway->update(table_of({{"v1", 1, {1}}})));
  EXPECT_NE(admin(*gateway, "/server_info").body.find("\"state\": \"LIVE\""), std::string::npos);
  EXPECT_EQ(admin(*gateway, "/ready").status, 200);
}

TEST(Admin, ShowsWhatIsCounted) {
  Upstream upstream(echo("v1"));
  const auto gateway = start_gateway(table_of({{"v1", 1, {upstream.port()}}}, 7));
  ask(port_of(*gateway), kGet);
  EXPECT_NE(admin(*gateway, "/stats").body.find("cluster.:0.r.v1.downstream_rq_2xx: 1\n"),
            std::string::npos);
  EXPECT_NE(admin(*gateway, "/metrics")
                .body.find("coalmine_requests_total{listener=\":0\",route=\"r\",target=\"v1\","
                           "code=\"2xx\"} 1\n"),
            std::string::npos);
  EXPECT_TRUE(parse_json(admin(*gateway, "/stats?format=json").body));
  EXPECT_TRUE(parse_json(admin(*gateway, "/clusters?format=json").body));
  const auto dump = parse_json(admin(*gateway, "/config_dump").body);
  ASSERT_TRUE(dump);
  EXPECT_EQ(*traffic::route_table_from_json(*dump), *gateway->table());
  EXPECT_EQ(admin(*gateway, "/nothing").status, 404);
}

}  // namespace
}  // namespace coalmine::gateway::test
