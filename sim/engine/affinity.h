#pragma once

#include <cstdint>
#include <vector>

#include "sim/core/random.h"
#include "sim/core/time.h"
#include "sim/engine/kernel.h"
#include "sim/engine/users.h"

namespace coalmine::engine {

/// Users whose version is remembered take 16 bytes each, and a bit for each segment.
inline constexpr std::uint64_t kMaxStickyUsers = 5'000'000;

/// Session affinity as a load balancer has it: the target group's cookie (AWSALBTG). A user's first
/// request goes by the weights; until the cookie expires, counted from that request, all others go
/// to the same version, whatever its weight is by then, 0 too. A version that the route no longer
/// names is picked anew. Requests are played one by one: what a user meets hangs on what he met.
class Affinity {
 public:
  /// `segments`: of the regimes, those that are counted by themselves.
  Affinity(std::uint64_t users, std::size_t canary, std::size_t segments, Random random);

  /// Models `count` requests at even distances in [begin, end); else as the kernel's generate().
  void generate(const Regime& regime, std::uint64_t count, TimePoint begin, TimePoint end,
                Random& random, std::vector<Meter>& meters, std::uint64_t& dropped,
                OrderedCounts& ordered);
  /// Exactly who has met the canary.
  const UsersMet& met_canary() const { return met_; }

 private:
  struct Kept {
    TimePoint until{};
    std::uint32_t version = 0;
    bool met_canary = false;
  };
  std::size_t choose(const SegmentRegime& segment, Kept& kept, TimePoint now,
                     std::uint64_t draw) const;
  void meet(std::size_t user, std::size_t segment);

  std::vector<Kept> kept_;                    ///< by user
  std::vector<std::vector<bool>> met_there_;  ///< by segment and user
  std::size_t canary_;
  Random random_;
  UsersMet met_;
};

}  // namespace coalmine::engine
