#include "mock-aws/dataplane/load_balancer.h"

#include "tests/unit/mock_elbv2/elbv2_fixture.h"

namespace coalmine::mock {
namespace {

using namespace std::chrono_literals;
using traffic::StringMatch;

struct CompileLoadBalancer : Elbv2Test {
  std::string blue = group("blue"), green = group("green");
  std::string web = balancer();
  traffic::RouteTable table() { return compile_load_balancer(elb, "web", 7).value(); }
  static const traffic::Forward& forward_of(const traffic::Route& route) {
    return std::get<traffic::Forward>(route.action);
  }
};

TEST_F(CompileLoadBalancer, WeightsAndHealthyInstancesReachTheTable) {
  const std::string l = listener(web, weighted(blue, 99, green, 1));
  elb.register_target(blue, "127.1.0.1", 8080, now);
  elb.register_target(blue, "127.1.0.2", 8080, now);
  elb.register_target(green, "127.1.0.3", 8080, now);
  now += 1s;
  for (const Probe& probe : elb.due_probes(now)) {
    if (probe.address != "127.1.0.2") elb.probe_result(probe.id, {}, now);
  }
  const traffic::RouteTable got = table();
  EXPECT_EQ(got.version, 7U);
  EXPECT_EQ(got.name, "web");
  ASSERT_EQ(got.listeners.size(), 1U);
  EXPECT_EQ(got.listeners[0].port, 80);
  EXPECT_EQ(got.listeners[0].dialect, traffic::Dialect::Alb);
  const traffic::Forward& forward = forward_of(got.listeners[0].routes.at(0));
  EXPECT_EQ(forward.empty, traffic::EmptyPolicy::FailOpen);
  EXPECT_EQ(forward.timeouts, (traffic::Timeouts{0s, 60s}));
  ASSERT_EQ(forward.targets.size(), 2U);
  EXPECT_EQ(forward.targets[0].weight, 99U);
  EXPECT_EQ(forward.targets[0].instances,
            (std::vector<traffic::Instance>{{"127.1.0.1:8080", "127.1.0.1", 8080, true},
                                            {"127.1.0.2:8080", "127.1.0.2", 8080, false}}));
  EXPECT_EQ(forward.targets[1].weight, 1U);
}

TEST_F(CompileLoadBalancer, GroupsWithoutTargetsSayWhy) {
  listener(web, weighted(blue, 1, green, 1));
  elb.register_target(blue, "127.1.0.1", 80, now);
  elb.deregister_target(blue, "127.1.0.1", 80, now);
  const traffic::RouteTable got = table();
  const auto& targets = forward_of(got.listeners[0].routes[0]).targets;
  EXPECT_EQ(targets[0].unavailable, "all targets of target group blue are draining");
  EXPECT_EQ(targets[1].unavailable, "target group green has no registered targets");
}

TEST_F(CompileLoadBalancer, RulesAreSortedAndTheDefaultIsLast) {
  const std::string l = listener(web, forward(blue));
  rule(l, 20, path("/b*"), forward(green));
  rule(l, 10, path("/a?"), forward(green));
  const traffic::RouteTable got = table();
  const auto& routes = got.listeners[0].routes;
  ASSERT_EQ(routes.size(), 3U);
  EXPECT_EQ(routes[0].name, "rule-10");
  EXPECT_EQ(routes[0].match.path[0].value, "/a?");
  EXPECT_EQ(routes[0].match.path[0].kind, StringMatch::Kind::Wildcard);
  EXPECT_FALSE(routes[0].match.path[0].ignore_case);
  EXPECT_EQ(routes[1].name, "rule-20");
  EXPECT_EQ(routes[2].name, "default");
  EXPECT_EQ(routes[2].priority, std::nullopt);
}

TEST_F(CompileLoadBalancer, EveryConditionHasItsMatch) {
  const std::string l = listener(web, forward(blue));
  rule(l, 1, Json::parse(R"([
         {"Field":"host-header","HostHeaderConfig":{"Values":["*.example.com"]}},
         {"Field":"http-header","HttpHeaderConfig":{"HttpHeaderName":"x-canary","Values":["yes"]}},
         {"Field":"http-request-method","HttpRequestMethodConfig":{"Values":["POST"]}},
         {"Field":"source-ip","SourceIpConfig":{"Values":["10.0.0.0/8"]}}])"),
       forward(green));
  const traffic::RouteTable got = table();
  const traffic::RouteMatch& match = got.listeners[0].routes[0].match;
  EXPECT_EQ(match.host[0].value, "*.example.com");
  EXPECT_TRUE(match.host[0].ignore_case);
  EXPECT_EQ(match.headers[0].name, "x-canary");
  EXPECT_EQ(match.methods, std::vector<std::string>{"POST"});
  EXPECT_EQ(match.source_cidrs, std::vector<std::string>{"10.0.0.0/8"});
}

TEST_F(CompileLoadBalancer, QueryPairsWithSeveralKeysBecomeSeveralRoutes) {
  const std::string l = listener(web, forward(blue));
  rule(l, 1, Json::parse(R"([{"Field":"query-string","QueryStringConfig":{"Values":[
         {"Key":"v","Value":"1"},{"Key":"v","Value":"2"},{"Value":"beta"}]}}])"),
       forward(green));
  const traffic::RouteTable got = table();
  const auto& routes = got.listeners[0].routes;
  ASSERT_EQ(routes.size(), 3U);
  EXPECT_EQ(routes[0].match.query[0].name, "v");
  EXPECT_EQ(routes[0].match.query[0].any_of.size(), 2U);
  EXPECT_EQ(routes[1].match.query[0].name, "");
  EXPECT_EQ(routes[1].match.query[0].any_of[0].value, "beta");
}

