#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "sim/aws/sigv4.h"
#include "sim/rollout/aws/alb_traffic.h"
#include "sim/rollout/aws/cloudwatch_metrics.h"

namespace coalmine::rollout {
namespace {

using namespace std::chrono_literals;

class FakeClock : public Clock {
 public:
  TimePoint now() override { return t; }
  void sleep_until(TimePoint until) override { t = std::max(t, until); }
  TimePoint t = kVirtualEpoch;
};

struct Fixture {
  explicit Fixture(net::Handler handler)
      : transport(aws::in_process_transport(std::move(handler))),
        client(*transport, {"AK", "SK", ""}, {}, clock, Random(1)) {}
  FakeClock clock;
  std::unique_ptr<aws::Transport> transport;
  aws::Client client;
};

net::Response ok(std::string body) {
  net::Response response;
  response.body = std::move(body);
  return response;
}

/// A route that remembers what UpdateRoute sent.
struct FakeRoute {
  Json spec = Json::parse(R"({"priority":7,"httpRoute":{
    "match":{"prefix":"/"},"retryPolicy":{"maxRetries":2},
    "action":{"weightedTargets":[{"virtualNode":"app-v1","weight":100,"port":9000}]}}})");
  int updates = 0;

  net::Response operator()(const net::Request& request) {
    EXPECT_EQ(request.target,
              "/v20190125/meshes/coalmine/virtualRouter/app-router/routes/app-route");
    if (request.method == "PUT") {
      spec = Json::parse(request.body)["spec"];
      ++updates;
    }
    return ok(Json{{"routeName", "app-route"}, {"spec", spec}}.dump());
  }
};

const aws::RouteName kRoute{"coalmine", "app-router", "app-route"};

TEST(AppMeshTraffic, ChangesTheWeightsAndNothingElse) {
  FakeRoute route;
  const Json before = route.spec;
  Fixture f([&route](const net::Request& r) { return route(r); });
  AppMeshTraffic traffic(f.client, kRoute, {});
  EXPECT_EQ(traffic.current_weights().value(), (Weights{{"v1", 100}, {"v2", 0}}));
  EXPECT_EQ(traffic.set_weights(Percent{1}).value(), (Weights{{"v1", 99}, {"v2", 1}}));
  Json expected = before;
  expected["httpRoute"]["action"]["weightedTargets"] = Json::parse(
      R"([{"virtualNode":"app-v1","weight":99,"port":9000},
          {"virtualNode":"app-v2","weight":1,"port":9000}])");
  EXPECT_EQ(route.spec, expected);
  EXPECT_EQ(traffic.current_weights().value(), (Weights{{"v1", 99}, {"v2", 1}}));
  EXPECT_TRUE(traffic.set_weights(Percent{1}));
  EXPECT_EQ(route.updates, 1) << "the same weights again change nothing";
}

TEST(AppMeshTraffic, ABaselineIsAThirdTargetAsLongAsThePlanHasOne) {
  FakeRoute route;
  Fixture f([&route](const net::Request& r) { return route(r); });
  const VersionNames names{"v1", "v2", "app-v1", "app-v2", "v1-baseline", "app-v1-baseline"};
  AppMeshTraffic traffic(f.client, kRoute, names);
  const Weights compared = {{"v1", 90}, {"v2", 5}, {"v1-baseline", 5}};
  EXPECT_EQ(traffic.set_weights({Percent{5}, Percent{5}}).value(), compared);
  EXPECT_EQ(traffic.current_weights().value(), compared);
  EXPECT_EQ(route.spec["httpRoute"]["action"]["weightedTargets"],
            Json::parse(R"([{"virtualNode":"app-v1","weight":90,"port":9000},
                            {"virtualNode":"app-v2","weight":5,"port":9000},
                            {"virtualNode":"app-v1-baseline","weight":5,"port":9000}])"));
  AppMeshTraffic other(f.client, kRoute, {});
  EXPECT_FALSE(other.set_weights(Percent{10})) << "somebody else's experiment is not ended";
  EXPECT_EQ(traffic.set_weights(Percent{0}).value(), (Weights{{"v1", 100}, {"v2", 0}}));
}

