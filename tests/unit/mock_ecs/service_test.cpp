#include <gtest/gtest.h>

#include "tests/support/golden.h"
#include "tests/unit/mock_ecs/world.h"

namespace coalmine::mock::test {
namespace {

struct Lab : World {
  explicit Lab(EcsOptions options = {}) : World(options) {
    call("CreateCluster", Json::object());
    define("app", "repo/app-v1");
    driver.set_image("*", SimulatedImage{});
  }
};

TEST(Service, BecomesStableAndSteady) {
  Lab lab;
  const Json created = lab.create_service("web", "app", 2)["service"];
  EXPECT_EQ(created["status"], "ACTIVE");
  EXPECT_EQ(created["deployments"].size(), 1u);
  EXPECT_EQ(created["deployments"][0]["rolloutState"], "IN_PROGRESS");
  EXPECT_TRUE(lab.run_until([&] { return lab.stable("web"); }, 5s));
  EXPECT_TRUE(lab.run_until([&] { return lab.steady("web"); }, 60s));
  // 1 s pull and 0.1 s ENI and then 40 s until a task without checks counts as healthy.
  EXPECT_GT(lab.now - lab.start, 41s);
  EXPECT_LT(lab.now - lab.start, 42s);
}

TEST(Service, RollsToANewRevisionWithAwsEvents) {
  Lab lab;
  lab.create_service("web", "app", 2);
  lab.run_until([&] { return lab.steady("web"); });
  lab.define("app", "repo/app-v2");
  lab.call("UpdateService", {{"service", "web"}, {"taskDefinition", "app"}});
  EXPECT_EQ(lab.service("web")["deployments"].size(), 2u);
  EXPECT_FALSE(lab.stable("web"));
  EXPECT_TRUE(lab.run_until([&] { return lab.steady("web"); }));
  EXPECT_EQ(lab.running("web", 2), 2);
  EXPECT_EQ(lab.running("web", 1), 0);
  lab.run_for(10s);
  EXPECT_GOLDEN("mock_ecs/rolling.events", lab.events_text("web"));
}

TEST(Service, WithALoadBalancerRegistersDrainsAndStops) {
  Lab lab;
  lab.groups.groups.insert("arn:tg/web");
  lab.create_service(
      "web", "app", 1,
      {{"loadBalancers",
        {{{"targetGroupArn", "arn:tg/web"}, {"containerName", "app"}, {"containerPort", 9000}}}}});
  ASSERT_TRUE(lab.run_until([&] { return lab.steady("web"); }));
  EXPECT_LT(lab.now - lab.start, 20s);  // target health decides, not the 40 s rule
  lab.define("app", "repo/app-v2");
  lab.call("UpdateService", {{"service", "web"}, {"taskDefinition", "app"}});
  ASSERT_TRUE(lab.run_until([&] { return lab.steady("web"); }));
  const auto tasks = lab.tasks_of("web");
  ASSERT_EQ(tasks.size(), 2u);  // the old one drains for the group's 30 s
  lab.run_for(40s);
  EXPECT_EQ(lab.tasks_of("web").size(), 1u);
  EXPECT_GOLDEN("mock_ecs/load_balancer.events", lab.events_text("web"));
}

TEST(Service, FailedTargetHealthReplacesTheTask) {
  Lab lab;
  lab.groups.groups.insert("arn:tg/web");
  lab.create_service(
      "web", "app", 1,
      {{"loadBalancers",
        {{{"targetGroupArn", "arn:tg/web"}, {"containerName", "app"}, {"containerPort", 9000}}}},
       {"healthCheckGracePeriodSeconds", 60}});
  lab.groups.failing = true;
  lab.run_for(50s);
  EXPECT_EQ(lab.tasks_of("web").size(), 1u);  // grace
  lab.run_for(15s);
  const std::string events = lab.events_text("web");
  EXPECT_NE(events.find("(task T1) (port 9000) is unhealthy in (target-group arn:tg/web) due to "
                        "(reason Health checks failed with these codes: [500])."),
            std::string::npos)
      << events;
}

TEST(Service, CircuitBreakerRollsBackToTheCompletedRevision) {
  Lab lab;
  lab.create_service("web", "app", 1,
                     {{"deploymentConfiguration",
                       {{"deploymentCircuitBreaker", {{"enable", true}, {"rollback", true}}}}}});
  lab.run_until([&] { return lab.steady("web"); });
  lab.define("app", "repo/app-v2");
  SimulatedImage broken;
  broken.pull_fails = true;
  lab.driver.set_image("*v2", broken);
  lab.call("UpdateService", {{"service", "web"}, {"taskDefinition", "app"}});
  ASSERT_TRUE(lab.run_until([&] { return lab.steady("web"); }, 5min));
  const Json service = lab.service("web");
  EXPECT_TRUE(service["taskDefinition"].get<std::string>().ends_with("app:1"));
  const Json list = lab.call("ListServiceDeployments", {{"service", "web"}})["serviceDeployments"];
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0]["status"], "ROLLBACK_SUCCESSFUL");
  EXPECT_EQ(list[1]["status"], "SUCCESSFUL");
  const Json detail = lab.call("DescribeServiceDeployments",
                               {{"serviceDeploymentArns", {list[0]["serviceDeploymentArn"]}}});
  const Json record = detail["serviceDeployments"][0];
  EXPECT_EQ(record["deploymentCircuitBreaker"]["status"], "TRIGGERED");
  EXPECT_EQ(record["deploymentCircuitBreaker"]["threshold"], 3);
  EXPECT_EQ(record["rollback"]["reason"],
            "Service deployment rolled back because the circuit breaker threshold was exceeded.");
  EXPECT_GOLDEN("mock_ecs/breaker.events", lab.events_text("web"));
}

