#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <optional>
#include <vector>

#include "sim/core/time.h"

namespace coalmine::sample {

/// How much one task can serve. Nothing set: everything at once.
struct ServiceLimits {
  Duration spacing{};        ///< between two beginnings, 1 / capacity; zero: none
  int concurrency = 0;       ///< requests that it works on at a time; zero: any number
  std::optional<int> queue;  ///< that may wait, more are refused; none: any number
  /// Who would wait longer has left before its turn comes: the gateway's timeout.
  Duration patience = std::chrono::seconds{15};
};

/// Requests that wait for their turn, in order of arrival, by the same rule as the virtual
/// world's tasks: a version that is too small is too small in both. A value, pure.
class ServiceQueue {
 public:
  ServiceQueue() = default;
  explicit ServiceQueue(const ServiceLimits& limits)
      : limits_(limits), slots_(static_cast<std::size_t>(limits.concurrency)) {}

  /// How long a request that comes at `now` waits; nullopt: the queue is full. Whoever waits no
  /// longer than the patience has to be told of by begin().
  std::optional<Duration> wait(TimePoint now) {
    TimePoint turn = std::max(now, next_begin_);
    if (!slots_.empty()) turn = std::max(turn, slots_.front());
    if (limits_.queue && turn - now <= limits_.patience) {
      while (!waiting_.empty() && waiting_.front() <= now) waiting_.pop_front();
      if (turn > now && waiting_.size() >= static_cast<std::size_t>(*limits_.queue)) {
        return std::nullopt;
      }
    }
    return turn - now;
  }

  /// That request begins at `turn` and is worked on for `busy`.
  void begin(TimePoint now, TimePoint turn, Duration busy) {
    if (turn - now > limits_.patience) return;
    if (limits_.queue && turn > now) waiting_.push_back(turn);
    if (limits_.spacing > Duration{}) next_begin_ = turn + limits_.spacing;
    if (slots_.empty()) return;
    std::pop_heap(slots_.begin(), slots_.end(), std::greater<>{});
    slots_.back() = turn + busy;
    std::push_heap(slots_.begin(), slots_.end(), std::greater<>{});
  }

  const ServiceLimits& limits() const { return limits_; }

 private:
  ServiceLimits limits_;
  TimePoint next_begin_{};
  std::vector<TimePoint> slots_;   ///< heap: when each place is free, the soonest first
  std::deque<TimePoint> waiting_;  ///< when those in the queue begin
};

}  // namespace coalmine::sample
