#include "sim/traffic/path_index.h"

#include <gtest/gtest.h>

#include "sim/core/random.h"
#include "sim/traffic/route_index.h"

namespace coalmine::traffic {
namespace {

using Numbers = std::vector<std::size_t>;

Route route_for(StringMatch::Kind kind, std::string text) {
  Route out;
  StringMatch match;
  match.kind = kind;
  match.value = std::move(text);
  out.match.path.push_back(std::move(match));
  out.action = FixedResponse{};
  return out;
}
Route prefix(std::string text) {
  return route_for(StringMatch::Kind::Prefix, std::move(text));
}
Route exact(std::string text) {
  return route_for(StringMatch::Kind::Exact, std::move(text));
}
Route wildcard(std::string text) {
  return route_for(StringMatch::Kind::Wildcard, std::move(text));
}
Route any_path() {
  Route out;
  out.action = FixedResponse{};
  return out;
}

/// Who is asked about a path, in order, if nobody says yes.
Numbers asked(const std::vector<Route>& routes, std::string_view path) {
  const PathIndex index(routes);
  Numbers out;
  EXPECT_EQ(index.first(path,
                        [&](std::size_t i) {
                          out.push_back(i);
                          return false;
                        }),
            PathIndex::kNone);
  return out;
}

struct AskedCase {
  const char* name;
  std::string path;
  Numbers want;
};
class Asked : public testing::TestWithParam<AskedCase> {};

TEST_P(Asked, AreThoseWhosePathsMayFit) {
  const std::vector<Route> routes = {
      exact("/a"),        prefix("/a/b"), prefix("/a"),
      any_path(),         exact("/a/b"),  prefix("/ab"),
      wildcard("/w/*/x"), prefix("/"),    route_for(StringMatch::Kind::Regex, "/r.*")};
  EXPECT_EQ(asked(routes, GetParam().path), GetParam().want);
}

INSTANTIATE_TEST_SUITE_P(Paths, Asked,
                         testing::Values(AskedCase{"Exact", "/a", {0, 2, 3, 7, 8}},
                                         AskedCase{"ExactBelow", "/a/b", {1, 2, 3, 4, 7, 8}},
                                         AskedCase{"Below", "/a/b/c", {1, 2, 3, 7, 8}},
                                         AskedCase{"Beside", "/a/c", {2, 3, 7, 8}},
                                         AskedCase{"AStringPrefix", "/abc", {2, 3, 5, 7, 8}},
                                         AskedCase{"Wildcard", "/w/1/x", {3, 6, 7, 8}},
                                         AskedCase{"BeforeAll", "*", {3, 8}},
                                         AskedCase{"BehindAll", "/zzz", {3, 7, 8}},
                                         AskedCase{"Empty", "", {3, 8}}),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(PathIndex, AShortListIsGoneThrough) {
  const std::vector<Route> routes = {prefix("/a"), prefix("/b")};
  static_assert(PathIndex::kFewRoutes > 2);
  EXPECT_EQ(asked(routes, "/c"), (Numbers{0, 1}));
  EXPECT_EQ(PathIndex().first("/", [](std::size_t) { return true; }), PathIndex::kNone);
}

/// Texts of few letters, so that they often begin each other.
std::string some_path(Random& random) {
  std::string out = random.below(20) == 0 ? "" : "/";
  for (auto n = random.below(5); n > 0; --n) out += "ab/"[random.below(3)];
  return out;
}

StringMatch some_match(Random& random) {
  constexpr StringMatch::Kind kKinds[] = {StringMatch::Kind::Exact,  StringMatch::Kind::Prefix,
                                          StringMatch::Kind::Prefix, StringMatch::Kind::Suffix,
                                          StringMatch::Kind::Regex,  StringMatch::Kind::Wildcard,
                                          StringMatch::Kind::Present};
  StringMatch out;
  out.kind = kKinds[random.below(std::size(kKinds))];
  out.value = some_path(random);
  if (out.kind == StringMatch::Kind::Wildcard && random.below(3) > 0) {
    out.value.insert(random.below(out.value.size() + 1), random.below(2) ? "*" : "?");
  }
  if (out.kind == StringMatch::Kind::Regex) out.value += ".*";
  out.invert = random.below(10) == 0;
  out.ignore_case = random.below(10) == 0;
  return out;
}

// The one-question function goes through the list; every request must get the same route.
TEST(PathIndex, FindsWhatThePlainListFinds) {
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    Random random = Random(seed).split("paths");
    auto table = std::make_shared<RouteTable>();
    Listener& listener = table->listeners.emplace_back();
    listener.dialect = random.below(2) ? Dialect::Alb : Dialect::Envoy;
    for (auto n = random.below(40); n > 0; --n) {
      Route& route = listener.routes.emplace_back(any_path());
      for (auto k = random.below(3); k > 0; --k) route.match.path.push_back(some_match(random));
      if (random.below(4) == 0) route.match.methods = {"PUT"};
    }
    const auto index = RouteIndex::compile(table);
    ASSERT_TRUE(index) << index.error().message;
    for (int i = 0; i < 50; ++i) {
      const std::string path = some_path(random);
      RequestView request;
      request.path = path;
      request.method = random.below(2) ? "PUT" : "GET";
      const Route* want = nullptr;
      for (const Route& route : listener.routes) {
        if (want == nullptr && *match(route.match, request, listener.dialect)) want = &route;
      }
      std::string scratch;
      EXPECT_EQ(resolve((*index)->listeners()[0], request, 0, scratch).route, want)
          << "seed " << seed << " path " << path;
    }
  }
}

}  // namespace
}  // namespace coalmine::traffic