TEST(Service, BreakerWithoutACompletedRevisionStalls) {
  Lab lab;
  SimulatedImage broken;
  broken.pull_fails = true;
  lab.driver.set_image("*v1", broken);
  lab.create_service("web", "app", 1,
                     {{"deploymentConfiguration",
                       {{"deploymentCircuitBreaker", {{"enable", true}, {"rollback", true}}}}}});
  lab.run_for(5min);
  const Json deployment = lab.service("web")["deployments"][0];
  EXPECT_EQ(deployment["rolloutState"], "FAILED");
  EXPECT_EQ(deployment["failedTasks"], 3);
  EXPECT_EQ(deployment["rolloutStateReason"],
            "ECS deployment circuit breaker: tasks failed to start.");
  const Json list = lab.call("ListServiceDeployments", {{"service", "web"}})["serviceDeployments"];
  EXPECT_EQ(list[0]["status"], "ROLLBACK_FAILED");
  EXPECT_EQ(list[0]["statusReason"], "No rollback candidate was found to run the rollback.");
  EXPECT_TRUE(lab.tasks_of("web").empty());
}

TEST(Service, FailingStartsBackOffUpToTheLimit) {
  Lab lab;
  SimulatedImage broken;
  broken.start_delay = {};
  broken.pull_fails = true;
  lab.driver.set_image("*v1", broken);
  lab.create_service("web", "app", 1);
  std::vector<TimePoint> starts;
  std::size_t seen = 0;
  for (const TimePoint end = lab.now + 2h; lab.now < end;) {
    lab.run_for(1s);
    const std::size_t count = static_cast<std::size_t>(
        std::count_if(lab.events.log.begin(), lab.events.log.end(),
                      [](const auto& e) { return e.first == "task.created"; }));
    if (count > seen) starts.push_back(lab.now);
    seen = count;
  }
  ASSERT_GT(starts.size(), 8u);
  EXPECT_LT(starts[1] - starts[0], 4s);
  const Duration last = starts.back() - starts[starts.size() - 2];
  EXPECT_GE(last, 15min);
  EXPECT_LT(last, 15min + 5s);
  EXPECT_NE(lab.events_text("web").find("is unable to consistently start tasks successfully."),
            std::string::npos);
}

TEST(Service, ACrashedTaskIsReplacedAndACrashLoopIsSlowed) {
  Lab lab;
  lab.create_service("web", "app", 1);
  lab.run_until([&] { return lab.steady("web"); });
  lab.driver.crash(lab.tasks_of("web")[0].id, "app", 139, lab.now);
  lab.run_for(2s);
  EXPECT_EQ(lab.running("web", 1), 1);
  const Json stopped = lab.call("ListTasks", {{"desiredStatus", "STOPPED"}})["taskArns"];
  ASSERT_EQ(stopped.size(), 1u);
  const Json task = lab.call("DescribeTasks", {{"tasks", stopped}})["tasks"][0];
  EXPECT_EQ(task["stopCode"], "EssentialContainerExited");
  EXPECT_EQ(task["stoppedReason"], "Essential container in task exited");
  EXPECT_EQ(task["containers"][0]["exitCode"], 139);

  SimulatedImage looping;
  looping.exits_after = 100ms;
  lab.driver.set_image("*v1", looping);
  lab.driver.crash(lab.tasks_of("web")[0].id, "app", 1, lab.now);
  lab.events.log.clear();
  lab.run_for(1min);
  const auto starts = std::count_if(lab.events.log.begin(), lab.events.log.end(),
                                    [](const auto& e) { return e.first == "task.created"; });
  EXPECT_LE(starts, 6);
}

