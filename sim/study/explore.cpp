#include "sim/study/explore.h"

#include <algorithm>
#include <thread>

namespace coalmine::study {
namespace {

using scenario::CheckResult;
using world::Event;
using world::Fault;
using world::FaultKind;
using world::InjectFault;
using world::ThrottleApi;

// What random faults are made of. Ladders rise, so that shrinking goes down by one rung.
constexpr double kShares[] = {0.1, 0.5, 1, 2, 5, 10, 25, 50, 100};
constexpr std::chrono::seconds kLengths[] = {std::chrono::seconds{1},  std::chrono::seconds{5},
                                             std::chrono::seconds{10}, std::chrono::seconds{30},
                                             std::chrono::seconds{60}, std::chrono::seconds{300},
                                             std::chrono::seconds{900}};
constexpr std::chrono::milliseconds kDelays[] = {
    std::chrono::milliseconds{50}, std::chrono::milliseconds{200}, std::chrono::milliseconds{1000},
    std::chrono::milliseconds{5000}};
constexpr double kBursts[] = {10, 100, 1000};
constexpr std::uint64_t kCrashAfter[] = {0, 10, 100, 1000};
constexpr FaultKind kKinds[] = {FaultKind::Errors,    FaultKind::Slow,     FaultKind::Reset,
                                FaultKind::Hang,      FaultKind::Truncate, FaultKind::WrongBody,
                                FaultKind::Unhealthy, FaultKind::Crash};
constexpr std::chrono::seconds kRoundTimes[] = {std::chrono::seconds{60}, std::chrono::seconds{30},
                                                std::chrono::seconds{10}, std::chrono::seconds{5}};
/// This part of the runs changes the seed alone.
constexpr int kPlainRuns = 4;  // one in four
/// Of the faults, one in so many is a platform that throttles the rollout's calls.
constexpr std::uint64_t kThrottles = 9;
constexpr std::uint64_t kBatch = 64;

template <typename T, std::size_t N>
const T& one_of(const T (&values)[N], Random& random) {
  return values[random.below(N)];
}

void sort_by_time(std::vector<Event>& events) {
  std::stable_sort(events.begin(), events.end(),
                   [](const Event& a, const Event& b) { return a.at < b.at; });
}

/// The scenario's own events have a place in its file, added ones have none.
bool added(const Event& event) {
  return event.place.line == 0;
}
bool is_fault(const Event& event) {
  return std::holds_alternative<InjectFault>(event.what) ||
         std::holds_alternative<ThrottleApi>(event.what);
}

Percent& share_of(Event& event) {
  auto* inject = std::get_if<InjectFault>(&event.what);
  return inject != nullptr ? inject->fault.share : std::get<ThrottleApi>(event.what).share;
}
std::optional<Duration>& length_of(Event& event) {
  auto* inject = std::get_if<InjectFault>(&event.what);
  return inject != nullptr ? inject->length : std::get<ThrottleApi>(event.what).length;
}

/// Plays schedules and holds them against the checks that count.
class Judge {
 public:
  Judge(const scenario::Scenario& scenario, std::vector<std::string> checks,
        const world::World& world)
      : scenario_(scenario), checks_(std::move(checks)), world_(world) {}

  /// The checks that fail; `only`: of those with these names.
  Result<std::vector<CheckResult>> failed(std::uint64_t seed,
                                          const std::vector<Event>& events) const {
    scenario::Scenario changed = scenario_;
    changed.spec.events = events;
    world::RunOptions options;
    options.seed = seed;
    TRY(const world::Record record, world_(changed.spec, options));
    std::vector<CheckResult> failed;
    for (CheckResult& check : scenario::verdict(changed, record)) {
      const bool counts =
          checks_.empty() || std::find(checks_.begin(), checks_.end(), check.name) != checks_.end();
      if (!check.passed && counts) failed.push_back(std::move(check));
    }
    return failed;
  }

