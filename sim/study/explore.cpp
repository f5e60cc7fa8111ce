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

// What random faults are made of. Ladders rise, so that shrinking goes down by one rung.
constexpr double kShares[] = {0.1, 0.5, 1, 2, 5, 10, 25, 50, 100};
constexpr std::chrono::seconds kLengths[] = {std::chrono::seconds{1},  std::chrono::seconds{5},
                                             std::chrono::seconds{10}, std::chrono::seconds{30},
                                             std::chrono::seconds{60}, std::chrono::seconds{300},
                                             std::chrono::seconds{900}};
constexpr std::chrono::milliseconds kDelays[] = {
    std::chrono::milliseconds{50}, std::chrono::milliseconds{200}, std::chrono::milliseconds{1000},
    std::chrono::milliseconds{5000}};
constexpr FaultKind kKinds[] = {FaultKind::Errors, FaultKind::Slow,     FaultKind::Reset,
                                FaultKind::Hang,   FaultKind::Truncate, FaultKind::WrongBody};
constexpr std::chrono::seconds kRoundTimes[] = {std::chrono::seconds{60}, std::chrono::seconds{30},
                                                std::chrono::seconds{10}, std::chrono::seconds{5}};
/// This part of the runs changes the seed alone.
constexpr int kPlainRuns = 4;  // one in four
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
  return std::holds_alternative<InjectFault>(event.what);
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

/// Schedules that are simpler than `events` in one place, the boldest first.
std::vector<std::vector<Event>> simpler(const std::vector<Event>& events) {
  std::vector<std::vector<Event>> candidates;
  const auto with = [&](std::size_t i, auto change) {
    std::vector<Event> changed = events;
    change(changed[i], std::get<InjectFault>(changed[i].what));
    sort_by_time(changed);
    candidates.push_back(std::move(changed));
  };
  for (std::size_t i = 0; i < events.size(); ++i) {
    if (!is_fault(events[i])) continue;
    candidates.push_back(events);
    candidates.back().erase(candidates.back().begin() + static_cast<std::ptrdiff_t>(i));
  }
  for (std::size_t i = 0; i < events.size(); ++i) {
    if (!is_fault(events[i]) || !added(events[i])) continue;  // the file's own stay as they are
    const InjectFault& inject = std::get<InjectFault>(events[i].what);
    if (inject.fault.kind != FaultKind::Errors) {
      with(i, [](Event&, InjectFault& f) {
        f.fault.kind = FaultKind::Errors;
        f.fault.latency.reset();
      });
    }
    for (const auto length : kLengths) {
      if (inject.length && *inject.length <= length) break;
      with(i, [length](Event&, InjectFault& f) { f.length = length; });
    }
    for (const double share : kShares) {
      if (inject.fault.share.value <= share) break;
      with(i, [share](Event&, InjectFault& f) { f.fault.share = Percent{share}; });
    }
    for (const auto grid : kRoundTimes) {
      if (events[i].at % grid == Duration{}) break;
      with(i, [grid](Event& e, InjectFault&) { e.at -= e.at % grid; });
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
    InjectFault inject;
    inject.target = targets[random.below(targets.size())];
    inject.fault.kind = one_of(kKinds, random);
    inject.fault.share = Percent{one_of(kShares, random)};
    if (inject.fault.kind == FaultKind::Slow) {
      inject.fault.latency = world::FixedLatency{one_of(kDelays, random)};
    }
    if (random.below(4) != 0) inject.length = one_of(kLengths, random);
    const auto seconds = std::max<std::int64_t>(1, horizon / std::chrono::seconds{1});
    const std::chrono::seconds at{random.below(static_cast<std::uint64_t>(seconds))};
    events.push_back({at, std::move(inject), {}});
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
