#include "sim/gateway/http1.h"

#include <gtest/gtest.h>

namespace coalmine::gateway {
namespace {

TEST(ParseRequest, FindsThePartsOfAHead) {
  const std::string text =
      "POST /a/b?x=1 HTTP/1.1\r\nHost: example.com\r\nContent-Length: 3\r\n"
      "Connection: close, X-Drop\r\nX-Drop: 1\r\nX: \t y \r\n\r\nabc";
  HeadScan scan;
  RequestHead head;
  const Parsed p = parse_request(text, scan, head);
  ASSERT_EQ(p.state, Parsed::State::Done) << p.why;
  EXPECT_EQ(p.length, text.size() - 3);
  EXPECT_EQ(head.method, "POST");
  EXPECT_EQ(head.path, "/a/b");
  EXPECT_EQ(head.query, "x=1");
  EXPECT_EQ(head.host, "example.com");
  EXPECT_EQ(head.framing.length, 3U);
  EXPECT_FALSE(head.keep_alive);
  EXPECT_EQ(head.fields[3].kind, Field::HopByHop) << "named by Connection";
  EXPECT_EQ(head.fields[4].value, "y");
}

TEST(ParseRequest, EveryPrefixOfAGoodHeadIsIncomplete) {
  const std::string text = "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\n";
  HeadScan kept;
  RequestHead head;
  for (std::size_t n = 0; n < text.size(); ++n) {
    EXPECT_EQ(parse_request(text.substr(0, n), kept, head).state, Parsed::State::Incomplete) << n;
  }
  EXPECT_EQ(parse_request(text, kept, head).state, Parsed::State::Done);
}

TEST(ParseRequest, AbsoluteFormReplacesTheHost) {  // RFC 9112 3.2.2
  HeadScan scan;
  RequestHead head;
  const std::string text = "GET http://a.example:80?q HTTP/1.1\r\nHost: b\r\n\r\n";
  ASSERT_EQ(parse_request(text, scan, head).state, Parsed::State::Done);
  EXPECT_EQ(head.host, "a.example:80");
  EXPECT_EQ(head.path, "/");
  EXPECT_EQ(head.query, "q");
}

TEST(ParseRequest, LimitsHoldAtTheEdgeAndOnePast) {
  const auto status = [](const std::string& text) {
    HeadScan scan;
    RequestHead head;
    const Parsed p = parse_request(text, scan, head);
    return p.state == Parsed::State::Done ? 200 : p.state == Parsed::State::Bad ? p.status : 0;
  };
  const auto uri = [](std::size_t n) {
    return "GET /" + std::string(n - 1, 'a') + " HTTP/1.1\r\nHost: x\r\n\r\n";
  };
  EXPECT_EQ(status(uri(kMaxUriBytes)), 200);
  EXPECT_EQ(status(uri(kMaxUriBytes + 1)), 414);
  EXPECT_EQ(status("GET /" + std::string(2 * kMaxUriBytes, 'a')), 414)
      << "without waiting for more";
  const auto field = [](std::size_t n) {
    return "GET / HTTP/1.1\r\nHost: x\r\nA: " + std::string(n - 5, 'a') + "\r\n\r\n";
  };
  EXPECT_EQ(status(field(kMaxFieldBytes)), 200);
  EXPECT_EQ(status(field(kMaxFieldBytes + 1)), 431);
  const auto fields = [](std::size_t n) {
    std::string out = "GET / HTTP/1.1\r\nHost: x\r\n";
    for (std::size_t i = 1; i < n; ++i) out += "A: b\r\n";
    return out + "\r\n";
  };
  EXPECT_EQ(status(fields(kMaxFields)), 200);
  EXPECT_EQ(status(fields(kMaxFields + 1)), 431);
  std::string big = "GET / HTTP/1.1\r\nHost: x\r\n";
  while (big.size() <= kMaxHeadBytes) big += "A: " + std::string(8000, 'a') + "\r\n";
  EXPECT_EQ(status(big), 431);
}

struct ResponseCase {
  const char* name;
  const char* text;
  bool to_head;
  int status;  ///< 502: refused
  BodyKind body;
};
class ParseResponse : public testing::TestWithParam<ResponseCase> {};
TEST_P(ParseResponse, FramesOrRefuses) {
  HeadScan scan;
  ResponseHead head;
  const Parsed p = parse_response(GetParam().text, scan, GetParam().to_head, head);
  if (GetParam().status == 502) {
    EXPECT_EQ(p.state, Parsed::State::Bad);
    return;
  }
  ASSERT_EQ(p.state, Parsed::State::Done) << p.why;
  EXPECT_EQ(head.status, GetParam().status);
  EXPECT_EQ(head.framing.kind, GetParam().body);
}
// RFC 9112 6.1 and 6.3
INSTANTIATE_TEST_SUITE_P(
    Table, ParseResponse,
    testing::Values(
        ResponseCase{"Length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", false, 200,
                     BodyKind::Length},
        ResponseCase{"NoReason", "HTTP/1.1 200\r\nContent-Length: 5\r\n\r\n", false, 200,
                     BodyKind::Length},
        ResponseCase{"Chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false, 200,
                     BodyKind::Chunked},
        ResponseCase{"UntilClose", "HTTP/1.1 200 OK\r\n\r\n", false, 200, BodyKind::UntilClose},
        ResponseCase{"Head", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true, 200,
                     BodyKind::None},
        ResponseCase{"NoContent", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", false,
                     204, BodyKind::None},
        ResponseCase{"NotModified", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", false,
                     304, BodyKind::None},
        ResponseCase{"Both",
                     "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
                     false, 502, BodyKind::None},
        ResponseCase{"ChunkedOn204", "HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n", false,
                     502, BodyKind::None},
        ResponseCase{"ChunkedIn10", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false,
                     502, BodyKind::None},
        ResponseCase{"Garbage", "SSH-2.0-OpenSSH\r\n\r\n", false, 502, BodyKind::None},
        ResponseCase{"BareLineFeed", "HTTP/1.1 200 OK\n\n", false, 502, BodyKind::None},
        ResponseCase{"Version2", "HTTP/2.0 200 OK\r\n\r\n", false, 502, BodyKind::None}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace coalmine::gateway
