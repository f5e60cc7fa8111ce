#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/rollout/analysis/evaluation.h"
#include "sim/rollout/analysis/mann_whitney.h"
#include "sim/rollout/analysis/spec.h"

namespace coalmine::rollout {

struct Judgement {
  double score = 0;  ///< 0 to 100
  std::vector<Classified> metrics;
};

/// Kayenta's score: per group 100 * Pass / (Pass + High + Low + NodataFailMetric), 100 for a group
/// in which nothing counts; summed by the groups' weights, those not listed sharing the rest of
/// 100. 0 if a critical metric is High or Low, or if half of the metrics or more have no data
/// (kayenta WeightedSumScorer.scala).
double kayenta_score(const JudgeTest& test, const std::vector<Classified>& metrics);

/// A judge over a rollout: collects one value per metric and window for each version, and scores
/// them at intervals. It follows the datapoints' own time.
class Judge {
 public:
  explicit Judge(const JudgeTest& test);

  void add(const Observation& seen, Scope scope);
  /// Fail: a score below `marginal`, or the last one below `pass`. Accept: the last one passed.
  Verdict verdict() const { return verdict_; }
  Evaluation evaluate() const;
  const std::optional<Judgement>& last() const { return last_; }

 private:
  struct Series {
    struct Point {
      TimePoint end;
      double value;
    };
    std::vector<Point> canary, stable;
    MetricsWindow open;
    bool is_open = false;
  };
  void add(const JudgedMetric& metric, Series& series, const MetricsWindow& window) const;
  void score(TimePoint now);

  JudgeTest test_;
  std::vector<Series> series_;  ///< one per metric
  std::optional<TimePoint> begin_;
  TimePoint next_score_{};
  std::optional<Judgement> last_;
  int scores_ = 0;
  bool final_ = false;
  Verdict verdict_ = Verdict::Continue;
};

}  // namespace coalmine::rollout
