#include "sim/rollout/analysis/analysis.h"

#include <algorithm>
#include <set>

#include "sim/core/check.h"

namespace coalmine::rollout {
namespace {

ErrorShareTest scaled(ErrorShareTest test, double part) {
  test.alpha *= part;
  return test;
}

SprtTest scaled(SprtTest test, double part) {
  test.alpha *= part;
  return test;
}

/// Three significant digits, no exponent below a million: 813, 0.0324, 2.1e+07.
std::string figure(double value) {
  if (value >= 999.5 && value < 1e6) return fmt::format("{:.0f}", value);
  return fmt::format("{:.3g}", value);
}

std::string percent(double share) {
  return fmt::format("{:.3g}%", share * 100);
}

double ratio(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

Analysis::Analysis(const AnalysisSpec& spec, double alpha_share) : spec_(spec), test_(Limits{}) {
  if (const auto* share = std::get_if<ErrorShareTest>(&spec.test)) {
    test_ = ErrorShare(scaled(*share, alpha_share));
  } else if (const auto* sprt = std::get_if<SprtTest>(&spec.test)) {
    test_ = Sprt(scaled(*sprt, alpha_share));
  } else {
    const auto& limit = std::get<Threshold>(spec.test);
    Limits limits;
    if (limit.max_errors) {
      limits.errors.emplace(limit.max_errors->share(), limit.min_requests, limit.consecutive);
    }
    if (limit.max_latency) {
      limits.latency.emplace(1 - limit.quantile, limit.min_requests, limit.consecutive);
    }
    test_ = limits;
  }
  if (auto* share = std::get_if<ErrorShareTest>(&spec_.test)) share->alpha *= alpha_share;
  if (auto* sprt = std::get_if<SprtTest>(&spec_.test)) sprt->alpha *= alpha_share;
}

void Analysis::add(const MetricsWindow& window, double canary_share) {
  const VersionCounts& canary = window.canary;
  if (auto* share = std::get_if<ErrorShare>(&test_)) {
    share->add({canary.errors, canary.errors + window.stable.errors}, canary_share);
  } else if (auto* sprt = std::get_if<Sprt>(&test_)) {
    const auto& over = std::get<SprtTest>(spec_.test).over;
    const std::uint64_t bad = over ? canary.slower_than(*over) : canary.errors;
    // Slow requests come from another metric than requests and may be ahead of it by a few.
    sprt->add(std::min(bad, canary.requests), canary.requests);
  } else {
    auto& limits = std::get<Limits>(test_);
    if (limits.errors) limits.errors->add(canary.errors, canary.requests);
    if (limits.latency) {
      const auto& spec = std::get<Threshold>(spec_.test);
      limits.latency->add(canary.slower_than(*spec.max_latency), canary.requests);
    }
  }
}

void Analysis::next_step() {
  // The error-share test sees a new step by the share itself.
  if (auto* sprt = std::get_if<Sprt>(&test_)) sprt->next_step();
  if (auto* limits = std::get_if<Limits>(&test_)) {
    if (limits->errors) limits->errors->next_step();
    if (limits->latency) limits->latency->next_step();
  }
}

Verdict Analysis::verdict() const {
  if (const auto* share = std::get_if<ErrorShare>(&test_)) {
    const double alpha = std::get<ErrorShareTest>(spec_.test).alpha;
    return share->evidence() >= 1 / alpha ? Verdict::Fail : Verdict::Continue;
  }
  if (const auto* sprt = std::get_if<Sprt>(&test_)) {
    if (sprt->rejected()) return Verdict::Fail;
    return sprt->accepted() ? Verdict::Accept : Verdict::Continue;
  }
  const auto& limits = std::get<Limits>(test_);
  const bool breached = (limits.errors && limits.errors->breached()) ||
                        (limits.latency && limits.latency->breached());
  return breached ? Verdict::Fail : Verdict::Continue;
}

Evaluation Analysis::evaluate() const {
  Evaluation result;
  if (const auto* share = std::get_if<ErrorShare>(&test_)) {
    result = evaluate_error_share(*share);
  } else if (const auto* sprt = std::get_if<Sprt>(&test_)) {
    result = evaluate_sprt(*sprt);
  } else {
    result = evaluate_limits(std::get<Limits>(test_));
  }
  result.metric = spec_.metric;
  result.verdict = verdict();
  return result;
}

Evaluation Analysis::evaluate_error_share(const ErrorShare& test) const {
  const double needs = 1 / std::get<ErrorShareTest>(spec_.test).alpha;
  const ErrorCounts& errors = test.counted();
  Evaluation e;
  e.test = "error-share";
  e.value = ratio(errors.canary, errors.total);
  e.limit = test.share();
  e.n = errors.total;
  e.statistic = test.evidence();
  e.needs = needs;
  e.sentence = fmt::format("{}: {} of {} from {} of traffic, evidence {} (needs {})", spec_.metric,
                           errors.canary, errors.total, percent(test.share()), figure(e.statistic),
                           figure(needs));
  return e;
}

Evaluation Analysis::evaluate_sprt(const Sprt& test) const {
  const auto& spec = std::get<SprtTest>(spec_.test);
  Evaluation e;
  e.test = "sprt";
  e.value = ratio(test.bad(), test.requests());
  e.limit = spec.to.share();
  e.n = test.requests();
  e.statistic = test.log_ratio();
  e.needs = test.reject_at();
  const std::string bad = spec.over ? fmt::format("slower than {}", coalmine::to_string(*spec.over))
                                    : std::string("failed");
  e.sentence = fmt::format(
      "{}: {} of {} canary requests {} ({} against {}), log-likelihood ratio {:.2f} (fails at "
      "{:.2f}, passes at {:.2f})",
      spec_.metric, test.bad(), test.requests(), bad, coalmine::to_string(spec.to),
      coalmine::to_string(spec.from), test.log_ratio(), test.reject_at(), test.accept_at());
  return e;
}

Evaluation Analysis::evaluate_limits(const Limits& limits) const {
  const auto& spec = std::get<Threshold>(spec_.test);
  const bool by_latency =
      limits.latency &&
      (!limits.errors || (limits.latency->breaches() > limits.errors->breaches()));
  const ShareLimit& limit = by_latency ? *limits.latency : *limits.errors;
  Evaluation e;
  e.test = "threshold";
  e.value = ratio(limit.bad(), limit.requests());
  e.limit = limit.limit();
  e.n = limit.requests();
  e.statistic = limit.breaches();
  e.needs = limit.consecutive();
  const std::string bad =
      by_latency ? fmt::format("slower than {}", coalmine::to_string(*spec.max_latency)) : "failed";
  e.sentence = fmt::format(
      "{}: {} of {} canary requests {} ({}, allowed {}), {} of {} breaches in "
      "a row",
      spec_.metric, limit.bad(), limit.requests(), bad, percent(e.value), percent(e.limit),
      limit.breaches(), limit.consecutive());
  return e;
}

double split_alpha(const std::vector<AnalysisSpec>& specs) {
  const auto spends = [](const AnalysisSpec& spec) {
    return spec.on_fail != OnFail::Ignore && !std::holds_alternative<Threshold>(spec.test);
  };
  const auto n = std::count_if(specs.begin(), specs.end(), spends);
  return n > 1 ? 1.0 / static_cast<double>(n) : 1.0;
}

std::vector<Duration> latency_limits(const std::vector<AnalysisSpec>& specs) {
  std::set<Duration> limits;
  for (const AnalysisSpec& spec : specs) {
    if (const auto* sprt = std::get_if<SprtTest>(&spec.test); sprt != nullptr && sprt->over) {
      limits.insert(*sprt->over);
    }
    if (const auto* plain = std::get_if<Threshold>(&spec.test);
        plain != nullptr && plain->max_latency) {
      limits.insert(*plain->max_latency);
    }
  }
  return {limits.begin(), limits.end()};
}

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::Continue:
      return "continue";
    case Verdict::Accept:
      return "accept";
    case Verdict::Fail:
      return "fail";
  }
  CHECK_FAILED("verdict");
}

}  // namespace coalmine::rollout
