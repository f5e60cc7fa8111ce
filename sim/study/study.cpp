#include "sim/study/study.h"

#include <algorithm>
#include <mutex>
#include <thread>

#include "sim/scenario/verdict.h"
#include "sim/study/floor.h"
#include "sim/study/plan_words.h"

namespace coalmine::study {
namespace {

/// All runs of one scenario: a trial as written, or its healthy twin.
struct Lane {
  scenario::Scenario scenario;
  std::uint64_t first_seed = 0;
  std::vector<Sample>* samples = nullptr;
};

/// Names of the checks: what a run that never happened is judged by.
std::vector<std::string> check_names(const scenario::Scenario& scenario) {
  world::Record blank;
  for (const world::Version& version : scenario.spec.versions) {
    blank.versions.emplace_back().name = version.name;
    blank.versions.back().segments.resize(scenario.spec.traffic.segments.size());
  }
  std::vector<std::string> names;
  for (const scenario::CheckResult& check : scenario::verdict(scenario, blank)) {
    names.push_back(check.name);
  }
  return names;
}

TrialFacts facts_of(const Trial& trial, const Design& design) {
  const world::Spec& spec = trial.scenario.spec;
  const Divergence difference = divergence(spec);
  TrialFacts facts;
  facts.scenario = trial.scenario.name;
  facts.file = trial.scenario.file;
  facts.plan = trial.plan;
  facts.parameters = trial.parameters;
  facts.steps = describe_steps(spec.plan);
  facts.judge = describe_judge(spec.plan);
  facts.fault = describe_fault(spec);
  facts.stable = spec.plan.stable;
  facts.canary = spec.plan.canary;
  facts.worse = difference.worse;
  facts.invisible = difference.invisible;
  facts.floor = information_floor(difference);
  facts.metric_period = spec.platform.metric_period;
  facts.metric_delay = spec.platform.metric_delay;
  facts.route_delay = spec.platform.route_delay;
  facts.first_seed = design.first_seed.value_or(spec.seed);
  facts.checks = check_names(trial.scenario);
  for (const world::Segment& segment : spec.traffic.segments) {
    facts.segments.push_back(segment.name);
  }
  return facts;
}

/// The shard's items among `lanes` x `seeds`, in order: item = lane * seeds + seed's index.
class Items {
 public:
  Items(std::uint64_t lanes, std::uint64_t seeds, const scenario::Shard& shard)
      : seeds_(seeds),
        first_(static_cast<std::uint64_t>(shard.index - 1)),
        step_(static_cast<std::uint64_t>(shard.count)) {
    const std::uint64_t all = lanes * seeds;
    count_ = all > first_ ? (all - first_ + step_ - 1) / step_ : 0;
  }
  std::uint64_t count() const { return count_; }
  struct Item {
    std::size_t lane = 0;
    std::uint32_t index = 0;   ///< of the seed
    std::size_t position = 0;  ///< among the shard's samples of the lane
  };
  Item at(std::uint64_t k) const {
    const std::uint64_t item = first_ + k * step_;
    const std::uint64_t lane = item / seeds_;
    return {lane, static_cast<std::uint32_t>(item % seeds_), k - before(lane)};
  }
  std::size_t in_lane(std::uint64_t lane) const { return before(lane + 1) - before(lane); }

 private:
  /// How many of the shard's items lie before the lane.
  std::uint64_t before(std::uint64_t lane) const {
    const std::uint64_t begin = lane * seeds_;
    return begin <= first_ ? 0 : (begin - first_ + step_ - 1) / step_;
  }
  std::uint64_t seeds_, first_, step_, count_ = 0;
};

/// The first error in the order of the items, whichever thread met it first.
class FirstError {
 public:
  void keep(std::uint64_t item, Error error) {
    const std::lock_guard lock(mutex_);
    if (error_ && item_ < item) return;
    item_ = item;
    error_ = std::move(error);
    failed_ = true;
  }
  bool failed() const { return failed_; }
  std::optional<Error> take() { return std::move(error_); }

