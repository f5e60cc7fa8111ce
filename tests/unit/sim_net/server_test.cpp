#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "sim/net/http.h"
#include "tests/unit/sim_net/raw_socket.h"

namespace coalmine::net {
namespace {

using test::RawSocket;
using Steady = std::chrono::steady_clock;

std::unique_ptr<Server> serve(Handler handler, ServerOptions options = {}) {
  auto server = Server::listen("127.0.0.1", 0, std::move(handler), options);
  EXPECT_TRUE(server) << (server ? "" : server.error().message);
  return server ? *std::move(server) : nullptr;
}

Response echo(const Request& request) {
  Response response =
      text_response(200, request.method + " " + request.target + "\n" + request.body);
  return response;
}

template <typename Condition>
bool eventually(Condition condition) {
  const auto deadline = Steady::now() + std::chrono::seconds{20};
  while (!condition()) {
    if (Steady::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds{2});
  }
  return true;
}

std::size_t count(const std::string& text, std::string_view what) {
  std::size_t n = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++n;
  return n;
}

constexpr std::string_view kGet = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";

TEST(Server, AnswersWithOneWellFormedMessage) {
  const auto server = serve(echo);
  RawSocket client(server->port());
  client.send(kGet);
  const std::string answer = client.read_until("GET /a\n");
  EXPECT_EQ(answer.substr(0, 17), "HTTP/1.1 200 OK\r\n");
  EXPECT_NE(answer.find("\r\nContent-Length: 7\r\n"), std::string::npos) << answer;
  EXPECT_NE(answer.find("\r\nContent-Type: text/plain\r\n"), std::string::npos) << answer;
  EXPECT_NE(answer.find(" GMT\r\n"), std::string::npos) << answer;
  EXPECT_EQ(answer.find("Connection:"), std::string::npos) << answer;
  EXPECT_EQ(answer.find("Keep-Alive:"), std::string::npos) << answer;
}

TEST(Server, HandsOverTheRequestAsSent) {
  Request seen;
  const auto server = serve([&seen](const Request& request) {
    seen = request;
    return echo(request);
  });
  RawSocket client(server->port());
  client.send(
      "PATCH /a%2Fb?x=%20?y HTTP/1.1\r\nhost: x\r\nAccept: 1\r\nAccept: 2\r\n"
      "Accept-Encoding: gzip\r\nRange: bytes=1-2\r\nContent-Length: 3\r\n\r\nabc");
  const std::string answer = client.read_until("abc");
  EXPECT_EQ(answer.substr(0, 12), "HTTP/1.1 200");  // ranges are the handler's business
  EXPECT_EQ(seen.method, "PATCH");
  EXPECT_EQ(seen.target, "/a%2Fb?x=%20?y");
  EXPECT_EQ(seen.body, "abc");
  EXPECT_EQ(seen.headers.size(), 6u);
  EXPECT_EQ(seen.headers.begin()->first, "host");
  EXPECT_EQ(seen.peer.substr(0, 10), "127.0.0.1:");
}

TEST(Server, AnswersPipelinedRequestsInOrder) {
  const auto server = serve(echo);
  RawSocket client(server->port());
  std::string all;
  for (int i = 0; i < 50; ++i) {
    all += "POST /" + std::to_string(i) + " HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi";
  }
  client.send(all + "GET /end HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const std::string answers = client.read_all();
  EXPECT_EQ(count(answers, "HTTP/1.1 200 OK"), 51u);
  std::size_t at = 0;
  for (int i = 0; i < 50; ++i) {
    at = answers.find("POST /" + std::to_string(i) + "\nhi", at);
    ASSERT_NE(at, std::string::npos) << i;
  }
  EXPECT_TRUE(client.was_closed());
}

TEST(Server, ReadsARequestThatComesByteByByte) {
  const auto server = serve(echo);
  RawSocket client(server->port());
  const std::string request =
      "\r\nPOST /slow HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
      "2\r\nab\r\n1\r\nc\r\n0\r\n\r\n";
  for (const char c : request) client.send(std::string_view(&c, 1));
  EXPECT_NE(client.read_until("abc").find("POST /slow\nabc"), std::string::npos);
}

TEST(Server, StreamsALargeChunkedUpload) {
  const auto server = serve([](const Request& request) {
    return text_response(200, "got " + std::to_string(request.body.size()) + "\n");
  });
  RawSocket client(server->port());
  client.send("PUT /blob HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
  const std::string chunk = "10000\r\n" + std::string(0x10000, 'b') + "\r\n";
  for (int i = 0; i < 160; ++i) client.send(chunk);
  client.send("0\r\n\r\n");
  EXPECT_NE(client.read_until("\n").find("200"), std::string::npos);
  client.read_until("got 10485760\n");
}

TEST(Server, TellsTheClientToContinue) {
  const auto server = serve(echo);
  RawSocket client(server->port());
  client.send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("ok");
  EXPECT_NE(client.read_until("PUT /\nok").find("HTTP/1.1 200 OK"), std::string::npos);
}

TEST(Server, HeadHasTheLengthButNoBody) {
  const auto server = serve([](const Request& request) {
    Response response = echo(request);
    if (request.target == "/big") {
      response.body.clear();
      response.headers.add("Content-Length", "123456789");
    }
    return response;
  });
  RawSocket client(server->port());
  client.send("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_NE(client.read_until("\r\n\r\n").find("Content-Length: 7\r\n"), std::string::npos);
  client.forget();
  client.send("HEAD /big HTTP/1.1\r\nHost: x\r\n\r\n");
  const std::string answer = client.read_until("\r\n\r\n");
  EXPECT_NE(answer.find("Content-Length: 123456789\r\n"), std::string::npos) << answer;
  EXPECT_EQ(count(answer, "Content-Length"), 1u);
}

TEST(Server, GetMayCarryABody) {
  const auto server = serve(echo);
  RawSocket client(server->port());
  client.send("GET /q HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody");
  client.send(kGet);
  EXPECT_NE(client.read_until("GET /a").find("GET /q\nbody"), std::string::npos);
}

TEST(Server, PostWithoutLengthHasNoBody) {
  const auto server = serve(echo);
  RawSocket client(server->port());
  client.send("POST /reset HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_NE(client.read_until("POST /reset\n").find("200 OK"), std::string::npos);
}

TEST(Server, RefusesMalformedRequestsAndGoesOn) {
  std::atomic<int> handled{0};
  const auto server = serve([&handled](const Request& request) {
    ++handled;
    return echo(request);
  });
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"garbage\r\n\r\n", "400"},
      {"GET / HTTP/1.1\nHost: x\n\n", "400"},
      {"GET / HTTP/1.1\r\n\r\n", "400"},
      {std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n", 12), "400"},  // TLS hello
      {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", "400"},
      {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "400"},
      {"GET / HTTP/3.0\r\nHost: x\r\n\r\n", "505"},
      {std::string(70'000, 'a'), "431"},
  };
  for (const auto& [bytes, status] : cases) {
    RawSocket client(server->port());
    client.send(bytes + std::string(kGet));  // what follows must not be taken for a request
    const std::string answer = client.read_all();
    EXPECT_EQ(answer.substr(0, 12), "HTTP/1.1 " + status) << bytes.substr(0, 40);
    EXPECT_EQ(count(answer, "\r\nDate: "), 1u) << answer;
    EXPECT_NE(answer.find("Connection: close\r\n"), std::string::npos) << answer;
  }
  EXPECT_EQ(handled, 0);
  RawSocket client(server->port());
  client.send(kGet);
  EXPECT_NE(client.read_until("GET /a").find("200 OK"), std::string::npos);
}

TEST(Server, RefusesBodiesBeyondTheLimit) {
  ServerOptions options;
  options.max_body_bytes = 10;
  const auto server = serve(echo, options);
  const auto ask = [&server](const std::string& rest) {
    RawSocket client(server->port());
    client.send("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + rest);
    return client.read_all().substr(9, 3);
  };
  EXPECT_EQ(ask("Content-Length: 10\r\n\r\n0123456789"), "200");
  EXPECT_EQ(ask("Content-Length: 11\r\n\r\n01234567890"), "413");
  EXPECT_EQ(ask("Transfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n"), "200");
  EXPECT_EQ(ask("Transfer-Encoding: chunked\r\n\r\nb\r\n01234567890\r\n0\r\n\r\n"), "413");
}

TEST(Server, GivesUpOnASlowHead) {
  ServerOptions options;
  options.header_timeout = std::chrono::milliseconds{50};
  const auto server = serve(echo, options);
  RawSocket client(server->port());
  client.send("GET / HT");
  EXPECT_EQ(client.read_all().substr(0, 12), "HTTP/1.1 408");
}

TEST(Server, ClosesIdleConnections) {
  ServerOptions options;
  options.idle_timeout = std::chrono::milliseconds{50};
  const auto server = serve(echo, options);
  RawSocket client(server->port());
  client.send(kGet);
  client.read_all();
  EXPECT_TRUE(client.was_closed());
}

TEST(Server, MayWaitForEver) {
  ServerOptions options;
  options.idle_timeout = kForever;
  options.header_timeout = kForever;
  const auto server = serve(echo, options);
  RawSocket client(server->port());
  client.send(kGet);
  EXPECT_NE(client.read_until("GET /a\n").find("200 OK"), std::string::npos);
}

TEST(Server, TurnsAHandlersExceptionInto500) {
  const auto server =
      serve([](const Request&) -> Response { throw std::runtime_error("broken handler"); });
  RawSocket client(server->port());
  client.send(kGet);
  EXPECT_NE(client.read_until("broken handler").find("HTTP/1.1 500"), std::string::npos);
  client.forget();
  client.send(kGet);
  EXPECT_NE(client.read_until("broken handler").find("HTTP/1.1 500"), std::string::npos);
}

TEST(Server, SpeaksHttp10) {
  const auto server = serve(echo);
  RawSocket once(server->port());
  once.send("GET /a HTTP/1.0\r\n\r\n");
  EXPECT_NE(once.read_all().find("Connection: close"), std::string::npos);
  RawSocket kept(server->port());
  kept.send("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_NE(kept.read_until("GET /a\n").find("Connection: keep-alive"), std::string::npos);
}

TEST(Server, AnswersWithoutBodyHaveNoLength) {
  const auto server = serve([](const Request&) {
    Response response;
    response.status = 204;
    return response;
  });
  RawSocket client(server->port());
  client.send(kGet);
  EXPECT_EQ(client.read_until("\r\n\r\n").find("Content-Length"), std::string::npos);
}

TEST(Server, ServesAHundredKeptConnectionsAtOnce) {
  const auto server = serve(echo);
  std::vector<std::unique_ptr<RawSocket>> clients;
  for (int i = 0; i < 100; ++i) clients.push_back(std::make_unique<RawSocket>(server->port()));
  for (int round = 0; round < 5; ++round) {
    for (auto& client : clients) client->send(kGet);
    for (auto& client : clients) {
      client->forget();
      EXPECT_NE(client->read_until("GET /a\n").find("200 OK"), std::string::npos);
    }
  }
  const auto begun = Steady::now();
  server->stop();
  EXPECT_LT(Steady::now() - begun, std::chrono::seconds{10});  // not the idle timeout, 75 s
  for (auto& client : clients) {
    client->read_all();
    EXPECT_TRUE(client->was_closed());
  }
}

TEST(Server, RefusesConnectionsBeyondTheLimit) {
  ServerOptions options;
  options.max_connections = 2;
  const auto server = serve(echo, options);
  RawSocket first(server->port());
  auto second = std::make_unique<RawSocket>(server->port());
  for (RawSocket* client : {&first, second.get()}) {
    client->send(kGet);
    client->read_until("GET /a\n");
  }
  RawSocket third(server->port());
  EXPECT_EQ(third.read_all().substr(0, 12), "HTTP/1.1 503");
  second.reset();
  EXPECT_TRUE(eventually([&server] {  // its place is free again
    RawSocket next(server->port());
    next.send(kGet);
    return next.read_until("GET /a\n").find("200 OK") != std::string::npos;
  }));
}

// --- streams ----------------------------------------------------------------------------------

Response ticking(std::atomic<int>& running) {
  Response response;
  response.headers.add("Content-Type", "text/event-stream");
  response.stream = [&running](BodyWriter& out) {
    ++running;
    for (int i = 0; out.write("data: " + std::to_string(i) + "\n\n"); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }
    --running;
  };
  return response;
}

TEST(EventStream, EndsWhenTheServerStops) {
  std::atomic<int> running{0};
  const auto server = serve([&running](const Request&) { return ticking(running); });
  RawSocket client(server->port());
  client.send(kGet);
  const std::string begun = client.read_until("data: 3\n\n");
  EXPECT_NE(begun.find("Transfer-Encoding: chunked\r\n"), std::string::npos) << begun;
  EXPECT_NE(begun.find("Content-Type: text/event-stream\r\n"), std::string::npos) << begun;
  server->stop();
  EXPECT_EQ(running, 0);
  EXPECT_EQ(client.read_all().substr(client.read_all().size() - 5), "0\r\n\r\n");
}

TEST(EventStream, EndsWhenTheClientLeaves) {
  std::atomic<int> running{0};
  const auto server = serve([&running](const Request&) { return ticking(running); });
  {
    RawSocket client(server->port());
    client.send(kGet);
    client.read_until("data: 3\n\n");
  }
  EXPECT_TRUE(eventually([&running] { return running == 0; }));
}

TEST(EventStream, AnEmptyPieceAsksWhetherTheClientIsThere) {
  std::atomic<bool> over{false};
  const auto server = serve([&over](const Request&) {
    Response response;
    response.stream = [&over](BodyWriter& out) {
      out.write("begun");
      while (out.write("")) std::this_thread::sleep_for(std::chrono::milliseconds{1});
      over = true;
    };
    return response;
  });
  {
    RawSocket client(server->port());
    client.send(kGet);
    client.read_until("begun");
    EXPECT_FALSE(over);
  }
  EXPECT_TRUE(eventually([&over] { return over.load(); }));
}

TEST(EventStream, KeepsTheConnectionWhenItIsComplete) {
  const auto server = serve([](const Request&) {
    Response response;
    response.stream = [](BodyWriter& out) { out.write("piece"); };
    return response;
  });
  RawSocket client(server->port());
  client.send(kGet);
  EXPECT_NE(client.read_until("0\r\n\r\n").find("5\r\npiece\r\n"), std::string::npos);
  client.forget();
  client.send(kGet);
  EXPECT_NE(client.read_until("0\r\n\r\n").find("5\r\npiece\r\n"), std::string::npos);
}

TEST(EventStream, EndsWithTheConnectionForHttp10) {
  const auto server = serve([](const Request&) {
    Response response;
    response.stream = [](BodyWriter& out) { out.write("piece"); };
    return response;
  });
  RawSocket client(server->port());
  client.send("GET / HTTP/1.0\r\n\r\n");
  const std::string answer = client.read_all();
  EXPECT_EQ(answer.find("chunked"), std::string::npos) << answer;
  EXPECT_EQ(answer.substr(answer.size() - 9), "\r\n\r\npiece");
}

// --- stopping ---------------------------------------------------------------------------------

TEST(ServerStop, LetsARunningRequestFinish) {
  std::atomic<bool> begun{false};
  std::atomic<bool> stopping{false};
  const auto server = serve([&](const Request& request) {
    begun = true;
    eventually([&stopping] { return stopping.load(); });
    std::this_thread::sleep_for(std::chrono::milliseconds{20});
    return echo(request);
  });
  RawSocket client(server->port());
  client.send(kGet);
  ASSERT_TRUE(eventually([&begun] { return begun.load(); }));
  std::thread stopper([&] {
    stopping = true;
    server->stop();
  });
  const std::string answer = client.read_all();
  stopper.join();
  EXPECT_NE(answer.find("200 OK"), std::string::npos) << answer;
  EXPECT_NE(answer.find("GET /a\n"), std::string::npos) << answer;
  EXPECT_NE(answer.find("Connection: close\r\n"), std::string::npos) << answer;
  EXPECT_FALSE(RawSocket(server->port()).connected());
}

TEST(ServerStop, AnswersRequestsThatHaveArrived) {
  // Whatever was sent before stop() is answered; nobody sees a closed connection instead.
  for (int round = 0; round < 20; ++round) {
    const auto server = serve(echo);
    std::vector<std::unique_ptr<RawSocket>> clients;
    for (int i = 0; i < 8; ++i) clients.push_back(std::make_unique<RawSocket>(server->port()));
    for (auto& client : clients) client->send(kGet);
    server->stop();
    for (auto& client : clients) {
      EXPECT_NE(client->read_all().find("GET /a\n"), std::string::npos);
    }
  }
}

TEST(ServerStop, IsHarmlessTwice) {
  const auto server = serve(echo);
  server->stop();
  server->stop();
}

// --- misbehaviour -----------------------------------------------------------------------------

std::unique_ptr<Server> misbehaving(Misbehaviour kind) {
  return serve([kind](const Request& request) {
    Response response = echo(request);
    response.body = "0123456789";
    response.misbehaviour = kind;
    return response;
  });
}

TEST(Misbehaving, ResetSendsNothingButARst) {
  const auto server = misbehaving(Misbehaviour::Reset);
  RawSocket client(server->port());
  client.send(kGet);
  EXPECT_EQ(client.read_all(), "");
  EXPECT_TRUE(client.was_reset());
}

TEST(Misbehaving, TruncateSendsTheTrueLengthAndHalfTheBody) {
  const auto server = misbehaving(Misbehaviour::Truncate);
  RawSocket client(server->port());
  client.send(kGet);
  const std::string answer = client.read_all();
  EXPECT_NE(answer.find("Content-Length: 10\r\n"), std::string::npos) << answer;
  EXPECT_EQ(answer.substr(answer.size() - 9), "\r\n\r\n01234");
  EXPECT_TRUE(client.was_closed());
}

TEST(Misbehaving, HangLastsUntilTheServerStops) {
  const auto server = misbehaving(Misbehaviour::Hang);
  RawSocket client(server->port());
  client.send(kGet);
  RawSocket other(server->port());
  other.send(kGet);
  server->stop();
  EXPECT_EQ(client.read_all(), "");
  EXPECT_EQ(other.read_all(), "");
}

// --- listening --------------------------------------------------------------------------------

TEST(Listen, SaysWhyItCannot) {
  const auto server = serve(echo);
  const auto second = Server::listen("127.0.0.1", server->port(), echo);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::Environment);
  EXPECT_EQ(second.error().message,
            fmt::format("cannot listen on 127.0.0.1:{}: Address already in use", server->port()));
  EXPECT_FALSE(Server::listen("127.0.0.1", 65536, echo));
  EXPECT_FALSE(Server::listen("192.0.2.1", 0, echo));  // not an address of ours
}

TEST(Listen, KnowsLocalhostAndOtherLoopbackAddresses) {
  const auto named = Server::listen("localhost", 0, echo);
  ASSERT_TRUE(named);
  EXPECT_GT((*named)->port(), 0);
  EXPECT_EQ((*named)->host(), "localhost");
  EXPECT_TRUE(Server::listen("127.9.8.7", 0, echo));
}

}  // namespace
}  // namespace coalmine::net
