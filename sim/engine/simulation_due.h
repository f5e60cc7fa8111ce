// Only for the Simulation's own .cpp files.
#pragma once

#include <limits>

#include "sim/engine/simulation.h"

namespace coalmine::engine {

/// Stands for an event's index, of what is so from the beginning.
inline constexpr std::size_t kFromTheBeginning = std::numeric_limits<std::size_t>::max();

/// Something that comes at its time.
struct Simulation::Due {
  enum class Kind {
    FaultBegins,
    FaultEnds,
    Foreign,
    ThrottleBegins,
    ThrottleEnds,
    Scale,
    Revision,
    TaskUp,
    NewBuild,
    Mirror
  };
  TimePoint at;
  Kind kind = Kind::FaultBegins;
  std::size_t event = 0;  ///< index in Spec::events
  TaskId task = {};       ///< TaskUp; of NewBuild only its version
  double share = 0;       ///< Mirror
};

TaskPool::Limits limits_of(const world::Spec& spec, const world::Version& version);

}  // namespace coalmine::engine
