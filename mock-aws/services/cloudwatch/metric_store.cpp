#include "mock-aws/services/cloudwatch/metric_store.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "sim/core/check.h"

namespace coalmine::mock {
namespace {

std::int64_t second_of(TimePoint t) {
  return std::chrono::floor<std::chrono::seconds>(t.time_since_epoch()).count();
}

std::string key_of(const std::string& metric_namespace, const std::string& name,
                   const Dimensions& dimensions) {
  std::string key;
  key.reserve(64);
  key.append(metric_namespace).push_back('\0');
  key.append(name).push_back('\0');
  for (const auto& [dimension, value] : dimensions) {
    key.append(dimension).push_back('\0');
    key.append(value).push_back('\0');
  }
  return key;
}

/// `value` on a grid of 128 steps per power of two.
double on_grid(double value) {
  int exponent = 0;
  const double mantissa = std::frexp(value, &exponent);
  return std::ldexp(std::round(mantissa * 256), exponent - 8);
}

void fold(std::vector<std::pair<double, double>>& values) {
  std::vector<std::pair<double, double>> folded;
  for (const auto& [value, count] : values) {
    const double rounded = on_grid(value);
    if (!folded.empty() && folded.back().first == rounded) {
      folded.back().second += count;
    } else {
      folded.emplace_back(rounded, count);
    }
  }
  values = std::move(folded);
}

void add_value(Cell& cell, double value, double count) {
  auto& values = cell.values;
  const auto at = std::lower_bound(values.begin(), values.end(), value,
                                   [](const auto& entry, double v) { return entry.first < v; });
  if (at != values.end() && at->first == value) {
    at->second += count;
  } else {
    values.insert(at, {value, count});
    if (values.size() > kMaxDistinctValues) fold(values);
  }
}

void add_totals(Cell& cell, const Cell& more) {
  cell.minimum = cell.count > 0 ? std::min(cell.minimum, more.minimum) : more.minimum;
  cell.maximum = cell.count > 0 ? std::max(cell.maximum, more.maximum) : more.maximum;
  cell.count += more.count;
  cell.sum += more.sum;
  cell.values_known = cell.values_known && more.values_known;
}

void merge(Cell& cell, const Cell& more) {
  add_totals(cell, more);
  for (const auto& [value, count] : more.values) add_value(cell, value, count);
}

/// Appends at the end almost always: data comes in order.
Cell& cell_at(std::deque<std::pair<std::int64_t, Cell>>& cells, std::int64_t second) {
  if (cells.empty() || cells.back().first < second) {
    return cells.emplace_back(second, Cell{}).second;
  }
  const auto at = std::lower_bound(cells.begin(), cells.end(), second,
                                   [](const auto& entry, auto s) { return entry.first < s; });
  if (at->first == second) return at->second;
  return cells.emplace(at, second, Cell{})->second;
}

Cell cell_of(const MetricDatum& datum) {
  Cell cell;
  for (std::size_t i = 0; i < datum.values.size(); ++i) {
    const double value = datum.values[i];
    const double count = i < datum.counts.size() ? datum.counts[i] : 1;
    if (count <= 0) continue;
    add_totals(cell, Cell{count, value * count, value, value, {}, true});
    add_value(cell, value, count);
  }
  return cell;
}

/// One bound of "TC(low:high)": empty leaves it open. False if it is no number.
bool read_bound(std::string_view text, double& bound) {
  if (text.empty()) return true;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), bound);
  return code == std::errc{} && end == text.data() + text.size();
}

std::optional<double> trimmed_count(const Cell& cell, const Statistic& statistic) {
  if (cell.minimum > statistic.low && cell.maximum <= statistic.high) return cell.count;
  if (cell.maximum <= statistic.low || cell.minimum > statistic.high) return 0;
  if (!cell.values_known || cell.values.empty()) return std::nullopt;
  double total = 0;
  for (const auto& [value, count] : cell.values) {
    if (value > statistic.low && value <= statistic.high) total += count;
  }
  return total;
}

}  // namespace

