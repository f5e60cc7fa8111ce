#include "sim/scenario/tables.h"

namespace coalmine::scenario {
namespace {

using rollout::AnalysisSpec;
using rollout::OnFail;

struct StepChoice {
  std::optional<Percent> weight;
  std::optional<Duration> bake;
  std::optional<rollout::Pause> pause;
  std::optional<std::string> promote;
  Place place;
};

Rule<rollout::Pause> pause_rule() {
  return ObjectRule<rollout::Pause>("waits for an operator's resume or promote")
      .optional("timeout",
                duration_rule("rolls back when nobody came; default: waits for ever",
                              std::chrono::seconds{1}, kMaxLimit),
                &rollout::Pause::timeout)
      .rule();
}

rollout::Step to_step(StepChoice&& choice) {
  if (choice.weight) return {rollout::SetWeight{*choice.weight}, choice.place};
  if (choice.bake) return {rollout::Bake{*choice.bake}, choice.place};
  if (choice.pause) return {*choice.pause, choice.place};
  return {rollout::Promote{*choice.promote}, choice.place};
}

Rule<rollout::Step> step_rule() {
  Rule<StepChoice> choice =
      ObjectRule<StepChoice>("one step of the rollout")
          .optional("weight", percent_rule("the canary's share of the traffic", 0, 100),
                    &StepChoice::weight)
          .optional("bake",
                    duration_rule("stay for so long while the analysis runs",
                                  std::chrono::milliseconds{1}, kMaxLimit),
                    &StepChoice::bake)
          .optional("pause", pause_rule(), &StepChoice::pause)
          .optional("promote", name_rule("all traffic to this version; the last step"),
                    &StepChoice::promote)
          .exactly_one_of({"weight", "bake", "pause", "promote"})
          .then([](const YamlNode& node, Reader& reader, StepChoice& step) {
            // The value, where there is one to point at; else the step.
            const YamlNode& value = node.pairs[0].value;
            step.place = reader.place(value.kind == YamlNode::Kind::Scalar ? value : node);
            return true;
          })
          .rule();
  return converted<rollout::Step>(std::move(choice), to_step);
}

enum class TestName { ErrorShare, Threshold, Sprt };

struct AnalysisDraft {
  std::string metric;
  TestName test = TestName::ErrorShare;
  OnFail on_fail = OnFail::Rollback;
  std::optional<double> alpha, beta, quantile;
  std::optional<Percent> from, to;
  std::optional<Duration> over;
  std::optional<std::string> max;
  std::optional<std::int64_t> min_requests, consecutive;
  AnalysisSpec spec;
};

/// A key that the chosen test does not know is an error, not a silent no-op.
bool refuse(const YamlNode& node, Reader& reader, bool given, std::string_view key,
            std::string_view owner) {
  if (!given) return true;
  return reader.problem(node, "\"{}\" belongs to {} only", key, owner);
}

const YamlNode& value_of(const YamlNode& node, std::string_view key) {
  for (const auto& [name, value] : node.pairs) {
    if (name.text == key) return value;
  }
  return node;
}

bool make_threshold(const YamlNode& node, Reader& reader, AnalysisDraft& d) {
  if (!d.max) return reader.problem(node, "test threshold needs the key \"max\"");
  rollout::Threshold test;
  if (d.metric == "errors") {
    const Result<Percent> max = parse_percent(*d.max);
    if (!max || max->value < 0 || max->value > 100) {
      return reader.problem(value_of(node, "max"),
                            "max is \"{}\", for errors a share from 0% to 100% is allowed", *d.max);
    }
    if (!refuse(node, reader, d.quantile.has_value(), "quantile", "metric latency")) return false;
    test.max_errors = *max;
  } else {
    const Result<Duration> max = parse_duration(*d.max);
    if (!max) {
      return reader.problem(value_of(node, "max"),
                            "max is \"{}\", for latency a duration such as 250ms is allowed",
                            *d.max);
    }
    test.max_latency = *max;
    test.quantile = d.quantile.value_or(0.99);
  }
  test.min_requests = static_cast<std::uint64_t>(d.min_requests.value_or(1));
  test.consecutive = static_cast<int>(d.consecutive.value_or(1));
  d.spec.test = test;
  return true;
}

bool make_sprt(const YamlNode& node, Reader& reader, AnalysisDraft& d) {
  if (!d.from || !d.to) return reader.problem(node, "test sprt needs the keys \"from\" and \"to\"");
  if (!(d.from->value > 0 && d.from->value < d.to->value && d.to->value < 100)) {
    return reader.problem(node, "from is {}, to is {}; needed is 0% < from < to < 100%",
                          to_string(*d.from), to_string(*d.to));
  }
  if (d.metric == "latency" && !d.over) {
    return reader.problem(node, "test sprt of latency needs the key \"over\": slower counts");
  }
  if (d.metric == "errors" && !refuse(node, reader, d.over.has_value(), "over", "metric latency")) {
    return false;
  }
  d.spec.test =
      rollout::SprtTest{*d.from, *d.to, d.alpha.value_or(0.01), d.beta.value_or(0.01), d.over};
  return true;
}

bool make_error_share(const YamlNode& node, Reader& reader, AnalysisDraft& d) {
  if (d.metric != "errors") {
    return reader.problem(node, "test error-share is for metric errors; latency has {}",
                          "threshold and sprt");
  }
  rollout::ErrorShareTest test;
  test.alpha = d.alpha.value_or(test.alpha);
  d.spec.test = test;
  return true;
}

bool finish_analysis(const YamlNode& node, Reader& reader, AnalysisDraft& d) {
  const bool sprt = d.test == TestName::Sprt;
  const bool threshold = d.test == TestName::Threshold;
  bool good = refuse(node, reader, !sprt && d.from, "from", "test sprt");
  good = refuse(node, reader, !sprt && d.to, "to", "test sprt") && good;
  good = refuse(node, reader, !sprt && d.beta, "beta", "test sprt") && good;
  good = refuse(node, reader, !sprt && d.over, "over", "test sprt") && good;
  good = refuse(node, reader, !threshold && d.max, "max", "test threshold") && good;
  good = refuse(node, reader, !threshold && d.quantile, "quantile", "test threshold") && good;
  good =
      refuse(node, reader, !threshold && d.min_requests, "min-requests", "test threshold") && good;
  good = refuse(node, reader, !threshold && d.consecutive, "consecutive", "test threshold") && good;
  good = refuse(node, reader, threshold && d.alpha, "alpha", "tests error-share and sprt") && good;
  if (!good) return false;
  d.spec.metric = d.metric;
  d.spec.on_fail = d.on_fail;
  d.spec.place = reader.place(node);
  if (threshold) return make_threshold(node, reader, d);
  return sprt ? make_sprt(node, reader, d) : make_error_share(node, reader, d);
}

Rule<AnalysisSpec> analysis_rule() {
  using D = AnalysisDraft;
  const auto count = [](std::string doc, std::int64_t high) {
    return integer_rule(std::move(doc), 1, high);
  };
  Rule<D> draft =
      ObjectRule<D>("what decides whether the canary may go on")
          .required("metric",
                    word_rule<std::string>("what is looked at",
                                           {{"errors", "errors"}, {"latency", "latency"}}),
                    &D::metric)
          .required("test",
                    word_rule<TestName>("how it is judged", {{"error-share", TestName::ErrorShare},
                                                             {"threshold", TestName::Threshold},
                                                             {"sprt", TestName::Sprt}}),
                    &D::test)
          .optional("on-fail",
                    word_rule<OnFail>("what a failed test does; default rollback",
                                      {{"rollback", OnFail::Rollback},
                                       {"pause", OnFail::Pause},
                                       {"ignore", OnFail::Ignore}}),
                    &D::on_fail)
          .optional(
              "alpha",
              open_number_rule("at most this share of healthy rollouts fails; default 0.01", 0, 1),
              &D::alpha)
          .optional(
              "beta",
              open_number_rule("sprt: at most this share of faults is missed; default 0.01", 0, 1),
              &D::beta)
          .optional("from", percent_rule("sprt: share when healthy", 0, 100), &D::from)
          .optional("to", percent_rule("sprt: share to be found", 0, 100), &D::to)
          .optional("over",
                    duration_rule("sprt of latency: slower requests count",
                                  std::chrono::microseconds{1}, std::chrono::minutes{10}),
                    &D::over)
          .optional("max", text_rule("threshold: highest error share (1%) or latency (250ms)", 40),
                    &D::max)
          .optional("quantile", quantile_rule("threshold of latency: which quantile; default p99"),
                    &D::quantile)
          .optional("min-requests",
                    count("threshold: fewer requests give no verdict; default 1", 1'000'000'000),
                    &D::min_requests)
          .optional("consecutive", count("threshold: so many periods in a row; default 1", 1000),
                    &D::consecutive)
          .then(finish_analysis)
          .rule();
  return converted<AnalysisSpec>(std::move(draft), [](D&& d) { return std::move(d.spec); });
}

}  // namespace

Rule<Rollout> rollout_rule() {
  return ObjectRule<Rollout>("how the new version gets its traffic")
      .optional("traffic",
                word_rule<rollout::TrafficApi>(
                    "what holds the weights; default appmesh",
                    {{"appmesh", rollout::TrafficApi::AppMesh}, {"alb", rollout::TrafficApi::Alb}}),
                &Rollout::traffic)
      .optional("stable", name_rule("the version that has the traffic; default: the other one"),
                &Rollout::stable)
      .optional("canary",
                name_rule("the version to roll out; default: the promoted one, else the second"),
                &Rollout::canary)
      .required("plan", list_rule("the steps, in order", step_rule(), 1, kMaxSteps), &Rollout::plan)
      .optional("analysis",
                list_rule("the tests that run during the bakes", analysis_rule(), 0, 20),
                &Rollout::analysis)
      .then([](const YamlNode& node, Reader& reader, Rollout& rollout) {
        rollout.place = reader.place(value_of(node, "plan"));
        return true;
      })
      .rule();
}

}  // namespace coalmine::scenario
