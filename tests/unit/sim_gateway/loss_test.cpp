// What is lost while things change: nothing, or exactly what was in flight on a task that died.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <deque>

#include "tests/unit/sim_gateway/fixture.h"

namespace coalmine::gateway::test {
namespace {

constexpr const char* kPost = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi";

/// Keep-alive clients that ask without a pause until they are told to stop.
class Load {
 public:
  Load(int port, int clients, std::vector<std::string> requests) {
    for (int c = 0; c < clients; ++c) {
      threads_.emplace_back([this, port, requests] { run(port, requests); });
    }
  }
  ~Load() { stop(); }
  void stop() {
    stop_ = true;
    for (std::thread& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
  }
  std::atomic<int> answered{0};
  std::atomic<int> failed{0};
  std::string first_failure() {
    const std::lock_guard lock(mutex_);
    return first_failure_;
  }

 private:
  void run(int port, const std::vector<std::string>& requests) {
    Socket socket = Socket::connect_to(port);
    for (std::size_t i = 0; !stop_; ++i) {
      const bool sent = socket.write(requests[i % requests.size()]);
      const Answer answer = sent ? read_answer(socket) : Answer{};
      if (answer.status == 200) {
        ++answered;
        continue;
      }
      ++failed;
      const std::lock_guard lock(mutex_);
      if (first_failure_.empty()) first_failure_ = answer.head + answer.body;
      if (answer.status == 0) return;  // the connection is gone, too
    }
  }
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::string first_failure_;
  std::vector<std::thread> threads_;
};

bool names(const GatewayStats& stats, int port) {
  const std::string address = fmt::format("127.0.0.1:{}", port);
  return std::any_of(stats.instances.begin(), stats.instances.end(),
                     [&](const auto& entry) { return entry.first.address == address; });
}

// --- planned changes ---------------------------------------------------------------------------

TEST(Loss, NothingIsLostByWeightChangesAndTaskReplacements) {
  constexpr int kReplacements = 200;
  constexpr std::uint32_t kChangesEach = 5;
  std::deque<std::unique_ptr<Upstream>> tasks;
  for (int i = 0; i < 3; ++i) tasks.push_back(std::make_unique<Upstream>(echo("task")));
  std::uint64_t version = 0;
  // The two oldest tasks are v1, the youngest is v2: every task moves from one to the other.
  const auto table = [&](std::uint32_t weight) {
    return table_of({{"v1", 100 - weight, {tasks[0]->port(), tasks[1]->port()}},
                     {"v2", weight, {tasks[2]->port()}}},
                    ++version);
  };
  const auto gateway = start_gateway(table(1), 2);
  Load load(port_of(*gateway), 4, {kGet, kPost});
  for (int i = 0; i < kReplacements && load.failed == 0; ++i) {
    const auto old = std::move(tasks.front());
    tasks.pop_front();
    tasks.push_back(std::make_unique<Upstream>(echo("task")));
    for (std::uint32_t change = 0; change < kChangesEach; ++change) {
      ASSERT_TRUE(gateway->update(table((static_cast<std::uint32_t>(i) * 7 + change * 20) % 100)));
    }
    // It stops once it is drained, as ECS waits before it stops a task.
    const int seen = load.answered;
    ASSERT_TRUE(eventually([&] {
      return (load.answered > seen + 20 && !names(gateway->stats(), old->port())) ||
             load.failed > 0;
    }));
  }
  load.stop();
  EXPECT_EQ(load.failed, 0) << load.first_failure();
  EXPECT_GE(version, 1000U);
  GatewayStats stats = gateway->stats();
  std::uint64_t requests = 0, good = 0;
  for (const auto& [key, target] : stats.targets) {
    requests += target.requests;
    good += target.codes[2];
    EXPECT_EQ(target.attempts, target.requests) << "nothing was even tried twice";
  }
  EXPECT_EQ(requests, static_cast<std::uint64_t>(load.answered));
  EXPECT_EQ(good, requests);
  EXPECT_GT(load.answered, 20 * kReplacements);
}

// --- a task that dies --------------------------------------------------------------------------

/// A server in a process of its own, for SIGKILL. It answers at once, but /hold only at /release.
class TaskProcess {
 public:
  TaskProcess() {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(listen(fd, 1024), 0);
    socklen_t size = sizeof address;
    getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    child_ = fork();
    if (child_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);  // nothing is left behind if the test itself is killed
      serve(fd);
    }
    close(fd);
  }
  ~TaskProcess() { kill(); }
  void kill() {
    if (child_ <= 0) return;
    ::kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
    child_ = -1;
  }
  int port() const { return port_; }
  std::string address() const { return fmt::format("127.0.0.1:{}", port_); }

 private:
  struct Peer {
    int fd;
    std::string in;
  };

