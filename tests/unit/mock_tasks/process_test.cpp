#include "mock-aws/tasks/process.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <condition_variable>
#include <filesystem>
#include <mutex>

#include "tests/support/golden.h"

namespace coalmine::mock {
namespace {

using namespace std::chrono_literals;

/// Runs /bin/sh commands as containers and collects what the driver reports.
class Shop {
 public:
  explicit Shop(std::string command, Duration ready_wait = 20ms) {
    ProcessOptions options;
    options.commands.mappings.push_back({"*", std::move(command)});
    options.ready_wait = ready_wait;
    options.wake = [this] {
      const std::lock_guard lock(mutex_);
      ++wakes_;
      woken_.notify_all();
    };
    driver_ = std::make_unique<ProcessDriver>(std::move(options));
  }

  void start(std::map<std::string, std::string> environment = {}, std::vector<int> ports = {}) {
    ContainerStart start;
    start.task_id = "task";
    start.container = "app";
    start.image = "img:v7";
    start.address = "127.9.8.7";
    start.ports = std::move(ports);
    start.environment = std::move(environment);
    start.region = "eu-west-1";
    driver_->carry_out(start, kVirtualEpoch);
  }
  void signal(StopSignal s) {
    driver_->carry_out(ContainerSignal{"task", "app", s}, kVirtualEpoch);
  }
  void check(std::string command, Duration timeout = 20s) {
    driver_->carry_out(CheckStart{"task", "app", {std::move(command)}, true, "127.9.8.7", timeout},
                       kVirtualEpoch);
  }

  /// The first event of that kind, waiting for it; logs seen on the way go to `log`.
  template <typename Event>
  std::optional<Event> next(Duration limit = 60s) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    for (;;) {
      int before = 0;
      {
        const std::lock_guard lock(mutex_);
        before = wakes_;
      }
      for (TaskEvent& event : driver_->take_events(kVirtualEpoch)) pending_.push_back(event);
      while (!pending_.empty()) {
        TaskEvent event = pending_.front();
        pending_.erase(pending_.begin());
        if (const auto* lines = std::get_if<ContainerLog>(&event)) {
          log.insert(log.end(), lines->lines.begin(), lines->lines.end());
        }
        if (const auto* wanted = std::get_if<Event>(&event)) return *wanted;
      }
      std::unique_lock lock(mutex_);
      if (!woken_.wait_until(lock, deadline, [&] { return wakes_ != before; })) {
        return std::nullopt;
      }
    }
  }

  void close() { driver_.reset(); }

  std::vector<std::string> log;

