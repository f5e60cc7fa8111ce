#include "sim/rollout/aws/ecs_tasks.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace coalmine::rollout {
namespace {

struct FakeClock : Clock {
  TimePoint now() override { return t; }
  void sleep_until(TimePoint until) override { t = std::max(t, until); }
  TimePoint t = kVirtualEpoch;
};

/// Two services and what is asked of them.
struct FakeEcs {
  Json services = Json::parse(R"([
    {"serviceName":"app-v1","status":"ACTIVE","desiredCount":3,"deployments":[
      {"status":"PRIMARY","taskDefinition":"arn:app-v1:1","runningCount":3,"pendingCount":0}]},
    {"serviceName":"app-v2","status":"ACTIVE","desiredCount":1,"deployments":[
      {"status":"PRIMARY","taskDefinition":"arn:app-v2:7","runningCount":1,"pendingCount":0}]}])");
  std::map<std::string, Json> definitions = {
      {"arn:app-v1:1", Json::parse(R"({"taskDefinitionArn":"arn:app-v1:1","family":"app-v1",
        "revision":1,"status":"ACTIVE","registeredAt":1,"cpu":"256","containerDefinitions":[
          {"name":"app-v1","image":"shop/service1:latest","environment":[
            {"name":"FAULT","value":"none"},{"name":"NODE","value":"v1"}]},
          {"name":"envoy","image":"envoy:1"}]})")},
      {"arn:app-v2:7", Json::parse(R"({"taskDefinitionArn":"arn:app-v2:7","family":"app-v2",
        "revision":7,"status":"ACTIVE","containerDefinitions":[
          {"name":"app-v2","image":"shop/service2:latest","environment":[
            {"name":"FAULT","value":"errors=5%"},{"name":"NODE","value":"v2"}]},
          {"name":"envoy","image":"envoy:2"}]})")}};
  std::string target_health;
  std::vector<std::string> calls;
  Json last;

  net::Response operator()(const net::Request& request) {
    net::Response response;
    const std::string target = request.headers.get("X-Amz-Target");
    if (!target.empty()) {
      const std::string operation = target.substr(target.rfind('.') + 1);
      calls.push_back(operation);
      const Json input = Json::parse(request.body);
      response.body = answer(operation, input).dump();
      return response;
    }
    response.body =
        "<DescribeTargetHealthResponse><DescribeTargetHealthResult>"
        "<TargetHealthDescriptions>" +
        target_health +
        "</TargetHealthDescriptions></DescribeTargetHealthResult>"
        "</DescribeTargetHealthResponse>";
    return response;
  }

  Json answer(const std::string& operation, const Json& input) {
    if (operation == "DescribeServices") return {{"services", services}};
    if (operation == "DescribeTaskDefinition") {
      return {{"taskDefinition", definitions.at(input["taskDefinition"])}};
    }
    last = input;
    if (operation == "RegisterTaskDefinition") {
      Json made = input;
      made["taskDefinitionArn"] = "arn:app-v1:2";
      definitions["arn:app-v1:2"] = made;
      return {{"taskDefinition", made}};
    }
    Json& service = services[input["service"] == "app-v1" ? 0 : 1];
    if (input.contains("desiredCount")) service["desiredCount"] = input["desiredCount"];
    if (input.contains("taskDefinition")) {
      service["deployments"][0]["status"] = "ACTIVE";
      Json fresh = Json::parse(R"({"status":"PRIMARY","runningCount":0,"pendingCount":3})");
      fresh["taskDefinition"] = input["taskDefinition"];
      service["deployments"].insert(service["deployments"].begin(), fresh);
    }
    return {{"service", service}};
  }
};

class EcsTasksTest : public testing::Test {
 protected:
  FakeEcs ecs;
  FakeClock clock;
  std::unique_ptr<aws::Transport> transport =
      aws::in_process_transport([this](const net::Request& r) { return ecs(r); });
  aws::Client client{*transport, {"AK", "SK", ""}, {}, clock, Random(1)};
  EcsTasks tasks{client, {}};
};

TEST_F(EcsTasksTest, ReadsWhatRunsAndWhatIsWanted) {
  ecs.services[1]["desiredCount"] = 4;
  const auto found = tasks.read();
  ASSERT_TRUE(found) << to_string(found.error());
  EXPECT_EQ(found->stable, (TaskCount{3, 3, 0, "arn:app-v1:1", ""}));
  EXPECT_EQ(found->canary, (TaskCount{4, 1, 0, "arn:app-v2:7", ""}));
  EXPECT_FALSE(found->same_image);
  ecs.services[1]["deployments"][0]["rolloutState"] = "FAILED";
  ecs.services[1]["deployments"][0]["rolloutStateReason"] = "tasks failed to start.";
  EXPECT_EQ(tasks.read()->canary.failure, "tasks failed to start.");
}

TEST_F(EcsTasksTest, ATaskThatIsNotHealthyInItsTargetGroupIsNotReady) {
  ecs.services[0]["loadBalancers"] = Json::array({{{"targetGroupArn", "arn:tg"}}});
  ecs.target_health =
      "<member><TargetHealth><State>healthy</State></TargetHealth></member>"
      "<member><TargetHealth><State>initial</State></TargetHealth></member>"
      "<member><TargetHealth><State>healthy</State></TargetHealth></member>";
  const auto found = tasks.read();
  ASSERT_TRUE(found) << to_string(found.error());
  EXPECT_EQ(found->stable.ready, 2);
}

TEST_F(EcsTasksTest, ScalesByTheDesiredCount) {
  const auto scaled = tasks.scale("v2", 5);
  ASSERT_TRUE(scaled) << to_string(scaled.error());
  EXPECT_EQ(scaled->canary.desired, 5);
  EXPECT_EQ(ecs.last, (Json{{"cluster", "coalmine"}, {"service", "app-v2"}, {"desiredCount", 5}}));
}

TEST_F(EcsTasksTest, SwapsTheImageAndNothingElse) {
  const auto swapped = tasks.swap_image("");
  ASSERT_TRUE(swapped) << to_string(swapped.error());
  EXPECT_TRUE(swapped->same_image);
  EXPECT_EQ(swapped->stable, (TaskCount{3, 0, 3, "arn:app-v1:2", ""}));
  EXPECT_FALSE(is_settled(swapped->stable));
  const Json made = ecs.definitions.at("arn:app-v1:2");
  EXPECT_EQ(made["family"], "app-v1");
  EXPECT_FALSE(made.contains("revision"));
  EXPECT_EQ(made["cpu"], "256");
  EXPECT_EQ(made["containerDefinitions"][0]["name"], "app-v1");
  EXPECT_EQ(made["containerDefinitions"][0]["image"], "shop/service2:latest");
  EXPECT_EQ(made["containerDefinitions"][0]["environment"],
            ecs.definitions.at("arn:app-v1:1")["containerDefinitions"][0]["environment"]);
  EXPECT_EQ(made["containerDefinitions"][1]["image"], "envoy:2");

  // Said again it changes nothing; another build of the canary is another image, whatever its tag.
  const std::size_t before = ecs.calls.size();
  ASSERT_TRUE(tasks.swap_image(""));
  EXPECT_EQ(std::count(ecs.calls.begin() + static_cast<std::ptrdiff_t>(before), ecs.calls.end(),
                       "RegisterTaskDefinition"),
            0);
  ecs.services[1]["deployments"][0]["taskDefinition"] = "arn:app-v2:8";
  EXPECT_FALSE(tasks.read()->same_image);

  const auto back = tasks.swap_image("arn:app-v1:1");
  ASSERT_TRUE(back);
  EXPECT_EQ(back->stable.build, "arn:app-v1:1");
  EXPECT_EQ(ecs.last["taskDefinition"], "arn:app-v1:1");
}

TEST_F(EcsTasksTest, VariablesOfTheBuildMoveWithIt) {
  EcsServices services;
  services.build_variables = {"FAULT"};
  EcsTasks lab(client, services);
  ASSERT_TRUE(lab.swap_image(""));
  EXPECT_EQ(ecs.definitions.at("arn:app-v1:2")["containerDefinitions"][0]["environment"],
            Json::parse(R"([{"name":"NODE","value":"v1"},{"name":"FAULT","value":"errors=5%"}])"));
}

TEST_F(EcsTasksTest, ServicesThatAreNotThereAreNamed) {
  ecs.services[1]["status"] = "INACTIVE";
  const auto found = tasks.read();
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().message, "there is no service app-v2 in the cluster coalmine");
}

TEST(WithImagesOf, ContainersThatHaveNoLikeAreRefused) {
  const Json stable = Json::parse(R"({"family":"a","containerDefinitions":[{"name":"x"}]})");
  const Json canary =
      Json::parse(R"({"family":"b","containerDefinitions":[{"name":"y"},{"name":"z"}]})");
  const auto made = with_images_of(stable, canary, {});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().message, "no container of a has its like in b: give them the same names");
}

}  // namespace
}  // namespace coalmine::rollout
