#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sim/core/result.h"
#include "sim/core/time.h"
#include "sim/traffic/faults/fault.h"

namespace coalmine::lab {

inline constexpr Duration kStartTimeout = std::chrono::seconds{20};
inline constexpr Duration kStopTimeout = std::chrono::seconds{3};

/// One running copy of the sample app, on a free loopback port. Ends with the object.
class ServiceProcess {
 public:
  /// Returns once it accepts connections. Errors (Environment): the program is missing, does not
  /// start, or says something else than that it is ready.
  static Result<std::unique_ptr<ServiceProcess>> start(const std::string& program,
                                                       const std::string& version,
                                                       std::uint64_t seed);
  virtual ~ServiceProcess() = default;
  virtual int port() const = 0;
  virtual bool running() const = 0;
  /// Replaces what is wrong with it.
  virtual Status set_faults(const std::vector<faults::Fault>& faults) = 0;
};

}  // namespace coalmine::lab
