#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "sim/core/result.h"

namespace coalmine::mock {

/// A file descriptor that closes itself.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd();
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

/// A process in a group of its own. It is not reaped by this type: see reap_child().
struct Child {
  pid_t pid = 0;
  Fd exit;    ///< a pidfd: readable once the process has ended
  Fd output;  ///< its stdout and stderr, non-blocking; none when discarded
};

/// Starts a program: argv[0] is a path or looked up in PATH. The child inherits this process's
/// environment without AWS_*, changed by `environment`; stdin is empty; no descriptor but
/// stdout and stderr stays open; SIGKILL follows when the calling *thread* ends, so call this
/// from a thread that lives as long as its children. The error says why the program did not
/// start, as the kernel put it.
Result<Child> start_child(const std::vector<std::string>& argv,
                          const std::map<std::string, std::string>& environment,
                          bool capture_output);

void signal_group(pid_t pid, int signal);

/// Once the child has ended: kills what is left of its group, reaps it and returns its exit code,
/// 128 + signal if a signal ended it. Call when `exit` is readable.
int reap_child(pid_t pid);

}  // namespace coalmine::mock
