#pragma once

#include <array>
#include <cstdint>

#include "sim/core/time.h"

namespace coalmine::rollout {

/// Evidence when failures come in bursts: one vote per stretch of time, however many requests
/// failed in it.
///
/// Ten errors of one burst are one piece of news, not ten. Here a whole stretch of time gives one
/// number x in [0, 1] (the canary's part of its errors, or its bad share) whose mean is at most mu
/// if the canary is healthy, no matter how the requests of the stretch hang together. A bet
///   factor *= 1 - lambda + lambda * x / mu
/// then has expectation at most 1, and no stretch can multiply by more than 1/mu (betting on
/// bounded means: Waudby-Smith & Ramdas, arXiv 2010.09686). lambda is mixed over 1/2, 1/4, …,
/// 1/256 in equal parts. The price is speed: errors within a stretch add up only through x.
class BurstBet {
 public:
  void add(double x, double mu);
  /// The mixture; 1 before the first vote.
  double factor() const;
  int votes() const { return votes_; }
  void reset() { *this = BurstBet{}; }

 private:
  static constexpr std::size_t kLambdas = 8;
  std::array<double, kLambdas> factors_{1, 1, 1, 1, 1, 1, 1, 1};
  int votes_ = 0;
};

/// Joins datapoints until they are as long as a burst.
class BurstWindow {
 public:
  explicit BurstWindow(Duration length) : length_(length) {}
  /// Counts; true when the stretch is full: then read part() and whole(), and it begins anew.
  bool add(TimePoint from, TimePoint to, std::uint64_t part, std::uint64_t whole);
  std::uint64_t part() const { return full_part_; }
  std::uint64_t whole() const { return full_whole_; }
  /// Drops an unfinished stretch: its requests had another share.
  void cut() { open_ = false; }

 private:
  Duration length_;
  bool open_ = false;
  TimePoint begin_{};
  std::uint64_t part_ = 0, whole_ = 0, full_part_ = 0, full_whole_ = 0;
};

}  // namespace coalmine::rollout
