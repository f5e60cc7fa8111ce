#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sim/core/result.h"
#include "sim/scenario/scenario.h"
#include "sim/study/study.h"

namespace coalmine::study {

inline constexpr std::size_t kMaxSweeps = 2;
inline constexpr std::size_t kMaxSweepValues = 100;

/// One parameter and the values that it takes.
struct Sweep {
  std::string parameter;
  std::vector<std::string> values;
};

/// "weight=1%,5%,10%". Parameters and what they set:
///   weight         the first weight of the plan; later ones are at least as high
///   bake           every bake
///   fault          share of the requests that the canary's fault hits
///   rate           requests a second
///   alpha          of every sequential test
///   metric-period, metric-delay, route-delay   of the platform
Result<Sweep> parse_sweep(std::string_view text);

/// The scenario with one parameter set. Errors: no such parameter, a value that it cannot take,
/// nothing in the scenario that it could set.
Result<scenario::Scenario> with_parameter(const scenario::Scenario& scenario,
                                          const std::string& parameter, const std::string& value);

/// One trial per combination, the last sweep's values varying fastest.
Result<std::vector<Trial>> sweep_trials(const Trial& base, const std::vector<Sweep>& sweeps);

}  // namespace coalmine::study
