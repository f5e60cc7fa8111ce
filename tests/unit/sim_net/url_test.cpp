#include <gtest/gtest.h>

#include "sim/net/http.h"

namespace coalmine::net {
namespace {

TEST(Url, EncodesAllButUnreserved) {
  EXPECT_EQ(percent_encode("aZ09-._~"), "aZ09-._~");
  EXPECT_EQ(percent_encode("a/b c+\xc3\xa9"), "a%2Fb%20c%2B%C3%A9");
  EXPECT_EQ(percent_encode("a/b c", true), "a/b%20c");
}

TEST(Url, DecodesAndKeepsStrayPercents) {
  EXPECT_EQ(percent_decode("a%2Fb+c%"), "a/b+c%");
  EXPECT_EQ(percent_decode("%zz%4"), "%zz%4");
  EXPECT_EQ(percent_decode("a+b%2b", true), "a b+");
}

TEST(Url, RoundTripsEveryByte) {
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  EXPECT_EQ(percent_decode(percent_encode(all)), all);
}

TEST(Url, SplitsQueriesInOrder) {
  const std::vector<std::pair<std::string, std::string>> want = {
      {"b", "2"}, {"a", ""}, {"a", "x=y"}, {"c d", "é"}};
  EXPECT_EQ(parse_query("b=2&a&&a=x=y&c+d=%C3%A9"), want);
}

TEST(Headers, CompareNamesWithoutCaseAndKeepRepeats) {
  Headers headers{{"Accept", "a"}, {"X", "1"}, {"accept", "b"}};
  EXPECT_EQ(headers.get("ACCEPT"), "a");
  EXPECT_EQ(headers.get("none", "fallback"), "fallback");
  EXPECT_EQ(headers.size(), 3u);
  headers.set("Accept", "c");
  EXPECT_EQ(headers.size(), 2u);
  headers.remove("x");
  EXPECT_FALSE(headers.has("X"));
}

}  // namespace
}  // namespace coalmine::net