TEST_F(CompileLoadBalancer, OtherActionsAndStickinessSurvive) {
  listener(web, Json::parse(R"([{"Type":"redirect","RedirectConfig":
             {"Protocol":"HTTPS","Port":"443","StatusCode":"HTTP_301"}}])"),
           80);
  listener(web, Json::parse(R"([{"Type":"fixed-response","FixedResponseConfig":
             {"StatusCode":"418","MessageBody":"short and stout"}}])"),
           81);
  Json sticky = weighted(blue, 1, green, 1);
  sticky[0]["ForwardConfig"]["TargetGroupStickinessConfig"] = {{"Enabled", true},
                                                               {"DurationSeconds", 60}};
  listener(web, sticky, 82);
  const traffic::RouteTable got = table();
  const auto& redirect = std::get<traffic::Redirect>(got.listeners[0].routes[0].action);
  EXPECT_EQ(redirect.status, 301);
  EXPECT_EQ(redirect.protocol, "HTTPS");
  EXPECT_EQ(redirect.path, "/#{path}");
  const auto& fixed = std::get<traffic::FixedResponse>(got.listeners[1].routes[0].action);
  EXPECT_EQ(fixed.status, 418);
  EXPECT_EQ(fixed.body, "short and stout");
  EXPECT_EQ(forward_of(got.listeners[2].routes[0]).stickiness.duration, 60s);
}

TEST_F(CompileLoadBalancer, DesyncModeAndInvalidFieldsAreOptionsOfEveryListener) {
  listener(web, weighted(blue, 99, green, 1));
  EXPECT_EQ(table().listeners[0].desync, traffic::DesyncMode::Defensive);
  EXPECT_FALSE(table().listeners[0].drop_invalid_headers);
  ok("ModifyLoadBalancerAttributes",
     {{"LoadBalancerArn", web},
      {"Attributes",
       {{{"Key", "routing.http.desync_mitigation_mode"}, {"Value", "strictest"}},
        {{"Key", "routing.http.drop_invalid_header_fields.enabled"}, {"Value", "true"}}}}});
  EXPECT_EQ(table().listeners[0].desync, traffic::DesyncMode::Strictest);
  EXPECT_TRUE(table().listeners[0].drop_invalid_headers);
}

TEST_F(CompileLoadBalancer, UnknownNamesListTheKnownOnes) {
  const auto got = compile_load_balancer(elb, "nope", 1);
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().message, "there is no load balancer nope; there are: web");
}

}  // namespace
}  // namespace coalmine::mock
