#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "sim/core/random.h"
#include "sim/core/time.h"
#include "sim/engine/kernel.h"
#include "sim/engine/tasks.h"
#include "sim/traffic/faults/fault.h"

namespace coalmine::engine {

/// The running copies of one version, asked one request after the other: round robin over those
/// that are up, as Envoy and ALB do. Each works on up to `concurrency` requests at a time and
/// begins at most one per `spacing`; the others wait in its queue. What a request meets is
/// decided by faults::FaultState, as in the sample app.
class TaskPool {
 public:
  struct Limits {
    Duration spacing{};        ///< between two beginnings at one task; zero: none
    int concurrency = 0;       ///< zero: unlimited
    std::optional<int> queue;  ///< places to wait; none: unlimited
    Duration restart{};        ///< from a crash until the replacement takes requests
    Duration patience = world::kMeshRequestTimeout;  ///< the gateway's with a request
  };
  TaskPool(const Limits& limits, std::shared_ptr<const LatencyTable> latency, std::size_t tasks,
           TimePoint now);

  /// Every task begins anew with these faults, as the sample app does when it is told.
  void set_faults(std::vector<faults::Fault> faults, TimePoint now);
  /// The tasks that the gateway knows.
  void set_usable(std::vector<std::size_t> tasks);
  /// Adds tasks that are up from `now` on, or forgets the last ones (they finish their work).
  void resize(std::size_t tasks, TimePoint now);
  std::size_t size() const { return tasks_.size(); }
  /// How many of these tasks are up.
  int up(const std::vector<std::size_t>& tasks, TimePoint now) const;
  /// As many new tasks in the place of all, without faults at first; the old ones finish their
  /// work.
  void rebuild(const Limits& limits, std::shared_ptr<const LatencyTable> latency, TimePoint now);
  bool may_crash() const { return may_crash_; }

  /// One request of a segment that arrives at `now`; times must not fall. Attempts that are made
  /// again meet the tasks as they are at `now`, and add up in the request's latency; one that a
  /// crash cuts short while another request caused it is not made again.
  void serve(const faults::RequestFacts& request, std::size_t segment, TimePoint now,
             Random& random, Meter& meter, std::uint64_t& dropped, const Retrying& retrying = {});
  /// `counts[i]` requests of each segment at random moments of [begin, end).
  void play(const std::vector<SegmentRegime>& segments, std::vector<std::uint64_t> counts,
            TimePoint begin, TimePoint end, Random& random, Meter& meter, std::uint64_t& dropped);
  /// The same, but the moments are among `beats` equally distant ones.
  void play_evenly(const std::vector<SegmentRegime>& segments, std::vector<std::uint64_t> counts,
                   std::uint64_t beats, TimePoint begin, TimePoint end, Random& random,
                   Meter& meter, std::uint64_t& dropped);
  /// Counts what has ended by `t`.
  void finish(TimePoint t, Meter& meter);

  /// The answer to a health check.
  bool healthy(std::size_t task, TimePoint now, Random& random);

  struct Crash {
    std::size_t task = 0;
    TimePoint at, up_at;
  };
  /// Crashes since the last call, in order.
  std::vector<Crash> take_crashes() { return std::exchange(crashes_, {}); }

 private:
  struct InFlight {
    TimePoint end;
    world::Ending ending;
    Duration latency;
    std::size_t segment;
  };
  struct Task {
    faults::FaultState faults;
    TimePoint up_at;                  ///< takes requests from then on
    TimePoint next_begin;             ///< by `spacing`
    std::vector<TimePoint> slots;     ///< heap: when each place is free, the soonest first
    std::deque<TimePoint> waiting;    ///< when those in the queue begin
    std::vector<InFlight> in_flight;  ///< only where a crash could still change their end
  };
  Task make_task(TimePoint up_at) const;
  /// How one attempt ended, as its task decided when it began.
  struct Attempt {
    world::Ending ending = world::Ending::Ok;
    Duration latency{};
    int status = 0;
    std::optional<TimePoint> ends;  ///< a crash before that could still change the ending
  };
  Task* next_task(TimePoint now);
  Attempt attempt(Task& task, const faults::RequestFacts& request, TimePoint now, Duration spent,
                  Random& random, Meter& meter);
  void crash(Task& task, TimePoint at, Meter& meter);

  Limits limits_;
  std::shared_ptr<const LatencyTable> latency_;
  std::vector<faults::Fault> faults_;
  bool may_crash_ = false;
  std::vector<Task> tasks_;
  std::vector<std::size_t> usable_;
  std::size_t next_ = 0;
  std::vector<Crash> crashes_;
  std::vector<InFlight> leaving_;  ///< of tasks that are gone
  std::vector<double> moments_;
};

}  // namespace coalmine::engine
