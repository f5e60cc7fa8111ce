#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "sim/core/clock.h"

namespace coalmine::cli {

/// The clock of the mock that listens at `endpoint`: a lab that runs thirty times faster
/// (`up --speed 30`) or stands still (`--clock manual`) has bakes, signatures and metrics in its
/// own time, and whoever drives a rollout in it must live by the same. The wall clock where
/// nobody answers, or where somebody else does. sleep_until returns early once `stop` is set.
std::unique_ptr<Clock> lab_clock(const std::string& endpoint, const std::atomic<bool>* stop);

}  // namespace coalmine::cli
