#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/rollout/analysis/spec.h"
#include "sim/rollout/metrics.h"

namespace coalmine::rollout {

/// Latency limits at which requests are counted when a test needs the distribution: 1 ms to
/// 10.8 s, each 1.2 times the one before (to the microsecond). A quantile read off it lies within
/// 20% of the true one, and within its cell it is interpolated.
const std::vector<Duration>& latency_grid();
inline constexpr double kLatencyGridRatio = 1.2;

/// The q-quantile of the latency in seconds from the counts above the limits that were asked
/// for, or nothing without requests. Larger than a limit exactly if more than a share 1 - q was
/// slower than that limit; above the last limit it is twice that limit.
std::optional<double> latency_quantile(const VersionCounts& counts, double q);

/// The measure's value for one version; nothing when it had no request.
std::optional<double> value_of(const Measure& measure, const VersionCounts& counts);

/// A value with its unit: "1.2%", "250ms", "3".
std::string value_text(const Measure& measure, double value);

}  // namespace coalmine::rollout
