// When a change of routes reaches the gateways: not at once, as on AWS.
#pragma once

#include <deque>

#include "sim/core/time.h"
#include "sim/traffic/route_table.h"

namespace coalmine::mock {

/// What one gateway sees of the control plane's tables. Changes of routes and weights take effect
/// `delay` after they were made; where the tasks are it learns at once, so that none is asked
/// that has gone. Pure: the caller brings tables and time, which never falls.
class Propagation {
 public:
  explicit Propagation(Duration delay) : delay_(delay) {}

  /// The control plane's table from `now` on. The first one is in force immediately.
  void observe(traffic::RouteTable table, TimePoint now);
  /// The table in force, null before the first. Its version is +1 per change of what is in force.
  traffic::Snapshot visible(TimePoint now);
  /// When visible() will be another one; kNever: nothing is on its way.
  TimePoint next() const { return pending_.empty() ? kNever : pending_.front().at; }

 private:
  struct Pending {
    TimePoint at;
    traffic::RouteTable table;
  };
  void put_in_force(traffic::RouteTable table);

  Duration delay_;
  std::uint64_t version_ = 0;
  traffic::Snapshot visible_;
  std::deque<Pending> pending_;
};

}  // namespace coalmine::mock
