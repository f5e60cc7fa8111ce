#include "sim/traffic/route_table.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "sim/core/random.h"
#include "sim/traffic/route_index.h"

namespace coalmine::traffic {
namespace {

Result<RouteTable> read(const std::string& text) {
  TRY(const Json json, parse_json(text));
  return route_table_from_json(json);
}

std::string table_with(const std::string& route) {
  return R"({"listeners":[{"port":9080,"routes":[)" + route + "]}]}";
}

TEST(RouteTableJson, ReadsTheShortForm) {
  const auto table =
      read(R"({"listeners":[{"port":9080,"routes":[{"match":{"prefix":"/"},"targets":[
      {"name":"v1","weight":99,"instances":["127.0.0.1:9001"]},
      {"name":"v2","weight":1,"instances":["127.0.0.1:9002"]}]}]}]})");
  ASSERT_TRUE(table) << table.error().message;
  ASSERT_EQ(table->listeners.size(), 1U);
  const Route& route = table->listeners[0].routes[0];
  EXPECT_EQ(route.match.path[0].kind, StringMatch::Kind::Prefix);
  const auto& forward = std::get<Forward>(route.action);
  EXPECT_EQ(forward.targets[0].weight, 99U);
  EXPECT_EQ(forward.targets[1].instances[0], (Instance{"127.0.0.1:9002", "127.0.0.1", 9002, true}));
  EXPECT_EQ(forward.timeouts.request, std::chrono::seconds(15));
}

