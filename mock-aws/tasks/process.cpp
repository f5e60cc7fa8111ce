#include "mock-aws/tasks/process.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <deque>
#include <mutex>
#include <thread>

#include "mock-aws/tasks/child.h"
#include "mock-aws/tasks/lines.h"

namespace coalmine::mock {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;
using Key = std::pair<std::string, std::string>;  // task, container

constexpr auto kProbePeriod = std::chrono::milliseconds{10};
constexpr SteadyTime kNoDeadline = SteadyTime::max();
constexpr std::size_t kMaxQueuedLogBytes = 16 << 20;  // lines beyond are dropped, and counted

bool accepts(const std::string& address, int port) {
  const Fd socket_fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket_fd) return false;
  sockaddr_in peer{};
  peer.sin_family = AF_INET;
  peer.sin_port = htons(static_cast<std::uint16_t>(port));
  if (inet_pton(AF_INET, address.c_str(), &peer.sin_addr) != 1) return false;
  if (connect(socket_fd.get(), reinterpret_cast<sockaddr*>(&peer), sizeof peer) == 0) return true;
  if (errno != EINPROGRESS) return false;
  pollfd wait{socket_fd.get(), POLLOUT, 0};
  if (poll(&wait, 1, 1) != 1) return false;
  int code = 0;
  socklen_t size = sizeof code;
  getsockopt(socket_fd.get(), SOL_SOCKET, SO_ERROR, &code, &size);
  return code == 0;
}

struct Process {
  Child child;
  LineSplitter lines;
};

struct Container {
  ContainerStart start;
  std::map<std::string, std::string> environment;
  std::vector<Process> processes;
  std::vector<int> waiting_ports;  ///< not accepting yet
  bool reported = false;           ///< ContainerStarted is out
  bool ending = false;             ///< a process has exited; the others were killed
  int exit_code = 0;
  SteadyTime ready_deadline;
};

struct Check {
  Key key;
  Child child;
  SteadyTime deadline;
  bool timed_out = false;
};

}  // namespace

class ProcessDriver::Loop {
 public:
  explicit Loop(ProcessOptions options)
      : options_(std::move(options)),
        wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        thread_([this] { run(); }) {}

  ~Loop() {
    stopping_ = true;
    poke();
    thread_.join();
  }

  void queue(const TaskAction& action) {
    {
      const std::lock_guard lock(mutex_);
      actions_.push_back(action);
    }
    poke();
  }

  std::vector<TaskEvent> take() {
    const std::lock_guard lock(mutex_);
    queued_log_bytes_ = 0;
    return std::exchange(events_, {});
  }

 private:
  void poke() {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = write(wake_.get(), &one, sizeof one);
  }

  void emit(TaskEvent event) {
    const std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
    news_ = true;
  }

  void run() {
    while (!stopping_) {
      for (const TaskAction& action : take_actions()) carry_out(action);
      probe_ports();
      enforce_check_timeouts();
      if (std::exchange(news_, false)) options_.wake();
      wait();
    }
    shut_down();
  }

  std::deque<TaskAction> take_actions() {
    const std::lock_guard lock(mutex_);
    return std::exchange(actions_, {});
  }

  // --- actions -----------------------------------------------------------------------------------

  void carry_out(const TaskAction& action) {
    if (const auto* start = std::get_if<ContainerStart>(&action)) {
      start_container(*start);
    } else if (const auto* signal = std::get_if<ContainerSignal>(&action)) {
      signal_container({signal->task_id, signal->container},
                       signal->signal == StopSignal::Kill ? SIGKILL : SIGTERM);
    } else if (const auto* check = std::get_if<CheckStart>(&action)) {
      start_check(*check);
    } else if (const auto* release = std::get_if<TaskRelease>(&action)) {
      for (auto& [key, container] : containers_) {
        if (key.first == release->task_id) signal_container(key, SIGKILL);
      }
    }
  }

