#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sim/study/statistics.h"
#include "sim/study/study.h"

namespace coalmine::study {

/// How the runs of one kind ended and what they cost.
struct Figures {
  std::uint64_t runs = 0;
  std::vector<std::pair<world::Outcome, std::uint64_t>> outcomes;  ///< all, in declared order
  /// By the name that reports use, in the order they are read in: "canary_requests", …,
  /// "time_to_detect_s". Times are over the runs that have them.
  std::vector<std::pair<std::string, Summary>> metrics;
  /// The canary's requests, failed requests and distinct users in each segment that the scenario
  /// names.
  struct Segment {
    std::string name;
    Summary requests, failed, users;
  };
  std::vector<Segment> segments;
  const Summary* find(std::string_view name) const;
  std::uint64_t count(world::Outcome outcome) const;
};

/// Canary requests of the runs in which an analysis decided, means; they add up.
struct BlastBudget {
  std::uint64_t runs = 0;
  double test = 0, metrics = 0, route = 0;
  double total() const { return test + metrics + route; }
};

struct CheckRate {
  std::string name;
  Proportion passed;
};

/// Everything that is reported about a trial.
struct Evaluation {
  TrialFacts facts;
  int seeds = 0;
  Figures written;
  std::optional<Figures> healthy;  ///< of the twin; absent when the canary is healthy anyway
  /// Healthy rollouts that an analysis stopped.
  Proportion false_rollback;
  /// Rollouts with a fault that was not stopped; absent without fault.
  std::optional<Proportion> missed_fault;
  BlastBudget budget;
  std::vector<CheckRate> checks;
};

/// `result` must be whole: all shards merged.
Evaluation evaluate(const TrialResult& result, int seeds);
std::vector<Evaluation> evaluate(const StudyResult& result);

}  // namespace coalmine::study