struct BadCase {
  const char* name;
  std::string json;
  const char* want;
};
class BadTable : public testing::TestWithParam<BadCase> {};
TEST_P(BadTable, SaysWhereAndWhatIsAllowed) {
  const auto table = read(GetParam().json);
  ASSERT_FALSE(table);
  EXPECT_NE(table.error().message.find(GetParam().want), std::string::npos)
      << table.error().message;
}
INSTANTIATE_TEST_SUITE_P(
    Table, BadTable,
    testing::Values(
        BadCase{"NotAnObject", "[]", "a route table is an object"},
        BadCase{"NoListeners", "{}", "listeners: is missing"},
        BadCase{"UnknownKey", R"({"listeners":[],"x":1})",
                "x: is not known, allowed here: version, name, listeners"},
        BadCase{"NoPort", R"({"listeners":[{}]})", "listeners[0].port: is missing"},
        BadCase{"PortTooHigh", R"({"listeners":[{"port":65536}]})",
                "listeners[0].port: is 65536, allowed is a whole number from 0 to 65535"},
        BadCase{"PortTwice", R"({"listeners":[{"port":1},{"port":1}]})",
                "listeners[1].port: 1 is used by an earlier listener"},
        BadCase{"ProtocolUnknown", R"({"listeners":[{"port":1,"protocol":"grpc"}]})",
                "listeners[0].protocol: is \"grpc\", allowed is \"http\", \"tcp\""},
        BadCase{"TcpWithoutRoute", R"({"listeners":[{"port":1,"protocol":"tcp"}]})",
                "listeners[0].routes: a tcp listener has one route, with targets"},
        BadCase{"TcpWithMatch",
                R"({"listeners":[{"port":1,"protocol":"tcp","routes":[{"match":{"prefix":"/"},
                "targets":[{"name":"a"}]}]}]})",
                "listeners[0].routes[0].match: has no meaning for a tcp listener"},
        BadCase{"TcpWithRetry",
                R"({"listeners":[{"port":1,"protocol":"tcp","routes":[{
                "targets":[{"name":"a"}],"retry":{"on":["5xx"],"max_retries":1}}]}]})",
                "listeners[0].routes[0].retry: has no meaning for a tcp listener"},
        BadCase{"MirrorToNobody",
                table_with(R"({"targets":[{"name":"a"}],"mirror":{"target":"b"}})"),
                "listeners[0].routes[0].mirror.target: the route has no target \"b\""},
        BadCase{"MirrorPercent",
                table_with(R"({"targets":[{"name":"a"}],"mirror":{"target":"a","percent":101}})"),
                "mirror.percent: is 101, allowed is a number from 0 to 100"},
        BadCase{"MirrorOfABadTarget", table_with(R"({"targets":[{"name":"a"}],
                           "mirror":{"target":{"name":"s","instances":["x:1"]}}})"),
                "mirror.target.instances[0].address: \"x\" is not an IPv4 address"},
        BadCase{"MaxBody", table_with(R"({"targets":[{"name":"a"}],"max_body":-1})"),
                "max_body: is -1, allowed is a whole number from 0 to"},
        BadCase{"DesyncMode", R"({"listeners":[{"port":1,"dialect":"alb","desync":"lax"}]})",
                "listeners[0].desync: is \"lax\", allowed is \"defensive\", \"strictest\", "
                "\"monitor\""},
        BadCase{"DesyncOfEnvoy", R"({"listeners":[{"port":1,"desync":"monitor"}]})",
                "listeners[0]: desync and drop_invalid_headers are options of the alb dialect"},
        BadCase{"TlsWithoutKey", R"({"listeners":[{"port":1,"tls":{"certificate":"c"}}]})",
                "listeners[0].tls: needs a certificate and a key"},
        BadCase{"TlsMode",
                R"({"listeners":[{"port":1,"tls":{"certificate":"c","key":"k","mode":"x"}}]})",
                "listeners[0].tls.mode: is \"x\", allowed is \"strict\", \"permissive\""},
        BadCase{"TcpOfAnAlb", R"({"listeners":[{"port":1,"protocol":"tcp","dialect":"alb"}]})",
                "listeners[0].protocol: an alb listener takes http only"},
        BadCase{"NoAction", table_with("{}"),
                "listeners[0].routes[0]: needs exactly one of targets, chain"},
        BadCase{"NoTargets", table_with(R"({"targets":[]})"),
                "listeners[0].routes[0].targets: has 0 targets, allowed are 1 to 10"},
        BadCase{"WeightNegative", table_with(R"({"targets":[{"name":"a","weight":-1}]})"),
                "targets[0].weight: is -1, allowed is a whole number from 0 to 4294967295"},
        BadCase{"WeightFraction", table_with(R"({"targets":[{"name":"a","weight":1.5}]})"),
                "targets[0].weight: is 1.5"},
        BadCase{"WeightsSumToZero", table_with(R"({"targets":[{"name":"a","weight":0}]})"),
                "the weights sum to 0"},
        BadCase{
            "WeightsSumTooHigh",
            table_with(R"({"targets":[{"name":"a","weight":4294967295},{"name":"b","weight":1}]})"),
            "the weights sum to 4294967296"},
        BadCase{"NameTwice", table_with(R"({"targets":[{"name":"a"},{"name":"a"}]})"),
                "targets[1].name: \"a\" is used twice"},
        BadCase{"BadInstance",
                table_with(R"({"targets":[{"name":"a","instances":["localhost"]}]})"),
                "instances[0]: \"localhost\" must be ADDRESS:PORT"},
        BadCase{"BadAddress", table_with(R"({"targets":[{"name":"a","instances":["local:80"]}]})"),
                "instances[0].address: \"local\" is not an IPv4 address"},
        BadCase{"TwoWays",
                table_with(
                    R"({"match":{"path":[{"exact":"/","prefix":"/"}]},"targets":[{"name":"a"}]})"),
                "match.path[0]: needs exactly one of"},
        BadCase{"BadRegex", table_with(R"({"match":{"regex":"("},"targets":[{"name":"a"}]})"),
                "listeners[0].routes[0].match: regex \"(\""},
        BadCase{"BadRetry", table_with(R"({"targets":[{"name":"a"}],"retry":{"on":["never"]}})"),
                "\"never\" is unknown"},
        BadCase{"BadDuration",
                table_with(R"({"targets":[{"name":"a"}],"timeouts":{"request":"15"}})"),
                "timeouts.request"},
        BadCase{
            "OutlierPercent",
            table_with(R"({"targets":[{"name":"a","outlier":{"max_ejection_percent":101}}]})"),
            "targets[0].outlier.max_ejection_percent: is 101, allowed is a whole number from 0"},
        BadCase{"OutlierUnknown",
                table_with(R"({"targets":[{"name":"a","outlier":{"percent":1}}]})"),
                "targets[0].outlier.percent: is not known"},
        BadCase{"OutlierFactor", table_with(R"({"targets":[{"name":"a","outlier":{"success_rate":
                {"stdev_factor":-1}}}]})"),
                "targets[0].outlier.success_rate.stdev_factor: is -1, allowed is a number from 0"},
        BadCase{"OutlierNeverSwept",
                table_with(R"({"targets":[{"name":"a","outlier":{"interval":"0s"}}]})"),
                "targets[0].outlier: interval and base_ejection must be above 0"},
        BadCase{"NoConnection",
                table_with(R"({"targets":[{"name":"a","pool":{"max_connections":0}}]})"),
                "targets[0].pool.max_connections: is 0, allowed is a whole number from 1"},
        BadCase{"CheckWithoutPath",
                table_with(R"({"targets":[{"name":"a","health_check":{"path":"ping"}}]})"),
                "health_check.path: \"ping\" must begin with /"},
        BadCase{"CheckThatSmuggles",
                table_with(R"({"targets":[{"name":"a","health_check":{"path":"/ HTTP/1.1"}}]})"),
                "must begin with / and hold no blanks"},
        BadCase{"TargetTimeout",
                table_with(R"({"targets":[{"name":"a","timeouts":{"request":"-1s"}}]})"),
                "targets[0].timeouts"},
        BadCase{"BadSelection", table_with(R"({"targets":[{"name":"a"}],"selection":"rr"})"),
                "is \"rr\", allowed is \"random\", \"exact\""},
        BadCase{
            "TooDeep",
            table_with(
                R"({"chain":{"routes":[{"chain":{"routes":[{"chain":{"routes":[{"chain":{"routes":[]}}]}}]}}]}})"),
            "nested deeper than 4 levels"}),
    [](const auto& info) { return std::string(info.param.name); });

