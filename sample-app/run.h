#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sample-app/queue.h"
#include "sim/core/result.h"
#include "sim/net/http.h"
#include "sim/traffic/faults/fault.h"

namespace coalmine::sample {

struct RunOptions {
  std::string version = "v1";
  std::string service;  ///< whose task it is, for the header X-Served-By; empty: nobody says
  std::string host = "127.0.0.1";
  int port = 9000;
  std::vector<faults::Fault> faults;
  std::uint64_t seed = 0;  ///< 0: a new one every time
  ServiceLimits limits;    ///< how much it can serve
};

/// Serves until destroyed. `crash` ends the process; tests hand in something gentler.
class Service {
 public:
  static Result<std::unique_ptr<Service>> start(const RunOptions& options,
                                                std::function<void()> crash);
  virtual ~Service() = default;
  virtual int port() const = 0;
  /// Stops accepting, answers what is in flight with Connection: close.
  virtual void drain() = 0;
};

/// Serves until SIGTERM or SIGINT, drains, returns the exit code. Prints the ready line:
/// "sample-app: ready version=v1 http://127.0.0.1:9000".
int run(const RunOptions& options);

}  // namespace coalmine::sample
