#include "sim/rollout/analysis/spec_check.h"

#include <algorithm>

#include "sim/rollout/analysis/bounds.h"

namespace coalmine::rollout {
namespace {

class SpecChecker {
 public:
  SpecChecker(const AnalysisSpec& spec, const PlanView& view) : spec_(spec), view_(view) {}

  std::vector<Error> errors() && {
    if (spec_.metric != "errors" && spec_.metric != "latency") {
      add("unknown metric \"{}\"; allowed are errors, latency", spec_.metric);
      return std::move(found_);
    }
    std::visit([this](const auto& test) { check_test(test); }, spec_.test);
    check_scope();
    check_extras();
    return std::move(found_);
  }

  std::vector<Error> warnings() && {
    if (spec_.scope == Scope::Service) warn_service();
    if (const auto* late = std::get_if<CusumTest>(&spec_.test)) {
      if (spec_.on_fail == OnFail::Rollback) {
        add("late-fault promises one false alarm in {:.3g} requests, not an alpha: it adds to what "
            "the other tests promise together",
            late->between);
      }
    }
    if (const auto* sprt = std::get_if<SprtTest>(&spec_.test)) {
      if (sprt->to.value < 1.5 * sprt->from.value) {
        add("telling {} from {} takes at least {:.0f} canary requests on average",
            to_string(sprt->to), to_string(sprt->from),
            least_requests(sprt->from.share(), sprt->to.share(), sprt->alpha, sprt->beta));
      }
    }
    return std::move(found_);
  }

 private:
  template <typename... Args>
  void add(fmt::format_string<Args...> text, Args&&... args) {
    Error error{fmt::format(text, std::forward<Args>(args)...), ErrorKind::Invalid, std::nullopt};
    if (spec_.place != Place{}) error.place = spec_.place;
    found_.push_back(std::move(error));
  }

  void check_level(const char* name, double value) {
    if (!(value > 0 && value < 0.5)) {
      add("{} is {}, allowed is above 0 and below 0.5", name, value);
    }
  }
  void check_prior(double a, double b) {
    if (!(a > 0) || !(b > 0)) add("the prior is Beta({}, {}), both must be above 0", a, b);
  }
  void check_shares(const char* test, Percent from, Percent to) {
    if (!(from.value > 0 && from < to && to.value < 100)) {
      add("{} is from {} to {}; allowed is 0% < from < to < 100%", test, to_string(from),
          to_string(to));
    }
  }
  void check_limit(std::optional<Duration> limit, const char* name) {
    if (limit && (*limit < kMinLatencyLimit || *limit > kMaxLatencyLimit)) {
      add("{} is {}, outside of what latencies are counted in: {} to {}", name, to_string(*limit),
          to_string(kMinLatencyLimit), to_string(kMaxLatencyLimit));
    }
  }
  /// Tests on a share of bad requests: on latency they need to know what is slow.
  void check_over(std::optional<Duration> over) {
    const std::string test(test_name(spec_.test));
    if (spec_.metric == "latency" && !over) {
      add("{} on latency needs over, the limit that counts as slow, as in over: 250ms", test);
    }
    if (spec_.metric == "errors" && over) add("over belongs to metric latency only");
    check_limit(over, "over");
  }
  void check_sees_canary() {
    if (view_.compares) return;
    add("the {} test never sees canary traffic: no bake or pause at a weight between 0% and 100%",
        spec_.metric);
  }

