#include "sim/lab/tally.h"

#include <algorithm>
#include <set>

namespace coalmine::lab {
namespace {

using world::Ending;
using world::Span;

/// Stretches of [0, end) with weights known or not, cut at metric periods.
std::vector<Span> make_spans(const world::Spec& spec, const std::vector<InForce>& in_force,
                             Duration end) {
  std::vector<Span> spans;
  const Duration period = spec.platform.metric_period;
  const auto add = [&](Duration begin, Duration until, const std::vector<std::uint32_t>& weights) {
    until = std::min(until, end);
    while (begin < until) {
      const Duration cut = std::min(until, (begin / period + 1) * period);
      spans.push_back({begin, cut, weights, std::vector<world::Tally>(spec.versions.size()), 0});
      begin = cut;
    }
  };
  Duration at{};
  for (const InForce& known : in_force) {
    const Duration from = std::max(known.from, at);
    add(at, from, {});
    add(from, known.until, known.by_marks ? std::vector<std::uint32_t>{} : known.weights);
    at = std::max(from, known.until);
  }
  add(at, end, {});
  return spans;
}

/// The span a request belongs to. One that was sent shortly before a change may have been picked
/// after it: it goes where the weights are unknown.
std::size_t span_of(const std::vector<Span>& spans, const Seen& seen, Duration pick_lag) {
  const auto at_time = [&spans](Duration t) {
    const auto behind = std::upper_bound(spans.begin(), spans.end(), t,
                                         [](Duration d, const Span& s) { return d < s.begin; });
    return behind == spans.begin() ? 0 : static_cast<std::size_t>(behind - spans.begin() - 1);
  };
  const std::size_t first = at_time(seen.sent);
  const Duration picked = std::min(seen.sent + pick_lag, seen.due + seen.latency);
  const std::size_t last = at_time(std::max(picked, seen.sent));
  for (std::size_t i = first; i <= last; ++i) {
    if (spans[i].weights.empty()) return i;
  }
  return first;
}

/// Whether the gateway's own answer says that a version had the request and did not answer it.
/// Of a version without a task that could be connected to it says something else.
bool version_broke(const LoadSample& sample) {
  for (const char* words : {"closed the connection", "did not answer", "no answer within"}) {
    if (sample.reason.find(words) != std::string::npos) return true;
  }
  return false;
}
bool tells(const LoadSample& sample, const std::string& target) {
  return sample.reason.find(target) != std::string::npos;
}

}  // namespace

Seen judge(const LoadSample& sample, const world::Spec& spec,
           const std::vector<std::string>& targets, double speed) {
  const auto scenario_time = [speed](Duration d) { return from_seconds(to_seconds(d) * speed); };
  Seen seen{scenario_time(sample.due),
            scenario_time(sample.sent),
            scenario_time(sample.latency),
            -1,
            Ending::Ok,
            sample.path,
            sample.user};
  for (std::size_t v = 0; v < spec.versions.size(); ++v) {
    // Weights send requests to services; after an image swap stable's runs the canary's build.
    const bool served = sample.service.empty() ? sample.version == spec.versions[v].name
                                               : sample.service == targets[v];
    if (served || (version_broke(sample) && tells(sample, targets[v]))) {
      seen.version = static_cast<int>(v);
    }
  }
  if (seen.version < 0) {
    seen.ending = Ending::Dropped;
  } else if (sample.timed_out || (sample.status == 504 && sample.version.empty())) {
    seen.ending = Ending::Timeout;
  } else if (sample.truncated || sample.status == 0) {
    seen.ending = Ending::Truncated;
  } else if (sample.status >= 500) {
    seen.ending = sample.version.empty() ? Ending::Reset : Ending::Error;
  } else if (sample.wrong) {
    seen.ending = Ending::Wrong;
  }
  return seen;
}

void count_up(const world::Spec& spec, std::vector<Seen> all, const std::vector<InForce>& in_force,
              Duration end, Duration pick_lag, world::Record& record) {
  std::sort(all.begin(), all.end(), [](const Seen& a, const Seen& b) { return a.due < b.due; });
  std::vector<Span> spans = make_spans(spec, in_force, end);
  const std::size_t canary = world::version_index(spec, spec.plan.canary).value_or(0);
  std::set<std::uint64_t> known;
  std::vector<std::set<std::uint64_t>> known_there(record.versions[canary].segments.size());
  for (const Seen& seen : all) {
    Span* span = spans.empty() ? nullptr : &spans[span_of(spans, seen, pick_lag)];
    if (seen.version < 0) {
      ++record.dropped;
      if (span != nullptr) ++span->dropped;
      continue;
    }
    const auto v = static_cast<std::size_t>(seen.version);
    if (span != nullptr) {
      ++span->versions[v].requests;
      span->versions[v].failed += seen.ending != Ending::Ok ? 1 : 0;
    }
    world::VersionRecord& total = record.versions[v];
    ++total.requests;
    ++total.endings[static_cast<std::size_t>(seen.ending)];
    if (seen.segment < total.segments.size()) {
      ++total.segments[seen.segment].requests;
      total.segments[seen.segment].failed += seen.ending != Ending::Ok ? 1 : 0;
    }
    if (seen.ending == Ending::Ok || seen.ending == Ending::Error || seen.ending == Ending::Wrong) {
      total.latency.add(seen.latency);
    }
    if (v != canary) continue;
    if (!record.first_canary) record.first_canary = seen.due;
    record.last_canary = seen.due;
    known.insert(seen.user);
    if (seen.segment < known_there.size()) known_there[seen.segment].insert(seen.user);
  }
  record.blast_users = record.versions[canary].users = known.size();
  for (const auto& there : known_there) {
    record.versions[canary].segment_users.push_back(there.size());
  }
  for (const InForce& live : in_force) {
    double sum = 0;
    for (const std::uint32_t weight : live.weights) sum += weight;
    if (sum == 0 || live.promotion) continue;
    record.max_canary_share = std::max(record.max_canary_share, live.weights[canary] / sum);
  }
  record.spans = std::move(spans);
}

}  // namespace coalmine::lab
