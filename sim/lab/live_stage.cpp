#include "sim/lab/live_stage.h"

#include <algorithm>
#include <thread>

namespace coalmine::lab {
namespace {

constexpr Duration kSlice = std::chrono::milliseconds{50};  ///< how long news goes unnoticed
/// What ECS says of tasks that somebody wanted no longer.
constexpr const char* kScaledIn = "Scaling activity initiated";
/// A gateway that has not adopted weights by then, real time beyond the route delay, never will.
constexpr Duration kSettleLimit = std::chrono::seconds{10};

/// What the timeline adds when a thing that should happen could not be done.
std::string refusal(const Status& done) {
  return done ? "" : fmt::format(" (refused: {})", done.error().message);
}

}  // namespace

LiveStage::LiveStage(const world::Spec& spec, LabCloud& cloud, world::Recorder& recorder,
                     double speed, const std::atomic<bool>* stop)
    : spec_(spec),
      cloud_(cloud),
      recorder_(recorder),
      speed_(speed),
      stop_(stop),
      start_(recorder.record().start),
      lives_(spec, start_),
      faults_(spec, speed),
      watched_(spec.versions.size()) {
  watch_tasks(start_);
}

Status LiveStage::begin() {
  if (spec_.platform.throttling.value == 0) return {};
  throttles_.push_back(spec_.platform.throttling.share());
  return apply_throttles();
}

// --- time --------------------------------------------------------------------------------------

void LiveStage::sleep_until(TimePoint t) {
  play_until(std::min(t, lives_.next()));
}

void LiveStage::drain(Duration length) {
  play_until(now() + length);
}

void LiveStage::play_until(TimePoint t) {
  t = std::min(t, start_ + spec_.limit);
  while (!stopped()) {
    happen();
    const TimePoint at = now();
    if (at >= t) return;
    const TimePoint wake = std::min(t, next_event());
    const Duration real = from_seconds(to_seconds(std::max(wake - at, Duration{})) / speed_);
    std::this_thread::sleep_for(std::min(real, kSlice));
  }
}

void LiveStage::swap_build(bool to_canary) {
  const std::size_t stable = world::version_index(spec_, spec_.plan.stable).value_or(0);
  const std::size_t canary = world::version_index(spec_, spec_.plan.canary).value_or(0);
  faults_.adopt(stable, to_canary ? canary : stable);
}

void LiveStage::settle() {
  const auto limit = std::chrono::steady_clock::now() + kSettleLimit +
                     std::chrono::duration_cast<Duration>(spec_.platform.route_delay / speed_);
  while (!stopped() && std::chrono::steady_clock::now() < limit) {
    watch_routes();
    if (cloud_.routes().settled()) return;
    std::this_thread::sleep_for(std::chrono::milliseconds{5});
  }
}

TimePoint LiveStage::next_event() const {
  TimePoint next = kNever;
  if (next_begin_ < spec_.events.size()) next = start_ + spec_.events[next_begin_].at;
  if (!ends_.empty()) next = std::min(next, ends_.begin()->first);
  return next;
}

/// Everything that is due by now.
void LiveStage::happen() {
  const TimePoint at = now();
  for (; next_begin_ < spec_.events.size() && start_ + spec_.events[next_begin_].at <= at;
       ++next_begin_) {
    begin_event(next_begin_, at);
  }
  for (auto it = ends_.begin(); it != ends_.end() && it->first <= at; it = ends_.erase(it)) {
    end_event(it->second, at);
  }
  watch_routes();
  if (cloud_.tasks_moved()) watch_tasks(at);
}

// --- what the scenario makes happen ------------------------------------------------------------

void LiveStage::begin_event(std::size_t index, TimePoint at) {
  const world::Event& event = spec_.events[index];
  std::optional<Duration> length;
  if (const auto* inject = std::get_if<world::InjectFault>(&event.what)) {
    begin_fault(index, *inject, at);
    length = inject->length;
  } else if (const auto* foreign = std::get_if<world::ForeignWeights>(&event.what)) {
    set_foreign(*foreign, at);
  } else if (const auto* scaled = std::get_if<world::ScaleTasks>(&event.what)) {
    scale(*scaled, at);
  } else if (const auto* revision = std::get_if<world::RevisionArrives>(&event.what)) {
    arrive(*revision, at);
  } else if (const auto* throttled = std::get_if<world::ThrottleApi>(&event.what)) {
    throttle(*throttled, true, at);
    length = throttled->length;
  }
  if (length) ends_.emplace(start_ + event.at + *length, index);
}

void LiveStage::end_event(std::size_t index, TimePoint at) {
  if (const auto* throttled = std::get_if<world::ThrottleApi>(&spec_.events[index].what)) {
    throttle(*throttled, false, at);
    return;
  }
  const auto& inject = std::get<world::InjectFault>(spec_.events[index].what);
  Status told;
  for (const std::size_t v : hit_by(inject)) {
    faults_.end(v, index);
    if (const Status one = tell(v); told) told = one;
  }
  note_fault(at, "fault.ended", inject, told);
}

void LiveStage::begin_fault(std::size_t index, const world::InjectFault& inject, TimePoint at) {
  Status told;
  for (const std::size_t v : hit_by(inject)) {
    faults_.begin(v, index, inject.fault);
    if (const Status one = tell(v); told) told = one;
  }
  note_fault(at, "fault.began", inject, told);
}

std::vector<std::size_t> LiveStage::hit_by(const world::InjectFault& inject) const {
  std::vector<std::size_t> versions;
  for (std::size_t v = 0; v < spec_.versions.size(); ++v) {
    if (world::is_hit(spec_, inject.target, spec_.versions[v].name)) versions.push_back(v);
  }
  return versions;
}

void LiveStage::set_foreign(const world::ForeignWeights& foreign, TimePoint at) {
  const Status set = cloud_.set_weights_by_hand(foreign.weights);
  recorder_.note(at, "weights.foreign",
                 {{"what", world::render_weights(spec_, foreign.weights) + " set by somebody else" +
                               refusal(set)}});
}

void LiveStage::scale(const world::ScaleTasks& scale, TimePoint at) {
  std::string what;
  for (const auto& [version, tasks] : scale.tasks) {
    const Status done = cloud_.scale(version, tasks);
    what +=
        fmt::format("{}{} to {} tasks{}", what.empty() ? "" : ", ", version, tasks, refusal(done));
  }
  recorder_.note(at, "tasks.scaled", {{"what", what}});
}

/// The tasks stay; what they are told makes another build of them.
void LiveStage::arrive(const world::RevisionArrives& revision, TimePoint at) {
  if (spec_.plan.on_newer == rollout::OnNewer::Refuse) return;
  const std::size_t v = world::version_index(spec_, spec_.plan.canary).value_or(0);
  faults_.rebuild(v, world::faults_of(revision));
  if (const Status told = tell(v); !told) {
    recorder_.note(at, "fault.untold", {{"what", told.error().message}});
  }
}

void LiveStage::throttle(const world::ThrottleApi& event, bool begins, TimePoint at) {
  const double share = event.share.share();
  if (begins) {
    throttles_.push_back(share);
  } else if (const auto one = std::find(throttles_.begin(), throttles_.end(), share);
             one != throttles_.end()) {
    throttles_.erase(one);
  }
  const std::string what =
      begins ? fmt::format("{} of the rollout's calls are throttled", to_string(event.share))
             : std::string("this throttling of the rollout's calls is over");
  recorder_.note(at, "api.throttled", {{"what", what + refusal(apply_throttles())}});
}

/// Of several at a time the heaviest counts.
Status LiveStage::apply_throttles() {
  const auto heaviest = std::max_element(throttles_.begin(), throttles_.end());
  return cloud_.throttle(heaviest == throttles_.end() ? 0 : *heaviest);
}

void LiveStage::note_fault(TimePoint at, std::string name, const world::InjectFault& inject,
                           const Status& applied) {
  std::string what = world::describe(inject.fault, inject.target);
  if (!applied) what += " (" + applied.error().message + ")";
  recorder_.note(at, std::move(name), {{"what", what}});
}

Status LiveStage::tell(std::size_t version) {
  TRY(const std::vector<LabTask> tasks, cloud_.tasks(spec_.versions[version].name));
  return faults_.tell(version, tasks, kAppPort);
}

// --- what is seen ------------------------------------------------------------------------------

void LiveStage::watch_tasks(TimePoint at) {
  for (std::size_t v = 0; v < spec_.versions.size(); ++v) {
    const std::string& name = spec_.versions[v].name;
    const auto tasks = cloud_.tasks(name);
    if (!tasks) continue;
    Watched& watched = watched_[v];
    const bool first = watched.addresses.empty() && watched.ends == 0;
    const std::vector<std::string> ends = cloud_.task_ends(name);
    for (; watched.ends < ends.size(); ++watched.ends) {
      if (ends[watched.ends].starts_with(kScaledIn)) continue;
      recorder_.note(at, "task.crashed",
                     {{"what", fmt::format("a task of {}: {}", name, ends[watched.ends])}});
    }
    std::map<std::string, std::string> addresses;
    for (const LabTask& task : *tasks) {
      if (!first && !watched.addresses.contains(task.arn)) {
        recorder_.note(at, "task.started", {{"what", fmt::format("a new task of {} runs", name)}});
      }
      addresses[task.arn] = task.address;
    }
    watched.addresses = std::move(addresses);
    // A task that ECS started anew knows only what its environment says.
    if (const Status told = faults_.tell(v, *tasks, kAppPort); !told) {
      recorder_.note(at, "fault.untold", {{"what", told.error().message}});
    }
  }
}

void LiveStage::watch_routes() {
  const std::vector<RouteChange>& changes = cloud_.routes().changes();
  for (; noted_changes_ < changes.size() && changes[noted_changes_].adopted; ++noted_changes_) {
    if (spec_.platform.route_delay == Duration{}) continue;  // it is told with the weights
    std::map<std::string, std::uint32_t> weights;
    for (const world::Version& version : spec_.versions) {
      const auto at = changes[noted_changes_].weights.find(cloud_.target(version.name));
      if (at != changes[noted_changes_].weights.end()) weights[version.name] = at->second;
    }
    recorder_.note(
        *changes[noted_changes_].adopted, "routes.live",
        {{"what", world::render_routes(spec_, weights, changes[noted_changes_].by_marks) +
                      "    in force at the gateway"}});
  }
}

}  // namespace coalmine::lab
