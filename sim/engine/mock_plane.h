#pragma once

#include <cstdint>
#include <memory>

#include "sim/engine/control_plane.h"

namespace coalmine::engine {

/// Metric periods of a run up to which every one is read back through the mock's API; each costs
/// about as much as a hundred thousand requests.
inline constexpr std::int64_t kMaxPeriodsOnTheMock = 3000;

/// The whole mock cloud in this process. The rollout reaches App Mesh or ELBv2 and CloudWatch as
/// it reaches AWS, by signed requests as bytes; routes are compiled as for a real gateway or load
/// balancer, and metrics are read back from CloudWatch.
Result<std::unique_ptr<ControlPlane>> make_mock_plane(const world::Spec& spec, std::uint64_t seed,
                                                      Clock& clock);

/// The control plane that scenarios run on: the mock. Runs of more than kMaxPeriodsOnTheMock
/// periods (days) stand on plain values where these tell the same story, and the report says so.
Result<std::unique_ptr<ControlPlane>> make_plane(const world::Spec& spec, std::uint64_t seed,
                                                 Clock& clock);

/// For runs by the thousand: plain values where they tell the same story, else the mock.
Result<std::unique_ptr<ControlPlane>> make_quick_plane(const world::Spec& spec, std::uint64_t seed,
                                                       Clock& clock);

}  // namespace coalmine::engine