Result<Statistic> parse_statistic(std::string_view text) {
  using Kind = Statistic::Kind;
  if (text == "SampleCount") return Statistic{Kind::SampleCount, 0};
  if (text == "Average") return Statistic{Kind::Average, 0};
  if (text == "Sum") return Statistic{Kind::Sum, 0};
  if (text == "Minimum") return Statistic{Kind::Minimum, 0};
  if (text == "Maximum") return Statistic{Kind::Maximum, 0};
  if (text.size() > 1 && text[0] == 'p') {
    double percent = 0;
    const auto [end, code] = std::from_chars(text.data() + 1, text.data() + text.size(), percent);
    if (code == std::errc{} && end == text.data() + text.size() && percent >= 0 && percent <= 100) {
      return Statistic{Kind::Percentile, percent};
    }
  }
  const std::size_t colon = text.find(':');
  if (text.starts_with("TC(") && text.ends_with(')') && colon != text.npos) {
    Statistic statistic{Kind::TrimmedCount, 0};
    if (read_bound(text.substr(3, colon - 3), statistic.low) &&
        read_bound(text.substr(colon + 1, text.size() - colon - 2), statistic.high)) {
      return statistic;
    }
  }
  return error(
      "statistic '{}' is not known here; allowed are SampleCount, Average, Sum, Minimum, Maximum, "
      "percentiles p0 to p100 and trimmed counts as TC(0.25:)",
      text);
}

std::optional<double> value_of(const Cell& cell, const Statistic& statistic) {
  if (cell.count <= 0) return std::nullopt;
  switch (statistic.kind) {
    case Statistic::Kind::SampleCount:
      return cell.count;
    case Statistic::Kind::Average:
      return cell.sum / cell.count;
    case Statistic::Kind::Sum:
      return cell.sum;
    case Statistic::Kind::Minimum:
      return cell.minimum;
    case Statistic::Kind::Maximum:
      return cell.maximum;
    case Statistic::Kind::TrimmedCount:
      return trimmed_count(cell, statistic);
    case Statistic::Kind::Percentile:
      break;
  }
  if (cell.minimum == cell.maximum) return cell.minimum;
  if (!cell.values_known || cell.values.empty()) return std::nullopt;
  // The tolerance keeps p99 of 100 samples the 99th although 0.99 has no exact double.
  const double rank = cell.count * (statistic.percent / 100) * (1 - 1e-12);
  double seen = 0;
  for (const auto& [value, count] : cell.values) {
    seen += count;
    if (seen >= rank) return std::clamp(value, cell.minimum, cell.maximum);
  }
  return cell.maximum;
}

MetricStore::Track& MetricStore::track_for(const std::string& metric_namespace,
                                           const MetricDatum& datum) {
  auto [at, fresh] = metrics_.try_emplace(key_of(metric_namespace, datum.metric, datum.dimensions));
  Metric& metric = at->second;
  if (fresh) metric.id = MetricId{metric_namespace, datum.metric, datum.dimensions};
  metric.newest = std::max(metric.newest, datum.time);
  return metric.by_unit[datum.unit.empty() ? "None" : datum.unit];
}

