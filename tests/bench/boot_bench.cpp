// How long an idle `coalmine mock-aws` takes until it is ready, and what it then holds in memory.
// Promised: below 50 ms and 50 MB.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdio>
#include <fstream>
#include <string>

namespace {

/// The program lies beside this one.
std::string program() {
  char path[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path);
  const std::string own(path, length > 0 ? static_cast<std::size_t>(length) : 0);
  return own.substr(0, own.rfind('/') + 1) + "coalmine";
}

struct Child {
  pid_t pid = -1;
  int out = -1;
};

Child start(const std::string& path) {
  int pipe_ends[2];
  if (pipe2(pipe_ends, O_CLOEXEC) != 0) return {};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, pipe_ends[1], STDOUT_FILENO);
  std::string words[] = {path, "mock-aws", "--port", "0"};
  char* arguments[] = {words[0].data(), words[1].data(), words[2].data(), words[3].data(), nullptr};
  Child child;
  if (posix_spawn(&child.pid, path.c_str(), &actions, nullptr, arguments, environ) != 0) {
    child.pid = -1;
  }
  posix_spawn_file_actions_destroy(&actions);
  close(pipe_ends[1]);
  child.out = pipe_ends[0];
  return child;
}

/// Whether the ready line came; it is the first one.
bool wait_until_ready(const Child& child) {
  std::string line;
  char c = 0;
  while (read(child.out, &c, 1) == 1 && c != '\n') line += c;
  return line.rfind("coalmine: ready mock-aws=", 0) == 0;
}

/// Resident memory in MB, from /proc.
double resident_mb(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(in, line);) {
    if (line.rfind("VmRSS:", 0) == 0) return std::stod(line.substr(6)) / 1000;
  }
  return 0;
}

double to_ms(const timeval& t) {
  return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_usec) / 1e3;
}

void BootMockAws(benchmark::State& state) {
  const std::string path = program();
  double largest = 0, cpu_ms = 0;
  for (auto _ : state) {
    const Child child = start(path);
    const bool ready = child.pid > 0 && wait_until_ready(child);
    state.PauseTiming();
    if (child.pid > 0) {
      largest = std::max(largest, resident_mb(child.pid));
      kill(child.pid, SIGTERM);
      rusage used{};
      wait4(child.pid, nullptr, 0, &used);
      cpu_ms += to_ms(used.ru_utime) + to_ms(used.ru_stime);
    }
    close(child.out);
    state.ResumeTiming();
    if (!ready) {
      state.SkipWithError(("cannot start " + path).c_str());
      break;
    }
  }
  state.counters["resident_MB"] = largest;
  state.counters["cpu_ms"] = benchmark::Counter(cpu_ms, benchmark::Counter::kAvgIterations);
}
BENCHMARK(BootMockAws)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
