#pragma once

#include <iosfwd>
#include <string>

#include "sim/core/result.h"
#include "sim/scenario/scenario.h"

namespace coalmine::cli {

/// The scenario under another plan, as --plan names it:
///   own             its own
///   steps:STEPS     other steps, its own analysis: 5%,10m,50%,10m,promote
///   KIND:FILE       as `run --plan` reads it: coalmine, flagger, argo, ecs, codedeploy, properties;
///                   FILE alone, if it ends in .yaml, is a scenario's
/// Each problem and warning of a file goes to `err`.
/// Errors: no such kind, a file with problems, a plan that does not fit the scenario.
Result<scenario::Scenario> with_plan(const scenario::Scenario& scenario, const std::string& plan,
                                     std::ostream& err);

}  // namespace coalmine::cli
