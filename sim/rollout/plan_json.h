// The parts of a plan as JSON, for the journal's header. Only for sim/rollout's own .cpp files.
#pragma once

#include "sim/core/json.h"
#include "sim/rollout/plan.h"

namespace coalmine::rollout {

Json step_to_json(const Step& step);
Result<Step> step_from_json(const Json& json);

/// Everything but steps and analyses; what has its default is left out.
void parts_to_json(const Plan& plan, Json& json);
Status parts_from_json(const Json& json, Plan& plan);

}  // namespace coalmine::rollout
