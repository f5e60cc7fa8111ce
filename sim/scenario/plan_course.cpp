#include "sim/scenario/plan_course.h"

#include <algorithm>

#include "sim/engine/world/rate_curve.h"
#include "sim/engine/world/route_matches.h"
#include "sim/rollout/analysis/analysis.h"
#include "sim/rollout/plan_parts.h"

namespace coalmine::scenario {
namespace {

constexpr int kMostWindows = 20'000;  ///< more datapoints are taken together

/// When the next operator resumes, promotes or aborts behind `t`; nullopt: none does.
std::optional<Duration> spoken_after(const world::Spec& spec, Duration t) {
  for (const world::Event& event : spec.events) {
    const auto* speaks = std::get_if<world::OperatorSpeaks>(&event.what);
    if (speaks == nullptr || event.at < t) continue;
    if (speaks->command != world::OperatorCommand::Pause) return event.at;
  }
  return std::nullopt;
}

struct Length {
  Duration length{};
  bool goes_on = true;
};

Length length_of(const world::Spec& spec, const rollout::Step& step, Duration t) {
  const auto* pause = std::get_if<rollout::Pause>(&step.what);
  if (pause == nullptr) {
    rollout::Plan alone;
    alone.steps = {step};
    return {rollout::shortest_length(alone)};
  }
  const auto spoken = spoken_after(spec, t);
  if (spoken && (!pause->timeout || *spoken <= t + *pause->timeout)) return {*spoken - t};
  if (!pause->gate.empty()) return {};  // it may be open
  if (!pause->timeout) return {std::max(spec.limit - t, Duration{}), false};
  return {*pause->timeout, pause->on_timeout == rollout::OnTimeout::Continue};
}

/// Rounds what has come in all, so that no request is lost between windows.
class Whole {
 public:
  std::uint64_t add(double expected) {
    sum_ += expected;
    const auto now = static_cast<std::uint64_t>(sum_ + 0.5);
    const std::uint64_t more = now - given_;
    given_ = now;
    return more;
  }

 private:
  double sum_ = 0;
  std::uint64_t given_ = 0;
};

rollout::VersionCounts counts_of(std::uint64_t requests, bool bad,
                                 const std::vector<Duration>& limits) {
  rollout::VersionCounts counts{requests, bad ? requests : 0, {}};
  for (const Duration limit : limits) counts.slow.push_back({limit, counts.errors});
  return counts;
}

}  // namespace

PlanCourse plan_course(const world::Spec& spec) {
  PlanCourse course;
  course.operated = std::any_of(spec.events.begin(), spec.events.end(), [](const auto& event) {
    const auto* speaks = std::get_if<world::OperatorSpeaks>(&event.what);
    return speaks != nullptr && (speaks->command == world::OperatorCommand::Promote ||
                                 speaks->command == world::OperatorCommand::Abort);
  });
  double share = 0, weighted = 0, matched = 0, own_share = 0, mirrored = 0;
  bool begun = false;
  const auto share_out = [&] {
    share = weighted * (1 - matched) + matched;
    if (own_share < 1) own_share = weighted;
    begun |= share > 0 || own_share > 0;
  };
  for (std::size_t i = 0; i < spec.plan.steps.size() && !course.stuck_at; ++i) {
    const rollout::Step& step = spec.plan.steps[i];
    if (const auto* weight = std::get_if<rollout::SetWeight>(&step.what)) {
      weighted = weight->canary.share();
      share_out();
      continue;
    }
    if (const auto* mirror = std::get_if<rollout::Mirror>(&step.what)) {
      mirrored = mirror->share.share();
      continue;
    }
    if (const auto* route = std::get_if<rollout::RouteMatching>(&step.what)) {
      matched = world::matched_share(spec, route->any_of);
      own_share = world::matches_own_load(route->any_of, spec.plan.traffic) ? 1 : weighted;
      share_out();
      continue;
    }
    const auto* experiment = std::get_if<rollout::Experiment>(&step.what);
    const double before = weighted;
    if (experiment != nullptr) {
      weighted = experiment->share.share();
      share_out();
    }
    const Length length = length_of(spec, step, course.length);
    if (!length.goes_on) course.stuck_at = i;
    const Duration end = course.length + length.length;
    const double own = begun && spec.plan.load ? spec.plan.load->rate.per_s : 0;
    if (end > course.length) {
      course.stays.push_back({i, course.length, end, share, own, own > 0 ? own_share : 0, mirrored,
                              experiment != nullptr});
    }
    course.length = end;
    if (experiment != nullptr) {
      weighted = before;
      share_out();
    }
  }
  return course;
}

double expected_canary_requests(const world::Spec& spec, const PlanCourse& course) {
  const world::RateCurve curve(spec.traffic);
  double sum = 0;
  for (const Stay& stay : course.stays) {
    const double users = curve.expected(stay.begin, stay.end);
    sum += users * (stay.share + (1 - stay.share) * stay.mirrored) +
           stay.own_per_s * to_seconds(stay.end - stay.begin) * stay.own_share;
  }
  return sum;
}

bool convicts_the_worst(const world::Spec& spec, const PlanCourse& course,
                        const rollout::AnalysisSpec& analysis, double alpha_share,
                        std::optional<std::size_t> segment) {
  const world::RateCurve curve(spec.traffic);
  const std::vector<Duration> limits = rollout::latency_limits({analysis});
  const Duration window =
      std::max(spec.platform.metric_period, Duration{course.length / kMostWindows});
  const double part = segment ? spec.traffic.segments[*segment].share.share() : 1;
  rollout::Analysis test(analysis, alpha_share);
  Whole stable, canary, stable_part, canary_part;
  double share = 0;
  for (const Stay& stay : course.stays) {
    if (stay.share != share) test.next_step();
    share = stay.share;
    // Of the requests, those of the version that the canary is compared with.
    const double others = stay.compared ? share : 1 - share;
    for (Duration t = stay.begin; t < stay.end; t += window) {
      const Duration until = std::min(stay.end, t + window);
      const double n = curve.expected(t, until);
      const double own = stay.own_per_s * to_seconds(until - t), own_share = stay.own_share;
      rollout::MetricsWindow seen{
          kVirtualEpoch + t, kVirtualEpoch + until,
          counts_of(stable.add(n * others + own * (1 - own_share)), false, limits),
          counts_of(canary.add(n * (share + (1 - share) * stay.mirrored) + own * own_share),
                    !segment, limits)};
      if (segment) {
        seen.segments.push_back({spec.traffic.segments[*segment].name,
                                 counts_of(stable_part.add(n * others * part), false, limits),
                                 counts_of(canary_part.add(n * share * part), true, limits)});
      }
      test.add(seen, stay.compared ? 0.5 : share,
               stay.mirrored == 0 && (share == own_share || own == 0));
      if (test.verdict() == rollout::Verdict::Fail) return true;
    }
  }
  return false;
}

}  // namespace coalmine::scenario