// --- random tables ---------------------------------------------------------------------------

class Maker {
 public:
  explicit Maker(std::uint64_t seed) : random_(seed) {}

  RouteTable table() {
    RouteTable out;
    out.version = random_.below(1000);
    out.name = word();
    const auto n = 1 + random_.below(3);
    for (std::uint64_t i = 0; i < n; ++i) {
      Listener listener;
      listener.name = random_.below(2) ? word() : "";
      listener.port = static_cast<int>(9000 + i);
      listener.dialect = random_.below(2) ? Dialect::Alb : Dialect::Envoy;
      listener.routes = routes(0);
      if (random_.below(3) == 0) listener.tls = {"c" + word(), "k" + word(), random_.below(2) == 0};
      if (random_.below(3) == 0) listener.max_body_bytes = random_.below(1000);
      if (listener.dialect == Dialect::Alb) {
        listener.desync = static_cast<DesyncMode>(random_.below(3));
        listener.drop_invalid_headers = random_.below(2) == 0;
      }
      out.listeners.push_back(std::move(listener));
    }
    return out;
  }

 private:
  std::string word() { return fmt::format("w{}", random_.below(8)); }

  StringMatch string_match() {
    StringMatch out;
    out.kind = static_cast<StringMatch::Kind>(random_.below(7));
    if (out.kind == StringMatch::Kind::Range) {
      out.start = static_cast<std::int64_t>(random_.below(10)) - 5;
      out.end = out.start + 1 + static_cast<std::int64_t>(random_.below(9));
    } else if (out.kind != StringMatch::Kind::Present) {
      out.value = "/" + word();
    }
    out.invert = random_.below(4) == 0;
    out.ignore_case = random_.below(4) == 0;
    return out;
  }
  std::vector<StringMatch> string_matches() {
    std::vector<StringMatch> out(random_.below(3));
    for (auto& m : out) m = string_match();
    return out;
  }
  std::vector<FieldMatch> fields() {
    std::vector<FieldMatch> out(random_.below(2));
    for (auto& f : out) f = {word(), string_matches()};
    return out;
  }
  Duration some_time() { return std::chrono::milliseconds(1 + random_.below(100'000)); }
  void policies(Target& target) {
    const auto count = [&] { return static_cast<int>(1 + random_.below(9)); };
    if (random_.below(3) == 0) target.timeouts = {some_time(), some_time()};
    if (random_.below(3) == 0) {
      target.outlier = {count(),     count(),     std::nullopt, some_time(),
                        some_time(), some_time(), count(),      false};
      if (random_.below(2)) target.outlier->success_rate = {count(), count(), 0.25 * count()};
    }
    if (random_.below(3) == 0) {
      target.pool = {static_cast<std::uint32_t>(count()), 0, static_cast<std::uint32_t>(count())};
    }
    if (random_.below(3) == 0) {
      const auto protocol =
          random_.below(2) ? HealthCheck::Protocol::Tcp : HealthCheck::Protocol::Http;
      target.health_check = {protocol,    "/" + word(), count(), some_time(),
                             some_time(), some_time(),  count(), count()};
    }
    if (random_.below(3) == 0) target.panic_percent = count();
  }
  Forward forward() {
    Forward out;
    const auto n = 1 + random_.below(4);
    for (std::uint64_t i = 0; i < n; ++i) {
      Target target;
      target.name = fmt::format("v{}", i);
      target.weight = static_cast<std::uint32_t>(1 + random_.below(100));
      for (auto k = random_.below(3); k > 0; --k) {
        const auto port = static_cast<int>(1 + random_.below(65535));
        target.instances.push_back({random_.below(2) ? word() : fmt::format("10.0.0.1:{}", port),
                                    "10.0.0.1", port, random_.below(3) != 0});
      }
      if (target.instances.empty()) target.unavailable = word();
      policies(target);
      out.targets.push_back(std::move(target));
    }
    out.selection = random_.below(2) ? Selection::Exact : Selection::Random;
    out.empty = random_.below(2) ? EmptyPolicy::FailOpen : EmptyPolicy::Refuse;
    if (random_.below(2))
      out.retry = {{"5xx", "reset"}, 3, Duration(random_.below(1'000'000'000'000))};
    if (random_.below(2)) out.timeouts = {Duration(random_.below(100)), std::chrono::minutes(5)};
    if (random_.below(2)) out.stickiness.duration = std::chrono::hours(24);
    if (random_.below(3) == 0) {
      out.mirror.emplace();
      if (random_.below(2)) out.mirror->other = out.targets.front();
      if (!out.mirror->other) out.mirror->target = "v0";
      out.mirror->percent = static_cast<double>(random_.below(1001)) / 10;
    }
    if (random_.below(3) == 0) out.max_body_bytes = random_.below(1000);
    return out;
  }
  std::vector<Route> routes(std::size_t depth) {
    std::vector<Route> out(random_.below(3) + (depth == 0 ? 1 : 0));
    for (auto& route : out) {
      route.name = random_.below(2) ? word() : "";
      if (random_.below(2)) route.priority = static_cast<int>(random_.below(1000));
      route.match.path = string_matches();
      route.match.host = string_matches();
      if (random_.below(3) == 0) route.match.methods = {"GET", "PUT"};
      route.match.headers = fields();
      route.match.query = fields();
      if (random_.below(3) == 0) route.match.source_cidrs = {"10.0.0.0/8"};
      if (random_.below(3) == 0) route.rewrite.hostname = word();
      if (random_.below(3) == 0) route.rewrite.prefix = "/";
      if (random_.below(5) == 0) route.rewrite.path = "/" + word();
      switch (random_.below(depth + 1 < kMaxNesting ? 4 : 3)) {
        case 0:
          route.action = forward();
          break;
        case 1:
          route.action =
              FixedResponse{static_cast<int>(200 + random_.below(400)), "text/x", word(), word()};
          break;
        case 2:
          route.action = Redirect{301, "HTTPS", word(), "443", "/" + word(), ""};
          break;
        default:
          route.action = Chain{word(), routes(depth + 1)};
      }
    }
    return out;
  }

  Random random_;
};

TEST(RouteTableJson, EveryTableSurvivesTheRoundTrip) {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    const RouteTable table = Maker(seed).table();
    const Json json = to_json(table);
    const auto back = route_table_from_json(json);
    ASSERT_TRUE(back) << "seed " << seed << ": " << back.error().message << "\n" << json.dump(1);
    ASSERT_EQ(*back, table) << "seed " << seed << "\n" << json.dump(1);
    const auto again = parse_json(json.dump());
    ASSERT_EQ(to_json(*route_table_from_json(*again)), json) << "seed " << seed;
  }
}

TEST(RouteIndex, ResolvesAnyRequestOnAnyTable) {
  Random random(7);
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const auto index = RouteIndex::compile(std::make_shared<RouteTable>(Maker(seed).table()));
    ASSERT_TRUE(index) << "seed " << seed << ": " << index.error().message;
    for (const ListenerIndex& listener : (*index)->listeners()) {
      for (int i = 0; i < 20; ++i) {
        const std::string path = fmt::format("/w{}/x", random.below(8));
        RequestView request;
        request.path = path;
        std::string scratch;
        const Decision decision = resolve(listener, request, random.next(), scratch);
        if (decision.refusal == Refusal::None && decision.forward != nullptr) {
          EXPECT_GT(decision.chosen().target->weight, 0U);
          EXPECT_FALSE(decision.chosen().usable.empty());
          EXPECT_TRUE(decision.path.starts_with('/'));
        } else {
          EXPECT_GE(local_reply(decision, *listener.listener, request).status, 200);
        }
      }
    }
  }
}

// --- resolve ---------------------------------------------------------------------------------

// A virtual gateway with the rewrites App Mesh gives by default, made explicit by the compiler.
const char* const kMeshTable = R"({"listeners":[{"port":9080,"routes":[
  {"name":"chapter","match":{"prefix":"/chapter"},"rewrite":{"prefix":"/","hostname":"chapter.local"},
   "chain":{"name":"chapter.local","routes":[
     {"name":"one","match":{"exact":"/1","host":[{"exact":"chapter.local"}]},
      "targets":[{"name":"v1","instances":["127.0.0.1:9001"]}]},
     {"name":"rest","match":{"prefix":"/"},
      "targets":[{"name":"v2","unavailable":"cloud map service v2.local is not registered"}]}]}},
  {"name":"fixed","match":{"exact":"/exact"},"rewrite":{"hostname":"exact.local"},
   "targets":[{"name":"v1","instances":["127.0.0.1:9001"]}]},
  {"name":"moved","match":{"regex":"/old/[0-9]+"},"rewrite":{"path":"/new"},
   "targets":[{"name":"v1","instances":["127.0.0.1:9001"]}]},
  {"name":"kept","match":{"prefix":"/kept"},
   "targets":[{"name":"v1","instances":["127.0.0.1:9001"]}]},
  {"name":"orphan","match":{"prefix":"/orphan"},"chain":{"name":"orphan.local","routes":[]}},
  {"name":"narrow","match":{"prefix":"/narrow"},"chain":{"name":"narrow.local","routes":[
     {"match":{"exact":"/no"},"targets":[{"name":"v1"}]}]}},
  {"name":"sick","match":{"prefix":"/sick"},
   "targets":[{"name":"v1","instances":[{"address":"127.0.0.1","port":1,"healthy":false}]}]},
  {"name":"open","match":{"prefix":"/open"},"empty":"fail-open",
   "targets":[{"name":"v1","instances":[{"address":"127.0.0.1","port":1,"healthy":false}]}]},
  {"name":"say","match":{"prefix":"/say"},"fixed_response":{"status":418,"body":"tea","reason":"a pot"}}
  ]}]})";

