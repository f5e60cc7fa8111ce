#pragma once

#include <cstdint>
#include <vector>

#include "sim/core/histogram.h"
#include "sim/core/random.h"
#include "sim/core/time.h"
#include "sim/engine/behaviour.h"
#include "sim/engine/latency_table.h"

namespace coalmine::engine {

/// A latency distribution over the buckets of a Histogram: what counting needs of it.
///
/// Per interval only the classes between the limits that somebody watches are drawn; how the
/// requests of a class lie over its buckets is drawn once, when all are known. Both together are
/// the same multinomial draw as one over all buckets.
class LatencyClasses {
 public:
  /// Time to answer and what `delays` add. `limits`: rising; class i lies above limit i - 1 and up
  /// to limit i, by whole buckets as Histogram::count_above() has them. `timeout`: the gateway's
  /// patience.
  LatencyClasses(const LatencyTable& table, const std::vector<Behaviour::Delay>& delays,
                 const std::vector<Duration>& limits, Duration timeout);

  /// Chance that the gateway's patience ends first.
  double timeout_share() const { return timeout_share_; }
  std::size_t size() const { return classes_.size(); }
  /// How many of `n` answered requests fall into each class, added to `counts`.
  void draw(std::uint64_t n, Random& random, std::vector<std::uint64_t>& counts) const;
  /// A latency that stands for the class.
  Duration typical(std::size_t index) const { return classes_[index].typical; }
  /// Adds so many requests of every class to the histogram, bucket by bucket.
  void fill(const std::vector<std::uint64_t>& counts, Random& random, Histogram& histogram) const;

 private:
  struct Bucket {
    Duration value{};
    double p = 0;
  };
  struct Class {
    double p = 0;
    Duration typical{};
    std::vector<Bucket> buckets;
  };
  std::vector<Class> classes_;
  double timeout_share_ = 0;
};

/// Number of the histogram's bucket that holds the value.
std::size_t bucket_of(Duration value);

}  // namespace coalmine::engine
