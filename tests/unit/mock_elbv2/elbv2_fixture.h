#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "mock-aws/services/elbv2/elbv2.h"
#include "sim/core/json.h"
#include "tests/support/service_harness.h"

namespace coalmine::mock {

/// An Elbv2 at a time that the test moves.
struct Elbv2Test : test::ServiceTest<Elbv2> {
  Elbv2& elb = service;

  std::string balancer(const char* name = "web") {
    return ok("CreateLoadBalancer",
              {{"Name", name},
               {"Subnets", {"subnet-a", "subnet-b"}}})["LoadBalancers"][0]["LoadBalancerArn"];
  }
  std::string group(const char* name) {
    return ok("CreateTargetGroup", {{"Name", name},
                                    {"Protocol", "HTTP"},
                                    {"Port", 80},
                                    {"VpcId", "vpc-1"},
                                    {"TargetType", "ip"}})["TargetGroups"][0]["TargetGroupArn"];
  }
  static Json forward(const std::string& group) {
    return Json::array({{{"Type", "forward"}, {"TargetGroupArn", group}}});
  }
  static Json weighted(const std::string& a, int x, const std::string& b, int y) {
    return Json::array(
        {{{"Type", "forward"},
          {"ForwardConfig",
           {{"TargetGroups", Json::array({{{"TargetGroupArn", a}, {"Weight", x}},
                                          {{"TargetGroupArn", b}, {"Weight", y}}})}}}}});
  }
  std::string listener(const std::string& balancer, const Json& actions, int port = 80) {
    return ok("CreateListener", {{"LoadBalancerArn", balancer},
                                 {"Protocol", "HTTP"},
                                 {"Port", port},
                                 {"DefaultActions", actions}})["Listeners"][0]["ListenerArn"];
  }
  static Json path(const char* pattern) {
    return Json::array({{{"Field", "path-pattern"}, {"Values", Json::array({pattern})}}});
  }
  std::string rule(const std::string& listener, int priority, const Json& conditions,
                   const Json& actions) {
    return ok("CreateRule", {{"ListenerArn", listener},
                             {"Priority", priority},
                             {"Conditions", conditions},
                             {"Actions", actions}})["Rules"][0]["RuleArn"];
  }
  Json health(const std::string& group) {
    return ok("DescribeTargetHealth", {{"TargetGroupArn", group}})["TargetHealthDescriptions"];
  }
};

}  // namespace coalmine::mock
