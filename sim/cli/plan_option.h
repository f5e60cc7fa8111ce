#pragma once

#include <string>

#include "sim/core/result.h"
#include "sim/scenario/scenario.h"

namespace coalmine::cli {

/// The scenario under another plan, as --plan names it:
///   own             its own
///   coalmine:FILE   the rollout part of another scenario file; FILE alone if it ends in .yaml
///   steps:STEPS     other steps, its own analysis: 5%,10m,50%,10m,promote
/// Errors: no such kind, a file with problems, a plan that does not fit the scenario's versions.
Result<scenario::Scenario> with_plan(const scenario::Scenario& scenario, const std::string& plan);

}  // namespace coalmine::cli
