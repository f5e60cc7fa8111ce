// Every row of the framing table against a real gateway: refused as the table says, wherever the
// bytes are cut, also behind a good request; and nothing of it reaches the upstream.
#include "sim/gateway/chunks.h"
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
  EXPECT_EQ(bad_arrived_, 0) << "nothing of it may reach the upstream";
}

TEST_P(Framing, IsRefusedBehindAGoodRequest) {
  const Row& row = GetParam();
  const std::size_t size = row.request.size();
  const std::size_t stride = size > 200 ? size / 10 : 3;
  for (std::size_t cut = 0; cut < size; cut += stride) {
    Socket socket = Socket::connect_to(port_of(*gateway_));
    ASSERT_TRUE(socket.write(kGet + row.request.substr(0, cut)));
    socket.write(row.request.substr(cut));
    ASSERT_EQ(read_answer(socket).status, 200);
    ASSERT_EQ(read_answer(socket).status, row.status) << "cut at " << cut;
    socket.read_all();
    EXPECT_TRUE(socket.ended);
  }
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
        Row{"LengthTwiceDifferent", "9112 6.3",
            post("Content-Length: 3\r\nContent-Length: 4\r\n", "abc"), 400},
        Row{"LengthHex", "9112 6.3", post("Content-Length: 0x3\r\n", "abc"), 400},
        Row{"ChunkedAndLengthTheOtherWayRound", "9112 6.1",
            post("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", "0\r\n\r\n"), 400},
        Row{"CodingEmpty", "9112 6.1", post("Transfer-Encoding:\r\n", ""), 400},
        Row{"CodingListWithAGap", "9112 6.1", post("Transfer-Encoding: chunked,\r\n", "0\r\n\r\n"),
            400},
        Row{"CodingQuoted", "9112 6.1", post("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"),
            400},
        Row{"CodingWithoutChunked", "9112 6.1", post("Transfer-Encoding: gzip\r\n", ""), 400},
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
        Row{"ObsFoldOfCoding", "9112 5.2", post("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"),
            400},
        Row{"BareCrInTheRequestLine", "9112 2.2", "GET /bad HTTP/1.1\rX\r\nHost: x\r\n\r\n", 400},
        Row{"Delete", "9110 5.5", get("Host: x\r\nA: \x7f\r\n"), 400},
        Row{"TabBeforeColon", "9112 5.1", get("Host: x\r\nA\t: b\r\n"), 400},
        Row{"CodingSpaceBeforeColon", "9112 5.1",
            post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"), 400},
        Row{"HighByteInName", "9112 5.1", get("Host: x\r\nTransfer-Encod\xc4\xb1ng: chunked\r\n"),
            400},
        Row{"EmptyLineTwice", "9112 2.2", "\r\n\r\nGET /bad HTTP/1.1\r\nHost: x\r\n\r\n", 400},
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
        Row{"TabInTheRequestLine", "9112 3", "GET\t/bad HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        Row{"SpaceInTheTarget", "9112 3", "GET /bad x HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        Row{"TrailingSpace", "9112 3", "GET /bad HTTP/1.1 \r\nHost: x\r\n\r\n", 400},
        Row{"LeadingSpace", "9112 3", " GET /bad HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        Row{"OldestVersion", "9112 3", "GET /bad HTTP/0.9\r\nHost: x\r\n\r\n", 505},
        Row{"LongVersion", "9112 3", "GET /bad HTTP/1.10\r\nHost: x\r\n\r\n", 400},
        Row{"HighByteInTheTarget", "9112 3", "GET /bad\xff HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        Row{"TwoSpaces", "9112 3", "GET  /bad HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        Row{"NoVersion", "9112 3", "GET /bad\r\nHost: x\r\n\r\n", 400},
        Row{"LowerVersion", "9112 3", "GET /bad http/1.1\r\nHost: x\r\n\r\n", 400},
        Row{"Version2", "9112 3", "GET /bad HTTP/2.0\r\nHost: x\r\n\r\n", 505},
        Row{"BadMethod", "9112 3", "G(T /bad HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        Row{"Fragment", "Envoy rejects # in a path", "GET /bad#x HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        Row{"AuthorityForm", "9112 3.2.3", "GET bad:80 HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        Row{"Star", "9112 3.2.4", "GET * HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        Row{"Connect", "9112 3.2.3", "CONNECT bad:80 HTTP/1.1\r\nHost: bad\r\n\r\n", 405},
        Row{"ConnectOriginForm", "9112 3.2.3", "CONNECT /bad HTTP/1.1\r\nHost: x\r\n\r\n", 405},
        Row{"OtherScheme", "9112 3.2.2", "GET ftp://x/bad HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        Row{"UserInTheAuthority", "9110 4.2.4", "GET http://u@x/bad HTTP/1.1\r\nHost: x\r\n\r\n",
            400},
        Row{"NoAuthority", "9110 4.2.1", "GET http:///bad HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        Row{"HostEmpty", "9112 3.2", get("Host:\r\n"), 400},
        Row{"HostWithPath", "9112 3.2", get("Host: x/y\r\n"), 400},
        Row{"HostList", "9112 3.2", get("Host: x, y z\r\n"), 400},
        Row{"HostTwiceUnderAbsoluteForm", "9112 3.2",
            "GET http://x/bad HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400},
        Row{"NoHost", "9112 3.2", get("A: b\r\n"), 400},
        Row{"HostTwice", "9112 3.2", get("Host: x\r\nHost: x\r\n"), 400},
        Row{"HostInvalid", "9112 3.2", get("Host: x@y\r\n"), 400},
        Row{"HostPortInvalid", "9112 3.2", get("Host: x:8o\r\n"), 400},
        Row{"ConnectionNamesHost", "9110 7.6.1", get("Host: x\r\nConnection: Host\r\n"), 400},
        Row{"ConnectionNamesLength", "9110 7.6.1",
            post("Content-Length: 0\r\nConnection: content-length\r\n"), 400},
        Row{"ConnectionNamesCoding", "9110 7.6.1",
            post("Transfer-Encoding: chunked\r\nConnection: transfer-encoding\r\n", "0\r\n\r\n"),
            400},
        Row{"ConnectionNamesAnAbsentLength", "9110 7.6.1",
            get("Host: x\r\nConnection: close, Content-Length\r\n"), 400},
        Row{"ConnectionNamesForwardedFor", "9110 7.6.1, a routing header",
            get("Host: x\r\nX-Forwarded-For: 1.2.3.4\r\nConnection: x-forwarded-for\r\n"), 400},
        Row{"OtherExpectation", "9110 10.1.1", get("Host: x\r\nExpect: 200-ok\r\n"), 417},
        Row{"UpgradeNotAllowed", "Envoy, upgrades",
            get("Host: x\r\nConnection: upgrade\r\nUpgrade: tls/1.0\r\n"), 403},
        Row{"UpgradeToAList", "Envoy, upgrades",
            get("Host: x\r\nConnection: upgrade\r\nUpgrade: websocket, tls/1.0\r\n"), 403},
        Row{"UpgradeWithABody", "9110 7.8: when the request is complete",
            post("Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n", "abc"), 400},
        Row{"UriTooLong", "limit",
            "GET /bad" + std::string(9000, 'a') + " HTTP/1.1\r\nHost: x\r\n\r\n", 414},
        Row{"FieldTooLarge", "limit", get("Host: x\r\nA: " + std::string(17000, 'a') + "\r\n"),
            431}),
    [](const auto& info) { return std::string(info.param.name); });

// --- chunked bodies ----------------------------------------------------------------------------

struct ChunkRow {
  const char* name;
  std::string body;
};
class FramingOfChunks : public testing::TestWithParam<ChunkRow> {};

// The head of a bad chunk may have been routed before the chunk came: the upstream may see the
// beginning of a request then, but never its end; and nothing at all if it came in one piece.
TEST_P(FramingOfChunks, AreRefusedAndNeverEndTheUpstreamsRequest) {
  std::atomic<int> whole{0};
  Upstream upstream([&](Socket& socket) {
    const std::string all = socket.read_all();
    if (all.find("\r\n\r\n0\r\n") != std::string::npos || all.ends_with("\r\n0\r\n\r\n")) ++whole;
  });
  const auto gateway = start_gateway(table_of({{"v1", 1, {upstream.port()}}}));
  const std::string head = post("Transfer-Encoding: chunked\r\n");
  const std::string request = head + GetParam().body;
  EXPECT_EQ(ask(port_of(*gateway), request).status, 400);
  EXPECT_EQ(upstream.connections(), 0) << "what came in one piece is refused whole";
  const std::size_t stride = request.size() > 500 ? request.size() / 50 : 1;
  for (std::size_t cut = 1; cut < request.size(); cut += stride) {
    Socket socket = Socket::connect_to(port_of(*gateway));
    socket.write(request.substr(0, cut));
    socket.write(request.substr(cut));
    ASSERT_EQ(read_answer(socket).status, 400) << "cut at " << cut;
    socket.read_all();
    EXPECT_TRUE(socket.ended);
  }
  EXPECT_EQ(gateway->stats().targets.begin()->second.codes[2], 0U);
  gateway->stop();
  EXPECT_EQ(whole, 0);
}

std::string many(std::size_t count, const std::string& what) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += what;
  return out;
}

// RFC 9112 7.1; the caps are ours
INSTANTIATE_TEST_SUITE_P(
    Table, FramingOfChunks,
    testing::Values(
        ChunkRow{"SizeEmpty", "\r\nabc\r\n0\r\n\r\n"},
        ChunkRow{"SizeNotHex", "x\r\nabc\r\n0\r\n\r\n"},
        ChunkRow{"SizeNegative", "-1\r\na\r\n0\r\n\r\n"},
        ChunkRow{"SizePositive", "+1\r\na\r\n0\r\n\r\n"},
        ChunkRow{"SizePrefixed", "0x1\r\na\r\n0\r\n\r\n"},
        ChunkRow{"SizeSpaceBefore", " 1\r\na\r\n0\r\n\r\n"},
        ChunkRow{"SizeSpaceBehind", "1 \r\na\r\n0\r\n\r\n"},
        ChunkRow{"SizeOf17Digits", "00000000000000001\r\na\r\n0\r\n\r\n"},
        ChunkRow{"SizeOverflows", "10000000000000001\r\na\r\n0\r\n\r\n"},
        ChunkRow{"SizeTooLarge", "ffffffffffffffff\r\na\r\n0\r\n\r\n"},
        ChunkRow{"SizeEndsInLf", "1\na\r\n0\r\n\r\n"},
        ChunkRow{"SizeEndsInCr", "1\rxa\r\n0\r\n\r\n"},
        ChunkRow{"DataLongerThanItsSize", "1\r\nab\r\n0\r\n\r\n"},
        ChunkRow{"DataShorterThanItsSize", "3\r\na\r\n0\r\n\r\n"},
        ChunkRow{"DataEndsInLf", "1\r\na\n0\r\n\r\n"},
        ChunkRow{"ExtensionWithControlByte", "1;a=\x01\r\na\r\n0\r\n\r\n"},
        ChunkRow{"ExtensionWithBareLf", "1;a\na\r\n0\r\n\r\n"},
        ChunkRow{"ExtensionLineTooLong", "1;" + std::string(300, 'a') + "\r\na\r\n0\r\n\r\n"},
        ChunkRow{"ExtensionsOfAMessageTooLong",
                 many(90, "1;" + std::string(200, 'a') + "\r\na\r\n") + "0\r\n\r\n"},
        ChunkRow{"TrailerWithoutColon", "0\r\nbad\r\n\r\n"},
        ChunkRow{"TrailerWithoutName", "0\r\n: x\r\n\r\n"},
        ChunkRow{"TrailerSpaceBeforeColon", "0\r\na : x\r\n\r\n"},
        ChunkRow{"TrailerFolded", "0\r\na: x\r\n y\r\n\r\n"},
        ChunkRow{"TrailerEndsInLf", "0\r\na: x\n\r\n"},
        ChunkRow{"TrailerLooksLikeFraming", "0\r\nContent_Length: 3\r\n\r\n"},
        ChunkRow{"TrailerFieldTooLarge", "0\r\na: " + std::string(17000, 'b') + "\r\n\r\n"},
        ChunkRow{"TrailersTooMany", "0\r\n" + many(101, "a: b\r\n") + "\r\n"}),
    [](const auto& info) { return std::string(info.param.name); });

// --- what is accepted, and how it arrives --------------------------------------------------------

struct GoodRow {
  const char* name;
  std::string request;
  std::string line;                   ///< first line at the upstream
  std::string body;                   ///< as the upstream decodes it
  std::vector<std::string> contains;  ///< of what the upstream got
  std::vector<std::string> lacks;
};
class GoodFraming : public testing::TestWithParam<GoodRow> {};

TEST_P(GoodFraming, ArrivesTheSameWhereverItIsCut) {
  const GoodRow& row = GetParam();
  Upstream upstream(echo("v1"));
  const auto gateway = start_gateway(table_of({{"v1", 1, {upstream.port()}}}));
  const bool to_head = row.request.find("HEAD ") != std::string::npos;
  for (std::size_t cut = 1; cut <= row.request.size(); ++cut) {
    Socket socket = Socket::connect_to(port_of(*gateway));
    ASSERT_TRUE(socket.write(row.request.substr(0, cut)));
    ASSERT_TRUE(socket.write(row.request.substr(cut)));
    const Answer answer = read_answer(socket, to_head);
    ASSERT_EQ(answer.status, 200) << "cut at " << cut << answer.head;
    if (to_head) continue;  // the echo is the body
    ASSERT_TRUE(answer.body.starts_with("v1\n" + row.line + "\r\n")) << answer.body;
    const std::size_t head_end = answer.body.find("\r\n\r\n") + 4;
    std::string body = answer.body.substr(head_end);
    if (answer.body.find("transfer-encoding: chunked\r\n") < head_end) {
      ChunkDecoder decoder;
      body.resize(decoder.decode(body.data(), body.size()).payload);
      EXPECT_TRUE(decoder.done());
    }
    EXPECT_EQ(body, row.body);
    for (const std::string& part : row.contains) {
      EXPECT_NE(answer.body.find(part), std::string::npos) << part << " in " << answer.body;
    }
    for (const std::string& part : row.lacks) {
      EXPECT_EQ(answer.body.find(part), std::string::npos) << part << " in " << answer.body;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Table, GoodFraming,
    testing::Values(
        GoodRow{"EmptyLineBefore",  // RFC 9112 2.2
                "\r\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n",
                "GET /a HTTP/1.1",
                "",
                {"host: x\r\n"},
                {}},
        GoodRow{"AbsoluteForm",  // RFC 9112 3.2.2
                "GET http://a.example/p?q HTTP/1.1\r\nHost: b\r\n\r\n",
                "GET /p?q HTTP/1.1",
                "",
                {"host: a.example\r\n"},
                {"host: b"}},
        GoodRow{"OldClient",
                "GET /a HTTP/1.0\r\nHost: x\r\n\r\n",
                "GET /a HTTP/1.1",
                "",
                {"host: x\r\n"},
                {}},
        GoodRow{"LaterMinorVersion",
                "GET /a HTTP/1.2\r\nHost: x\r\n\r\n",
                "GET /a HTTP/1.1",
                "",
                {},
                {}},
        GoodRow{"BodyOfGet",  // RFC 9110 9.3.1: framed and forwarded
                "GET /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
                "GET /a HTTP/1.1",
                "abc",
                {"content-length: 3\r\n"},
                {}},
        GoodRow{
            "ChunksOfGet",
            "GET /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            "GET /a HTTP/1.1",
            "abc",
            {},
            {"content-length"}},
        GoodRow{"BodyOfHead",
                "HEAD /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
                "",
                "",
                {},
                {}},
        GoodRow{"ChunkExtensionsAreDropped",  // RFC 9112 7.1.1
                post("Transfer-Encoding: chunked\r\n", "3;a=\"b\"\r\nabc\r\n0;c\r\n\r\n"),
                "POST /bad HTTP/1.1",
                "abc",
                {},
                {";a", ";c"}},
        GoodRow{"TrailersPassUnlessTheyFrameRouteOrAuthorise",  // RFC 9110 6.5.1
                post("Transfer-Encoding: CHUNKED\r\n",
                     "1\r\na\r\n0\r\nX-Sum: 1\r\nContent-Length: 9\r\nHost: y\r\n"
                     "Authorization: z\r\nConnection: close\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n"),
                "POST /bad HTTP/1.1",
                "a",
                {"0\r\nX-Sum: 1\r\n\r\n"},
                {"Content-Length", "Host: y", "Authorization", "Connection", "6.6.6.6"}},
        GoodRow{"HighBytesInAValue",  // RFC 9110 5.5: obs-text
                get("Host: x\r\nA: \xc3\xa9\r\n"),
                "GET /bad HTTP/1.1",
                "",
                {"A: \xc3\xa9\r\n"},
                {}},
        GoodRow{"LengthWithZeros",
                post("Content-Length: 003\r\n", "abc"),
                "POST /bad HTTP/1.1",
                "abc",
                {"content-length: 3\r\n"},
                {}},
        GoodRow{"HopByHopFieldsStay",  // RFC 9110 7.6.1
                get("Host: x\r\nConnection: X-A, keep-alive\r\nX-A: 1\r\nTE: gzip\r\n"
                    "Keep-Alive: 1\r\nProxy-Connection: x\r\nUpgrade: h2c\r\nX-B: 2\r\n"),
                "GET /bad HTTP/1.1",
                "",
                {"X-B: 2\r\n"},
                {"X-A", "TE:", "Keep-Alive", "Proxy-Connection", "Upgrade", "onnection"}}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(GoodRequests, AnHttp10ClientNeedsNoHost) {
  Upstream upstream(echo("v1"));
  const auto gateway = start_gateway(table_of({{"v1", 1, {upstream.port()}}}));
  Socket socket = Socket::connect_to(port_of(*gateway));
  socket.write("GET / HTTP/1.0\r\n\r\n");
  const Answer answer = read_answer(socket);
  EXPECT_EQ(answer.status, 200);
  EXPECT_NE(answer.body.find(fmt::format("host: 127.0.0.1:{}\r\n", port_of(*gateway))),
            std::string::npos)
      << "the default is where it was sent to";
  EXPECT_FALSE(socket.read_more()) << "and is not kept";
}

// --- responses ---------------------------------------------------------------------------------

struct ResponseRow {
  const char* name;
  std::string response;
};
class BadResponse : public testing::TestWithParam<ResponseRow> {};

TEST_P(BadResponse, Is502AndTheUpstreamIsClosed) {
  const std::string& text = GetParam().response;
  std::atomic<std::size_t> cut{0};
  std::atomic<int> closed{0};
  Upstream upstream([&](Socket& socket) {
    if (read_request(socket).empty()) return;
    socket.write(text.substr(0, cut));
    socket.write(text.substr(cut));
    socket.read_all();
    closed += socket.ended ? 1 : 0;
  });
  const auto gateway = start_gateway(table_of({{"v1", 1, {upstream.port()}}}));
  int asked = 0;
  Socket socket = Socket::connect_to(port_of(*gateway));
  for (std::size_t at = 0; at<text.size(); at += text.size()> 200 ? text.size() / 20 : 1) {
    cut = at;
    socket.write(kGet);
    ASSERT_EQ(read_answer(socket).status, 502) << "cut at " << at;
    ++asked;
  }
  EXPECT_EQ(upstream.connections(), asked) << "none is used twice";
  EXPECT_TRUE(eventually([&] { return closed == asked; }));
}

// RFC 9112 6.1, 6.3, 2.2, 5
INSTANTIATE_TEST_SUITE_P(
    Table, BadResponse,
    testing::Values(
        ResponseRow{"LengthAndChunked",
                    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"},
        ResponseRow{"ChunkedOn204", "HTTP/1.1 204 OK\r\nTransfer-Encoding: chunked\r\n\r\n"},
        ResponseRow{"ChunkedOn103", "HTTP/1.1 103 Hints\r\nTransfer-Encoding: chunked\r\n\r\n"},
        ResponseRow{"ChunkedIn10", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"},
        ResponseRow{"LengthTwice",
                    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na"},
        ResponseRow{"LengthNegative", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"},
        ResponseRow{"ObsFold", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n"},
        ResponseRow{"BareLf", "HTTP/1.1 200 OK\nContent-Length: 0\n\n"},
        ResponseRow{"ControlByte", "HTTP/1.1 200 OK\r\nA: \x01\r\nContent-Length: 0\r\n\r\n"},
        ResponseRow{"SpaceBeforeColon", "HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n"},
        ResponseRow{"NotHttp", "SSH-2.0-OpenSSH_9\r\n\r\n"},
        ResponseRow{"Status99", "HTTP/1.1 099 No\r\nContent-Length: 0\r\n\r\n"},
        ResponseRow{"StatusOfTwoDigits", "HTTP/1.1 20 No\r\nContent-Length: 0\r\n\r\n"},
        ResponseRow{"SwitchedUnasked", "HTTP/1.1 101 Switching\r\n\r\n"},
        ResponseRow{"HeadTooLarge",
                    "HTTP/1.1 200 OK\r\nA: " + std::string(17000, 'a') + "\r\n\r\n"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(Responses, A100IsDroppedAndA103ReachesOnlyHttp11) {  // RFC 9110 15.2
  Upstream upstream([](Socket& socket) {
    while (!read_request(socket).empty()) {
      socket.write("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nA: b\r\n\r\n" + ok("x"));
    }
  });
  const auto gateway = start_gateway(table_of({{"v1", 1, {upstream.port()}}}));
  Socket socket = Socket::connect_to(port_of(*gateway));
  socket.write(kGet);
  EXPECT_EQ(read_answer(socket).status, 103);
  EXPECT_EQ(read_answer(socket).status, 200);
  EXPECT_EQ(ask(port_of(*gateway), "GET / HTTP/1.0\r\n\r\n").status, 200);
}

TEST(Responses, AnAnswerBeforeTheBodyEndedIsGivenAndThenTheConnectionEnds) {  // RFC 9112 9.6
  Upstream upstream([](Socket& socket) {
    socket.read_until("\r\n\r\n");
    socket.write(ok("enough"));
    socket.read_all();
  });
  const auto gateway = start_gateway(table_of({{"v1", 1, {upstream.port()}}}));
  Socket socket = Socket::connect_to(port_of(*gateway));
  socket.write("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nsome");
  const Answer answer = read_answer(socket);
  EXPECT_EQ(answer.body, "enough");
  EXPECT_EQ(answer.field("connection"), "close");
  EXPECT_FALSE(socket.read_more());
  EXPECT_FALSE(socket.reset) << "the rest was read, or the answer might have been lost";
}

TEST(Responses, WhatFollowsAnAnswerUnaskedIsNotTakenForTheNext) {  // RFC 9112 9.2
  Upstream upstream([](Socket& socket) {
    for (std::string r = read_request(socket); !r.empty(); r = read_request(socket)) {
      socket.write(ok("mine") + ok("smuggled"));
    }
  });
  const auto gateway = start_gateway(table_of({{"v1", 1, {upstream.port()}}}));
  Socket socket = Socket::connect_to(port_of(*gateway));
  for (int i = 0; i < 5; ++i) {
    socket.write(kGet);
    ASSERT_EQ(read_answer(socket).body, "mine");
  }
  EXPECT_EQ(upstream.connections(), 5) << "a connection with stray bytes is not used again";
}

TEST(Responses, BytesOnAnIdleUpstreamConnectionDiscardIt) {  // RFC 9112 9.2
  std::atomic<int> speak{0};
  Upstream upstream([&](Socket& socket) {
    for (std::string r = read_request(socket); !r.empty(); r = read_request(socket)) {
      socket.write(ok("mine"));
      eventually([&] { return speak > 0; });
      socket.write(ok("smuggled"));
    }
  });
  const auto gateway = start_gateway(table_of({{"v1", 1, {upstream.port()}}}));
  Socket socket = Socket::connect_to(port_of(*gateway));
  socket.write(kGet);
  ASSERT_EQ(read_answer(socket).body, "mine");
  EXPECT_EQ(gateway->stats().upstream_connections_active, 1U);
  speak = 1;
  EXPECT_TRUE(eventually([&] { return gateway->stats().upstream_connections_active == 0; }));
  socket.write(kGet);
  EXPECT_EQ(read_answer(socket).body, "mine");
  EXPECT_EQ(upstream.connections(), 2);
}

}  // namespace
}  // namespace coalmine::gateway::test
