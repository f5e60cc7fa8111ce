#pragma once

#include <map>
#include <string>
#include <vector>

#include "sim/aws/client.h"
#include "sim/core/time.h"

namespace coalmine::aws {

inline constexpr std::size_t kMaxMetricQueries = 500;  ///< of one GetMetricData call

struct MetricQuery {
  std::string id;  ///< begins with a lower-case letter
  std::string metric_namespace, metric;
  std::map<std::string, std::string> dimensions;  ///< the exact set: CloudWatch rolls nothing up
  std::string statistic = "Sum";
  Duration period = std::chrono::seconds{60};
};

/// Datapoint values by the start of their period.
using MetricSeries = std::map<TimePoint, double>;

/// GetMetricData over [start, end), all pages; one series per query id, empty when CloudWatch
/// has no datapoint (a count that was 0 has none).
Result<std::map<std::string, MetricSeries>> get_metric_data(Client& client,
                                                            const std::vector<MetricQuery>& queries,
                                                            TimePoint start, TimePoint end);

}  // namespace coalmine::aws