  void start_container(const ContainerStart& start) {
    const Key key{start.task_id, start.container};
    auto plan = plan_container(start, options_.commands);
    if (!plan) {
      emit(ContainerStartFailed{key.first, key.second, plan.error().message});
      return;
    }
    Container container;
    container.start = start;
    container.environment = std::move(plan->environment);
    for (const auto& argv : plan->processes) {
      auto child = start_child(argv, container.environment, true);
      if (!child) {
        for (Process& process : container.processes) {
          signal_group(process.child.pid, SIGKILL);
          reap_child(process.child.pid);
        }
        emit(ContainerStartFailed{key.first, key.second,
                                  "CannotStartContainerError: " + child.error().message});
        return;
      }
      container.processes.push_back({std::move(*child), {}});
    }
    container.waiting_ports = start.ports;
    container.ready_deadline = std::chrono::steady_clock::now() + options_.ready_wait;
    containers_[key] = std::move(container);
  }

  void signal_container(const Key& key, int number) {
    const auto it = containers_.find(key);
    if (it == containers_.end()) return;
    for (Process& process : it->second.processes) signal_group(process.child.pid, number);
  }

  void start_check(const CheckStart& action) {
    const Key key{action.task_id, action.container};
    const auto container = containers_.find(key);
    if (container == containers_.end()) return;
    std::vector<std::string> argv;
    if (action.shell) argv = {"/bin/sh", "-c"};
    for (const std::string& word : action.command) {
      argv.push_back(with_task_address(word, action.address));
    }
    auto child = argv.empty() ? Result<Child>(error("empty health check"))
                              : start_child(argv, container->second.environment, false);
    if (!child) {
      emit(CheckFinished{key.first, key.second, false});
      return;
    }
    checks_.push_back(
        {key, std::move(*child), std::chrono::steady_clock::now() + action.timeout, false});
  }

  // --- what happens by itself -----------------------------------------------------------------

  void report_started(Container& container) {
    if (std::exchange(container.reported, true)) return;
    emit(ContainerStarted{container.start.task_id, container.start.container,
                          container.start.digest});
  }

  void probe_ports() {
    const auto now = std::chrono::steady_clock::now();
    for (auto& [key, container] : containers_) {
      if (container.reported) continue;
      const std::string& address = container.start.address;
      std::erase_if(container.waiting_ports,
                    [&address](int port) { return accepts(address, port); });
      if (container.waiting_ports.empty() || now >= container.ready_deadline) {
        report_started(container);
      }
    }
  }

  void enforce_check_timeouts() {
    const auto now = std::chrono::steady_clock::now();
    for (Check& check : checks_) {
      if (check.timed_out || now < check.deadline) continue;
      check.timed_out = true;
      signal_group(check.child.pid, SIGKILL);
    }
  }

  void read_output(const Key& key, Process& process) {
    char buffer[16384];
    for (;;) {
      const ssize_t got = read(process.child.output.get(), buffer, sizeof buffer);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return;
      if (got == 0) {
        process.child.output = Fd();
        return;
      }
      log(key, process.lines.add({buffer, static_cast<std::size_t>(got)}));
    }
  }

  void log(const Key& key, std::vector<std::string> lines) {
    std::size_t bytes = 0;
    for (const std::string& line : lines) bytes += line.size();
    if (lines.empty()) return;
    {
      const std::lock_guard lock(mutex_);
      queued_log_bytes_ += bytes;
      if (queued_log_bytes_ > kMaxQueuedLogBytes) {
        dropped_lines_ += lines.size();
        return;
      }
    }
    if (dropped_lines_ > 0) {
      lines.push_back(fmt::format("coalmine: {} log lines were dropped here",
                                  std::exchange(dropped_lines_, 0)));
    }
    emit(ContainerLog{key.first, key.second, std::move(lines)});
  }

  void process_ended(const Key& key, Container& container, Process& process) {
    const int code = reap_child(process.child.pid);
    if (process.child.output) read_output(key, process);
    log(key, process.lines.finish());
    process.child = Child{};
    if (!std::exchange(container.ending, true)) {
      container.exit_code = code;
      for (Process& other : container.processes) {
        if (other.child.pid != 0) signal_group(other.child.pid, SIGKILL);
      }
    }
  }

