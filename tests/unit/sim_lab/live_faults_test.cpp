// What the tasks of a version are told is wrong with them.
#include "sim/lab/live_faults.h"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>

#include "sim/net/http.h"

namespace coalmine::lab {
namespace {

using std::chrono::milliseconds;

world::Spec spec() {
  world::Spec made;
  made.versions.resize(2);
  made.versions[0].name = "v1";
  made.versions[1].name = "v2";
  made.versions[1].latency = world::FixedLatency{milliseconds{20}};
  made.traffic.segments = {{"checkout", "/checkout", Percent{2}}};
  return made;
}

TEST(LiveFaults, TimesAreScaledSharesAreNot) {
  world::Fault slow{world::FaultKind::Slow, Percent{10}, 500,
                    world::UniformLatency{milliseconds{100}, milliseconds{300}}, "checkout"};
  const world::Spec s = spec();
  EXPECT_EQ(fault_text(s, s.versions[1], {slow}, 10),
            "latency=2ms; latency=10ms..30ms,path=/checkout,share=10%");
}

TEST(LiveFaults, TheEnvironmentTellsLatencyFaultsAndCapacity) {
  world::Spec s = spec();
  s.versions[1].faults = {{world::FaultKind::Errors, Percent{5}, 503}};
  s.versions[1].capacity = Rate{60};
  EXPECT_EQ(environment_of(s, s.versions[1], 10),
            (std::map<std::string, std::string>{{"FAULT", "latency=2ms; errors=5%,code=503"},
                                                {"CAPACITY", "600/s"},
                                                {"PATIENCE", "1s500ms"}}));
  EXPECT_EQ(environment_of(s, s.versions[0], 1).count("CAPACITY"), 0u);
  s.versions[0].concurrency = 4;
  s.versions[0].queue = 8;
  EXPECT_EQ(environment_of(s, s.versions[0], 1).at("CONCURRENCY"), "4");
  EXPECT_EQ(environment_of(s, s.versions[0], 1).at("QUEUE"), "8");
}

TEST(LiveFaults, AColdStartIsScaledToo) {
  world::Fault cold;
  cold.kind = world::FaultKind::SlowStart;
  cold.warm_up = std::chrono::seconds{30};
  const world::Spec s = spec();
  EXPECT_EQ(fault_text(s, s.versions[1], {cold}, 10), "latency=2ms; slow-start=3s,latency=50ms");
}

/// Stands for a task and keeps what it was told.
struct Task {
  std::mutex mutex;
  std::vector<std::string> told;
  std::atomic<int> status = 200;
  std::unique_ptr<net::Server> server;

  Task() {
    server = *net::Server::listen("127.0.0.1", 0, [this](const net::Request& request) {
      const std::lock_guard lock(mutex);
      told.push_back(request.body);
      return net::text_response(status, "");
    });
  }
  std::vector<std::string> take() {
    const std::lock_guard lock(mutex);
    return std::exchange(told, {});
  }
};

TEST(FaultBoard, TellsEachTaskWhatIsNewToIt) {
  const world::Spec s = spec();
  Task task;
  const int port = task.server->port();
  FaultBoard board(s, 10);
  const std::vector<LabTask> tasks = {{"arn:1", "127.0.0.1"}};
  ASSERT_TRUE(board.tell(1, tasks, port));
  EXPECT_TRUE(task.take().empty()) << "its environment has said it all";
  board.begin(1, 0, {world::FaultKind::Reset, Percent{1}});
  ASSERT_TRUE(board.tell(1, tasks, port));
  ASSERT_TRUE(board.tell(1, tasks, port));
  EXPECT_EQ(task.take(), std::vector<std::string>{"latency=2ms; reset=1%"});
  // Another task, started anew while the fault is in force.
  ASSERT_TRUE(board.tell(1, {{"arn:2", "127.0.0.1"}}, port));
  EXPECT_EQ(task.take(), std::vector<std::string>{"latency=2ms; reset=1%"});
  board.end(1, 0);
  ASSERT_TRUE(board.tell(1, {{"arn:2", "127.0.0.1"}}, port));
  EXPECT_EQ(task.take(), std::vector<std::string>{"latency=2ms"});
}

TEST(FaultBoard, NewTasksOfAnotherBuildAreToldWhatHoldsForIt) {
  world::Spec s = spec();
  s.versions[1].faults = {{world::FaultKind::Errors, Percent{5}, 500, std::nullopt, ""}};
  Task task;
  const int port = task.server->port();
  FaultBoard board(s, 10);
  const std::vector<LabTask> old = {{"arn:old", "127.0.0.1"}};
  const std::vector<LabTask> fresh = {{"arn:new", "127.0.0.1"}};
  ASSERT_TRUE(board.tell(0, old, port));
  board.adopt(0, 1);
  ASSERT_TRUE(board.tell(0, {old[0], fresh[0]}, port));
  EXPECT_TRUE(task.take().empty()) << "each knows its own environment";
  board.begin(0, 0, {world::FaultKind::Reset, Percent{1}});
  ASSERT_TRUE(board.tell(0, {old[0], fresh[0]}, port));
  EXPECT_EQ(task.take(), (std::vector<std::string>{"latency=lognormal(2ms,8ms); reset=1%",
                                                   "latency=2ms; errors=5%,code=500; reset=1%"}));
  board.adopt(0, 0);
  ASSERT_TRUE(board.tell(0, {{"arn:own", "127.0.0.1"}}, port));
  EXPECT_EQ(task.take(), std::vector<std::string>{"latency=lognormal(2ms,8ms); reset=1%"});
}

TEST(FaultBoard, ARefusalIsAnErrorAndTriedAgain) {
  const world::Spec s = spec();
  Task task;
  task.status = 400;
  FaultBoard board(s, 1);
  board.begin(0, 0, {world::FaultKind::Hang, Percent{1}});
  const std::vector<LabTask> tasks = {{"arn:1", "127.0.0.1"}};
  EXPECT_FALSE(board.tell(0, tasks, task.server->port()));
  task.status = 200;
  EXPECT_TRUE(board.tell(0, tasks, task.server->port()));
  EXPECT_EQ(task.take().size(), 2u);
}

}  // namespace
}  // namespace coalmine::lab
