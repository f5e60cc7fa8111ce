#include "sim/core/regex.h"

#include <gtest/gtest.h>

namespace coalmine {
namespace {

struct RegexCase {
  const char* pattern;
  std::string text;
  bool want;
};

void expect_all(const std::vector<RegexCase>& cases, RegexDialect dialect) {
  for (const RegexCase& c : cases) {
    const auto regex = Regex::compile(c.pattern, dialect);
    ASSERT_TRUE(regex) << regex.error().message;
    EXPECT_EQ(regex->matches(c.text), c.want) << c.pattern << " on " << c.text;
  }
}

const std::vector<RegexCase> kEither = {
    {"", "", true},
    {"", "a", false},
    {"abc", "abc", true},
    {"abc", "abcd", false},
    {"a*", "", true},
    {"a*", "aaa", true},
    {"a+", "", false},
    {"ab?c", "ac", true},
    {"ab?c", "abbc", false},
    {"a|bc|d", "bc", true},
    {"a|bc|d", "d", true},
    {"a|bc|d", "ad", false},
    {"(a|b)*c", "ababc", true},
    {"(a|b|)c", "c", true},
    {"(?:ab){2,3}", "abab", true},
    {"(?:ab){2,3}", "abababab", false},
    {"a{2}", "aa", true},
    {"a{2,}", "aaaaa", true},
    {"a{2,}", "a", false},
    {"a{0}", "", true},
    {"[a-c]+", "abc", true},
    {"[^a-c]", "d", true},
    {"[^a-c]", "a", false},
    {"[a-]", "-", true},
    {"\\d+\\.\\w", "12.x", true},
    {"[\\d.]+", "1.2", true},
    {"\\D", "1", false},
    {"^/a$", "/a", true},
    {"a^b", "ab", false},
    {"^$|x+", "", true},
    {".*", "/x?y", true},
    {".", "\n", false},
    {"(a*)*", "aaa", true},
    {"(a*)*b", "aaa", false},
    {"a.*?b", "axxb", true},
    {"((a|b){2}|c){2}", "abc", true},
    {"(a|b)(c|d)+", "bdcd", true},
    {"(a|b|cd)+", "cdab", true},
    {"^(2|4|5)\\d\\d$", "404", true},
    {"^(2|4|5)\\d\\d$", "304", false},
};

TEST(Regex, MatchesTheWholeText) {
  expect_all(kEither, RegexDialect::Re2);
  expect_all(kEither, RegexDialect::Ecma);
}

TEST(Regex, Re2WorksOnBytesAndTakesStrayBracesLiterally) {
  expect_all(
      {
          {"a{,2}", "a{,2}", true},
          {"a{", "a{", true},
          {"a*{", "aa{", true},
          {"[]a]", "]", true},
          {"\\s", "\v", false},
          {".", "\r", true},
          {"..", "\xC3\xA9", true},
          {"[^a]", "\xFF", true},
      },
      RegexDialect::Re2);
}

TEST(Regex, EcmaWorksOnCodePointsAndLooksAhead) {
  const std::string long_name(128, 'a');
  const char* name = "[0-9A-Za-z][\\-\\.\\_0-9A-Za-z]{0,126}[0-9A-Za-z]";
  expect_all(
      {
          {"^(HTTPS?|#\\{protocol\\})$", "#{protocol}", true},
          {"[\\w+=,.@-]+", "role-name_1@x", true},
          {"[\\w+=,.@-]+", "role/name", false},
          {name, long_name, true},
          {name, long_name + "a", false},
          {"^[a-z0-9]([a-z0-9]|-(?!-)){1,61}[a-z0-9]$", "my-account", true},
          {"^[a-z0-9]([a-z0-9]|-(?!-)){1,61}[a-z0-9]$", "my--account", false},
          {"^(?!arn:)[!-~]{1,253}$", "apps.local", true},
          {"^(?!arn:)[!-~]{1,253}$", "arn:aws", false},
          {"((?=^.{1,5}$)^[a-z]*$)|(^\\.$)", "abcde", true},
          {"((?=^.{1,5}$)^[a-z]*$)|(^\\.$)", "abcdef", false},
          {"((?=^.{1,5}$)^[a-z]*$)|(^\\.$)", ".", true},
          {"([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)", "Größe 1", true},
          {"([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)", "a!b", false},
          {"[\\u0020-\\u00FF]+", "caf\xC3\xA9", true},
          {"[\\u0020-\\u00FF]+", "\xE2\x82\xAC", false},
          {"[\\u0020-\\u20FF]+", "\xE2\x82\xAC", true},
          {"[^\\u0020-\\u20FF]", "\xE2\x82\xAC", false},
          {"[^:].*", "AWS/ECS", true},
          {"[^:].*", ":x", false},
          {"[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+", "sha256:0af", true},
          {"\\s", "\v", true},
          {".", "\r", false},
          {".", "\xC3\xA9", true},
          {"\\uFFFD", "\xFF", true},
      },
      RegexDialect::Ecma);
}

TEST(Regex, IgnoresTheCaseOfAsciiLettersWhenAsked) {
  const auto regex = Regex::compile("[a-c]X@");
  ASSERT_TRUE(regex);
  EXPECT_FALSE(regex->matches("Bx@"));
  EXPECT_TRUE(regex->matches("Bx@", true));
  EXPECT_FALSE(regex->matches("Bx`", true));
}

TEST(Regex, IsLinearWhereBacktrackingExplodes) {
  const auto re2 = Regex::compile("(a*)*(a*)*(a*)*b");
  ASSERT_TRUE(re2);
  EXPECT_FALSE(re2->matches(std::string(8192, 'a')));

  const auto ecma =
      Regex::compile("^[a-z0-9*](?:[._\\-/a-z0-9*]?[a-z0-9*]+)*$", RegexDialect::Ecma);
  ASSERT_TRUE(ecma);
  EXPECT_FALSE(ecma->matches(std::string(5000, 'a') + "!"));
  EXPECT_TRUE(ecma->matches(std::string(5000, 'a')));
}

TEST(Regex, RefusesWhatItDoesNotUnderstand) {
  for (const char* bad :
       {"(", ")", "a)", "[", "[a", "*", "a**", "a{2}{3}", "a{3,2}", "a{1001}", "\\", "\\q", "(?i)a",
        "(?=a)", "\\p{L}", "[[:alpha:]]", "[b-a]", "((a{100}){100}){100}"}) {
    EXPECT_FALSE(Regex::compile(bad)) << bad;
  }
  for (const char* bad : {"(", ")", "[a", "a{", "a{9999}", "\\", "\\p{Greek}", "\\uZZZZ", "(?<n>a)",
                          "((a{100}){100}){100}"}) {
    EXPECT_FALSE(Regex::compile(bad, RegexDialect::Ecma)) << bad;
  }
}

TEST(Regex, HoldsItsLimits) {
  const auto nested = [](int depth) {
    const auto count = static_cast<std::size_t>(depth);
    return std::string(count, '(') + std::string(count, ')');
  };
  EXPECT_TRUE(Regex::compile(nested(kMaxRegexDepth)));
  EXPECT_FALSE(Regex::compile(nested(kMaxRegexDepth + 1)));
  EXPECT_TRUE(Regex::compile("a{1000}"));
  EXPECT_TRUE(Regex::compile("a{2000}", RegexDialect::Ecma));
  EXPECT_FALSE(Regex::compile("a{2001}", RegexDialect::Ecma));
}

TEST(Regex, ErrorsNameThePlace) {
  EXPECT_EQ(Regex::compile("/a(").error().message, "regex \"/a(\": missing ')' at character 4");
}

}  // namespace
}  // namespace coalmine
