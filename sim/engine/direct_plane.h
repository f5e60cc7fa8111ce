#pragma once

#include <memory>

#include "sim/engine/control_plane.h"

namespace coalmine::engine {

/// A control plane without AWS: weights and metrics as plain values, with App Mesh's range of
/// weights. For measuring the engine by itself and for tests; scenarios run on the mock.
Result<std::unique_ptr<ControlPlane>> make_direct_plane(const world::Spec& spec, Clock& clock);

}  // namespace coalmine::engine
