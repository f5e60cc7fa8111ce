#include "sim/lab/live_world.h"

#include <algorithm>
#include <mutex>
#include <thread>

#include "sim/engine/world/declared_hooks.h"
#include "sim/engine/world/operators.h"
#include "sim/engine/world/rate_curve.h"
#include "sim/engine/world/recorder.h"
#include "sim/lab/compare.h"
#include "sim/lab/lab_cloud.h"
#include "sim/lab/live_stage.h"
#include "sim/lab/load_generator.h"
#include "sim/lab/tally.h"
#include "sim/rollout/driver.h"
#include "sim/rollout/journal_file.h"

namespace coalmine::lab {
namespace {

/// Real time from the moment a gateway says that it has adopted weights until all its workers
/// have, and the longest from sending a request until the gateway has picked its version.
constexpr Duration kAdoptionLag = std::chrono::milliseconds{20};
constexpr Duration kPickLag = std::chrono::milliseconds{250};
/// Seconds are what a cookie's end is told in: of fewer the rounding would be seen.
constexpr double kShortestCookie_s = 5;

Duration scaled(Duration real, double speed) {
  return from_seconds(to_seconds(real) * speed);
}

/// The traffic's rates in real time.
std::vector<LoadStep> load_steps(const world::Spec& spec, double speed) {
  const world::RateCurve curve(spec.traffic);
  std::vector<LoadStep> steps;
  for (Duration t{}; t < spec.limit; t = curve.next_step(t)) {
    steps.push_back({from_seconds(to_seconds(t) / speed), curve.rate_at(t) * speed});
  }
  return steps;
}

Status check_tasks(const std::string& version, int tasks) {
  if (tasks <= kMaxLiveTasks) return {};
  return error("{} has {} tasks; live up to {} are started", version, tasks, kMaxLiveTasks);
}

Status check_affinity(const world::Spec& spec, double speed) {
  if (!spec.plan.affinity) return {};
  const rollout::SessionAffinity& affinity = *spec.plan.affinity;
  if (spec.plan.traffic != rollout::TrafficApi::Alb) {
    return error(affinity.place,
                 "session affinity cannot be played live: of the lab's gateways only the load "
                 "balancer has it (traffic: alb)");
  }
  const double real_s = to_seconds(affinity.lasts) / speed;
  if (real_s < kShortestCookie_s) {
    return error(affinity.place,
                 "users keep their version for {}, at speed {} that is {:.3g} real seconds; a load "
                 "balancer's cookie lasts whole ones, so live it takes at least {}",
                 to_string(affinity.lasts), speed, real_s, kShortestCookie_s);
  }
  if (spec.traffic.users > kMaxLoadUsers) {
    return error(affinity.place, "{} users would keep cookies; live up to {} do",
                 spec.traffic.users, kMaxLoadUsers);
  }
  return {};
}

Status check_limits(const world::Spec& spec, double speed) {
  for (const rollout::Step& step : spec.plan.steps) {
    if (!std::holds_alternative<rollout::Mirror>(step.what)) continue;
    return error(step.place,
                 "copies of requests cannot be made live: neither App Mesh nor a load balancer "
                 "mirrors, and the lab's gateway does as they say");
  }
  if (!(speed > 0 && speed <= kMaxSpeed)) {
    return error("speed is {}, allowed is up to {}", speed, kMaxSpeed);
  }
  TRY_STATUS(check_affinity(spec, speed));
  const double own = spec.plan.load ? spec.plan.load->rate.per_s * speed : 0;
  for (const LoadStep& step : load_steps(spec, speed)) {
    const double rate = step.rate_per_s + own;
    if (rate <= kMaxLoadPerS) continue;
    return error("{} at speed {} are {} real requests per second; allowed are up to {}",
                 to_string(Rate{rate / speed}), speed, rate, kMaxLoadPerS);
  }
  for (const world::Version& version : spec.versions) {
    TRY_STATUS(check_tasks(version.name, version.tasks));
  }
  const auto stable = world::version_index(spec, spec.plan.stable);
  for (const rollout::Step& step : spec.plan.steps) {
    const auto* scale = std::get_if<rollout::ScaleCanary>(&step.what);
    if (scale == nullptr || !stable) continue;
    const int tasks = rollout::canary_tasks(*scale, 1, spec.versions[*stable].tasks);
    TRY_STATUS(check_tasks(spec.plan.canary, tasks));
  }
  for (const world::Event& event : spec.events) {
    const auto* scale = std::get_if<world::ScaleTasks>(&event.what);
    if (scale == nullptr) continue;
    for (const auto& [version, tasks] : scale->tasks) TRY_STATUS(check_tasks(version, tasks));
  }
  return {};
}

LoadOptions load_options(const world::Spec& spec, std::uint64_t seed, double speed) {
  LoadOptions load;
  load.steps = load_steps(spec, speed);
  load.poisson = spec.traffic.arrivals == world::Arrivals::Poisson;
  load.length = from_seconds(to_seconds(spec.limit) / speed);
  load.seed = Random(seed).split("arrivals").next();
  load.users = spec.traffic.users;
  load.cookies = spec.plan.affinity.has_value();
  load.paths.clear();
  double rest = 1;
  for (const world::Segment& segment : spec.traffic.segments) {
    load.paths.push_back({segment.path, segment.share.share(), segment.header});
    rest -= segment.share.share();
  }
  load.paths.push_back({"/", rest});
  return load;
}

/// When the rollout decided to give the canary everything; what it sets then is its end.
TimePoint promotion_time(const world::Record& record) {
  for (const world::StateChange& change : record.states) {
    if (change.state == "promoting") return record.start + change.t;
  }
  return kNever;
}

std::vector<InForce> weights_in_force(const world::Spec& spec, LabCloud& cloud,
                                      const world::Record& record, Duration end, double speed) {
  const std::vector<RouteChange>& changes = cloud.routes().changes();
  const TimePoint promotion = promotion_time(record);
  std::vector<InForce> list;
  for (std::size_t i = 0; i < changes.size(); ++i) {
    if (!changes[i].adopted) continue;
    InForce one;
    one.from =
        std::max(*changes[i].adopted - record.start + scaled(kAdoptionLag, speed), Duration{});
    if (*changes[i].adopted <= record.start) one.from = Duration{};
    one.until = i + 1 < changes.size() ? changes[i + 1].sent - record.start : end;
    one.promotion = changes[i].sent >= promotion;
    // From the rollout's first change on users keep the version they met, whatever the weights.
    one.by_marks = changes[i].by_marks || (spec.plan.affinity && i > 0);
    for (const world::Version& version : spec.versions) {
      const auto weight = changes[i].weights.find(cloud.target(version.name));
      one.weights.push_back(weight == changes[i].weights.end() ? 0 : weight->second);
    }
    if (one.until > one.from) list.push_back(std::move(one));
  }
  return list;
}

/// The load of a run and what became of it.
class Users {
 public:
  Users(const world::Spec& spec, const LabCloud& cloud, double speed, TimePoint scenario_start)
      : spec_(spec), speed_(speed), segments_(spec, scenario_start) {
    for (const world::Version& version : spec.versions) {
      targets_.push_back(cloud.target(version.name));
    }
  }

