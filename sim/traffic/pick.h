#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "sim/traffic/route_table.h"

namespace coalmine::traffic {

/// Sum of the weights; each request draws below it.
std::uint64_t total_weight(std::span<const Target> targets);

/// Index of the target that draw `u` falls on; target i has probability weight(i) / total.
/// `u` must lie in [0, total weight). A linear scan: a route has at most 10 targets.
std::size_t pick(std::span<const Target> targets, std::uint64_t u);

/// A 64-bit random draw mapped onto [0, bound): the high half of the product, whose bias is
/// below bound / 2^64 (Lemire 2019 without the rejection).
inline std::uint64_t scale_draw(std::uint64_t draw, std::uint64_t bound) {
  __extension__ using Wide = unsigned __int128;
  return static_cast<std::uint64_t>((static_cast<Wide>(draw) * bound) >> 64);
}

inline constexpr std::uint64_t kMaxExactTable = 65536;  ///< longer periods are stepped

/// Balanced selection: the chairman assignment of Tijdeman (1980), by which after n picks target
/// i was taken n * share(i) times, give or take less than one (1 - 1/(2k-2) for k targets with a
/// weight). For two targets every window of n picks holds floor or ceiling of n * share; for
/// more, every window is within 2 - 1/(k-1). Every `period` picks are exact.
///
/// The lag of target i is picks due minus picks made. A changed set of weights starts from the
/// lags of the old one, or a canary whose weight is touched often would never get its turn.
class ExactOrder {
 public:
  struct Lag {
    std::string name;
    double requests = 0;
  };

  explicit ExactOrder(std::span<const Target> targets, std::span<const Lag> carried = {});

  /// The next target's index. Callable from many threads: one counter for all keeps the bounds.
  std::size_t next();
  /// Where the order stands now.
  std::vector<Lag> lags() const;
  bool same_targets(std::span<const Target> targets) const;
  std::uint64_t period() const { return period_; }

 private:
  struct Share {
    std::string name;
    std::uint64_t weight = 0;  ///< as configured
    std::uint64_t part = 0;    ///< weight / gcd; the parts sum to period_
    std::size_t index = 0;     ///< among the route's targets
    std::int64_t lag = 0;      ///< scaled by period_ * scale_; of the step rule
  };
  std::size_t step();
  void choose_phase(std::span<const Lag> carried);
  void start_lags(std::span<const Lag> carried);
  static double carried_lag(std::span<const Lag> carried, const std::string& name);

  std::vector<Share> shares_;  ///< of the targets with weight > 0
  std::vector<std::pair<std::string, std::uint64_t>> all_;
  std::uint64_t period_ = 1;
  std::int64_t scale_ = 1;  ///< 2k - 2
  std::vector<std::uint8_t> table_;
  std::uint64_t phase_ = 0;
  std::atomic<std::uint64_t> count_{0};
  mutable std::mutex mutex_;  ///< of the step rule, for periods beyond the table
};

}  // namespace coalmine::traffic
