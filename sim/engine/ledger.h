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
#include "sim/engine/users.h"
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
  const std::vector<Meter>& meters() const { return period_; }
  /// Of requests that no user waits for: the metrics have them, the record only their number. From
  /// the segment `from` on the meters of users point here. Empty until this is called.
  std::vector<Meter>& meters_beside(std::size_t from);
  std::uint64_t& dropped() { return dropped_; }
  /// Where latencies go that the meters hold only roughly; from then on the meters' are left out
  /// of the totals.
  std::vector<Histogram>& fine_latencies();

  /// What was counted since the last call happened in [begin, end), under these weights;
  /// `by_marks`: which are not the reason for where all requests went.
  void end_span(TimePoint begin, TimePoint end, const std::vector<std::uint32_t>& weights,
                bool by_marks = false);
  /// Who has met the canary, where that is known; without it they are drawn when all is counted.
  void know_users(UsersMet met) { known_users_ = std::move(met); }
  /// The metrics of a period that ends here; the meters begin at zero again.
  PeriodMetrics end_period(TimePoint from, TimePoint to);
  /// Completes the record. Call once, at the end.
  void settle();

 private:
  using FastCounts = std::array<std::uint32_t, LatencyTable::kSize>;
  void count_up();
  Histogram period_latency(const Meter& meter, FastCounts& read, std::size_t version) const;
  void see_canary(TimePoint begin, TimePoint end, std::uint64_t requests);
  void count_users();

  const world::Spec& spec_;
  world::Recorder& recorder_;
  TimePoint start_;
  Random users_, moments_;
  std::vector<std::shared_ptr<const LatencyTable>> tables_;
  std::size_t canary_ = 0;
  std::vector<Meter> period_;        ///< since the period began
  std::vector<Meter> beside_;        ///< the same of requests that are no users'
  std::vector<std::uint64_t> seen_;  ///< requests by version already in a span
  std::vector<std::uint64_t> seen_failed_;
  std::uint64_t dropped_ = 0, seen_dropped_ = 0;
  Read read_;
  std::vector<FastCounts> read_fast_, read_beside_;  ///< in earlier periods
  std::vector<Histogram> fine_;
  std::optional<std::pair<TimePoint, TimePoint>> last_canary_span_;
  std::uint64_t last_canary_count_ = 0;
  std::optional<UsersMet> known_users_;
};

}  // namespace coalmine::engine
