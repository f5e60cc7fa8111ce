#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "sim/core/random.h"
#include "sim/engine/control_plane.h"
#include "sim/engine/kernel.h"
#include "sim/engine/world/recorder.h"

namespace coalmine::engine {

/// Keeps the books of a run: what the meters count becomes spans, metric periods and the record's
/// totals. Whatever was counted is counted exactly once in each.
class Ledger {
 public:
  /// What somebody reads of a period's metrics beside the counts of whole versions: latencies cost
  /// more than all the rest.
  struct Read {
    bool latency = false, segments = false;
  };
  Ledger(const world::Spec& spec, world::Recorder& recorder, std::uint64_t seed, TimePoint start,
         std::vector<std::shared_ptr<const LatencyTable>> tables, Read read);

  std::vector<Meter>& meters() { return period_; }
  std::uint64_t& dropped() { return dropped_; }
  /// Where latencies go that the meters hold only roughly; from then on the meters' are left out
  /// of the totals.
  std::vector<Histogram>& fine_latencies();

  /// What was counted since the last call happened in [begin, end), under these weights.
  void end_span(TimePoint begin, TimePoint end, const std::vector<std::uint32_t>& weights);
  /// The metrics of a period that ends here; the meters begin at zero again.
  PeriodMetrics end_period(TimePoint from, TimePoint to);
  /// Completes the record. Call once, at the end.
  void settle();

 private:
  void count_up();
  Histogram period_latency(std::size_t version);
  void see_canary(TimePoint begin, TimePoint end, std::uint64_t requests);

  const world::Spec& spec_;
  world::Recorder& recorder_;
  TimePoint start_;
  Random users_, moments_;
  std::vector<std::shared_ptr<const LatencyTable>> tables_;
  std::size_t canary_ = 0;
  std::vector<Meter> period_;        ///< since the period began
  std::vector<std::uint64_t> seen_;  ///< requests by version already in a span
  std::vector<std::uint64_t> seen_failed_;
  std::uint64_t dropped_ = 0, seen_dropped_ = 0;
  Read read_;
  std::vector<std::array<std::uint32_t, LatencyTable::kSize>> read_fast_;  ///< in earlier periods
  std::vector<Histogram> fine_;
  std::optional<std::pair<TimePoint, TimePoint>> last_canary_span_;
  std::uint64_t last_canary_count_ = 0;
};

}  // namespace coalmine::engine
