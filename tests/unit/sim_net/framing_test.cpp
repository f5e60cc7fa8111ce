#include "sim/net/framing.h"

#include <gtest/gtest.h>

#include "tests/support/case_name.h"

namespace coalmine::net {
namespace {

// --- heads: what is refused, and with which status -------------------------------------------

struct HeadCase {
  const char* name;
  std::string head;  // without the empty line
  int want;          // 0: accepted
};

class RequestHead : public testing::TestWithParam<HeadCase> {};

TEST_P(RequestHead, IsAcceptedOrRefused) {
  const auto head = parse_head(GetParam().head + "\r\n\r\n");
  EXPECT_EQ(head ? 0 : head.error().status, GetParam().want) << (head ? "" : head.error().message);
}

const std::string kGet = "GET / HTTP/1.1\r\nHost: a";

INSTANTIATE_TEST_SUITE_P(
    Framing, RequestHead,
    testing::Values(
        HeadCase{"Plain", kGet, 0}, HeadCase{"Http10WithoutHost", "GET / HTTP/1.0", 0},
        HeadCase{"OptionsStar", "OPTIONS * HTTP/1.1\r\nHost: a", 0},
        HeadCase{"AbsoluteForm", "GET http://b/x HTTP/1.1\r\nHost: a", 0},
        HeadCase{"TwoQuestionMarks", "GET /a?b=c?d HTTP/1.1\r\nHost: a", 0},
        HeadCase{"EmptyHost", "GET / HTTP/1.1\r\nHost:", 0},
        HeadCase{"UnknownMethod", "BREW / HTTP/1.1\r\nHost: a", 0},
        HeadCase{"LengthAndChunks", kGet + "\r\nContent-Length: 1\r\nTransfer-Encoding: chunked",
                 400},
        HeadCase{"LengthTwice", kGet + "\r\nContent-Length: 1\r\nContent-Length: 1", 400},
        HeadCase{"LengthList", kGet + "\r\nContent-Length: 1, 1", 400},
        HeadCase{"LengthSigned", kGet + "\r\nContent-Length: +1", 400},
        HeadCase{"LengthEmpty", kGet + "\r\nContent-Length:", 400},
        HeadCase{"LengthHuge", kGet + "\r\nContent-Length: 9223372036854775808", 400},
        HeadCase{"LengthAtLimit", kGet + "\r\nContent-Length: 9223372036854775807", 0},
        HeadCase{"LengthLookAlike", kGet + "\r\nContent_Length: 1", 400},
        HeadCase{"CodingNotLast", kGet + "\r\nTransfer-Encoding: chunked, gzip", 400},
        HeadCase{"CodingTwice", kGet + "\r\nTransfer-Encoding: chunked, chunked", 400},
        HeadCase{"CodingUnknown", kGet + "\r\nTransfer-Encoding: xchunked", 400},
        HeadCase{"CodingOther", kGet + "\r\nTransfer-Encoding: gzip, chunked", 501},
        HeadCase{"CodingInHttp10", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked", 400},
        HeadCase{"CodingAnyCase", kGet + "\r\ntransfer-encoding: Chunked", 0},
        HeadCase{"NoHost", "GET / HTTP/1.1", 400}, HeadCase{"TwoHosts", kGet + "\r\nHost: a", 400},
        HeadCase{"BadHost", "GET / HTTP/1.1\r\nHost: a/b", 400},
        HeadCase{"Folded", kGet + "\r\nX: 1\r\n 2", 400},
        HeadCase{"SpaceBeforeColon", kGet + "\r\nX : 1", 400},
        HeadCase{"EmptyName", kGet + "\r\n: 1", 400}, HeadCase{"NoColon", kGet + "\r\nX", 400},
        HeadCase{"BareReturnInValue", kGet + "\r\nX: a\rb", 400},
        HeadCase{"ZeroByteInValue", kGet + "\r\nX: " + std::string(1, '\0'), 400},
        HeadCase{"TabInValue", kGet + "\r\nX: a\tb", 0},
        HeadCase{"ConnectionNamesHost", kGet + "\r\nConnection: host", 400},
        HeadCase{"TwoSpaces", "GET  / HTTP/1.1\r\nHost: a", 400},
        HeadCase{"NoVersion", "GET /\r\nHost: a", 400},
        HeadCase{"LowerCaseVersion", "GET / http/1.1\r\nHost: a", 400},
        HeadCase{"Http2", "GET / HTTP/2.0\r\nHost: a", 505},
        HeadCase{"RelativeTarget", "GET x HTTP/1.1\r\nHost: a", 400},
        HeadCase{"Fragment", "GET /#x HTTP/1.1\r\nHost: a", 400},
        HeadCase{"Connect", "CONNECT a:1 HTTP/1.1\r\nHost: a", 405},
        HeadCase{"MethodNotAToken", "G(T / HTTP/1.1\r\nHost: a", 400},
        HeadCase{"UnknownExpectation", kGet + "\r\nExpect: tea", 417},
        HeadCase{"TargetAtLimit",
                 "GET /" + std::string(kMaxTargetBytes - 1, 'a') + " HTTP/1.1\r\nHost: a", 0},
        HeadCase{"TargetBeyondLimit",
                 "GET /" + std::string(kMaxTargetBytes, 'a') + " HTTP/1.1\r\nHost: a", 414}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(RequestHead, KeepsTargetAndValuesAsSent) {
  const auto head = parse_head("POST /svc%2Fx?a=%20&b HTTP/1.1\r\nHost: a\r\nX-V:  %41 b \r\n\r\n");
  ASSERT_TRUE(head);
  EXPECT_EQ(head->request.target, "/svc%2Fx?a=%20&b");
  EXPECT_EQ(head->request.path(), "/svc%2Fx");
  EXPECT_EQ(head->request.query(), "a=%20&b");
  EXPECT_EQ(head->request.headers.get("x-v"), "%41 b");
}

TEST(RequestHead, AbsoluteFormNamesTheHost) {
  const auto head = parse_head("GET http://b:1?x HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(head);
  EXPECT_EQ(head->request.target, "/?x");
  EXPECT_EQ(head->request.headers.get("Host"), "b:1");
}

TEST(RequestHead, KnowsWhetherToKeepTheConnection) {
  const auto keep = [](const std::string& head) { return parse_head(head)->keep_alive; };
  EXPECT_TRUE(keep("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  EXPECT_FALSE(keep("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n"));
  EXPECT_FALSE(keep("GET / HTTP/1.0\r\n\r\n"));
  EXPECT_TRUE(keep("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
}

TEST(RequestHead, HasALimitedNumberOfFields) {
  std::string head = "GET / HTTP/1.1\r\nHost: a\r\n";
  for (std::size_t i = 1; i < kMaxHeaderFields; ++i) head += "X: 1\r\n";
  EXPECT_TRUE(parse_head(head + "\r\n"));
  const auto refused = parse_head(head + "X: 1\r\n\r\n");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().status, 431);
}

TEST(HeadEnd, IsFoundWhereverTheBytesAreCut) {
  const std::string text = "GET / HTTP/1.1\r\nHost: a\r\n\r\nrest";
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    std::size_t resume = 0;
    const auto first = find_head_end(text.substr(0, cut), resume);
    ASSERT_TRUE(first) << cut;
    EXPECT_EQ(*first, cut >= 27 ? 27u : 0u) << cut;
    if (*first == 0) {
      EXPECT_EQ(*find_head_end(text, resume), 27u) << cut;
    }
  }
}

TEST(HeadEnd, BareLineFeedAndTooLongAreErrors) {
  std::size_t resume = 0;
  EXPECT_EQ(find_head_end("GET / HTTP/1.1\n", resume).error().status, 400);
  resume = 0;
  EXPECT_EQ(*find_head_end(std::string(kMaxHeadBytes - 1, 'a'), resume), 0u);
  resume = 0;
  EXPECT_EQ(find_head_end(std::string(kMaxHeadBytes, 'a'), resume).error().status, 431);
}

// --- chunks -----------------------------------------------------------------------------------

struct Decoded {
  ChunkedDecoder::Step last;
  std::string body;
  std::string rest;
};

Decoded decode(const std::string& wire, std::size_t piece_bytes) {
  ChunkedDecoder decoder;
  Decoded result{ChunkedDecoder::Step::NeedMore, "", ""};
  for (std::size_t at = 0; at < wire.size(); at += piece_bytes) {
    const std::string part = wire.substr(at, piece_bytes);
    std::string_view input = part;
    do {
      std::string_view piece;
      result.last = decoder.next(input, piece);
      if (result.last == ChunkedDecoder::Step::Data) result.body += piece;
      if (result.last == ChunkedDecoder::Step::Malformed) return result;
      if (result.last == ChunkedDecoder::Step::Done) {
        result.rest = std::string(input) + wire.substr(std::min(wire.size(), at + piece_bytes));
        return result;
      }
    } while (!input.empty());
  }
  return result;
}

TEST(Chunks, AreDecodedHoweverTheyAreCut) {
  const std::string wire =
      "4;name=value\r\nWiki\r\n0000005\r\npedia\r\nE\r\n in\r\n\r\nchunks.\r\n0\r\nT: 1\r\n\r\nGET";
  for (std::size_t piece = 1; piece <= wire.size(); ++piece) {
    const Decoded decoded = decode(wire, piece);
    EXPECT_EQ(decoded.last, ChunkedDecoder::Step::Done) << piece;
    EXPECT_EQ(decoded.body, "Wikipedia in\r\n\r\nchunks.") << piece;
    EXPECT_EQ(decoded.rest, "GET") << piece;
  }
}

class BadChunks : public testing::TestWithParam<std::string> {};
TEST_P(BadChunks, AreMalformed) {
  EXPECT_EQ(decode(GetParam(), 1).last, ChunkedDecoder::Step::Malformed);
  EXPECT_EQ(decode(GetParam(), 1000).last, ChunkedDecoder::Step::Malformed);
}
INSTANTIATE_TEST_SUITE_P(Framing, BadChunks,
                         testing::Values("\r\n", "x\r\n", "-1\r\n", "+1\r\n", "0x1\r\n", " 1\r\n",
                                         "1 \r\n", "1\n", "1\r\nab\r\n", "1\r\na\n",
                                         "ffffffffffffffff0\r\n", "10000000000000000\r\n",
                                         "1;" + std::string(kMaxChunkLineBytes, 'x') + "\r\n",
                                         "0\r\nT: 1\n",
                                         "0\r\n" + std::string(kMaxTrailerBytes + 1, 't')),
                         [](const auto& info) { return test::case_name(info.index, info.param); });

}  // namespace
}  // namespace coalmine::net
