#include "sim/rollout/plan.h"

namespace coalmine::rollout {
namespace {

class Checker {
 public:
  explicit Checker(const Plan& plan) : plan_(plan) {}

  std::vector<Error> run() {
    const Place nowhere;
    if (plan_.steps.empty()) add(nowhere, "the plan has no step; write for example weight: 1%");
    if (plan_.steps.size() > kMaxSteps) {
      add(nowhere, "the plan has {} steps, allowed are {}", plan_.steps.size(), kMaxSteps);
    }
    if (plan_.analyses.size() > kMaxAnalyses) {
      add(nowhere, "the plan has {} analyses, allowed are {}", plan_.analyses.size(), kMaxAnalyses);
    }
    if (plan_.stable == plan_.canary) {
      add(nowhere, "stable and canary are both \"{}\"; they must differ", plan_.stable);
    }
    if (plan_.poll <= Duration{}) add(nowhere, "poll must be longer than 0s");
    if (plan_.settle < Duration{}) add(nowhere, "settle must not be negative");
    for (std::size_t i = 0; i < plan_.steps.size(); ++i) check_step(i);
    for (const AnalysisSpec& spec : plan_.analyses) check_analysis(spec);
    return std::move(errors_);
  }

 private:
  template <typename... Args>
  void add(const Place& place, fmt::format_string<Args...> text, Args&&... args) {
    Error found{fmt::format(text, std::forward<Args>(args)...), ErrorKind::Invalid, std::nullopt};
    if (place != Place{}) found.place = place;
    errors_.push_back(std::move(found));
  }

  void check_step(std::size_t i) {
    const Step& step = plan_.steps[i];
    if (const auto* weight = std::get_if<SetWeight>(&step.what)) {
      if (!(weight->canary.value >= 0 && weight->canary.value <= 100)) {
        add(step.place, "weight is {}%, allowed is 0% to 100%", weight->canary.value);
      }
      weight_ = weight->canary.value;
    } else if (const auto* bake = std::get_if<Bake>(&step.what)) {
      if (bake->length <= Duration{}) {
        add(step.place, "bake is {}, allowed is more than 0s", to_string(bake->length));
      }
      if (!weight_) add(step.place, "a bake before any weight: set a weight first");
      if (weight_ && *weight_ > 0 && *weight_ < 100) canary_bakes_ = true;
    } else if (const auto* pause = std::get_if<Pause>(&step.what)) {
      if (pause->timeout && *pause->timeout <= Duration{}) {
        add(step.place, "pause timeout is {}, allowed is more than 0s", to_string(*pause->timeout));
      }
      if (weight_ && *weight_ > 0 && *weight_ < 100) canary_bakes_ = true;
    } else {
      const auto& promote = std::get<Promote>(step.what);
      if (i + 1 != plan_.steps.size()) add(step.place, "promote must be the last step");
      if (promote.version != plan_.canary) {
        add(step.place, "promote names \"{}\", but the canary is \"{}\"", promote.version,
            plan_.canary);
      }
    }
  }

  void check_analysis(const AnalysisSpec& spec) {
    if (spec.metric != "errors" && spec.metric != "latency") {
      add(spec.place, "unknown metric \"{}\"; allowed are errors, latency", spec.metric);
      return;
    }
    if (const auto* share = std::get_if<ErrorShareTest>(&spec.test)) {
      check_level(spec, "alpha", share->alpha);
      if (spec.metric != "errors") {
        add(spec.place, "error-share looks at errors only; for latency use sprt or threshold");
      }
      if (!(share->prior_a > 0) || !(share->prior_b > 0)) {
        add(spec.place, "the prior is Beta({}, {}), both must be above 0", share->prior_a,
            share->prior_b);
      }
    } else if (const auto* sprt = std::get_if<SprtTest>(&spec.test)) {
      check_sprt(spec, *sprt);
    } else {
      check_threshold(spec, std::get<Threshold>(spec.test));
    }
    if (!canary_bakes_ && !std::holds_alternative<Threshold>(spec.test)) {
      add(spec.place,
          "the {} test never sees canary traffic: no bake or pause at a weight between "
          "0% and 100%",
          spec.metric);
    }
  }

  void check_level(const AnalysisSpec& spec, const char* name, double value) {
    if (!(value > 0 && value < 0.5)) {
      add(spec.place, "{} is {}, allowed is above 0 and below 0.5", name, value);
    }
  }

  void check_sprt(const AnalysisSpec& spec, const SprtTest& test) {
    check_level(spec, "alpha", test.alpha);
    check_level(spec, "beta", test.beta);
    if (!(test.from.value > 0 && test.from < test.to && test.to.value < 100)) {
      add(spec.place, "sprt is from {} to {}; allowed is 0% < from < to < 100%",
          to_string(test.from), to_string(test.to));
    }
    if (spec.metric == "latency" && !test.over) {
      add(spec.place,
          "sprt on latency needs over, the limit that counts as slow, as in over: 250ms");
    }
    if (test.over && *test.over <= Duration{}) add(spec.place, "over must be longer than 0s");
  }

  void check_threshold(const AnalysisSpec& spec, const Threshold& test) {
    if (!test.max_errors && !test.max_latency) {
      add(spec.place, "the threshold has no limit; give max-errors or max-latency");
    }
    if (test.max_errors && !(test.max_errors->value >= 0 && test.max_errors->value <= 100)) {
      add(spec.place, "max-errors is {}, allowed is 0% to 100%", to_string(*test.max_errors));
    }
    if (test.max_latency && *test.max_latency <= Duration{}) {
      add(spec.place, "max-latency must be longer than 0s");
    }
    if (!(test.quantile > 0 && test.quantile < 1)) {
      add(spec.place, "quantile is {}, allowed is above 0 and below 1", test.quantile);
    }
    if (test.consecutive < 1) {
      add(spec.place, "consecutive is {}, allowed is 1 or more", test.consecutive);
    }
  }

  const Plan& plan_;
  std::vector<Error> errors_;
  std::optional<double> weight_;
  bool canary_bakes_ = false;
};

}  // namespace

std::vector<Error> check(const Plan& plan) {
  return Checker(plan).run();
}

}  // namespace coalmine::rollout
