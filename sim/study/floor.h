#pragma once

#include <optional>

#include "sim/engine/world/world.h"

namespace coalmine::study {

/// Errors that the information floor allows a test: at most 1% of healthy canaries rolled back, at
/// most 1% of faults missed.
inline constexpr double kFloorAlpha = 0.01, kFloorBeta = 0.01;

/// How far the canary's behaviour lies from the stable version's, at the moment of the run when
/// they differ most.
struct Divergence {
  /// Nats that one canary request tells about which version served it, by errors, latency and
  /// segment together; 0: the metrics cannot tell them apart.
  double per_request = 0;
  bool worse = false;  ///< the canary fails more, is slower, or answers wrongly
  /// The canary has a fault whose size changes as it runs (a leak, a crash): no single figure.
  bool unknown = false;
  bool invisible = false;  ///< worse in a way that neither errors nor latency show
};
Divergence divergence(const world::Spec& spec);

/// Canary requests that any sequential test needs on average to detect the scenario's fault, even
/// one that knows both versions exactly: kl(1-beta, alpha) / D with D = divergence().per_request
/// (Wald 1945; facts: 0.1% against 5% errors needs 30.5). nullopt: no fault, or none that
/// metrics show.
std::optional<double> information_floor(const Divergence& divergence);

/// The scenario with a canary as good as its stable version: same errors, same latency, and no
/// fault on the way that does not hit both alike.
world::Spec healthy_twin(const world::Spec& spec);

/// "v2: errors 5%; v1: errors 0.1%"
std::string describe_fault(const world::Spec& spec);

}  // namespace coalmine::study