void MetricStore::add(Track& track, const MetricDatum& datum, const Cell& cell) {
  if (cell.count <= 0) return;
  const std::int64_t second = second_of(datum.time);
  const auto write = [&](Cells& cells, std::int64_t at, Duration retention) {
    Cell& kept = cell_at(cells, at);
    const std::size_t before = kept.values.size();
    merge(kept, cell);
    track.stored_values += kept.values.size() - before;  // wraps when folding shrinks: still right
    const std::int64_t oldest =
        cells.back().first - std::chrono::duration_cast<std::chrono::seconds>(retention).count();
    while (cells.front().first <= oldest) {
      track.stored_values -= cells.front().second.values.size();
      cells.pop_front();
    }
  };
  if (datum.high_resolution) write(track.seconds, second, kSecondRetention);
  write(track.minutes, second - ((second % 60) + 60) % 60, kMinuteRetention);
  if (track.stored_values <= kMaxValuesPerMetric) return;
  for (Cells* cells : {&track.minutes, &track.seconds}) {
    for (std::size_t i = 0; i + 1 < cells->size(); ++i) {
      Cell& old = (*cells)[i].second;
      if (old.values.empty()) continue;
      track.stored_values -= old.values.size();
      old.values.clear();
      old.values.shrink_to_fit();
      old.values_known = false;
      if (track.stored_values <= kMaxValuesPerMetric * 9 / 10) return;
    }
  }
}

void MetricStore::put(const std::string& metric_namespace, const MetricDatum& datum) {
  add(track_for(metric_namespace, datum), datum, cell_of(datum));
}

void MetricStore::put_statistics(const std::string& metric_namespace, const MetricDatum& datum,
                                 const Cell& statistics) {
  Cell cell = statistics;
  cell.values.clear();
  cell.values_known = cell.count <= 1 || cell.minimum == cell.maximum;
  if (cell.values_known && cell.count > 0) cell.values = {{cell.minimum, cell.count}};
  add(track_for(metric_namespace, datum), datum, cell);
}

const MetricStore::Metric* MetricStore::find(const MetricId& id) const {
  const auto at = metrics_.find(key_of(id.metric_namespace, id.name, id.dimensions));
  return at == metrics_.end() ? nullptr : &at->second;
}

std::vector<Bucket> MetricStore::query(const MetricId& id, const Window& window,
                                       std::string_view unit, bool with_values) const {
  std::vector<Bucket> buckets;
  const Metric* metric = find(id);
  if (metric == nullptr || window.period <= Duration{} || window.end <= window.start) {
    return buckets;
  }
  const std::int64_t first = second_of(window.start), last = second_of(window.end);
  const std::int64_t step = std::max<std::int64_t>(1, window.period / std::chrono::seconds{1});
  for (const auto& [track_unit, track] : metric->by_unit) {
    if (!unit.empty() && unit != track_unit) continue;
    const bool fine = step % 60 != 0 || first % 60 != 0;
    const Cells& cells = fine && !track.seconds.empty() ? track.seconds : track.minutes;
    auto at = std::lower_bound(cells.begin(), cells.end(), first,
                               [](const auto& entry, auto s) { return entry.first < s; });
    buckets.reserve(static_cast<std::size_t>(
        std::min<std::int64_t>((last - first) / step + 1, cells.end() - at)));
    for (std::size_t hint = 0; at != cells.end() && at->first < last; ++at) {
      const TimePoint start =
          window.start + std::chrono::seconds{(at->first - first) / step * step};
      while (hint < buckets.size() && buckets[hint].start < start) ++hint;
      if (hint == buckets.size() || buckets[hint].start != start) {
        buckets.insert(buckets.begin() + static_cast<std::ptrdiff_t>(hint), Bucket{start, {}});
      }
      if (with_values) {
        merge(buckets[hint].cell, at->second);
      } else {
        add_totals(buckets[hint].cell, at->second);
      }
    }
  }
  return buckets;
}

std::vector<std::string> MetricStore::units(const MetricId& id) const {
  std::vector<std::string> units;
  if (const Metric* metric = find(id)) {
    for (const auto& [unit, track] : metric->by_unit) units.push_back(unit);
  }
  return units;
}

std::vector<MetricStore::Listed> MetricStore::list() const {
  std::vector<Listed> listed;
  listed.reserve(metrics_.size());
  for (const auto& [key, metric] : metrics_) listed.push_back({&metric.id, metric.newest});
  return listed;
}

}  // namespace coalmine::mock