struct ResolveCase {
  const char* name;
  const char* path;
  const char* sent_path;  ///< null: answered here
  const char* sent_host = "";
  int status = 0;
  const char* reason = "";
};
class Resolve : public testing::TestWithParam<ResolveCase> {};

TEST_P(Resolve, RewritesOrRefusesAsAppMesh) {
  const auto table = read(kMeshTable);
  ASSERT_TRUE(table) << table.error().message;
  const auto index = RouteIndex::compile(std::make_shared<RouteTable>(*table));
  ASSERT_TRUE(index);
  RequestView request;
  request.path = GetParam().path;
  request.host = "localhost:9080";
  std::string scratch;
  const ListenerIndex& listener = *(*index)->listener(9080);
  const Decision decision = resolve(listener, request, 0, scratch);
  if (GetParam().sent_path != nullptr) {
    ASSERT_EQ(decision.refusal, Refusal::None);
    ASSERT_NE(decision.forward, nullptr);
    EXPECT_EQ(decision.path, GetParam().sent_path);
    EXPECT_EQ(decision.host, GetParam().sent_host);
    return;
  }
  const LocalReply reply = local_reply(decision, *listener.listener, request);
  EXPECT_EQ(reply.status, GetParam().status);
  EXPECT_EQ(reply.reason, GetParam().reason);
}