  /// `begin`: since the scenario's start.
  Status start(const LoadOptions& options, Duration begin) {
    const auto some = [](const LoadStep& step) { return step.rate_per_s > 0; };
    if (std::none_of(options.steps.begin(), options.steps.end(), some)) return {};
    TRY(load_, LoadGenerator::start(options, [this, begin](const LoadSample& sample) {
          Seen seen = judge(sample, spec_, targets_, speed_);
          seen.due += begin;
          seen.sent += begin;
          segments_.add(seen);
          const std::lock_guard lock(mutex_);
          seen_.push_back(seen);
        }));
    return {};
  }

  SegmentCounter& segments() { return segments_; }

  /// Everything that was asked for has been answered then.
  std::vector<Seen> stop() {
    if (load_) load_->stop();
    return std::move(seen_);
  }

 private:
  const world::Spec& spec_;
  const double speed_;
  std::vector<std::string> targets_;
  SegmentCounter segments_;
  std::mutex mutex_;
  std::vector<Seen> seen_;
  std::unique_ptr<LoadGenerator> load_;  ///< last: its thread uses the above
};

/// The plan's own load. Its requests are answered and counted by nobody but the metrics and, by
/// version, the record.
class OwnLoad {
 public:
  OwnLoad(const world::Spec& spec, const LabCloud& cloud, std::uint64_t seed, double speed)
      : counts_(spec.versions.size()) {
    options_.host = cloud.host();
    options_.port = cloud.port();
    options_.steps = {{{}, spec.plan.load ? spec.plan.load->rate.per_s * speed : 0}};
    options_.length = from_seconds(to_seconds(spec.limit) / speed);
    options_.seed = Random(seed).split("own-arrivals").next();
    options_.paths = {{"/", 1, std::string(world::kOwnLoadHeader)}};
    for (const world::Version& version : spec.versions) names_.push_back(version.name);
  }

  /// Begins when the canary gets its first share, by weights or by routes.
  Status see(const rollout::Event& event, const std::string& canary) {
    if (load_ || options_.steps.front().rate_per_s <= 0) return {};
    const auto* weights = event.find("weights");
    const bool weighted = event.name == "weights.changed" && weights != nullptr &&
                          rollout::share_of(std::get<rollout::Weights>(*weights), canary) > 0;
    if (!weighted && event.name != "routes.changed") return {};
    TRY(load_, LoadGenerator::start(options_, [this](const LoadSample& sample) {
          for (std::size_t v = 0; v < names_.size(); ++v) {
            if (sample.version == names_[v]) ++counts_[v];
          }
        }));
    return {};
  }

  /// Everything has been answered then.
  void stop(world::Record& record) {
    if (load_) load_->stop();
    for (std::size_t v = 0; v < counts_.size(); ++v) record.versions[v].beside = counts_[v];
  }

