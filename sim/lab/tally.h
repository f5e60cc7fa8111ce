#pragma once

#include <string>
#include <vector>

#include "sim/engine/world/world.h"
#include "sim/lab/load_generator.h"

namespace coalmine::lab {

/// A request as the record needs it. Times are the scenario's, since its start.
struct Seen {
  Duration due{};      ///< when its user wanted it
  Duration sent{};     ///< when it went out: the gateway chose its version after this
  Duration latency{};  ///< from `due` to the last byte
  int version = -1;    ///< index in Spec::versions; -1: none served it
  world::Ending ending = world::Ending::Ok;
  std::size_t segment = 0;  ///< index in Traffic::segments; their number: the unnamed rest
  std::uint64_t user = 0;
};

/// What became of the request behind `sample`. `targets`: the names of the versions' virtual
/// nodes or target groups, which the gateway's own answers tell.
Seen judge(const LoadSample& sample, const world::Spec& spec,
           const std::vector<std::string>& targets, double speed);

/// Weights by version, which the gateway certainly used from `from` until `until`.
struct InForce {
  Duration from{}, until{};
  std::vector<std::uint32_t> weights;
  bool promotion = false;  ///< the promotion's own: the end, not a step on the way
  bool by_marks = false;   ///< routes sent some requests elsewhere, whatever the weights said
};

/// Counts the requests into the record: spans, versions, users, first and last canary request.
/// `in_force` in order of time; between them a change was on its way. `end`: when load ended.
/// `pick_lag`: a request may have been picked so long after it was sent (scenario time).
void count_up(const world::Spec& spec, std::vector<Seen> seen, const std::vector<InForce>& in_force,
              Duration end, Duration pick_lag, world::Record& record);

}  // namespace coalmine::lab
