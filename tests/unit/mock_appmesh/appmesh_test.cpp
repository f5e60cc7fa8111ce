#include "mock-aws/services/appmesh/appmesh.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "mock-aws/services/appmesh/resource.h"
#include "tests/support/service_harness.h"

namespace coalmine::mock {
namespace {

using test::Caller;
using test::RecordingSink;

Json json(const char* text) {
  return Json::parse(text);
}

Json node_spec(const char* host = "v1.app.local") {
  return {{"listeners", {{{"portMapping", {{"port", 9000}, {"protocol", "http"}}}}}},
          {"serviceDiscovery", {{"dns", {{"hostname", host}}}}}};
}

Json route_spec(int v1, int v2) {
  return {
      {"httpRoute",
       {{"match", {{"prefix", "/"}}},
        {"action",
         {{"weightedTargets",
           {{{"virtualNode", "n1"}, {"weight", v1}}, {{"virtualNode", "n2"}, {"weight", v2}}}}}}}}};
}

Json gateway_route_spec(const char* service = "svc.local") {
  return {{"httpRoute",
           {{"match", {{"prefix", "/"}}},
            {"action", {{"target", {{"virtualService", {{"virtualServiceName", service}}}}}}}}}};
}

/// Mesh m with nodes n1, n2, router r, route x, service svc.local, gateway g, gateway route gr.
class AppMeshTest : public testing::Test {
 protected:
  void build() {
    call.ok("CreateMesh", {{"meshName", "m"}});
    for (const char* node : {"n1", "n2"}) {
      call.ok("CreateVirtualNode",
              {{"meshName", "m"}, {"virtualNodeName", node}, {"spec", node_spec()}});
    }
    call.ok("CreateVirtualRouter",
            {{"meshName", "m"},
             {"virtualRouterName", "r"},
             {"spec", json(R"({"listeners":[{"portMapping":{"port":8080,"protocol":"http"}}]})")}});
    call.ok("CreateRoute", {{"meshName", "m"},
                            {"virtualRouterName", "r"},
                            {"routeName", "x"},
                            {"spec", route_spec(99, 1)}});
    call.ok("CreateVirtualService",
            {{"meshName", "m"},
             {"virtualServiceName", "svc.local"},
             {"spec", json(R"({"provider":{"virtualRouter":{"virtualRouterName":"r"}}})")}});
    call.ok("CreateVirtualGateway",
            {{"meshName", "m"},
             {"virtualGatewayName", "g"},
             {"spec", json(R"({"listeners":[{"portMapping":{"port":9080,"protocol":"http"}}]})")}});
    call.ok("CreateGatewayRoute", {{"meshName", "m"},
                                   {"virtualGatewayName", "g"},
                                   {"gatewayRouteName", "gr"},
                                   {"spec", gateway_route_spec()}});
  }