// Source: App Mesh user guide, gateway routes; misses: aws-app-mesh-roadmap#108 and user guide.
INSTANTIATE_TEST_SUITE_P(
    Table, Resolve,
    testing::Values(ResolveCase{"PrefixAndHostAreRewritten", "/chapter/1", "/1", "chapter.local"},
                    ResolveCase{"ExactPathIsKept", "/exact", "/exact", "exact.local"},
                    ResolveCase{"WholePathReplaced", "/old/12", "/new"},
                    ResolveCase{"NoRewriteNoChange", "/kept/x", "/kept/x"},
                    ResolveCase{"FailOpenUsesTheSick", "/open", "/open"},
                    ResolveCase{"UnregisteredServiceIsNamed", "/chapter/2", nullptr, "", 503,
                                "cloud map service v2.local is not registered"},
                    ResolveCase{
                        "NoRouteIs404", "/nowhere", nullptr, "", 404,
                        "no route of listener 9080 matches GET /nowhere for host localhost:9080"},
                    ResolveCase{"NoRouteBelowTheServiceIs404", "/narrow", nullptr, "", 404,
                                "no route of virtual service narrow.local matches GET /narrow"},
                    ResolveCase{"NoProviderIs503", "/orphan", nullptr, "", 503,
                                "virtual service orphan.local has no provider"},
                    ResolveCase{"OnlySickInstancesAre503", "/sick", nullptr, "", 503,
                                "target v1: none of its 1 instances is healthy"},
                    ResolveCase{"FixedResponse", "/say", nullptr, "", 418, "a pot"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(LocalReply, RedirectsFillTheirPlaceholders) {  // ALB user guide, redirect actions
  const auto table = read(R"({"listeners":[{"port":80,"dialect":"alb","routes":[
      {"redirect":{"status":301,"protocol":"HTTPS","port":"443","path":"/new/#{path}"}}]}]})");
  ASSERT_TRUE(table) << table.error().message;
  const auto index = RouteIndex::compile(std::make_shared<RouteTable>(*table));
  RequestView request;
  request.path = "/a/b";
  request.query = "q=1";
  request.host = "example.com:80";
  std::string scratch;
  const auto& listener = *(*index)->listener(80);
  const auto reply =
      local_reply(resolve(listener, request, 0, scratch), *listener.listener, request);
  EXPECT_EQ(reply.status, 301);
  EXPECT_EQ(reply.location, "https://example.com:443/new/a/b?q=1");
}

TEST(RouteIndex, ExactSelectionGoesOnAcrossSnapshots) {
  const auto table = [](int w1, int w2) {
    return std::make_shared<RouteTable>(*read(fmt::format(
        R"({{"listeners":[{{"port":1,"routes":[{{"name":"r","selection":"exact","targets":[
           {{"name":"v1","weight":{},"instances":["127.0.0.1:1"]}},
           {{"name":"v2","weight":{},"instances":["127.0.0.1:2"]}}]}}]}}]}})",
        w1, w2)));
  };
  auto index = *RouteIndex::compile(table(99, 1));
  int canary = 0;
  for (int change = 0; change < 50; ++change) {
    std::string scratch;
    for (int i = 0; i < 40; ++i) {
      canary += static_cast<int>(resolve(*index->listener(1), {}, 0, scratch).target);
    }
    index = *RouteIndex::compile(table(99, 1), index.get());
  }
  EXPECT_EQ(canary, 20) << "2,000 requests at 1%";
}

}  // namespace
}  // namespace coalmine::traffic
