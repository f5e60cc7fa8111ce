#include "sim/rollout/importers/argo_metrics.h"

#include <algorithm>
#include <cmath>

namespace coalmine::importers {
namespace {

using rollout::Bound;
using rollout::CheckResult;
using rollout::CheckSpec;
using rollout::Limit;

constexpr int kErrorsInARow = 4;                             // consecutiveErrorLimit
constexpr Duration kRetryErrors = std::chrono::seconds{10};  // DefaultErrorRetryInterval
constexpr int kMaxCount = 1'000'000;

double tidy(double value) {
  return std::round(value * 1e9) / 1e9;
}

/// A bound of the result in the signal's own unit: percent of errors, or seconds.
struct Converted {
  std::optional<Bound> low, high;
};
Converted convert(const Condition& condition, const QueryMeaning& meaning) {
  const auto unit = [&meaning](double value) {
    if (meaning.signal == rollout::Signal::Latency) return value * meaning.seconds;
    const double percent = tidy(100 * value / meaning.whole);
    return meaning.success ? complement(percent) : percent;
  };
  Converted bounds;
  if (condition.above) bounds.low = Bound{unit(*condition.above), condition.above_itself};
  if (condition.below) bounds.high = Bound{unit(*condition.below), condition.below_itself};
  // What is high for successes is low for errors.
  if (meaning.success) std::swap(bounds.low, bounds.high);
  return bounds;
}

std::string query_of(Fields& provider, Report& report) {
  for (const char* key :
       {"prometheus", "datadog", "newRelic", "graphite", "influxdb", "skywalking", "wavefront"}) {
    auto one = provider.map(key);
    if (!one) continue;
    one->skip({"address", "insecure", "headers", "timeout", "authentication", "apiVersion",
               "profile", "interval", "queries", "formula", "rangeQuery", "aggregator",
               "secretRef"});
    std::string query = one->text("query").value_or("");
    one->done();
    return query;
  }
  static_cast<void>(report);
  return {};
}

std::optional<int> limit_of(Fields& metric, const char* key, const Arguments& arguments,
                            std::optional<int> fallback, Report& report) {
  const YamlNode* node = metric.take(key);
  if (node == nullptr) return fallback;
  const auto value = read_number(fill_in(node->text, arguments));
  if (!value || *value != std::floor(*value) || *value < -1 || *value > kMaxCount) {
    report.error(*node, "{} is {}, allowed is a whole number, or -1 for no limit", key,
                 scenario::describe(*node));
    return fallback;
  }
  if (*value < 0) return std::nullopt;
  return static_cast<int>(*value);
}

std::optional<Duration> time_of(Fields& metric, const char* key, const Arguments& arguments,
                                Report& report) {
  const YamlNode* node = metric.take(key);
  if (node == nullptr) return std::nullopt;
  YamlNode filled = *node;
  filled.text = fill_in(node->text, arguments);
  return read_duration(filled, report, false);
}

std::optional<Condition> condition_of(Fields& metric, const char* key, const Arguments& arguments,
                                      Report& report, bool& understood) {
  const YamlNode* node = metric.take(key);
  if (node == nullptr || node->text.empty()) return std::nullopt;
  const auto parsed = parse_condition(fill_in(node->text, arguments));
  if (!parsed) {
    understood = false;
    report.warn(*node,
                "the condition \"{}\" is not understood, so its metric is not carried over; "
                "understood are comparisons of result or result[0] with a number",
                node->text);
  }
  return parsed;
}

/// Without data a Prometheus quotient is NaN, and every comparison with it is false.
CheckResult without_data(const std::optional<Condition>& success,
                         const std::optional<Condition>& failure) {
  const bool succeeds = success && success->no_data_is_true;
  const bool fails = failure && failure->no_data_is_true;
  if (fails) return CheckResult::Failed;
  if (success && !failure) return succeeds ? CheckResult::Passed : CheckResult::Failed;
  if (!success) return CheckResult::Passed;
  return succeeds ? CheckResult::Passed : CheckResult::Inconclusive;
}

void read_counts(Fields& metric, const Arguments& arguments, Report& report, CheckSpec& spec) {
  // Trips at one more than the limit, whatever the manual says: the fourth for failureLimit 3.
  spec.failures = limit_of(metric, "failureLimit", arguments, 0, report);
  spec.inconclusives = limit_of(metric, "inconclusiveLimit", arguments, 0, report);
  spec.errors_in_a_row =
      limit_of(metric, "consecutiveErrorLimit", arguments, kErrorsInARow, report).value_or(1 << 30);
  const auto successes = limit_of(metric, "consecutiveSuccessLimit", arguments, 0, report);
  if (successes && *successes > 0) spec.successes = successes;
  spec.retry_errors = kRetryErrors;
  const auto interval = time_of(metric, "interval", arguments, report);
  if (interval) spec.every = *interval;
  spec.delay = time_of(metric, "initialDelay", arguments, report).value_or(Duration{});
  const auto count = limit_of(metric, "count", arguments, 0, report);
  if (count && *count > 0) {
    spec.count = *count;
    if (*count > 1 && !interval) {
      report.error(metric.node(), "a count of {} needs an interval", *count);
    }
  } else if (!interval) {
    spec.count = 1;  // neither: measured once
  }
}

}  // namespace

std::optional<CheckSpec> read_argo_metric(const YamlNode& node, const Arguments& arguments,
                                          Report& report) {
  Fields metric(node, report, "metrics");
  CheckSpec spec;
  spec.name = metric.text("name").value_or("");
  spec.place = report.place(node);
  spec.counted = rollout::Tally::Rollout;
  read_counts(metric, arguments, report, spec);
  bool understood = true;
  const auto success = condition_of(metric, "successCondition", arguments, report, understood);
  const auto failure = condition_of(metric, "failureCondition", arguments, report, understood);
  std::string query;
  const YamlNode* provider_node = metric.take("provider");
  if (auto provider = metric.map("provider"))
    query = fill_in(query_of(*provider, report), arguments);
  metric.done();
  if (!understood) return std::nullopt;

  Limit limit;
  limit.name = spec.name;
  if (!success && !failure) {
    report.warn(node, "the metric {} has no condition: every measurement of it is a success",
                spec.name);
    limit.signal = rollout::Signal::Constant;
    spec.limits = {limit};
    return spec;
  }
  const auto meaning = meaning_of(query);
  if (!meaning) {
    report.warn(provider_node != nullptr ? *provider_node : node,
                "the metric {} is not carried over: it cannot be told what it measures; known are "
                "Prometheus shares of 5xx answers and histogram_quantile",
                spec.name);
    return std::nullopt;
  }
  report.warn(provider_node != nullptr ? *provider_node : node,
              "the query of {} is not run; it is read as the canary's {}", spec.name,
              meaning->signal == rollout::Signal::Latency
                  ? fmt::format("latency at p{:g}", meaning->quantile * 100)
              : meaning->success ? "share of requests that do not fail"
                                 : "share of requests that fail");
  limit.signal = meaning->signal;
  limit.quantile = meaning->quantile;
  spec.window = meaning->window.value_or(spec.every);
  if (success) {
    const Converted bounds = convert(*success, *meaning);
    limit.pass_min = bounds.low;
    limit.pass_max = bounds.high;
  }
  if (failure) {
    // The failure condition names the bad side: low bounds of it are upper limits.
    const Converted bounds = convert(*failure, *meaning);
    limit.fail_above = bounds.low;
    limit.fail_below = bounds.high;
  }
  spec.no_data = without_data(success, failure);
  spec.limits = {limit};
  return spec;
}

}  // namespace coalmine::importers
