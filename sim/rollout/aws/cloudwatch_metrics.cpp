#include "sim/rollout/aws/cloudwatch_metrics.h"

#include <algorithm>

#include "sim/aws/metric_names.h"

namespace coalmine::rollout {
namespace {

namespace names = aws::metrics;

aws::MetricQuery query(std::string_view metric_namespace, std::string_view metric,
                       names::Dimensions dimensions) {
  aws::MetricQuery q;
  q.metric_namespace = metric_namespace;
  q.metric = metric;
  q.dimensions = std::move(dimensions);
  return q;
}

TimePoint period_start(TimePoint t, Duration period) {
  return t - t.time_since_epoch() % period;
}

/// Query ids "s…", "c…" and "b…" for stable, canary and baseline: sr, se0, sl0, cr, …
void add_queries(std::vector<aws::MetricQuery>& out, char version, const VersionMetrics& metrics,
                 const std::vector<Duration>& limits, Duration period) {
  const auto add = [&](aws::MetricQuery q, std::string id) {
    q.id = version + std::move(id);
    q.period = period;
    out.push_back(std::move(q));
  };
  add(metrics.requests, "r");
  for (std::size_t i = 0; i < metrics.errors.size(); ++i) {
    add(metrics.errors[i], fmt::format("e{}", i));
  }
  for (std::size_t i = 0; i < limits.size(); ++i) {
    aws::MetricQuery slow = metrics.latency;
    slow.statistic = fmt::format("TC({}:)", to_seconds(limits[i]) * metrics.latency_units_per_s);
    add(std::move(slow), fmt::format("l{}", i));
  }
}

/// Ids "sg0r", "sg0e", "cg0r", …
void add_segment_queries(std::vector<aws::MetricQuery>& out, char version,
                         const VersionMetrics& metrics, const std::vector<std::string>& segments,
                         Duration period) {
  for (std::size_t i = 0; i < segments.size(); ++i) {
    for (const auto& [metric, suffix] :
         {std::pair{names::kSegmentRequests, 'r'}, std::pair{names::kSegmentErrors, 'e'}}) {
      aws::MetricQuery q =
          query(names::kSegmentNamespace, metric,
                names::segment_dimensions(metrics.requests.dimensions, segments[i]));
      q.id = fmt::format("{}g{}{}", version, i, suffix);
      q.period = period;
      out.push_back(std::move(q));
    }
  }
}

std::uint64_t at(const std::map<std::string, aws::MetricSeries>& series, const std::string& id,
                 TimePoint t) {
  const auto one = series.find(id);
  if (one == series.end()) return 0;
  const auto point = one->second.find(t);
  return point == one->second.end() || point->second <= 0
             ? 0
             : static_cast<std::uint64_t>(point->second + 0.5);
}

VersionCounts counts_at(const std::map<std::string, aws::MetricSeries>& series, char version,
                        const VersionMetrics& metrics, const std::vector<Duration>& limits,
                        TimePoint t) {
  const std::string v(1, version);
  VersionCounts counts;
  counts.requests = at(series, v + "r", t);
  for (std::size_t i = 0; i < metrics.errors.size(); ++i) {
    counts.errors += at(series, fmt::format("{}e{}", v, i), t);
  }
  counts.errors = std::min(counts.errors, counts.requests);
  for (std::size_t i = 0; i < limits.size(); ++i) {
    counts.slow.push_back({limits[i], at(series, fmt::format("{}l{}", v, i), t)});
  }
  return counts;
}

std::uint64_t grown(std::uint64_t now, std::uint64_t before) {
  return now > before ? now - before : 0;
}

/// What `now` has more than `before`; both become what has been counted.
VersionCounts growth(const VersionCounts& now, VersionCounts& before) {
  VersionCounts more{grown(now.requests, before.requests), grown(now.errors, before.errors), {}};
  for (const SlowCount& slow : now.slow) {
    more.slow.push_back({slow.over, grown(slow.count, before.slower_than(slow.over))});
  }
  before += more;
  return more;
}

bool is_nothing(const VersionCounts& counts) {
  return counts.requests == 0 && counts.errors == 0 &&
         std::all_of(counts.slow.begin(), counts.slow.end(),
                     [](const SlowCount& s) { return s.count == 0; });
}

/// A window or a segment.
template <typename Counts>
bool is_nothing(const Counts& counts) {
  return is_nothing(counts.stable) && is_nothing(counts.canary) && is_nothing(counts.baseline);
}

/// With the letter that begins the ids of a version's queries.
std::vector<std::pair<char, const VersionMetrics*>> versions_of(const PlanMetrics& metrics) {
  std::vector<std::pair<char, const VersionMetrics*>> list = {{'s', &metrics.stable},
                                                              {'c', &metrics.canary}};
  if (metrics.baseline) list.emplace_back('b', &*metrics.baseline);
  return list;
}

}  // namespace

VersionMetrics mesh_metrics(const std::string& mesh, const std::string& gateway,
                            const std::string& node) {
  VersionMetrics m;
  m.requests = query(names::kMeshNamespace, names::kMeshRequests,
                     names::mesh_dimensions(mesh, gateway, node));
  m.errors = {query(names::kMeshNamespace, names::kMeshRequestsByClass,
                    names::mesh_dimensions(mesh, gateway, node, "5"))};
  m.latency = query(names::kMeshNamespace, names::kMeshLatency,
                    names::mesh_dimensions(mesh, gateway, node));
  m.latency_units_per_s = 1000;
  return m;
}

VersionMetrics alb_metrics(const std::string& load_balancer_arn,
                           const std::string& target_group_arn) {
  const auto dimensions = names::alb_dimensions(names::dimension_of_arn(load_balancer_arn),
                                                names::dimension_of_arn(target_group_arn));
  VersionMetrics m;
  m.requests = query(names::kAlbNamespace, names::kAlbRequests, dimensions);
  m.errors = {query(names::kAlbNamespace, names::alb_target_code('5'), dimensions),
              query(names::kAlbNamespace, names::kAlbConnectionErrors, dimensions)};
  m.latency = query(names::kAlbNamespace, names::kAlbLatency, dimensions);
  return m;
}

PlanMetrics mesh_metrics(const std::string& mesh, const std::string& gateway,
                         const VersionNames& names) {
  PlanMetrics metrics{mesh_metrics(mesh, gateway, names.stable_target),
                      mesh_metrics(mesh, gateway, names.canary_target)};
  if (!names.baseline.empty()) {
    metrics.baseline = mesh_metrics(mesh, gateway, names.baseline_target);
  }
  return metrics;
}

PlanMetrics alb_metrics(const AlbArns& arns) {
  PlanMetrics metrics{alb_metrics(arns.load_balancer, arns.stable),
                      alb_metrics(arns.load_balancer, arns.canary)};
  if (!arns.baseline.empty()) metrics.baseline = alb_metrics(arns.load_balancer, arns.baseline);
  return metrics;
}

Result<CloudWatchMetrics::Series> CloudWatchMetrics::ask(const std::vector<Duration>& limits,
                                                         TimePoint first, TimePoint end) {
  std::vector<aws::MetricQuery> queries;
  for (const auto& [letter, version] : versions_of(*metrics_)) {
    add_queries(queries, letter, *version, limits, options_.period);
    add_segment_queries(queries, letter, *version, options_.segments, options_.period);
  }
  Series all;
  for (std::size_t i = 0; i < queries.size(); i += aws::kMaxMetricQueries) {
    const std::size_t n = std::min(queries.size() - i, aws::kMaxMetricQueries);
    const auto begin = queries.begin() + static_cast<std::ptrdiff_t>(i);
    TRY(Series some,
        aws::get_metric_data(client_, {begin, begin + static_cast<std::ptrdiff_t>(n)}, first, end));
    all.merge(some);
  }
  return all;
}

/// What the period has more than `before`, which becomes what has been counted.
MetricsWindow CloudWatchMetrics::window_at(TimePoint from, const Series& series,
                                           const std::vector<Duration>& limits,
                                           Counted& before) const {
  const auto growth_of = [&](char letter, const VersionMetrics& metrics, VersionCounts& counted) {
    return growth(counts_at(series, letter, metrics, limits, from), counted);
  };
  MetricsWindow window{from, from + options_.period,
                       growth_of('s', metrics_->stable, before.stable),
                       growth_of('c', metrics_->canary, before.canary)};
  if (metrics_->baseline) {
    window.baseline = growth_of('b', *metrics_->baseline, before.baseline);
  }
  before.segments.resize(options_.segments.size());
  for (std::size_t i = 0; i < options_.segments.size(); ++i) {
    const auto counts = [&](char version) {
      VersionCounts c{at(series, fmt::format("{}g{}r", version, i), from),
                      at(series, fmt::format("{}g{}e", version, i), from),
                      {}};
      c.errors = std::min(c.errors, c.requests);
      return c;
    };
    SegmentCounts segment{options_.segments[i], growth(counts('s'), before.segments[i].stable),
                          growth(counts('c'), before.segments[i].canary),
                          growth(counts('b'), before.segments[i].baseline)};
    if (is_nothing(segment)) continue;
    window.segments.push_back(std::move(segment));
  }
  return window;
}

Result<MetricsReading> CloudWatchMetrics::read(TimePoint since, const std::vector<Duration>& limits,
                                               TimePoint now) {
  if (!metrics_) {
    TRY(metrics_, find_());
  }
  const Duration period = options_.period;
  // Periods that begin before `since` and were not counted by us have traffic of before.
  TimePoint first = period_start(since + period - Duration{1}, period);
  if (!counted_.empty()) first = std::min(first, counted_.begin()->first);
  const TimePoint end = period_start(now - options_.delay, period);
  MetricsReading reading;
  reading.next = end + period + options_.delay;
  if (first >= end) return reading;

  TRY(const Series series, ask(limits, first, end));
  for (TimePoint from = first; from < end; from += period) {
    const bool late = counted_.contains(from);
    if (!late && from < since) continue;
    MetricsWindow window = window_at(from, series, limits, counted_[from]);
    if (late && is_nothing(window) && window.segments.empty()) continue;
    reading.windows.push_back(std::move(window));
  }
  while (counted_.size() > kLateDatapoints) counted_.erase(counted_.begin());
  return reading;
}

}  // namespace coalmine::rollout
