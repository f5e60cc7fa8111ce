#include "mock-aws/protocol/pattern.h"

#include <gtest/gtest.h>

namespace coalmine::mock {
namespace {

struct Case {
  const char* pattern;
  std::string text;
  bool want;
};

TEST(Pattern, MatchesTheWholeText) {
  const std::string long_name(128, 'a');
  const Case cases[] = {
      {"abc", "abc", true},
      {"abc", "abcd", false},
      {"^(2|4|5)\\d\\d$", "404", true},
      {"^(2|4|5)\\d\\d$", "304", false},
      {"^(HTTPS?|#\\{protocol\\})$", "#{protocol}", true},
      {"[\\w+=,.@-]+", "role-name_1@x", true},
      {"[\\w+=,.@-]+", "role/name", false},
      {"a{2,3}", "a", false},
      {"a{2,3}", "aaa", true},
      {"a{2,3}", "aaaa", false},
      {"(a|b)*c?", "ababc", true},
      {"(a|b|cd)+", "cdab", true},
      {"[0-9A-Za-z][\\-\\.\\_0-9A-Za-z]{0,126}[0-9A-Za-z]", long_name, true},
      {"[0-9A-Za-z][\\-\\.\\_0-9A-Za-z]{0,126}[0-9A-Za-z]", long_name + "a", false},
      {"^[a-z0-9]([a-z0-9]|-(?!-)){1,61}[a-z0-9]$", "my-account", true},
      {"^[a-z0-9]([a-z0-9]|-(?!-)){1,61}[a-z0-9]$", "my--account", false},
      {"^(?!arn:)[!-~]{1,253}$", "apps.local", true},
      {"^(?!arn:)[!-~]{1,253}$", "arn:aws", false},
      {"((?=^.{1,5}$)^[a-z]*$)|(^\\.$)", "abcde", true},
      {"((?=^.{1,5}$)^[a-z]*$)|(^\\.$)", "abcdef", false},
      {"([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)", "Größe 1", true},
      {"([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)", "a!b", false},
      {"[\\u0020-\\u00FF]+", "caf\xC3\xA9", true},
      {"[\\u0020-\\u00FF]+", "\xE2\x82\xAC", false},
      {"^$|x+", "", true},
      {"[^:].*", "AWS/ECS", true},
      {"[^:].*", ":x", false},
      {"[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+", "sha256:0af", true},
  };
  for (const Case& c : cases) {
    const auto pattern = Pattern::compile(c.pattern);
    ASSERT_TRUE(pattern) << c.pattern << ": " << pattern.error().message;
    EXPECT_EQ(pattern->matches(c.text), c.want) << c.pattern << " on " << c.text;
  }
}

TEST(Pattern, NestedRepeatsTakeLinearTime) {
  const auto pattern = Pattern::compile("^[a-z0-9*](?:[._\\-/a-z0-9*]?[a-z0-9*]+)*$");
  ASSERT_TRUE(pattern);
  EXPECT_FALSE(pattern->matches(std::string(5000, 'a') + "!"));
  EXPECT_TRUE(pattern->matches(std::string(5000, 'a')));
}

TEST(Pattern, RefusesWhatItDoesNotKnow) {
  for (const char* bad : {"(", ")", "[a", "a{", "a{9999}", "\\", "\\p{Greek}", "\\uZZZZ"}) {
    EXPECT_FALSE(Pattern::compile(bad)) << bad;
  }
}

}  // namespace
}  // namespace coalmine::mock