  void check_test(const ErrorShareTest& t) {
    check_level("alpha", t.alpha);
    check_prior(t.prior_a, t.prior_b);
    if (spec_.metric != "errors") {
      add("error-share looks at errors only; for latency use bernoulli, sprt, quantile or "
          "threshold");
    }
    check_sees_canary();
  }
  void check_test(const SprtTest& t) {
    check_level("alpha", t.alpha);
    check_level("beta", t.beta);
    check_shares("sprt", t.from, t.to);
    check_over(t.over);
    check_sees_canary();
  }
  void check_test(const BernoulliTest& t) {
    check_level("alpha", t.alpha);
    check_prior(t.prior_a, t.prior_b);
    if (!(t.at_most.value > 0 && t.at_most.value < 100)) {
      add("at-most is {}, allowed is above 0% and below 100%", to_string(t.at_most));
    }
    check_over(t.over);
    check_sees_canary();
  }
  void check_test(const CusumTest& t) {
    check_shares("late-fault", t.from, t.to);
    if (!(t.between > 1)) add("between is {}, allowed is above 1 request", t.between);
    check_over(t.over);
    check_sees_canary();
  }
  void check_latency_only() {
    if (spec_.metric != "latency") {
      add("{} compares latencies; for errors use error-share", test_name(spec_.test));
    }
  }
  void check_test(const QuantileTest& t) {
    check_level("alpha", t.alpha);
    check_latency_only();
    if (!(t.quantile > 0 && t.quantile < 1)) {
      add("quantile is {}, allowed is above 0 and below 1", t.quantile);
    }
    if (!(t.tolerance >= 0 && t.tolerance <= 10)) {
      add("tolerance is {}, allowed is 0 to 10", t.tolerance);
    }
    check_sees_canary();
  }
  void check_test(const DistributionTest& t) {
    check_level("alpha", t.alpha);
    check_latency_only();
    check_sees_canary();
  }
  void check_test(const JudgeTest& t) {
    if (t.metrics.empty()) add("the judge has no metric to look at");
    if (t.interval <= Duration{}) add("interval must be longer than 0s");
    if (!(t.marginal >= 0 && t.marginal <= t.pass && t.pass <= 100)) {
      add("marginal is {}, pass is {}; allowed is 0 <= marginal <= pass <= 100", t.marginal,
          t.pass);
    }
    double listed = 0;
    for (const JudgeTest::Group& group : t.groups) listed += group.weight;
    if (listed > 100 + 1e-9) add("the weights of the groups sum to {}, allowed is 100", listed);
    for (const JudgedMetric& metric : t.metrics) {
      if (metric.measure.window <= Duration{}) {
        add("the datapoints of {} must be longer than 0s", metric.name);
      }
      if (!(metric.confidence > 0 && metric.confidence < 1)) {
        add("confidence is {}, allowed is above 0 and below 1", metric.confidence);
      }
    }
    check_sees_canary();
  }
  void check_test(const Threshold& t) {
    if (!t.max_errors && !t.max_latency && !t.max_ratio && !t.max_increase) {
      add("the threshold has no limit; give max-errors or max-latency");
    }
    if (t.max_errors && !(t.max_errors->value >= 0 && t.max_errors->value <= 100)) {
      add("max-errors is {}, allowed is 0% to 100%", to_string(*t.max_errors));
    }
    if (t.max_increase && !(t.max_increase->value >= 0 && t.max_increase->value <= 100)) {
      add("max-increase is {}, allowed is 0% to 100%", to_string(*t.max_increase));
    }
    if (t.max_ratio && !(*t.max_ratio >= 1)) {
      add("max-ratio is {}, allowed is 1 or more", *t.max_ratio);
    }
    check_limit(t.max_latency, "max-latency");
    if (!(t.quantile > 0 && t.quantile < 1)) {
      add("quantile is {}, allowed is above 0 and below 1", t.quantile);
    }
    if (t.consecutive < 1) add("consecutive is {}, allowed is 1 or more", t.consecutive);
    if (t.cumulative && *t.cumulative < 1) {
      add("cumulative is {}, allowed is 1 or more", *t.cumulative);
    }
    if (t.of_last && *t.of_last < t.consecutive) {
      add("of-last is {}, allowed is at least the {} breaches that fail", *t.of_last,
          t.consecutive);
    }
    if (t.cumulative && t.of_last) add("cumulative and of-last are two ways to count: choose one");
    if ((t.max_ratio || t.max_increase) && !view_.compares) check_sees_canary();
  }

  void check_scope() {
    if (spec_.scope == Scope::Canary) return;
    if (std::holds_alternative<ErrorShareTest>(spec_.test)) {
      add("error-share compares the canary with stable; it has no other scope");
    } else if (spec_.scope == Scope::Stable && spec_.on_fail != OnFail::Ignore) {
      add("scope stable judges the version that is not being rolled out: a bad canary is never "
          "seen. Use scope canary, or on-fail: ignore to only watch it");
    }
  }

  void check_extras() {
    const bool mixture = std::holds_alternative<ErrorShareTest>(spec_.test) ||
                         std::holds_alternative<BernoulliTest>(spec_.test);
    if (spec_.burst && !mixture) {
      add("burst is for error-share and bernoulli; {} counts every request by itself",
          test_name(spec_.test));
    }
    if (spec_.burst && *spec_.burst <= Duration{}) add("burst must be longer than 0s");
    if (!spec_.segments.empty() && !mixture) {
      add("tests per segment are error-share and bernoulli; {} has none", test_name(spec_.test));
    }
    if (!spec_.segments.empty() && spec_.metric != "errors") {
      add("tests per segment are for metric errors; latencies are known for whole versions only");
    }
  }

  /// A canary of share w that fails entirely moves the service's error share by w.
  void warn_service() {
    std::optional<Percent> limit;
    if (const auto* t = std::get_if<Threshold>(&spec_.test)) limit = t->max_errors;
    if (const auto* t = std::get_if<BernoulliTest>(&spec_.test)) limit = t->at_most;
    if (const auto* t = std::get_if<SprtTest>(&spec_.test)) limit = t->to;
    if (spec_.metric == "errors" && limit && limit->value >= view_.highest_weight) {
      add("scope service cannot see this canary: at {:.3g}% of the traffic one that fails always "
          "adds {:.3g}% errors, the limit is {}. Use scope canary",
          view_.highest_weight, view_.highest_weight, to_string(*limit));
    } else {
      add("scope service dilutes the canary: at {:.3g}% of the traffic only that part of its "
          "failures shows. Use scope canary",
          view_.highest_weight);
    }
  }

  const AnalysisSpec& spec_;
  const PlanView& view_;
  std::vector<Error> found_;
};

}  // namespace

std::vector<Error> check(const AnalysisSpec& spec, const PlanView& view) {
  return SpecChecker(spec, view).errors();
}

std::vector<Error> warnings(const AnalysisSpec& spec, const PlanView& view) {
  return SpecChecker(spec, view).warnings();
}

}  // namespace coalmine::rollout
