#pragma once

#include <atomic>
#include <string>

#include "sim/core/result.h"
#include "sim/engine/world/world.h"

namespace coalmine::lab {

inline constexpr double kMaxSpeed = 1000;

struct LiveOptions {
  std::string sample_app;                   ///< path of the program
  const std::atomic<bool>* stop = nullptr;  ///< set: the run ends early
};

/// Plays the scenario on loopback in real time, `options.speed` times faster: v1 and v2 as
/// processes, a gateway, open-loop load, and the rollout that the virtual world runs too. All
/// times in the record are the scenario's. Latencies are scaled down by the speed, so 20 ms at
/// speed 10 is 2 ms on the wire. Errors (Invalid): more load than a machine should make;
/// (Environment): a program is missing, an address is busy.
Result<world::Record> play_live(const world::Spec& spec, const world::RunOptions& options,
                                const LiveOptions& live);

}  // namespace coalmine::lab
