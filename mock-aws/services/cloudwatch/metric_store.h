#pragma once

#include <cstdint>
#include <deque>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mock-aws/services/ports.h"
#include "sim/core/result.h"
#include "sim/core/time.h"

namespace coalmine::mock {

/// How long data is kept by the second and by the minute (CloudWatch: 3 hours below 60 s, 15 days
/// at 60 s; its coarser 63 and 455 days are not kept here). Older cells are dropped on writing.
inline constexpr Duration kSecondRetention = std::chrono::hours{3};
inline constexpr Duration kMinuteRetention = std::chrono::hours{24 * 15};
/// Distinct values that one cell keeps for percentiles; above, values within 1/128 of each other
/// are folded into one, so p99 stays within 1/128 of the truth.
inline constexpr std::size_t kMaxDistinctValues = 2048;
/// Distinct values that one metric keeps; above, the oldest cells lose theirs (not their sums).
inline constexpr std::size_t kMaxValuesPerMetric = 200'000;

using Dimensions = std::map<std::string, std::string>;

/// A metric is namespace + name + exact set of dimensions: nothing is rolled up.
struct MetricId {
  std::string metric_namespace;
  std::string name;
  Dimensions dimensions;
  auto operator<=>(const MetricId&) const = default;
};

/// Samples of one second or minute, or of a whole period after merging.
struct Cell {
  double count = 0, sum = 0, minimum = 0, maximum = 0;
  std::vector<std::pair<double, double>> values;  ///< (value, how often), rising by value
  bool values_known = true;  ///< false once a statistic set of several values came in
};

/// Sum, Average, Minimum, Maximum, SampleCount, a percentile or a trimmed count.
struct Statistic {
  enum class Kind { SampleCount, Average, Sum, Minimum, Maximum, Percentile, TrimmedCount };
  Kind kind = Kind::Sum;
  double percent = 0;  ///< Percentile: 0 to 100
  /// TrimmedCount: samples above `low` and up to `high`.
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  /// Whether it is made of the single values, not of their totals.
  bool needs_values() const { return kind == Kind::Percentile || kind == Kind::TrimmedCount; }
};
/// "Sum", "p99", "p99.9", "TC(0.25:)", "TC(0.25:1)". Of the trimmed statistics only counts between
/// values are known; trimmed means and bounds in percent are errors: not implemented.
Result<Statistic> parse_statistic(std::string_view text);

/// Statistic of the samples; nullopt when a percentile or trimmed count is asked of statistic sets
/// that hide it. A percentile is the smallest value that at least that share of the samples does
/// not exceed (nearest rank; CloudWatch's own formula is not published).
std::optional<double> value_of(const Cell& cell, const Statistic& statistic);

/// One period with data.
struct Bucket {
  TimePoint start;
  Cell cell;
};

/// Half-open [start, end), cut into periods counted from `start`.
struct Window {
  TimePoint start;
  TimePoint end;
  Duration period;
};

/// All metrics of an account and region. Memory is bounded per metric by the limits above.
class MetricStore {
 public:
  /// Adds one datum; the value arrays have equal length.
  void put(const std::string& metric_namespace, const MetricDatum& datum);
  /// Adds a statistic set; its samples are known only if it is one sample or all are equal.
  void put_statistics(const std::string& metric_namespace, const MetricDatum& datum,
                      const Cell& statistics);

  /// Periods with data, oldest first. Without `unit` all units are merged. With values of the
  /// cells only if `with_values` (percentiles need them).
  std::vector<Bucket> query(const MetricId& id, const Window& window, std::string_view unit,
                            bool with_values) const;
  /// The units that the metric was written with, in alphabetical order.
  std::vector<std::string> units(const MetricId& id) const;

  /// A metric and the time of its newest datum.
  struct Listed {
    const MetricId* id;
    TimePoint newest;
  };
  std::vector<Listed> list() const;
  std::size_t size() const { return metrics_.size(); }

 private:
  using Cells = std::deque<std::pair<std::int64_t, Cell>>;  // by second number, rising
  struct Track {
    Cells seconds, minutes;
    std::size_t stored_values = 0;
  };
  struct Metric {
    MetricId id;
    std::map<std::string, Track> by_unit;
    TimePoint newest{};
  };

  Track& track_for(const std::string& metric_namespace, const MetricDatum& datum);
  const Metric* find(const MetricId& id) const;
  static void add(Track& track, const MetricDatum& datum, const Cell& cell);

  std::map<std::string, Metric> metrics_;  // by key_of(): one comparison instead of one per part
};

}  // namespace coalmine::mock
