#pragma once

#include <memory>

#include "sim/engine/control_plane.h"

namespace coalmine::engine {

/// The control plane that scenarios run on: the whole mock cloud in this process. The rollout
/// reaches App Mesh or ELBv2 and CloudWatch as it reaches AWS, by signed requests as bytes; routes
/// are compiled as for a real gateway or load balancer, and metrics are read back from CloudWatch.
Result<std::unique_ptr<ControlPlane>> make_plane(const world::Spec& spec, std::uint64_t seed,
                                                 Clock& clock);

/// For runs by the thousand: plain values where they tell the same story, else the mock.
Result<std::unique_ptr<ControlPlane>> make_quick_plane(const world::Spec& spec, std::uint64_t seed,
                                                       Clock& clock);

}  // namespace coalmine::engine