TEST(AppMeshTraffic, RoutesItDoesNotUnderstandAreLeftAlone) {
  FakeRoute route;
  Fixture f([&route](const net::Request& r) { return route(r); });
  AppMeshTraffic traffic(f.client, kRoute, {});
  Json& targets = route.spec["httpRoute"]["action"]["weightedTargets"];
  targets.push_back({{"virtualNode", "other"}, {"weight", 5}});
  const auto third = traffic.set_weights(Percent{1});
  ASSERT_FALSE(third);
  EXPECT_NE(third.error().message.find("sends weight 5 to virtual node \"other\""),
            std::string::npos);
  targets = Json::parse(R"([{"virtualNode":"app-v2","weight":1}])");
  EXPECT_FALSE(traffic.set_weights(Percent{1}));
  route.spec = Json{{"tcpRoute", {{"action", Json::object()}}}};
  EXPECT_FALSE(traffic.set_weights(Percent{1}));
  EXPECT_FALSE(traffic.weights_for(Percent{0.1}));
  EXPECT_EQ(route.updates, 0);
}

/// "CreateRoute app-route-to-app-v2-1", one line per call.
std::string lines_of(const std::vector<AwsTraffic::Call>& calls, const char* key) {
  std::string text;
  for (const AwsTraffic::Call& call : calls) {
    text += call.operation + " " + get_string(*call.input, key) + "\n";
  }
  return text;
}

TEST(AppMeshTraffic, AMatchBecomesARouteAsTheOneItPrecedes) {
  FakeRoute route;
  const std::string folder = "/v20190125/meshes/coalmine/virtualRouter/app-router/routes";
  Fixture f([&](const net::Request& r) {
    if (r.target != folder) return route(r);
    return ok(R"({"routes":[{"routeName":"app-route"},{"routeName":"app-route-to-app-v2-3"},
                 {"routeName":"other"}]})");
  });
  AppMeshTraffic traffic(f.client, kRoute, {});
  const RouteMatch header{RouteMatch::By::Header, "X-Tester", "alice"};
  const RouteMatch segment{RouteMatch::By::Segment, "shop", "", false, "/shop", ""};
  const auto calls = traffic.calls_for({header, segment});
  ASSERT_TRUE(calls) << to_string(calls.error());
  EXPECT_EQ(lines_of(*calls, "routeName"),
            "CreateRoute app-route-to-app-v2-1\nCreateRoute app-route-to-app-v2-2\n"
            "DeleteRoute app-route-to-app-v2-3\n");
  EXPECT_EQ((*(*calls)[0].input)["spec"], Json::parse(R"({"priority":6,"httpRoute":{
    "match":{"prefix":"/","headers":[{"name":"X-Tester","match":{"exact":"alice"}}]},
    "retryPolicy":{"maxRetries":2},
    "action":{"weightedTargets":[{"virtualNode":"app-v2","weight":100,"port":9000}]}}})"));
  EXPECT_EQ((*(*calls)[1].input)["spec"]["httpRoute"]["match"]["prefix"], "/shop");
  EXPECT_EQ(lines_of(traffic.calls_for({}).value(), "routeName"),
            "DeleteRoute app-route-to-app-v2-3\n");
  EXPECT_EQ(route.updates, 0);

  route.spec["priority"] = 0;
  EXPECT_EQ(traffic.calls_for({header}).error().message,
            "App Mesh route coalmine/app-router/app-route has priority 0, so no other can come "
            "before it; give it a larger number");
  route.spec.erase("priority");
  EXPECT_EQ((*traffic.calls_for({header}).value()[0].input)["spec"]["priority"], 1000);
  route.spec["httpRoute"]["match"]["prefix"] = "/api";
  EXPECT_EQ(traffic.calls_for({segment}).error().message,
            "App Mesh route coalmine/app-router/app-route does not take requests to /shop");
  EXPECT_NE(traffic.set_mirror(Percent{5}).error().message.find("neither App Mesh nor"),
            std::string::npos);
}

/// Answers ELBv2's describes; keeps the last modify.
struct FakeElb {
  std::string forward =
      "<TargetGroupArn>arn:v1</TargetGroupArn><ForwardConfig><TargetGroups>"
      "<member><TargetGroupArn>arn:v1</TargetGroupArn><Weight>1</Weight></member>"
      "</TargetGroups></ForwardConfig>";
  std::string modified;