TEST(Service, AlarmRollsBackAndARedOneAtTheStartIsIgnored) {
  for (const bool red_before : {false, true}) {
    Lab lab;
    lab.create_service(
        "web", "app", 1,
        {{"deploymentConfiguration",
          {{"alarms", {{"alarmNames", {"errors"}}, {"enable", true}, {"rollback", true}}}}}});
    lab.run_until([&] { return lab.steady("web"); });
    lab.define("app", "repo/app-v2");
    if (red_before) lab.alarms.states["errors"] = AlarmState::Alarm;
    lab.call("UpdateService", {{"service", "web"}, {"taskDefinition", "app"}});
    lab.run_for(60s);  // rolled, baking
    EXPECT_EQ(lab.running("web", 2), 1);
    lab.alarms.states["errors"] = AlarmState::Alarm;
    lab.run_until([&] { return lab.steady("web"); });
    EXPECT_EQ(lab.running("web", 2), red_before ? 1 : 0);
    EXPECT_EQ(lab.running("web", 1), red_before ? 0 : 1);
    const bool told =
        lab.events_text("web").find("deployment failed: alarm detected.") != std::string::npos;
    EXPECT_EQ(told, !red_before);
  }
}

TEST(Service, ABakeKeepsTheDeploymentInProgress) {
  Lab lab;
  lab.create_service(
      "web", "app", 1,
      {{"deploymentConfiguration",
        {{"bakeTimeInMinutes", 7},
         {"alarms", {{"alarmNames", {"errors"}}, {"enable", true}, {"rollback", true}}}}}});
  lab.run_for(7min + 40s);
  EXPECT_EQ(lab.service("web")["deployments"][0]["rolloutState"], "IN_PROGRESS");
  lab.run_for(10s);
  EXPECT_EQ(lab.service("web")["deployments"][0]["rolloutState"], "COMPLETED");
}

TEST(Service, StopServiceDeploymentRollsBack) {
  Lab lab;
  lab.create_service("web", "app", 2);
  lab.run_until([&] { return lab.steady("web"); });
  lab.define("app", "repo/app-v2");
  const Json updated =
      lab.call("UpdateService", {{"service", "web"}, {"taskDefinition", "app"}})["service"];
  lab.run_for(10s);
  const std::string arn = lab.service("web")["currentServiceDeployment"];
  EXPECT_EQ(arn, updated["currentServiceDeployment"]);
  EXPECT_EQ(
      lab.call("StopServiceDeployment", {{"serviceDeploymentArn", arn}})["serviceDeploymentArn"],
      arn);
  lab.run_until([&] { return lab.steady("web"); });
  EXPECT_EQ(lab.running("web", 1), 2);
  const Json list = lab.call("ListServiceDeployments", {{"service", "web"}})["serviceDeployments"];
  EXPECT_EQ(list[0]["status"], "ROLLBACK_SUCCESSFUL");
  EXPECT_EQ(lab.call("StopServiceDeployment", {{"serviceDeploymentArn", arn}})["__type"],
            "ConflictException");
}

TEST(Service, ForceNewDeploymentPinsDigestsAnew) {
  Lab lab;
  lab.images.digests["repo/app-v1"] = "sha256:aaaa";
  lab.create_service("web", "app", 1);
  lab.run_until([&] { return lab.steady("web"); });
  lab.images.digests["repo/app-v1"] = "sha256:bbbb";
  lab.call("UpdateService", {{"service", "web"}, {"desiredCount", 2}});
  lab.run_until([&] { return lab.steady("web"); });
  const auto digest = [&](const Json& task) { return task["containers"][0]["imageDigest"]; };
  const auto all = [&] {
    return lab.call("DescribeTasks",
                    {{"tasks", lab.call("ListTasks", Json::object())["taskArns"]}})["tasks"];
  };
  for (const Json& task : all()) EXPECT_EQ(digest(task), "sha256:aaaa");
  lab.call("UpdateService", {{"service", "web"}, {"forceNewDeployment", true}});
  lab.run_until([&] { return lab.steady("web"); });
  EXPECT_EQ(all().size(), 2u);
  for (const Json& task : all()) EXPECT_EQ(digest(task), "sha256:bbbb");
}

