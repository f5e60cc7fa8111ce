#include "sim/scenario/verdict.h"

#include <algorithm>
#include <cmath>

namespace coalmine::scenario {
namespace {

using world::Record;

/// Durations people read: whole milliseconds are enough.
std::string brief(Duration d) {
  return to_string(std::chrono::round<std::chrono::milliseconds>(d));
}
std::string percent(double share) {
  return fmt::format("{:.3g}%", share * 100);
}

template <typename T, typename Show>
std::string bound_text(const std::optional<T>& min, const std::optional<T>& max, Show show) {
  if (min && max && *min == *max) return show(*min);
  if (min && max) return fmt::format("{} to {}", show(*min), show(*max));
  return min ? fmt::format("at least {}", show(*min)) : fmt::format("at most {}", show(*max));
}
template <typename T>
bool within(const T& value, const std::optional<T>& min, const std::optional<T>& max) {
  return (!min || value >= *min) && (!max || value <= *max);
}

CheckResult count_result(std::string name, const CountBound& bound, std::uint64_t value,
                         std::string_view what) {
  const auto show = [](std::int64_t n) { return fmt::format("{}", n); };
  return {std::move(name),
          within(static_cast<std::int64_t>(value), bound.min, bound.max),
          fmt::format("{} {}", bound_text(bound.min, bound.max, show), what),
          fmt::format("{}", value),
          {}};
}

CheckResult time_result(std::string name, const DurationBound& bound,
                        const std::optional<Duration>& value, std::string_view never) {
  return {std::move(name),
          value && within(*value, bound.min, bound.max),
          bound_text(bound.min, bound.max, brief),
          value ? brief(*value) : std::string(never),
          {}};
}

/// When the rollout first saw the alarm red; it tells of every change of an alarm's state.
std::optional<Duration> first_red(const Record& record, const std::string& alarm) {
  for (const rollout::Event& event : record.timeline) {
    if (event.name == "analysis.evaluated" && event.text("test") == "alarm" &&
        event.text("metric") == alarm && event.text("verdict") == "fail") {
      return event.t - record.start;
    }
  }
  return std::nullopt;
}

/// One function per kind of check.
struct Judge {
  const Scenario& scenario;
  const Record& record;

  CheckResult operator()(const OutcomeCheck& check) const {
    std::string actual(to_string(record.outcome));
    if (record.outcome != check.want) actual += fmt::format(" ({})", record.reason);
    return {"outcome",
            record.outcome == check.want,
            std::string(to_string(check.want)),
            std::move(actual),
            {}};
  }

  CheckResult operator()(const FinalWeightsCheck& check) const {
    bool passed = true;
    for (const auto& [name, weight] : check.want) {
      const auto it = record.final_weights.find(name);
      passed = passed && it != record.final_weights.end() && it->second == weight;
    }
    return {"final-weights",
            passed,
            world::render_weights(scenario.spec, check.want),
            world::render_weights(scenario.spec, record.final_weights),
            {}};
  }

  CheckResult operator()(const StatesCheck& check) const {
    std::size_t found = 0;
    std::vector<std::string> seen;
    for (const world::StateChange& change : record.states) {
      seen.push_back(change.state);
      if (found < check.want.size() && change.state == check.want[found]) ++found;
    }
    return {"states",
            found == check.want.size(),
            fmt::format("{}", fmt::join(check.want, ", then ")),
            fmt::format("{}", fmt::join(seen, ", ")),
            {}};
  }