  net::Response operator()(const net::Request& request) {
    const auto form = net::parse_query(request.body);
    const std::string action = form.at(0).second;
    const auto reply = [&action](const std::string& inner) {
      return ok(
          fmt::format("<{0}Response><{0}Result>{1}</{0}Result></{0}Response>", action, inner));
    };
    if (action == "DescribeLoadBalancers") {
      return reply(
          "<LoadBalancers><member><LoadBalancerArn>arn:lb</LoadBalancerArn></member>"
          "</LoadBalancers>");
    }
    if (action == "DescribeTargetGroups") {
      const std::string name = form.at(2).second.substr(4);
      return reply(
          fmt::format("<TargetGroups><member><TargetGroupArn>arn:{}</TargetGroupArn>"
                      "</member></TargetGroups>",
                      name));
    }
    if (action == "DescribeRules") {
      const std::string one =
          "<Actions><member><Type>forward</Type>" + forward + "</member></Actions>";
      const auto rule = [&one](int priority, std::string_view conditions) {
        return fmt::format(
            "<member><RuleArn>arn:aws:elb:r:1:listener-rule/app/x/1/2/{0}</RuleArn>"
            "<Priority>{0}</Priority><Conditions>{1}</Conditions>{2}</member>",
            priority, conditions, one);
      };
      const std::string host =
          "<member><Field>host-header</Field><Values><member>a.b</member></Values>"
          "<HostHeaderConfig><Values><member>a.b</member></Values></HostHeaderConfig></member>";
      const bool by_arn = request.body.find("RuleArns") != std::string::npos;
      return reply("<Rules>" + (by_arn ? std::string() : rule(4, "") + rule(2, "")) +
                   rule(5, host) + "</Rules>");
    }
    if (action == "DescribeTags") {
      return reply(
          "<TagDescriptions><member>"
          "<ResourceArn>arn:aws:elb:r:1:listener-rule/app/x/1/2/2</ResourceArn><Tags><member>"
          "<Key>coalmine:canary</Key><Value>app-v2</Value></member></Tags></member>"
          "</TagDescriptions>");
    }
    if (action == "DescribeListeners") {
      return reply(
          fmt::format("<Listeners><member><ListenerArn>arn:l</ListenerArn><Port>80</Port>"
                      "<DefaultActions><member><Type>forward</Type>{}</member>"
                      "</DefaultActions></member></Listeners>",
                      forward));
    }
    modified = net::percent_decode(request.body);
    return reply("");
  }
};

TEST(AlbTraffic, SetsTheForwardOfTheDefaultAction) {
  FakeElb elb;
  Fixture f([&elb](const net::Request& r) { return elb(r); });
  AlbTraffic traffic(f.client, {}, {});
  EXPECT_EQ(traffic.current_weights().value(), (Weights{{"v1", 1}, {"v2", 0}}));
  const auto set = traffic.set_weights(Percent{0.1});
  ASSERT_TRUE(set) << to_string(set.error());
  EXPECT_EQ(*set, (Weights{{"v1", 999}, {"v2", 1}}));
  EXPECT_EQ(elb.modified,
            "Action=ModifyListener&Version=2015-12-01"
            "&DefaultActions.member.1.ForwardConfig.TargetGroups.member.1.TargetGroupArn=arn:v1"
            "&DefaultActions.member.1.ForwardConfig.TargetGroups.member.1.Weight=999"
            "&DefaultActions.member.1.ForwardConfig.TargetGroups.member.2.TargetGroupArn=arn:v2"
            "&DefaultActions.member.1.ForwardConfig.TargetGroups.member.2.Weight=1"
            "&DefaultActions.member.1.Type=forward&ListenerArn=arn:l");
  AlbTraffic wrong_port(f.client, {"coalmine", 81, ""}, {});
  EXPECT_EQ(wrong_port.current_weights().error().message,
            "load balancer \"coalmine\" has no listener on port 81; it has 80");
}

