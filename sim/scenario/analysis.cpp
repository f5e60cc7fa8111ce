// `rollout.analysis`: one table for all tests; which key belongs to which is looked at afterwards,
// so that a key of another test is an error and not a silent no-op.
#include "sim/scenario/tables.h"

namespace coalmine::scenario {
namespace {

using rollout::AnalysisSpec;
using rollout::Direction;
using rollout::OnFail;
using rollout::Scope;

enum class TestName {
  ErrorShare,
  Threshold,
  Sprt,
  Bernoulli,
  LateFault,
  Quantile,
  Distribution,
  MannWhitney
};

constexpr std::pair<const char*, TestName> kTests[] = {{"error-share", TestName::ErrorShare},
                                                       {"threshold", TestName::Threshold},
                                                       {"sprt", TestName::Sprt},
                                                       {"bernoulli", TestName::Bernoulli},
                                                       {"late-fault", TestName::LateFault},
                                                       {"quantile", TestName::Quantile},
                                                       {"distribution", TestName::Distribution},
                                                       {"mann-whitney", TestName::MannWhitney}};

std::string name_of(TestName test) {
  for (const auto& [name, value] : kTests) {
    if (value == test) return name;
  }
  return {};
}

struct Draft {
  std::string metric;
  TestName test = TestName::ErrorShare;
  OnFail on_fail = OnFail::Rollback;
  std::optional<Scope> scope;
  std::optional<double> alpha, beta, quantile, between, max_ratio;
  std::optional<Percent> from, to, at_most, max_increase, tolerance;
  std::optional<Duration> over, burst, window, interval, begin_after, lookback, lifetime;
  std::optional<std::string> max;
  std::optional<std::int64_t> min_requests, consecutive, cumulative, of_last, pass, marginal;
  std::optional<Direction> direction;
  std::vector<std::string> segments;
  bool each_segment = false;
  AnalysisSpec spec;
};

/// Refuses the keys of other tests.
bool keys_fit(const YamlNode& node, Reader& reader, const Draft& d) {
  using T = TestName;
  const struct {
    const char* key;
    bool given;
    std::vector<T> owners;
  } keys[] = {
      {"from", d.from.has_value(), {T::Sprt, T::LateFault}},
      {"to", d.to.has_value(), {T::Sprt, T::LateFault}},
      {"beta", d.beta.has_value(), {T::Sprt}},
      {"over", d.over.has_value(), {T::Sprt, T::Bernoulli, T::LateFault}},
      {"at-most", d.at_most.has_value(), {T::Bernoulli}},
      {"between", d.between.has_value(), {T::LateFault}},
      {"max", d.max.has_value(), {T::Threshold}},
      {"max-ratio", d.max_ratio.has_value(), {T::Threshold}},
      {"max-increase", d.max_increase.has_value(), {T::Threshold}},
      {"quantile", d.quantile.has_value(), {T::Threshold, T::Quantile, T::MannWhitney}},
      {"min-requests", d.min_requests.has_value(), {T::Threshold}},
      {"consecutive", d.consecutive.has_value(), {T::Threshold}},
      {"cumulative", d.cumulative.has_value(), {T::Threshold}},
      {"of-last", d.of_last.has_value(), {T::Threshold}},
      {"alpha",
       d.alpha.has_value(),
       {T::ErrorShare, T::Sprt, T::Bernoulli, T::Quantile, T::Distribution}},
      {"burst", d.burst.has_value(), {T::ErrorShare, T::Bernoulli}},
      {"segments", !d.segments.empty(), {T::ErrorShare, T::Bernoulli}},
      {"tolerance", d.tolerance.has_value(), {T::Quantile}},
      {"direction", d.direction.has_value(), {T::Distribution, T::MannWhitney}},
      {"scope", d.scope.has_value(), {T::Threshold, T::Sprt, T::Bernoulli, T::LateFault}},
      {"window", d.window.has_value(), {T::MannWhitney}},
      {"interval", d.interval.has_value(), {T::MannWhitney}},
      {"begin-after", d.begin_after.has_value(), {T::MannWhitney}},
      {"lookback", d.lookback.has_value(), {T::MannWhitney}},
      {"lifetime", d.lifetime.has_value(), {T::MannWhitney}},
      {"pass", d.pass.has_value(), {T::MannWhitney}},
      {"marginal", d.marginal.has_value(), {T::MannWhitney}},
  };
  bool good = true;
  for (const auto& [key, given, owners] : keys) {
    if (!given || std::find(owners.begin(), owners.end(), d.test) != owners.end()) continue;
    std::vector<std::string> names;
    for (const T owner : owners) names.push_back(name_of(owner));
    good = reader.problem(node, "\"{}\" belongs to test {} only", key, join(names));
  }
  return good;
}

/// Keys that depend on the metric as well.
bool metric_fits(const YamlNode& node, Reader& reader, const Draft& d) {
  const bool latency = d.metric == "latency";
  const bool by_share =
      d.test == TestName::Sprt || d.test == TestName::Bernoulli || d.test == TestName::LateFault;
  if (latency && by_share && !d.over) {
    return reader.problem(node, "test {} of latency needs the key \"over\": slower counts",
                          name_of(d.test));
  }
  if (!latency && d.over) return reader.problem(node, "\"over\" belongs to metric latency only");
  if (latency && d.test == TestName::ErrorShare) {
    return reader.problem(node, "test error-share is for metric errors; latency has {}",
                          "threshold, sprt, bernoulli, quantile and distribution");
  }
  if (!latency && (d.test == TestName::Quantile || d.test == TestName::Distribution)) {
    return reader.problem(node, "test {} is for metric latency; errors have error-share",
                          name_of(d.test));
  }
  if (latency && !d.segments.empty()) {
    return reader.problem(value_of(node, "segments"), "\"segments\" belongs to metric errors only");
  }
  if (d.each_segment && d.segments.empty()) {
    return reader.problem(value_of(node, "needs-data"), "\"each-segment\" needs the key segments");
  }
  if (!latency && d.quantile) {
    return reader.problem(node, "\"quantile\" belongs to metric latency only");
  }
  return true;
}

bool make_threshold(const YamlNode& node, Reader& reader, Draft& d) {
  if (!d.max && !d.max_ratio && !d.max_increase) {
    return reader.problem(node, "test threshold needs the key \"max\"");
  }
  rollout::Threshold test;
  const YamlNode& max_node = value_of(node, "max");
  if (d.metric == "errors") {
    if (d.max) {
      const Result<Percent> max = parse_percent(*d.max);
      if (!max || max->value < 0 || max->value > 100) {
        return reader.problem(
            max_node, "max is \"{}\", for errors a share from 0% to 100% is allowed", *d.max);
      }
      test.max_errors = *max;
    }
    test.max_ratio = d.max_ratio;
    test.max_increase = d.max_increase;
  } else {
    if (d.max_ratio || d.max_increase) {
      return reader.problem(node, "max-ratio and max-increase are for metric errors; {}",
                            "test quantile compares latencies with stable's");
    }
    const Result<Duration> max = parse_duration(*d.max);
    if (!max) {
      return reader.problem(
          max_node, "max is \"{}\", for latency a duration such as 250ms is allowed", *d.max);
    }
    test.max_latency = *max;
    test.quantile = d.quantile.value_or(0.99);
  }
  const auto whole = [](std::optional<std::int64_t> n) {
    return n ? std::optional(static_cast<int>(*n)) : std::nullopt;
  };
  test.min_requests = static_cast<std::uint64_t>(d.min_requests.value_or(1));
  test.consecutive = whole(d.consecutive).value_or(1);
  test.cumulative = whole(d.cumulative);
  test.of_last = whole(d.of_last);
  d.spec.test = test;
  return true;
}

bool range_fits(const YamlNode& node, Reader& reader, const Draft& d) {
  if (!d.from || !d.to) {
    return reader.problem(node, "test {} needs the keys \"from\" and \"to\"", name_of(d.test));
  }
  if (!(d.from->value > 0 && d.from->value < d.to->value && d.to->value < 100)) {
    return reader.problem(node, "from is {}, to is {}; needed is 0% < from < to < 100%",
                          to_string(*d.from), to_string(*d.to));
  }
  return true;
}

rollout::JudgeTest make_judge(const Draft& d) {
  using What = rollout::Measure::What;
  rollout::JudgedMetric metric;
  const bool latency = d.metric == "latency";
  metric.name = latency ? "latency" : "error rate";
  metric.measure.what = latency ? What::LatencyQuantile : What::ErrorShare;
  metric.measure.quantile = d.quantile.value_or(0.99);
  metric.measure.window = d.window.value_or(metric.measure.window);
  metric.direction = d.direction.value_or(Direction::Up);
  rollout::JudgeTest test;
  test.metrics = {metric};
  test.interval = d.interval.value_or(test.interval);
  test.begin_after = d.begin_after.value_or(test.begin_after);
  test.lookback = d.lookback.value_or(test.lookback);
  test.lifetime = d.lifetime.value_or(test.lifetime);
  if (d.pass) test.pass = static_cast<double>(*d.pass);
  if (d.marginal) test.marginal = static_cast<double>(*d.marginal);
  return test;
}

bool make_test(const YamlNode& node, Reader& reader, Draft& d) {
  const double alpha = d.alpha.value_or(0.01);
  switch (d.test) {
    case TestName::ErrorShare:
      d.spec.test = rollout::ErrorShareTest{.alpha = alpha};
      return true;
    case TestName::Threshold:
      return make_threshold(node, reader, d);
    case TestName::Sprt:
      if (!range_fits(node, reader, d)) return false;
      d.spec.test = rollout::SprtTest{*d.from, *d.to, alpha, d.beta.value_or(0.01), d.over};
      return true;
    case TestName::Bernoulli:
      if (!d.at_most) return reader.problem(node, "test bernoulli needs the key \"at-most\"");
      d.spec.test = rollout::BernoulliTest{*d.at_most, alpha, 1, 20, d.over};
      return true;
    case TestName::LateFault:
      if (!range_fits(node, reader, d)) return false;
      d.spec.test = rollout::CusumTest{*d.from, *d.to, d.between.value_or(1e6), d.over};
      return true;
    case TestName::Quantile:
      d.spec.test = rollout::QuantileTest{d.quantile.value_or(0.99), alpha,
                                          d.tolerance.value_or(Percent{0}).share()};
      return true;
    case TestName::Distribution:
      d.spec.test = rollout::DistributionTest{alpha, d.direction.value_or(Direction::Up)};
      return true;
    case TestName::MannWhitney:
      d.spec.test = make_judge(d);
      return true;
  }
  return false;
}

bool segments_differ(const YamlNode& node, Reader& reader, const Draft& d) {
  for (std::size_t i = 0; i < d.segments.size(); ++i) {
    const auto end = d.segments.begin() + static_cast<std::ptrdiff_t>(i);
    if (std::find(d.segments.begin(), end, d.segments[i]) == end) continue;
    return reader.problem(value_of(node, "segments").items[i], "the segment \"{}\" is named twice",
                          d.segments[i]);
  }
  return true;
}

bool finish(const YamlNode& node, Reader& reader, Draft& d) {
  if (!keys_fit(node, reader, d) || !metric_fits(node, reader, d)) return false;
  if (!segments_differ(node, reader, d)) return false;
  d.spec.metric = d.metric;
  d.spec.on_fail = d.on_fail;
  d.spec.scope = d.scope.value_or(Scope::Canary);
  d.spec.burst = d.burst;
  d.spec.segments = d.segments;
  d.spec.each_segment = d.each_segment;
  d.spec.place = reader.place(node);
  return make_test(node, reader, d);
}

ObjectRule<Draft> basic_keys() {
  std::vector<std::pair<std::string, TestName>> tests;
  for (const auto& [name, test] : kTests) tests.emplace_back(name, test);
  return ObjectRule<Draft>("what decides whether the canary may go on")
      .required("metric",
                word_rule<std::string>("what is looked at",
                                       {{"errors", "errors"}, {"latency", "latency"}}),
                &Draft::metric)
      .required("test", word_rule<TestName>("how it is judged", std::move(tests)), &Draft::test)
      .optional("on-fail",
                word_rule<OnFail>("what a failed test does; default rollback",
                                  {{"rollback", OnFail::Rollback},
                                   {"pause", OnFail::Pause},
                                   {"ignore", OnFail::Ignore}}),
                &Draft::on_fail)
      .optional(
          "scope",
          word_rule<Scope>(
              "whose requests are looked at; default canary",
              {{"canary", Scope::Canary}, {"stable", Scope::Stable}, {"service", Scope::Service}}),
          &Draft::scope)
      .optional(
          "alpha",
          open_number_rule("at most this share of healthy rollouts fails; default 0.01", 0, 1),
          &Draft::alpha);
}

void share_keys(ObjectRule<Draft>& rule) {
  const auto time = [](std::string doc) {
    return duration_rule(std::move(doc), std::chrono::microseconds{1}, std::chrono::minutes{10});
  };
  rule.optional(
          "beta",
          open_number_rule("sprt: at most this share of faults is missed; default 0.01", 0, 1),
          &Draft::beta)
      .optional("from", percent_rule("sprt, late-fault: share when healthy", 0, 100), &Draft::from)
      .optional("to", percent_rule("sprt, late-fault: share to be found", 0, 100), &Draft::to)
      .optional("at-most", percent_rule("bernoulli: the highest share of a healthy canary", 0, 100),
                &Draft::at_most)
      .optional(
          "between",
          open_number_rule("late-fault: requests between false alarms, on average; default 1000000",
                           1, 1e15),
          &Draft::between)
      .optional("over", time("sprt, bernoulli, late-fault of latency: slower requests count"),
                &Draft::over)
      .optional("burst",
                duration_rule("error-share, bernoulli: failures come in bursts of up to this "
                              "length; one vote per such time",
                              std::chrono::milliseconds{1}, std::chrono::hours{1}),
                &Draft::burst)
      .optional(
          "segments",
          list_rule("error-share, bernoulli of errors: one test for each of these segments of "
                    "the traffic, with one alpha for all",
                    name_rule("name of the segment"), 1, kMaxSegments),
          &Draft::segments)
      .optional(
          "needs-data",
          word_rule<bool>("a bake without canary requests (rollout.on-no-data) is one without "
                          "any, or without one in each of the segments; default any",
                          {{"any", false}, {"each-segment", true}}),
          &Draft::each_segment);
}

void limit_keys(ObjectRule<Draft>& rule) {
  const auto count = [](std::string doc, std::int64_t high) {
    return integer_rule(std::move(doc), 1, high);
  };
  rule.optional("max", text_rule("threshold: highest error share (1%) or latency (250ms)", 40),
                &Draft::max)
      .optional("max-ratio",
                open_number_rule("threshold of errors: at most so many times stable's share", 0,
                                 1'000'000),
                &Draft::max_ratio)
      .optional("max-increase",
                percent_rule("threshold of errors: at most so much above stable's share", 0, 100),
                &Draft::max_increase)
      .optional("quantile",
                quantile_rule("threshold, quantile, mann-whitney of latency: which; default p99"),
                &Draft::quantile)
      .optional("min-requests",
                count("threshold: fewer requests give no verdict; default 1", 1'000'000'000),
                &Draft::min_requests)
      .optional("consecutive", count("threshold: so many periods in a row; default 1", 1000),
                &Draft::consecutive)
      .optional("of-last", count("threshold: `consecutive` of the last so many periods", 1000),
                &Draft::of_last)
      .optional("cumulative", count("threshold: so many periods of the whole rollout", 1000),
                &Draft::cumulative)
      .optional("tolerance",
                percent_rule("quantile: so much above stable's is allowed; default 0%", 0, 1000),
                &Draft::tolerance)
      .optional(
          "direction",
          word_rule<Direction>(
              "distribution, mann-whitney: what is bad; default up (slower, "
              "more)",
              {{"up", Direction::Up}, {"down", Direction::Down}, {"either", Direction::Either}}),
          &Draft::direction);
}

void judge_keys(ObjectRule<Draft>& rule) {
  const auto time = [](std::string doc) {
    return duration_rule("mann-whitney: " + std::move(doc), std::chrono::seconds{1}, kMaxLimit);
  };
  rule.optional("window", time("length of a datapoint; default 1m"), &Draft::window)
      .optional("interval", time("from score to score; default 1h"), &Draft::interval)
      .optional("begin-after", time("datapoints before are left out; default none"),
                &Draft::begin_after)
      .optional("lookback", time("only the last so long counts; default everything"),
                &Draft::lookback)
      .optional("lifetime", time("the score then must reach pass; default never"), &Draft::lifetime)
      .optional("pass", integer_rule("mann-whitney: the last score at least; default 95", 0, 100),
                &Draft::pass)
      .optional("marginal", integer_rule("mann-whitney: every score at least; default 75", 0, 100),
                &Draft::marginal);
}

}  // namespace

const YamlNode& value_of(const YamlNode& node, std::string_view key) {
  for (const auto& [name, value] : node.pairs) {
    if (name.text == key) return value;
  }
  return node;
}

Rule<AnalysisSpec> analysis_rule() {
  ObjectRule<Draft> rule = basic_keys();
  share_keys(rule);
  limit_keys(rule);
  judge_keys(rule);
  Rule<Draft> draft = rule.then(finish).rule();
  return converted<AnalysisSpec>(std::move(draft), [](Draft&& d) { return std::move(d.spec); });
}

}  // namespace coalmine::scenario
