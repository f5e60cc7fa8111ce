#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "sim/net/address.h"
#include "sim/net/http.h"

namespace coalmine::net {
namespace {

struct Lab {
  std::unique_ptr<Server> server;
  std::unique_ptr<Client> client;
};

Lab open_lab(Handler handler, ServerOptions server_options = {}, ClientOptions options = {}) {
  Lab lab;
  lab.server = *Server::listen("127.0.0.1", 0, std::move(handler), server_options);
  lab.client = *Client::open("http://127.0.0.1:" + std::to_string(lab.server->port()), options);
  return lab;
}

TEST(Client, SendsWhatItIsGivenAndReadsTheAnswer) {
  Request seen;
  Lab lab = open_lab([&seen](const Request& request) {
    seen = request;
    Response response = json_response(201, "{}");
    response.headers.add("X-Answer", "1");
    return response;
  });
  Request request;
  request.method = "POST";
  request.target = "/a%2Fb/%E2%82%AC?z=1&a=%20x&a=";
  request.headers = {{"X-One", "1"}, {"Content-Type", "application/x-amz-json-1.1"}};
  request.body = "{\"a\":1}";
  const auto response = lab.client->send(request);
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->status, 201);
  EXPECT_EQ(response->body, "{}");
  EXPECT_EQ(response->headers.get("x-answer"), "1");
  const int port = lab.server->port();
  lab.server.reset();  // its threads end: what they saw is ours
  EXPECT_EQ(seen.method, "POST");
  EXPECT_EQ(seen.target, request.target);
  EXPECT_EQ(seen.body, request.body);
  EXPECT_EQ(seen.headers.get("X-One"), "1");
  EXPECT_EQ(seen.headers.get("Host"), "127.0.0.1:" + std::to_string(port));
  EXPECT_EQ(seen.headers.get("Content-Length"), "7");
}

TEST(Client, KeepsTheConnection) {
  std::set<std::string> peers;
  Lab lab = open_lab([&peers](const Request& request) {
    peers.insert(request.peer);
    return text_response(200, "x");
  });
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(lab.client->send({}));
  lab.server.reset();
  EXPECT_EQ(peers.size(), 1u);
}

TEST(Client, SendsEveryMethodAndHeadHasNoBody) {
  Lab lab = open_lab([](const Request& request) { return text_response(200, request.method); });
  for (const char* method : {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}) {
    Request request;
    request.method = method;
    const auto response = lab.client->send(request);
    ASSERT_TRUE(response) << method << response.error().message;
    EXPECT_EQ(response->body, method);
  }
  Request head;
  head.method = "HEAD";
  const auto response = lab.client->send(head);
  ASSERT_TRUE(response);
  EXPECT_EQ(response->body, "");
  EXPECT_EQ(response->headers.get("Content-Length"), "4");
}

TEST(Client, ReconnectsWhenAKeptConnectionHasGone) {
  ServerOptions impatient;
  impatient.idle_timeout = std::chrono::milliseconds{1};
  Lab lab = open_lab([](const Request&) { return text_response(200, "x"); }, impatient);
  for (int i = 0; i < 50; ++i) {
    const auto response = lab.client->send({});
    ASSERT_TRUE(response) << i << ": " << response.error().message;
    std::this_thread::sleep_for(std::chrono::milliseconds{i % 3});
  }
}

TEST(Client, RepeatsOnceOnlyWhatMayRunTwice) {
  std::atomic<int> asked{0};
  Lab lab = open_lab([&asked](const Request& request) {
    Response response = text_response(200, "x");
    if (++asked > 1 && request.target == "/reset") response.misbehaviour = Misbehaviour::Reset;
    return response;
  });
  const auto ask = [&](const char* method, const char* target) {
    Request request;
    request.method = method;
    request.target = target;
    return lab.client->send(request).has_value();
  };
  ASSERT_TRUE(ask("GET", "/"));
  EXPECT_FALSE(ask("GET", "/reset"));  // on the kept connection, then once more on a new one
  EXPECT_EQ(asked, 3);
  ASSERT_TRUE(ask("GET", "/"));
  EXPECT_FALSE(ask("POST", "/reset"));
  EXPECT_EQ(asked, 5);
  EXPECT_FALSE(ask("GET", "/reset"));  // a new connection: its failure is real
  EXPECT_EQ(asked, 6);
}

TEST(Client, SaysWhatFailed) {
  const int port =
      (*Server::listen("127.0.0.1", 0, [](const Request&) { return Response{}; }))->port();
  auto client = *Client::open(fmt::format("http://127.0.0.1:{}", port));
  const auto refused = client->send({});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::Environment);
  EXPECT_EQ(refused.error().message,
            fmt::format("cannot connect to http://127.0.0.1:{}: Connection refused", port));
}