TEST(Service, ScalingMakesNoDeployment) {
  Lab lab;
  lab.create_service("web", "app", 1);
  lab.run_until([&] { return lab.steady("web"); });
  const Json before = lab.service("web")["deployments"][0]["id"];
  lab.call("UpdateService", {{"service", "web"}, {"desiredCount", 3}});
  lab.run_until([&] { return lab.steady("web"); });
  EXPECT_EQ(lab.running("web", 1), 3);
  lab.call("UpdateService", {{"service", "web"}, {"desiredCount", 0}});
  lab.run_until([&] { return lab.steady("web"); });
  EXPECT_EQ(lab.running("web", 1), 0);
  EXPECT_EQ(lab.service("web")["deployments"][0]["id"], before);
}

TEST(Service, DeletedDrainsThenIsInactive) {
  Lab lab;
  lab.registry.known.insert("srv-1");
  lab.create_service("web", "app", 1, {{"serviceRegistries", {{{"registryArn", "srv-1"}}}}});
  lab.run_until([&] { return lab.steady("web"); });
  EXPECT_EQ(lab.call("DeleteService", {{"service", "web"}})["message"],
            "The service cannot be stopped while it is scaled above 0.");
  EXPECT_EQ(lab.call("DeleteCluster", {{"cluster", "default"}})["__type"],
            "ClusterContainsServicesException");
  lab.call("DeleteService", {{"service", "web"}, {"force", true}});
  EXPECT_EQ(lab.create_service("web", "app", 1)["message"],
            "Creation of service was not idempotent.");
  EXPECT_TRUE(lab.run_until([&] { return lab.service("web")["status"] == "INACTIVE"; }, 5s));
  EXPECT_EQ(lab.call("UpdateService", {{"service", "web"}})["__type"], "ServiceNotActiveException");
  EXPECT_TRUE(lab.call("ListServices", Json::object())["serviceArns"].empty());
  lab.run_for(1s);
  EXPECT_EQ(lab.create_service("web", "app", 1)["service"]["status"], "ACTIVE");
}

TEST(Service, IsStuckWhenThePercentagesAllowNothing) {
  Lab lab;
  lab.create_service(
      "web", "app", 1,
      {{"deploymentConfiguration", {{"minimumHealthyPercent", 50}, {"maximumPercent", 100}}}});
  lab.run_until([&] { return lab.steady("web"); });
  lab.call("UpdateService", {{"service", "web"}, {"forceNewDeployment", true}});
  lab.run_for(5min);
  EXPECT_FALSE(lab.stable("web"));
  EXPECT_NE(lab.events_text("web").find("was unable to stop or start tasks during a deployment"),
            std::string::npos);
}

struct ErrorCase {
  const char* name;
  const char* operation;
  Json input;
  const char* code;
  const char* message;
};

class Errors : public testing::TestWithParam<ErrorCase> {};

TEST_P(Errors, AreWordedAsAws) {
  Lab lab;
  lab.groups.groups.insert("arn:tg/lonely");
  lab.groups.unused.insert("arn:tg/lonely");
  const Json reply = lab.call(GetParam().operation, GetParam().input);
  EXPECT_EQ(reply.value("__type", dump_json(reply)), GetParam().code);
  EXPECT_EQ(reply.value("message", ""), GetParam().message);
}

const Json kService = {{"serviceName", "s"},
                       {"taskDefinition", "app"},
                       {"desiredCount", 1},
                       {"networkConfiguration", World::network()}};
Json with(Json base, const Json& more) {
  base.update(more);
  return base;
}