 private:
  std::mutex mutex_;
  std::atomic<bool> failed_{false};
  std::uint64_t item_ = 0;
  std::optional<Error> error_;
};

std::vector<Lane> make_lanes(const Design& design, StudyResult& result) {
  std::vector<Lane> lanes;
  for (std::size_t t = 0; t < design.trials.size(); ++t) {
    const Trial& trial = design.trials[t];
    TrialResult& into = result.trials[t];
    lanes.push_back({trial.scenario, into.facts.first_seed, &into.written});
    if (!into.facts.worse) continue;
    Lane healthy{trial.scenario, into.facts.first_seed, &into.healthy};
    healthy.scenario.spec = healthy_twin(trial.scenario.spec);
    healthy.scenario.checks.clear();  // they speak of the fault
    lanes.push_back(std::move(healthy));
  }
  return lanes;
}

}  // namespace

std::string_view to_string(Kind kind) {
  switch (kind) {
    case Kind::Evaluate:
      return "evaluate";
    case Kind::Sweep:
      return "sweep";
    case Kind::Compare:
      return "compare";
  }
  return "evaluate";
}

std::optional<Kind> kind_from(std::string_view text) {
  for (const Kind kind : {Kind::Evaluate, Kind::Sweep, Kind::Compare}) {
    if (to_string(kind) == text) return kind;
  }
  return std::nullopt;
}

Result<StudyResult> run(const Design& design, const scenario::Shard& shard, int jobs,
                        world::Fidelity fidelity, const world::World& world, Progress* progress) {
  if (design.trials.empty() || design.trials.size() > kMaxTrials) {
    return error("the study has {} plans and parameter values, allowed are 1 to {}",
                 design.trials.size(), kMaxTrials);
  }
  if (design.seeds < 1 || design.seeds > scenario::kMaxSeeds) {
    return error("--seeds is {}, allowed is 1 to {}", design.seeds, scenario::kMaxSeeds);
  }
  StudyResult result;
  result.kind = design.kind;
  result.seeds = design.seeds;
  result.shard = shard;
  for (const Trial& trial : design.trials) {
    result.trials.push_back({facts_of(trial, design), {}, {}});
  }
  const std::vector<Lane> lanes = make_lanes(design, result);
  const auto seeds = static_cast<std::uint64_t>(design.seeds);
  if (lanes.size() * seeds > kMaxRuns) {
    return error("the study has {} runs, allowed are {}", lanes.size() * seeds, kMaxRuns);
  }
  const Items items(lanes.size(), seeds, shard);
  for (std::size_t i = 0; i < lanes.size(); ++i) lanes[i].samples->resize(items.in_lane(i));
  if (progress != nullptr) progress->total = items.count();

  FirstError first_error;
  std::atomic<std::uint64_t> next{0};
  const auto work = [&] {
    for (std::uint64_t k = next++; k < items.count() && !first_error.failed(); k = next++) {
      const Items::Item item = items.at(k);
      const Lane& lane = lanes[item.lane];
      world::RunOptions options;
      options.fidelity = fidelity;
      options.seed = lane.first_seed + item.index;
      Result<world::Record> record = world(lane.scenario.spec, options);
      if (!record) {
        first_error.keep(k, std::move(record).error());
        return;
      }
      (*lane.samples)[item.position] = make_sample(item.index, lane.scenario, *record);
      if (progress != nullptr) ++progress->done;
    }
  };
  {
    std::vector<std::jthread> helpers;
    for (int i = 1; i < jobs && static_cast<std::uint64_t>(i) < items.count(); ++i) {
      helpers.emplace_back(work);
    }
    work();
  }
  if (std::optional<Error> failure = first_error.take()) return tl::unexpected(*failure);
  return result;
}

Trial own_trial(const scenario::Scenario& scenario) {
  return {"own plan", {}, scenario};
}

void fit_limit(world::Spec& spec) {
  constexpr Duration kSlack = std::chrono::minutes{15};  // for shifting, late metrics, retries
  spec.limit = std::max(spec.limit, rollout::bake_length(spec.plan) + kSlack);
}

}  // namespace coalmine::study