  [[noreturn]] static void serve(int listener) {
    std::vector<Peer> peers;
    std::vector<int> held;
    const auto answer = [](int fd) {
      constexpr std::string_view kAnswer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
      if (send(fd, kAnswer.data(), kAnswer.size(), MSG_NOSIGNAL) < 0) _exit(1);
    };
    const auto take = [&](Peer& peer) {  // bodies are as short as kPost's
      const std::size_t end = peer.in.find("\r\n\r\n");
      const std::size_t body = peer.in.starts_with("POST") ? 2 : 0;
      if (end == std::string::npos || peer.in.size() < end + 4 + body) return;
      const std::string path = peer.in.substr(peer.in.find(' ') + 1, 5);
      peer.in.erase(0, end + 4 + body);
      if (path == "/hold") {
        held.push_back(peer.fd);
      } else {
        if (path == "/rele") {
          for (const int fd : std::exchange(held, {})) answer(fd);
        }
        answer(peer.fd);
      }
    };
    for (;;) {
      std::vector<pollfd> polls = {{listener, POLLIN, 0}};
      for (const Peer& peer : peers) polls.push_back({peer.fd, POLLIN, 0});
      if (poll(polls.data(), polls.size(), -1) < 0) _exit(1);
      for (std::size_t i = 1; i < polls.size(); ++i) {
        if (polls[i].revents == 0) continue;
        char bytes[4096];
        const ssize_t n = recv(polls[i].fd, bytes, sizeof bytes, 0);
        if (n <= 0) {
          close(std::exchange(peers[i - 1].fd, -1));
          continue;
        }
        peers[i - 1].in.append(bytes, static_cast<std::size_t>(n));
        take(peers[i - 1]);
      }
      std::erase_if(peers, [](const Peer& peer) { return peer.fd < 0; });
      if (polls[0].revents != 0) peers.push_back({accept(listener, nullptr, nullptr), {}});
    }
  }

  int port_ = 0;
  pid_t child_ = -1;
};

std::uint64_t active_on(Gateway& gateway, const TaskProcess& task) {
  return gateway.stats().instances.at({"v1", task.address(), task.address()}).requests_active;
}

// The held requests must not be tried again; the load has App Mesh's default retries. Without
// them, requests that come while the task's sockets still close, one by one, could be lost too.
TEST(Loss, AKilledTaskTakesOnlyWhatWasInFlightOnIt) {
  constexpr std::size_t kHeld = 25;
  TaskProcess doomed, other;
  const Json targets = {{{"name", "v1"}, {"instances", {doomed.address(), other.address()}}}};
  const Json routes = {
      {{"name", "hold"}, {"match", {{"prefix", "/hold"}}}, {"targets", targets}},
      {{"name", "load"},
       {"targets", targets},
       {"retry",
        {{"on", {"503", "connect-failure", "refused-stream", "reset"}}, {"max_retries", 2}}}}};
  const auto gateway =
      start_gateway(table_of({{"v1", 1, {1}}}, 1, Json::object(), {{"routes", routes}}));
  const int port = port_of(*gateway);
  std::list<Socket> holding;
  for (std::size_t i = 0; i < 2 * kHeld; ++i) {
    holding.push_back(Socket::connect_to(port));
    holding.back().write("POST /hold HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi");
  }
  ASSERT_TRUE(eventually(
      [&] { return active_on(*gateway, doomed) == kHeld && active_on(*gateway, other) == kHeld; }));

  Load load(port, 4, {kGet, kPost});
  ASSERT_TRUE(eventually([&] { return load.answered > 2000; }));
  doomed.kill();
  const int before = load.answered;
  ASSERT_TRUE(eventually([&] { return load.answered > before + 2000 || load.failed > 0; }));
  load.stop();
  EXPECT_EQ(load.failed, 0) << load.first_failure();

  // The dead task does not answer, so the other one hears this.
  EXPECT_EQ(ask(port, "GET /release HTTP/1.1\r\nHost: x\r\n\r\n").status, 200);
  std::size_t lost = 0;
  for (Socket& socket : holding) {
    const Answer answer = read_answer(socket);
    if (answer.status == 200) continue;
    ++lost;
    EXPECT_EQ(answer.field("x-coalmine-reason"),
              doomed.address() + " (target v1) closed the connection before its answer");
  }
  EXPECT_EQ(lost, kHeld);

  const GatewayStats stats = gateway->stats();
  EXPECT_EQ(stats.local_replies.at("UC"), kHeld) << "the gateway counts the same";
  const TargetStats& held = stats.targets.at({":0", "hold", "v1"});
  EXPECT_EQ(held.codes[5], kHeld);
  EXPECT_EQ(held.codes[2], kHeld);
  EXPECT_EQ(held.attempts, 2 * kHeld);
  const TargetStats& loaded = stats.targets.at({":0", "load", "v1"});
  EXPECT_EQ(loaded.codes[2], loaded.requests);
  EXPECT_EQ(loaded.requests, static_cast<std::uint64_t>(load.answered) + 1);
  EXPECT_EQ(stats.instances.at({"v1", other.address(), other.address()}).codes[0], 0U);
}

}  // namespace
}  // namespace coalmine::gateway::test
