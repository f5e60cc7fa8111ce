#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/core/clock.h"
#include "sim/core/random.h"
#include "sim/engine/control_plane.h"
#include "sim/engine/kernel.h"
#include "sim/engine/world/recorder.h"
#include "sim/engine/world/world.h"

namespace coalmine::engine {

/// The virtual world. It is the rollout's clock: while the rollout sleeps, requests come, faults
/// begin, weights take effect and metrics are written, in the order of their time.
class Simulation : public Clock, public rollout::OperatorSource {
 public:
  /// `spec` must outlive the object.
  Simulation(const world::Spec& spec, std::uint64_t seed);
  ~Simulation() override;
  /// Must be called once before time moves; the plane is seen as it is then.
  Status attach(ControlPlane& plane);

  TimePoint now() override { return now_; }
  /// Returns early when the scenario's limit comes first.
  void sleep_until(TimePoint t) override;

  std::optional<rollout::Operator> take(TimePoint now) override;
  TimePoint next(TimePoint now) const override;

  /// Lets weights that were set take effect, once the rollout has ended.
  void drain();
  world::Recorder& recorder() { return recorder_; }
  /// Completes the record's counts; call once, at the end.
  void settle_record();

 private:
  void count_up();
  struct Due;
  void advance(TimePoint t);
  TimePoint next_event() const;
  void happen();
  void notice_routes();
  void take_effect(const traffic::Snapshot& routes);
  void rebuild_regime();
  void run_batch(TimePoint end);
  void end_period();
  void begin_span(TimePoint end);
  void see_canary(TimePoint begin, TimePoint end, std::uint64_t requests);
  std::uint64_t arrivals(TimePoint begin, TimePoint end);

  const world::Spec& spec_;
  TimePoint start_, now_, limit_;
  ControlPlane* plane_ = nullptr;
  world::Recorder recorder_;
  Random arrivals_, requests_, users_, moments_;
  std::size_t canary_ = 0;

  std::uint64_t seen_revision_ = 0;
  struct PendingRoutes {
    TimePoint at;
    traffic::Snapshot routes;
  };
  std::vector<PendingRoutes> pending_routes_;
  traffic::Snapshot live_routes_;
  std::vector<std::uint32_t> live_weights_;

  std::vector<Due> due_;  ///< of the scenario: faults begin and end, foreign weights; sorted
  std::size_t next_due_ = 0;
  std::size_t next_operator_ = 0;
  std::vector<std::vector<std::pair<std::size_t, world::Fault>>> active_;  ///< by version
  std::vector<std::shared_ptr<const LatencyTable>> tables_;

  Regime regime_;
  Queues queues_;
  std::vector<Meter> period_;        ///< since the period began
  std::vector<std::uint64_t> seen_;  ///< requests by version already in a span
  std::vector<std::uint64_t> seen_failed_;
  std::uint64_t dropped_ = 0, seen_dropped_ = 0;
  TimePoint period_begin_, period_end_;
  struct Unpublished {
    TimePoint at;
    PeriodMetrics metrics;
  };
  std::vector<Unpublished> unpublished_;
  std::vector<std::array<std::uint64_t, LatencyTable::kSize>> total_fast_;
  std::vector<std::uint64_t> user_seen_;  ///< bitmap
  std::optional<std::pair<TimePoint, TimePoint>> last_canary_batch_;
  std::uint64_t last_canary_count_ = 0;
};

/// Plays the scenario in virtual time.
Result<world::Record> simulate(const world::Spec& spec, const world::RunOptions& options,
                               const ControlPlaneMaker& make_plane);

}  // namespace coalmine::engine
