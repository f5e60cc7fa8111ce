#include "mock-aws/server/server.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "tests/unit/mock_server/small_backend.h"

namespace coalmine::mock {
namespace {

std::unique_ptr<MockServer> start(MockServerOptions options = {},
                                  const MockServer::Endpoints& endpoints = {}) {
  options.port = 0;
  auto server = MockServer::start(
      options, [](EventSink& events) { return std::make_unique<test::SmallBackend>(events); },
      endpoints);
  EXPECT_TRUE(server) << (server ? "" : server.error().message);
  return server ? *std::move(server) : nullptr;
}

net::Request request(std::string method, std::string target, std::string body = "") {
  net::Request r;
  r.method = std::move(method);
  r.target = std::move(target);
  r.body = std::move(body);
  return r;
}

std::string ask(const MockServer& server, const net::Request& r) {
  auto client = *net::Client::open(server.url());
  const auto response = client->send(r);
  return response ? response->body : response.error().message;
}

net::Request call(const char* operation, std::string body = "") {
  net::Request r = request("POST", "/", std::move(body));
  r.headers.add("X-Operation", operation);
  return r;
}

TEST(MockServer, ServesCallsAndControl) {
  const auto server = start();
  EXPECT_EQ(ask(*server, call("Count")), "1");
  EXPECT_EQ(ask(*server, call("Count")), "2");
  ask(*server, request("POST", "/_coalmine/reset"));
  EXPECT_EQ(ask(*server, call("Count")), "1");
  EXPECT_NE(ask(*server, request("GET", "/_coalmine/health")).find("\"running\""),
            std::string::npos);
}

TEST(MockServer, TakesOneCallAtATime) {
  const auto server = start();
  std::vector<std::thread> callers;
  for (int i = 0; i < 8; ++i) {
    callers.emplace_back([&server] {
      for (int n = 0; n < 50; ++n) ask(*server, call("Count"));
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(ask(*server, call("Count")), "401");
}

TEST(MockServer, TheTickerMovesWhatTimeMoves) {
  MockServerOptions options;
  options.speed = 100;  // ten seconds of the mock in a tenth of one
  const auto server = start(options);
  ask(*server, call("Timer", "10"));
  std::string seen;
  auto client = *net::Client::open(server->url());
  EXPECT_TRUE(
      client->stream(request("GET", "/_coalmine/events?since=0"), [&seen](std::string_view piece) {
        seen += piece;
        return seen.find("timer.rang") == std::string::npos;
      }));
  EXPECT_NE(seen.find("id: 1\ndata: {\"time\":\""), std::string::npos) << seen;
  EXPECT_NE(seen.find("timer.rang"), std::string::npos) << seen;
}

TEST(MockServer, AManualClockStandsStill) {
  MockServerOptions options;
  options.manual_clock = true;
  const auto server = start(options);
  ask(*server, call("Timer", "10"));
  EXPECT_EQ(server->now(), kVirtualEpoch);
  ask(*server, request("POST", "/_coalmine/clock", R"({"advance":"15s"})"));
  EXPECT_EQ(server->now(), kVirtualEpoch + std::chrono::seconds{15});
  EXPECT_NE(ask(*server, request("GET", "/_coalmine/events?follow=false")).find("timer.rang"),
            std::string::npos);
}

TEST(MockServer, LongPollsWakeOnChangesAndOnStop) {
  std::atomic<int> waiting{0};
  MockServer::Endpoints endpoints;
  endpoints["/_coalmine/poll"] = [&waiting](const net::Request& r, MockServer& server) {
    const std::string want(r.query());
    for (;;) {
      const std::uint64_t seen = server.changes();
      const Json state = server.look_at_backend([](Backend& b, TimePoint) { return b.state(); });
      if (std::to_string(get_int(state, "calls")) == want) return net::text_response(200, "there");
      if (!server.running()) return net::text_response(503, "stopping");
      waiting = 1;
      server.wait_for_change(seen, std::chrono::seconds{60});
    }
  };
  const auto server = start({}, endpoints);
  std::string answer;
  std::thread poller([&] { answer = ask(*server, request("GET", "/_coalmine/poll?1")); });
  while (waiting == 0) std::this_thread::yield();
  ask(*server, call("Count"));
  poller.join();
  EXPECT_EQ(answer, "there");
  waiting = 0;
  std::thread second([&] { answer = ask(*server, request("GET", "/_coalmine/poll?9")); });
  while (waiting == 0) std::this_thread::yield();
  server->stop();
  second.join();
  EXPECT_EQ(answer, "stopping");
}

TEST(MockServer, StopsPromptlyWithOpenStreamsAndDelays) {
  const auto server = start();
  ask(*server, request("POST", "/_coalmine/faults", R"({"action":"delay","delay":"1m"})"));
  std::atomic<bool> begun{false};
  std::thread reader([&] {
    auto client = *net::Client::open(server->url());
    (void)client->stream(request("GET", "/_coalmine/events"), [&begun](std::string_view) {
      begun = true;
      return true;
    });
  });
  std::thread caller([&] { ask(*server, call("Count")); });
  while (!begun || server->events().last_id() == 0) std::this_thread::yield();
  const auto before = std::chrono::steady_clock::now();
  server->stop();
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds{30});
  reader.join();
  caller.join();
}

TEST(MockServer, RefusesBadOptionsAndBusyPorts) {
  MockServerOptions options;
  options.speed = 0;
  const auto make = [](EventSink& events) { return std::make_unique<test::SmallBackend>(events); };
  EXPECT_EQ(MockServer::start(options, make).error().kind, ErrorKind::Invalid);
  const auto first = start();
  MockServerOptions busy;
  busy.port = first->port();
  const auto second = MockServer::start(busy, make);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::Environment);
}

}  // namespace
}  // namespace coalmine::mock
