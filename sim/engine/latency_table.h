#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "sim/core/random.h"
#include "sim/core/time.h"
#include "sim/engine/world/world.h"

namespace coalmine::engine {

/// A latency distribution cut into 4096 equally likely parts, each standing for its middle; the
/// last part (the slowest 1/4096) is drawn exactly when it is hit. So a request costs a table
/// index instead of a logarithm, and quantiles up to p99.97 are those of the distribution to
/// within 1/8192.
class LatencyTable {
 public:
  static constexpr unsigned kBits = 12;
  static constexpr std::size_t kSize = std::size_t{1} << kBits;
  static constexpr std::size_t kTail = kSize - 1;

  explicit LatencyTable(const world::Latency& latency);
  /// Any distribution, by the value that a share p in (0, 1) of the requests does not exceed.
  explicit LatencyTable(std::function<Duration(double p)> quantile);

  /// Whether both stand for the same distribution.
  bool same_as(const LatencyTable& other) const {
    return this == &other || (!quantile_ && !other.quantile_ && latency_ == other.latency_);
  }
  Duration at(std::size_t index) const { return values_[index]; }
  /// A value of the last part.
  Duration tail(Random& random) const;
  /// The distribution as values with their probabilities; the last part is cut in 64 once more.
  void spread(const std::function<void(Duration value, double p)>& emit) const;
  /// Any value, by 12 bits and, in the tail, more of the stream.
  Duration sample(std::uint64_t bits, Random& random) const {
    const std::size_t index = bits & kTail;
    return index == kTail ? tail(random) : values_[index];
  }

 private:
  world::Latency latency_;
  double mu_ = 0, sigma_ = 0;
  std::function<Duration(double p)> quantile_;
  std::vector<Duration> values_;
};

/// z with P(Z <= z) = p for a standard normal Z; 0 < p < 1.
double normal_quantile(double p);

}  // namespace coalmine::engine