  RecordingSink sink;
  AppMesh mesh{Scope{}, Random{1}, sink};
  Caller call{mesh};
};

TEST_F(AppMeshTest, ImplementsAll38Operations) {
  int count = 0;
  for (const auto& words : appmesh::kKinds) {
    for (const char* verb : {"Create", "Describe", "Update", "Delete"}) {
      count += mesh.implements(std::string(verb) + std::string(words.noun));
    }
    count += mesh.implements("List" + std::string(words.plural));
  }
  for (const char* op : {"TagResource", "UntagResource", "ListTagsForResource"}) {
    count += mesh.implements(op);
  }
  EXPECT_EQ(count, 38);
  EXPECT_FALSE(mesh.implements("CreateNothing"));
}

TEST_F(AppMeshTest, CreateAnswersThePayloadMember) {
  const Json reply = call.ok("CreateMesh", {{"meshName", "m"}});
  const Json& made = reply.at("mesh");
  EXPECT_EQ(made.at("meshName"), "m");
  EXPECT_EQ(made.at("spec"), Json::object());
  EXPECT_EQ(made.at("status").at("status"), "ACTIVE");
  EXPECT_EQ(made.at("metadata").at("version"), 1);
  EXPECT_EQ(made.at("metadata").at("arn"), "arn:aws:appmesh:us-east-1:000000000000:mesh/m");
  EXPECT_EQ(made.at("metadata").at("createdAt"), 1767225600.0);
  EXPECT_EQ(made.at("metadata").at("uid").get<std::string>().size(), 36U);
}

TEST_F(AppMeshTest, ArnsNameTheWholePath) {
  build();
  const std::string base = "arn:aws:appmesh:us-east-1:000000000000:mesh/m";
  const Json in = {{"meshName", "m"},
                   {"virtualRouterName", "r"},
                   {"routeName", "x"},
                   {"virtualGatewayName", "g"},
                   {"gatewayRouteName", "gr"},
                   {"virtualNodeName", "n1"},
                   {"virtualServiceName", "svc.local"}};
  const auto arn = [&](const char* op, const char* member) {
    return call.ok(op, in).at(member).at("metadata").at("arn").get<std::string>();
  };
  EXPECT_EQ(arn("DescribeRoute", "route"), base + "/virtualRouter/r/route/x");
  EXPECT_EQ(arn("DescribeGatewayRoute", "gatewayRoute"),
            base + "/virtualGateway/g/gatewayRoute/gr");
  EXPECT_EQ(arn("DescribeVirtualNode", "virtualNode"), base + "/virtualNode/n1");
  EXPECT_EQ(arn("DescribeVirtualService", "virtualService"), base + "/virtualService/svc.local");
}

TEST_F(AppMeshTest, UpdateRaisesVersionAndTellsTheWeights) {
  build();
  const auto before = mesh.revision();
  call.now += std::chrono::seconds{5};
  const Json in = {{"meshName", "m"},
                   {"virtualRouterName", "r"},
                   {"routeName", "x"},
                   {"spec", route_spec(70, 20)}};
  const Json route = call.ok("UpdateRoute", in).at("route");
  EXPECT_EQ(route.at("metadata").at("version"), 2);
  EXPECT_EQ(route.at("metadata").at("lastUpdatedAt"), 1767225605.0);
  EXPECT_EQ(route.at("metadata").at("createdAt"), 1767225600.0);
  EXPECT_EQ(route.at("virtualRouterName"), "r");
  EXPECT_EQ(mesh.revision(), before + 1);
  EXPECT_EQ(sink.events.back().first, "route.updated");
  EXPECT_EQ(sink.events.back().second.at("weights"), json(R"({"n1":70,"n2":20})"));
  // Identical: a new version, the same traffic.
  EXPECT_EQ(call.ok("UpdateRoute", in).at("route").at("metadata").at("version"), 3);
  EXPECT_EQ(mesh.revision(), before + 1);
}

TEST_F(AppMeshTest, AllZeroWeightsAreStoredButNotLive) {
  build();
  call.ok("UpdateRoute", {{"meshName", "m"},
                          {"virtualRouterName", "r"},
                          {"routeName", "x"},
                          {"spec", route_spec(0, 0)}});
  const auto* route = mesh.find({"m", appmesh::Kind::Route, "r", "x"});
  EXPECT_EQ(route->spec, route_spec(0, 0));
  EXPECT_EQ(route->live_spec, route_spec(99, 1));
}

TEST_F(AppMeshTest, DeletesOnlyInOrder) {
  build();
  const Json in = {{"meshName", "m"},
                   {"virtualRouterName", "r"},
                   {"routeName", "x"},
                   {"virtualGatewayName", "g"},
                   {"gatewayRouteName", "gr"},
                   {"virtualNodeName", "n1"},
                   {"virtualServiceName", "svc.local"}};
  const std::string busy = "ResourceInUseException: ";
  EXPECT_EQ(call.fails("DeleteMesh", in),
            busy +
                "Mesh m for account 000000000000 has active VirtualGateways, please delete "
                "VirtualGateways before deleting the Mesh");
  EXPECT_EQ(call.fails("DeleteVirtualGateway", in),
            busy + "VirtualGateway you're trying to delete g has active gateway routes");
  EXPECT_EQ(call.fails("DeleteVirtualService", in),
            busy +
                "VirtualService svc.local is being referenced in the following: "
                "GATEWAY_ROUTE: [gr]");
  EXPECT_EQ(call.fails("DeleteVirtualNode", in),
            busy +
                "VirtualNode with name n1 cannot be deleted because it is the target of one or "
                "more routes.");
  EXPECT_EQ(call.fails("DeleteVirtualRouter", in),
            busy + "VirtualRouter you're trying to delete r has active routes");
  EXPECT_EQ(call.ok("DeleteGatewayRoute", in).at("gatewayRoute").at("status").at("status"),
            "DELETED");
  call.ok("DeleteVirtualGateway", in);
  call.ok("DeleteRoute", in);
  EXPECT_EQ(call.fails("DeleteVirtualRouter", in),
            busy +
                "VirtualRouter with name r cannot be deleted because it is a VirtualService "
                "provider");
  call.ok("DeleteVirtualService", in);
  call.ok("DeleteVirtualRouter", in);
  EXPECT_EQ(call.fails("DeleteMesh", in),
            busy +
                "Mesh m for account 000000000000 has active VirtualNodes, please delete "
                "VirtualNodes before deleting the Mesh");
  call.ok("DeleteVirtualNode", in);
  call.ok("DeleteVirtualNode", {{"meshName", "m"}, {"virtualNodeName", "n2"}});
  call.ok("DeleteMesh", in);
  EXPECT_EQ(call.fails("DescribeMesh", in).substr(0, 18), "NotFoundException:");
}

TEST_F(AppMeshTest, ClientTokenReplaysOrConflicts) {
  Json in = {{"meshName", "m"}, {"clientToken", "t-1"}};
  const Json first = call.ok("CreateMesh", in);
  EXPECT_EQ(call.ok("CreateMesh", in), first);
  in["meshName"] = "other";
  EXPECT_EQ(call.fails("CreateMesh", in),
            "ConflictException: clientToken t-1 was used with another request");
  in["clientToken"] = std::string(AppMesh::kMaxClientToken, 'x');
  call.ok("CreateMesh", in);
  in["clientToken"] = std::string(AppMesh::kMaxClientToken + 1, 'x');
  EXPECT_EQ(call.fails("CreateMesh", in).substr(0, 20), "BadRequestException:");
}

TEST_F(AppMeshTest, PagesSurviveChangesBetweenThem) {
  for (const char* name : {"a", "b", "c", "d"}) call.ok("CreateMesh", {{"meshName", name}});
  const Json first = call.ok("ListMeshes", {{"limit", 2}});
  ASSERT_EQ(first.at("meshes").size(), 2U);
  EXPECT_EQ(first.at("meshes")[1].at("meshName"), "b");
  EXPECT_FALSE(first.at("meshes")[0].contains("uid"));
  EXPECT_FALSE(first.at("meshes")[0].contains("spec"));
  call.ok("DeleteMesh", {{"meshName", "a"}});
  const Json rest = call.ok("ListMeshes", {{"limit", 2}, {"nextToken", first.at("nextToken")}});
  ASSERT_EQ(rest.at("meshes").size(), 2U);
  EXPECT_EQ(rest.at("meshes")[0].at("meshName"), "c");
  EXPECT_FALSE(rest.contains("nextToken"));
  EXPECT_EQ(call.fails("ListMeshes", {{"nextToken", "nonsense"}}).substr(0, 20),
            "BadRequestException:");
}

TEST_F(AppMeshTest, TagsAreLimitedAllOrNothing) {
  call.ok("CreateMesh", {{"meshName", "m"}, {"tags", json(R"([{"key":"a","value":"1"}])")}});
  const std::string arn = "arn:aws:appmesh:us-east-1:000000000000:mesh/m";
  Json tags = Json::array();
  for (int i = 0; i < 50; ++i) tags.push_back({{"key", std::to_string(i)}, {"value", ""}});
  EXPECT_EQ(call.fails("TagResource", {{"resourceArn", arn}, {"tags", tags}}).substr(0, 21),
            "TooManyTagsException:");
  EXPECT_EQ(call.ok("ListTagsForResource", {{"resourceArn", arn}}),
            json(R"({"tags":[{"key":"a","value":"1"}]})"));
  call.ok("UntagResource", {{"resourceArn", arn}, {"tagKeys", {"a"}}});
  call.ok("TagResource", {{"resourceArn", arn}, {"tags", tags}});
  EXPECT_EQ(call.ok("ListTagsForResource", {{"resourceArn", arn}}).at("tags").size(), 50U);
  EXPECT_EQ(call.fails("TagResource", {{"resourceArn", "arn:x"}, {"tags", tags}}),
            "NotFoundException: Resource with ARN arn:x is not present");
}

// --- one row per rule --------------------------------------------------------------------------

struct RuleCase {
  const char* name;
  const char* operation;
  const char* input;  ///< added to {"meshName":"m"}
  const char* want;   ///< start of "Code: message"
};

class AppMeshRule : public AppMeshTest, public testing::WithParamInterface<RuleCase> {};

TEST_P(AppMeshRule, IsChecked) {
  build();
  const auto revision = mesh.revision();
  Json in = json(GetParam().input);
  if (!in.contains("meshName")) in["meshName"] = "m";
  const std::string got = call.fails(GetParam().operation, in);
  EXPECT_EQ(got.substr(0, std::string(GetParam().want).size()), GetParam().want) << got;
  if (got != "ok") {
    EXPECT_EQ(mesh.revision(), revision) << "a refused call changes nothing";
  }
}

#define ROUTE(BODY) R"({"virtualRouterName":"r","routeName":"y","spec":)" BODY "}"
#define HTTP(MATCH, MORE)                 \
  ROUTE(R"({"httpRoute":{"match":)" MATCH \
        R"(,"action":{"weightedTargets":[{"virtualNode":"n1","weight":1}]})" MORE "}}")
#define GROUTE(MATCH, ACTION)                                                               \
  R"({"virtualGatewayName":"g","gatewayRouteName":"h","spec":{"httpRoute":{"match":)" MATCH \
  R"(,"action":{"target":{"virtualService":{"virtualServiceName":"svc.local"}})" ACTION "}}}}"
#define NODE(SPEC) R"({"virtualNodeName":"n9","spec":)" SPEC "}"
#define DNS R"("serviceDiscovery":{"dns":{"hostname":"a"}})"

INSTANTIATE_TEST_SUITE_P(
    References, AppMeshRule,
    testing::Values(
        RuleCase{"UnknownMesh", "CreateVirtualNode",
                 R"({"meshName":"q","virtualNodeName":"n","spec":{}})",
                 "NotFoundException: Mesh with name q is not present for account 000000000000"},
        RuleCase{"UnknownNode", "DescribeVirtualNode", R"({"virtualNodeName":"n9"})",
                 "NotFoundException: VirtualNode with name n9 is not present under mesh m for "
                 "account 000000000000"},
        RuleCase{"UnknownRouter", "CreateRoute",
                 R"({"virtualRouterName":"q","routeName":"y","spec":{}})",
                 "NotFoundException: VirtualRouter with name q is not present under mesh m"},
        RuleCase{"UnknownRouteTarget", "CreateRoute",
                 ROUTE(R"({"httpRoute":{"match":{"prefix":"/"},"action":{"weightedTargets":)"
                       R"([{"virtualNode":"nope","weight":1}]}}})"),
                 "NotFoundException: VirtualNode with name nope is missing"},
        RuleCase{"UnknownProvider", "CreateVirtualService",
                 R"({"virtualServiceName":"s","spec":{"provider":{"virtualRouter":)"
                 R"({"virtualRouterName":"q"}}}})",
                 "NotFoundException: VirtualRouter with name q is missing"},
        RuleCase{"ServiceWithoutProvider", "CreateVirtualService",
                 R"({"virtualServiceName":"s","spec":{}})", "ok"},
        RuleCase{"UnknownService", "UpdateGatewayRoute",
                 R"({"virtualGatewayName":"g","gatewayRouteName":"gr","spec":{"httpRoute":)"
                 R"({"match":{"prefix":"/"},"action":{"target":{"virtualService":)"
                 R"({"virtualServiceName":"q"}}}}}})",
                 "NotFoundException: VirtualService with name q is missing"},
        RuleCase{"NameExists", "CreateVirtualNode", R"({"virtualNodeName":"n1","spec":{}})",
                 "ConflictException: "},
        RuleCase{"OtherOwner", "DescribeMesh", R"({"meshOwner":"111111111111"})",
                 "NotFoundException: "},
        RuleCase{"ArnAsName", "CreateMesh", R"({"meshName":"arn:aws:appmesh:x"})",
                 "BadRequestException: meshName is"},
        RuleCase{"UnknownBackendIsFine", "CreateVirtualNode",
                 NODE(R"({"backends":[{"virtualService":{"virtualServiceName":"q"}}]})"), "ok"},
        RuleCase{"BackendTwice", "CreateVirtualNode",
                 NODE(R"({"backends":[{"virtualService":{"virtualServiceName":"q"}},)"
                      R"({"virtualService":{"virtualServiceName":"q"}}]})"),
                 "BadRequestException: "},
        RuleCase{"TargetPortOfNoListener", "CreateRoute",
                 ROUTE(R"({"httpRoute":{"match":{"prefix":"/"},"action":{"weightedTargets":)"
                       R"([{"virtualNode":"n1","weight":1,"port":1}]}}})"),
                 "BadRequestException: port 1 is not a listener port of virtual node n1"},
        RuleCase{"MatchPortOfNoListener", "CreateRoute", HTTP(R"({"prefix":"/","port":1})", ""),
                 "BadRequestException: port 1 is not a listener port of virtual router r"},
        RuleCase{"OtherProtocolThanRouter", "CreateRoute",
                 ROUTE(R"({"tcpRoute":{"action":{"weightedTargets":)"
                       R"([{"virtualNode":"n1","weight":1}]}}})"),
                 "BadRequestException: spec.tcpRoute does not fit"},
        RuleCase{"SecondListenerNeedsPorts", "UpdateVirtualRouter",
                 R"({"virtualRouterName":"r","spec":{"listeners":[)"
                 R"({"portMapping":{"port":8080,"protocol":"http"}},)"
                 R"({"portMapping":{"port":8081,"protocol":"http"}}]}})",
                 "BadRequestException: All Routes for this Virtual Router must define a port match "
                 "before adding multiple listeners to this Virtual Router. 1 Route(s) are missing "
                 "port. Listing up to 5 route names: [x]"},
        RuleCase{"ProtocolChangeUnderRoutes", "UpdateVirtualRouter",
                 R"({"virtualRouterName":"r","spec":{"listeners":[)"
                 R"({"portMapping":{"port":8080,"protocol":"tcp"}}]}})",
                 "BadRequestException: the listener's protocol cannot become tcp"}),
    [](const auto& info) { return std::string(info.param.name); });

INSTANTIATE_TEST_SUITE_P(
    Specs, AppMeshRule,
    testing::Values(
        RuleCase{"NoType", "CreateRoute", ROUTE("{}"), "BadRequestException: spec has 0 route"},
        RuleCase{"TwoTypes", "CreateRoute", ROUTE(R"({"httpRoute":{},"http2Route":{}})"),
                 "BadRequestException: spec has 2 route"},
        RuleCase{"PrefixAndPath", "CreateRoute",
                 HTTP(R"({"prefix":"/","path":{"exact":"/a"}})", ""),
                 "BadRequestException: spec.httpRoute.match: give prefix or path, not both"},
        RuleCase{"EmptyMatch", "CreateRoute", HTTP("{}", ""),
                 "BadRequestException: spec.httpRoute.match: give prefix or path"},
        RuleCase{"MethodAlone", "CreateRoute", HTTP(R"({"method":"GET"})", ""), "ok"},
        RuleCase{"PrefixWithoutSlash", "CreateRoute", HTTP(R"({"prefix":"a"})", ""),
                 "BadRequestException: spec.httpRoute.match.prefix is 'a'"},
        RuleCase{"PrefixWithoutFinalSlash", "CreateRoute", HTTP(R"({"prefix":"/a"})", ""), "ok"},
        RuleCase{"PathExactAndRegex", "CreateRoute",
                 HTTP(R"({"path":{"exact":"/a","regex":"b"}})", ""),
                 "BadRequestException: spec.httpRoute.match.path"},
        RuleCase{"EmptyRange", "CreateRoute",
                 HTTP(R"({"prefix":"/","headers":[{"name":"h","match":{"range":)"
                      R"({"start":5,"end":5}}}]})",
                      ""),
                 "BadRequestException: spec.httpRoute.match.headers 'h': range is 5 to 5"},
        RuleCase{"RetryWithoutEvents", "CreateRoute",
                 HTTP(R"({"prefix":"/"})", R"(,"retryPolicy":{"maxRetries":1})"),
                 "BadRequestException: spec.httpRoute.retryPolicy: give"},
        RuleCase{"RetryOnUnknownEvent", "CreateRoute",
                 HTTP(R"({"prefix":"/"})", R"(,"retryPolicy":{"httpRetryEvents":["5xx"]})"),
                 "BadRequestException: spec.httpRoute.retryPolicy.httpRetryEvents has \"5xx\""},
        RuleCase{"WeightsAbove100InAll", "UpdateRoute",
                 R"({"virtualRouterName":"r","routeName":"x","spec":{"httpRoute":{"match":)"
                 R"({"prefix":"/"},"action":{"weightedTargets":[{"virtualNode":"n1","weight":100},)"
                 R"({"virtualNode":"n2","weight":100}]}}}})",
                 "ok"},
        RuleCase{"DiscoveryWithoutListener", "CreateVirtualNode", NODE("{" DNS "}"),
                 "BadRequestException: Service Discovery can't be set without a listener."},
        RuleCase{"ListenerWithoutDiscovery", "CreateVirtualNode",
                 NODE(R"({"listeners":[{"portMapping":{"port":1,"protocol":"http"}}]})"),
                 "BadRequestException: spec.listeners needs spec.serviceDiscovery"},
        RuleCase{"HealthCheckOnOtherPort", "CreateVirtualNode",
                 NODE(R"({"listeners":[{"portMapping":{"port":1,"protocol":"http"},)"
                      R"("healthCheck":{"port":2}}],)" DNS "}"),
                 "BadRequestException: spec.listeners[0].healthCheck.port is 2"},
        RuleCase{"TimeoutOfOtherProtocol", "CreateVirtualNode",
                 NODE(R"({"listeners":[{"portMapping":{"port":1,"protocol":"http"},)"
                      R"("timeout":{"tcp":{}}}],)" DNS "}"),
                 "BadRequestException: spec.listeners[0].timeout: the listener's protocol is http"},
        RuleCase{"GatewayWithoutListener", "CreateVirtualGateway",
                 R"({"virtualGatewayName":"h","spec":{"listeners":[]}})", "BadRequestException: "},
        RuleCase{"ReservedPrefix", "CreateGatewayRoute", GROUTE(R"({"prefix":"/aws-appmesh"})", ""),
                 "BadRequestException: spec.httpRoute.match.prefix is '/aws-appmesh'"},
        RuleCase{"HostnameExactAndSuffix", "CreateGatewayRoute",
                 GROUTE(R"({"prefix":"/","hostname":{"exact":"a","suffix":"b"}})", ""),
                 "BadRequestException: spec.httpRoute.match.hostname"},
        RuleCase{"EmptyRewrite", "CreateGatewayRoute",
                 GROUTE(R"({"prefix":"/"})", R"(,"rewrite":{})"),
                 "BadRequestException: spec.httpRoute.action.rewrite: give at least one"},
        RuleCase{"PrefixValueWithoutSlash", "CreateGatewayRoute",
                 GROUTE(R"({"prefix":"/"})", R"(,"rewrite":{"prefix":{"value":"/a"}})"),
                 "BadRequestException: spec.httpRoute.action.rewrite.prefix.value is '/a'"},
        RuleCase{"DefaultPrefixAndValue", "CreateGatewayRoute",
                 GROUTE(R"({"prefix":"/"})",
                        R"(,"rewrite":{"prefix":{"value":"/a/","defaultPrefix":"ENABLED"}})"),
                 "BadRequestException: spec.httpRoute.action.rewrite.prefix: give exactly one"}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace coalmine::mock
