#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/core/clock.h"
#include "sim/core/random.h"
#include "sim/engine/affinity.h"
#include "sim/engine/aggregate.h"
#include "sim/engine/control_plane.h"
#include "sim/engine/kernel.h"
#include "sim/engine/ledger.h"
#include "sim/engine/regime.h"
#include "sim/engine/task_pool.h"
#include "sim/engine/world/controller_lives.h"
#include "sim/engine/world/rate_curve.h"
#include "sim/engine/world/recorder.h"
#include "sim/engine/world/world.h"

namespace coalmine::engine {

/// The virtual world. It is the rollout's clock: while the rollout sleeps, requests come, faults
/// begin, weights take effect and metrics are written, in the order of their time.
class Simulation : public Clock, public rollout::TaskAdapter {
 public:
  /// `spec` must outlive the object. `aggregate`: only for a Spec that choose_fidelity() allows.
  Simulation(const world::Spec& spec, std::uint64_t seed, bool aggregate);
  ~Simulation() override;
  /// Must be called once before time moves; the plane is seen as it is then.
  Status attach(ControlPlane& plane);

  /// Copies this share of stable's requests to the canary, once that has reached the gateway.
  void set_mirror(Percent share);

  TimePoint now() override { return now_; }
  /// Returns early when the scenario's limit comes first.
  void sleep_until(TimePoint t) override;

  // --- rollout::TaskAdapter ---
  Result<rollout::Tasks> read() override;
  Result<rollout::Tasks> scale(const std::string& version, int tasks) override;
  Result<rollout::Tasks> swap_image(const std::string& build) override;

  /// Whose sleep ends when the scenario kills the controller.
  world::ControllerLives& lives() { return lives_; }
  /// Lets weights that were set take effect, once the rollout has ended, and users come back as
  /// long as they keep the version they met.
  void drain();
  world::Recorder& recorder() { return recorder_; }
  /// Asks both versions the same and counts the answers that differ, as things are now.
  void compare_answers();
  /// Completes the record's counts; call once, at the end.
  void settle_record();

 private:
  struct Due;
  void advance(TimePoint t);
  TimePoint next_event() const;
  void happen();
  // What the scenario makes happen.
  void carry_out(const Due& due);
  void change_fault(const Due& due);
  void set_foreign(const world::ForeignWeights& foreign);
  void throttle(const Due& due);
  void scale_by_hand(const world::ScaleTasks& scale);
  void arrive(const world::RevisionArrives& revision);
  void start_task(const Due& due);
  void resize(std::size_t version, std::size_t tasks);
  // What the rollout does to tasks.
  rollout::TaskCount count_of(const std::string& version) const;
  std::optional<Duration> start_of(const std::string& build) const;
  std::vector<world::Fault> faults_of_build(const std::string& build) const;
  void take_build(const Due& due);
  void schedule(Due due);
  void fault_pools(std::size_t version);
  // Routes.
  void notice_routes();
  void take_effect(const traffic::Snapshot& routes);
  void rebuild_regime();
  void rebuild_beside(RoutedRegime&& routed);
  // Requests.
  std::uint64_t arrivals(TimePoint begin, TimePoint end);
  void run_batch(TimePoint end);
  void play_ordered(std::uint64_t beats, TimePoint end);
  /// Requests that no user waits for, in the time until `end`, of `stable` ones that users asked
  /// the stable version meanwhile; how many. Adds those left to tasks to ordered_counts_.
  std::uint64_t play_beside(TimePoint end, std::uint64_t stable);
  std::uint64_t play_beside(std::uint64_t count, const Regime& regime, Aggregate* aggregate);
  std::uint64_t stable_requests() const;
  void report_crashes(std::size_t version);
  void end_period();

  const world::Spec& spec_;
  TimePoint start_, now_, limit_;
  ControlPlane* plane_ = nullptr;
  world::Recorder recorder_;
  world::ControllerLives lives_;
  world::RateCurve rate_;
  Random arrivals_, requests_, tasks_, health_, losses_, comparisons_, own_arrivals_, own_requests_,
      copies_;
  double beats_ = 0;  ///< of constant arrivals on a curve, whole ones have come
  bool health_matters_ = false;

  std::uint64_t seen_revision_ = 0;
  std::vector<std::uint32_t> seen_split_;  ///< RoutedRegime::split
  struct PendingRoutes {
    TimePoint at;
    traffic::Snapshot routes;
  };
  std::vector<PendingRoutes> pending_routes_;
  traffic::Snapshot live_routes_;
  std::vector<std::uint32_t> live_weights_, live_split_;
  bool by_marks_ = false;  ///< the weights in force do not say where all requests go
  bool sticky_ = false, seen_sticky_ = false;      ///< users keep the version they met
  std::vector<std::vector<std::size_t>> healthy_;  ///< tasks, as the gateway sees them, by version

  std::vector<Due> due_;  ///< faults, scaling, tasks to come up; sorted, done up to next_due_
  std::size_t next_due_ = 0;
  std::vector<std::vector<std::pair<std::size_t, world::Fault>>> active_;  ///< by version
  std::vector<std::pair<std::size_t, double>> throttles_;                  ///< by event, share
  std::vector<std::shared_ptr<const LatencyTable>> tables_;                ///< by version
  std::vector<std::shared_ptr<const LatencyTable>> tables_of_builds_;      ///< the same, for ever
  /// Which version's build a version's tasks run; another than its own after an image swap.
  struct Build {
    std::string asked, running;
    TimePoint up_at{};
  };
  std::vector<Build> builds_;                     ///< by version
  bool tables_changed_ = false;                   ///< since the regime was made
  std::vector<bool> ordered_;                     ///< by version
  std::vector<std::unique_ptr<TaskPool>> pools_;  ///< by version

  Regime regime_;
  // Beside the users' requests: the plan's own load, and copies of stable's requests.
  bool beside_ = false;    ///< the plan has either
  bool ended_ = false;     ///< the rollout is over
  bool own_load_ = false;  ///< its requests come
  double mirror_ = 0;      ///< share in force
  Regime own_regime_, mirror_regime_;
  std::unique_ptr<Aggregate> own_aggregate_, mirror_aggregate_;
  std::vector<SegmentRegime> played_;     ///< what tasks are asked: users' segments, own, copies
  std::uint64_t missed_ = 0;              ///< dropped, but by nobody missed
  std::unique_ptr<Affinity> affinity_;    ///< null: every request draws anew
  std::unique_ptr<Aggregate> aggregate_;  ///< null: requests are played one by one
  std::vector<Duration> limits_;          ///< latencies that somebody watches
  bool count_only_ = false;
  Ledger ledger_;
  OrderedCounts ordered_counts_;
  TimePoint period_begin_, period_end_;
  struct Unpublished {
    TimePoint at;
    PeriodMetrics metrics;
  };
  std::vector<Unpublished> unpublished_;
};

/// Plays the scenario in virtual time.
Result<world::Record> simulate(const world::Spec& spec, const world::RunOptions& options,
                               const ControlPlaneMaker& make_plane);

}  // namespace coalmine::engine
