#include "mock-aws/dataplane/route_compiler.h"

#include <gtest/gtest.h>

#include "sim/traffic/retry.h"
#include "tests/support/golden.h"
#include "tests/unit/mock_dataplane/mesh_fixture.h"

namespace coalmine::mock {
namespace {

using namespace std::chrono_literals;
using test::MeshLab;
using traffic::Chain;
using traffic::FixedResponse;
using traffic::Forward;

std::string text_of(const traffic::StringMatch& match) {
  static const char* kKinds[] = {"exact", "prefix", "suffix", "regex", "range", "present", "glob"};
  std::string text = kKinds[static_cast<int>(match.kind)];
  if (!match.value.empty()) text += " " + match.value;
  return text + (match.invert ? " inverted" : "");
}

/// A table as a person reads it.
std::string render(const std::vector<traffic::Route>& routes, const std::string& indent) {
  std::string out;
  for (const auto& route : routes) {
    out += fmt::format("{}route {}", indent, route.name);
    if (route.priority) out += fmt::format(" priority {}", *route.priority);
    for (const auto& path : route.match.path) out += ", path " + text_of(path);
    for (const auto& host : route.match.host) out += ", host " + text_of(host);
    if (route.rewrite.hostname) out += ", host := " + *route.rewrite.hostname;
    if (route.rewrite.prefix) out += ", prefix := " + *route.rewrite.prefix;
    if (route.rewrite.path) out += ", path := " + *route.rewrite.path;
    out += "\n";
    if (const auto* chain = std::get_if<Chain>(&route.action)) {
      out += fmt::format("{}  service {}\n{}", indent, chain->name,
                         render(chain->routes, indent + "    "));
    } else if (const auto* fixed = std::get_if<FixedResponse>(&route.action)) {
      out += fmt::format("{}  answer {}: {}\n", indent, fixed->status, fixed->reason);
    } else if (const auto* forward = std::get_if<Forward>(&route.action)) {
      out += fmt::format("{}  timeout {} idle {}, {} retries on {}\n", indent,
                         to_string(forward->timeouts.request), to_string(forward->timeouts.idle),
                         forward->retry.max_retries, fmt::join(forward->retry.on, " "));
      for (const auto& target : forward->targets) {
        out += fmt::format("{}  target {} weight {}", indent, target.name, target.weight);
        for (const auto& i : target.instances) {
          out += fmt::format(" [{} {}:{}{}]", i.id, i.address, i.port, i.healthy ? "" : " sick");
        }
        if (!target.unavailable.empty()) out += " unavailable: " + target.unavailable;
        out += "\n";
      }
    }
  }
  return out;
}

std::string render(const traffic::RouteTable& table) {
  std::string out = fmt::format("{} version {}\n", table.name, table.version);
  for (const auto& listener : table.listeners) {
    out += fmt::format("listener {} port {}\n{}", listener.name, listener.port,
                       render(listener.routes, "  "));
  }
  return out;
}

Forward first_forward(const traffic::RouteTable& table) {
  const auto& chain = std::get<Chain>(table.listeners.at(0).routes.at(0).action);
  return std::get<Forward>(chain.routes.at(0).action);
}

class Compile : public testing::Test {
 protected:
  Compile() { names.mesh = "m"; }
  void update_route(const Json& weights, Json more = Json::object()) {
    Json http = {{"match", {{"prefix", "/"}}}, {"action", {{"weightedTargets", weights}}}};
    http.update(more);
    lab.put("UpdateRoute", {{"virtualRouterName", names.router},
                            {"routeName", names.route},
                            {"spec", {{"httpRoute", http}}}});
  }
  /// Gives the only listener of a node more members.
  void listener_of(const std::string& node, const char* host, const Json& more,
                   const char* protocol = "http") {
    Json listeners = lab.listeners(9000, protocol);
    listeners[0].update(more);
    lab.put("UpdateVirtualNode",
            {{"virtualNodeName", node},
             {"spec",
              {{"serviceDiscovery", {{"dns", {{"hostname", host}}}}}, {"listeners", listeners}}}});
  }
  MeshLab lab;
  test::Names names = test::console_names();
};

TEST_F(Compile, TenStepsWithConsoleNames) {
  lab.ten_steps(test::console_names());
  const auto table = lab.compile("my-app-virtual-gateway");
  EXPECT_GOLDEN("mesh/console-names.txt", render(table));
  EXPECT_GOLDEN("mesh/console-names.json", dump_json(traffic::to_json(table), 2) + "\n");
}

// Pitfall: the virtual service lies outside the namespace and the router's port is not the
// nodes'; through the gateway traffic flows all the same, to the nodes' own port.
TEST_F(Compile, TenStepsWithPipelineNames) {
  lab.ten_steps(test::pipeline_names());
  const auto table = lab.compile("shop-mesh-virtual-gateway");
  EXPECT_GOLDEN("mesh/pipeline-names.txt", render(table));
  EXPECT_GOLDEN("mesh/pipeline-names.json", dump_json(traffic::to_json(table), 2) + "\n");
}

// Pitfall: everything is ACTIVE, yet a host name fits no Cloud Map service.
TEST_F(Compile, HostNameThatFitsNoServiceSaysSo) {
  lab.discoverable("my-app.local", {"svc1-v1", "svc1-v2"});
  lab.ten_steps(names, "svc1-v1.my-app.local", "svc1-v2.myapp.local");
  const auto forward = first_forward(lab.compile(names.gateway));
  EXPECT_EQ(forward.targets[0].unavailable, "");
  EXPECT_EQ(forward.targets[1].unavailable,
            "virtual node my-app-virtual-node-2: hostname svc1-v2.myapp.local does not match any "
            "Cloud Map service; known: svc1-v1.my-app.local, svc1-v2.my-app.local");
}

TEST_F(Compile, ServiceWithoutInstancesSaysSo) {
  lab.discoverable("my-app.local", {"svc1-v1"});
  lab.ten_steps(names, "svc1-v1.my-app.local", "localhost");
  const std::string service = lab.map.ok("ListServices", Json::object()).at("Services")[0].at("Id");
  lab.cloud_map.deregister_instance(service, "task-svc1-v1", lab.map.now);
  const auto table = lab.compile(names.gateway);
  const auto targets = first_forward(table).targets;
  EXPECT_EQ(targets[0].unavailable,
            "virtual node my-app-virtual-node-1: no instance of service svc1-v1.my-app.local is "
            "registered");
  EXPECT_EQ(targets[1].instances,
            (std::vector<traffic::Instance>{{"127.0.0.1", "127.0.0.1", 9000, true}}));
}

TEST_F(Compile, RevisionRisesWithMeshAndRegistry) {
  lab.ten_steps(test::console_names());
  names = test::console_names();
  auto revision = data_plane_revision(lab.app_mesh, lab.cloud_map);
  update_route({{{"virtualNode", names.node1}, {"weight", 50}}});
  EXPECT_EQ(data_plane_revision(lab.app_mesh, lab.cloud_map), ++revision);
  const std::string service = lab.map.ok("ListServices", Json::object()).at("Services")[0].at("Id");
  lab.cloud_map.register_instance(service, "x", {{"AWS_INSTANCE_IPV4", "127.1.0.9"}}, lab.map.now);
  EXPECT_EQ(data_plane_revision(lab.app_mesh, lab.cloud_map), ++revision);
}

TEST_F(Compile, WeightsAreRelativeAndRepeatedNodesMerge) {
  lab.ten_steps(names, "127.0.0.1", "127.0.0.2");
  update_route({{{"virtualNode", names.node1}, {"weight", 70}},
                {{"virtualNode", names.node2}, {"weight", 20}},
                {{"virtualNode", names.node1}, {"weight", 5}}});
  const auto table = lab.compile(names.gateway);
  const auto targets = first_forward(table).targets;
  ASSERT_EQ(targets.size(), 2U);
  EXPECT_EQ(targets[0].weight, 75U);
  EXPECT_EQ(targets[1].weight, 20U);
}

TEST_F(Compile, AllZeroWeightsKeepTheOldOnesLive) {
  lab.ten_steps(names, "127.0.0.1", "127.0.0.2");
  const auto before = lab.compile(names.gateway);
  update_route({{{"virtualNode", names.node1}, {"weight", 0}}});
  EXPECT_EQ(lab.compile(names.gateway), before);
}

TEST_F(Compile, LowerTimeoutWins) {
  lab.ten_steps(names, "127.0.0.1", "127.0.0.2");
  const Json one = {{{"virtualNode", names.node1}, {"weight", 1}}};
  const auto request = [&] { return first_forward(lab.compile(names.gateway)).timeouts.request; };
  EXPECT_EQ(request(), 15s);
  update_route(one, {{"timeout", {{"perRequest", {{"unit", "s"}, {"value", 60}}}}}});
  EXPECT_EQ(request(), 15s) << "the node's listener still has its default";
  lab.put("UpdateVirtualNode",
          {{"virtualNodeName", names.node1},
           {"spec",
            {{"serviceDiscovery", {{"dns", {{"hostname", "127.0.0.1"}}}}},
             {"listeners",
              {{{"portMapping", {{"port", 9000}, {"protocol", "http"}}},
                {"timeout", {{"http", {{"perRequest", {{"unit", "ms"}, {"value", 0}}}}}}}}}}}}});
  EXPECT_EQ(request(), 60s) << "0 is no limit";
  update_route(one, {{"timeout", {{"perRequest", {{"unit", "ms"}, {"value", 250}}}}}});
  EXPECT_EQ(request(), 250ms);
}

TEST_F(Compile, EveryNodeHasItsOwnTimeouts) {
  lab.ten_steps(names, "127.0.0.1", "127.0.0.2");
  listener_of(names.node2, "127.0.0.2",
              {{"timeout", {{"http", {{"idle", {{"unit", "s"}, {"value", 7}}}}}}}});
  const auto forward = first_forward(lab.compile(names.gateway));
  EXPECT_EQ(forward.timeouts, (traffic::Timeouts{15s, 300s}));
  EXPECT_EQ(forward.targets[0].timeouts, std::nullopt);
  EXPECT_EQ(forward.targets[1].timeouts, (traffic::Timeouts{15s, 7s}));
}

TEST_F(Compile, OutlierDetectionPoolAndHealthCheckAreTheListeners) {
  lab.ten_steps(names, "127.0.0.1", "127.0.0.2");
  listener_of(names.node2, "127.0.0.2", Json::parse(R"({
      "outlierDetection": {"maxServerErrors": 3, "interval": {"unit": "s", "value": 4},
                           "baseEjectionDuration": {"unit": "ms", "value": 500},
                           "maxEjectionPercent": 60},
      "connectionPool": {"http": {"maxConnections": 10, "maxPendingRequests": 4}},
      "healthCheck": {"protocol": "http", "path": "/ping", "healthyThreshold": 2,
                      "unhealthyThreshold": 3, "intervalMillis": 5000, "timeoutMillis": 2000}})"));
  const auto targets = first_forward(lab.compile(names.gateway)).targets;
  EXPECT_EQ(targets[0].outlier, std::nullopt);
  EXPECT_EQ(targets[0].pool, traffic::PoolLimits{}) << "no limits (App Mesh's Envoy defaults)";
  traffic::OutlierPolicy outlier;
  outlier.consecutive_errors = 3;
  outlier.interval = 4s;
  outlier.base_ejection = 500ms;
  outlier.max_ejection_percent = 60;
  EXPECT_EQ(targets[1].outlier, outlier);
  EXPECT_EQ(targets[1].pool, (traffic::PoolLimits{10, 4, traffic::PoolLimits::kNone}));
  using traffic::HealthCheck;
  EXPECT_EQ(targets[1].health_check,
            (HealthCheck{HealthCheck::Protocol::Http, "/ping", 0, 5s, {}, 2s, 2, 3}));
}

// Requests of an HTTP/2 node never wait; over HTTP/1.1 each of them has a connection.
TEST_F(Compile, RequestLimitOfAnHttp2NodeLimitsConnections) {
  lab.ten_steps(names, "127.0.0.1", "127.0.0.2");
  listener_of(names.node2, "127.0.0.2", {{"connectionPool", {{"http2", {{"maxRequests", 5}}}}}},
              "http2");
  EXPECT_EQ(first_forward(lab.compile(names.gateway)).targets[1].pool,
            (traffic::PoolLimits{5, 0, traffic::PoolLimits::kNone}));
}

TEST_F(Compile, RetryPolicyReplacesTheDefault) {
  lab.ten_steps(names, "127.0.0.1", "127.0.0.2");
  update_route({{{"virtualNode", names.node1}, {"weight", 1}}},
               {{"retryPolicy",
                 {{"maxRetries", 5},
                  {"perRetryTimeout", {{"unit", "ms"}, {"value", 100}}},
                  {"httpRetryEvents", {"server-error"}},
                  {"tcpRetryEvents", {"connection-error"}}}}});
  EXPECT_EQ(first_forward(lab.compile(names.gateway)).retry,
            (traffic::RetryPolicy{{"server-error", "connection-error"}, 5, 100ms}));
}

// --- gateway routes: order and rewrites --------------------------------------------------------

TEST_F(Compile, GatewayRoutesAreSortedAndRewritten) {
  lab.ten_steps(names, "127.0.0.1", "127.0.0.2");
  const auto add = [&](const char* name, Json match, Json rewrite = nullptr,
                       Json priority = nullptr) {
    Json action = {{"target", {{"virtualService", {{"virtualServiceName", names.service}}}}}};
    if (!rewrite.is_null()) action["rewrite"] = rewrite;
    Json spec = {{"httpRoute", {{"match", match}, {"action", action}}}};
    if (!priority.is_null()) spec["priority"] = priority;
    lab.put("CreateGatewayRoute",
            {{"virtualGatewayName", names.gateway}, {"gatewayRouteName", name}, {"spec", spec}});
  };
  add("a-short", {{"prefix", "/a"}});
  add("b-long", {{"prefix", "/a/long/"}}, {{"prefix", {{"value", "/x/"}}}});
  add("c-exact", {{"path", {{"exact", "/a"}}}}, {{"path", {{"exact", "/z"}}}});
  add("d-regex", {{"path", {{"regex", "/a.*"}}}});
  add("e-kept", {{"prefix", "/keep/"}},
      {{"hostname", {{"defaultTargetHostname", "DISABLED"}}},
       {"prefix", {{"defaultPrefix", "DISABLED"}}}});
  add("f-first", {{"prefix", "/"}}, nullptr, 0);
  add("g-host", {{"prefix", "/"}, {"hostname", {{"suffix", ".shop.local"}}}});
  auto table = lab.compile(names.gateway);
  std::string lines;
  for (auto& route : table.listeners.at(0).routes) {
    route.action = Chain{"svc", {}};
    lines += render({route}, "");
  }
  EXPECT_EQ(lines,
            "route f-first priority 0, path prefix /, host := svc1-v1.my-app.local, prefix := /\n"
            "  service svc\n"
            "route g-host, path prefix /, host suffix .shop.local, host := svc1-v1.my-app.local, "
            "prefix := /\n  service svc\n"
            "route c-exact, path exact /a, host := svc1-v1.my-app.local, path := /z\n"
            "  service svc\n"
            "route d-regex, path regex /a.*, host := svc1-v1.my-app.local\n  service svc\n"
            "route b-long, path prefix /a/long/, host := svc1-v1.my-app.local, prefix := /x/\n"
            "  service svc\n"
            "route e-kept, path prefix /keep/\n  service svc\n"
            "route a-short, path prefix /a, host := svc1-v1.my-app.local, prefix := /\n"
            "  service svc\n"
            "route my-app-gateway-route, path prefix /, host := svc1-v1.my-app.local, "
            "prefix := /\n  service svc\n");
}

TEST_F(Compile, HeaderQueryAndMethodMatch) {
  lab.ten_steps(names, "127.0.0.1", "127.0.0.2");
  update_route({{{"virtualNode", names.node1}, {"weight", 1}}},
               {{"match", Json::parse(R"({"prefix":"/","method":"GET","headers":[
                   {"name":"a","match":{"exact":"1"}},{"name":"b","invert":true},
                   {"name":"c","match":{"range":{"start":1,"end":9}}}],
                   "queryParameters":[{"name":"q","match":{"exact":"x"}}]})")}});
  const auto table = lab.compile(names.gateway);
  const auto& match = std::get<Chain>(table.listeners.at(0).routes.at(0).action).routes.at(0).match;
  using traffic::StringMatch;
  EXPECT_EQ(match.methods, std::vector<std::string>{"GET"});
  ASSERT_EQ(match.headers.size(), 3U);
  EXPECT_EQ(match.headers[0].any_of.at(0).value, "1");
  EXPECT_EQ(match.headers[1].any_of.at(0).kind, StringMatch::Kind::Present);
  EXPECT_TRUE(match.headers[1].any_of.at(0).invert);
  EXPECT_EQ(match.headers[2].any_of.at(0).end, 9);
  EXPECT_EQ(match.query.at(0).any_of.at(0).kind, StringMatch::Kind::Exact);
}

// --- what cannot be served -----------------------------------------------------------------------

std::string refusal(const traffic::RouteTable& table) {
  const auto& chain = std::get<Chain>(table.listeners.at(0).routes.at(0).action);
  const auto& fixed = std::get<FixedResponse>(chain.routes.at(0).action);
  return fmt::format("{} {}", fixed.status, fixed.reason);
}

TEST_F(Compile, ServiceWithoutProviderIs503) {
  lab.ten_steps(names, "127.0.0.1", "127.0.0.2");
  lab.put("UpdateVirtualService",
          {{"virtualServiceName", names.service}, {"spec", Json::object()}});
  EXPECT_EQ(refusal(lab.compile(names.gateway)),
            "503 virtual service svc1-v1.my-app.local has no provider");
}

TEST_F(Compile, RouterWithoutRoutesIs404) {
  lab.ten_steps(names, "127.0.0.1", "127.0.0.2");
  lab.put("DeleteRoute", {{"virtualRouterName", names.router}, {"routeName", names.route}});
  EXPECT_EQ(refusal(lab.compile(names.gateway)),
            "404 virtual router my-app-virtual-router has no route");
}

TEST_F(Compile, NodeAsProviderTakesAllTraffic) {
  lab.ten_steps(names, "127.0.0.1", "127.0.0.2");
  lab.put("UpdateVirtualService",
          {{"virtualServiceName", names.service},
           {"spec", {{"provider", {{"virtualNode", {{"virtualNodeName", names.node2}}}}}}}});
  const auto table = lab.compile(names.gateway);
  EXPECT_EQ(first_forward(table).targets.at(0).instances.at(0).address, "127.0.0.2");
  EXPECT_EQ(first_forward(table).retry, traffic::app_mesh_default_retries());
}

TEST_F(Compile, GrpcAndTcpRoutesAnswer501) {
  lab.mesh_name = "m";
  lab.ten_steps(names, "127.0.0.1", "127.0.0.2");
  lab.put("CreateVirtualRouter",
          {{"virtualRouterName", "tcp"}, {"spec", {{"listeners", lab.listeners(1, "tcp")}}}});
  lab.put(
      "CreateRoute",
      {{"virtualRouterName", "tcp"},
       {"routeName", "t"},
       {"spec",
        {{"tcpRoute",
          {{"action", {{"weightedTargets", {{{"virtualNode", names.node1}, {"weight", 1}}}}}}}}}}});
  lab.put("UpdateVirtualService",
          {{"virtualServiceName", names.service},
           {"spec", {{"provider", {{"virtualRouter", {{"virtualRouterName", "tcp"}}}}}}}});
  EXPECT_EQ(refusal(lab.compile(names.gateway)),
            "501 route t is a tcpRoute; only HTTP routes carry traffic");
  EXPECT_EQ(lab.compile(names.gateway).problems,
            std::vector<std::string>{"route t is a tcpRoute; only HTTP routes carry traffic"});
}

TEST_F(Compile, OtherProtocolsThanHttp1AreAProblemThatIsNamed) {
  lab.mesh_name = "m";
  lab.ten_steps(names, "127.0.0.1", "127.0.0.2");
  EXPECT_EQ(lab.compile(names.gateway).problems, std::vector<std::string>{});
  for (const char* protocol : {"http2", "grpc"}) {
    lab.put("UpdateVirtualGateway", {{"virtualGatewayName", names.gateway},
                                     {"spec", {{"listeners", lab.listeners(9080, protocol)}}}});
    EXPECT_EQ(lab.compile(names.gateway).problems,
              std::vector<std::string>{fmt::format(
                  "listener 9080: {} is asked for, only HTTP/1.1 is served", protocol)});
  }
}

TEST_F(Compile, TheAccessLogIsWhereTheGatewaySays) {
  lab.mesh_name = "m";
  lab.ten_steps(names, "127.0.0.1", "127.0.0.2");
  EXPECT_EQ(lab.compile(names.gateway).access_log, "");
  Json spec = {{"listeners", lab.listeners(9080)},
               {"logging", {{"accessLog", {{"file", {{"path", "/dev/stdout"}}}}}}}};
  lab.put("UpdateVirtualGateway", {{"virtualGatewayName", names.gateway}, {"spec", spec}});
  EXPECT_EQ(lab.compile(names.gateway).access_log, "/dev/stdout");
  EXPECT_EQ(lab.compile(names.gateway).problems, std::vector<std::string>{});
  spec["logging"]["accessLog"]["file"]["format"] = {{"text", "%START_TIME%"}};
  lab.put("UpdateVirtualGateway", {{"virtualGatewayName", names.gateway}, {"spec", spec}});
  EXPECT_EQ(lab.compile(names.gateway).problems.size(), 1U);
}

struct TlsCase {
  const char* name;
  Json tls;
  std::optional<traffic::ListenerTls> want;
  const char* problem;  ///< of the listener, which refuses all requests then
};
class CompileTls : public Compile, public testing::WithParamInterface<TlsCase> {};

TEST_P(CompileTls, GivesTheListenerItsCertificateOrSaysWhyNot) {
  const TlsCase& row = GetParam();
  lab.mesh_name = "m";
  lab.ten_steps(names, "127.0.0.1", "127.0.0.2");
  Json listeners = lab.listeners(9080);
  listeners[0]["tls"] = row.tls;
  lab.put("UpdateVirtualGateway",
          {{"virtualGatewayName", names.gateway}, {"spec", {{"listeners", listeners}}}});
  const traffic::RouteTable table = lab.compile(names.gateway);
  EXPECT_EQ(table.listeners.at(0).tls, row.want);
  if (row.problem == nullptr) {
    EXPECT_EQ(table.problems, std::vector<std::string>{});
  } else {
    const std::string text =
        "listener my-app-virtual-gateway:9080 wants TLS " + std::string(row.problem);
    EXPECT_EQ(table.problems, std::vector<std::string>{text});
    ASSERT_EQ(table.listeners[0].routes.size(), 1U);
    EXPECT_EQ(std::get<traffic::FixedResponse>(table.listeners[0].routes[0].action).reason, text);
  }
}

const Json kFile = {{"file", {{"certificateChain", "/c.pem"}, {"privateKey", "/k.pem"}}}};
// App Mesh API reference, VirtualGatewayListenerTls
INSTANTIATE_TEST_SUITE_P(
    Modes, CompileTls,
    testing::Values(
        TlsCase{"Strict",
                {{"mode", "STRICT"}, {"certificate", kFile}},
                traffic::ListenerTls{"/c.pem", "/k.pem", false},
                nullptr},
        TlsCase{"Permissive",
                {{"mode", "PERMISSIVE"}, {"certificate", kFile}},
                traffic::ListenerTls{"/c.pem", "/k.pem", true},
                nullptr},
        TlsCase{"Disabled", {{"mode", "DISABLED"}, {"certificate", kFile}}, {}, nullptr},
        TlsCase{"Acm",
                {{"mode", "STRICT"},
                 {"certificate",
                  {{"acm",
                    {{"certificateArn",
                      "arn:aws:acm:us-east-1:123456789012:certificate/"
                      "12345678-1234-1234-1234-123456789012"}}}}}},
                {},
                "with a certificate from ACM, of which there is none here; use one from a file"},
        TlsCase{"Sds",
                {{"mode", "STRICT"}, {"certificate", {{"sds", {{"secretName", "s"}}}}}},
                {},
                "with a certificate from SDS, which is not served here; use one from a file"},
        TlsCase{"ClientCertificates",
                {{"mode", "STRICT"},
                 {"certificate", kFile},
                 {"validation", {{"trust", {{"file", {{"certificateChain", "/ca.pem"}}}}}}}},
                {},
                "with client certificates, which are not checked here"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST_F(Compile, UnknownGatewayNamesTheKnownOnes) {
  lab.ten_steps(names, "127.0.0.1", "127.0.0.2");
  const auto table = compile_virtual_gateway(lab.app_mesh, lab.cloud_map, "m", "nope", 1);
  ASSERT_FALSE(table);
  EXPECT_EQ(table.error().message, "no virtual gateway m/nope; known: m/my-app-virtual-gateway");
}

}  // namespace
}  // namespace coalmine::mock
