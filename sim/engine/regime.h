#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "sim/engine/kernel.h"
#include "sim/engine/world/world.h"
#include "sim/traffic/route_table.h"

namespace coalmine::engine {

/// What a Regime is made of beside the Spec.
struct RegimeInputs {
  traffic::Snapshot routes;
  std::vector<std::vector<world::Fault>> faults;  ///< in force, by version
  std::vector<std::shared_ptr<const LatencyTable>> latency;
  std::vector<bool> ordered;  ///< by version
};

struct RoutedRegime {
  Regime regime;
  Regime own;  ///< of the plan's own load, as one segment; none without it
  /// Of copies of stable's requests, as many segments as it gets requests of; none if the plan does
  /// not mirror.
  Regime mirror;
  /// By version, of the route that splits requests between them.
  std::vector<std::uint32_t> weights;
  /// The same of every segment, one after the other: tells whether two regimes split alike.
  std::vector<std::uint32_t> split;
  bool by_marks = false;  ///< some segments go to one version whatever the weights say
  bool sticky = false;    ///< users keep the version they met
  std::vector<std::vector<std::size_t>> usable;  ///< tasks that the gateway may pick, by version
  /// Those that it knows and takes for healthy: where all are sick a load balancer picks any.
  std::vector<std::vector<std::size_t>> healthy;
};

/// Where the requests of every segment go now and what becomes of them.
RoutedRegime make_regime(const world::Spec& spec, const RegimeInputs& inputs);

}  // namespace coalmine::engine
