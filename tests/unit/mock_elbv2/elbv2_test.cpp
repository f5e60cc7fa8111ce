#include "mock-aws/services/elbv2/elbv2.h"

#include "tests/unit/mock_elbv2/elbv2_fixture.h"

namespace coalmine::mock {
namespace {

using namespace std::chrono_literals;

using Balancers = Elbv2Test;
using Rules = Elbv2Test;
using Groups = Elbv2Test;
using Targets = Elbv2Test;

TEST_F(Balancers, BecomeActiveAndConnectAtTheirDnsName) {
  const Json made =
      ok("CreateLoadBalancer",
         {{"Name", "web"}, {"Subnets", {"subnet-a", "subnet-b"}}})["LoadBalancers"][0];
  EXPECT_EQ(made["State"]["Code"], "provisioning");
  EXPECT_EQ(made["DNSName"], "127.0.8.1");
  EXPECT_EQ(
      std::string(made["LoadBalancerArn"])
          .rfind("arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/app/web/", 0),
      0U);
  now += kProvisioningTime;
  EXPECT_EQ(ok("DescribeLoadBalancers", {{"Names", {"web"}}})["LoadBalancers"][0]["State"]["Code"],
            "active");
}

TEST_F(Balancers, CreatingTheSameAgainSucceedsOtherSettingsDoNot) {
  const std::string arn = balancer();
  EXPECT_EQ(balancer(), arn);
  EXPECT_EQ(elb.load_balancers().size(), 1U);
  refused("CreateLoadBalancer",
          {{"Name", "web"}, {"Subnets", {"subnet-a", "subnet-b"}}, {"Scheme", "internal"}},
          "DuplicateLoadBalancerNameException",
          "A load balancer with the same name 'web' exists, but with different settings");
}

TEST_F(Balancers, NamesAndSubnetsAreChecked) {
  const auto with = [](const std::string& name) {
    return Json{{"Name", name}, {"Subnets", {"subnet-a", "subnet-b"}}};
  };
  EXPECT_TRUE(call("CreateLoadBalancer", with(std::string(32, 'a'))));
  refused(
      "CreateLoadBalancer", with(std::string(33, 'a')), "ValidationError",
      "Load balancer name '" + std::string(33, 'a') + "' cannot be longer than '32' characters");
  refused("CreateLoadBalancer", with("a_b"), "ValidationError",
          "Load balancer name 'a_b' can only contain characters that are alphanumeric characters "
          "and hyphens(-)");
  refused("CreateLoadBalancer", with("-a"), "ValidationError",
          "Load balancer name '-a' cannot begin or end with a hyphen");
  refused("CreateLoadBalancer", {{"Name", "one"}, {"Subnets", Json::array({"subnet-a"})}},
          "ValidationError",
          "At least two subnets in two different Availability Zones must be specified");
}

TEST_F(Balancers, DeletingTakesListenersAndRulesAlong) {
  const std::string arn = balancer(), g = group("g"), l = listener(arn, forward(g));
  rule(l, 1, path("/x"), forward(g));
  refused("DeleteTargetGroup", {{"TargetGroupArn", g}}, "ResourceInUseException",
          "Target group '" + g + "' is currently in use by a listener or a rule");
  ok("DeleteLoadBalancer", {{"LoadBalancerArn", arn}});
  ok("DeleteLoadBalancer", {{"LoadBalancerArn", arn}});  // again is fine
  EXPECT_TRUE(elb.load_balancers().empty());
  EXPECT_FALSE(elb.has_load_balancer(g));
  refused("DescribeListeners", {{"ListenerArns", Json::array({l})}}, "ListenerNotFoundException",
          "One or more listeners not found");
  ok("DeleteTargetGroup", {{"TargetGroupArn", g}});
  EXPECT_FALSE(elb.exists(g));
}

TEST_F(Balancers, DeletionProtectionHolds) {
  const std::string arn = balancer();
  ok("ModifyLoadBalancerAttributes",
     {{"LoadBalancerArn", arn},
      {"Attributes", Json::array({{{"Key", "deletion_protection.enabled"}, {"Value", "true"}}})}});
  refused("DeleteLoadBalancer", {{"LoadBalancerArn", arn}}, "OperationNotPermittedException",
          "Load balancer '" + arn + "' cannot be deleted because deletion protection is enabled");
}

TEST_F(Rules, OneGroupForwardsCarryBothForms) {
  const std::string g = group("g"), l = listener(balancer(), forward(g));
  const Json action = ok("DescribeListeners",
                         {{"ListenerArns", Json::array({l})}})["Listeners"][0]["DefaultActions"][0];
  EXPECT_EQ(action["TargetGroupArn"], g);
  EXPECT_EQ(action["ForwardConfig"]["TargetGroups"],
            Json::array({{{"TargetGroupArn", g}, {"Weight", 1}}}));
  const Json rules = ok("DescribeRules", {{"ListenerArn", l}})["Rules"];
  ASSERT_EQ(rules.size(), 1U);
  EXPECT_EQ(rules[0]["Priority"], "default");
  EXPECT_EQ(rules[0]["IsDefault"], true);
}

TEST_F(Rules, ListenersRepeatedAreTheSameOrDuplicates) {
  const std::string b = balancer(), g = group("g"), h = group("h");
  EXPECT_EQ(listener(b, forward(g)), listener(b, forward(g)));
  refused(
      "CreateListener",
      {{"LoadBalancerArn", b}, {"Protocol", "HTTP"}, {"Port", 80}, {"DefaultActions", forward(h)}},
      "DuplicateListenerException",
      "A listener already exists on this port for this load balancer '" + b + "'");
}

TEST_F(Rules, PrioritiesAreUniqueAndMaySwap) {
  const std::string g = group("g"), h = group("h"), l = listener(balancer(), forward(g));
  const std::string first = rule(l, 1, path("/a"), forward(h)),
                    second = rule(l, 2, path("/b"), forward(h));
  refused(
      "CreateRule",
      {{"ListenerArn", l}, {"Priority", 1}, {"Conditions", path("/c")}, {"Actions", forward(h)}},
      "PriorityInUseException", "Priority '1' is currently in use");
  const auto pair = [](const std::string& arn, int priority) {
    return Json{{"RuleArn", arn}, {"Priority", priority}};
  };
  refused("SetRulePriorities", {{"RulePriorities", Json::array({pair(first, 2)})}},
          "PriorityInUseException", "Priority '2' is currently in use");
  ok("SetRulePriorities", {{"RulePriorities", Json::array({pair(first, 2), pair(second, 1)})}});
  const Json rules = ok("DescribeRules", {{"ListenerArn", l}})["Rules"];
  EXPECT_EQ(rules[0]["RuleArn"], second);
  EXPECT_EQ(rules[1]["RuleArn"], first);
  EXPECT_EQ(rules[2]["IsDefault"], true);
}

TEST_F(Rules, TheDefaultRuleChangesOnlyThroughItsListener) {
  const std::string g = group("g"), h = group("h"), l = listener(balancer(), forward(g));
  const std::string fallback = ok("DescribeRules", {{"ListenerArn", l}})["Rules"][0]["RuleArn"];
  refused("DeleteRule", {{"RuleArn", fallback}}, "OperationNotPermittedException",
          "Default rule '" + fallback + "' cannot be deleted");
  refused("ModifyRule", {{"RuleArn", fallback}, {"Actions", forward(h)}},
          "OperationNotPermittedException", "Default rule '" + fallback + "' cannot be modified");
  ok("ModifyListener", {{"ListenerArn", l}, {"DefaultActions", weighted(g, 99, h, 1)}});
  EXPECT_EQ(elb.rules_of(l).back()->actions[0]["ForwardConfig"]["TargetGroups"][1]["Weight"], 1);
  EXPECT_TRUE(elb.has_load_balancer(h));
}

TEST_F(Rules, ModifyReplacesWhatIsGivenAndKeepsTheRest) {
  const std::string g = group("g"), h = group("h"), l = listener(balancer(), forward(g));
  const std::string r = rule(l, 5, path("/a"), forward(g));
  ok("ModifyRule", {{"RuleArn", r}, {"Actions", forward(h)}});
  const Json now_rule = ok("DescribeRules", {{"RuleArns", Json::array({r})}})["Rules"][0];
  EXPECT_EQ(now_rule["Conditions"][0]["Values"], Json::array({"/a"}));
  EXPECT_EQ(now_rule["Conditions"][0]["PathPatternConfig"]["Values"], Json::array({"/a"}));
  EXPECT_EQ(now_rule["Actions"][0]["TargetGroupArn"], h);
}

TEST_F(Rules, AGroupBelongsToOneLoadBalancer) {
  const std::string g = group("g");
  listener(balancer("a"), forward(g));
  refused(
      "CreateListener",
      {{"LoadBalancerArn", balancer("b")},
       {"Protocol", "HTTP"},
       {"Port", 80},
       {"DefaultActions", forward(g)}},
      "TargetGroupAssociationLimitException",
      "The following target groups cannot be associated with more than one load balancer: " + g);
}

struct ActionCase {
  const char* name;
  const char* actions;  // JSON
  const char* message;
};
class ActionErrors : public testing::TestWithParam<ActionCase> {};
TEST_P(ActionErrors, SayWhatIsAllowed) {
  const Reply reply = normalise_actions(Json::parse(GetParam().actions));
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().message, GetParam().message);
}
INSTANTIATE_TEST_SUITE_P(
    Rows, ActionErrors,
    testing::Values(
        ActionCase{"None", "[]",
                   "Exactly one action is implemented here: forward, redirect or fixed-response"},
        ActionCase{"Weight1000",
                   R"([{"Type":"forward","ForwardConfig":{"TargetGroups":[
                       {"TargetGroupArn":"a","Weight":1000}]}}])",
                   "Weight '1000' must be between 0 and 999"},
        ActionCase{"SixGroups",
                   R"([{"Type":"forward","ForwardConfig":{"TargetGroups":[
                       {"TargetGroupArn":"a"},{"TargetGroupArn":"b"},{"TargetGroupArn":"c"},
                       {"TargetGroupArn":"d"},{"TargetGroupArn":"e"},{"TargetGroupArn":"f"}]}}])",
                   "A forward action can have at most 5 target groups"},
        ActionCase{"NoGroup", R"([{"Type":"forward"}])",
                   "A target group must be specified for a forward action, in TargetGroupArn or "
                   "ForwardConfig"},
        ActionCase{"Twice",
                   R"([{"Type":"forward","ForwardConfig":{"TargetGroups":[
                       {"TargetGroupArn":"a"},{"TargetGroupArn":"a"}]}}])",
                   "Target group 'a' is listed more than once in a forward action"},
        ActionCase{"Loop", R"([{"Type":"redirect","RedirectConfig":{"StatusCode":"HTTP_301"}}])",
                   "The redirect configuration is not valid because it creates a loop"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(Actions, WeightsAndGroupsAtTheLimitAreFine) {
  EXPECT_TRUE(normalise_actions(Json::parse(R"([{"Type":"forward","ForwardConfig":{"TargetGroups":[
      {"TargetGroupArn":"a","Weight":999},{"TargetGroupArn":"b","Weight":0},{"TargetGroupArn":"c"},
      {"TargetGroupArn":"d"},{"TargetGroupArn":"e"}],"TargetGroupStickinessConfig":
      {"Enabled":true,"DurationSeconds":604800}}}])")));
  EXPECT_FALSE(normalise_actions(Json::parse(R"([{"Type":"forward","ForwardConfig":{"TargetGroups":[
      {"TargetGroupArn":"a"}],"TargetGroupStickinessConfig":
      {"Enabled":true,"DurationSeconds":604801}}}])")));
}

