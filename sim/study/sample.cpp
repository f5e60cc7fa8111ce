#include "sim/study/sample.h"

#include <algorithm>

#include "sim/scenario/verdict.h"

namespace coalmine::study {
namespace {

std::uint64_t rounded(double requests) {
  return static_cast<std::uint64_t>(requests + 0.5);
}

}  // namespace

double requests_between(const world::Record& record, std::size_t v, Duration begin, Duration end) {
  double sum = 0;
  for (const world::Span& span : record.spans) {
    const Duration from = std::max(span.begin, begin), to = std::min(span.end, end);
    if (to <= from) continue;
    const double part = to_seconds(to - from) / to_seconds(span.end - span.begin);
    sum += part * static_cast<double>(span.versions[v].requests);
  }
  return sum;
}

BlastParts blast_parts(const world::Spec& spec, const world::Record& record) {
  const std::size_t canary = world::version_index(spec, spec.plan.canary).value_or(0);
  // A fault that was there before the canary's first request begins with that request, which lies
  // somewhere in its span: all of the canary's requests count.
  const Duration first = record.first_canary.value_or(Duration{});
  const Duration fault = record.fault_at.value_or(first);
  const Duration begin = fault > first ? fault : Duration{};
  const auto between = [&](Duration from, Duration to) {
    return requests_between(record, canary, std::max(from, begin), std::max(to, begin));
  };
  BlastParts parts;
  if (!record.decided_at) {
    parts.test = rounded(between(begin, kForever));
    return parts;
  }
  // The newest datapoint that could be read when the analysis decided.
  const Duration period = spec.platform.metric_period;
  const auto periods = (*record.decided_at - spec.platform.metric_delay) / period;
  const Duration complete = period * std::max<std::int64_t>(periods, 0);
  const double deciding = between(complete - period, complete);
  parts.test = rounded(between(begin, complete - period) + deciding / 2);
  parts.route = rounded(between(*record.decided_at, kForever));
  const std::uint64_t all = rounded(between(begin, kForever));
  parts.metrics = all - std::min(all, parts.test + parts.route);
  return parts;
}

Sample make_sample(std::uint32_t index, const scenario::Scenario& scenario,
                   const world::Record& record) {
  Sample sample;
  sample.index = index;
  sample.outcome = record.outcome;
  sample.blamed = record.decided_at.has_value();
  sample.requests = scenario::total_requests(record);
  sample.failed = scenario::total_failed(record);
  sample.dropped = record.dropped;
  const world::VersionRecord& canary = scenario::canary_of(scenario.spec, record);
  sample.canary_requests = canary.requests;
  sample.canary_failed = canary.failed();
  sample.canary_users = record.blast_users;
  sample.segments = canary.segments;
  sample.segment_users = canary.segment_users;
  sample.parts = blast_parts(scenario.spec, record);
  sample.detect = scenario::time_to_detect(record);
  sample.rollback = scenario::time_to_rollback(record);
  sample.promote = record.promoted_at;
  sample.duration = record.duration;
  const auto checks = scenario::verdict(scenario, record);
  for (std::size_t i = 0; i < checks.size(); ++i) {
    if (!checks[i].passed) sample.failed_checks.push_back(static_cast<std::uint32_t>(i));
  }
  return sample;
}

}  // namespace coalmine::study
