// What is told of single requests: access log, stream of results, traceparent.
#include "sim/gateway/observe.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

#include "sim/gateway/admin.h"
#include "tests/unit/sim_gateway/fixture.h"

namespace coalmine::gateway::test {
namespace {

using std::chrono::milliseconds;

/// A folder that goes with the test.
class Folder {
 public:
  Folder() {
    char name[] = "/tmp/coalmine-log-XXXXXX";
    path_ = mkdtemp(name);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

std::vector<Json> lines_of(const std::string& file) {
  std::vector<Json> out;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    const auto json = parse_json(line);
    EXPECT_TRUE(json) << line;
    if (json) out.push_back(*json);
  }
  return out;
}

class Log : public testing::Test {
 protected:
  std::unique_ptr<Gateway> start(traffic::Snapshot table, double percent = 100) {
    GatewayOptions options;
    options.admin_port = std::nullopt;
    options.seed = 1;
    options.drain = milliseconds(100);
    options.access_log = path_;
    options.access_log_percent = percent;
    options.timeouts.head = milliseconds(200);
    auto gateway = Gateway::start(options, std::move(table));
    EXPECT_TRUE(gateway) << gateway.error().message;
    return std::move(*gateway);
  }
  std::vector<Json> lines(std::size_t count) {
    EXPECT_TRUE(eventually([&] { return lines_of(path_).size() >= count; }));
    const auto out = lines_of(path_);
    EXPECT_EQ(out.size(), count);
    return out;
  }
  Folder folder_;
  std::string path_ = folder_.file("access.log");
  Upstream upstream_{echo("v1")};
};

// E: Envoy's default format; its names as the JSON of its documentation has them
TEST_F(Log, HasTheFieldsOfEnvoysDefaultFormat) {
  const auto gateway =
      start(table_of({{"v1", 1, {upstream_.port()}}}, 7,
                     {{"match", {{"prefix", "/a/"}}}, {"rewrite", {{"prefix", "/"}}}}));
  const Answer answer = ask(port_of(*gateway),
                            "POST /a/b?c HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: me \"x\"\r\n"
                            "X-Forwarded-For: 10.0.0.1\r\nContent-Length: 3\r\n\r\nabc");
  const Json line = lines(1)[0];
  EXPECT_EQ(line["method"], "POST");
  EXPECT_EQ(line["path"], "/a/b?c") << "as it came";
  EXPECT_EQ(line["protocol"], "HTTP/1.1");
  EXPECT_EQ(line["response_code"], 200);
  EXPECT_EQ(line["response_flags"], "-");
  EXPECT_EQ(line["bytes_received"], 3);
  EXPECT_EQ(line["bytes_sent"], answer.body.size());
  EXPECT_GE(line["duration"], 0);
  EXPECT_GE(line["upstream_service_time"], 0);
  EXPECT_EQ(line["x_forwarded_for"], "10.0.0.1,127.0.0.1");
  EXPECT_EQ(line["user_agent"], "me \"x\"");
  const std::string id = line["request_id"];
  EXPECT_NE(answer.body.find("x-request-id: " + id + "\r\n"), std::string::npos);
  EXPECT_EQ(line["authority"], "shop.example");
  EXPECT_EQ(line["upstream_host"], fmt::format("127.0.0.1:{}", upstream_.port()));
  EXPECT_EQ(line["listener"], ":0");
  EXPECT_EQ(line["route"], "r");
  EXPECT_EQ(line["target"], "v1");
  EXPECT_EQ(line["attempts"], 1);
  EXPECT_EQ(line["route_table_version"], 7);
  const std::string time = line["start_time"];
  EXPECT_EQ(time.size(), 24U) << time;
}

TEST_F(Log, TellsWhatWentWrong) {
  Upstream cuts([](Socket& socket) {
    read_request(socket);
    socket.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
  });
  Upstream silent([](Socket& socket) { socket.read_all(); });
  const auto gateway = start(table_of({{"v1", 1, {cuts.port()}}}));
  const int port = port_of(*gateway);
  {
    Socket socket = Socket::connect_to(port);
    socket.write(kGet);
    socket.read_all();
    EXPECT_EQ(lines(1)[0]["response_flags"], "UC");
    EXPECT_EQ(lines(1)[0]["response_code"], 0) << "no answer was completed";
    EXPECT_EQ(lines(1)[0]["bytes_sent"], 3);
  }
  ask(port, "GET / HTTP/2.0\r\nHost: x\r\n\r\n");
  Json line = lines(2)[1];
  EXPECT_EQ(line["response_code"], 505);
  EXPECT_EQ(line["response_flags"], "DPE");
  EXPECT_TRUE(line["method"].is_null());
  EXPECT_TRUE(line["upstream_service_time"].is_null());
  ask(port, "GET / HT");  // and no more
  EXPECT_EQ(lines(3)[2]["response_code"], 408);
  ASSERT_TRUE(gateway->update(table_of({{"v1", 1, {1}}}, 2)));
  ASSERT_TRUE(eventually([&] { return gateway->stats().version == 2; }));
  ask(port, kGet);
  line = lines(4)[3];
  EXPECT_EQ(line["response_code"], 503);
  EXPECT_EQ(line["response_flags"], "UF");
  EXPECT_EQ(line["upstream_host"], "127.0.0.1:1");
  EXPECT_EQ(line["bytes_sent"], 91);
  ASSERT_TRUE(
      gateway->update(table_of({{"v1", 1, {silent.port()}}}, 3, {{"match", {{"prefix", "/x"}}}})));
  ASSERT_TRUE(eventually([&] { return gateway->stats().version == 3; }));
  ask(port, kGet);
  line = lines(5)[4];
  EXPECT_EQ(line["response_flags"], "NR");
  EXPECT_TRUE(line["target"].is_null());
  EXPECT_EQ(line["attempts"], 0);
  {
    Socket leaves = Socket::connect_to(port);
    leaves.write("GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
    ASSERT_TRUE(eventually([&] { return silent.connections() == 1; }));
    const linger reset{1, 0};
    setsockopt(leaves.fd(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  }
  EXPECT_EQ(lines(6)[5]["response_flags"], "DC");
  EXPECT_EQ(gateway->stats().local_replies.at("DC"), 1U);
  EXPECT_EQ(gateway->stats().local_replies.at("UC"), 1U);
}

TEST_F(Log, SaysWhenRetriesRanOut) {  // Envoy's flag URX
  Upstream busy([](Socket& socket) {
    while (!read_request(socket).empty()) {
      socket.write("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n");
    }
  });
  const Json retry = {{"retry", {{"on", {"503", "connect-failure"}}, {"max_retries", 1}}}};
  const auto gateway = start(table_of({{"v1", 1, {busy.port()}}}, 1, retry));
  ask(port_of(*gateway), kGet);
  EXPECT_EQ(lines(1)[0]["response_flags"], "URX") << "the answer itself came from the target";
  EXPECT_EQ(lines(1)[0]["attempts"], 2);
  ASSERT_TRUE(gateway->update(table_of({{"v1", 1, {1}}}, 2, retry)));
  ASSERT_TRUE(eventually([&] { return gateway->stats().version == 2; }));
  ask(port_of(*gateway), kGet);
  EXPECT_EQ(lines(2)[1]["response_flags"], "UF,URX");
  EXPECT_EQ(gateway->stats().local_replies.at("UF"), 1U);
  EXPECT_EQ(gateway->stats().targets.at({":0", "r", "v1"}).retries_spent, 2U);
}

TEST_F(Log, AWebSocketIsToldOfWhenItEnds) {
  Upstream web([](Socket& socket) {
    read_request(socket);
    socket.write("HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nhi");
    socket.read_all();
  });
  const auto gateway = start(table_of({{"v1", 1, {web.port()}}}));
  Socket socket = Socket::connect_to(port_of(*gateway));
  socket.write("GET /w HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
  ASSERT_TRUE(socket.read_until("hi"));
  socket.write("four");
  EXPECT_TRUE(lines_of(path_).empty());
  socket.end_writing();
  const Json line = lines(1)[0];
  EXPECT_EQ(line["response_code"], 101);
  EXPECT_EQ(line["bytes_received"], 4);
  EXPECT_EQ(line["bytes_sent"], 2);
  EXPECT_EQ(line["target"], "v1");
}

TEST_F(Log, WhateverAClientSendsALineIsJson) {
  const auto gateway = start(table_of({{"v1", 1, {upstream_.port()}}}));
  Socket socket = Socket::connect_to(port_of(*gateway));
  socket.write("GET /\"\\?\" HTTP/1.1\r\nHost: x\r\nUser-Agent: \xff\xc3\xa9\t\"\r\n\r\n");
  EXPECT_EQ(read_answer(socket).status, 200);
  EXPECT_EQ(lines(1)[0]["path"], "/\"\\?\"");
}

TEST_F(Log, MayHoldASampleOnly) {
  const auto gateway = start(table_of({{"v1", 1, {upstream_.port()}}}), 25);
  Socket socket = Socket::connect_to(port_of(*gateway));
  constexpr int kRequests = 400;
  for (int i = 0; i < kRequests; ++i) {
    socket.write(kGet);
    ASSERT_EQ(read_answer(socket).status, 200);
  }
  ASSERT_TRUE(eventually([&] { return !lines_of(path_).empty(); }));
  gateway->stop();
  const auto count = static_cast<double>(lines_of(path_).size());
  EXPECT_NEAR(count, kRequests * 0.25, 5 * 8.7);
}

TEST_F(Log, IsOpenedAgainUnderItsName) {
  const auto gateway = start(table_of({{"v1", 1, {upstream_.port()}}}));
  ask(port_of(*gateway), kGet);
  lines(1);
  std::filesystem::rename(path_, folder_.file("old"));
  gateway->reopen_log();
  ASSERT_TRUE(eventually([&] { return std::filesystem::exists(path_); }));
  ask(port_of(*gateway), kGet);
  EXPECT_EQ(lines(1).size(), 1U);
  EXPECT_EQ(lines_of(folder_.file("old")).size(), 1U);
}

TEST_F(Log, TheTableMayNameIt) {  // App Mesh: logging.accessLog.file.path
  auto table = std::make_shared<traffic::RouteTable>(*table_of({{"v1", 1, {upstream_.port()}}}));
  table->access_log = path_;
  const auto gateway = start_gateway(table);
  ask(port_of(*gateway), kGet);
  lines(1);
  auto bad = std::make_shared<traffic::RouteTable>(*table);
  bad->access_log = folder_.file("no/such/folder");
  bad->version = 2;
  const Status refused = gateway->update(bad);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("cannot open the access log " + bad->access_log),
            std::string::npos);
  ask(port_of(*gateway), kGet);
  lines(2);
  auto off = std::make_shared<traffic::RouteTable>(*table);
  off->access_log.clear();
  off->version = 3;
  ASSERT_TRUE(gateway->update(off));
  ASSERT_TRUE(eventually([&] { return gateway->stats().version == 3; }));
  ask(port_of(*gateway), kGet);
  gateway->stop();
  lines(2);
}

// --- traceparent ---------------------------------------------------------------------------------

TEST(Traceparent, IsForwardedAndCreatedOnlyIfAskedFor) {  // W3C Trace Context
  Upstream upstream(echo("v1"));
  const std::string mine = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  for (const bool create : {false, true}) {
    GatewayOptions options;
    options.admin_port = std::nullopt;
    options.traceparent = create;
    options.drain = milliseconds(100);
    const auto gateway = *Gateway::start(options, table_of({{"v1", 1, {upstream.port()}}}));
    const int port = port_of(*gateway);
    const std::string kept =
        ask(port, "GET / HTTP/1.1\r\nHost: x\r\nTraceParent: " + mine + "\r\n\r\n").body;
    EXPECT_NE(kept.find("TraceParent: " + mine + "\r\n"), std::string::npos);
    EXPECT_EQ(kept.find("traceparent"), std::string::npos) << "no second one";
    std::set<std::string> created;
    for (int i = 0; i < 20; ++i) {
      const std::string body = ask(port, kGet).body;
      const std::size_t at = body.find("traceparent: ");
      if (at != std::string::npos) created.insert(body.substr(at + 13, 55));
    }
    EXPECT_EQ(created.size(), create ? 20U : 0U);
    for (const std::string& value : created) {
      EXPECT_EQ(value.substr(0, 3), "00-");
      EXPECT_EQ(value.substr(52), "-01");
      EXPECT_EQ(value.find_first_not_of("0123456789abcdef-"), std::string::npos) << value;
      EXPECT_EQ(std::count(value.begin(), value.end(), '-'), 3) << value;
    }
  }
}

// --- the stream of results -----------------------------------------------------------------------

struct Reading {
  Json head;
  std::vector<Json> results;
};
Reading parse(const std::string& text) {
  Reading out;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t end = text.find('\n', at);
    const auto json = parse_json(text.substr(at, end - at));
    EXPECT_TRUE(json) << text.substr(at, end - at);
    if (at == 0) {
      out.head = *json;
    } else {
      out.results.push_back(*json);
    }
    at = end + 1;
  }
  return out;
}

TEST(Requests, EveryResultOnceFromTheFirstReadingOn) {
  Upstream v1(echo("v1"));
  Upstream v2([](Socket& socket) {
    while (!read_request(socket).empty())
      socket.write("HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n");
  });
  const auto gateway = start_gateway(
      table_of({{"v1", 1, {v1.port()}}, {"v2", 1, {v2.port()}}}, 5, {{"selection", "exact"}}), 2);
  ask(port_of(*gateway), kGet);  // before anybody reads: not kept
  Reading reading = parse(gateway->requests(0));
  EXPECT_EQ(reading.head, (Json{{"from", 0}, {"next", 0}, {"lost", 0}}));
  for (int i = 0; i < 10; ++i) ask(port_of(*gateway), kGet);
  reading = parse(gateway->requests(0));
  ASSERT_EQ(reading.results.size(), 10U);
  EXPECT_EQ(reading.head, (Json{{"from", 0}, {"next", 10}, {"lost", 0}}));
  std::map<std::string, int> statuses;
  for (std::size_t i = 0; i < 10; ++i) {
    const Json& r = reading.results[i];
    EXPECT_EQ(r["n"], i);
    EXPECT_EQ(r["listener"], ":0");
    EXPECT_EQ(r["route"], "r");
    EXPECT_EQ(r["status"], r["target"] == "v1" ? 200 : 500);
    EXPECT_EQ(r["attempts"], 1);
    EXPECT_EQ(r["table"], 5);
    EXPECT_GT(r["latency_us"], 0);
    ++statuses[r["target"]];
  }
  EXPECT_EQ(statuses["v1"], 5);
  EXPECT_EQ(parse(gateway->requests(10)).results.size(), 0U);
  EXPECT_EQ(parse(gateway->requests(7)).results.size(), 3U) << "another reader, elsewhere";
  ask(port_of(*gateway), "GET / HTTP/1.1\r\n\r\n");  // no Host
  reading = parse(gateway->requests(10));
  ASSERT_EQ(reading.results.size(), 1U);
  EXPECT_EQ(reading.results[0]["flags"], "DPE");
  EXPECT_EQ(reading.results[0]["target"], "");
  EXPECT_EQ(parse(gateway->requests(1'000'000)).results.size(), 11U)
      << "a number of another gateway's begins anew";
}

TEST(Requests, WhatIsLostIsCounted) {
  const StatsKey key{"l", "r", "t"};
  RequestRing ring;
  EXPECT_TRUE(ring.drain().results.empty());
  RequestResult result;
  result.key = &key;
  for (std::size_t i = 0; i < kRequestRing + 10; ++i) {
    result.latency_us = i;
    ring.push(result);
  }
  RequestRing::Batch batch = ring.drain();
  EXPECT_EQ(batch.lost, 10U);
  ASSERT_EQ(batch.results.size(), kRequestRing);
  EXPECT_EQ(batch.results.front().latency_us, 10U) << "the oldest are";
  RequestStream stream;
  stream.add(std::move(batch));
  Reading reading = parse(stream.read(0));
  EXPECT_EQ(reading.head, (Json{{"from", 0}, {"next", kRequestRing + 10}, {"lost", 10}}));
  EXPECT_EQ(reading.results.front()["n"], 10);
  ring.push(result);
  stream.add(ring.drain());
  reading = parse(stream.read(kRequestRing + 10));
  EXPECT_EQ(reading.head["lost"], 0);
  EXPECT_EQ(reading.results.size(), 1U);
}

TEST(Requests, ASlowReaderGetsThemInPieces) {
  const StatsKey key{"l", "r", "t"};
  RequestStream stream;
  RequestResult result;
  result.key = &key;
  RequestRing::Batch batch;
  batch.results.assign(kRequestsKept + 5, result);
  stream.add(std::move(batch));
  std::uint64_t from = 0;
  std::uint64_t got = 0;
  std::uint64_t lost = 0;
  while (from < kRequestsKept + 5) {
    const Reading reading = parse(stream.read(from));
    ASSERT_LE(reading.results.size(), kRequestsAtOnce);
    got += reading.results.size();
    lost += reading.head["lost"].get<std::uint64_t>();
    from = reading.head["next"].get<std::uint64_t>();
  }
  EXPECT_EQ(got, kRequestsKept);
  EXPECT_EQ(lost, 5U);
}

TEST(Requests, TheAdminPortAnswers) {
  const auto gateway = start_gateway(table_of({{"v1", 1, {1}}}));
  const auto admin = [&](const std::string& target) {
    net::Request request;
    request.target = target;
    return admin_response(*gateway, request);
  };
  EXPECT_EQ(admin("/requests").body, "{\"from\":0,\"next\":0,\"lost\":0}\n");
  ask(port_of(*gateway), kGet);
  EXPECT_NE(admin("/requests?from=0").body.find("\"status\":503"), std::string::npos);
  EXPECT_EQ(admin("/requests?from=x").status, 400);
}

}  // namespace
}  // namespace coalmine::gateway::test