TEST(Conditions, LimitsHold) {
  const auto error_of = [](const char* text) {
    const Reply reply = normalise_conditions(Json::parse(text));
    return reply ? std::string("fine") : reply.error().message;
  };
  EXPECT_EQ(error_of(R"([{"Field":"host-header","Values":["a","b","c"]},
                         {"Field":"path-pattern","Values":["/a","/b"]}])"),
            "fine");
  EXPECT_EQ(error_of(R"([{"Field":"host-header","Values":["a","b","c"]},
                         {"Field":"path-pattern","Values":["/a","/b","/c"]}])"),
            "A rule can have at most 5 condition values");
  EXPECT_EQ(error_of(R"([{"Field":"host-header","Values":["a","b","c","d"]}])"),
            "A condition on 'host-header' can have at most 3 values");
  EXPECT_EQ(error_of(R"([{"Field":"host-header","Values":["a"]},
                         {"Field":"host-header","Values":["b"]}])"),
            "A rule can only have one 'host-header' condition");
  EXPECT_EQ(error_of(R"([{"Field":"path-pattern","Values":["******"]}])"),
            "A rule can have at most 5 condition wildcards");
  EXPECT_EQ(error_of(R"([{"Field":"source-ip","SourceIpConfig":{"Values":["10.0.0.0"]}}])"),
            "The value '10.0.0.0' is not a valid CIDR block");
  EXPECT_EQ(error_of(R"([{"Field":"cookie","Values":["a"]}])"),
            "Condition field 'cookie' must be one of '[path-pattern, host-header, http-header, "
            "http-request-method, query-string, source-ip]'");
  EXPECT_EQ(
      error_of(R"([{"Field":"http-header","HttpHeaderConfig":{"HttpHeaderName":"a","Values":["x"]}},
                         {"Field":"http-header","HttpHeaderConfig":{"HttpHeaderName":"b","Values":["y"]}},
                         {"Field":"query-string","QueryStringConfig":{"Values":[{"Value":"z"}]}},
                         {"Field":"http-request-method","HttpRequestMethodConfig":{"Values":["GET"]}},
                         {"Field":"source-ip","SourceIpConfig":{"Values":["10.0.0.0/8"]}}])"),
      "fine");
}

