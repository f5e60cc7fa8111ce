#include "sim/rollout/analysis/analysis.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "sim/core/check.h"
#include "sim/rollout/analysis/measure.h"

namespace coalmine::rollout {
namespace {

template <typename... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};
template <typename... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

/// Beyond so many standard deviations chance is no explanation: once in 10^9 datapoints.
constexpr double kForeignDeviations = 6;

/// Whether the canary had more requests than its share explains: somebody else set the weights.
/// Looks at requests alone, so it does not favour either version's errors.
bool outgrows(const MetricsWindow& window, double share) {
  const auto canary = static_cast<double>(window.canary.requests);
  const double all = canary + static_cast<double>(window.stable.requests);
  const double deviation = std::sqrt(all * share * (1 - share));
  return canary > all * share + kForeignDeviations * deviation + 1;
}

}  // namespace

Analysis::Test Analysis::make(const AnalysisSpec& spec, double alpha_share) {
  AnalysisSpec part = spec;
  part.test = with_alpha_part(spec.test, alpha_share);
  if (!spec.segments.empty()) return Segmented(part);
  return std::visit(
      Overloaded{[&](const ErrorShareTest& t) -> Test { return ErrorShare(t, spec.burst); },
                 [&](const BernoulliTest& t) -> Test { return Bernoulli(t, spec.burst); },
                 [](const SprtTest& t) -> Test { return Sprt(t); },
                 [](const Threshold& t) -> Test { return ShareLimit(t); },
                 [](const CusumTest& t) -> Test { return Cusum(t); },
                 [](const QuantileTest& t) -> Test { return QuantileCompare(t); },
                 [](const DistributionTest& t) -> Test { return DistributionCompare(t); },
                 [](const JudgeTest& t) -> Test { return Judge(t); }},
      part.test);
}

Analysis::Analysis(const AnalysisSpec& spec, double alpha_share)
    : metric_(spec.metric),
      scope_(spec.scope),
      alpha_(alpha_of(spec.test) * alpha_share),
      test_(make(spec, alpha_share)) {}

void Analysis::add(const MetricsWindow& window, double canary_share, bool settled) {
  const Observation seen{window, canary_share, settled && !outgrows(window, canary_share)};
  std::visit([&](auto& t) { t.add(seen, scope_); }, test_);
}

void Analysis::next_step() {
  // Error-share sees a new step by the share itself; CUSUM goes on.
  std::visit(
      [](auto& t) {
        if constexpr (requires { t.next_step(); }) t.next_step();
      },
      test_);
}

Verdict Analysis::verdict() const {
  return std::visit([](const auto& t) { return t.verdict(); }, test_);
}

Evaluation Analysis::evaluate() const {
  Evaluation result = std::visit([](const auto& t) { return t.evaluate(); }, test_);
  result.metric = metric_;
  result.verdict = verdict();
  result.sentence = metric_ + ": " + result.sentence;
  if (scope_ != Scope::Canary) {
    result.sentence += scope_ == Scope::Stable ? " [of stable]" : " [of the whole service]";
  }
  return result;
}

std::optional<double> Analysis::evidence() const {
  return std::visit(Overloaded{[](const ErrorShare& t) { return std::optional(t.evidence()); },
                               [](const Bernoulli& t) { return std::optional(t.evidence()); },
                               [](const Segmented& t) { return std::optional(t.evidence()); },
                               [](const Sprt& t) { return std::optional(t.evidence()); },
                               [](const QuantileCompare& t) { return std::optional(t.evidence()); },
                               [](const auto&) { return std::optional<double>(); }},
                    test_);
}

double split_alpha(const std::vector<AnalysisSpec>& specs) {
  const auto spends = [](const AnalysisSpec& spec) {
    return spec.on_fail != OnFail::Ignore && is_sequential(spec.test);
  };
  const auto n = std::count_if(specs.begin(), specs.end(), spends);
  return n > 1 ? 1.0 / static_cast<double>(n) : 1.0;
}

Merged merge_evidence(const std::vector<Analysis>& analyses, const std::vector<bool>& counts) {
  CHECK(counts.size() == analyses.size());
  Merged merged;
  double most = -1;
  for (std::size_t i = 0; i < analyses.size(); ++i) {
    const auto evidence = counts[i] ? analyses[i].evidence() : std::nullopt;
    if (!evidence) continue;
    const double part = analyses[i].alpha() * *evidence;
    merged.sum += part;
    ++merged.tests;
    if (part <= most) continue;
    most = part;
    merged.strongest = i;
  }
  return merged;
}

Evaluation evaluate_merged(const std::vector<Analysis>& analyses, const Merged& merged) {
  Evaluation e = analyses[merged.strongest].evaluate();
  if (e.verdict == Verdict::Fail) return e;
  e.verdict = merged.fails() ? Verdict::Fail : e.verdict;
  e.statistic = merged.sum;
  e.needs = 1;
  e.sentence += fmt::format("; the {} tests together reach {} of what is needed", merged.tests,
                            percent_text(merged.sum));
  return e;
}

std::vector<Duration> latency_limits(const std::vector<AnalysisSpec>& specs) {
  std::vector<Duration> limits;
  const auto over = [&limits](std::optional<Duration> limit) {
    if (limit) limits.push_back(*limit);
  };
  const auto grid = [&limits] {
    limits.insert(limits.end(), latency_grid().begin(), latency_grid().end());
  };
  for (const AnalysisSpec& spec : specs) {
    std::visit(
        Overloaded{[&](const SprtTest& t) { over(t.over); },
                   [&](const BernoulliTest& t) { over(t.over); },
                   [&](const CusumTest& t) { over(t.over); },
                   [&](const Threshold& t) { over(t.max_latency); },
                   [&](const QuantileTest&) { grid(); }, [&](const DistributionTest&) { grid(); },
                   [&](const JudgeTest& t) {
                     for (const JudgedMetric& metric : t.metrics) {
                       if (metric.measure.what == Measure::What::LatencyQuantile) grid();
                     }
                   },
                   [](const ErrorShareTest&) {}},
        spec.test);
  }
  const std::set<Duration> each(limits.begin(), limits.end());
  return {each.begin(), each.end()};
}

std::vector<std::string> segments_of(const std::vector<AnalysisSpec>& specs) {
  std::set<std::string> names;
  for (const AnalysisSpec& spec : specs) names.insert(spec.segments.begin(), spec.segments.end());
  return {names.begin(), names.end()};
}

}  // namespace coalmine::rollout