  /// True if the container is over: all its processes have been reaped.
  bool container_ended(const Key& key, Container& container) {
    for (const Process& process : container.processes) {
      if (process.child.pid != 0) return false;
    }
    for (Check& check : checks_) {
      if (check.key == key) signal_group(check.child.pid, SIGKILL);
    }
    report_started(container);
    emit(ContainerExited{key.first, key.second, container.exit_code, ""});
    return true;
  }

  SteadyTime next_deadline() const {
    SteadyTime next = kNoDeadline;
    for (const auto& [key, container] : containers_) {
      if (!container.reported) next = std::chrono::steady_clock::now() + kProbePeriod;
    }
    for (const Check& check : checks_) {
      if (!check.timed_out) next = std::min(next, check.deadline);
    }
    return next;
  }

  /// Waits for the next thing and handles what has ended or been written.
  void wait() {
    std::vector<pollfd> fds = {{wake_.get(), POLLIN, 0}};
    for (auto& [key, container] : containers_) {
      for (Process& process : container.processes) {
        if (process.child.exit) fds.push_back({process.child.exit.get(), POLLIN, 0});
        if (process.child.output) fds.push_back({process.child.output.get(), POLLIN, 0});
      }
    }
    for (Check& check : checks_) fds.push_back({check.child.exit.get(), POLLIN, 0});
    int timeout_ms = -1;
    if (const SteadyTime next = next_deadline(); next != kNoDeadline) {
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(next - std::chrono::steady_clock::now());
      timeout_ms = std::max(0, static_cast<int>(std::min<std::int64_t>(left.count(), 60000)));
    }
    if (poll(fds.data(), fds.size(), timeout_ms) <= 0) return;
    if (fds[0].revents != 0) {
      std::uint64_t count = 0;
      [[maybe_unused]] const auto got = read(wake_.get(), &count, sizeof count);
    }
    handle_ready(fds);
  }

  void handle_ready(const std::vector<pollfd>& fds) {
    std::size_t i = 1;  // same order as wait() filled them
    const auto ready = [&] { return fds[i++].revents != 0; };
    for (auto it = containers_.begin(); it != containers_.end();) {
      Container& container = it->second;
      bool ended = false;
      for (Process& process : container.processes) {
        const bool exited = process.child.exit && ready();
        const bool wrote = process.child.output && ready();
        if (wrote) read_output(it->first, process);
        if (!exited) continue;
        process_ended(it->first, container, process);
        ended = true;
      }
      it = ended && container_ended(it->first, container) ? containers_.erase(it) : std::next(it);
    }
    std::erase_if(checks_, [&](Check& check) {
      if (!ready()) return false;
      const int code = reap_child(check.child.pid);
      emit(CheckFinished{check.key.first, check.key.second, code == 0 && !check.timed_out});
      return true;
    });
  }

  void shut_down() {
    for (auto& [key, container] : containers_) signal_container(key, SIGTERM);
    for (Check& check : checks_) signal_group(check.child.pid, SIGKILL);
    const auto deadline = std::chrono::steady_clock::now() + options_.shutdown_grace;
    for (bool killed = false; !containers_.empty() || !checks_.empty();) {
      if (!killed && std::chrono::steady_clock::now() >= deadline) {
        for (auto& [key, container] : containers_) signal_container(key, SIGKILL);
        killed = true;
      }
      wait_briefly();
    }
  }

  void wait_briefly() {
    for (auto& [key, container] : containers_) container.reported = false;  // short poll timeout
    wait();
  }

  ProcessOptions options_;
  Fd wake_;
  std::mutex mutex_;
  std::deque<TaskAction> actions_;
  std::vector<TaskEvent> events_;
  std::size_t queued_log_bytes_ = 0;
  // Of the thread alone:
  std::map<Key, Container> containers_;
  std::vector<Check> checks_;
  std::size_t dropped_lines_ = 0;
  bool news_ = false;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;  // last: it uses all of the above
};

ProcessDriver::ProcessDriver(ProcessOptions options)
    : loop_(std::make_unique<Loop>(std::move(options))) {}

ProcessDriver::~ProcessDriver() = default;

void ProcessDriver::carry_out(const TaskAction& action, TimePoint) {
  loop_->queue(action);
}

std::vector<TaskEvent> ProcessDriver::take_events(TimePoint) {
  return loop_->take();
}

}  // namespace coalmine::mock
