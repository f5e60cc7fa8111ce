#include "mock-aws/tasks/child.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace coalmine::mock {
namespace {

constexpr unsigned kCloseRangeCloexec = 4;  // CLOSE_RANGE_CLOEXEC, absent from older headers

std::map<std::string, std::string> merged_environment(
    const std::map<std::string, std::string>& changes) {
  std::map<std::string, std::string> merged;
  for (char** entry = environ; *entry; ++entry) {
    const std::string_view text = *entry;
    const auto equals = text.find('=');
    // The user's real credentials are none of a local task's business.
    if (equals == std::string_view::npos || text.starts_with("AWS_")) continue;
    merged.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  for (const auto& [name, value] : changes) merged[name] = value;
  return merged;
}

/// Looked up before fork: between fork and exec only system calls are safe.
Result<std::string> find_program(const std::string& name,
                                 const std::map<std::string, std::string>& environment) {
  if (name.find('/') != std::string::npos) return name;
  const auto path = environment.find("PATH");
  std::string rest = path == environment.end() ? "/usr/local/bin:/usr/bin:/bin" : path->second;
  while (!rest.empty()) {
    const auto colon = rest.find(':');
    const std::string candidate = rest.substr(0, colon) + "/" + name;
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
    rest = colon == std::string::npos ? "" : rest.substr(colon + 1);
  }
  return error(ErrorKind::Environment, "exec: \"{}\": executable file not found in $PATH", name);
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> list;
  for (std::string& text : strings) list.push_back(text.data());
  list.push_back(nullptr);
  return list;
}

struct Pipe {
  Fd read, write;
};

Result<Pipe> make_pipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    return error(ErrorKind::Environment, "no pipe: {}", std::strerror(errno));
  }
  return Pipe{Fd(ends[0]), Fd(ends[1])};
}

/// Runs in the child: system calls only.
[[noreturn]] void become(const char* program, char** argv, char** envp, int output, int report,
                         pid_t parent) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);  // it died before the line above
  for (int number = 1; number < 32; ++number) signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  dup2(null, STDIN_FILENO);
  dup2(output >= 0 ? output : null, STDOUT_FILENO);
  dup2(output >= 0 ? output : null, STDERR_FILENO);
  syscall(SYS_close_range, 3u, ~0u, kCloseRangeCloexec);
  execve(program, argv, envp);
  const int code = errno;
  [[maybe_unused]] const auto written = write(report, &code, sizeof code);
  _exit(127);
}

}  // namespace

Fd::~Fd() {
  if (fd_ >= 0) close(fd_);
}

Result<Child> start_child(const std::vector<std::string>& arguments,
                          const std::map<std::string, std::string>& environment,
                          bool capture_output) {
  const auto merged = merged_environment(environment);
  TRY(const std::string program, find_program(arguments.at(0), merged));
  std::vector<std::string> argument_texts = arguments, variable_texts;
  for (const auto& [name, value] : merged) variable_texts.push_back(name + "=" + value);
  std::vector<char*> argv = pointers(argument_texts), envp = pointers(variable_texts);
  TRY(Pipe report, make_pipe());
  Pipe output;
  if (capture_output) {
    TRY(Pipe pipe, make_pipe());
    output = std::move(pipe);
    fcntl(output.read.get(), F_SETFL, O_NONBLOCK);
  }
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) return error(ErrorKind::Environment, "no process: {}", std::strerror(errno));
  if (pid == 0) {
    become(program.c_str(), argv.data(), envp.data(), output.write.get(), report.write.get(),
           parent);
  }
  setpgid(pid, pid);  // whoever is first
  { const Fd closed = std::move(report.write); }
  int code = 0;
  ssize_t got = 0;
  do {
    got = read(report.read.get(), &code, sizeof code);
  } while (got < 0 && errno == EINTR);
  if (got == static_cast<ssize_t>(sizeof code)) {
    waitpid(pid, nullptr, 0);
    return error(ErrorKind::Environment, "exec: \"{}\": {}", program, std::strerror(code));
  }
  Child child;
  child.pid = pid;
  child.exit = Fd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  child.output = std::move(output.read);
  if (!child.exit) {
    signal_group(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    return error(ErrorKind::Environment, "pidfd_open: {} (Linux 5.3 or newer is needed)",
                 std::strerror(errno));
  }
  return child;
}

void signal_group(pid_t pid, int number) {
  kill(-pid, number);
}

int reap_child(pid_t pid) {
  // Before reaping: until then the group's number cannot be anybody else's.
  signal_group(pid, SIGKILL);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace coalmine::mock
