#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "sim/core/time.h"

namespace coalmine {

/// Log-linear histogram of durations in microseconds: every power of two is cut into 128 equal
/// buckets, so a quantile is at most 1/128 (0.8%) above the true value. 0 to 2^40 us (12 days);
/// longer ones count as the longest. Adding costs a few instructions and no allocation once the
/// magnitude has been seen.
class Histogram {
 public:
  static constexpr int kSubBucketBits = 7;
  static constexpr std::uint64_t kMaxValue = (std::uint64_t{1} << 40) - 1;

  void add(Duration value, std::uint64_t count = 1);
  void merge(const Histogram& other);
  void clear() { *this = Histogram{}; }

  std::uint64_t count() const { return count_; }
  /// Sum of the values, for means; exact to the microsecond.
  Duration sum() const { return std::chrono::microseconds(sum_us_); }
  Duration mean() const {
    return count_ == 0 ? Duration{} : sum() / static_cast<std::int64_t>(count_);
  }
  Duration max() const { return std::chrono::microseconds(max_us_); }
  /// The smallest bucket bound below or at which a share `q` (0 to 1) of the values lies; zero
  /// when empty, never above max().
  Duration quantile(double q) const;
  /// How many values lie above `limit`, to the histogram's resolution.
  std::uint64_t count_above(Duration limit) const;

  /// The buckets that hold anything: upper bound in microseconds and count, ascending.
  std::vector<std::pair<std::uint64_t, std::uint64_t>> filled() const;

  bool operator==(const Histogram&) const = default;

 private:
  static std::size_t index(std::uint64_t us);
  static std::uint64_t upper_bound_us(std::size_t index);

  std::vector<std::uint64_t> buckets_;
  std::uint64_t count_ = 0;
  std::uint64_t sum_us_ = 0;
  std::uint64_t max_us_ = 0;
};

}  // namespace coalmine
