#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "sim/engine/world/world.h"
#include "sim/scenario/scenario.h"

namespace coalmine::study {

/// Where the canary requests between a fault's first chance to show and the canary's last request
/// went. The deciding datapoint covers a period; its requests count half to either side, since
/// what decided lies anywhere in it.
struct BlastParts {
  std::uint64_t test = 0;     ///< until the evidence was there
  std::uint64_t metrics = 0;  ///< until the analysis could read it
  std::uint64_t route = 0;    ///< from the decision until the weights acted
  bool operator==(const BlastParts&) const = default;
};

/// The figures of one run.
struct Sample {
  std::uint32_t index = 0;  ///< seed = first seed + index
  world::Outcome outcome = world::Outcome::Unfinished;
  bool blamed = false;  ///< an analysis decided against the canary
  std::uint64_t requests = 0, failed = 0, dropped = 0;
  std::uint64_t canary_requests = 0, canary_failed = 0, canary_users = 0;
  std::vector<world::Tally> segments;  ///< the canary's, by index in Traffic::segments
  std::vector<std::uint64_t> segment_users;
  BlastParts parts;
  std::optional<Duration> detect, rollback, promote;
  Duration duration{};
  std::vector<std::uint32_t> failed_checks;  ///< indexes in the scenario's checks, rising
  bool operator==(const Sample&) const = default;
};

Sample make_sample(std::uint32_t index, const scenario::Scenario& scenario,
                   const world::Record& record);

/// Requests that version `v` served in [begin, end); a span that reaches over an edge counts in
/// proportion.
double requests_between(const world::Record& record, std::size_t v, Duration begin, Duration end);

BlastParts blast_parts(const world::Spec& spec, const world::Record& record);

}  // namespace coalmine::study
