#pragma once

#include <atomic>
#include <string>

#include "sim/core/result.h"
#include "sim/engine/world/world.h"

namespace coalmine::lab {

inline constexpr double kMaxSpeed = 1000;
inline constexpr int kMaxLiveTasks = 16;  ///< of one version: each is a process

struct LiveOptions {
  std::string program;                      ///< path of coalmine, which runs again as the gateway
  std::string sample_app;                   ///< path
  const std::atomic<bool>* stop = nullptr;  ///< set: the run ends early
};

/// Plays the scenario on loopback in real time, `options.speed` times faster: a mock AWS in this
/// process, v1 and v2 as its tasks, its gateway or load balancer in front, open-loop load, and the
/// rollout that the virtual world runs too, by AWS calls over HTTP. All times in the record are
/// the scenario's. Latencies, capacities and timeouts are scaled like the rates, so 20 ms at
/// speed 10 is 2 ms on the wire and 60/s are 600/s. Errors (Invalid): more load or tasks than a
/// machine should make; (Environment): a program is missing, an address is busy, a task ended
/// while the lab started, the run was interrupted. Nothing that was started is left, either way.
Result<world::Record> play_live(const world::Spec& spec, const world::RunOptions& options,
                                const LiveOptions& live);

}  // namespace coalmine::lab