 private:
  LoadOptions options_;
  std::vector<std::string> names_;
  std::vector<std::uint64_t> counts_;    ///< only the generator's thread, until it has stopped
  std::unique_ptr<LoadGenerator> load_;  ///< last: its thread uses the above
};

/// The rollout's metrics, with what users saw of the segments published before each look.
class PublishedMetrics : public rollout::MetricsSource {
 public:
  PublishedMetrics(LabCloud& cloud, SegmentCounter& segments)
      : cloud_(cloud), segments_(segments) {}
  Result<rollout::MetricsReading> read(TimePoint since, const std::vector<Duration>& limits,
                                       TimePoint now) override {
    TRY_STATUS(cloud_.publish(segments_.take()));
    return cloud_.metrics().read(since, limits, now);
  }

 private:
  LabCloud& cloud_;
  SegmentCounter& segments_;
};

/// The rollout's changes of tasks, within what a machine can run, and the stage told of them.
class StagedTasks : public rollout::TaskAdapter {
 public:
  StagedTasks(LabCloud& cloud, LiveStage& stage) : cloud_(cloud), stage_(stage) {}
  Result<rollout::Tasks> read() override { return cloud_.services().read(); }
  Result<rollout::Tasks> scale(const std::string& version, int tasks) override {
    TRY_STATUS(check_tasks(version, tasks));
    return cloud_.services().scale(version, tasks);
  }
  Result<rollout::Tasks> swap_image(const std::string& build) override {
    stage_.swap_build(build.empty());
    return cloud_.services().swap_image(build);
  }

 private:
  LabCloud& cloud_;
  LiveStage& stage_;
};

tl::unexpected<Error> interrupted(const world::Spec& spec) {
  return error(ErrorKind::Environment, "{} was interrupted; what it had started has been stopped",
               spec.name);
}

}  // namespace

Result<world::Record> play_live(const world::Spec& spec, const world::RunOptions& options,
                                const LiveOptions& live) {
  if (live.stop != nullptr && live.stop->load()) return interrupted(spec);
  const double speed = options.speed;
  TRY_STATUS(check_limits(spec, speed));
  const std::uint64_t seed = options.seed.value_or(spec.seed);
  TRY(const auto cloud,
      LabCloud::start(spec, {live.program, live.sample_app, speed, seed, live.stop}));

  world::Recorder recorder(spec, "live", seed, cloud->clock().now());
  world::Record& record = recorder.record();
  record.fidelity = "live";
  LiveStage stage(spec, *cloud, recorder, speed, live.stop);
  TRY_STATUS(stage.begin());
  Users users(spec, *cloud, speed, record.start);
  LoadOptions load = load_options(spec, seed, speed);
  load.host = cloud->host();
  load.port = cloud->port();
  TRY_STATUS(users.start(load, stage.now() - record.start));

  std::unique_ptr<rollout::JournalFile> journal;
  if (!options.journal.empty()) {
    const rollout::JournalHeader header{stage.now(), fmt::format("{}-{}", spec.name, seed),
                                        cloud->traffic().describe(), spec.plan};
    TRY(journal, rollout::JournalFile::create(options.journal, header));
    TRY_STATUS(recorder.keep(*journal, options.source));
  }
  world::Operators operators(spec, record.start);
  PublishedMetrics metrics(*cloud, users.segments());
  OwnLoad own(spec, *cloud, seed, speed);
  Status own_load;
  const auto on_event = [&](const rollout::Event& event) {
    recorder.on_event(event);
    if (own_load) own_load = own.see(event, spec.plan.canary);
  };
  rollout::RolloutWorld rollout_world{cloud->traffic(), metrics,  stage,  &operators,
                                      journal.get(),    on_event, nullptr};
  world::DeclaredHooks hooks(spec, stage, record.start);
  rollout_world.hooks = &hooks;
  StagedTasks tasks(*cloud, stage);
  rollout_world.tasks = &tasks;
  TRY(const rollout::RolloutEnd end,
      world::play_rollout(spec, rollout_world, stage.lives(), recorder));
  own.stop(record);
  TRY_STATUS(own_load);
  if (stage.stopped()) return interrupted(spec);
  if (end.outcome) {
    recorder.ended(rollout::to_string(*end.outcome), end.reason, stage.now());
  } else {
    recorder.time_up(rollout::to_string(end.state.phase), stage.now());
  }

  TRY_STATUS(compare_answers(spec, *cloud, seed, record));
  stage.settle();
  if (spec.plan.affinity) stage.drain(spec.plan.affinity->lasts);
  // What was routed before the last change is still on its way for a moment.
  std::this_thread::sleep_for(kPickLag);
  const Duration load_end = stage.now() - record.start;
  std::vector<Seen> seen = users.stop();
  for (world::VersionRecord& version : record.versions) {
    TRY(version.retries, cloud->retries(version.name));
  }
  TRY(const rollout::Weights weights, cloud->traffic().current_weights());
  for (const auto& [name, weight] : weights) {
    record.final_weights[name] = static_cast<std::uint32_t>(weight);
  }
  count_up(spec, std::move(seen), weights_in_force(spec, *cloud, record, load_end, speed), load_end,
           scaled(kPickLag, speed), record);
  cloud->stop();
  return recorder.finish();
}

}  // namespace coalmine::lab