INSTANTIATE_TEST_SUITE_P(
    Wordings, Errors,
    testing::Values(
        ErrorCase{"UnknownCluster",
                  "ListTasks",
                  {{"cluster", "nope"}},
                  "ClusterNotFoundException",
                  "Cluster not found."},
        ErrorCase{"UnknownService",
                  "UpdateService",
                  {{"service", "nope"}},
                  "ServiceNotFoundException",
                  "Service not found."},
        ErrorCase{"NoTasks",
                  "DescribeTasks",
                  {{"tasks", Json::array()}},
                  "InvalidParameterException",
                  "Tasks cannot be empty."},
        ErrorCase{"NoServices",
                  "DescribeServices",
                  {{"services", Json::array()}},
                  "InvalidParameterException",
                  "Services cannot be empty."},
        ErrorCase{"UnknownTask",
                  "StopTask",
                  {{"task", "nope"}},
                  "InvalidParameterException",
                  "The referenced task was not found."},
        ErrorCase{"UnknownDefinition",
                  "DescribeTaskDefinition",
                  {{"taskDefinition", "nope"}},
                  "ClientException",
                  "Unable to describe task definition."},
        ErrorCase{"RunUnknownDefinition",
                  "RunTask",
                  {{"taskDefinition", "nope:3"}},
                  "ClientException",
                  "TaskDefinition not found."},
        ErrorCase{"NoNetwork",
                  "RunTask",
                  {{"taskDefinition", "app"}},
                  "InvalidParameterException",
                  "Network Configuration must be provided when networkMode 'awsvpc' is "
                  "specified."},
        ErrorCase{
            "NoSubnets",
            "RunTask",
            {{"taskDefinition", "app"},
             {"networkConfiguration", {{"awsvpcConfiguration", {{"subnets", Json::array()}}}}}},
            "InvalidParameterException",
            "subnets can not be empty."},
        ErrorCase{"LonelyTargetGroup", "CreateService",
                  with(kService, {{"loadBalancers",
                                   {{{"targetGroupArn", "arn:tg/lonely"},
                                     {"containerName", "app"},
                                     {"containerPort", 9000}}}}}),
                  "InvalidParameterException",
                  "The target group with targetGroupArn arn:tg/lonely does not have an associated "
                  "load balancer."},
        ErrorCase{"Canary", "CreateService",
                  with(kService, {{"deploymentConfiguration", {{"strategy", "CANARY"}}}}),
                  "InvalidParameterException",
                  "coalmine does not implement the deployment strategy CANARY yet; use ROLLING."},
        ErrorCase{"PageTooLarge",
                  "ListTasks",
                  {{"maxResults", 101}},
                  "InvalidParameterException",
                  "maxResults must be between 1 and 100."},
        ErrorCase{"BadToken",
                  "ListTasks",
                  {{"nextToken", "zz"}},
                  "InvalidParameterException",
                  "Invalid token."},
        ErrorCase{
            "TooManyTasks",
            "RunTask",
            {{"taskDefinition", "app"}, {"count", 11}, {"networkConfiguration", World::network()}},
            "InvalidParameterException",
            "Invalid count 11: allowed is 1 to 10."},
        ErrorCase{"NoServiceDeployment",
                  "StopServiceDeployment",
                  {{"serviceDeploymentArn", "arn:x"}},
                  "ServiceDeploymentNotFoundException",
                  "The service deployment does not exist."}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(Service, CreateIsIdempotentByToken) {
  Lab lab;
  const Json extra = {{"clientToken", "t1"}};
  const Json first = lab.create_service("web", "app", 1, extra);
  EXPECT_EQ(lab.create_service("web", "app", 1, extra)["service"]["serviceArn"],
            first["service"]["serviceArn"]);
  EXPECT_EQ(lab.create_service("web", "app", 2, extra)["message"],
            "Creation of service was not idempotent.");
}

TEST(Service, ListsInPages) {
  Lab lab;
  for (int i = 0; i < 23; ++i) lab.create_service(fmt::format("s{:02}", i), "app", 0);
  std::size_t seen = 0;
  Json input = Json::object();
  std::vector<std::size_t> pages;
  do {
    const Json page = lab.call("ListServices", input);
    pages.push_back(page["serviceArns"].size());
    seen += pages.back();
    input["nextToken"] = page.value("nextToken", "");
  } while (input["nextToken"] != "");
  EXPECT_EQ(seen, 23u);
  EXPECT_EQ(pages, (std::vector<std::size_t>{10, 10, 3}));
}

TEST(Service, UnknownOnesAreFailures) {
  Lab lab;
  const Json reply = lab.call("DescribeServices", {{"services", {"nope"}}});
  EXPECT_EQ(reply["failures"][0]["arn"], "arn:aws:ecs:eu-west-1:111122223333:service/default/nope");
  EXPECT_EQ(reply["failures"][0]["reason"], "MISSING");
}

}  // namespace
}  // namespace coalmine::mock::test
