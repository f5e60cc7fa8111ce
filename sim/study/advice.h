#pragma once

#include <string>
#include <vector>

#include "sim/study/evaluation.h"
#include "sim/study/study.h"

namespace coalmine::study {

/// Seeds that are enough to tell a plan from a better one.
inline constexpr int kAdviceSeeds = 200;

/// Plans close to the scenario's own that may cost less, the own one first: judged by the
/// error-share test instead of limits, begun at a smaller weight, baked shorter or longer.
std::vector<Trial> alternatives(const scenario::Scenario& scenario);

/// The alternatives side by side and, in words, the one to take and why. Empty when nothing is
/// clearly better than the own plan. `evaluations` are those of alternatives(), in its order.
std::string render_advice(const std::vector<Evaluation>& evaluations);

}  // namespace coalmine::study
