#include "sim/core/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace coalmine {

std::size_t Histogram::index(std::uint64_t us) {
  constexpr std::uint64_t kLinear = std::uint64_t{1} << kSubBucketBits;
  if (us < kLinear) return static_cast<std::size_t>(us);
  const int shift = std::bit_width(us) - 1 - kSubBucketBits;
  return static_cast<std::size_t>((static_cast<std::uint64_t>(shift) << kSubBucketBits) +
                                  (us >> shift));
}

std::uint64_t Histogram::upper_bound_us(std::size_t index) {
  constexpr std::size_t kLinear = std::size_t{1} << kSubBucketBits;
  if (index < 2 * kLinear) return index;
  const std::size_t shift = (index >> kSubBucketBits) - 1;
  const std::uint64_t mantissa = (index & (kLinear - 1)) + kLinear;
  return ((mantissa + 1) << shift) - 1;
}

void Histogram::add(Duration value, std::uint64_t count) {
  const std::int64_t raw = std::chrono::duration_cast<std::chrono::microseconds>(value).count();
  const std::uint64_t us = raw < 0 ? 0 : std::min(static_cast<std::uint64_t>(raw), kMaxValue);
  const std::size_t i = index(us);
  if (i >= buckets_.size()) buckets_.resize(i + 1);
  buckets_[i] += count;
  count_ += count;
  sum_us_ += us * count;
  max_us_ = std::max(max_us_, us);
}

void Histogram::merge(const Histogram& other) {
  if (other.buckets_.size() > buckets_.size()) buckets_.resize(other.buckets_.size());
  for (std::size_t i = 0; i < other.buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  sum_us_ += other.sum_us_;
  max_us_ = std::max(max_us_, other.max_us_);
}

Duration Histogram::quantile(double q) const {
  if (count_ == 0) return Duration{};
  const double wanted = std::ceil(std::clamp(q, 0.0, 1.0) * static_cast<double>(count_));
  const std::uint64_t rank = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(wanted));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    seen += buckets_[i];
    if (seen >= rank) return std::chrono::microseconds(std::min(upper_bound_us(i), max_us_));
  }
  return max();
}

std::uint64_t Histogram::count_above(Duration limit) const {
  const std::int64_t raw = std::chrono::duration_cast<std::chrono::microseconds>(limit).count();
  if (raw < 0) return count_;
  const std::size_t first = index(std::min(static_cast<std::uint64_t>(raw), kMaxValue)) + 1;
  std::uint64_t above = 0;
  for (std::size_t i = first; i < buckets_.size(); ++i) above += buckets_[i];
  return above;
}

std::vector<std::pair<std::uint64_t, std::uint64_t>> Histogram::filled() const {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> out;
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    if (buckets_[i] > 0) out.emplace_back(upper_bound_us(i), buckets_[i]);
  }
  return out;
}

}  // namespace coalmine
