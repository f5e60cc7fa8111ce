#include "sim/lab/live_world.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <thread>

#include "sim/core/clock.h"
#include "sim/engine/world/recorder.h"
#include "sim/gateway/gateway.h"
#include "sim/lab/load_generator.h"
#include "sim/lab/service_process.h"
#include "sim/rollout/analysis/analysis.h"
#include "sim/rollout/driver.h"
#include "sim/rollout/journal_file.h"
#include "sim/rollout/weights.h"

namespace coalmine::lab {
namespace {

using Steady = std::chrono::steady_clock;
using world::Ending;

constexpr int kMaxLiveTasks = 16;  ///< of one version
/// Around a weight change, in real time, it is not known which weights a request met.
constexpr Duration kBlurBefore = std::chrono::milliseconds{50};
constexpr Duration kBlurAfter = std::chrono::milliseconds{150};
constexpr Duration kSlice = std::chrono::milliseconds{50};  ///< how long a stop goes unnoticed

/// A request, as far as the record needs it.
struct Seen {
  Duration due{}, latency{};
  int version = -1;  ///< -1: none served it
  Ending ending = Ending::Ok;
};

struct WeightsAt {
  Duration t{};
  std::vector<std::uint32_t> weights;
};

faults::Latency scaled(const world::Latency& latency, double speed) {
  const auto real = [speed](Duration d) { return from_seconds(to_seconds(d) / speed); };
  if (const auto* fixed = std::get_if<world::FixedLatency>(&latency)) {
    return faults::Latency::fixed(real(fixed->value));
  }
  if (const auto* uniform = std::get_if<world::UniformLatency>(&latency)) {
    return faults::Latency::uniform(real(uniform->low), real(uniform->high));
  }
  const auto& lognormal = std::get<world::LognormalLatency>(latency);
  return faults::Latency::lognormal(real(lognormal.median), real(lognormal.p99));
}

/// The live stage: processes, gateway, and what the rollout sees of them. Everything but the
/// load runs in the caller's thread, while the rollout sleeps.
class LiveWorld : public Clock,
                  public rollout::OperatorSource,
                  public rollout::TrafficAdapter,
                  public rollout::MetricsSource {
 public:
  LiveWorld(const world::Spec& spec, std::uint64_t seed, double speed, const LiveOptions& live)
      : spec_(spec),
        seed_(seed),
        speed_(speed),
        live_(live),
        limits_(rollout::latency_limits(spec.plan.analyses)),
        recorder_(spec, "live", seed, kVirtualEpoch) {
    for (const world::Version& version : spec.versions) {
      weights_[version.name] = version.name == spec.plan.stable ? 100 : 0;
    }
    active_.resize(spec.versions.size());
    for (std::size_t v = 0; v < spec.versions.size(); ++v) {
      for (const world::Fault& fault : spec.versions[v].faults) active_[v].push_back({-1, fault});
    }
  }

  /// Starts everything; time begins at the end of it.
  Status set_up() {
    processes_.resize(spec_.versions.size());
    for (std::size_t v = 0; v < spec_.versions.size(); ++v) {
      const world::Version& version = spec_.versions[v];
      if (version.tasks > kMaxLiveTasks) {
        return error("{} has {} tasks; live up to {} are started", version.name, version.tasks,
                     kMaxLiveTasks);
      }
      for (int i = 0; i < version.tasks; ++i) {
        const std::uint64_t seed = Random(seed_).split(version.name).split(i).next() | 1;
        TRY(auto process, ServiceProcess::start(live_.sample_app, version.name, seed));
        processes_[v].push_back(std::move(process));
      }
      TRY_STATUS(apply_faults(v));
    }
    gateway::GatewayOptions options;
    options.port = 0;
    options.admin_port.reset();
    options.seed = seed_;
    TRY(gateway_, gateway::Gateway::start(options, table()));
    start_ = Steady::now();
    weights_live_.push_back({Duration{}, weight_list()});
    LoadOptions load;
    load.port = gateway_->ports().front().bound;
    load.rate_per_s = spec_.traffic.rate.per_s * speed_;
    load.poisson = spec_.traffic.arrivals == world::Arrivals::Poisson;
    load.length = from_seconds(to_seconds(spec_.limit) / speed_);
    load.seed = Random(seed_).split("arrivals").next();
    load.paths.clear();
    double rest = 1;
    for (const world::Segment& segment : spec_.traffic.segments) {
      load.paths.push_back({segment.path, segment.share.share()});
      rest -= segment.share.share();
    }
    load.paths.push_back({"/", rest});
    if (load.rate_per_s > 0) {
      TRY(load_, LoadGenerator::start(load, [this](const LoadSample& sample) { see(sample); }));
    }
    return {};
  }

  // --- Clock ---
  TimePoint now() override {
    return kVirtualEpoch + from_seconds(to_seconds(Steady::now() - start_) * speed_);
  }
  void sleep_until(TimePoint t) override {
    t = std::min(t, kVirtualEpoch + spec_.limit);
    while (!stopped()) {
      happen();
      const TimePoint at = now();
      if (at >= t) return;
      const TimePoint wake = std::min(t, next_event());
      const Duration real = from_seconds(to_seconds(std::max(wake - at, Duration{})) / speed_);
      std::this_thread::sleep_for(std::min(real, kSlice));
    }
  }

  // --- OperatorSource ---
  std::optional<rollout::Operator> take(TimePoint at) override {
    for (; next_operator_ < spec_.events.size(); ++next_operator_) {
      const world::Event& event = spec_.events[next_operator_];
      if (kVirtualEpoch + event.at > at) return std::nullopt;
      const auto* speaks = std::get_if<world::OperatorSpeaks>(&event.what);
      if (speaks == nullptr) continue;
      ++next_operator_;
      return rollout::Operator{world::to_command(speaks->command), speaks->reason, Percent{}};
    }
    return std::nullopt;
  }
  TimePoint next(TimePoint) const override {
    for (std::size_t i = next_operator_; i < spec_.events.size(); ++i) {
      if (std::holds_alternative<world::OperatorSpeaks>(spec_.events[i].what)) {
        return kVirtualEpoch + spec_.events[i].at;
      }
    }
    return kNever;
  }

  // --- TrafficAdapter ---
  Result<rollout::Weights> weights_for(Percent canary) const override {
    const bool alb = spec_.plan.traffic == rollout::TrafficApi::Alb;
    const rollout::WeightRange& range = alb ? rollout::kAlbWeights : rollout::kAppMeshWeights;
    TRY(const rollout::WeightPair pair, rollout::to_weights(canary, range));
    return rollout::Weights{{spec_.plan.stable, pair.stable}, {spec_.plan.canary, pair.canary}};
  }
  Result<rollout::Weights> current_weights() override { return weights_; }
  Result<rollout::Weights> set_weights(Percent canary) override {
    TRY(weights_, weights_for(canary));
    pending_.push_back({now() + spec_.platform.route_delay, table(), weight_list()});
    happen();
    return weights_;
  }
  std::string describe() const override { return "gateway on loopback"; }

  // --- MetricsSource ---
  Result<rollout::MetricsReading> read(TimePoint since, const std::vector<Duration>&,
                                       TimePoint at) override {
    rollout::MetricsReading reading;
    const Duration delay = spec_.platform.metric_delay;
    for (const rollout::MetricsWindow& window : windows_) {
      if (window.from >= since && window.to + delay <= at) reading.windows.push_back(window);
    }
    const Duration period = spec_.platform.metric_period;
    const auto past = (at - kVirtualEpoch - delay).count();
    const auto periods = past < 0 ? 1 : past / period.count() + 1;
    reading.next = kVirtualEpoch + delay + period * std::max<std::int64_t>(periods, 1);
    return reading;
  }

  world::Recorder& recorder() { return recorder_; }

  /// The rollout is over: lets the last weights take effect, then ends load and processes.
  void tear_down() {
    while (!pending_.empty() && !stopped()) {
      std::this_thread::sleep_for(kSlice);
      happen();
    }
    // What was routed before the change is still on its way for a moment.
    std::this_thread::sleep_for(kBlurAfter);
    end_ = now() - kVirtualEpoch;
    if (load_) load_->stop();
    if (gateway_) gateway_->stop();
    processes_.clear();
  }

  void count_up();

 private:
  struct Pending {
    TimePoint at;
    traffic::Snapshot table;
    std::vector<std::uint32_t> weights;
  };
  struct Active {
    int event;  ///< index in Spec::events; -1: from the beginning
    world::Fault fault;
  };

  bool stopped() const { return live_.stop != nullptr && live_.stop->load(); }
  Duration elapsed() { return now() - kVirtualEpoch; }
  static std::string node(const std::string& version) { return "app-" + version; }

  std::vector<std::uint32_t> weight_list() const {
    std::vector<std::uint32_t> list;
    for (const world::Version& version : spec_.versions) {
      list.push_back(static_cast<std::uint32_t>(weights_.at(version.name)));
    }
    return list;
  }

  traffic::Snapshot table() {
    traffic::Forward forward;
    forward.timeouts.request = from_seconds(to_seconds(forward.timeouts.request) / speed_);
    for (std::size_t v = 0; v < spec_.versions.size(); ++v) {
      traffic::Target target;
      target.name = node(spec_.versions[v].name);
      target.weight = static_cast<std::uint32_t>(weights_.at(spec_.versions[v].name));
      for (const auto& process : processes_[v]) {
        target.instances.push_back({fmt::format("{}:{}", target.name, process->port()), "127.0.0.1",
                                    process->port(), true});
      }
      forward.targets.push_back(std::move(target));
    }
    traffic::Route route;
    route.name = "app-route";
    route.action = std::move(forward);
    auto made = std::make_shared<traffic::RouteTable>();
    made->version = ++table_version_;
    made->name = "coalmine/app-gateway";
    made->listeners.push_back({"app-gateway", 9080, traffic::Dialect::Envoy, {std::move(route)}});
    return made;
  }

  Status apply_faults(std::size_t v) {
    std::vector<faults::Fault> list;
    faults::Fault base;
    base.kind = faults::Kind::Latency;
    base.latency = scaled(spec_.versions[v].latency, speed_);
    list.push_back(base);
    for (const Active& active : active_[v]) {
      faults::Fault fault = world::to_fault(spec_, active.fault);
      if (active.fault.latency) fault.latency = scaled(*active.fault.latency, speed_);
      fault.warm_up = from_seconds(to_seconds(fault.warm_up) / speed_);
      list.push_back(fault);
    }
    for (const auto& process : processes_[v]) TRY_STATUS(process->set_faults(list));
    return {};
  }

  TimePoint next_event() const {
    TimePoint next = period_begin_ + spec_.platform.metric_period;
    for (const Pending& pending : pending_) next = std::min(next, pending.at);
    if (next_begin_ < spec_.events.size()) {
      next = std::min(next, kVirtualEpoch + spec_.events[next_begin_].at);
    }
    for (const auto& [at, event] : ends_) next = std::min(next, at);
    return next;
  }

  /// Everything that is due by now.
  void happen() {
    const TimePoint at = now();
    while (!pending_.empty() && pending_.front().at <= at) {
      const Pending pending = std::move(pending_.front());
      pending_.erase(pending_.begin());
      if (const Status updated = gateway_->update(pending.table); !updated) {
        recorder_.note(at, "routes.refused", {{"what", updated.error().message}});
        continue;
      }
      weights_live_.push_back({elapsed(), pending.weights});
    }
    for (; next_begin_ < spec_.events.size() && kVirtualEpoch + spec_.events[next_begin_].at <= at;
         ++next_begin_) {
      begin_event(next_begin_, at);
    }
    for (auto it = ends_.begin(); it != ends_.end() && it->first <= at; it = ends_.erase(it)) {
      end_fault(it->second, at);
    }
    watch_processes(at);
    if (period_begin_ + spec_.platform.metric_period <= at) end_period(at);
  }

  void begin_event(std::size_t index, TimePoint at) {
    const world::Event& event = spec_.events[index];
    if (const auto* foreign = std::get_if<world::ForeignWeights>(&event.what)) {
      for (const auto& [name, weight] : foreign->weights) weights_[name] = weight;
      pending_.push_back({at + spec_.platform.route_delay, table(), weight_list()});
      recorder_.note(
          at, "weights.foreign",
          {{"what", world::render_weights(spec_, foreign->weights) + " set by somebody else"}});
    }
    const auto* inject = std::get_if<world::InjectFault>(&event.what);
    if (inject == nullptr) return;
    const std::size_t v = world::version_index(spec_, inject->target).value_or(0);
    active_[v].push_back({static_cast<int>(index), inject->fault});
    note_fault(at, "fault.began", *inject, apply_faults(v));
    if (inject->length) ends_.emplace(kVirtualEpoch + event.at + *inject->length, index);
  }

  void end_fault(std::size_t index, TimePoint at) {
    const auto& inject = std::get<world::InjectFault>(spec_.events[index].what);
    const std::size_t v = world::version_index(spec_, inject.target).value_or(0);
    std::erase_if(active_[v],
                  [index](const Active& a) { return a.event == static_cast<int>(index); });
    note_fault(at, "fault.ended", inject, apply_faults(v));
  }

  void note_fault(TimePoint at, std::string name, const world::InjectFault& inject,
                  const Status& applied) {
    std::string what = world::describe(inject.fault, inject.target);
    if (!applied) what += " (" + applied.error().message + ")";
    recorder_.note(at, std::move(name), {{"what", what}});
  }

  void watch_processes(TimePoint at) {
    for (std::size_t v = 0; v < processes_.size(); ++v) {
      for (const auto& process : processes_[v]) {
        if (process->running() || std::count(dead_.begin(), dead_.end(), process->port()) > 0)
          continue;
        dead_.push_back(process->port());
        recorder_.note(
            at, "task.exited",
            {{"what", fmt::format("a task of {} ended by itself", spec_.versions[v].name)}});
      }
    }
  }

  rollout::VersionCounts totals(const gateway::GatewayStats& stats, const std::string& version) {
    rollout::VersionCounts counts;
    for (const Duration limit : limits_) counts.slow.push_back({limit, 0});
    for (const auto& [key, target] : stats.targets) {
      if (key.target != node(version)) continue;
      counts.requests += target.requests;
      counts.errors += target.codes[5];
      for (rollout::SlowCount& slow : counts.slow) {
        slow.count += target.latency.count_above(from_seconds(to_seconds(slow.over) / speed_));
      }
    }
    return counts;
  }

  static rollout::VersionCounts difference(rollout::VersionCounts now,
                                           const rollout::VersionCounts& before) {
    now.requests -= before.requests;
    now.errors -= before.errors;
    for (std::size_t i = 0; i < before.slow.size(); ++i) now.slow[i].count -= before.slow[i].count;
    return now;
  }

  void end_period(TimePoint at) {
    const gateway::GatewayStats stats = gateway_->stats();
    const auto stable = totals(stats, spec_.plan.stable);
    const auto canary = totals(stats, spec_.plan.canary);
    const Duration period = spec_.platform.metric_period;
    const TimePoint end = period_begin_ + period * ((at - period_begin_) / period);
    windows_.push_back({period_begin_, end, difference(stable, stable_before_),
                        difference(canary, canary_before_)});
    stable_before_ = stable;
    canary_before_ = canary;
    period_begin_ = end;
  }

  void see(const LoadSample& sample);
  std::vector<world::Span> make_spans() const;

  const world::Spec& spec_;
  std::uint64_t seed_;
  double speed_;
  const LiveOptions& live_;
  std::vector<Duration> limits_;
  world::Recorder recorder_;
  Steady::time_point start_ = Steady::now();
  Duration end_{};
  std::vector<std::vector<std::unique_ptr<ServiceProcess>>> processes_;
  std::vector<int> dead_;  ///< ports of tasks that ended by themselves
  std::unique_ptr<gateway::Gateway> gateway_;
  std::unique_ptr<LoadGenerator> load_;
  rollout::Weights weights_;
  std::uint64_t table_version_ = 0;
  std::vector<Pending> pending_;
  std::vector<WeightsAt> weights_live_;
  std::vector<std::vector<Active>> active_;
  std::size_t next_begin_ = 0, next_operator_ = 0;
  std::multimap<TimePoint, std::size_t> ends_;
  TimePoint period_begin_ = kVirtualEpoch;
  rollout::VersionCounts stable_before_, canary_before_;
  std::vector<rollout::MetricsWindow> windows_;
  std::mutex mutex_;
  std::vector<Seen> seen_;
};

/// In the load generator's thread.
void LiveWorld::see(const LoadSample& sample) {
  Seen seen{from_seconds(to_seconds(sample.due) * speed_),
            from_seconds(to_seconds(sample.latency) * speed_), -1, Ending::Ok};
  // No instance, or none that could be connected to: no version ever saw the request.
  const bool unreached = sample.reason.find("cannot connect") != std::string::npos ||
                         sample.reason.find("instance") != std::string::npos;
  for (std::size_t v = 0; !unreached && v < spec_.versions.size(); ++v) {
    const std::string& name = spec_.versions[v].name;
    // The gateway's own answers name the target that failed.
    if (sample.version == name || sample.reason.find(node(name)) != std::string::npos) {
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
  const std::lock_guard lock(mutex_);
  seen_.push_back(seen);
}

/// Empty spans between the weights that were in force, cut at metric periods; around a change
/// the weights are left open.
std::vector<world::Span> LiveWorld::make_spans() const {
  const Duration before = from_seconds(to_seconds(kBlurBefore) * speed_);
  const Duration after = from_seconds(to_seconds(kBlurAfter) * speed_);
  std::vector<world::Span> spans;
  const auto add = [&](Duration begin, Duration end, const std::vector<std::uint32_t>& weights) {
    const Duration period = spec_.platform.metric_period;
    while (begin < end) {
      const Duration cut = std::min(end, (begin / period + 1) * period);
      spans.push_back({begin, cut, weights, std::vector<world::Tally>(spec_.versions.size()), 0});
      begin = cut;
    }
  };
  Duration begin{};
  for (std::size_t i = 0; i < weights_live_.size(); ++i) {
    const bool last = i + 1 == weights_live_.size();
    const Duration change = last ? end_ : weights_live_[i + 1].t;
    const Duration stop = last ? end_ : std::max(begin, change - before);
    add(begin, stop, weights_live_[i].weights);
    begin = std::max(begin, stop);
    if (last) break;
    const Duration settled = std::min(change + after, end_);
    add(begin, settled, {});
    begin = std::max(begin, settled);
  }
  return spans;
}

void LiveWorld::count_up() {
  const std::lock_guard lock(mutex_);
  std::sort(seen_.begin(), seen_.end(), [](const Seen& a, const Seen& b) { return a.due < b.due; });
  world::Record& record = recorder_.record();
  std::vector<world::Span> spans = make_spans();
  const std::size_t canary = world::version_index(spec_, spec_.plan.canary).value_or(0);
  Random users = Random(seed_).split("users");
  std::vector<bool> known(spec_.traffic.users);
  std::size_t at = 0;
  for (const Seen& seen : seen_) {
    while (at + 1 < spans.size() && seen.due >= spans[at].end) ++at;
    if (seen.version < 0) {
      ++record.dropped;
      if (!spans.empty()) ++spans[at].dropped;
      continue;
    }
    const auto v = static_cast<std::size_t>(seen.version);
    const bool failed = seen.ending != Ending::Ok;
    if (!spans.empty()) {
      ++spans[at].versions[v].requests;
      spans[at].versions[v].failed += failed ? 1 : 0;
    }
    world::VersionRecord& total = record.versions[v];
    ++total.requests;
    ++total.endings[static_cast<std::size_t>(seen.ending)];
    if (seen.ending == Ending::Ok || seen.ending == Ending::Error || seen.ending == Ending::Wrong) {
      total.latency.add(seen.latency);
    }
    if (v != canary) continue;
    if (!record.first_canary) record.first_canary = seen.due;
    record.last_canary = seen.due;
    const std::uint64_t user = users.below(spec_.traffic.users);
    record.blast_users += known[user] ? 0 : 1;
    known[user] = true;
  }
  record.versions[canary].users = record.blast_users;
  for (const WeightsAt& live : weights_live_) {
    double sum = 0;
    for (const std::uint32_t weight : live.weights) sum += weight;
    // The promotion itself is the end, not a step on the way; its call took a moment.
    const Duration moment = from_seconds(speed_);
    const bool promotion = record.promoted_at && live.t + moment >= *record.promoted_at;
    if (sum == 0 || promotion) continue;
    record.max_canary_share = std::max(record.max_canary_share, live.weights[canary] / sum);
  }
  record.spans = std::move(spans);
}

}  // namespace

Result<world::Record> play_live(const world::Spec& spec, const world::RunOptions& options,
                                const LiveOptions& live) {
  if (!(options.speed > 0 && options.speed <= kMaxSpeed)) {
    return error("speed is {}, allowed is up to {}", options.speed, kMaxSpeed);
  }
  if (spec.traffic.rate.per_s * options.speed > kMaxLoadPerS) {
    return error("{} at speed {} are {} real requests per second; allowed are up to {}",
                 to_string(spec.traffic.rate), options.speed,
                 spec.traffic.rate.per_s * options.speed, kMaxLoadPerS);
  }
  for (const world::Version& version : spec.versions) {
    if (version.capacity) {
      return error(
          "{} has a capacity, which the live world cannot enforce yet; leave it out or "
          "run in virtual time",
          version.name);
    }
  }
  const std::uint64_t seed = options.seed.value_or(spec.seed);
  LiveWorld world(spec, seed, options.speed, live);
  TRY_STATUS(world.set_up());
  world::Recorder& recorder = world.recorder();
  recorder.record().fidelity = "live";
  std::unique_ptr<rollout::JournalFile> journal;
  if (!options.journal.empty()) {
    const rollout::JournalHeader header{world.now(), fmt::format("{}-{}", spec.name, seed),
                                        world.describe(), spec.plan};
    TRY(journal, rollout::JournalFile::create(options.journal, header));
  }
  rollout::RolloutWorld stage{
      world,  world,         world,
      &world, journal.get(), [&recorder](const rollout::Event& e) { recorder.on_event(e); },
      nullptr};
  TRY(const rollout::RolloutEnd end, rollout::run_rollout(spec.plan, stage));
  if (end.outcome) {
    recorder.ended(rollout::to_string(*end.outcome), end.reason, world.now());
  } else {
    recorder.time_up(rollout::to_string(end.state.phase), world.now());
  }
  world.tear_down();
  world.count_up();
  TRY(const rollout::Weights weights, world.current_weights());
  for (const auto& [name, weight] : weights) {
    recorder.record().final_weights[name] = static_cast<std::uint32_t>(weight);
  }
  return recorder.finish();
}

}  // namespace coalmine::lab
