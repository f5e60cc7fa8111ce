#pragma once

#include <string>

#include "sim/rollout/plan.h"

namespace coalmine::study {

/// "1% 10m, 10% 5m, 50% 5m, promote"
std::string describe_steps(const rollout::Plan& plan);

/// Who looks at the canary, and how: "errors: error-share, alpha 0.01", "errors at most 1% every
/// 1m, rolled back at failure 5". Empty: nobody does.
std::string describe_judge(const rollout::Plan& plan);

}  // namespace coalmine::study
