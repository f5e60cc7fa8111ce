#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "sim/core/histogram.h"
#include "sim/core/random.h"
#include "sim/engine/kernel.h"
#include "sim/engine/latency_classes.h"

namespace coalmine::engine {

/// Plays the stretches of a regime by counts: requests are thinned to segments, targets, endings
/// and latency classes by binomial draws, exactly as if each had drawn for itself. The cost is
/// that of a few dozen draws, whatever the rate. Only for regimes without ordered versions.
class Aggregate {
 public:
  /// `limits`: of the latencies that somebody watches. `previous`, the one for the regime before
  /// with the same limits, lends what has not changed. `regime` must outlive the object, the one of
  /// `previous` need not be what it was.
  Aggregate(const Regime& regime, const std::vector<Duration>& limits,
            const Aggregate* previous = nullptr);

  /// Latencies go into the meters as one value per class.
  void generate(std::uint64_t count, Random& random, std::vector<Meter>& meters,
                std::uint64_t& dropped);
  /// The regime is over: adds its latencies, as they lie within the classes, to each version's.
  void settle(Random& random, std::vector<Histogram>& latency);

 private:
  struct Cell {
    std::size_t version = 0;
    std::vector<Behaviour::Delay> delays;
    std::shared_ptr<const LatencyClasses> classes;  ///< null: the target is not up
    std::vector<std::uint64_t> counts;              ///< answered requests by class, so far
    std::uint64_t late = 0;                         ///< those that the gateway gave up on
    Histogram retried;                              ///< of requests that took several attempts
  };
  void serve(std::size_t segment, std::size_t target, std::uint64_t n, Random& random,
             Meter& meter);
  world::Ending try_again(std::size_t segment, std::size_t target, const Behaviour::Failure& first,
                          Random& random, Meter& meter);

  std::shared_ptr<const LatencyClasses> find_classes(const Cell& like) const;

  const Regime& regime_;
  std::vector<std::vector<Cell>> cells_;  ///< by segment and target
  std::vector<std::uint64_t> fresh_;
};

}  // namespace coalmine::engine
