#include "sim/rollout/analysis/judge.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "sim/core/check.h"
#include "sim/rollout/analysis/measure.h"

namespace coalmine::rollout {
namespace {

bool is_pass(const Classified& c) {
  return c.verdict == MetricClass::Pass;
}

std::string metric_text(const JudgedMetric& metric, const Classified& found) {
  std::string text = fmt::format("{} {}", metric.name, to_string(found.verdict));
  if (found.verdict != MetricClass::High && found.verdict != MetricClass::Low) return text;
  return text + fmt::format(" (shift {}, {:.3g}% interval {} to {}{})",
                            value_text(metric.measure, found.test.shift), metric.confidence * 100,
                            value_text(metric.measure, found.test.low),
                            value_text(metric.measure, found.test.high),
                            std::isnan(found.ratio)
                                ? std::string()
                                : fmt::format(", {:.3g} times stable", found.ratio));
}

}  // namespace

double kayenta_score(const JudgeTest& test, const std::vector<Classified>& metrics) {
  CHECK(metrics.size() == test.metrics.size() && !metrics.empty());
  struct Tally {
    int pass = 0, counted = 0;
  };
  std::map<std::string, Tally> groups;
  std::size_t without_data = 0;
  for (std::size_t i = 0; i < metrics.size(); ++i) {
    Tally& group = groups[test.metrics[i].group];
    if (metrics[i].critical) return 0;
    const bool no_data = metrics[i].verdict == MetricClass::NoData;
    without_data += no_data ? 1 : 0;
    group.counted += no_data ? 0 : 1;
    group.pass += is_pass(metrics[i]) ? 1 : 0;
  }
  if (2 * without_data >= metrics.size()) return 0;
  double listed = 0;
  std::map<std::string, double> weights;
  for (const JudgeTest::Group& group : test.groups) {
    weights[group.name] = group.weight;
    listed += group.weight;
  }
  const auto unlisted = std::count_if(groups.begin(), groups.end(), [&](const auto& group) {
    return !weights.contains(group.first);
  });
  double score = 0;
  for (const auto& [name, tally] : groups) {
    const auto weight = weights.find(name);
    const double share =
        weight != weights.end() ? weight->second : (100 - listed) / static_cast<double>(unlisted);
    score += share / 100 * (tally.counted == 0 ? 100 : 100.0 * tally.pass / tally.counted);
  }
  return score;
}

Judge::Judge(const JudgeTest& test) : test_(test), series_(test.metrics.size()) {
  CHECK(!test.metrics.empty());
}

void Judge::add(const JudgedMetric& metric, Series& series, const MetricsWindow& window) const {
  if (!series.is_open) {
    series.open = window;
    series.open.segments.clear();
    series.is_open = true;
  } else {
    series.open.to = std::max(series.open.to, window.to);
    series.open.stable += window.stable;
    series.open.canary += window.canary;
  }
  if (series.open.to - series.open.from < metric.measure.window) return;
  series.is_open = false;
  const auto keep = [&](std::vector<Series::Point>& points, const VersionCounts& counts) {
    auto value = value_of(metric.measure, counts);
    if (!value && metric.nan_is_zero) value = 0;
    if (value) points.push_back({series.open.to, *value});
  };
  keep(series.canary, series.open.canary);
  keep(series.stable, series.open.stable);
}

void Judge::add(const Observation& seen, Scope) {
  if (verdict_ != Verdict::Continue) return;
  if (!begin_) {
    begin_ = seen.window.from + test_.begin_after;
    next_score_ = *begin_ + test_.interval;
  }
  if (seen.window.from < *begin_) return;
  for (std::size_t i = 0; i < series_.size(); ++i) add(test_.metrics[i], series_[i], seen.window);
  if (seen.window.to >= next_score_) score(seen.window.to);
}

void Judge::score(TimePoint now) {
  while (next_score_ <= now) next_score_ += test_.interval;
  Judgement judgement;
  const TimePoint since = test_.lookback > Duration{} ? now - test_.lookback : *begin_;
  const auto values = [since](const std::vector<Series::Point>& points) {
    std::vector<double> recent;
    for (const Series::Point& point : points) {
      if (point.end > since) recent.push_back(point.value);
    }
    return recent;
  };
  for (std::size_t i = 0; i < series_.size(); ++i) {
    judgement.metrics.push_back(
        classify(test_.metrics[i], values(series_[i].canary), values(series_[i].stable)));
  }
  judgement.score = kayenta_score(test_, judgement.metrics);
  ++scores_;
  final_ = test_.lifetime > Duration{} && now >= *begin_ + test_.lifetime;
  if (judgement.score < test_.marginal || (final_ && judgement.score < test_.pass)) {
    verdict_ = Verdict::Fail;
  } else if (final_) {
    verdict_ = Verdict::Accept;
  }
  last_ = std::move(judgement);
}

Evaluation Judge::evaluate() const {
  Evaluation e;
  e.test = "mann-whitney";
  e.limit = e.needs = final_ ? test_.pass : test_.marginal;
  if (!last_) {
    e.sentence = fmt::format("no score yet, the first is after {}",
                             coalmine::to_string(test_.begin_after + test_.interval));
    return e;
  }
  e.value = e.statistic = last_->score;
  e.n = last_->metrics.front().points;
  std::string metrics;
  for (std::size_t i = 0; i < last_->metrics.size(); ++i) {
    metrics += (i == 0 ? "" : "; ") + metric_text(test_.metrics[i], last_->metrics[i]);
  }
  e.sentence = fmt::format("score {:.3g} (fails below {:.3g}) from {} datapoints: {}", last_->score,
                           e.needs, e.n, metrics);
  return e;
}

}  // namespace coalmine::rollout
