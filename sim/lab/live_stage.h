#pragma once

#include <atomic>
#include <map>
#include <optional>
#include <vector>

#include "sim/core/clock.h"
#include "sim/engine/world/controller_lives.h"
#include "sim/engine/world/recorder.h"
#include "sim/engine/world/world.h"
#include "sim/lab/lab_cloud.h"
#include "sim/lab/live_faults.h"

namespace coalmine::lab {

/// The rollout's clock in a live run: while the rollout sleeps, the scenario's
/// `when` happens, and what the tasks and the gateway do is noted. One thread.
class LiveStage : public Clock {
 public:
  /// Time begins now. All arguments must outlive the object.
  LiveStage(const world::Spec& spec, LabCloud& cloud, world::Recorder& recorder, double speed,
            const std::atomic<bool>* stop);

  TimePoint now() override { return cloud_.clock().now(); }
  /// Returns early at the scenario's limit and when the run is stopped.
  void sleep_until(TimePoint t) override;

  TimePoint start() const { return start_; }
  /// Whose sleep ends when the scenario kills the controller.
  world::ControllerLives& lives() { return lives_; }
  bool stopped() const { return stop_ != nullptr && stop_->load(); }
  /// Makes the platform as unwilling as the scenario says, from the beginning.
  Status begin();
  /// Stable's new tasks run the canary's build from now on, or their own again.
  void swap_build(bool to_canary);
  /// What happens goes on for so long, at most until the scenario's limit: the rollout has ended,
  /// and users come back.
  void drain(Duration length);
  /// Waits until the gateway has adopted the newest weights, for a limited time.
  void settle();

 private:
  struct Watched {
    std::map<std::string, std::string> addresses;  ///< of running tasks, by ARN
    std::size_t ends = 0;                          ///< that have been noted
  };
  void play_until(TimePoint t);
  TimePoint next_event() const;
  void happen();
  void begin_event(std::size_t index, TimePoint at);
  void end_event(std::size_t index, TimePoint at);
  std::vector<std::size_t> hit_by(const world::InjectFault& inject) const;
  void begin_fault(std::size_t index, const world::InjectFault& inject, TimePoint at);
  void set_foreign(const world::ForeignWeights& foreign, TimePoint at);
  void scale(const world::ScaleTasks& scale, TimePoint at);
  void arrive(const world::RevisionArrives& revision, TimePoint at);
  void throttle(const world::ThrottleApi& event, bool begins, TimePoint at);
  Status apply_throttles();
  void note_fault(TimePoint at, std::string name, const world::InjectFault& inject,
                  const Status& applied);
  Status tell(std::size_t version);
  void watch_tasks(TimePoint at);
  void watch_routes();

  const world::Spec& spec_;
  LabCloud& cloud_;
  world::Recorder& recorder_;
  const double speed_;
  const std::atomic<bool>* const stop_;
  const TimePoint start_;
  world::ControllerLives lives_;
  FaultBoard faults_;
  std::size_t next_begin_ = 0;
  std::multimap<TimePoint, std::size_t> ends_;
  std::vector<double> throttles_;  ///< shares in force, the platform's own among them
  std::vector<Watched> watched_;   ///< by version
  std::size_t noted_changes_ = 1;  ///< of the routes; the first table is no change
};

}  // namespace coalmine::lab
