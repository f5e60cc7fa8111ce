#pragma once

#include <cstdint>
#include <vector>

#include "sim/rollout/analysis/confidence.h"
#include "sim/rollout/analysis/evaluation.h"
#include "sim/rollout/analysis/spec.h"
#include "sim/rollout/analysis/wealth.h"

namespace coalmine::rollout {

/// Requests of both versions above each limit of latency_grid(), since a step began.
class GridCounts {
 public:
  GridCounts();
  void add(const MetricsWindow& window);
  void clear();
  std::uint64_t stable() const { return stable_.requests; }
  std::uint64_t canary() const { return canary_.requests; }
  const VersionCounts& stable_counts() const { return stable_; }
  const VersionCounts& canary_counts() const { return canary_; }

 private:
  static void add(VersionCounts& sum, const VersionCounts& more);
  VersionCounts stable_, canary_;  ///< slow: exactly the grid
};

/// The canary's latency quantile is at most (1 + tolerance) times stable's.
///
/// If so, then at stable's quantile v at most a share 1 - q of canary requests is slower, and at
/// most a share q of stable's is faster. Two mixtures (mixture_evidence) bet against that; their
/// product is an e-process at the true v. v is unknown, so the smallest product over all v is
/// taken (Howard & Ramdas, arXiv 1906.09512, section 5.2, one-sided), and v is only known to its
/// cell of the grid, so the least favourable counts of each cell are. One bet per weight step,
/// carried over as Wealth says: within a step both versions see the same mix of times of day.
class QuantileCompare {
 public:
  explicit QuantileCompare(const QuantileTest& test);

  void add(const Observation& seen, Scope scope);
  void next_step();
  double evidence() const { return wealth_.with(factor_); }
  Verdict verdict() const {
    return evidence() >= 1 / test_.alpha ? Verdict::Fail : Verdict::Continue;
  }
  Evaluation evaluate() const;

 private:
  double cell_evidence(std::size_t cell) const;
  double least_evidence();
  void begin_bet();

  QuantileTest test_;
  BetaPrior slow_prior_, fast_prior_;
  std::size_t shift_ = 0;    ///< cells of tolerance
  std::size_t weakest_ = 0;  ///< the cell with the least evidence when last looked for
  GridCounts counts_;        ///< since the running bet began
  GridCounts step_;          ///< since the step began, for people
  Wealth wealth_;
  double factor_ = 1;
};

/// Canary and stable have the same latency distribution (Either), or the canary's is nowhere
/// slower (Up): the largest difference of the two distribution functions against the sum of two
/// time-uniform bands (Lindon, Sanden & Shirikian, KDD 2022, arXiv 2205.14762). Each band gets half
/// of alpha; the i-th weight step gets 1/(i(i+1)) of it, which sums to 1.
class DistributionCompare {
 public:
  explicit DistributionCompare(const DistributionTest& test);

  void add(const Observation& seen, Scope scope);
  void next_step();
  Verdict verdict() const { return difference_ > needs_ ? Verdict::Fail : Verdict::Continue; }
  Evaluation evaluate() const;

  /// Requests of a version below which its band is infinitely wide.
  static constexpr double kFewest = 50;

 private:
  void begin_step();

  DistributionTest test_;
  int step_ = 0;
  double constant_ = 0;
  GridCounts counts_;
  double difference_ = 0, needs_ = 1;
  Duration where_{};
};

}  // namespace coalmine::rollout
