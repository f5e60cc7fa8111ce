#pragma once

#include <memory>

#include "sim/engine/control_plane.h"

namespace coalmine::engine {

/// A control plane without AWS's bytes: weights, routes and metrics as plain values, with the range
/// of weights of App Mesh or ALB. The rollout sees the same of it as of the mock, at a hundredth of
/// the cost: what evaluations over thousands of seeds stand on.
Result<std::unique_ptr<ControlPlane>> make_direct_plane(const world::Spec& spec, std::uint64_t seed,
                                                        Clock& clock);

/// Whether plain values tell the same story as the mock: nothing happens that only AWS's own
/// rules decide (throttled calls, a load balancer's health checks).
bool plain_values_suffice(const world::Spec& spec);

}  // namespace coalmine::engine