TEST(AlbTraffic, AMatchBecomesARuleBeforeTheOneThatSplits) {
  FakeElb elb;
  Fixture f([&elb](const net::Request& r) { return elb(r); });
  AlbTraffic traffic(f.client, {"coalmine", 80, "arn:aws:elb:r:1:listener-rule/app/x/1/2/5"}, {});
  const RouteMatch header{RouteMatch::By::Header, "X-Tester", "alice"};
  const RouteMatch cookie{RouteMatch::By::Cookie, "group", "beta"};
  const auto calls = traffic.calls_for({header, cookie});
  ASSERT_TRUE(calls) << to_string(calls.error());
  ASSERT_EQ(calls->size(), 3u);  // the cookie takes two rules
  EXPECT_EQ((*calls)[0].operation, "ModifyRule") << "our own of before is used again";
  EXPECT_EQ((*(*calls)[0].input)["RuleArn"], "arn:aws:elb:r:1:listener-rule/app/x/1/2/2");
  const Json& made = *(*calls)[1].input;
  EXPECT_EQ((*calls)[1].operation, "CreateRule");
  EXPECT_EQ(made["ListenerArn"], "arn:aws:elb:r:1:listener/app/x/1/2");
  EXPECT_EQ(made["Priority"], 3);  // 4 and 2 are taken
  EXPECT_EQ((*(*calls)[2].input)["Priority"], 1);
  EXPECT_EQ(made["Conditions"], Json::parse(R"([
    {"Field":"host-header","HostHeaderConfig":{"Values":["a.b"]}},
    {"Field":"http-header",
     "HttpHeaderConfig":{"HttpHeaderName":"cookie","Values":["group=beta","group=beta;*"]}}])"));
  EXPECT_EQ(made["Actions"], Json::parse(R"([{"Type":"forward","ForwardConfig":
    {"TargetGroups":[{"TargetGroupArn":"arn:v2","Weight":1}]}}])"));
  EXPECT_EQ(lines_of(traffic.calls_for({}).value(), "RuleArn"),
            "DeleteRule arn:aws:elb:r:1:listener-rule/app/x/1/2/2\n");
  EXPECT_EQ(traffic.calls_for({header, header, header, header, header}).error().message,
            "no priority is free before ALB rule arn:aws:elb:r:1:listener-rule/app/x/1/2/5");
}

TEST(AlbTraffic, SessionAffinityIsTheTargetGroupsStickiness) {
  FakeElb elb;
  Fixture f([&elb](const net::Request& r) { return elb(r); });
  AlbTraffic traffic(f.client, {"coalmine", 80, "", 15min}, {});
  ASSERT_TRUE(traffic.set_weights(Percent{0}));
  EXPECT_NE(elb.modified.find("ForwardConfig.TargetGroupStickinessConfig.DurationSeconds=900"),
            std::string::npos)
      << elb.modified;
  EXPECT_NE(elb.modified.find("TargetGroupStickinessConfig.Enabled=true"), std::string::npos);
}

/// CloudWatch with values by query id and minute.
struct FakeCloudWatch {
  std::map<std::string, std::map<int, double>> values;
  std::vector<std::string> statistics;

  net::Response operator()(const net::Request& request) {
    const Json input = Json::parse(request.body);
    const double start = input["StartTime"].get<double>(), end = input["EndTime"].get<double>();
    Json results = Json::array();
    for (const Json& query : input["MetricDataQueries"]) {
      const std::string id = query["Id"].get<std::string>();
      statistics.push_back(query["MetricStat"]["Stat"].get<std::string>());
      Json times = Json::array(), points = Json::array();
      for (const auto& [minute, value] : values[id]) {
        const double t = to_epoch_seconds(kVirtualEpoch) + minute * 60;
        if (t < start || t >= end) continue;
        times.push_back(t);
        points.push_back(value);
      }
      results.push_back({{"Id", id}, {"Timestamps", times}, {"Values", points}});
    }
    return ok(Json{{"MetricDataResults", results}}.dump());
  }
};

