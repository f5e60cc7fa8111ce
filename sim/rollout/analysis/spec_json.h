#pragma once

#include "sim/core/json.h"
#include "sim/rollout/analysis/spec.h"

namespace coalmine::rollout {

/// An analysis as the journal keeps it; what has its default may be left out.
Json to_json(const AnalysisSpec& spec);
/// Reads what to_json wrote. The values are not checked, see check() of a plan.
Result<AnalysisSpec> analysis_from_json(const Json& json);

}  // namespace coalmine::rollout
