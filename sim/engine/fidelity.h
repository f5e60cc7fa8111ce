#pragma once

#include <string>

#include "sim/core/result.h"
#include "sim/engine/world/world.h"

namespace coalmine::engine {

/// Above so many expected requests `auto` counts instead of modelling each.
inline constexpr double kMaxRequestsOneByOne = 5e6;

struct FidelityChoice {
  bool aggregate = false;
  std::string reason;  ///< "because …", without the because
};

/// Which way to play the scenario, and why. Error: aggregate is asked for, but requests queue or
/// faults remember.
Result<FidelityChoice> choose_fidelity(const world::Spec& spec, world::Fidelity asked);

/// Whether the version's requests have to be played one by one, in order, at some time of the run.
/// `aggregate`: as choose_fidelity() has it.
bool needs_order(const world::Spec& spec, const world::Version& version, bool aggregate);

/// Whether anything in the run can make a task fail its health checks, or come and go.
bool health_matters(const world::Spec& spec);

}  // namespace coalmine::engine
