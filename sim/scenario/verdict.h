#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/engine/world/world.h"
#include "sim/scenario/scenario.h"

namespace coalmine::scenario {

/// One check held against what happened. Sentences complete "expected …, got …".
struct CheckResult {
  std::string name;  ///< "blast-radius"
  bool passed = false;
  std::string expected;
  std::string actual;
  Place place;
};

/// All checks of the scenario, in the file's order.
std::vector<CheckResult> verdict(const Scenario& scenario, const world::Record& record);

/// How the requests were really split while one set of weights was in force.
struct StepShare {
  Duration begin{}, end{};
  double weight = 0;  ///< the canary's share as routed, 0 to 1
  std::uint64_t requests = 0, canary_requests = 0;
  /// Distance from the weight in standard deviations of the binomial distribution.
  double sigma() const;
};
/// Stretches in which the canary had a weight and anybody asked.
std::vector<StepShare> step_shares(const world::Spec& spec, const world::Record& record);

/// The highest share of failed requests in any stretch of at least `window` (the whole run if
/// that is shorter), 0 to 1.
double worst_error_rate(const world::Record& record, std::optional<Duration> window);

// Figures that several reports print.
std::optional<Duration> time_to_detect(const world::Record& record);
std::optional<Duration> time_to_rollback(const world::Record& record);
std::uint64_t total_requests(const world::Record& record);
std::uint64_t total_retries(const world::Record& record);
std::uint64_t total_failed(const world::Record& record);
/// Distinct users that the version served in the segment; nullopt: they were not counted.
std::optional<std::uint64_t> users_in(const world::VersionRecord& version, std::size_t segment);
const world::VersionRecord& canary_of(const world::Spec& spec, const world::Record& record);

}  // namespace coalmine::scenario
