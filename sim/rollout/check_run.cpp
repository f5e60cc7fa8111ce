#include "sim/rollout/check_run.h"

#include <algorithm>

#include "sim/core/check.h"

namespace coalmine::rollout {
namespace {

/// What the scope did in the window; nothing if there is no datapoint.
struct Seen {
  VersionCounts counts;
  bool any = false;
};

Seen look_back(const std::vector<MetricsWindow>& recent, Scope scope, TimePoint from,
               TimePoint until) {
  Seen seen;
  for (const MetricsWindow& window : recent) {
    if (window.from < from || window.to > until) continue;
    seen.any = true;
    if (scope != Scope::Stable) seen.counts += window.canary;
    if (scope != Scope::Canary) seen.counts += window.stable;
  }
  return seen;
}

double percent_of(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

bool above(double value, const Bound& bound) {
  return bound.itself ? value > bound.value : value >= bound.value;
}
bool below(double value, const Bound& bound) {
  return bound.itself ? value < bound.value : value <= bound.value;
}

/// Holds values against the bounds; `exceeds(bound)` and `falls_short(bound)` know the signal.
template <typename Above, typename Below>
CheckResult judge(const Limit& limit, Above exceeds, Below falls_short) {
  const bool has_pass = limit.pass_min || limit.pass_max;
  const bool has_fail = limit.fail_below || limit.fail_above;
  bool passes = (!limit.pass_max || !exceeds(*limit.pass_max)) &&
                (!limit.pass_min || !falls_short(*limit.pass_min));
  // A bad bound that belongs to the bad side is reached by equality.
  const auto bad = [](Bound bound) {
    bound.itself = !bound.itself;
    return bound;
  };
  bool fails = (limit.fail_above && exceeds(bad(*limit.fail_above))) ||
               (limit.fail_below && falls_short(bad(*limit.fail_below)));
  if (!has_pass && !has_fail) return CheckResult::Passed;
  if (!has_fail) fails = !passes;
  if (!has_pass) passes = !fails;
  if (fails) return CheckResult::Failed;
  return passes ? CheckResult::Passed : CheckResult::Inconclusive;
}

const Bound& shown_bound(const Limit& limit) {
  static const Bound none{};
  for (const auto* bound : {&limit.pass_max, &limit.pass_min, &limit.fail_above, &limit.fail_below})
    if (*bound) return **bound;
  return none;
}

std::string allowed(const Limit& limit, const char* unit) {
  if (limit.pass_max) {
    return fmt::format("allowed {} {:.4g}{}", limit.pass_max->itself ? "up to" : "below",
                       limit.pass_max->value, unit);
  }
  if (limit.pass_min) return fmt::format("at least {:.4g}{} wanted", limit.pass_min->value, unit);
  if (limit.fail_above) return fmt::format("fails above {:.4g}{}", limit.fail_above->value, unit);
  if (limit.fail_below) return fmt::format("fails below {:.4g}{}", limit.fail_below->value, unit);
  return "no limit";
}

/// A quantile above `bound` is a share of slower requests above 1 - quantile.
double slow_share(const VersionCounts& counts, const Bound& bound) {
  return percent_of(counts.slower_than(from_seconds(bound.value)), counts.requests);
}

Measurement measure_latency(const Limit& limit, const VersionCounts& counts) {
  Measurement m;
  const double allowed_share = 100 * (1 - limit.quantile);
  const auto slower = [&](const Bound& bound) { return slow_share(counts, bound) > allowed_share; };
  m.result = judge(limit, slower, [&](const Bound& bound) { return !slower(bound); });
  const Bound& shown = shown_bound(limit);
  m.value = slow_share(counts, shown);
  m.limit = allowed_share;
  m.words = fmt::format("{:.3g}% of {} {} requests slower than {}, allowed {:.3g}%", m.value,
                        counts.requests, to_string(limit.scope),
                        coalmine::to_string(from_seconds(shown.value)), allowed_share);
  return m;
}

Measurement measure_one(const CheckSpec& spec, const Limit& limit,
                        const std::vector<MetricsWindow>& recent, TimePoint now) {
  const Duration window = limit.window.value_or(spec.window);
  const Seen seen = look_back(recent, limit.scope, now - window, now);
  Measurement m;
  const std::string name = limit.name.empty() ? std::string(to_string(limit.signal)) : limit.name;
  if (limit.signal == Signal::Constant) {
    m.result = limit.constant;
    m.words = fmt::format("always {}", to_string(m.result));
  } else if (!seen.any || (limit.signal != Signal::Requests && seen.counts.requests == 0)) {
    m.no_data = true;
    m.result = spec.no_data;
    m.words = fmt::format("no {} request was counted in the last {}", to_string(limit.scope),
                          coalmine::to_string(window));
  } else if (limit.signal == Signal::Latency) {
    m = measure_latency(limit, seen.counts);
  } else {
    const bool errors = limit.signal == Signal::Errors;
    m.value = errors ? percent_of(seen.counts.errors, seen.counts.requests)
                     : static_cast<double>(seen.counts.requests) / to_seconds(window);
    m.limit = shown_bound(limit).value;
    m.result = judge(
        limit, [&m](const Bound& bound) { return above(m.value, bound); },
        [&m](const Bound& bound) { return below(m.value, bound); });
    m.words = errors ? fmt::format("errors {:.3g}% of {} {} requests in {}, {}", m.value,
                                   seen.counts.requests, to_string(limit.scope),
                                   coalmine::to_string(window), allowed(limit, "%"))
                     : fmt::format("{:.3g} {} requests per second in {}, {}", m.value,
                                   to_string(limit.scope), coalmine::to_string(window),
                                   allowed(limit, "/s"));
  }
  m.metric = name;
  m.n = seen.counts.requests;
  return m;
}

}  // namespace

Measurement measure(const CheckSpec& spec, const std::vector<MetricsWindow>& recent,
                    TimePoint now) {
  Measurement last;
  last.metric = spec.name;
  for (const Limit& limit : spec.limits) {
    last = measure_one(spec, limit, recent, now);
    if (last.result != CheckResult::Passed) break;
  }
  return last;
}

CheckRun::CheckRun(CheckSpec spec, TimePoint start)
    : spec_(std::move(spec)), due_(start + spec_.delay) {}

bool CheckRun::begin_look(TimePoint now) {
  if (end_ != End::Running || now < due_) return false;
  const TimePoint was = due_;
  // The schedule stays; what was missed is not made up for.
  while (due_ <= now) due_ += spec_.every;
  if (!will_fail_) return true;
  due_ = was;
  end_ = End::Failed;
  return false;
}

bool CheckRun::look(const std::vector<MetricsWindow>& recent, TimePoint now) {
  if (!begin_look(now)) return false;
  count(measure(spec_, recent, now), now);
  return true;
}

bool CheckRun::look_in_vain(const std::string& reason, TimePoint now) {
  if (!begin_look(now)) return false;
  Measurement nothing;
  nothing.result = spec_.no_data == CheckResult::Error ? CheckResult::Error : spec_.no_data;
  nothing.no_data = true;
  nothing.metric = spec_.name;
  nothing.words = "the metrics could not be read: " + reason;
  count(std::move(nothing), now);
  return true;
}

void CheckRun::count(Measurement found, TimePoint now) {
  last_ = std::move(found);
  if (last_.result == CheckResult::Error) {
    ++errors_in_a_row_;
    passed_in_a_row_ = 0;
    if (spec_.retry_errors > Duration{}) due_ = std::min(due_, now + spec_.retry_errors);
    return settle();
  }
  errors_in_a_row_ = 0;
  ++measured_;
  if (last_.result == CheckResult::Passed) {
    ++passed_in_a_row_;
    if (spec_.counted == Tally::InARow) failed_ = inconclusive_ = 0;
  } else {
    passed_in_a_row_ = 0;
    ++(last_.result == CheckResult::Failed ? failed_ : inconclusive_);
  }
  settle();
}

void CheckRun::settle() {
  if ((spec_.failures && failed_ > *spec_.failures) || errors_in_a_row_ > spec_.errors_in_a_row) {
    if (spec_.acts_late) {
      will_fail_ = true;
    } else {
      end_ = End::Failed;
    }
    return;
  }
  if (spec_.inconclusives && inconclusive_ > *spec_.inconclusives) {
    end_ = End::Inconclusive;
  } else if (spec_.successes && passed_in_a_row_ >= *spec_.successes) {
    end_ = End::Passed;
  } else if (spec_.count && measured_ >= *spec_.count) {
    end_ = End::Passed;
  }
}

void CheckRun::next_step() {
  if (spec_.counted == Tally::Step && !will_fail_) failed_ = inconclusive_ = 0;
}

void CheckRun::forgive() {
  failed_ = inconclusive_ = errors_in_a_row_ = 0;
  will_fail_ = false;
  if (end_ == End::Failed || end_ == End::Inconclusive) end_ = End::Running;
}

void CheckRun::stop() {
  if (end_ == End::Running) end_ = End::Passed;
}

Evaluation CheckRun::evaluate() const {
  Evaluation e;
  e.metric = last_.metric;
  e.test = "check";
  e.verdict = end_ == End::Failed   ? Verdict::Fail
              : end_ == End::Passed ? Verdict::Accept
                                    : Verdict::Continue;
  e.value = last_.value;
  e.limit = last_.limit;
  e.n = last_.n;
  e.statistic = failed_;
  e.needs = spec_.failures ? *spec_.failures + 1 : 0;
  std::string counted;
  if (errors_in_a_row_ > 0) {
    counted =
        fmt::format("measurement error {} of {}", errors_in_a_row_, spec_.errors_in_a_row + 1);
  } else if (last_.result == CheckResult::Inconclusive) {
    counted = spec_.inconclusives ? fmt::format("inconclusive check {} of {}", inconclusive_,
                                                *spec_.inconclusives + 1)
                                  : "inconclusive";
  } else if (spec_.failures) {
    counted = fmt::format("failed checks {} of {}", failed_, *spec_.failures + 1);
  } else {
    counted = fmt::format("failed checks {}, observed only", failed_);
  }
  e.sentence = fmt::format("{}: {} ({})", last_.metric, last_.words, counted);
  return e;
}

void add_latency_limits(const std::vector<CheckSpec>& specs, std::vector<Duration>& limits) {
  for (const CheckSpec& spec : specs) {
    for (const Limit& limit : spec.limits) {
      if (limit.signal != Signal::Latency) continue;
      for (const auto* bound :
           {&limit.pass_min, &limit.pass_max, &limit.fail_below, &limit.fail_above}) {
        if (*bound) limits.push_back(from_seconds((*bound)->value));
      }
    }
  }
}

Duration longest_window(const std::vector<CheckSpec>& specs) {
  Duration longest{};
  for (const CheckSpec& spec : specs) {
    longest = std::max(longest, spec.window);
    for (const Limit& limit : spec.limits) {
      longest = std::max(longest, limit.window.value_or(Duration{}));
    }
  }
  return longest;
}

}  // namespace coalmine::rollout
