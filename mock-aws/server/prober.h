#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "mock-aws/services/elbv2/elbv2.h"

namespace coalmine::mock {

/// Carries the health checks of target groups out: HTTP GETs (or TCP connects) from a few threads.
class Prober {
 public:
  static constexpr int kThreads = 4;
  /// More waiting probes than this are dropped: the next round makes them anew.
  static constexpr std::size_t kMaxWaiting = 1000;

  using Done = std::function<void(const Probe&, const ProbeOutcome&)>;
  /// `done` is called from the prober's threads.
  explicit Prober(Done done);
  ~Prober();
  void submit(Probe probe);

 private:
  void work();

  Done done_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Probe> waiting_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

/// One probe, now; blocks for its timeout at most.
ProbeOutcome carry_out(const Probe& probe);

}  // namespace coalmine::mock
