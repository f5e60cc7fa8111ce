#include "sim/traffic/match.h"

#include <gtest/gtest.h>

#include "tests/support/case_name.h"

namespace coalmine::traffic {
namespace {

using Kind = StringMatch::Kind;

StringMatch text(Kind kind, std::string value, bool invert = false) {
  StringMatch out;
  out.kind = kind;
  out.value = std::move(value);
  out.invert = invert;
  return out;
}

StringMatch range(std::int64_t start, std::int64_t end, bool invert = false) {
  StringMatch out;
  out.kind = Kind::Range;
  out.start = start;
  out.end = end;
  out.invert = invert;
  return out;
}

StringMatch present(bool invert = false) {
  StringMatch out;
  out.invert = invert;
  return out;
}

RouteMatch path(StringMatch m) {
  RouteMatch out;
  out.path = {std::move(m)};
  return out;
}
RouteMatch host(StringMatch m) {
  RouteMatch out;
  out.host = {std::move(m)};
  return out;
}
RouteMatch header(std::string name, StringMatch m) {
  RouteMatch out;
  out.headers = {{std::move(name), {std::move(m)}}};
  return out;
}
RouteMatch query(std::string name, StringMatch m) {
  RouteMatch out;
  out.query = {{std::move(name), {std::move(m)}}};
  return out;
}

struct Wire {
  std::string path = "/";
  std::string host = "example.com";
  std::string query;
  std::vector<HeaderView> headers;
  std::string method = "GET";
  std::uint32_t source = 0;
};

struct MatchCase {
  const char* name;
  const char* source;  ///< where the expectation comes from
  RouteMatch match;
  Wire request;
  bool want;
  Dialect dialect = Dialect::Envoy;
};

class Match : public testing::TestWithParam<MatchCase> {};

TEST_P(Match, FollowsItsSource) {
  const MatchCase& c = GetParam();
  RequestView view;
  view.path = c.request.path;
  view.host = c.request.host;
  view.query = c.request.query;
  view.method = c.request.method;
  view.headers = c.request.headers;
  view.source_ipv4 = c.request.source;
  const auto result = match(c.match, view, c.dialect);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(*result, c.want) << c.source;
}

constexpr const char* kEnvoy = "Envoy, config_impl_test.cc and header_utility";
constexpr const char* kMesh = "App Mesh user guide, gateway routes and routes";
constexpr const char* kAlb = "ALB user guide, listener rules";

RouteMatch methods() {
  RouteMatch out;
  out.methods = {"GET", "HEAD"};
  return out;
}
RouteMatch sources() {
  RouteMatch out;
  out.source_cidrs = {"10.0.0.0/8", "192.168.1.7"};
  return out;
}
RouteMatch path_and_method() {
  RouteMatch out = path(text(Kind::Prefix, "/a"));
  out.methods = {"POST"};
  return out;
}

INSTANTIATE_TEST_SUITE_P(
    Table, Match,
    testing::Values(
        MatchCase{"NothingGivenMatchesAll", kEnvoy, {}, {}, true},
        MatchCase{"PrefixIsAStringPrefix",
                  kEnvoy,
                  path(text(Kind::Prefix, "/chap")),
                  {.path = "/chapter"},
                  true},
        MatchCase{"PrefixLongerThanPath",
                  kEnvoy,
                  path(text(Kind::Prefix, "/chapter")),
                  {.path = "/chap"},
                  false},
        MatchCase{"PathIsCaseSensitive",
                  kAlb,
                  path(text(Kind::Prefix, "/Chap")),
                  {.path = "/chapter"},
                  false},
        MatchCase{"ExactPath", kMesh, path(text(Kind::Exact, "/a")), {.path = "/a"}, true},
        MatchCase{
            "ExactPathNotLonger", kMesh, path(text(Kind::Exact, "/a")), {.path = "/a/"}, false},
        MatchCase{"RegexMatchesWhole",
                  kEnvoy,
                  path(text(Kind::Regex, "/b[io]t")),
                  {.path = "/bat"},
                  false},
        MatchCase{"RegexWholeNotPart",
                  kEnvoy,
                  path(text(Kind::Regex, "/b[io]t")),
                  {.path = "/bitx"},
                  false},
        MatchCase{"RegexYes", kEnvoy, path(text(Kind::Regex, "/b[io]t")), {.path = "/bot"}, true},
        MatchCase{"AlbPathWildcard",
                  kAlb,
                  path(text(Kind::Wildcard, "/img/*.pn?")),
                  {.path = "/img/a/b.png"},
                  true,
                  Dialect::Alb},
        MatchCase{"AlbQuestionMarkIsExactlyOne",
                  kAlb,
                  path(text(Kind::Wildcard, "/a?")),
                  {.path = "/a"},
                  false,
                  Dialect::Alb},
        MatchCase{"HostIgnoresCase",
                  kEnvoy,
                  host(text(Kind::Exact, "example.com")),
                  {.host = "EXAMPLE.com"},
                  true},
        MatchCase{"HostPortIsStripped",
                  "aws-app-mesh-roadmap#365",
                  host(text(Kind::Exact, "example.com")),
                  {.host = "example.com:9080"},
                  true},
        MatchCase{"HostSuffix",
                  kMesh,
                  host(text(Kind::Suffix, ".example.com")),
                  {.host = "a.example.com"},
                  true},
        MatchCase{"HostWildcardIsNotTheBareDomain",
                  kAlb,
                  host(text(Kind::Wildcard, "*.example.com")),
                  {.host = "example.com"},
                  false,
                  Dialect::Alb},
        MatchCase{"HostWildcard",
                  kAlb,
                  host(text(Kind::Wildcard, "*.EXAMPLE.com")),
                  {.host = "test.example.com"},
                  true,
                  Dialect::Alb},
        MatchCase{"HeaderExact",
                  kEnvoy,
                  header("x-canary", text(Kind::Exact, "yes")),
                  {.headers = {{"X-Canary", "yes"}}},
                  true},
        MatchCase{"HeaderMissing", kEnvoy, header("x", text(Kind::Exact, "y")), {}, false},
        MatchCase{
            "HeaderMissingInverted", kEnvoy, header("x", text(Kind::Exact, "y", true)), {}, false},
        MatchCase{"HeaderInverted",
                  kEnvoy,
                  header("x", text(Kind::Exact, "y", true)),
                  {.headers = {{"x", "z"}}},
                  true},
        MatchCase{"HeaderPresent", kEnvoy, header("x", present()), {.headers = {{"x", ""}}}, true},
        MatchCase{"HeaderAbsent", kEnvoy, header("x", present(true)), {}, true},
        MatchCase{"HeaderAbsentButThere",
                  kEnvoy,
                  header("x", present(true)),
                  {.headers = {{"x", "1"}}},
                  false},
        MatchCase{"HeaderRepeatedIsJoined",
                  kEnvoy,
                  header("x", text(Kind::Exact, "a,b")),
                  {.headers = {{"x", "a"}, {"y", "c"}, {"x", "b"}}},
                  true},
        MatchCase{"RangeStartIsIn",
                  kEnvoy,
                  header("x", range(-10, 0)),
                  {.headers = {{"x", "-10"}}},
                  true},
        MatchCase{
            "RangeEndIsOut", kEnvoy, header("x", range(-10, 0)), {.headers = {{"x", "0"}}}, false},
        MatchCase{"RangeWantsAnInteger",
                  kEnvoy,
                  header("x", range(-10, 0)),
                  {.headers = {{"x", "-9.5"}}},
                  false},
        MatchCase{"RangeInvertedNotInteger",
                  kEnvoy,
                  header("x", range(-10, 0, true)),
                  {.headers = {{"x", "some"}}},
                  true},
        MatchCase{"HostAsHeader", kAlb, header("host", text(Kind::Exact, "example.com")), {}, true},
        MatchCase{
            "QueryExact", kMesh, query("v", text(Kind::Exact, "2")), {.query = "a=1&v=2"}, true},
        MatchCase{"QueryFirstCounts",
                  "Envoy, QueryParameterMatcher",
                  query("v", text(Kind::Exact, "2")),
                  {.query = "v=1&v=2"},
                  false},
        MatchCase{"QueryAnyCountsAtAlb",
                  kAlb,
                  query("v", text(Kind::Wildcard, "2")),
                  {.query = "v=1&V=2"},
                  true,
                  Dialect::Alb},
        MatchCase{"QueryWithoutKeyAtAlb",
                  kAlb,
                  query("", text(Kind::Wildcard, "*x*")),
                  {.query = "a=1&b=axb"},
                  true,
                  Dialect::Alb},
        MatchCase{"QueryPresent", kMesh, query("v", present()), {.query = "v"}, true},
        MatchCase{"QueryIsNotInThePath",
                  kEnvoy,
                  path(text(Kind::Exact, "/a")),
                  {.path = "/a", .query = "x"},
                  true},
        MatchCase{"Method", kMesh, methods(), {.method = "HEAD"}, true},
        MatchCase{"OtherMethod", kMesh, methods(), {.method = "POST"}, false},
        MatchCase{"AllConditionsMustHold", kAlb, path_and_method(), {.path = "/a"}, false},
        MatchCase{"SourceInRange", kAlb, sources(), {.source = 0x0a010203}, true},
        MatchCase{"SourceAlone", kAlb, sources(), {.source = 0xc0a80107}, true},
        MatchCase{"SourceOutside", kAlb, sources(), {.source = 0xc0a80108}, false}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(Match, AlternativesOfOneConditionAreOredAsAlbDoes) {
  RouteMatch m;
  m.path = {text(Kind::Exact, "/a"), text(Kind::Exact, "/b")};
  RequestView view;
  view.path = "/b";
  EXPECT_TRUE(*match(m, view));
  view.path = "/c";
  EXPECT_FALSE(*match(m, view));
}

TEST(Match, BadPatternsAreErrorsThatNameThem) {
  EXPECT_EQ(match(path(text(Kind::Regex, "/a(")), {}).error().message,
            "regex \"/a(\": missing ')' at character 4");
  EXPECT_NE(match(header("x", range(3, 3)), {}).error().message.find("[3, 3)"), std::string::npos);
  RouteMatch m;
  m.source_cidrs = {"10.0.0/8"};
  EXPECT_NE(match(m, {}).error().message.find("10.0.0/8"), std::string::npos);
}

struct NormalCase {
  const char* in;
  const char* want;
};
class NormalizePath : public testing::TestWithParam<NormalCase> {};
TEST_P(NormalizePath, IsWhatEnvoyWouldRouteOn) {
  std::string scratch;
  EXPECT_EQ(normalize_path(GetParam().in, scratch), GetParam().want);
}
INSTANTIATE_TEST_SUITE_P(Table, NormalizePath,
                         testing::Values(NormalCase{"/a/b", "/a/b"}, NormalCase{"/a//b", "/a/b"},
                                         NormalCase{"/a/./b", "/a/b"}, NormalCase{"/a/../b", "/b"},
                                         NormalCase{"/../../b", "/b"}, NormalCase{"/a/..", "/"},
                                         NormalCase{"/a/.", "/a/"}, NormalCase{"/a\\b", "/a/b"},
                                         NormalCase{"/%61/%2e%2e/x", "/x"},
                                         NormalCase{"/a%2Fb", "/a%2Fb"}, NormalCase{"/", "/"},
                                         NormalCase{"//", "/"}, NormalCase{"/a//", "/a/"},
                                         NormalCase{"/.hidden", "/.hidden"},
                                         NormalCase{"/a%", "/a%"}, NormalCase{"/a%4", "/a%4"}),
                         [](const auto& info) {
                           return test::case_name(info.index, info.param.in);
                         });

}  // namespace
}  // namespace coalmine::traffic