  CheckResult operator()(const BlastRadiusCheck& check) const {
    const world::VersionRecord& canary = canary_of(scenario.spec, record);
    world::Tally all{canary.requests, canary.failed()};
    std::uint64_t users = record.blast_users;
    CheckResult result{"blast-radius", true, "", "", {}};
    if (const auto segment = world::segment_index(scenario.spec, check.segment)) {
      all = canary.segments[*segment];
      users = users_in(canary, *segment).value_or(0);
    }
    const auto add = [&result](const std::optional<CountBound>& bound, std::uint64_t value,
                               const char* what) {
      if (!bound) return;
      const CheckResult one = count_result("", *bound, value, what);
      result.passed = result.passed && one.passed;
      result.expected += (result.expected.empty() ? "" : ", ") + one.expected;
      result.actual += (result.actual.empty() ? "" : ", ") + fmt::format("{} {}", value, what);
    };
    add(check.requests, all.requests, "requests");
    add(check.errors, all.failed, "errors");
    add(check.users, users, "users");
    if (!check.segment.empty()) {
      result.expected += " in " + check.segment;
      result.actual += " in " + check.segment;
    }
    return result;
  }

  CheckResult operator()(const TimeToDetectCheck& check) const {
    return time_result("time-to-detect", check.bound, time_to_detect(record), "never detected");
  }
  CheckResult operator()(const TimeToRollbackCheck& check) const {
    return time_result("time-to-rollback", check.bound, time_to_rollback(record),
                       "never rolled back");
  }
  CheckResult operator()(const TimeToPromoteCheck& check) const {
    return time_result("time-to-promote", check.bound, record.promoted_at, "never promoted");
  }

  CheckResult operator()(const DroppedRequestsCheck& check) const {
    return count_result("dropped-requests", check.bound, record.dropped, "requests");
  }

  CheckResult operator()(const UserErrorRateCheck& check) const {
    const double worst = worst_error_rate(record, check.window);
    std::string expected = fmt::format("at most {}", to_string(check.max));
    if (check.window) expected += fmt::format(" in any {}", to_string(*check.window));
    return {"user-error-rate",
            worst <= check.max.share() + 1e-12,
            std::move(expected),
            percent(worst),
            {}};
  }

  CheckResult operator()(const CanaryShareCheck& check) const {
    const std::vector<StepShare> steps = step_shares(scenario.spec, record);
    const StepShare* worst = nullptr;
    for (const StepShare& step : steps) {
      if (worst == nullptr || step.sigma() > worst->sigma()) worst = &step;
    }
    const bool passed = worst != nullptr && worst->sigma() <= check.sigma;
    std::string actual = "the canary had no traffic";
    if (worst != nullptr) {
      actual = fmt::format("{} of {} requests at {}, {:.1f} sigma", worst->canary_requests,
                           worst->requests, percent(worst->weight), worst->sigma());
    }
    return {"canary-share",
            passed,
            fmt::format("each step's share within {} sigma of its weight", check.sigma),
            std::move(actual),
            {}};
  }

  CheckResult operator()(const CanaryWeightCheck& check) const {
    return {"canary-weight",
            record.max_canary_share <= check.max.share() + 1e-9,
            fmt::format("at most {} of the traffic", to_string(check.max)),
            percent(record.max_canary_share),
            {}};
  }

  CheckResult operator()(const WeightsSetCheck& check) const {
    std::vector<double> set;
    for (const rollout::Event& event : record.timeline) {
      if (event.name != "weights.changed") continue;
      const rollout::Value* value = event.find("weights");
      const auto* weights = value == nullptr ? nullptr : std::get_if<rollout::Weights>(value);
      if (weights == nullptr) continue;
      const double share = rollout::share_of(*weights, scenario.spec.plan.canary);
      if (set.empty() || set.back() != share) set.push_back(share);
    }
    bool passed = set.size() == check.want.size();
    std::string expected, actual;
    for (std::size_t i = 0; i < check.want.size(); ++i) {
      passed = passed && std::fabs(set[i] - check.want[i].share()) < 1e-9;
      expected += (i == 0 ? "" : ", then ") + to_string(check.want[i]);
    }
    for (const double share : set) actual += (actual.empty() ? "" : ", ") + percent(share);
    return {"weights-set",
            passed,
            std::move(expected),
            actual.empty() ? "no weight was set" : std::move(actual),
            {}};
  }

