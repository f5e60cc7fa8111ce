#include <gtest/gtest.h>

#include "tests/support/golden.h"
#include "tests/unit/mock_ecs/world.h"

namespace coalmine::mock::test {
namespace {

const Json kCheck = {{"command", {"CMD-SHELL", "true"}},
                     {"interval", 10},
                     {"timeout", 2},
                     {"retries", 3},
                     {"startPeriod", 15}};

struct Tasks : World {
  Tasks() { call("CreateCluster", Json::object()); }

  /// Registers containers and runs one task of them; its id.
  std::string run(Json containers) {
    const Json registered = call("RegisterTaskDefinition", {{"family", "f"},
                                                            {"networkMode", "awsvpc"},
                                                            {"memory", "512"},
                                                            {"containerDefinitions", containers}});
    EXPECT_TRUE(registered.contains("taskDefinition")) << registered;
    const Json reply =
        call("RunTask", {{"taskDefinition", "f"}, {"networkConfiguration", network()}});
    EXPECT_TRUE(reply.contains("tasks")) << reply;
    const std::string arn = reply["tasks"][0]["taskArn"];
    return arn.substr(arn.rfind('/') + 1);
  }
  Json task(const std::string& id) { return call("DescribeTasks", {{"tasks", {id}}})["tasks"][0]; }
  std::string status(const std::string& id) { return task(id)["lastStatus"]; }
};

TEST(Task, WalksThroughItsStates) {
  Tasks lab;
  const std::string id = lab.run({{{"name", "app"}, {"image", "x"}}});
  EXPECT_EQ(lab.status(id), "PROVISIONING");
  lab.run_for(60ms);
  EXPECT_EQ(lab.status(id), "PENDING");
  lab.run_for(2s);
  EXPECT_EQ(lab.status(id), "RUNNING");
  const Json task = lab.task(id);
  EXPECT_EQ(task["healthStatus"], "UNKNOWN");
  EXPECT_EQ(task["attachments"][0]["details"][4]["value"], "127.1.0.1");
  EXPECT_EQ(task["containers"][0]["networkInterfaces"][0]["privateIpv4Address"], "127.1.0.1");
  EXPECT_EQ(task["group"], "family:f");
  lab.call("StopTask", {{"task", id}});
  lab.run_for(1s);
  const Json stopped = lab.task(id);
  EXPECT_EQ(stopped["lastStatus"], "STOPPED");
  EXPECT_EQ(stopped["stopCode"], "UserInitiated");
  EXPECT_EQ(stopped["stoppedReason"], "Task stopped by user");
  EXPECT_EQ(stopped["containers"][0]["exitCode"], 143);
  EXPECT_EQ(lab.addresses.in_use(), 0u);
  lab.run_for(2h);
  EXPECT_EQ(lab.call("DescribeTasks", {{"tasks", {id}}})["failures"][0]["reason"], "MISSING");
}

TEST(Task, ShortLivedContainersEndTheTask) {
  Tasks lab;
  SimulatedImage job;
  job.exits_after = 3s;
  job.exit_code = 0;
  lab.driver.set_image("*", job);
  const std::string id = lab.run({{{"name", "app"}, {"image", "x"}}});
  lab.run_for(10s);
  const Json task = lab.task(id);
  EXPECT_EQ(task["lastStatus"], "STOPPED");
  EXPECT_EQ(task["stopCode"], "EssentialContainerExited");
  EXPECT_EQ(task["containers"][0]["exitCode"], 0);
}

TEST(Task, WaitsForAHealthyDependency) {
  Tasks lab;
  SimulatedImage envoy;
  envoy.healthy_after = 25s;
  lab.driver.set_image("envoy", envoy);
  const std::string id =
      lab.run({{{"name", "app"},
                {"image", "x"},
                {"dependsOn", {{{"containerName", "envoy"}, {"condition", "HEALTHY"}}}}},
               {{"name", "envoy"}, {"image", "envoy"}, {"healthCheck", kCheck}}});
  lab.run_for(25s);
  EXPECT_EQ(lab.status(id), "PENDING");
  EXPECT_EQ(lab.driver.running(), 1u);
  lab.run_for(10s);
  EXPECT_EQ(lab.status(id), "RUNNING");
  EXPECT_EQ(lab.task(id)["healthStatus"], "HEALTHY");
}

TEST(Task, NeverHealthySidecarKeepsTheAppFromStarting) {
  Tasks lab;
  SimulatedImage envoy;
  envoy.ever_healthy = false;
  lab.driver.set_image("envoy", envoy);
  const std::string id =
      lab.run({{{"name", "app"},
                {"image", "x"},
                {"dependsOn", {{{"containerName", "envoy"}, {"condition", "HEALTHY"}}}}},
               {{"name", "envoy"}, {"image", "envoy"}, {"healthCheck", kCheck}}});
  // First check after 10 s, startPeriod covers it, then three failures count: 20, 30, 40 s.
  lab.run_for(40s);
  EXPECT_EQ(lab.task(id)["healthStatus"], "UNKNOWN");
  lab.run_for(2s);
  EXPECT_EQ(lab.task(id)["healthStatus"], "UNHEALTHY");
  EXPECT_EQ(lab.status(id), "PENDING");
}

TEST(Task, AServiceReplacesUnhealthyOnes) {
  Tasks lab;
  SimulatedImage flaky;
  flaky.unhealthy_after = 60s;
  lab.driver.set_image("flaky", flaky);
  lab.define("web", "flaky", {{"healthCheck", kCheck}});
  lab.create_service("web", "web", 1);
  ASSERT_TRUE(lab.run_until([&] { return lab.steady("web"); }));
  EXPECT_LT(lab.now - lab.start, 15s);
  const std::string first = lab.tasks_of("web")[0].id;
  ASSERT_TRUE(lab.run_until([&] { return lab.task(first)["lastStatus"] == "STOPPED"; }));
  const Json task = lab.task(first);
  EXPECT_EQ(task["stoppedReason"], "Task failed container health checks");
  EXPECT_EQ(task["stopCode"], "ServiceSchedulerInitiated");
  EXPECT_GOLDEN("mock_ecs/unhealthy.events", lab.events_text("web"));
}

TEST(Task, SuccessConditionRunsAfterTheInitContainer) {
  Tasks lab;
  for (const int code : {0, 1}) {
    SimulatedImage init;
    init.exits_after = 5s;
    init.exit_code = code;
    lab.driver.set_image("init", init);
    const std::string id =
        lab.run({{{"name", "app"},
                  {"image", "x"},
                  {"dependsOn", {{{"containerName", "init"}, {"condition", "SUCCESS"}}}}},
                 {{"name", "init"}, {"image", "init"}, {"essential", false}}});
    lab.run_for(5s);
    EXPECT_EQ(lab.status(id), "PENDING");
    lab.run_for(5s);
    EXPECT_EQ(lab.status(id), code == 0 ? "RUNNING" : "STOPPED");
    EXPECT_EQ(lab.task(id).value("stopCode", ""), code == 0 ? "" : "TaskFailedToStart");
  }
}

TEST(Task, StopsDependentsFirstAndKillsAfterStopTimeout) {
  Tasks lab;
  SimulatedImage stubborn, slow;
  stubborn.ignores_terminate = true;
  slow.stop_delay = 4s;
  lab.driver.set_image("stubborn", stubborn);
  lab.driver.set_image("slow", slow);
  const std::string id =
      lab.run({{{"name", "app"},
                {"image", "slow"},
                {"dependsOn", {{{"containerName", "proxy"}, {"condition", "START"}}}}},
               {{"name", "proxy"}, {"image", "stubborn"}, {"stopTimeout", 7}}});
  lab.run_for(10s);
  lab.call("StopTask", {{"task", id}, {"reason", "test"}});
  lab.run_for(3s);
  EXPECT_EQ(lab.task(id)["containers"][0]["lastStatus"], "RUNNING");
  lab.run_for(2s);
  EXPECT_EQ(lab.task(id)["containers"][0]["exitCode"], 143);
  EXPECT_EQ(lab.status(id), "STOPPING");
  lab.run_for(5s);
  EXPECT_EQ(lab.status(id), "STOPPING");
  lab.run_for(2s);
  EXPECT_EQ(lab.status(id), "STOPPED");
  EXPECT_EQ(lab.task(id)["containers"][1]["exitCode"], 137);
  EXPECT_EQ(lab.task(id)["stoppedReason"], "test");
}

TEST(Task, PullFailureNamesTheImage) {
  Tasks lab;
  SimulatedImage missing;
  missing.pull_fails = true;
  lab.driver.set_image("*", missing);
  const std::string id = lab.run({{{"name", "app"}, {"image", "shop"}}});
  lab.run_for(5s);
  const Json task = lab.task(id);
  EXPECT_EQ(task["stopCode"], "TaskFailedToStart");
  EXPECT_TRUE(task["stoppedReason"].get<std::string>().starts_with("CannotPullContainerError: "));
  EXPECT_EQ(task["containers"][0]["reason"], task["stoppedReason"]);
  EXPECT_FALSE(task["containers"][0].contains("exitCode"));
}

TEST(Task, LogsGoToTheStreamOfPrefixContainerAndTask) {
  Tasks lab;
  const std::string id = lab.run(
      {{{"name", "app"},
        {"image", "x"},
        {"logConfiguration",
         {{"logDriver", "awslogs"},
          {"options", {{"awslogs-group", "/ecs/app"}, {"awslogs-stream-prefix", "ecs"}}}}}}});
  EXPECT_TRUE(lab.ecs.on_event(ContainerLog{id, "app", {"hello"}}, lab.now));
  EXPECT_EQ(lab.logs.streams["/ecs/app ecs/app/" + id], std::vector<std::string>{"hello"});
  EXPECT_FALSE(lab.ecs.on_event(ContainerLog{"unknown", "app", {"x"}}, lab.now));
}

TEST(Task, RegistersInCloudMapWithAwsAttributes) {
  Tasks lab;
  lab.registry.known.insert("srv-1");
  lab.define("web", "web-v1");
  lab.create_service("web", "web", 1, {{"serviceRegistries", {{{"registryArn", "srv-1"}}}}});
  lab.run_for(5s);
  ASSERT_EQ(lab.registry.instances["srv-1"].size(), 1u);
  const auto [id, attributes] = *lab.registry.instances["srv-1"].begin();
  EXPECT_EQ(id, lab.tasks_of("web")[0].id);
  EXPECT_EQ(attributes,
            (std::map<std::string, std::string>{{"AWS_INSTANCE_IPV4", "127.1.0.1"},
                                                {"AVAILABILITY_ZONE", "eu-west-1a"},
                                                {"REGION", "eu-west-1"},
                                                {"ECS_SERVICE_NAME", "web"},
                                                {"ECS_CLUSTER_NAME", "default"},
                                                {"ECS_TASK_DEFINITION_FAMILY", "web"}}));
  lab.call("StopTask", {{"task", id}});
  EXPECT_TRUE(lab.registry.instances["srv-1"].empty());  // left before SIGTERM
  EXPECT_EQ(lab.status(id), "DEACTIVATING");
  lab.run_for(900ms);
  EXPECT_EQ(lab.status(id), "DEACTIVATING");
  lab.run_for(500ms);
  EXPECT_EQ(lab.status(id), "STOPPED");
}

TEST(AddressPoolOrder, ReusesTheOldestReleaseAndLeavesOutNetworkAddresses) {
  AddressPool pool(0x7f0100fd, 0x7f010102);  // 127.1.0.253 to 127.1.1.2
  std::vector<std::string> all;
  while (auto address = pool.acquire()) all.push_back(*address);
  EXPECT_EQ(all,
            (std::vector<std::string>{"127.1.0.253", "127.1.0.254", "127.1.1.1", "127.1.1.2"}));
  pool.release(all[2]);
  pool.release(all[0]);
  pool.release(all[0]);
  EXPECT_EQ(pool.acquire(), all[2]);
  EXPECT_EQ(pool.acquire(), all[0]);
  EXPECT_EQ(pool.acquire(), std::nullopt);
}

}  // namespace
}  // namespace coalmine::mock::test
