#include "sim/scenario/plan_course.h"

#include <algorithm>

#include "sim/engine/world/rate_curve.h"
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
  double share = 0;
  for (std::size_t i = 0; i < spec.plan.steps.size() && !course.stuck_at; ++i) {
    const rollout::Step& step = spec.plan.steps[i];
    if (const auto* weight = std::get_if<rollout::SetWeight>(&step.what)) {
      share = weight->canary.share();
      continue;
    }
    const Length length = length_of(spec, step, course.length);
    if (!length.goes_on) course.stuck_at = i;
    const Duration end = course.length + length.length;
    if (end > course.length) course.stays.push_back({i, course.length, end, share});
    course.length = end;
  }
  return course;
}

double expected_canary_requests(const world::Spec& spec, const PlanCourse& course) {
  const world::RateCurve curve(spec.traffic);
  double sum = 0;
  for (const Stay& stay : course.stays) sum += curve.expected(stay.begin, stay.end) * stay.share;
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
    for (Duration t = stay.begin; t < stay.end; t += window) {
      const Duration until = std::min(stay.end, t + window);
      const double n = curve.expected(t, until);
      rollout::MetricsWindow seen{kVirtualEpoch + t, kVirtualEpoch + until,
                                  counts_of(stable.add(n * (1 - share)), false, limits),
                                  counts_of(canary.add(n * share), !segment, limits)};
      if (segment) {
        seen.segments.push_back({spec.traffic.segments[*segment].name,
                                 counts_of(stable_part.add(n * (1 - share) * part), false, limits),
                                 counts_of(canary_part.add(n * share * part), true, limits)});
      }
      test.add(seen, share);
      if (test.verdict() == rollout::Verdict::Fail) return true;
    }
  }
  return false;
}

}  // namespace coalmine::scenario
