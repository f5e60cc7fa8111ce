#include "sim/rollout/alarm_run.h"

#include <algorithm>

namespace coalmine::rollout {
namespace {

bool breaches(const AlarmSpec& spec, double value) {
  // A quantile above T is a share of slower requests above 1 - quantile: see value().
  const double threshold =
      spec.statistic == AlarmStatistic::Quantile ? 100 * (1 - spec.quantile) : spec.threshold;
  switch (spec.comparison) {
    case AlarmComparison::GreaterOrEqual:
      // Equality of a quantile with its threshold is no thing that counts can show.
      return spec.statistic == AlarmStatistic::Quantile ? value > threshold : value >= threshold;
    case AlarmComparison::Greater:
      return value > threshold;
    case AlarmComparison::Less:
      return value < threshold;
    case AlarmComparison::LessOrEqual:
      return value <= threshold;
  }
  return false;
}

TimePoint floor_to(TimePoint t, Duration step) {
  return TimePoint{t.time_since_epoch() / step * step};
}

}  // namespace

std::optional<AlarmState> alarm_state(const AlarmSpec& spec,
                                      const std::vector<std::optional<double>>& newest_first) {
  int real = 0, breaching = 0, age_of_oldest = 0;
  for (std::size_t i = 0; i < newest_first.size() && real < spec.periods; ++i) {
    if (!newest_first[i]) continue;
    ++real;
    breaching += breaches(spec, *newest_first[i]) ? 1 : 0;
    age_of_oldest = static_cast<int>(i) + 1;
  }
  const int lack = spec.periods - real;
  if (lack > 0 && spec.missing == MissingData::Breaching) breaching += lack;
  bool alarm = breaching >= spec.to_alarm;
  if (lack > 0 && !alarm) {
    const bool only_breaches = real > 0 && breaching == real;
    if (spec.missing == MissingData::Missing) {
      if (real == 0) return AlarmState::InsufficientData;
      alarm = only_breaches && age_of_oldest >= spec.to_alarm;
    } else if (spec.missing == MissingData::Ignore && (real == 0 || only_breaches)) {
      return std::nullopt;
    }
  }
  return alarm ? AlarmState::Alarm : AlarmState::Ok;
}

Duration evaluation_interval(const AlarmSpec& spec) {
  using std::chrono::seconds;
  return spec.period < seconds{60} ? seconds{10} : seconds{60};
}

AlarmRun::AlarmRun(AlarmSpec spec, TimePoint start)
    : spec_(std::move(spec)),
      due_(floor_to(start, evaluation_interval(spec_)) + evaluation_interval(spec_)),
      state_(spec_.initially) {}

void AlarmRun::add(const MetricsWindow& window) {
  const TimePoint from = floor_to(window.from, spec_.period);
  Period add{from};
  for (const auto& [counts, wanted] : {std::pair(&window.canary, spec_.scope != Scope::Stable),
                                       std::pair(&window.stable, spec_.scope != Scope::Canary)}) {
    if (!wanted) continue;
    add.requests += counts->requests;
    add.errors += counts->errors;
    if (spec_.statistic == AlarmStatistic::Quantile) {
      add.slow += counts->slower_than(from_seconds(spec_.threshold));
    }
  }
  if (periods_.empty() || periods_.back().from != from) {
    periods_.push_back(add);
  } else {
    periods_.back().requests += add.requests;
    periods_.back().errors += add.errors;
    periods_.back().slow += add.slow;
  }
  const auto kept = static_cast<std::size_t>(spec_.periods + kExtraAlarmPoints) + 1;
  while (periods_.size() > kept) periods_.pop_front();
}

std::optional<double> AlarmRun::value(TimePoint from) const {
  for (const Period& period : periods_) {
    if (period.from != from) continue;
    if (spec_.metric == Signal::Requests) return static_cast<double>(period.requests);
    if (period.requests == 0) return std::nullopt;
    const auto n = static_cast<double>(period.requests);
    if (spec_.statistic == AlarmStatistic::Quantile) {
      return 100 * static_cast<double>(period.slow) / n;
    }
    const auto errors = static_cast<double>(period.errors);
    return spec_.statistic == AlarmStatistic::Sum ? errors : 100 * errors / n;
  }
  return std::nullopt;
}

bool AlarmRun::evaluate(TimePoint now) {
  if (now < due_) return false;
  due_ = floor_to(now, evaluation_interval(spec_)) + evaluation_interval(spec_);
  std::vector<std::optional<double>> points;
  TimePoint from = floor_to(now, spec_.period) - spec_.period;  // the last whole period
  breaching_ = 0;
  newest_.reset();
  for (int i = 0; i < spec_.periods + kExtraAlarmPoints; ++i, from -= spec_.period) {
    points.push_back(value(from));
    if (!points.back()) continue;
    if (!newest_) newest_ = points.back();
    if (i < spec_.periods && breaches(spec_, *points.back())) ++breaching_;
  }
  const AlarmState before = state_;
  state_ = alarm_state(spec_, points).value_or(state_);
  return state_ != before;
}

Evaluation AlarmRun::describe() const {
  Evaluation e;
  e.metric = spec_.name;
  e.test = "alarm";
  e.verdict = state_ == AlarmState::Alarm ? Verdict::Fail : Verdict::Continue;
  e.value = newest_.value_or(0);
  e.limit =
      spec_.statistic == AlarmStatistic::Quantile ? 100 * (1 - spec_.quantile) : spec_.threshold;
  e.n = periods_.empty() ? 0 : periods_.back().requests;
  e.statistic = breaching_;
  e.needs = spec_.to_alarm;
  const std::string measured =
      !newest_ ? "no data"
      : spec_.statistic == AlarmStatistic::Quantile
          ? fmt::format("{:.3g}% slower than {}", *newest_,
                        coalmine::to_string(from_seconds(spec_.threshold)))
          : fmt::format("{} {:.4g} {} {:.4g}", to_string(spec_.metric), *newest_,
                        to_string(spec_.comparison), spec_.threshold);
  e.sentence = fmt::format("alarm {} is {}: {} of the {}, {} of {} periods of {} breach",
                           spec_.name, to_string(state_), measured, to_string(spec_.scope),
                           breaching_, spec_.periods, coalmine::to_string(spec_.period));
  return e;
}

void add_latency_limits(const std::vector<AlarmSpec>& specs, std::vector<Duration>& limits) {
  for (const AlarmSpec& spec : specs) {
    if (spec.statistic == AlarmStatistic::Quantile) limits.push_back(from_seconds(spec.threshold));
  }
}

}  // namespace coalmine::rollout
