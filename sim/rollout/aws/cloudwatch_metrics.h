#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "sim/aws/cloudwatch.h"
#include "sim/rollout/aws/alb_traffic.h"
#include "sim/rollout/driver.h"

namespace coalmine::rollout {

/// Which metrics say what about one version; all statistics are Sum.
struct VersionMetrics {
  aws::MetricQuery requests;  ///< its dimensions are those of the version's segments, too
  std::vector<aws::MetricQuery> errors;  ///< summed
  aws::MetricQuery latency;              ///< counted above limits by trimmed counts, TC(x:)
  double latency_units_per_s = 1;        ///< 1000 when it is in milliseconds
};

/// Envoy's statistics of a virtual node behind a gateway; 5xx are errors.
VersionMetrics mesh_metrics(const std::string& mesh, const std::string& gateway,
                            const std::string& node);
/// ALB's metrics of a target group; 5xx of targets and connections that were not established are
/// errors. What the load balancer answers itself when a target breaks a connection or stays silent
/// (502, 504) is in no metric of a target group. RequestCount less all HTTPCode_Target_*_Count
/// would hint at it, but also holds requests under way and clients who left: it is not read.
VersionMetrics alb_metrics(const std::string& load_balancer_arn,
                           const std::string& target_group_arn);

/// Of all versions of a plan; a baseline if it has experiments.
struct PlanMetrics {
  VersionMetrics stable, canary;
  std::optional<VersionMetrics> baseline = {};
};

PlanMetrics mesh_metrics(const std::string& mesh, const std::string& gateway,
                         const VersionNames& names);
PlanMetrics alb_metrics(const AlbArns& arns);

struct CloudWatchOptions {
  Duration period = std::chrono::seconds{60};  ///< of a datapoint: 1, 5, 10, 30 s or minutes
  /// After its end a datapoint is waited for so long; what comes later still is counted when it
  /// is seen, up to kLateDatapoints periods back.
  Duration delay = std::chrono::seconds{30};
  /// Segments of the traffic to read as well, from the metrics that metric_names.h describes. By
  /// name, each once: segments_of(plan.analyses).
  std::vector<std::string> segments = {};
};
inline constexpr int kLateDatapoints = 5;

/// Reads the versions by GetMetricData, up to kMaxMetricQueries metrics a call. Every request is
/// counted once: datapoints are kept by the start of their period, and only what they grew by is
/// reported again.
class CloudWatchMetrics : public MetricsSource {
 public:
  /// `metrics` gives the versions' metrics when they are first needed.
  using Metrics = std::function<Result<PlanMetrics>()>;
  CloudWatchMetrics(aws::Client& client, Metrics metrics, CloudWatchOptions options)
      : client_(client), find_(std::move(metrics)), options_(options) {}

  Result<MetricsReading> read(TimePoint since, const std::vector<Duration>& limits,
                              TimePoint now) override;

 private:
  struct Counted {
    VersionCounts stable, canary, baseline;
    std::vector<SegmentCounts> segments;  ///< as in CloudWatchOptions
  };
  using Series = std::map<std::string, aws::MetricSeries>;
  Result<Series> ask(const std::vector<Duration>& limits, TimePoint first, TimePoint end);
  MetricsWindow window_at(TimePoint from, const Series& series, const std::vector<Duration>& limits,
                          Counted& before) const;

  aws::Client& client_;
  Metrics find_;
  CloudWatchOptions options_;
  std::optional<PlanMetrics> metrics_;
  std::map<TimePoint, Counted> counted_;  ///< by period start, the latest ones
};

}  // namespace coalmine::rollout
