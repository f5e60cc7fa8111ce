#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sim/core/random.h"
#include "sim/core/result.h"
#include "sim/core/time.h"

namespace coalmine::lab {

inline constexpr double kMaxLoadPerS = 20'000;  ///< real requests a second
inline constexpr std::uint64_t kMaxLoadRequests = 20'000'000;
/// Requests in flight at a time; a service that is overloaded holds as many as rate x patience.
inline constexpr std::size_t kMaxLoadConnections = 1500;
/// Users who keep cookies: two of a load balancer are some 200 bytes.
inline constexpr std::uint64_t kMaxLoadUsers = 200'000;
/// Arrivals that wait for a free connection; further ones count as dropped.
inline constexpr std::size_t kMaxLoadWaiting = 10'000;

/// Paths with their share of the requests, adding up to 1.
struct LoadPath {
  std::string path = "/";
  double share = 1;
  std::string header;  ///< "NAME:VALUE" that its requests carry; empty: none
};

/// From `from` on, since the start, requests come at this rate.
struct LoadStep {
  Duration from{};
  double rate_per_s = 0;
};

struct LoadOptions {
  std::string host = "127.0.0.1";  ///< an IPv4 address; loopback only
  int port = 0;
  std::vector<LoadStep> steps = {{{}, 100}};  ///< rising by time from zero on
  bool poisson = true;
  std::vector<LoadPath> paths = {{}};
  Duration length = std::chrono::minutes{1};      ///< stops by itself after this
  std::uint64_t max_requests = kMaxLoadRequests;  ///< or after so many
  Duration timeout = std::chrono::seconds{30};    ///< of one request
  std::uint64_t seed = 1;
  std::uint64_t users = 1;  ///< every request comes from one of them, all alike
  bool cookies = false;     ///< whether they keep what answers set
};

/// One request as its user saw it.
struct LoadSample {
  Duration due{};          ///< when it arrived, since the start
  Duration sent{};         ///< when it went out; `due` if it never did
  Duration latency{};      ///< from `due` until the last byte
  int status = 0;          ///< 0: no (whole) answer came
  bool truncated = false;  ///< the head came, the body ended early
  bool timed_out = false;
  std::string version;   ///< X-Served-Version; empty when the answer does not say
  std::string service;   ///< X-Served-By: the ECS service whose task it is; likewise
  std::string reason;    ///< X-Coalmine-Reason of the gateway's own answers
  std::size_t path = 0;  ///< index in LoadOptions::paths
  std::uint64_t user = 0;
  bool wrong = false;  ///< 200 with a body that is not the service's
};

/// Open-loop load: arrivals follow the clock and do not wait for answers, so a slow service is
/// seen as its users see it. Keep-alive connections, a thread of its own.
class LoadGenerator {
 public:
  /// `on_sample` is called from the generator's thread. Errors (Invalid): not a loopback address,
  /// no step at zero, a rate, the count or the users with cookies beyond the limits above. Raises
  /// the process's soft limit of open files.
  static Result<std::unique_ptr<LoadGenerator>> start(
      const LoadOptions& options, std::function<void(const LoadSample&)> on_sample);
  virtual ~LoadGenerator() = default;
  /// No further arrivals; waits for the answers of those in flight.
  virtual void stop() = 0;
};

}  // namespace coalmine::lab
