#pragma once

#include <csignal>

namespace coalmine::cli {

/// Catches SIGINT and SIGTERM from its construction on (make it before any thread), so that a
/// long-running verb can wait for them instead of being cut down.
class StopSignal {
 public:
  StopSignal() {
    sigemptyset(&set_);
    sigaddset(&set_, SIGINT);
    sigaddset(&set_, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set_, nullptr);
  }
  void wait() const {
    int signal = 0;
    sigwait(&set_, &signal);
  }

 private:
  sigset_t set_{};
};

}  // namespace coalmine::cli
