#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sim/core/result.h"
#include "sim/rollout/plan.h"

namespace coalmine::cli {

/// A plan in one word, as options take it: "1%,10m,10%,5m,50%,5m,promote". A share is a weight, a
/// duration a bake; "pause" waits for an operator, "pause:1h" at most so long; "tasks:3",
/// "tasks:50%" and "tasks:weight" size the canary; "experiment:5%:10m" sets it beside a fresh copy
/// of stable; "header:NAME=VALUE" and "cookie:NAME=VALUE"
/// route to it until "routes:none". Errors name the word and what is allowed.
Result<std::vector<rollout::Step>> parse_steps(std::string_view text, const std::string& canary);

}  // namespace coalmine::cli
