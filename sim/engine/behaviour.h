#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sim/engine/latency_table.h"
#include "sim/engine/world/world.h"
#include "sim/traffic/faults/fault.h"
#include "sim/traffic/retry.h"

namespace coalmine::engine {

/// What one version makes of a request of one segment, as long as its faults remember nothing:
/// chances that one draw can decide. In distribution the same as faults::FaultState::decide().
struct Behaviour {
  struct Failure {
    std::uint64_t below = 0;  ///< of 2^32, cumulative
    world::Ending ending = world::Ending::Error;
    int status = 0;  ///< of an Error
  };
  std::vector<Failure> failures;
  std::uint64_t failure_below = 0;  ///< the last one's bound; 0: never fails
  struct Delay {
    std::uint64_t below = 0;  ///< of 2^32
    std::shared_ptr<const LatencyTable> table;
  };
  std::vector<Delay> delays;

  /// The failure that 32 random bits choose; null: none.
  const Failure* choose_failure(std::uint64_t chance) const {
    for (const Failure& failure : failures) {
      if (chance < failure.below) return &failure;
    }
    return nullptr;
  }
};

/// Whether the fault depends on what came before: its requests must be played one by one.
bool remembers(const world::Fault& fault);

/// What a request of a segment looks like to faults and routes.
struct SegmentFacts {
  std::string path = "/";
  std::vector<faults::HeaderField> headers;
  faults::RequestFacts facts() const { return {path, headers, false}; }
};

/// The faults' chances for such requests; those that remember must not be among them.
Behaviour make_behaviour(const std::vector<world::Fault>& faults, const world::Spec& spec,
                         const SegmentFacts& segment);

/// When the gateway makes an attempt again (sim/traffic/retry.h).
struct Retrying {
  traffic::RetryPolicy policy;
  traffic::RetryConditions on;
  Duration timeout = world::kMeshRequestTimeout;  ///< of the request as a whole
  /// After an attempt that ended so, with `done` retries behind it. What has run into the whole
  /// request's timeout has no time for another; of a body that ends early the head is gone.
  bool again(world::Ending ending, int status, int done) const;
};

/// How the user sees a request end that a fault decided about.
world::Ending ending_of(const faults::Outcome& outcome);
/// Whether an answer came, with a latency that the gateway measures.
constexpr bool has_answer(world::Ending ending) {
  return ending == world::Ending::Ok || ending == world::Ending::Error ||
         ending == world::Ending::Wrong;
}

}  // namespace coalmine::engine
