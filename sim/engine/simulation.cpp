#include "sim/engine/simulation.h"

#include <algorithm>
#include <limits>

#include "sim/core/check.h"
#include "sim/core/math.h"
#include "sim/rollout/journal_file.h"
#include "sim/traffic/route_index.h"

namespace coalmine::engine {

using world::Ending;
using world::Fault;

/// Something of the scenario's `when` that comes at its time.
struct Simulation::Due {
  enum class Kind { FaultBegins, FaultEnds, ForeignWeights };
  TimePoint at;
  Kind kind;
  std::size_t event = 0;  ///< index in Spec::events
};

namespace {

/// Requests that the gateway's metrics count as errors: it answered 5xx.
std::uint64_t metric_errors(const Meter& meter) {
  const auto count = [&meter](Ending e) { return meter.endings[static_cast<std::size_t>(e)]; };
  return count(Ending::Error) + count(Ending::Reset) + count(Ending::Timeout);
}

std::uint64_t user_failures(const Meter& meter) {
  std::uint64_t sum = 0;
  for (std::size_t i = 1; i < world::kEndings; ++i) sum += meter.endings[i];
  return sum;
}

/// Virtual nodes and target groups are named after their version: "app-v1".
std::optional<std::size_t> version_of(const world::Spec& spec, std::string_view target) {
  for (std::size_t i = 0; i < spec.versions.size(); ++i) {
    const std::string& name = spec.versions[i].name;
    if (target == name || target == "app-" + name) return i;
  }
  return std::nullopt;
}

}  // namespace

Simulation::Simulation(const world::Spec& spec, std::uint64_t seed)
    : spec_(spec),
      start_(kVirtualEpoch),
      now_(kVirtualEpoch),
      limit_(kVirtualEpoch + spec.limit),
      recorder_(spec, "virtual", seed, kVirtualEpoch),
      arrivals_(Random(seed).split("arrivals")),
      requests_(Random(seed).split("requests")),
      users_(Random(seed).split("users")),
      moments_(Random(seed).split("moments")),
      canary_(world::version_index(spec, spec.plan.canary).value_or(0)) {
  const std::size_t n = spec.versions.size();
  active_.resize(n);
  period_.resize(n);
  seen_.resize(n);
  seen_failed_.resize(n);
  total_fast_.resize(n);
  queues_.free_at.resize(n);
  queues_.next_task.resize(n);
  user_seen_.resize(spec.traffic.users / 64 + 1);
  for (std::size_t v = 0; v < n; ++v) {
    tables_.push_back(std::make_shared<LatencyTable>(spec.versions[v].latency));
    queues_.free_at[v].assign(static_cast<std::size_t>(spec.versions[v].tasks), start_);
    for (const Fault& fault : spec.versions[v].faults) {
      active_[v].emplace_back(std::numeric_limits<std::size_t>::max(), fault);
    }
  }
  for (std::size_t i = 0; i < spec.events.size(); ++i) {
    const world::Event& event = spec.events[i];
    if (const auto* inject = std::get_if<world::InjectFault>(&event.what)) {
      due_.push_back({start_ + event.at, Due::Kind::FaultBegins, i});
      if (inject->length) {
        due_.push_back({start_ + event.at + *inject->length, Due::Kind::FaultEnds, i});
      }
    } else if (std::holds_alternative<world::ForeignWeights>(event.what)) {
      due_.push_back({start_ + event.at, Due::Kind::ForeignWeights, i});
    }
  }
  std::stable_sort(due_.begin(), due_.end(),
                   [](const Due& a, const Due& b) { return a.at < b.at; });
  period_begin_ = start_;
  period_end_ = start_ + spec.platform.metric_period;
}

Simulation::~Simulation() = default;

Status Simulation::attach(ControlPlane& plane) {
  plane_ = &plane;
  seen_revision_ = plane.revision();
  take_effect(plane.routes());
  return {};
}

// --- operators ---------------------------------------------------------------------------------

std::optional<rollout::Operator> Simulation::take(TimePoint now) {
  for (; next_operator_ < spec_.events.size(); ++next_operator_) {
    const world::Event& event = spec_.events[next_operator_];
    if (start_ + event.at > now) return std::nullopt;
    const auto* speaks = std::get_if<world::OperatorSpeaks>(&event.what);
    if (speaks == nullptr) continue;
    ++next_operator_;
    return rollout::Operator{world::to_command(speaks->command), speaks->reason, Percent{}};
  }
  return std::nullopt;
}

TimePoint Simulation::next(TimePoint) const {
  for (std::size_t i = next_operator_; i < spec_.events.size(); ++i) {
    if (std::holds_alternative<world::OperatorSpeaks>(spec_.events[i].what)) {
      return start_ + spec_.events[i].at;
    }
  }
  return kNever;
}

// --- time --------------------------------------------------------------------------------------

void Simulation::sleep_until(TimePoint t) {
  if (plane_ == nullptr) return;  // the control plane is still being set up
  advance(std::min(t, limit_));
}

void Simulation::drain() {
  notice_routes();
  TimePoint last = now_;
  for (const PendingRoutes& pending : pending_routes_) last = std::max(last, pending.at);
  advance(last);
}

TimePoint Simulation::next_event() const {
  TimePoint next = period_end_;
  if (next_due_ < due_.size()) next = std::min(next, due_[next_due_].at);
  for (const PendingRoutes& pending : pending_routes_) next = std::min(next, pending.at);
  for (const Unpublished& period : unpublished_) next = std::min(next, period.at);
  return next;
}

void Simulation::advance(TimePoint t) {
  notice_routes();
  while (now_ < t) {
    const TimePoint stop = std::min(t, next_event());
    if (stop > now_) run_batch(stop);
    now_ = std::max(now_, stop);
    happen();
  }
}

/// Everything that is due now, in a fixed order: routes, then the scenario, then metrics.
void Simulation::happen() {
  while (!pending_routes_.empty() && pending_routes_.front().at <= now_) {
    take_effect(pending_routes_.front().routes);
    pending_routes_.erase(pending_routes_.begin());
  }
  for (; next_due_ < due_.size() && due_[next_due_].at <= now_; ++next_due_) {
    const Due& due = due_[next_due_];
    const world::Event& event = spec_.events[due.event];
    if (due.kind == Due::Kind::ForeignWeights) {
      const auto& weights = std::get<world::ForeignWeights>(event.what).weights;
      const std::string done = plane_->set_foreign(weights) ? "" : " (refused)";
      recorder_.note(
          now_, "weights.foreign",
          {{"what", world::render_weights(spec_, weights) + " set by somebody else" + done}});
      notice_routes();
      continue;
    }
    const auto& inject = std::get<world::InjectFault>(event.what);
    const std::size_t v = world::version_index(spec_, inject.target).value_or(0);
    const bool begins = due.kind == Due::Kind::FaultBegins;
    if (begins) {
      active_[v].emplace_back(due.event, inject.fault);
    } else {
      std::erase_if(active_[v], [&due](const auto& one) { return one.first == due.event; });
    }
    recorder_.note(now_, begins ? "fault.began" : "fault.ended",
                   {{"what", world::describe(inject.fault, inject.target)}});
    rebuild_regime();
  }
  if (period_end_ <= now_) end_period();
  while (!unpublished_.empty() && unpublished_.front().at <= now_) {
    plane_->publish(unpublished_.front().metrics, now_);
    unpublished_.erase(unpublished_.begin());
  }
  plane_->tick(now_);
}

// --- routes ------------------------------------------------------------------------------------

void Simulation::notice_routes() {
  if (plane_->revision() == seen_revision_) return;
  seen_revision_ = plane_->revision();
  const Duration delay = spec_.platform.route_delay;
  if (delay == Duration{}) {
    take_effect(plane_->routes());
  } else {
    pending_routes_.push_back({now_ + delay, plane_->routes()});
  }
}

void Simulation::take_effect(const traffic::Snapshot& routes) {
  live_routes_ = routes;
  const std::vector<std::uint32_t> before = live_weights_;
  rebuild_regime();
  if (!before.empty() && before != live_weights_ && spec_.platform.route_delay > Duration{}) {
    std::map<std::string, std::uint32_t> weights;
    for (std::size_t v = 0; v < spec_.versions.size(); ++v) {
      weights[spec_.versions[v].name] = live_weights_[v];
    }
    recorder_.note(
        now_, "routes.live",
        {{"what", world::render_weights(spec_, weights) + "    in force at the gateway"}});
  }
}

void Simulation::rebuild_regime() {
  regime_.segments.clear();
  regime_.versions.clear();
  for (std::size_t v = 0; v < spec_.versions.size(); ++v) {
    const world::Version& version = spec_.versions[v];
    VersionRegime regime{tables_[v], version.tasks, Duration{}};
    if (version.capacity) regime.service_time = from_seconds(1 / version.capacity->per_s);
    regime_.versions.push_back(regime);
  }
  std::vector<world::Segment> segments = spec_.traffic.segments;
  double rest = 100;
  for (const world::Segment& segment : segments) rest -= segment.share.value;
  if (rest > 1e-9) segments.push_back({"", "/", Percent{rest}});

  live_weights_.assign(spec_.versions.size(), 0);
  const auto index = traffic::RouteIndex::compile(live_routes_);
  for (const world::Segment& segment : segments) {
    SegmentRegime regime;
    regime.share = segment.share.share();
    regime.refused = true;
    if (index && !(*index)->listeners().empty()) {
      traffic::RequestView request;
      request.path = segment.path;
      std::string scratch;
      const traffic::Decision decision =
          traffic::resolve((*index)->listeners().front(), request, 0, scratch);
      if (decision.forward != nullptr && decision.forward->total_weight > 0) {
        const traffic::ForwardIndex& forward = *decision.forward;
        std::uint64_t cumulative = 0;
        for (const traffic::TargetIndex& target : forward.targets) {
          const auto v = version_of(spec_, target.target->name);
          if (v) live_weights_[*v] = target.target->weight;
          if (target.target->weight == 0) continue;
          cumulative += target.target->weight;
          const std::size_t k = regime.targets++;
          regime.edges[k] =
              cumulative < forward.total_weight ? edge_of(cumulative, forward.total_weight) : 0;
          regime.version[k] = v.value_or(0);
          regime.up[k] = v.has_value() && !target.usable.empty();
          std::vector<Fault> faults;
          for (const auto& [event, fault] : active_[regime.version[k]]) faults.push_back(fault);
          regime.behaviour[k] = make_behaviour(faults, segment.name);
        }
        regime.refused = false;
      }
    }
    regime_.segments.push_back(std::move(regime));
  }
}

// --- requests ----------------------------------------------------------------------------------

std::uint64_t Simulation::arrivals(TimePoint begin, TimePoint end) {
  const double rate = spec_.traffic.rate.per_s;
  if (spec_.traffic.arrivals == world::Arrivals::Poisson) {
    return arrivals_.poisson(rate * to_seconds(end - begin));
  }
  const auto until = [&](TimePoint t) {
    return static_cast<std::uint64_t>(rate * to_seconds(t - start_) + 1e-9);
  };
  return until(end) - until(begin);
}

void Simulation::run_batch(TimePoint end) {
  const std::uint64_t count = arrivals(now_, end);
  if (regime_.queues()) {
    generate_queued(regime_, count, now_, end, spec_.traffic.arrivals == world::Arrivals::Constant,
                    requests_, period_, queues_, dropped_);
  } else {
    generate(regime_, count, requests_, period_, dropped_);
  }
  begin_span(end);
}

/// Accounts for what the meters counted since the last time, as one span.
void Simulation::begin_span(TimePoint end) {
  world::Span span{now_ - start_, end - start_, live_weights_, {}, dropped_ - seen_dropped_};
  seen_dropped_ = dropped_;
  std::uint64_t total = 0, weight = 0;
  for (const std::uint32_t w : live_weights_) weight += w;
  for (std::size_t v = 0; v < period_.size(); ++v) {
    const std::uint64_t requests = period_[v].total();
    const std::uint64_t failed = user_failures(period_[v]);
    span.versions.push_back({requests - seen_[v], failed - seen_failed_[v]});
    total += requests - seen_[v];
    seen_[v] = requests;
    seen_failed_[v] = failed;
  }
  if (weight > 0) {
    world::Record& record = recorder_.record();
    record.max_canary_share =
        std::max(record.max_canary_share,
                 static_cast<double>(live_weights_[canary_]) / static_cast<double>(weight));
  }
  see_canary(now_, end, span.versions[canary_].requests);
  if (total + span.dropped > 0) recorder_.record().spans.push_back(std::move(span));
}

/// First and last moment, and the distinct users, of the canary's requests.
void Simulation::see_canary(TimePoint begin, TimePoint end, std::uint64_t requests) {
  if (requests == 0) return;
  world::Record& record = recorder_.record();
  if (!record.first_canary) {
    // The first of n uniform moments: P(first > x) = (1 - x)^n.
    const double u = 1 - moments_.uniform();
    const double x = 1 - math::pow(u, 1.0 / static_cast<double>(requests));
    record.first_canary = (begin - start_) + from_seconds(to_seconds(end - begin) * x);
  }
  last_canary_batch_ = {begin, end};
  last_canary_count_ = requests;
  for (std::uint64_t i = 0; i < requests && record.blast_users < spec_.traffic.users; ++i) {
    const std::uint64_t user = users_.below(spec_.traffic.users);
    const std::uint64_t bit = std::uint64_t{1} << (user % 64);
    std::uint64_t& word = user_seen_[user / 64];
    if ((word & bit) == 0) {
      word |= bit;
      ++record.blast_users;
    }
  }
}

void Simulation::end_period() {
  PeriodMetrics metrics{period_begin_, period_end_, {}};
  for (std::size_t v = 0; v < period_.size(); ++v) {
    Meter& meter = period_[v];
    VersionMetrics one{meter.total(), metric_errors(meter), meter.other};
    for (std::size_t i = 0; i < meter.fast.size(); ++i) {
      if (meter.fast[i] > 0) one.latency.add(tables_[v]->at(i), meter.fast[i]);
    }
    metrics.versions.push_back(std::move(one));
  }
  count_up();
  unpublished_.push_back({period_end_ + spec_.platform.metric_delay, std::move(metrics)});
  period_begin_ = period_end_;
  period_end_ += spec_.platform.metric_period;
}

void Simulation::count_up() {
  world::Record& record = recorder_.record();
  for (std::size_t v = 0; v < period_.size(); ++v) {
    Meter& meter = period_[v];
    world::VersionRecord& total = record.versions[v];
    total.requests += meter.total();
    for (std::size_t e = 0; e < world::kEndings; ++e) total.endings[e] += meter.endings[e];
    total.endings[0] += meter.fast_requests();
    total.latency.merge(meter.other);
    for (std::size_t i = 0; i < meter.fast.size(); ++i) total_fast_[v][i] += meter.fast[i];
    meter.clear();
    seen_[v] = seen_failed_[v] = 0;
  }
  record.dropped = dropped_;
}

void Simulation::settle_record() {
  count_up();
  world::Record& record = recorder_.record();
  for (std::size_t v = 0; v < total_fast_.size(); ++v) {
    for (std::size_t i = 0; i < LatencyTable::kSize; ++i) {
      if (total_fast_[v][i] > 0)
        record.versions[v].latency.add(tables_[v]->at(i), total_fast_[v][i]);
    }
  }
  if (last_canary_batch_) {
    // The last of n uniform moments: P(last < x) = x^n.
    const auto [begin, end] = *last_canary_batch_;
    const double u = 1 - moments_.uniform();
    const double x = math::pow(u, 1.0 / static_cast<double>(last_canary_count_));
    record.last_canary = (begin - start_) + from_seconds(to_seconds(end - begin) * x);
  }
  record.versions[canary_].users = record.blast_users;
}

// --- the run -----------------------------------------------------------------------------------

Result<world::Record> simulate(const world::Spec& spec, const world::RunOptions& options,
                               const ControlPlaneMaker& make_plane) {
  if (options.fidelity == world::Fidelity::Aggregate) {
    return error("fidelity aggregate is not there yet; use request or auto");
  }
  const std::uint64_t seed = options.seed.value_or(spec.seed);
  Simulation simulation(spec, seed);
  TRY(const auto plane, make_plane(spec, simulation));
  TRY_STATUS(simulation.attach(*plane));
  world::Recorder& recorder = simulation.recorder();
  recorder.record().fidelity = "request";
  rollout::RolloutWorld world{
      plane->traffic(), plane->metrics(),
      simulation,       &simulation,
      nullptr,          [&recorder](const rollout::Event& e) { recorder.on_event(e); },
      nullptr};
  std::unique_ptr<rollout::JournalFile> journal;
  if (!options.journal.empty()) {
    const rollout::JournalHeader header{simulation.now(), fmt::format("{}-{}", spec.name, seed),
                                        plane->traffic().describe(), spec.plan};
    TRY(journal, rollout::JournalFile::create(options.journal, header));
    world.journal = journal.get();
  }
  TRY(const rollout::RolloutEnd end, rollout::run_rollout(spec.plan, world));
  if (end.outcome) {
    recorder.ended(rollout::to_string(*end.outcome), end.reason, simulation.now());
  } else {
    recorder.time_up(rollout::to_string(end.state.phase), simulation.now());
  }
  simulation.drain();
  simulation.settle_record();
  TRY(const rollout::Weights weights, plane->traffic().current_weights());
  for (const auto& [name, weight] : weights) {
    recorder.record().final_weights[name] = static_cast<std::uint32_t>(weight);
  }
  return recorder.finish();
}

}  // namespace coalmine::engine
