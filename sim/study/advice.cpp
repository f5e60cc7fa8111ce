#include "sim/study/advice.h"

#include <algorithm>

#include "sim/rollout/analysis/analysis.h"
#include "sim/study/floor.h"
#include "sim/study/report.h"

namespace coalmine::study {
namespace {

using rollout::Plan;

constexpr double kClearly = 0.85;    ///< of the own plan's cost: less is worth a word
constexpr double kFewMissed = 0.01;  ///< faults let through
constexpr double kMostMissed = 0.5;
constexpr double kSmallWeight = 1;  ///< percent; the first step that hurts hardly anybody
constexpr std::string_view kBySegment = "a test per segment";
constexpr double kFirstLook = 10;  ///< expected evidence, in units of the information floor

bool judges_by_limits(const Plan& plan) {
  return std::none_of(plan.analyses.begin(), plan.analyses.end(),
                      [](const auto& a) { return rollout::is_sequential(a.test); });
}

Plan by_error_share(Plan plan) {
  std::erase_if(plan.analyses, [](const rollout::AnalysisSpec& a) { return a.metric == "errors"; });
  plan.analyses.push_back({"errors", rollout::ErrorShareTest{}, rollout::OnFail::Rollback, {}});
  return plan;
}

/// The named segments, if a fault of the canary lies in one of them and no test looks there.
std::vector<std::string> unwatched_segments(const world::Spec& spec) {
  const auto canary = world::version_index(spec, spec.plan.canary);
  if (!canary || !rollout::segments_of(spec.plan.analyses).empty()) return {};
  const auto scoped = [](const world::Fault& fault) { return !fault.segment.empty(); };
  const auto& faults = spec.versions[*canary].faults;
  const bool hit =
      std::any_of(faults.begin(), faults.end(), scoped) ||
      std::any_of(spec.events.begin(), spec.events.end(), [&](const auto& event) {
        const auto* inject = std::get_if<world::InjectFault>(&event.what);
        return inject != nullptr && inject->target == spec.plan.canary && scoped(inject->fault);
      });
  std::vector<std::string> names;
  for (const world::Segment& segment : spec.traffic.segments) {
    if (hit && (segment.path != "/" || !segment.header.empty())) names.push_back(segment.name);
  }
  return names;
}

/// A test for each segment beside those that there are.
Plan by_segment(Plan plan, std::vector<std::string> segments) {
  rollout::AnalysisSpec analysis;
  analysis.metric = "errors";
  analysis.test = rollout::ErrorShareTest{};
  analysis.segments = std::move(segments);
  plan.analyses.push_back(std::move(analysis));
  return plan;
}

const rollout::SetWeight* first_weight(const Plan& plan) {
  for (const rollout::Step& step : plan.steps) {
    if (const auto* set = std::get_if<rollout::SetWeight>(&step.what)) return set;
  }
  return nullptr;
}

std::optional<Duration> first_bake(const Plan& plan) {
  for (const rollout::Step& step : plan.steps) {
    if (const auto* bake = std::get_if<rollout::Bake>(&step.what)) return bake->length;
  }
  return std::nullopt;
}

Plan with_bakes(Plan plan, double factor) {
  for (rollout::Step& step : plan.steps) {
    if (auto* bake = std::get_if<rollout::Bake>(&step.what)) {
      const auto seconds = static_cast<std::int64_t>(to_seconds(bake->length) * factor + 0.5);
      bake->length = std::chrono::seconds{std::max<std::int64_t>(seconds, 1)};
    }
  }
  return plan;
}

/// A step at `weight` in front, long enough to see the fault there.
Plan begun_smaller(Plan plan, Percent weight, Duration bake) {
  plan.steps.insert(plan.steps.begin(), {rollout::Step{rollout::SetWeight{weight}, {}},
                                         rollout::Step{rollout::Bake{bake}, {}}});
  return plan;
}

std::optional<Duration> first_look(const world::Spec& spec, double weight) {
  const auto floor = information_floor(divergence(spec));
  const double canary_per_s = spec.traffic.rate.per_s * weight / 100;
  if (!floor || canary_per_s <= 0) return std::nullopt;
  const double minutes = kFirstLook * *floor / canary_per_s / 60;
  if (minutes > 60) return std::nullopt;
  return std::chrono::minutes{std::max(1, static_cast<int>(minutes + 0.5))};
}

double mean_of(const Figures& figures, std::string_view metric) {
  const Summary* summary = figures.find(metric);
  return summary == nullptr ? 0 : summary->mean;
}
double harm(const Evaluation& e) {
  return mean_of(e.written, "canary_failed_requests");
}
double promote_s(const Evaluation& e) {
  return mean_of(e.healthy ? *e.healthy : e.written, "time_to_promote_s");
}
double missed(const Evaluation& e) {
  return e.missed_fault ? e.missed_fault->rate : 0;
}

/// Not worse in what people fear most: faults let through and good releases stopped.
bool as_safe(const Evaluation& e, const Evaluation& own) {
  return missed(e) <= std::max(kFewMissed, missed(own)) &&
         e.false_rollback.rate <= std::max(0.01, own.false_rollback.rate) && promote_s(e) > 0;
}

std::string why(const Evaluation& own, const Evaluation& better) {
  if (better.facts.plan == kBySegment) {
    return "A fault of one flow drowns in the errors of all traffic and stands out among the few "
           "requests of its own.";
  }
  if (better.facts.plan.find("error-share") != std::string::npos) {
    return "A limit on an error rate is crossed by chance while few requests were seen, and late "
           "when it is set higher; error-share asks whether the canary has more of the errors "
           "than of the traffic, at any moment.";
  }
  if (better.facts.plan.find("begin at") != std::string::npos) {
    return "The test needs about the same number of requests at any weight; at a small weight "
           "they come slowly enough for the metrics and routes to keep up.";
  }
  if (promote_s(better) < promote_s(own)) {
    return "The fault is found long before the bakes end; the rest of the time only delays good "
           "releases.";
  }
  return "The bakes end before the test has seen enough requests.";
}

}  // namespace

std::vector<Trial> alternatives(const scenario::Scenario& scenario) {
  const Plan& own = scenario.spec.plan;
  std::vector<Trial> trials = {{"your plan", {}, scenario}};
  const auto add = [&](std::string name, Plan plan) {
    scenario::Scenario changed = scenario;
    changed.spec.plan = std::move(plan);
    changed.checks.clear();
    fit_limit(changed.spec);
    if (!rollout::check(changed.spec.plan).empty()) return;
    trials.push_back({std::move(name), {}, std::move(changed)});
  };
  Plan judged = own;
  if (judges_by_limits(own)) {
    judged = by_error_share(own);
    add("judge by error-share", judged);
  }
  if (auto segments = unwatched_segments(scenario.spec); !segments.empty()) {
    judged = by_segment(std::move(judged), std::move(segments));
    add(std::string(kBySegment), judged);
  }
  const rollout::SetWeight* weight = first_weight(own);
  if (weight != nullptr && weight->canary.value > kSmallWeight) {
    for (const double smaller : {kSmallWeight, 5.0}) {
      if (smaller >= weight->canary.value) continue;
      const auto bake = first_look(scenario.spec, smaller);
      if (!bake) continue;
      add(fmt::format("begin at {:g}% for {}", smaller, to_string(*bake)),
          begun_smaller(judged, Percent{smaller}, *bake));
    }
  }
  if (first_bake(own)) {
    add("half the bakes", with_bakes(judged, 0.5));
    add("double the bakes", with_bakes(judged, 2));
  }
  return trials;
}

std::string render_advice(const std::vector<Evaluation>& all) {
  if (all.size() < 2 || !all.front().facts.worse) return {};
  const Evaluation& own = all.front();
  const bool leaky = missed(own) > kFewMissed;
  // Where most faults slip through, what is saved on the way is not saved: they are promoted.
  const bool blind = missed(own) > kMostMissed;
  const Evaluation* less_harm = nullptr;
  const Evaluation* faster = nullptr;
  const Evaluation* tighter = nullptr;
  for (const Evaluation& one : all) {
    if (&one == &own || !as_safe(one, own)) continue;
    const bool patient = promote_s(own) <= 0 || promote_s(one) <= promote_s(own) * 2.01;
    if (!blind && patient && harm(one) < harm(own) * kClearly &&
        (less_harm == nullptr || harm(one) < harm(*less_harm))) {
      less_harm = &one;
    }
    if (!blind && promote_s(one) < promote_s(own) * kClearly && harm(one) <= harm(own) * 1.1 &&
        missed(one) <= missed(own) + 0.002 &&
        (faster == nullptr || promote_s(one) < promote_s(*faster))) {
      faster = &one;
    }
    if (leaky && patient && missed(one) < missed(own) / 2 &&
        (tighter == nullptr || missed(one) < missed(*tighter))) {
      tighter = &one;
    }
  }
  std::string text = "\n";
  const auto say = [&](const Evaluation& better, const std::string& gain) {
    text += wrapped(fmt::format("  {}: {}. {}", better.facts.plan, gain, why(own, better)), 4);
  };
  if (tighter != nullptr) {
    say(*tighter, fmt::format("misses {:.3g}% of such faults instead of {:.3g}%",
                              missed(*tighter) * 100, missed(own) * 100));
  }
  if (less_harm != nullptr && less_harm != tighter) {
    say(*less_harm, fmt::format("{} failed requests per bad release instead of {}",
                                number(harm(*less_harm)), number(harm(own))));
  }
  if (faster != nullptr && faster != less_harm && faster != tighter) {
    say(*faster, fmt::format("promotes in {} instead of {}, at no further harm",
                             rough_duration(promote_s(*faster)), rough_duration(promote_s(own))));
  }
  if (text == "\n") text += "  Nothing close to your plan is clearly better.\n";
  return fmt::format("\nWhat would change it ({} seeds each)\n", number(own.seeds)) +
         render_table(all) + text;
}

}  // namespace coalmine::study