 private:
  std::mutex mutex_;
  std::condition_variable woken_;
  int wakes_ = 0;
  std::vector<TaskEvent> pending_;
  std::unique_ptr<ProcessDriver> driver_;
};

std::size_t open_descriptors() {
  return static_cast<std::size_t>(std::distance(
      std::filesystem::directory_iterator("/proc/self/fd"), std::filesystem::directory_iterator{}));
}

TEST(ProcessDriver, CapturesOutputBeforeTheExitCode) {
  Shop shop("echo hello $NAME {host} {version}; echo oops >&2; printf last; exit 3");
  shop.start({{"NAME", "Anna"}});
  EXPECT_EQ(shop.next<ContainerExited>()->exit_code, 3);
  EXPECT_EQ(shop.log, (std::vector<std::string>{"hello Anna 127.9.8.7 v7", "oops", "last"}));
}

TEST(ProcessDriver, TellsStartedBeforeExited) {
  Shop shop("exit 3");
  shop.start();
  EXPECT_TRUE(shop.next<ContainerStarted>());
  const auto exited = shop.next<ContainerExited>();
  ASSERT_TRUE(exited);
  EXPECT_EQ(exited->exit_code, 3);
}

TEST(ProcessDriver, TerminateEndsWith143) {
  Shop shop("exec sleep 1000");
  shop.start();
  ASSERT_TRUE(shop.next<ContainerStarted>());
  shop.signal(StopSignal::Terminate);
  EXPECT_EQ(shop.next<ContainerExited>()->exit_code, 143);
}

TEST(ProcessDriver, KillEndsWhatIgnoresTerminateWith137) {
  Shop shop("trap '' TERM; echo ready; while :; do sleep 0.05; done");
  shop.start();
  ASSERT_TRUE(shop.next<ContainerLog>());
  shop.signal(StopSignal::Terminate);
  shop.signal(StopSignal::Kill);
  EXPECT_EQ(shop.next<ContainerExited>()->exit_code, 137);
}

TEST(ProcessDriver, TermHandlersMayFinishWork) {
  Shop shop("trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.05; done");
  shop.start();
  ASSERT_TRUE(shop.next<ContainerLog>());
  shop.signal(StopSignal::Terminate);
  EXPECT_EQ(shop.next<ContainerExited>()->exit_code, 0);
  EXPECT_EQ(shop.log.back(), "bye");
}

TEST(ProcessDriver, HealthChecksRunInTheContainersEnvironment) {
  Shop shop("exec sleep 1000");
  shop.start({{"MOOD", "fine"}});
  ASSERT_TRUE(shop.next<ContainerStarted>());
  shop.check("test localhost = 127.9.8.7 && test $MOOD = fine");
  EXPECT_TRUE(shop.next<CheckFinished>()->healthy);
  shop.check("exit 1");
  EXPECT_FALSE(shop.next<CheckFinished>()->healthy);
  shop.check("sleep 1000", 50ms);
  EXPECT_FALSE(shop.next<CheckFinished>()->healthy);
}

TEST(ProcessDriver, GrandchildrenDieWithTheContainer) {
  Shop shop("sleep 1000 & echo $!; exit 0");
  shop.start();
  ASSERT_TRUE(shop.next<ContainerExited>());
  ASSERT_EQ(shop.log.size(), 1u);
  const pid_t grandchild = std::stoi(shop.log[0]);
  // A new parent reaps it some time later; until then it is a zombie, no longer a process.
  const auto alive = [&] {
    const std::string stat = test::read_file(fmt::format("/proc/{}/stat", grandchild));
    return kill(grandchild, 0) == 0 && stat.find(") Z") == std::string::npos;
  };
  const auto deadline = std::chrono::steady_clock::now() + 30s;
  while (alive() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_FALSE(alive());
}

TEST(ProcessDriver, AProgramThatIsNotThereCannotStart) {
  ProcessOptions options;
  options.commands.sample_app = "/no/such/program";
  std::mutex mutex;
  std::condition_variable woken;
  bool news = false;
  options.wake = [&] {
    const std::lock_guard lock(mutex);
    news = true;
    woken.notify_all();
  };
  ProcessDriver driver(std::move(options));
  ContainerStart start;
  start.task_id = "t";
  start.container = "app";
  start.image = "app-v1";
  start.address = "127.9.8.7";
  driver.carry_out(start, kVirtualEpoch);
  std::unique_lock lock(mutex);
  ASSERT_TRUE(woken.wait_for(lock, 60s, [&] { return news; }));
  const auto events = driver.take_events(kVirtualEpoch);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(std::get<ContainerStartFailed>(events[0]).reason,
            "CannotStartContainerError: exec: \"/no/such/program\": No such file or directory");
}

TEST(ProcessDriver, LeavesNoProcessAndNoDescriptorBehind) {
  const std::size_t before = open_descriptors();
  pid_t pid = 0;
  {
    Shop shop("echo $$; trap '' TERM; while :; do sleep 0.05; done");
    shop.start();
    ASSERT_TRUE(shop.next<ContainerLog>());
    pid = std::stoi(shop.log.at(0));
    EXPECT_EQ(kill(pid, 0), 0);
    shop.check("sleep 1000");
    shop.close();
  }
  EXPECT_NE(kill(pid, 0), 0);
  EXPECT_EQ(open_descriptors(), before);
}

TEST(ProcessDriver, ChildrenSeeNoDescriptorsOfTheProgram) {
  Shop shop("ls /proc/self/fd | wc -l");
  shop.start();
  ASSERT_TRUE(shop.next<ContainerExited>());
  EXPECT_EQ(shop.log.at(0), "4");  // 0, 1, 2 and ls's own
}

}  // namespace
}  // namespace coalmine::mock
