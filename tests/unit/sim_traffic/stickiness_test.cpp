#include "sim/traffic/stickiness.h"

#include <gtest/gtest.h>

#include <vector>

#include "sim/traffic/route_index.h"

namespace coalmine::traffic {
namespace {

constexpr std::int64_t kNow = 1'800'000'000;

std::vector<Target> targets() {
  std::vector<Target> two(2);
  two[0].name = "v1";
  two[1].name = "v2";
  return two;
}

std::optional<std::size_t> asked(std::string_view cookie, std::string_view name = "Cookie") {
  const std::vector<HeaderView> headers = {{"Accept", "*/*"}, {name, cookie}};
  return sticky_target(headers, targets(), kNow);
}

TEST(Stickiness, TheCookieNamesTheTarget) {
  const std::string v2 = sticky_value("v2", kNow + 1);
  EXPECT_EQ(asked("AWSALBTG=" + v2), 1u);
  EXPECT_EQ(asked("AWSALBTG=" + sticky_value("v1", kNow + 60)), 0u);
  EXPECT_EQ(asked("a=1; AWSALBTG=" + v2 + "; b=2", "cookie"), 1u);
  EXPECT_EQ(asked("a=1;AWSALBTGCORS=" + v2), 1u) << "what other sites' requests carry";
}

TEST(Stickiness, OtherCookiesAreNoMemory) {
  const std::string v2 = sticky_value("v2", kNow + 60);
  const std::vector<std::string> cookies = {
      "",
      ";;=;",
      "AWSALBTG",
      "AWSALBTG=",
      "AWSALBTG=x",
      "AWSALBTG=" + v2.substr(0, 16),
      "AWSALBTG=" + v2 + "g",
      "AWSALBTG=" + v2 + "000000000000000000",
      "AWSALB=" + v2,
      "XAWSALBTG=" + v2,
      "AWSALBTG=" + sticky_value("v3", kNow + 60),
      "AWSALBTG=" + sticky_value("v2", kNow),
      "AWSALBTG=" + sticky_value("v2", kNow - 1),
  };
  for (const std::string& cookie : cookies) EXPECT_EQ(asked(cookie), std::nullopt) << cookie;
  EXPECT_EQ(asked("AWSALBTG=" + v2, "X-Cookie"), std::nullopt);
}

TEST(Stickiness, IsReadBeforeTheWeightsAndOnlyWhereTheForwardIsSticky) {
  for (const bool sticky : {true, false}) {
    Json route = {{"match", {{"prefix", "/"}}},
                  {"targets",
                   {{{"name", "v1"}, {"weight", 1}, {"instances", {"127.0.0.1:1"}}},
                    {{"name", "v2"}, {"weight", 0}, {"instances", {"127.0.0.1:2"}}}}}};
    if (sticky) route["stickiness"] = {{"duration", "10m"}};
    auto table = route_table_from_json(
        {{"version", 1}, {"listeners", {{{"port", 80}, {"dialect", "alb"}, {"routes", {route}}}}}});
    ASSERT_TRUE(table) << to_string(table.error());
    const auto index = RouteIndex::compile(std::make_shared<const RouteTable>(*table));
    ASSERT_TRUE(index);
    const std::string cookie = "AWSALBTG=" + sticky_value("v2", kNow + 60);
    const std::vector<HeaderView> headers = {{"Cookie", cookie}};
    RequestView request;
    request.headers = headers;
    request.now_s = kNow;
    std::string scratch;
    const Decision decision = resolve((*index)->listeners()[0], request, 7, scratch);
    ASSERT_NE(decision.forward, nullptr);
    EXPECT_EQ(decision.target, sticky ? 1u : 0u);
    EXPECT_EQ(decision.kept, sticky);
  }
}

}  // namespace
}  // namespace coalmine::traffic