TEST_F(Groups, CreatingTheSameAgainSucceedsOtherSettingsDoNot) {
  const std::string g = group("g");
  EXPECT_EQ(group("g"), g);
  refused(
      "CreateTargetGroup",
      {{"Name", "g"}, {"Protocol", "HTTP"}, {"Port", 81}, {"VpcId", "vpc-1"}, {"TargetType", "ip"}},
      "DuplicateTargetGroupNameException",
      "A target group with the same name 'g' exists, but with different settings");
  const Json described = ok("DescribeTargetGroups", {{"Names", {"g"}}})["TargetGroups"][0];
  EXPECT_EQ(described["HealthCheckIntervalSeconds"], 30);
  EXPECT_EQ(described["Matcher"]["HttpCode"], "200");
  EXPECT_EQ(described["UnhealthyThresholdCount"], 2);
}

TEST_F(Groups, AttributesHaveRangesAndDefaults) {
  const std::string g = group("g");
  const auto set = [&](const char* key, const char* value) {
    return call(
        "ModifyTargetGroupAttributes",
        {{"TargetGroupArn", g}, {"Attributes", Json::array({{{"Key", key}, {"Value", value}}})}});
  };
  EXPECT_TRUE(set("deregistration_delay.timeout_seconds", "3600"));
  EXPECT_FALSE(set("deregistration_delay.timeout_seconds", "3601"));
  EXPECT_FALSE(set("deregistration_delay.timeout_seconds", "soon"));
  EXPECT_TRUE(set("slow_start.duration_seconds", "0"));
  EXPECT_FALSE(set("slow_start.duration_seconds", "29"));
  EXPECT_EQ(set("nope", "1").error().message,
            "Target group attribute key 'nope' is not recognized");
}

