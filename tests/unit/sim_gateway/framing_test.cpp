// Every row of the framing table against a real gateway: refused as the table says, wherever the
// bytes are cut, also behind a good request; and nothing of it reaches the upstream.
#include "tests/unit/sim_gateway/fixture.h"

namespace coalmine::gateway::test {
namespace {

struct Row {
  const char* name;
  const char* source;
  std::string request;
  int status;
};

std::string get(const std::string& fields) {
  return "GET /bad HTTP/1.1\r\n" + fields + "\r\n";
}
std::string post(const std::string& fields, const std::string& body = "") {
  return "POST /bad HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n" + body;
}

class Framing : public testing::TestWithParam<Row> {
 protected:
  static void SetUpTestSuite() {
    upstream_ = std::make_unique<Upstream>([](Socket& socket) {
      for (std::string r = read_request(socket); !r.empty(); r = read_request(socket)) {
        if (r.find("/bad") != std::string::npos) ++bad_arrived_;
        if (!socket.write(ok("fine"))) return;
      }
    });
    gateway_ = start_gateway(table_of({{"v1", 1, {upstream_->port()}}}));
  }
  static void TearDownTestSuite() {
    gateway_.reset();
    upstream_.reset();
  }
  static inline std::unique_ptr<Upstream> upstream_;
  static inline std::unique_ptr<Gateway> gateway_;
  static inline std::atomic<int> bad_arrived_{0};
};

TEST_P(Framing, IsRefusedWhereverItIsCut) {
  const Row& row = GetParam();
  const int port = port_of(*gateway_);
  const std::size_t size = row.request.size();
  const std::size_t stride = size > 200 ? size / 50 : 1;
  for (std::size_t cut = 0; cut < size; cut += stride) {
    Socket socket = Socket::connect_to(port);
    ASSERT_TRUE(socket.write(row.request.substr(0, cut)));
    socket.write(row.request.substr(cut));  // may fail: already refused
    const std::string answer = socket.read_all();
    ASSERT_TRUE(answer.starts_with(fmt::format("HTTP/1.1 {} ", row.status)))
        << row.source << ", cut at " << cut << ": " << answer;
    EXPECT_NE(answer.find("connection: close\r\n"), std::string::npos);
    EXPECT_NE(answer.find("x-coalmine-reason: "), std::string::npos);
  }
}

TEST_P(Framing, IsRefusedBehindAGoodRequest) {
  Socket socket = Socket::connect_to(port_of(*gateway_));
  ASSERT_TRUE(socket.write(kGet + GetParam().request));
  EXPECT_EQ(read_answer(socket).status, 200);
  EXPECT_EQ(read_answer(socket).status, GetParam().status);
  socket.read_all();
  EXPECT_TRUE(socket.ended);
  EXPECT_EQ(bad_arrived_, 0) << "nothing of it may reach the upstream";
}

const std::string kNul("A: b\0c\r\n", 8);

INSTANTIATE_TEST_SUITE_P(
    Table, Framing,
    testing::Values(
        Row{"LengthAndChunked", "9112 6.1",
            post("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400},
        Row{"LengthTwice", "9112 6.3", post("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"),
            400},
        Row{"LengthList", "9112 6.3", post("Content-Length: 3, 3\r\n", "abc"), 400},
        Row{"LengthSigned", "9112 6.3", post("Content-Length: +3\r\n", "abc"), 400},
        Row{"LengthNegative", "9112 6.3", post("Content-Length: -3\r\n", "abc"), 400},
        Row{"LengthSpace", "9112 6.3", post("Content-Length: 1 3\r\n", "abc"), 400},
        Row{"LengthEmpty", "9112 6.3", post("Content-Length:\r\n", ""), 400},
        Row{"LengthTooLarge", "9112 6.3", post("Content-Length: 9223372036854775808\r\n", ""), 400},
        Row{"ChunkedNotLast", "9112 6.1", post("Transfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n"),
            400},
        Row{"ChunkedTwice", "9112 6.1",
            post("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"), 400},
        Row{"ChunkedTwiceInTwoLines", "9112 6.1",
            post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400},
        Row{"XChunked", "http-desync-guardian",
            post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), 400},
        Row{"ChunkedVerticalTab", "http-desync-guardian",
            post("Transfer-Encoding: \x0b"
                 "chunked\r\n",
                 "0\r\n\r\n"),
            400},
        Row{"OtherCodingFirst", "9112 6.1",
            post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), 501},
        Row{"ChunkedIn10", "9112 6.1",
            "POST /bad HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
        Row{"ObsFold", "9112 5.2", get("Host: x\r\nA: b\r\n c\r\n"), 400},
        Row{"BareCr", "9112 2.2", get("Host: x\r\nA: b\rc\r\n"), 400},
        Row{"BareLf", "9112 2.2", "GET /bad HTTP/1.1\nHost: x\n\n", 400},
        Row{"BareLfInHead", "9112 2.2", "GET /bad HTTP/1.1\r\nHost: x\nA: b\r\n\r\n", 400},
        Row{"Nul", "9110 5.5", get("Host: x\r\n" + kNul), 400},
        Row{"Control", "9110 5.5", get("Host: x\r\nA: \x01\r\n"), 400},
        Row{"SpaceBeforeColon", "9112 5.1", get("Host: x\r\nA : b\r\n"), 400},
        Row{"SpaceBeforeFirst", "9112 2.2", get(" Host: x\r\n"), 400},
        Row{"EmptyName", "9112 5.1", get("Host: x\r\n: b\r\n"), 400},
        Row{"NoColon", "9112 5.1", get("Host: x\r\nAb\r\n"), 400},
        Row{"NonTokenName", "9112 5.1", get("Host: x\r\nA\"b: c\r\n"), 400},
        Row{"LookAlikeCoding", "http-desync-guardian", post("Transfer_Encoding: chunked\r\n", ""),
            400},
        Row{"LookAlikeLength", "http-desync-guardian", post("Content_Length: 3\r\n", ""), 400},
        Row{"TwoSpaces", "9112 3", "GET  /bad HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        Row{"NoVersion", "9112 3", "GET /bad\r\nHost: x\r\n\r\n", 400},
        Row{"LowerVersion", "9112 3", "GET /bad http/1.1\r\nHost: x\r\n\r\n", 400},
        Row{"Version2", "9112 3", "GET /bad HTTP/2.0\r\nHost: x\r\n\r\n", 505},
        Row{"BadMethod", "9112 3", "G(T /bad HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        Row{"Fragment", "Envoy rejects # in a path", "GET /bad#x HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        Row{"AuthorityForm", "9112 3.2.3", "GET bad:80 HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        Row{"Star", "9112 3.2.4", "GET * HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        Row{"Connect", "9112 3.2.3", "CONNECT bad:80 HTTP/1.1\r\nHost: bad\r\n\r\n", 405},
        Row{"NoHost", "9112 3.2", get("A: b\r\n"), 400},
        Row{"HostTwice", "9112 3.2", get("Host: x\r\nHost: x\r\n"), 400},
        Row{"HostInvalid", "9112 3.2", get("Host: x@y\r\n"), 400},
        Row{"HostPortInvalid", "9112 3.2", get("Host: x:8o\r\n"), 400},
        Row{"ConnectionNamesHost", "9110 7.6.1", get("Host: x\r\nConnection: Host\r\n"), 400},
        Row{"ConnectionNamesLength", "9110 7.6.1",
            post("Content-Length: 0\r\nConnection: content-length\r\n"), 400},
        Row{"OtherExpectation", "9110 10.1.1", get("Host: x\r\nExpect: 200-ok\r\n"), 417},
        Row{"UpgradeNotAllowed", "Envoy, upgrades",
            get("Host: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"), 403},
        Row{"UriTooLong", "limit",
            "GET /bad" + std::string(9000, 'a') + " HTTP/1.1\r\nHost: x\r\n\r\n", 414},
        Row{"FieldTooLarge", "limit", get("Host: x\r\nA: " + std::string(17000, 'a') + "\r\n"),
            431}),
    [](const auto& info) { return std::string(info.param.name); });

// A bad chunk shows only after the head was routed; the upstream sees an unfinished request.
TEST(FramingOfChunks, ABadChunkIsRefused) {
  Upstream upstream(echo("v1"));
  const auto gateway = start_gateway(table_of({{"v1", 1, {upstream.port()}}}));
  for (const char* body :
       {"x\r\n", "1\r\nab\r\n", "0x1\r\na\r\n", "1\na\r\n", "0\r\nbad\r\n\r\n"}) {
    const Answer answer = ask(port_of(*gateway), post("Transfer-Encoding: chunked\r\n", body));
    EXPECT_EQ(answer.status, 400) << body;
  }
}

}  // namespace
}  // namespace coalmine::gateway::test
