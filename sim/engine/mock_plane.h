#pragma once

#include <memory>

#include "sim/engine/control_plane.h"

namespace coalmine::engine {

/// The control plane that scenarios run on: the mock's own App Mesh, Cloud Map and CloudWatch in
/// this process. The rollout reaches them as it reaches AWS, by signed requests as bytes; routes
/// are compiled as for a real gateway, and metrics are read back from CloudWatch.
Result<std::unique_ptr<ControlPlane>> make_mock_plane(const world::Spec& spec, Clock& clock);

/// Mock plane for App Mesh; for an ALB plain values still stand in (direct_plane.h).
Result<std::unique_ptr<ControlPlane>> make_plane(const world::Spec& spec, Clock& clock);

}  // namespace coalmine::engine
