#include "mock-aws/services/sts/sts.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace coalmine::mock {
namespace {

Json call(Sts& sts, const char* operation, const Json& input, const std::string& key) {
  Random random(1);
  CallContext context{kVirtualEpoch, "511522223657", "eu-west-1", key, random};
  const Reply reply = sts.call(operation, input, context);
  EXPECT_TRUE(reply) << (reply ? "" : reply.error().message);
  return reply ? *reply : Json();
}

TEST(Sts, ASessionOfARoleKnowsWhoItIs) {
  Sts sts({"511522223657", "eu-west-1"}, Random(3));
  EXPECT_EQ(call(sts, "GetCallerIdentity", {}, "AKIA")["Arn"], "arn:aws:iam::511522223657:root");
  const Json answer = call(
      sts, "AssumeRole",
      {{"RoleArn", "arn:aws:iam::511522223657:role/deploy"}, {"RoleSessionName", "ci"}}, "AKIA");
  const std::string key = answer["Credentials"]["AccessKeyId"];
  EXPECT_EQ(key.size(), 20U);
  EXPECT_EQ(call(sts, "GetCallerIdentity", {}, key)["Arn"],
            "arn:aws:sts::511522223657:assumed-role/deploy/ci");
}

TEST(Sts, IssuedKeysCarryTheirAccountAsAwsKeysDo) {
  Random random(5);
  const std::string key = issue_access_key("ASIA", "609629065308", random);
  constexpr std::string_view kBase32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  std::uint64_t head = 0;  // 9 letters are 45 bits, 3 more come from the tenth
  for (int i = 0; i < 9; ++i) head = head << 5 | kBase32.find(key[4 + static_cast<std::size_t>(i)]);
  head = head << 3 | kBase32.find(key[13]) >> 2;
  EXPECT_EQ((head & 0x7fffffffff80) >> 7, 609629065308U);
}

TEST(Sts, AccessKeyInfoNamesTheAccountOfTheKeyAskedFor) {
  Sts sts({"000000000000", "eu-west-1"}, Random(3));
  Random random(5);
  const Json input{{"AccessKeyId", issue_access_key("ASIA", "609629065308", random)}};
  EXPECT_EQ(call(sts, "GetAccessKeyInfo", input, "")["Account"], "609629065308");
}

}  // namespace
}  // namespace coalmine::mock
