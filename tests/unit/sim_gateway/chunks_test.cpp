#include "sim/gateway/chunks.h"

#include <gtest/gtest.h>

namespace coalmine::gateway {
namespace {

std::string decode_in_pieces(std::string text, std::size_t piece, bool& done, bool& bad,
                             std::string* trailers = nullptr) {
  ChunkDecoder decoder;
  std::string out;
  for (std::size_t i = 0; i < text.size() && !decoder.done() && !decoder.bad(); i += piece) {
    const std::size_t n = std::min(piece, text.size() - i);
    std::string part = text.substr(i, n);
    const auto step = decoder.decode(part.data(), n);
    out += part.substr(0, step.payload);
  }
  done = decoder.done();
  bad = decoder.bad();
  if (trailers != nullptr) *trailers = decoder.trailers();
  return out;
}

TEST(ChunkDecoder, GivesTheSameWhereverTheBytesAreCut) {
  const std::string text =
      "5;ext=1\r\nhello\r\n01\r\n,\r\nA\r\n0123456789\r\n0\r\nX-T: 1\r\nHost: no\r\n\r\n";
  for (std::size_t piece = 1; piece <= text.size(); ++piece) {
    bool done = false;
    bool bad = false;
    std::string trailers;
    EXPECT_EQ(decode_in_pieces(text, piece, done, bad, &trailers), "hello,0123456789") << piece;
    EXPECT_TRUE(done);
    EXPECT_EQ(trailers, "X-T: 1\r\n") << "a framing field is no trailer";
  }
}

TEST(ChunkDecoder, RefusesWhatCanBeReadTwoWays) {  // RFC 9112 7.1
  for (const char* text :
       {"\r\n", "x\r\n", "-1\r\n", "+1\r\n", "0x1\r\n", " 1\r\n", "1 \r\na\r\n", "1\na\r\n",
        "00000000000000001\r\n", "ffffffffffffffff\r\n", "1\r\nab\r\n", "1\r\na\n", "1;\x01\r\n",
        "0\r\nbad trailer\r\n\r\n", "0\r\n: x\r\n\r\n", "0\r\n\n"}) {
    bool done = false;
    bool bad = false;
    decode_in_pieces(text, 1, done, bad);
    EXPECT_TRUE(bad) << text;
  }
}

TEST(ChunkDecoder, ExtensionsAreLimited) {
  bool done = false;
  bool bad = false;
  decode_in_pieces("1;" + std::string(400, 'a') + "\r\n", 1, done, bad);
  EXPECT_TRUE(bad) << "one line";
  std::string many;
  for (int i = 0; i < 100; ++i) many += "1;" + std::string(200, 'a') + "\r\nx\r\n";
  decode_in_pieces(many, 7, done, bad);
  EXPECT_TRUE(bad) << "one message";
}

TEST(ChunkSize, IsHexadecimal) {
  std::string out;
  append_chunk_size(out, 0);
  append_chunk_size(out, 255);
  append_chunk_size(out, 65536);
  EXPECT_EQ(out, "0\r\nff\r\n10000\r\n");
}

}  // namespace
}  // namespace coalmine::gateway