  CheckResult operator()(const LatencyCheck& check) const {
    Histogram all;
    for (const world::VersionRecord& version : record.versions) {
      if (check.version.empty() || check.version == version.name) all.merge(version.latency);
    }
    const Duration value = all.quantile(check.quantile);
    const std::string whose = check.version.empty() ? "" : " of " + check.version;
    return {"latency",
            within(value, check.bound.min, check.bound.max),
            fmt::format("p{:g}{} {}", check.quantile * 100, whose,
                        bound_text(check.bound.min, check.bound.max, brief)),
            all.count() == 0 ? "no answers" : brief(value),
            {}};
  }

  CheckResult operator()(const RequestsCheck& check) const {
    return count_result("requests", check.bound, total_requests(record), "requests");
  }

  CheckResult operator()(const CompatibleCheck& check) const {
    const double share = record.compared == 0 ? 0
                                              : static_cast<double>(record.differing) /
                                                    static_cast<double>(record.compared);
    return {"compatible",
            record.compared > 0 && share <= check.max_differing.share() + 1e-12,
            fmt::format("at most {} of the answers differ", to_string(check.max_differing)),
            record.compared == 0
                ? "no request was answered by both versions"
                : fmt::format("{} of {} answers differ", record.differing, record.compared),
            {}};
  }

  CheckResult operator()(const HookAnswersCheck& check) const {
    std::vector<std::string> said;
    for (const rollout::Event& event : record.timeline) {
      if (event.name != "hook.answered") continue;
      std::string one = event.text("hook") + " " + event.text("verdict");
      if (said.empty() || said.back() != one) said.push_back(std::move(one));
    }
    return {"hook-answers",
            said == check.want,
            fmt::format("{}", fmt::join(check.want, ", then ")),
            said.empty() ? "no hook was called" : fmt::format("{}", fmt::join(said, ", ")),
            {}};
  }

  CheckResult operator()(const RetriesCheck& check) const {
    return count_result("retries", check.bound, total_retries(record), "attempts");
  }

  CheckResult operator()(const DecisionCheck& check) const {
    const auto in = [](const std::string& segment) {
      return segment.empty() ? "" : " in " + segment;
    };
    const bool there = check.segment.empty() || record.decided_in == check.segment;
    return {"decision",
            record.decided_by == check.metric && there,
            fmt::format("the analysis of {}{} decides", check.metric, in(check.segment)),
            record.decided_by.empty() ? "no analysis objected"
                                      : record.decided_by + in(record.decided_in),
            {}};
  }

