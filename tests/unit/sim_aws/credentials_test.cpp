#include <gtest/gtest.h>

#include <map>

#include "sim/aws/client.h"
#include "sim/aws/profiles.h"

namespace coalmine::aws {
namespace {

Environment world(std::map<std::string, std::string> variables,
                  std::map<std::string, std::string> files = {}) {
  const auto look_up = [](const std::map<std::string, std::string>& in) {
    return [in](const std::string& key) -> std::optional<std::string> {
      const auto at = in.find(key);
      if (at == in.end()) return std::nullopt;
      return at->second;
    };
  };
  return {look_up(variables), look_up(files)};
}

TEST(Credentials, TheEnvironmentComesFirst) {
  const auto found = find_credentials(world({{"AWS_ACCESS_KEY_ID", "A"},
                                             {"AWS_SECRET_ACCESS_KEY", "S"},
                                             {"AWS_SESSION_TOKEN", "T"},
                                             {"HOME", "/h"}}));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->access_key, "A");
  EXPECT_EQ(found->session_token, "T");
}

TEST(Credentials, ThenTheProfileOfTheSharedFiles) {
  const std::map<std::string, std::string> files = {
      {"/h/.aws/credentials",
       "# mine\n[default]\naws_access_key_id = A\n"
       "aws_secret_access_key=S/x+=  ; note\n"},
      {"/h/.aws/config",
       "[default]\nregion = eu-west-1\n[profile ci]\ns3 =\n  region = nested\n"
       "aws_access_key_id=B\naws_secret_access_key=U\n"}};
  const auto found = find_credentials(world({{"HOME", "/h"}}, files));
  ASSERT_TRUE(found) << to_string(found.error());
  EXPECT_EQ(found->secret_key, "S/x+=");
  const auto ci = find_credentials(world({{"HOME", "/h"}, {"AWS_PROFILE", "ci"}}, files));
  ASSERT_TRUE(ci) << to_string(ci.error());
  EXPECT_EQ(ci->access_key, "B");
  EXPECT_EQ(find_region(world({{"HOME", "/h"}}, files)).value(), "eu-west-1");
  EXPECT_EQ(find_region(world({{"AWS_REGION", "x"}}, files)).value(), "x");
  EXPECT_FALSE(find_region(world({{"HOME", "/h"}, {"AWS_PROFILE", "ci"}}, files)))
      << "a nested setting is not the profile's";
}

TEST(Credentials, NoneFoundListsEveryPlaceTried) {
  const auto found = find_credentials(world({{"HOME", "/h"}, {"AWS_PROFILE", "prod"}},
                                            {{"/h/.aws/config", "[default]\nregion=x\n"}}));
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().kind, ErrorKind::Environment);
  EXPECT_TRUE(
      found.error().message.starts_with("no AWS credentials found; tried\n"
                                        "  environment: AWS_ACCESS_KEY_ID is not set\n"
                                        "  /h/.aws/credentials: no such file\n"
                                        "  /h/.aws/config: no profile \"prod\"\n"))
      << found.error().message;
}

TEST(Profiles, BrokenLinesAreNamed) {
  EXPECT_EQ(to_string(parse_profiles("[a]\nnonsense\n", "f").error()),
            "f:2: error: neither a [section] nor a KEY = VALUE");
  EXPECT_EQ(to_string(parse_profiles("a=b\n", "f").error()),
            "f:1: error: a setting before the first [section]");
  EXPECT_EQ(to_string(parse_profiles("\n[a\n", "f").error()),
            "f:2: error: a section without its ]");
}

}  // namespace
}  // namespace coalmine::aws