TEST_F(Targets, WalkFromUnusedToHealthyToGone) {
  const std::string g = group("g");
  ok("RegisterTargets", {{"TargetGroupArn", g}, {"Targets", Json::array({{{"Id", "127.1.0.1"}}})}});
  EXPECT_EQ(health(g)[0]["TargetHealth"]["Reason"], "Target.NotInUse");
  EXPECT_TRUE(elb.due_probes(now + 1h).empty());
  listener(balancer(), forward(g));
  EXPECT_EQ(health(g)[0]["TargetHealth"]["Reason"], "Elb.RegistrationInProgress");
  now += kRegistrationTime;
  const auto probes = elb.due_probes(now);
  ASSERT_EQ(probes.size(), 1U);
  EXPECT_EQ(probes[0].address, "127.1.0.1");
  EXPECT_EQ(probes[0].port, 80);
  EXPECT_TRUE(elb.due_probes(now).empty());
  EXPECT_EQ(elb.next_probe(), now + 30s);
  EXPECT_EQ(health(g)[0]["TargetHealth"]["Reason"], "Elb.InitialHealthChecking");
  const auto before = elb.revision();
  elb.probe_result(probes[0].id, {}, now);
  EXPECT_GT(elb.revision(), before);
  EXPECT_EQ(health(g)[0]["TargetHealth"], Json({{"State", "healthy"}}));
  EXPECT_EQ(elb.health(g, "127.1.0.1", 80).state, TargetState::Healthy);

  ok("DeregisterTargets",
     {{"TargetGroupArn", g}, {"Targets", Json::array({{{"Id", "127.1.0.1"}}})}});
  EXPECT_EQ(health(g)[0]["TargetHealth"]["Reason"], "Target.DeregistrationInProgress");
  EXPECT_EQ(elb.next_wakeup(), now + 300s);
  now += 300s - 1ns;
  EXPECT_EQ(health(g).size(), 1U);
  now += 1ns;
  EXPECT_EQ(health(g).size(), 0U);
  EXPECT_EQ(elb.health(g, "127.1.0.1", 80).reason, "Target.NotRegistered");
}

