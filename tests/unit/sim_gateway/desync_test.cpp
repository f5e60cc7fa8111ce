// What an ALB thinks of request heads, and what it does about them in each mode.
#include "sim/gateway/desync.h"

#include "tests/unit/sim_gateway/fixture.h"

namespace coalmine::gateway::test {
namespace {

std::string head(const std::string& fields, const std::string& line = "POST /foo/bar HTTP/1.1") {
  return line + "\r\nHost: x\r\n" + fields + "\r\n";
}

struct Case {
  const char* name;
  std::string head;
  DesyncClass tier;
  const char* reason;
};
class Judged : public testing::TestWithParam<Case> {};

TEST_P(Judged, AsTheGuardianJudges) {
  std::string tidied;
  const DesyncVerdict verdict = judge_head(GetParam().head, tidied);
  EXPECT_STREQ(verdict.reason, GetParam().reason);
  EXPECT_EQ(verdict.tier, GetParam().tier);
  // What is tidied can be read in one way only: judged again, nothing is left to say but what the
  // method makes of a body.
  if (tidied.empty()) return;
  HeadScan scan;
  RequestHead parsed;
  if (parse_request(tidied, scan, parsed).state != Parsed::State::Done) return;
  std::string again;
  const DesyncVerdict second = judge_head(tidied, again);
  EXPECT_TRUE(second.tier <= DesyncClass::Acceptable ||
              std::string_view(second.reason).starts_with("Undefined"))
      << second.reason << " in " << tidied;
  EXPECT_EQ(again, tidied);
}

constexpr auto kCompliant = DesyncClass::Compliant;
constexpr auto kAcceptable = DesyncClass::Acceptable;
constexpr auto kAmbiguous = DesyncClass::Ambiguous;
constexpr auto kSevere = DesyncClass::Severe;
const std::string kNul(1, '\0');

// aws/http-desync-guardian, tests/*.yaml and docs/README.md
INSTANTIATE_TEST_SUITE_P(
    Guardian, Judged,
    testing::Values(
        Case{"Plain", head("Content-Length: 3\r\n"), kCompliant, "Compliant"},
        Case{"Chunked", head("Transfer-Encoding: chunked\r\n"), kCompliant, "Compliant"},
        Case{"EscapedControlInUri", head("", "GET /path-%09-uri HTTP/1.1"), kCompliant,
             "Compliant"},
        // acceptable.yaml
        Case{"NameWithTrailingBlank", head("x-my-header : v\r\n"), kAcceptable,
             "NonCompliantHeader"},
        Case{"NameWithControl", head("\x01x-my-header: v\r\n"), kAcceptable, "NonCompliantHeader"},
        Case{"ValueWithControl", head("x-my-header: v\x01\r\n"), kAcceptable, "NonCompliantHeader"},
        Case{"ValueNotAscii", head("x-my-header: \xc3\xa9\r\n"), kAcceptable, "NonCompliantHeader"},
        Case{"GetZeroLength", head("Content-Length: 0\r\n", "GET / HTTP/1.1"), kAcceptable,
             "GetHeadZeroContentLength"},
        Case{"HeadZeroLength", head("Content-Length: 0\r\n", "HEAD / HTTP/1.1"), kAcceptable,
             "GetHeadZeroContentLength"},
        Case{"Version12", head("", "GET / HTTP/1.2"), kAcceptable, "NonCompliantVersion"},
        Case{"BlankBehindVersion", head("", "GET / HTTP/1.1 "), kAcceptable, "NonCompliantVersion"},
        Case{"SpaceInUri", head("", "GET /a?p=not escaped HTTP/1.1"), kAcceptable, "SpaceInUri"},
        // ambiguous.yaml
        Case{"CodingTrailingBlank", head("Transfer-Encoding : chunked\r\n"), kAmbiguous,
             "SuspiciousHeader"},
        Case{"CodingTrailingTab", head("Transfer-Encoding\t: chunked\r\n"), kAmbiguous,
             "SuspiciousHeader"},
        Case{"CodingControlBefore", head("\x01Transfer-Encoding: chunked\r\n"), kAmbiguous,
             "SuspiciousHeader"},
        Case{"LengthControlsBefore",
             head("\x01\x01"
                  "Content-Length: 1\r\n"),
             kAmbiguous, "SuspiciousHeader"},
        Case{"CodingSpaceInTheMiddle", head("Transfer- Encoding: chunked\r\n"), kAmbiguous,
             "SuspiciousHeader"},
        Case{"CodingUnderscore", head("Transfer_Encoding: chunked\r\n"), kAmbiguous,
             "SuspiciousHeader"},
        Case{"LengthUnderscore", head("Content_Length: 1000\r\n"), kAmbiguous, "SuspiciousHeader"},
        Case{"CodingWithMoreBehind", head("Transfer-Encoding x: chunked\r\n"), kAmbiguous,
             "SuspiciousHeader"},
        Case{"CodingManyHyphens", head("Transfer---Encoding: chunked\r\n"), kAmbiguous,
             "SuspiciousHeader"},
        Case{"CodingLongS",
             head("Tran\xc5\xbf"
                  "fer-Encoding: chunked\r\n"),
             kAmbiguous, "SuspiciousHeader"},
        Case{"CodingDotlessI", head("Transfer-Encod\xc4\xb1ng: chunked\r\n"), kAmbiguous,
             "SuspiciousHeader"},
        Case{"CodingOtherBytesBehind", head("Transfer-Encoding\x88: chunked\r\n"), kAmbiguous,
             "SuspiciousHeader"},
        Case{"CodingBlankAndLength",
             head("Transfer-Encoding : chunked\r\nContent-Length: 1000\r\n"), kAmbiguous,
             "SuspiciousHeader"},
        Case{"LengthTwiceTheSame", head("Content-Length: 1000\r\nContent-Length: 1000\r\n"),
             kAmbiguous, "DuplicateContentLength"},
        Case{"Both", head("Transfer-Encoding: chunked\r\nContent-Length: 100\r\n"), kAmbiguous,
             "BothTeClPresent"},
        Case{"BothOtherCoding", head("Transfer-Encoding: gzip\r\nContent-Length: 100\r\n"),
             kAmbiguous, "BothTeClPresent"},
        Case{"GetWithLength", head("Content-Length: 1000\r\n", "GET / HTTP/1.1"), kAmbiguous,
             "UndefinedContentLengthSemantics"},
        Case{"HeadWithLength", head("Content-Length: 1000\r\n", "HEAD / HTTP/1.1"), kAmbiguous,
             "UndefinedContentLengthSemantics"},
        Case{"GetWithChunks", head("Transfer-Encoding: chunked\r\n", "GET / HTTP/1.1"), kAmbiguous,
             "UndefinedTransferEncodingSemantics"},
        Case{"ChunksIn10", head("Transfer-Encoding: chunked\r\n", "POST / HTTP/1.0"), kAmbiguous,
             "UndefinedTransferEncodingSemantics"},
        Case{"NoName", head(": chunked\r\nContent-Length: 1000\r\n"), kAmbiguous, "EmptyHeader"},
        Case{"OnlyBlankName", head("Content-Length: 1000\r\n", "POST / HTTP/1.1\r\n \t : x"),
             kAmbiguous, "EmptyHeader"},
        Case{"NoColon", head("Some-Header\r\n"), kAmbiguous, "MissingHeaderColon"},
        Case{"Folded", head("A: b\r\n c\r\n"), kAmbiguous, "MultilineHeader"},
        Case{"TabInUri", head("", "GET /a\tHTTP/1.1 HTTP/1.1"), kAmbiguous, "AmbiguousUri"},
        Case{"ControlInUri", head("", "GET /a\x01 HTTP/1.1"), kAmbiguous, "AmbiguousUri"},
        Case{"NoUri", head("", "GET HTTP/1.1"), kAmbiguous, "MissingUri"},
        // severe.yaml, bad-header-characters.yaml, edge-cases.yaml
        Case{"LengthsDiffer", head("Content-Length: 1000\r\nContent-Length: 100\r\n"), kSevere,
             "MultipleContentLength"},
        Case{"LengthsDifferOneHidden", head("Content-Length : 100\r\nContent-Length: 1000\r\n"),
             kSevere, "MultipleContentLength"},
        Case{"LengthList", head("Content-Length: 1000,1000\r\n"), kSevere, "BadContentLength"},
        Case{"LengthBlank", head("Content-Length: 1000 1000\r\n"), kSevere, "BadContentLength"},
        Case{"LengthFraction", head("Content-Length: 1000.1000\r\n"), kSevere, "BadContentLength"},
        Case{"LengthOverflow", head("Content-Length: 18446744073709551616\r\n"), kSevere,
             "BadContentLength"},
        Case{"LengthControl", head("Content-Length: 1000\x11\r\n"), kSevere, "BadContentLength"},
        Case{"Xchunked", head("Transfer-Encoding: xchunked\r\n"), kSevere, "BadTransferEncoding"},
        Case{"ChunkedControl", head("Transfer-Encoding: chunked\x11\r\n"), kSevere,
             "BadTransferEncoding"},
        Case{"ChunkedHighByte",
             head("Transfer-Encoding: \xa0"
                  "chunked\r\n"),
             kSevere, "BadTransferEncoding"},
        Case{"ChunkedTwice", head("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
             kSevere, "MultipleTransferEncodingChunked"},
        Case{"ChunkedTwiceInAList", head("Transfer-Encoding: chunked,chunked\r\n"), kSevere,
             "MultipleTransferEncodingChunked"},
        Case{"ChunkedTwiceOneHidden",
             head("Transfer-Encoding : chunked\r\nTransfer-Encoding: chunked\r\n"), kSevere,
             "MultipleTransferEncodingChunked"},
        Case{"NulInValue", head("A: v" + kNul + "w\r\n"), kSevere, "BadHeader"},
        Case{"NulInName", head("A" + kNul + ": v\r\n"), kSevere, "BadHeader"},
        Case{"CarriageReturnInValue", head("A: v\rContent-Length: 1\r\n"), kSevere, "BadHeader"},
        Case{"NulInUri", head("", "GET /a" + kNul + " HTTP/1.1"), kSevere, "BadUri"},
        Case{"CarriageReturnInUri", head("", "GET /a\rb HTTP/1.1"), kSevere, "BadUri"},
        Case{"TwoVersions", head("", "GET /a HTTP/1.1 HTTP/1.x"), kSevere, "BadVersion"},
        Case{"BadMethod", head("", "bad_method\x01 /a HTTP/1.1"), kSevere, "BadMethod"},
        Case{"SevereIsNotShadowed", head("A: v\x12\r\nContent-Length: 1000\x11\r\n"), kSevere,
             "BadContentLength"},
        Case{"AmbiguousIsNotShadowed",
             head("A: v\x01\r\nTransfer-Encoding: chunked\r\n", "GET / HTTP/1.1"), kAmbiguous,
             "UndefinedTransferEncodingSemantics"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(Desync, ActsByMode) {  // ALB user guide, desync mitigation mode
  using traffic::DesyncMode;
  struct Row {
    DesyncClass tier;
    DesyncAction monitor, defensive, strictest;
  };
  for (const Row& row : {
           Row{kCompliant, DesyncAction::Pass, DesyncAction::Pass, DesyncAction::Pass},
           Row{kAcceptable, DesyncAction::Pass, DesyncAction::Pass, DesyncAction::Refuse},
           Row{kAmbiguous, DesyncAction::Pass, DesyncAction::Isolate, DesyncAction::Refuse},
           Row{kSevere, DesyncAction::Pass, DesyncAction::Refuse, DesyncAction::Refuse},
       }) {
    EXPECT_EQ(desync_action(row.tier, DesyncMode::Monitor), row.monitor);
    EXPECT_EQ(desync_action(row.tier, DesyncMode::Defensive), row.defensive);
    EXPECT_EQ(desync_action(row.tier, DesyncMode::Strictest), row.strictest);
  }
}

// The quick look must not miss what the long one would find in a head that the parser takes.
TEST(Desync, TheQuickLookMissesNothing) {
  for (const std::string& text :
       {head(""), head("Content-Length: 3\r\n"), head("A: \xc3\xa9\r\n"),
        head("Content-Length: 0\r\n", "GET / HTTP/1.1"), head("", "GET / HTTP/1.2"),
        head("Transfer-Encoding: chunked\r\n", "HEAD / HTTP/1.1"), "\r\n" + head("A: \xff\r\n"),
        head("TransferEncoding: chunked\r\n"), head("-Content--Length: 3\r\n")}) {
    HeadScan scan;
    RequestHead parsed;
    ASSERT_EQ(parse_request(text, scan, parsed).state, Parsed::State::Done) << text;
    std::string tidied;
    if (judge_head(text, tidied).tier != kCompliant) {
      EXPECT_TRUE(may_deviate(text, parsed)) << text;
    }
  }
  HeadScan scan;
  RequestHead parsed;
  const std::string plain = head("Content-Length: 3\r\n");
  parse_request(plain, scan, parsed);
  EXPECT_FALSE(may_deviate(plain, parsed));
}

// --- on a listener -------------------------------------------------------------------------------

class AlbModes : public testing::Test {
 protected:
  std::unique_ptr<Gateway> start(const char* mode, bool drop_invalid = false) {
    return start_gateway(
        table_of({{"v1", 1, {upstream_.port()}}}, 1, Json::object(),
                 {{"dialect", "alb"}, {"desync", mode}, {"drop_invalid_headers", drop_invalid}}));
  }
  Upstream upstream_{echo("v1")};
};

const std::string kBoth =
    "POST /both HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
    "3\r\nabc\r\n0\r\n\r\n";
const std::string kSmuggled = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";

TEST_F(AlbModes, DefensiveRoutesTheAmbiguousOnceAndClosesBothSides) {
  const auto gateway = start("defensive");
  for (int i = 1; i <= 3; ++i) {
    Socket socket = Socket::connect_to(port_of(*gateway));
    socket.write(kBoth + kSmuggled);
    const Answer answer = read_answer(socket);
    ASSERT_EQ(answer.status, 200);
    EXPECT_EQ(answer.field("connection"), "close");
    EXPECT_NE(answer.body.find("transfer-encoding: chunked\r\n"), std::string::npos);
    EXPECT_EQ(answer.body.find("ontent-"), std::string::npos) << "one length is left";
    EXPECT_FALSE(socket.read_more()) << "what follows is not looked at";
    EXPECT_EQ(upstream_.connections(), i) << "the target's connection is not used again";
  }
  EXPECT_EQ(gateway->stats().listeners.at(":0").desync[2], 3U);
}

TEST_F(AlbModes, StrictestRefusesWhateverIsNotCompliant) {
  const auto gateway = start("strictest");
  for (const std::string& request :
       {kBoth, std::string("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"),
        std::string("GET / HTTP/1.1\r\nHost: x\r\nA: \xc3\xa9\r\n\r\n"),
        std::string("GET /a b HTTP/1.1\r\nHost: x\r\n\r\n")}) {
    Socket socket = Socket::connect_to(port_of(*gateway));
    socket.write(request + kSmuggled);
    EXPECT_EQ(read_answer(socket).status, 400) << request;
    EXPECT_FALSE(socket.read_more());
  }
  EXPECT_EQ(upstream_.connections(), 0);
  EXPECT_EQ(ask(port_of(*gateway), kGet).status, 200);
}

TEST_F(AlbModes, MonitorPassesWhatCanBeReadInOneWay) {
  const auto gateway = start("monitor");
  Socket socket = Socket::connect_to(port_of(*gateway));
  for (const char* twice : {"Transfer-Encoding: chunked, chunked\r\n",
                            "Content-Length: 9\r\nTransfer-Encoding: chunked\r\n"}) {
    socket.write("POST / HTTP/1.1\r\nHost: x\r\n" + std::string(twice) +
                 "\r\n3\r\nabc\r\n0\r\n\r\n");
    EXPECT_EQ(read_answer(socket).status, 200);
  }
  EXPECT_EQ(upstream_.connections(), 1) << "and nothing is closed";
  // Which of two lengths is meant nobody can say: refused in every mode.
  socket.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd");
  EXPECT_EQ(read_answer(socket).status, 400);
}

TEST_F(AlbModes, SevereRequestsReachNobody) {
  const auto gateway = start("defensive");
  for (const char* fields :
       {"Content-Length: 3\r\nContent-Length: 4\r\n", "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n", "Content-Length: +3\r\n", "A: b\rc\r\n"}) {
    Socket socket = Socket::connect_to(port_of(*gateway));
    socket.write("POST / HTTP/1.1\r\nHost: x\r\n" + std::string(fields) + "\r\nabc");
    EXPECT_EQ(read_answer(socket).status, 400) << fields;
    socket.read_all();
    EXPECT_TRUE(socket.ended);
  }
  EXPECT_EQ(upstream_.connections(), 0);
  EXPECT_EQ(gateway->stats().listeners.at(":0").desync[3], 5U);
}

TEST_F(AlbModes, WhatIsTidiedArrivesTidy) {
  const auto gateway = start("defensive");
  const auto arrived = [&](const std::string& request) {
    const Answer answer = ask(port_of(*gateway), request);
    EXPECT_EQ(answer.status, 200) << request;
    return answer.body;
  };
  EXPECT_TRUE(arrived("GET /a b\tc HTTP/1.2 \r\nHost: x\r\n\r\n")
                  .starts_with("v1\nGET /a%20b%09c HTTP/1.1\r\n"));
  const std::string hidden = arrived(
      "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer_Encoding: chunked\r\n"
      "B\x01: c\r\nNo colon\r\nD: e\r\n f\r\n\r\nabc");
  EXPECT_EQ(hidden.find("ncoding"), std::string::npos) << hidden;
  EXPECT_EQ(hidden.find("B\x01"), std::string::npos);
  EXPECT_EQ(hidden.find("No colon"), std::string::npos);
  EXPECT_NE(hidden.find("D: e f\r\n"), std::string::npos);
  EXPECT_TRUE(hidden.ends_with("\r\n\r\nabc"));
}

TEST_F(AlbModes, AnOldClientWithChunksGetsNoneBack) {
  Upstream chunks([](Socket& socket) {
    read_request(socket);
    socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
  });
  const auto gateway = start_gateway(
      table_of({{"v1", 1, {chunks.port()}}}, 1, Json::object(), {{"dialect", "alb"}}));
  const Answer answer = ask(port_of(*gateway),
                            "POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                            "3\r\nxyz\r\n0\r\n\r\n");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "abc");
}

// ALB user guide: routing.http.drop_invalid_header_fields.enabled
TEST_F(AlbModes, InvalidHeaderFieldsAreDroppedIfAskedFor) {
  const std::string request =
      "GET / HTTP/1.1\r\nHost: x\r\nX_Under: 1\r\nX-Fine: 2\r\nX.Dot: 3\r\n\r\n";
  const auto keeps = start("defensive");
  const std::string kept = ask(port_of(*keeps), request).body;
  EXPECT_NE(kept.find("X_Under: 1\r\n"), std::string::npos);
  const auto drops = start("defensive", true);
  const std::string rest = ask(port_of(*drops), request).body;
  EXPECT_EQ(rest.find("X_Under"), std::string::npos);
  EXPECT_EQ(rest.find("X.Dot"), std::string::npos);
  EXPECT_NE(rest.find("X-Fine: 2\r\n"), std::string::npos);
}

TEST_F(AlbModes, EnvoysListenersStayStrict) {
  const auto gateway = start_gateway(table_of({{"v1", 1, {upstream_.port()}}}));
  EXPECT_EQ(ask(port_of(*gateway), kBoth).status, 400);
}

}  // namespace
}  // namespace coalmine::gateway::test