TEST(CloudWatchMetrics, EveryRequestIsCountedOnceHoweverLate) {
  FakeCloudWatch cloud;
  Fixture f([&cloud](const net::Request& r) { return cloud(r); });
  CloudWatchMetrics source(
      f.client,
      [] {
        return PlanMetrics{mesh_metrics("m", "g", "v1"), mesh_metrics("m", "g", "v2")};
      },
      {60s, 30s});
  const TimePoint start = kVirtualEpoch + 20s;
  cloud.values["sr"] = {{0, 500}, {1, 100}};
  cloud.values["cr"] = {{0, 5}, {1, 4}};
  cloud.values["ce0"] = {{1, 1}};
  const auto early = source.read(start, {}, kVirtualEpoch + 149s);
  ASSERT_TRUE(early);
  EXPECT_TRUE(early->windows.empty()) << "minute 1 is waited for until 2:30";
  EXPECT_EQ(early->next, kVirtualEpoch + 150s);

  const auto first = source.read(start, {}, kVirtualEpoch + 150s);
  ASSERT_EQ(first->windows.size(), 1U) << "minute 0 began before the rollout";
  EXPECT_EQ(first->windows[0].from, kVirtualEpoch + 60s);
  EXPECT_EQ(first->windows[0].stable, (VersionCounts{100, 0, {}}));
  EXPECT_EQ(first->windows[0].canary, (VersionCounts{4, 1, {}}));

  cloud.values["cr"][1] = 6;  // two requests arrived late
  cloud.values["cr"][2] = 9;
  const auto second = source.read(first->windows[0].to, {}, kVirtualEpoch + 211s);
  ASSERT_EQ(second->windows.size(), 2U);
  EXPECT_EQ(second->windows[0].canary, (VersionCounts{2, 0, {}}));
  EXPECT_EQ(second->windows[1].canary, (VersionCounts{9, 0, {}}));
  const auto again = source.read(kVirtualEpoch + 180s, {}, kVirtualEpoch + 215s);
  EXPECT_TRUE(again->windows.empty());
}

TEST(CloudWatchMetrics, SegmentsAreReadInAsManyCallsAsTheyNeed) {
  FakeCloudWatch cloud;
  std::size_t calls = 0;
  Fixture f([&](const net::Request& r) {
    ++calls;
    return cloud(r);
  });
  CloudWatchOptions options{60s, 30s};
  for (int i = 0; i < 130; ++i) options.segments.push_back(fmt::format("s{:03}", i));
  CloudWatchMetrics source(
      f.client,
      [] {
        return PlanMetrics{mesh_metrics("m", "g", "v1"), mesh_metrics("m", "g", "v2")};
      },
      options);
  cloud.values["sr"] = {{1, 100}};
  cloud.values["sg0r"] = {{1, 40}};
  cloud.values["cg0r"] = {{1, 2}};
  cloud.values["cg129r"] = {{1, 3}};
  cloud.values["cg129e"] = {{1, 1}};
  const auto first = source.read(kVirtualEpoch + 60s, {}, kVirtualEpoch + 150s);
  ASSERT_TRUE(first) << to_string(first.error());
  EXPECT_EQ(calls, 2U) << "524 metrics, 500 a call";
  ASSERT_EQ(first->windows.size(), 1U);
  EXPECT_EQ(first->windows[0].segments,
            (std::vector<SegmentCounts>{{"s000", {40, 0, {}}, {2, 0, {}}},
                                        {"s129", {0, 0, {}}, {3, 1, {}}}}));
  cloud.values["cg129r"][1] = 5;  // published late
  cloud.values["cg129e"][1] = 2;
  const auto second = source.read(kVirtualEpoch + 120s, {}, kVirtualEpoch + 155s);
  ASSERT_EQ(second->windows.size(), 1U);
  EXPECT_EQ(second->windows[0].canary, VersionCounts{});
  EXPECT_EQ(second->windows[0].segments,
            (std::vector<SegmentCounts>{{"s129", {0, 0, {}}, {2, 1, {}}}}));
}

TEST(CloudWatchMetrics, SlowRequestsAreTrimmedCountsInTheMetricsUnit) {
  FakeCloudWatch cloud;
  Fixture f([&cloud](const net::Request& r) { return cloud(r); });
  cloud.values["cr"] = {{1, 10}};
  cloud.values["cl0"] = {{1, 3}};
  CloudWatchMetrics mesh(
      f.client,
      [] {
        return PlanMetrics{mesh_metrics("m", "g", "v1"), mesh_metrics("m", "g", "v2")};
      },
      {60s, 30s});
  const auto reading = mesh.read(kVirtualEpoch, {250ms}, kVirtualEpoch + 150s);
  ASSERT_EQ(reading->windows.size(), 2U);
  EXPECT_EQ(reading->windows[1].canary.slower_than(250ms), 3U);
  EXPECT_NE(std::find(cloud.statistics.begin(), cloud.statistics.end(), "TC(250:)"),
            cloud.statistics.end());
}

}  // namespace
}  // namespace coalmine::rollout