TEST_F(Targets, LateAndUnknownProbeResultsAreIgnored) {
  const std::string g = group("g");
  listener(balancer(), forward(g));
  elb.register_target(g, "127.1.0.1", 80, now);
  const auto first = elb.due_probes(now + 1s), second = elb.due_probes(now + 31s);
  ASSERT_EQ(second.size(), 1U);
  elb.probe_result(first[0].id, {}, now + 31s);
  elb.probe_result(999, {}, now + 31s);
  EXPECT_EQ(elb.health(g, "127.1.0.1", 80).state, TargetState::Initial);
  elb.probe_result(second[0].id, {}, now + 32s);
  EXPECT_EQ(elb.health(g, "127.1.0.1", 80).state, TargetState::Healthy);
}

TEST_F(Targets, AFunctionMayStandInForTheProber) {
  const std::string g = group("g");
  listener(balancer(), forward(g));
  elb.register_target(g, "127.1.0.1", 80, now);
  const TimePoint broken = now + 100s;
  elb.set_prober([&](const Probe&, TimePoint t) {
    return ProbeOutcome{ProbeOutcome::Kind::Answered, t < broken ? 200 : 500};
  });
  EXPECT_EQ(elb.next_wakeup(), now + 1s);
  elb.tick(now + 99s);
  EXPECT_EQ(elb.health(g, "127.1.0.1", 80).state, TargetState::Healthy);
  elb.tick(now + 151s);  // probes at 121 and 151
  EXPECT_EQ(elb.health(g, "127.1.0.1", 80).description,
            "Health checks failed with these codes: [500]");
}

TEST_F(Targets, InstancesCannotBeRegistered) {
  const std::string g =
      ok("CreateTargetGroup", {{"Name", "i"},
                               {"Protocol", "HTTP"},
                               {"Port", 80},
                               {"VpcId", "vpc-1"}})["TargetGroups"][0]["TargetGroupArn"];
  EXPECT_EQ(
      call("RegisterTargets", {{"TargetGroupArn", g}, {"Targets", Json::array({{{"Id", "i-1"}}})}})
          .error()
          .code,
      "InvalidTargetException");
}

TEST_F(Groups, TagsWorkOnEveryKind) {
  const std::string b = balancer(), g = group("g"), l = listener(b, forward(g)),
                    r = rule(l, 1, path("/a"), forward(g));
  ok("AddTags",
     {{"ResourceArns", {b, g, l, r}}, {"Tags", Json::array({{{"Key", "k"}, {"Value", "v"}}})}});
  ok("RemoveTags", {{"ResourceArns", Json::array({b})}, {"TagKeys", Json::array({"k"})}});
  const Json tags = ok("DescribeTags", {{"ResourceArns", {b, r}}})["TagDescriptions"];
  EXPECT_EQ(tags[0]["Tags"].size(), 0U);
  EXPECT_EQ(tags[1]["Tags"][0]["Value"], "v");
}

}  // namespace
}  // namespace coalmine::mock
