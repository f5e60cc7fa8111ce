// sample-app: the service that is rolled out, as v1, v2 or any other version.
//
//   GET /            {"data":"This is service v1"}
//   GET /checkout /search /profile   a few flows, so that faults can be scoped by path
//   GET /healthcheck /version /metrics
//   GET|PUT|DELETE /fault            what is wrong with it, changed while it runs
//
// App answers requests and knows nothing of sockets; run.h listens, and sleeps for it. How it
// misbehaves is decided in sim/traffic/faults, by the code that the virtual world uses too.
//
// Below: sim/net, sim/traffic/faults, sim/core. Above: nothing; coalmine starts the program.
#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "sample-app/metrics.h"
#include "sample-app/queue.h"
#include "sim/core/random.h"
#include "sim/net/http.h"
#include "sim/traffic/faults/fault.h"

namespace coalmine::sample {

/// What the shell has to do: wait, then send `response`, or end the process.
struct Answer {
  net::Response response;
  Duration delay{};
  bool crash = false;
  std::string counted_as;  ///< the path's label in the metrics
};

/// Thread-safe: requests come from many connections.
class App {
 public:
  /// `queue`: how much it can serve; by default everything at once.
  App(std::string version, std::vector<faults::Fault> faults, TimePoint started, Random random,
      ServiceQueue queue = {});

  Answer answer(const net::Request& request, TimePoint now);
  /// To be called once the answer has been given; `took` with the delay.
  void finished(const Answer& answer, Duration took);

  const std::string& version() const { return version_; }

 private:
  net::Response serve(const net::Request& request) const;
  net::Response serve_fault(const net::Request& request, TimePoint now);
  Duration busy_time(const Answer& answer, Duration waited) const;
  void inject(const faults::Outcome& outcome, Answer& answer);

  const std::string version_;
  Metrics metrics_;
  std::mutex mutex_;  // guards what follows
  faults::FaultState faults_;
  Random random_;
  ServiceQueue queue_;
  std::vector<std::string> leaked_;
};

}  // namespace coalmine::sample
