#include "mock-aws/tasks/commands.h"

#include <gtest/gtest.h>

#include "mock-aws/tasks/glob.h"
#include "mock-aws/tasks/image.h"
#include "mock-aws/tasks/lines.h"

namespace coalmine::mock {
namespace {

struct VersionCase {
  const char* name;
  const char* image;
  const char* version;  ///< empty: none
};
class VersionOf : public testing::TestWithParam<VersionCase> {};
TEST_P(VersionOf, IsReadFromRepositoryOrTag) {
  EXPECT_EQ(version_of(GetParam().image).value_or(""), GetParam().version);
}
INSTANTIATE_TEST_SUITE_P(
    Images, VersionOf,
    testing::Values(VersionCase{"Untagged", "1.dkr.ecr.eu-west-1.amazonaws.com/APP-svc1-v1", "v1"},
                    VersionCase{"RepositoryWithLatest",
                                "1.dkr.ecr.x.amazonaws.com/app/service1-v2:latest", "v2"},
                    VersionCase{"Tag", "app:v3", "v3"}, VersionCase{"TagFirst", "app-v1:v2", "v2"},
                    VersionCase{"Digest", "host/APP-svc1-v2@sha256:0123abcdef", "v2"},
                    VersionCase{"DigestBesideTag", "host/APP-svc1-v2:v9@sha256:0123", "v2"},
                    VersionCase{"RegistryPort", "localhost:5000/app-v12", "v12"},
                    VersionCase{"Bare", "v1", "v1"}, VersionCase{"None", "nginx:latest", ""},
                    VersionCase{"OnlyV", "app-v", ""},
                    VersionCase{"Envoy",
                                "8.dkr.ecr.x.amazonaws.com/aws-appmesh-envoy:v1.25.1.0-prod", ""}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(TaskAddress, ReplacesLocalhostOnlyWhereItIsAHost) {
  const auto at = [](const char* text) { return with_task_address(text, "127.1.0.7"); };
  EXPECT_EQ(at("curl -s http://localhost:9901/server_info | grep state"),
            "curl -s http://127.1.0.7:9901/server_info | grep state");
  EXPECT_EQ(at("curl 127.0.0.1:80 || exit 1"), "curl 127.1.0.7:80 || exit 1");
  EXPECT_EQ(at("nc localhost 80"), "nc 127.1.0.7 80");
  EXPECT_EQ(at("curl mylocalhost localhost.example 127.0.0.10 10.127.0.0.1"),
            "curl mylocalhost localhost.example 127.0.0.10 10.127.0.0.1");
}

TEST(Glob, MatchesWholeNames) {
  EXPECT_TRUE(glob_match("*aws-appmesh-envoy*", "a/aws-appmesh-envoy:v1"));
  EXPECT_TRUE(glob_match("a?c*", "abc"));
  EXPECT_TRUE(glob_match("*", ""));
  EXPECT_FALSE(glob_match("abc", "abcd"));
  EXPECT_FALSE(glob_match("a*b", "acbd"));
}

ContainerStart start_of(std::string image, std::vector<int> ports = {9000, 3000}) {
  ContainerStart start;
  start.task_id = "t";
  start.container = "app";
  start.image = std::move(image);
  start.address = "127.1.0.9";
  start.ports = std::move(ports);
  start.account = "111122223333";
  start.region = "eu-west-1";
  return start;
}

ImageCommands commands() {
  return {"coalmine", "sample-app", "http://127.0.0.1:4566", {}};
}

using Words = std::vector<std::string>;

TEST(PlanContainer, RunsTheSampleAppOnEveryPort) {
  const auto plan = plan_container(start_of("repo/APP-svc1-v2"), commands());
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->processes,
            (std::vector<Words>{
                {"sample-app", "--version", "v2", "--host", "127.1.0.9", "--port", "3000"},
                {"sample-app", "--version", "v2", "--host", "127.1.0.9", "--port", "9000"}}));
  EXPECT_EQ(plan->environment.at("AWS_ENDPOINT_URL"), "http://127.0.0.1:4566");
}

TEST(PlanContainer, RunsTheGatewayForEnvoyOfAVirtualGateway) {
  for (const char* form : {"mesh/m/virtualGateway/gw",
                           "arn:aws:appmesh:eu-west-1:111122223333:mesh/m/virtualGateway/gw"}) {
    for (const char* name : {"APPMESH_VIRTUAL_NODE_NAME", "APPMESH_RESOURCE_ARN"}) {
      ContainerStart start = start_of("x/aws-appmesh-envoy:v1.25.1.0-prod", {9080, 9901});
      start.environment[name] = form;
      const auto plan = plan_container(start, commands());
      ASSERT_TRUE(plan);
      EXPECT_EQ(plan->processes.at(0),
                (Words{"coalmine", "gateway", "--listen", "127.1.0.9", "--admin", "127.1.0.9:9901",
                       "--virtual-gateway", "m/gw", "--control", "http://127.0.0.1:4566", "--scope",
                       "111122223333/eu-west-1"}));
    }
  }
}

TEST(PlanContainer, StandsInForEnvoyOfAVirtualNode) {
  ContainerStart start = start_of("x/aws-appmesh-envoy:v1", {});
  start.environment["APPMESH_VIRTUAL_NODE_NAME"] = "mesh/m/virtualNode/n1";
  const auto plan = plan_container(start, commands());
  ASSERT_TRUE(plan);
  EXPECT_EQ(
      plan->processes.at(0),
      (Words{"coalmine", "gateway", "--stand-in", "--admin", "127.1.0.9:9901", "--node", "m/n1",
             "--control", "http://127.0.0.1:4566", "--scope", "111122223333/eu-west-1"}));
  start.environment.clear();
  EXPECT_NE(plan_container(start, commands()).error().message.find("APPMESH_RESOURCE_ARN"),
            std::string::npos);
}

TEST(PlanContainer, MappingsComeFirstAndFillPlaceholders) {
  ImageCommands with = commands();
  with.mappings.push_back({"team/app-*", "run --at {host}:{port} --as {version}"});
  const auto plan =
      plan_container(start_of("1.dkr.ecr.x.amazonaws.com/team/app-v4:latest", {80}), with);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->processes,
            (std::vector<Words>{{"/bin/sh", "-c", "run --at 127.1.0.9:80 --as v4"}}));
  EXPECT_NE(plan_container(start_of("team/app-v4", {}), with).error().message.find("{port}"),
            std::string::npos);
}

TEST(PlanContainer, SaysWhyAnImageCannotRun) {
  EXPECT_EQ(plan_container(start_of("nginx"), commands()).error().message,
            "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to "
            "resolve ref nginx:latest: nginx:latest: not found");
  ContainerStart pushed = start_of("1.dkr.ecr.x.amazonaws.com/shop:blue");
  pushed.digest = "sha256:1";
  const std::string message = plan_container(pushed, commands()).error().message;
  EXPECT_TRUE(message.starts_with("CannotStartContainerError: ")) << message;
  EXPECT_NE(message.find("--image 'PATTERN=COMMAND'"), std::string::npos) << message;
}

TEST(ImageMappingText, NeedsBothSides) {
  EXPECT_EQ(parse_image_mapping("a*=run x=1")->command, "run x=1");
  for (const char* bad : {"", "a", "=b", "a="}) {
    EXPECT_FALSE(parse_image_mapping(bad)) << bad;
  }
}

TEST(Lines, AreCutAtEndsAndAtTheLimit) {
  LineSplitter lines;
  EXPECT_EQ(lines.add("one\r\ntw"), (Words{"one"}));
  EXPECT_EQ(lines.add("o\n\nrest"), (Words{"two", ""}));
  EXPECT_EQ(lines.finish(), (Words{"rest"}));
  EXPECT_EQ(lines.finish(), Words{});
  EXPECT_EQ(lines.add(std::string(LineSplitter::kMaxLine + 1, 'x')).size(), 1u);
}

}  // namespace
}  // namespace coalmine::mock
