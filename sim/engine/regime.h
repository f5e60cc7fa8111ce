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
  std::vector<std::uint32_t> weights;            ///< of the last segment's route, by version
  std::vector<std::vector<std::size_t>> usable;  ///< tasks that the gateway may pick, by version
  /// Those that it knows and takes for healthy: where all are sick a load balancer picks any.
  std::vector<std::vector<std::size_t>> healthy;
};

/// Where the requests of every segment go now and what becomes of them.
RoutedRegime make_regime(const world::Spec& spec, const RegimeInputs& inputs);

}  // namespace coalmine::engine