TEST(Client, SaysThatATruncatedAnswerIsNotWhole) {
  Lab lab = open_lab([](const Request&) {
    Response response = text_response(200, "0123456789");
    response.misbehaviour = Misbehaviour::Truncate;
    return response;
  });
  const auto response = lab.client->send({});
  ASSERT_FALSE(response);
  EXPECT_NE(response.error().message.find("before a whole answer came"), std::string::npos)
      << response.error().message;
}

TEST(Client, SaysThatNothingCame) {
  ClientOptions options;
  options.read_timeout = std::chrono::milliseconds{100};
  Lab lab = open_lab(
      [](const Request&) {
        Response response;
        response.misbehaviour = Misbehaviour::Hang;
        return response;
      },
      {}, options);
  const auto response = lab.client->send({});
  ASSERT_FALSE(response);
  EXPECT_NE(response.error().message.find("nothing came for 100ms"), std::string::npos)
      << response.error().message;
}

TEST(Client, TlsToAPlainServerFailsWithAReason) {
  const auto server = *Server::listen("127.0.0.1", 0, [](const Request&) { return Response{}; });
  auto client = *Client::open(fmt::format("https://127.0.0.1:{}", server->port()));
  const auto response = client->send({});
  ASSERT_FALSE(response);
  EXPECT_NE(response.error().message.find("TLS"), std::string::npos) << response.error().message;
}

TEST(Client, StreamsUntilTheEndOrUntilTold) {
  Lab lab = open_lab([](const Request& request) {
    if (request.target == "/missing") return text_response(404, "no such stream");
    Response response;
    response.stream = [](BodyWriter& out) {
      for (int i = 0; i < 5 && out.write(std::to_string(i)); ++i) {
      }
    };
    return response;
  });
  std::string all;
  EXPECT_TRUE(lab.client->stream({}, [&all](std::string_view piece) {
    all += piece;
    return true;
  }));
  EXPECT_EQ(all, "01234");
  int pieces = 0;
  EXPECT_TRUE(lab.client->stream({}, [&pieces](std::string_view) { return ++pieces < 1; }));
  EXPECT_EQ(pieces, 1);
  Request missing;
  missing.target = "/missing";
  const auto status = lab.client->stream(missing, [](std::string_view) { return true; });
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("answered 404: no such stream"), std::string::npos)
      << status.error().message;
}

TEST(Client, KnowsLocalhostByItself) {
  const auto server = *Server::listen("localhost", 0, [](const Request& request) {
    return text_response(200, request.headers.get("Host"));
  });
  auto client = *Client::open(fmt::format("http://localhost:{}", server->port()));
  const auto response = client->send({});
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->body, fmt::format("localhost:{}", server->port()));
}

TEST(Client, RefusesWhatIsNotAnOrigin) {
  for (const char* origin : {"", "127.0.0.1:80", "ftp://x", "http://", "http://x:0", "http://x:y",
                             "http://x:65536", "http://x/path", "http://u@x", "http://[::1"}) {
    const auto client = Client::open(origin);
    ASSERT_FALSE(client) << origin;
    EXPECT_EQ(client.error().kind, ErrorKind::Invalid);
    EXPECT_NE(client.error().message.find("scheme://host[:port]"), std::string::npos);
  }
  for (const char* origin : {"http://x", "https://x:1", "http://[::1]:1", "http://x/"}) {
    EXPECT_TRUE(Client::open(origin)) << origin;
  }
}

}  // namespace
}  // namespace coalmine::net
