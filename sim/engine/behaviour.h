#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sim/engine/latency_table.h"
#include "sim/engine/world/world.h"
#include "sim/traffic/faults/fault.h"

namespace coalmine::engine {

/// What one version makes of a request of one segment, as long as its faults remember nothing:
/// chances that one draw can decide. In distribution the same as faults::FaultState::decide().
struct Behaviour {
  struct Failure {
    std::uint64_t below = 0;  ///< of 2^32, cumulative
    world::Ending ending = world::Ending::Error;
  };
  std::vector<Failure> failures;
  std::uint64_t failure_below = 0;  ///< the last one's bound; 0: never fails
  struct Delay {
    std::uint64_t below = 0;  ///< of 2^32
    std::shared_ptr<const LatencyTable> table;
  };
  std::vector<Delay> delays;

  /// The ending that 32 random bits choose.
  world::Ending choose_ending(std::uint64_t chance) const {
    for (const Failure& failure : failures) {
      if (chance < failure.below) return failure.ending;
    }
    return world::Ending::Ok;
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

/// How the user sees a request end that a fault decided about.
world::Ending ending_of(const faults::Outcome& outcome);
/// Whether an answer came, with a latency that the gateway measures.
constexpr bool has_answer(world::Ending ending) {
  return ending == world::Ending::Ok || ending == world::Ending::Error ||
         ending == world::Ending::Wrong;
}

}  // namespace coalmine::engine
