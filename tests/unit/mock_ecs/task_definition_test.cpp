#include <gtest/gtest.h>

#include "mock-aws/services/ecs/register.h"
#include "tests/support/golden.h"
#include "tests/unit/mock_ecs/world.h"

namespace coalmine::mock::test {
namespace {

/// The tutorial's service with its Envoy sidecar (nulls already stripped by the protocol).
Json sidecar_definition() {
  const std::string image = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/APP-svc1-v1";
  const std::string envoy =
      "840364872350.dkr.ecr.eu-west-1.amazonaws.com/aws-appmesh-envoy:v1.25.1.0-prod";
  const Json log = {{"logDriver", "awslogs"},
                    {"options",
                     {{"awslogs-group", "/ecs/APP-svc1-v1"},
                      {"awslogs-region", "eu-west-1"},
                      {"awslogs-create-group", "true"},
                      {"awslogs-stream-prefix", "ecs"}}}};
  return {
      {"family", "APP-svc1-v1"},
      {"taskRoleArn", "arn:aws:iam::111122223333:role/svcTaskRole"},
      {"executionRoleArn", "arn:aws:iam::111122223333:role/svcTaskExecutionRole"},
      {"networkMode", "awsvpc"},
      {"requiresCompatibilities", {"FARGATE"}},
      {"cpu", ".5 vCPU"},
      {"memory", "1 GB"},
      {"runtimePlatform", {{"operatingSystemFamily", "LINUX"}}},
      {"proxyConfiguration",
       {{"type", "APPMESH"},
        {"containerName", "envoy"},
        {"properties", {{{"name", "IgnoredGID"}, {"value", ""}}}}}},
      {"containerDefinitions",
       {{{"name", "APP-svc1-v1"},
         {"image", image},
         {"portMappings",
          {{{"containerPort", 9000}, {"hostPort", 9000}}, {{"containerPort", 3000}}}},
         {"dependsOn", {{{"containerName", "envoy"}, {"condition", "HEALTHY"}}}},
         {"logConfiguration", log}},
        {{"name", "envoy"},
         {"image", envoy},
         {"user", "1337"},
         {"memory", 500},
         {"healthCheck",
          {{"command",
            {"CMD-SHELL", "curl -s http://localhost:9901/server_info | grep state | grep -q LIVE"}},
           {"interval", 5},
           {"timeout", 2},
           {"retries", 3},
           {"startPeriod", 10}}},
         {"logConfiguration", log}}}}};
}

TEST(TaskDefinition, EchoesDefaultsAndAttributes) {
  World world;
  const Json reply = world.call("RegisterTaskDefinition", sidecar_definition());
  EXPECT_GOLDEN("mock_ecs/task_definition.json", dump_json(reply, 2) + "\n");
}

TEST(TaskDefinition, ItsAnswerWithoutAwsFieldsRegistersAgain) {
  World world;
  Json body = world.call("RegisterTaskDefinition", sidecar_definition())["taskDefinition"];
  for (const char* key : {"taskDefinitionArn", "revision", "status", "requiresAttributes",
                          "compatibilities", "registeredAt", "registeredBy"}) {
    ASSERT_TRUE(body.contains(key)) << key;
    body.erase(key);
  }
  const Json again = world.call("RegisterTaskDefinition", body)["taskDefinition"];
  EXPECT_EQ(again["revision"], 2);
  EXPECT_EQ(again["containerDefinitions"], body["containerDefinitions"]);
}

TEST(TaskDefinition, RevisionsAreNeverReused) {
  World world;
  world.define("a", "x");
  world.define("a", "x");
  world.call("DeregisterTaskDefinition", {{"taskDefinition", "a:2"}});
  const auto described = [&](const char* name) {
    return world.call("DescribeTaskDefinition", {{"taskDefinition", name}})["taskDefinition"];
  };
  EXPECT_EQ(described("a")["revision"], 1);
  EXPECT_EQ(described("a:2")["status"], "INACTIVE");
  world.define("a", "x");
  EXPECT_EQ(described("a")["revision"], 3);
  world.call("CreateCluster", Json::object());
  EXPECT_EQ(world.call("RunTask", {{"taskDefinition", "a:2"}})["message"],
            "TaskDefinition is inactive");
  const Json listed = world.call("ListTaskDefinitions", {{"familyPrefix", "a"}});
  EXPECT_EQ(listed["taskDefinitionArns"].size(), 2u);
  const Json newest = world.call("ListTaskDefinitions", {{"sort", "DESC"}, {"maxResults", 1}});
  EXPECT_TRUE(newest["taskDefinitionArns"][0].get<std::string>().ends_with("a:3"));
  EXPECT_TRUE(newest.contains("nextToken"));
}

TEST(TaskDefinition, TagsSitBesideIt) {
  World world;
  Json input = sidecar_definition();
  input["tags"] = {{{"key", "team"}, {"value", "shop"}}};
  const Json reply = world.call("RegisterTaskDefinition", input);
  EXPECT_FALSE(reply["taskDefinition"].contains("tags"));
  EXPECT_EQ(reply["tags"][0]["key"], "team");
  const Json plain = world.call("DescribeTaskDefinition", {{"taskDefinition", "APP-svc1-v1"}});
  EXPECT_FALSE(plain.contains("tags"));
  const Json full = world.call("DescribeTaskDefinition",
                               {{"taskDefinition", "APP-svc1-v1"}, {"include", {"TAGS"}}});
  EXPECT_EQ(full["tags"], reply["tags"]);
}

struct SizeCase {
  int cpu, memory;
  bool fits;
};
TEST(FargateSize, FollowsTheTable) {
  for (const SizeCase& c : {SizeCase{256, 512, true},
                            {256, 2048, true},
                            {256, 1536, false},
                            {256, 4096, false},
                            {512, 512, false},
                            {512, 4096, true},
                            {1024, 2048, true},
                            {1024, 9216, false},
                            {4096, 30720, true},
                            {8192, 16384, true},
                            {8192, 17408, false},
                            {8192, 20480, true},
                            {16384, 32768, true},
                            {16384, 36864, false},
                            {16384, 122880, true},
                            {32768, 65536, false},
                            {300, 512, false}}) {
    EXPECT_EQ(ecs::is_fargate_size(c.cpu, c.memory), c.fits) << c.cpu << "/" << c.memory;
  }
  EXPECT_EQ(ecs::parse_cpu("1 vCPU"), 1024);
  EXPECT_EQ(ecs::parse_memory("1 GB"), 1024);
  EXPECT_EQ(ecs::parse_memory("0.5GB"), 512);
  EXPECT_EQ(ecs::parse_cpu("much"), std::nullopt);
  EXPECT_EQ(ecs::parse_cpu(""), std::nullopt);
}

struct BadCase {
  const char* name;
  const char* pointer;  ///< JSON pointer of what to change
  Json value;           ///< null: remove
  const char* message;
};
class BadDefinition : public testing::TestWithParam<BadCase> {};
TEST_P(BadDefinition, IsRefusedAndChangesNothing) {
  World world;
  Json input = sidecar_definition();
  const Json::json_pointer at(GetParam().pointer);
  if (GetParam().value.is_null()) {
    input = input.patch(Json::array({{{"op", "remove"}, {"path", GetParam().pointer}}}));
  } else {
    input[at] = GetParam().value;
  }
  const Json reply = world.call("RegisterTaskDefinition", input);
  EXPECT_EQ(reply.value("__type", dump_json(reply)), "ClientException");
  EXPECT_EQ(reply.value("message", ""), GetParam().message);
  EXPECT_TRUE(world.call("ListTaskDefinitionFamilies", Json::object())["families"].empty());
}
INSTANTIATE_TEST_SUITE_P(
    Fields, BadDefinition,
    testing::Values(
        BadCase{"Family", "/family", "a b", "Family contains invalid characters."},
        BadCase{"Size", "/memory", "4096 GB", "No Fargate configuration exists for given values."},
        BadCase{"Cpu", "/cpu", "lots",
                "Invalid 'cpu' setting for task. For more information, see the Troubleshooting "
                "section of the Amazon ECS Developer Guide."},
        BadCase{"NoRole", "/executionRoleArn", nullptr,
                "Fargate requires task definition to have execution role ARN to support ECR "
                "images."},
        BadCase{"NetworkMode", "/networkMode", "bridge",
                "Fargate only supports network mode ‘awsvpc’."},
        BadCase{"HostPort", "/containerDefinitions/0/portMappings/0/hostPort", 80,
                "When networkMode=awsvpc, the host ports and container ports in port mappings must "
                "match."},
        BadCase{"Image", "/containerDefinitions/0/image", nullptr,
                "Container.image should not be null or blank."},
        BadCase{"SameName", "/containerDefinitions/0/name", "envoy",
                "Container.name should be unique. envoy is duplicated."},
        BadCase{"DependsOnNobody", "/containerDefinitions/0/dependsOn/0/containerName", "ghost",
                "Invalid 'dependsOn' setting for container APP-svc1-v1: container ghost is not in "
                "the task definition."},
        BadCase{"NoHealthCheck", "/containerDefinitions/1/healthCheck", nullptr,
                "The container APP-svc1-v1 depends on container envoy being HEALTHY, which does "
                "not have a health check."},
        BadCase{"Interval", "/containerDefinitions/1/healthCheck/interval", 4,
                "Invalid 'interval' setting for container envoy: 4 is not within 5 and 300."},
        BadCase{"StopTimeout", "/containerDefinitions/1/stopTimeout", 121,
                "Invalid 'stopTimeout' setting for container envoy: 121 is not within 0 and 120."},
        BadCase{"Cycle", "/containerDefinitions/1/dependsOn",
                Json::array({{{"containerName", "APP-svc1-v1"}, {"condition", "START"}}}),
                "Cycle detected in the dependencies of container APP-svc1-v1."},
        BadCase{"Proxy", "/proxyConfiguration/containerName", "ghost",
                "The proxy configuration's container ghost is not in the task definition."}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(Clusters, AreIdempotentDescribedAndDeleted) {
  World world;
  const Json first = world.call("CreateCluster", {{"clusterName", "c"}})["cluster"];
  EXPECT_EQ(first["clusterArn"], "arn:aws:ecs:eu-west-1:111122223333:cluster/c");
  EXPECT_EQ(world.call("CreateCluster", {{"clusterName", "c"}})["cluster"], first);
  const Json reply = world.call("DescribeClusters", {{"clusters", {"c", "x"}}});
  EXPECT_EQ(reply["clusters"].size(), 1u);
  EXPECT_EQ(reply["failures"][0]["reason"], "MISSING");
  EXPECT_EQ(world.call("DeleteCluster", {{"cluster", "c"}})["cluster"]["status"], "INACTIVE");
  EXPECT_EQ(world.call("DeleteCluster", {{"cluster", "c"}})["message"],
            "The referenced cluster was inactive.");
  EXPECT_TRUE(world.call("ListClusters", Json::object())["clusterArns"].empty());
}

TEST(Tagging, WorksOnEveryResourceAndRefusesReservedKeys) {
  World world;
  const std::string arn =
      world.call("CreateCluster", {{"clusterName", "c"}})["cluster"]["clusterArn"];
  const auto tag = [&](const char* key) {
    return world.call("TagResource",
                      {{"resourceArn", arn}, {"tags", {{{"key", key}, {"value", "1"}}}}});
  };
  tag("a");
  tag("b");
  EXPECT_EQ(tag("aws:c")["__type"], "InvalidParameterException");
  world.call("UntagResource", {{"resourceArn", arn}, {"tagKeys", {"a"}}});
  const Json tags = world.call("ListTagsForResource", {{"resourceArn", arn}})["tags"];
  ASSERT_EQ(tags.size(), 1u);
  EXPECT_EQ(tags[0]["key"], "b");
}

TEST(Determinism, SameCallsGiveTheSameBytes) {
  const auto play = [] {
    World world;
    world.call("CreateCluster", Json::object());
    world.define("app", "app-v1");
    world.create_service("web", "app", 3);
    world.run_for(2min);
    world.call("UpdateService", {{"service", "web"}, {"forceNewDeployment", true}});
    world.run_for(5min);
    return dump_json(world.ecs.state());
  };
  EXPECT_EQ(play(), play());
}

}  // namespace
}  // namespace coalmine::mock::test
