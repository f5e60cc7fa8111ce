#pragma once

#include <cstdint>
#include <deque>

#include "sim/rollout/analysis/evaluation.h"
#include "sim/rollout/analysis/spec.h"

namespace coalmine::rollout {

/// Counts breaches of a limit: so many in a row, in all, or of the last so many.
class BreachCount {
 public:
  explicit BreachCount(const Threshold& test)
      : consecutive_(test.consecutive), cumulative_(test.cumulative), of_last_(test.of_last) {}

  void add(bool breach);
  /// Breaches seen at the old weight no longer count, unless all of the rollout's do.
  void next_step();

  bool reached() const { return breaches() >= needs(); }
  int breaches() const { return breaches_; }
  int needs() const { return cumulative_.value_or(consecutive_); }
  /// "2 of 3 breaches in a row", "… in all", "2 of 3 breaches in the last 5"
  std::string text() const;

 private:
  int consecutive_;
  std::optional<int> cumulative_, of_last_;
  int breaches_ = 0;
  std::deque<bool> last_;
};

/// A plain limit on the share of bad requests per window: `limit` is the largest share allowed.
/// Windows are joined until they hold `min_requests`. No promise about false alarms: that is what
/// the sequential tests are for.
class ShareLimit {
 public:
  explicit ShareLimit(const Threshold& test);

  void add(const Observation& seen, Scope scope);
  void next_step();
  Verdict verdict() const { return count_.reached() ? Verdict::Fail : Verdict::Continue; }
  Evaluation evaluate() const;

  const BreachCount& count() const { return count_; }
  std::uint64_t requests() const { return judged_.requests; }  ///< in the last judged window

 private:
  struct Counts {
    std::uint64_t bad_errors = 0, bad_latency = 0, requests = 0;
    std::uint64_t stable_errors = 0, stable_requests = 0;
  };
  /// The limit that the judged window breaches worst, with its words.
  struct Finding {
    bool breach = false;
    double value = 0, limit = 0;
    std::string text;
  };
  Finding judge(const Counts& counts) const;

  Threshold test_;
  BreachCount count_;
  Counts open_, judged_;
};

}  // namespace coalmine::rollout
