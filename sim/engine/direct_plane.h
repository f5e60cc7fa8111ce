#pragma once

#include <memory>

#include "sim/engine/control_plane.h"

namespace coalmine::engine {

/// A control plane without AWS's bytes: weights, routes and metrics as plain values, with App
/// Mesh's range of weights.
Result<std::unique_ptr<ControlPlane>> make_direct_plane(const world::Spec& spec, Clock& clock);

}  // namespace coalmine::engine