  CheckResult operator()(const AlarmCheck& check) const {
    const auto& watch = scenario.spec.plan.watch;  // --plan may have put another in its place
    const bool watched = watch && std::find(watch->names.begin(), watch->names.end(), check.name) !=
                                      watch->names.end();
    const std::optional<Duration> red = first_red(record, check.name);
    std::string expected = check.name + (check.red ? " goes red" : " never goes red");
    if (check.bound.min || check.bound.max) {
      expected += " after " + bound_text(check.bound.min, check.bound.max, brief);
    }
    const bool in_time = red && within(*red, check.bound.min, check.bound.max);
    return {"alarm",
            watched && (check.red ? in_time : !red),
            std::move(expected),
            !watched ? fmt::format("nobody watched {}", check.name)
            : red    ? fmt::format("{} red after {}", check.name, brief(*red))
                     : fmt::format("{} never red", check.name),
            {}};
  }
};

}  // namespace

double StepShare::sigma() const {
  if (requests == 0) return 0;
  const double n = static_cast<double>(requests);
  const double distance = std::fabs(static_cast<double>(canary_requests) - n * weight);
  const double spread = std::sqrt(n * weight * (1 - weight));
  // A weight of 0% or 100% leaves no room for chance.
  if (spread == 0) return distance < 0.5 ? 0 : 1e9;
  return distance / spread;
}

std::vector<StepShare> step_shares(const world::Spec& spec, const Record& record) {
  const std::size_t canary = world::version_index(spec, spec.plan.canary).value_or(0);
  std::vector<StepShare> steps;
  const std::vector<std::uint32_t>* previous = nullptr;
  for (const world::Span& span : record.spans) {
    double total = 0;
    for (const std::uint32_t weight : span.weights) total += weight;
    if (span.weights.empty() || total == 0 || span.weights[canary] == 0) {
      previous = nullptr;
      continue;
    }
    if (previous == nullptr || *previous != span.weights) {
      steps.push_back({span.begin, span.end, span.weights[canary] / total, 0, 0});
      previous = &span.weights;
    }
    StepShare& step = steps.back();
    step.end = span.end;
    for (std::size_t v = 0; v < span.versions.size(); ++v) {
      step.requests += span.versions[v].requests;
      if (v == canary) step.canary_requests += span.versions[v].requests;
    }
  }
  std::erase_if(steps, [](const StepShare& step) { return step.requests == 0; });
  return steps;
}

double worst_error_rate(const Record& record, std::optional<Duration> window) {
  const auto rate = [](std::uint64_t failed, std::uint64_t requests) {
    return requests == 0 ? 0 : static_cast<double>(failed) / static_cast<double>(requests);
  };
  const double whole = rate(total_failed(record), total_requests(record));
  if (!window) return whole;
  double worst = 0;
  bool any = false;
  std::uint64_t requests = 0, failed = 0;
  std::size_t first = 0;
  const auto add = [&](const world::Span& span, int sign) {
    const auto s = static_cast<std::uint64_t>(sign);
    for (const world::Tally& tally : span.versions) {
      requests += s * tally.requests;
      failed += s * tally.failed;
    }
    requests += s * span.dropped;
    failed += s * span.dropped;
  };
  for (const world::Span& span : record.spans) {
    add(span, 1);
    // The shortest stretch that ends here and is still long enough.
    while (span.end - record.spans[first + 1 < record.spans.size() ? first + 1 : first].begin >=
               *window &&
           &record.spans[first] != &span) {
      add(record.spans[first++], -1);
    }
    if (span.end - record.spans[first].begin < *window) continue;
    any = true;
    worst = std::max(worst, rate(failed, requests));
  }
  return any ? worst : whole;
}

std::optional<Duration> time_to_detect(const Record& record) {
  if (!record.decided_at) return std::nullopt;
  const Duration since = record.fault_at.value_or(record.first_canary.value_or(Duration{}));
  return std::max(*record.decided_at - since, Duration{});
}

std::optional<Duration> time_to_rollback(const Record& record) {
  if (!record.rollback_at) return std::nullopt;
  return std::max(record.last_canary.value_or(*record.rollback_at) - *record.rollback_at,
                  Duration{});
}

std::uint64_t total_requests(const Record& record) {
  std::uint64_t sum = record.dropped;
  for (const world::VersionRecord& version : record.versions) sum += version.requests;
  return sum;
}

std::uint64_t total_retries(const Record& record) {
  std::uint64_t sum = 0;
  for (const world::VersionRecord& version : record.versions) sum += version.retries;
  return sum;
}

std::uint64_t total_failed(const Record& record) {
  std::uint64_t sum = record.dropped;
  for (const world::VersionRecord& version : record.versions) sum += version.failed();
  return sum;
}

const world::VersionRecord& canary_of(const world::Spec& spec, const Record& record) {
  return record.versions[world::version_index(spec, spec.plan.canary).value_or(0)];
}

std::optional<std::uint64_t> users_in(const world::VersionRecord& version, std::size_t segment) {
  if (segment >= version.segment_users.size()) return std::nullopt;
  return version.segment_users[segment];
}

std::vector<CheckResult> verdict(const Scenario& scenario, const Record& record) {
  std::vector<CheckResult> results;
  for (const Check& check : scenario.checks) {
    results.push_back(std::visit(Judge{scenario, record}, check.what));
    results.back().place = check.place;
  }
  return results;
}

}  // namespace coalmine::scenario
