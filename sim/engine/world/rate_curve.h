#pragma once

#include "sim/core/time.h"
#include "sim/engine/world/world.h"

namespace coalmine::world {

/// How many requests a second come when: constant between steps. A day's curve is cut into
/// minutes, each with the rate of its middle.
class RateCurve {
 public:
  /// `traffic` must outlive the object.
  explicit RateCurve(const Traffic& traffic) : traffic_(traffic) {}

  /// Per second, at `t` after the start.
  double rate_at(Duration t) const;
  /// The next step behind `t`; kForever: none.
  Duration next_step(Duration t) const;
  /// Mean number of requests in [begin, end).
  double expected(Duration begin, Duration end) const;
  bool is_flat() const { return !traffic_.diurnal && traffic_.trace.empty(); }

 private:
  const Traffic& traffic_;
};

/// cos(2 pi x), from + - * / alone; within 1e-12.
double cosine_of_turns(double x);

}  // namespace coalmine::world
