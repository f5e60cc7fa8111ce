#include "sim/rollout/analysis/measure.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/core/check.h"
#include "sim/rollout/analysis/evaluation.h"

namespace coalmine::rollout {
namespace {

std::vector<Duration> make_grid() {
  std::vector<Duration> grid;
  double us = 1000;
  while (us < 11'000'000) {
    grid.push_back(std::chrono::microseconds(static_cast<std::int64_t>(us + 0.5)));
    us *= kLatencyGridRatio;
  }
  return grid;
}

}  // namespace

const std::vector<Duration>& latency_grid() {
  static const std::vector<Duration> grid = make_grid();
  return grid;
}

std::optional<double> latency_quantile(const VersionCounts& counts, double q) {
  if (counts.requests == 0) return std::nullopt;
  const double allowed = (1 - q) * static_cast<double>(counts.requests);
  double low = 0, slower_than_low = static_cast<double>(counts.requests);
  for (const SlowCount& slow : counts.slow) {
    const double high = to_seconds(slow.over);
    const auto slower = static_cast<double>(slow.count);
    if (slower <= allowed * (1 + 1e-12)) {
      // Within the cell as if its requests lay evenly; never its lower end itself.
      const double span = slower_than_low - slower;
      const double part = span > 0 ? (slower_than_low - allowed) / span : 1;
      return low + (high - low) * std::clamp(part, 1e-6, 1.0);
    }
    low = high;
    slower_than_low = slower;
  }
  return low > 0 ? std::optional(2 * low) : std::nullopt;
}

std::optional<double> value_of(const Measure& measure, const VersionCounts& counts) {
  if (counts.requests == 0) return std::nullopt;
  const std::uint64_t errors = std::min(counts.errors, counts.requests);
  switch (measure.what) {
    case Measure::What::ErrorCount:
      return static_cast<double>(errors);
    case Measure::What::RequestCount:
      return static_cast<double>(counts.requests);
    case Measure::What::ErrorShare:
      return share_of_counts(errors, counts.requests);
    case Measure::What::SuccessShare:
      return share_of_counts(counts.requests - errors, counts.requests);
    case Measure::What::LatencyQuantile:
      return latency_quantile(counts, measure.quantile);
  }
  CHECK_FAILED("measure");
}

std::string value_text(const Measure& measure, double value) {
  switch (measure.what) {
    case Measure::What::ErrorShare:
    case Measure::What::SuccessShare:
      return percent_text(value);
    case Measure::What::ErrorCount:
    case Measure::What::RequestCount:
      return figure(value);
    case Measure::What::LatencyQuantile:
      return value >= 1 || value <= -1 ? fmt::format("{:.3g}s", value)
                                       : fmt::format("{:.3g}ms", value * 1000);
  }
  CHECK_FAILED("measure");
}

}  // namespace coalmine::rollout
