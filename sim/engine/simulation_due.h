// Only for the Simulation's own .cpp files.
#pragma once

#include "sim/engine/simulation.h"

namespace coalmine::engine {

/// Something that comes at its time.
struct Simulation::Due {
  enum class Kind { FaultBegins, FaultEnds, Foreign, ThrottleBegins, ThrottleEnds, Scale, TaskUp };
  TimePoint at;
  Kind kind = Kind::FaultBegins;
  std::size_t event = 0;  ///< index in Spec::events
  TaskId task = {};       ///< TaskUp
};

}  // namespace coalmine::engine