 private:
  const scenario::Scenario& scenario_;
  std::vector<std::string> checks_;
  const world::World& world_;
};

bool share_a_check(const std::vector<CheckResult>& a, const std::vector<CheckResult>& b) {
  return std::any_of(a.begin(), a.end(), [&b](const CheckResult& one) {
    return std::any_of(b.begin(), b.end(),
                       [&one](const CheckResult& other) { return other.name == one.name; });
  });
}

// --- shrinking ---------------------------------------------------------------------------------

/// An added fault that is simpler in one place, the boldest first.
std::vector<Event> softer(const Event& event) {
  std::vector<Event> candidates;
  const auto with = [&](auto change) { change(candidates.emplace_back(event)); };
  const auto* inject = std::get_if<InjectFault>(&event.what);
  if (inject != nullptr && inject->fault.kind != FaultKind::Errors) {
    with([](Event& e) {
      auto& fault = std::get<InjectFault>(e.what).fault;
      const Percent share = fault.share;
      fault = {};
      fault.share = share;
    });
  }
  if (inject != nullptr && inject->fault.burst > 0) {
    with([](Event& e) { std::get<InjectFault>(e.what).fault.burst = 0; });
  }
  Event copy = event;
  for (const auto length : kLengths) {
    if (length_of(copy) && *length_of(copy) <= length) break;
    with([length](Event& e) { length_of(e) = length; });
  }
  for (const double share : kShares) {
    if (share_of(copy).value <= share) break;
    with([share](Event& e) { share_of(e) = Percent{share}; });
  }
  for (const auto grid : kRoundTimes) {
    if (event.at % grid == Duration{}) break;
    with([grid](Event& e) { e.at -= e.at % grid; });
  }
  return candidates;
}

/// Schedules that are simpler than `events` in one place, the boldest first.
std::vector<std::vector<Event>> simpler(const std::vector<Event>& events) {
  std::vector<std::vector<Event>> candidates;
  for (std::size_t i = 0; i < events.size(); ++i) {
    if (!is_fault(events[i])) continue;
    candidates.push_back(events);
    candidates.back().erase(candidates.back().begin() + static_cast<std::ptrdiff_t>(i));
  }
  for (std::size_t i = 0; i < events.size(); ++i) {
    if (!is_fault(events[i]) || !added(events[i])) continue;  // the file's own stay as they are
    for (Event& event : softer(events[i])) {
      candidates.push_back(events);
      candidates.back()[i] = std::move(event);
      sort_by_time(candidates.back());
    }
  }
  return candidates;
}

Result<CounterExample> shrink(CounterExample example, const Judge& judge) {
  int left = kMaxShrinkRuns;
  for (bool smaller = true; smaller && left > 0;) {
    smaller = false;
    for (std::vector<Event>& events : simpler(example.events)) {
      if (left-- == 0) break;
      TRY(std::vector<CheckResult> failed, judge.failed(example.seed, events));
      if (!share_a_check(failed, example.failed)) continue;
      example.events = std::move(events);
      example.failed = std::move(failed);
      smaller = true;
      break;
    }
  }
  return example;
}

std::size_t count_faults(const std::vector<Event>& events) {
  return static_cast<std::size_t>(std::count_if(events.begin(), events.end(), is_fault));
}

// --- searching ---------------------------------------------------------------------------------

struct Attempt {
  std::uint64_t seed = 0;
  std::vector<Event> events;
};

Attempt attempt_at(const scenario::Scenario& scenario, const ExploreOptions& options,
                   Duration horizon, std::uint64_t i) {
  const std::uint64_t first = options.first_seed.value_or(scenario.spec.seed);
  Attempt attempt{first + i, scenario.spec.events};
  if (i % kPlainRuns == 0 || options.max_faults == 0) return attempt;
  for (Event& event :
       random_faults(scenario.spec, options, horizon, Random(first).split("explore").split(i))) {
    attempt.events.push_back(std::move(event));
  }
  sort_by_time(attempt.events);
  return attempt;
}

InjectFault random_fault(std::string target, Random& random) {
  InjectFault inject;
  inject.target = std::move(target);
  Fault& fault = inject.fault;
  fault.kind = one_of(kKinds, random);
  switch (fault.kind) {
    case FaultKind::Unhealthy:
      break;
    case FaultKind::Crash:
      fault.after = one_of(kCrashAfter, random);
      break;
    default:
      fault.share = Percent{one_of(kShares, random)};
      if (fault.kind == FaultKind::Slow) {
        fault.latency = world::FixedLatency{one_of(kDelays, random)};
      }
      // A run of faulty requests needs room for the others: at most half of all are faulty.
      if (fault.share.value <= 50 && random.below(4) == 0) fault.burst = one_of(kBursts, random);
  }
  return inject;
}

Status check_options(const scenario::Scenario& scenario, const ExploreOptions& options) {
  for (const std::string& target : options.targets) {
    if (!world::version_index(scenario.spec, target)) {
      return error("the scenario has no version \"{}\"", target);
    }
  }
  world::Record blank;
  for (const world::Version& version : scenario.spec.versions) {
    blank.versions.emplace_back().name = version.name;
  }
  const auto known = scenario::verdict(scenario, blank);
  for (const std::string& check : options.checks) {
    const auto is = [&check](const CheckResult& one) { return one.name == check; };
    if (std::none_of(known.begin(), known.end(), is)) {
      return error("the scenario has no check \"{}\"", check);
    }
  }
  return {};
}

}  // namespace

std::vector<Event> random_faults(const world::Spec& spec, const ExploreOptions& options,
                                 Duration horizon, Random random) {
  std::vector<std::string> targets = options.targets;
  if (targets.empty()) {
    for (const world::Version& version : spec.versions) targets.push_back(version.name);
  }
  std::vector<Event> events;
  const auto count = 1 + random.below(static_cast<std::uint64_t>(options.max_faults));
  for (std::uint64_t i = 0; i < count; ++i) {
    Event event;
    if (options.targets.empty() && random.below(kThrottles) == 0) {
      event.what = ThrottleApi{Percent{one_of(kShares, random)}, {}};
    } else {
      event.what = random_fault(targets[random.below(targets.size())], random);
    }
    if (random.below(4) != 0) length_of(event) = one_of(kLengths, random);
    const auto seconds = std::max<std::int64_t>(1, horizon / std::chrono::seconds{1});
    event.at = std::chrono::seconds{random.below(static_cast<std::uint64_t>(seconds))};
    events.push_back(std::move(event));
  }
  sort_by_time(events);
  return events;
}

Result<std::optional<CounterExample>> explore(const scenario::Scenario& scenario,
                                              const ExploreOptions& options,
                                              const world::World& world, Progress* progress) {
  TRY_STATUS(check_options(scenario, options));
  const Judge judge(scenario, options.checks, world);
  world::RunOptions own;
  own.seed = options.first_seed;
  TRY(const world::Record first, world(scenario.spec, own));
  const Duration horizon = std::max<Duration>(first.duration, std::chrono::seconds{1});

  const auto runs = static_cast<std::uint64_t>(options.runs);
  if (progress != nullptr) progress->total = runs;
  for (std::uint64_t begin = 0; begin < runs; begin += kBatch) {
    // A whole batch is played, then its first violation is taken: the same for any `jobs`.
    const std::uint64_t end = std::min(runs, begin + kBatch);
    std::vector<Result<std::vector<CheckResult>>> results(end - begin, std::vector<CheckResult>{});
    std::atomic<std::uint64_t> next{begin};
    const auto work = [&] {
      for (std::uint64_t i = next++; i < end; i = next++) {
        const Attempt attempt = attempt_at(scenario, options, horizon, i);
        results[i - begin] = judge.failed(attempt.seed, attempt.events);
        if (progress != nullptr) ++progress->done;
      }
    };
    {
      std::vector<std::jthread> helpers;
      for (int j = 1; j < options.jobs; ++j) helpers.emplace_back(work);
      work();
    }
    for (std::uint64_t i = begin; i < end; ++i) {
      auto& result = results[i - begin];
      if (!result) return tl::unexpected(result.error());
      if (result->empty()) continue;
      Attempt attempt = attempt_at(scenario, options, horizon, i);
      CounterExample example{attempt.seed,
                             std::move(attempt.events),
                             *std::move(result),
                             static_cast<int>(i + 1),
                             0,
                             0};
      example.faults_before = count_faults(example.events);
      TRY(example, shrink(std::move(example), judge));
      example.faults_after = count_faults(example.events);
      return std::optional(std::move(example));
    }
  }
  return std::optional<CounterExample>();
}

}  // namespace coalmine::study
