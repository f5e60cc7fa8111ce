#include "sim/engine/simulation.h"

#include <algorithm>

#include "sim/core/check.h"
#include "sim/engine/fidelity.h"
#include "sim/engine/mirroring.h"
#include "sim/engine/simulation_due.h"
#include "sim/engine/world/declared_hooks.h"
#include "sim/engine/world/operators.h"
#include "sim/rollout/analysis/analysis.h"
#include "sim/rollout/journal_file.h"

namespace coalmine::engine {

using world::Fault;

namespace {

/// Where tasks may crash, the gateway learns of it within this time.
constexpr Duration kCrashResolution = std::chrono::seconds{1};
/// Requests that both versions are asked when somebody compares their answers.
constexpr double kComparedAnswers = 1000;

std::vector<std::shared_ptr<const LatencyTable>> make_tables(const world::Spec& spec) {
  std::vector<std::shared_ptr<const LatencyTable>> tables;
  for (std::size_t v = 0; v < spec.versions.size(); ++v) {
    const bool same = v > 0 && spec.versions[v].latency == spec.versions[v - 1].latency;
    tables.push_back(same ? tables.back()
                          : std::make_shared<LatencyTable>(spec.versions[v].latency));
  }
  return tables;
}

}  // namespace

TaskPool::Limits limits_of(const world::Spec& spec, const world::Version& version) {
  TaskPool::Limits limits;
  if (version.capacity) limits.spacing = from_seconds(1 / version.capacity->per_s);
  limits.concurrency = version.concurrency.value_or(0);
  limits.queue = version.queue;
  limits.restart = spec.platform.task_start;
  limits.patience = world::request_timeout(spec);
  return limits;
}

Simulation::Simulation(const world::Spec& spec, std::uint64_t seed, bool aggregate)
    : spec_(spec),
      start_(kVirtualEpoch),
      now_(kVirtualEpoch),
      limit_(kVirtualEpoch + spec.limit),
      recorder_(spec, "virtual", seed, kVirtualEpoch),
      lives_(spec, kVirtualEpoch),
      rate_(spec.traffic),
      arrivals_(Random(seed).split("arrivals")),
      requests_(Random(seed).split("requests")),
      tasks_(Random(seed).split("tasks")),
      health_(Random(seed).split("health")),
      losses_(Random(seed).split("metric-loss")),
      comparisons_(Random(seed).split("comparisons")),
      own_arrivals_(Random(seed).split("own-arrivals")),
      own_requests_(Random(seed).split("own-requests")),
      copies_(Random(seed).split("copies")),
      health_matters_(health_matters(spec)),
      tables_(make_tables(spec)),
      tables_of_builds_(tables_),
      beside_(spec.plan.load || rollout::has_step<rollout::Mirror>(spec.plan)),
      limits_(rollout::latency_limits(spec.plan.analyses)),
      count_only_(aggregate),
      ledger_(spec, recorder_, seed, kVirtualEpoch, tables_,
              {!limits_.empty(), !rollout::segments_of(spec.plan.analyses).empty()}) {
  active_.resize(spec.versions.size());
  for (std::size_t v = 0; v < spec.versions.size(); ++v) {
    const world::Version& version = spec.versions[v];
    // The fast loop counts requests by the parts of a table as answered, none as given up.
    const bool outlasts =
        !aggregate && tables_[v]->at(LatencyTable::kTail - 1) > world::request_timeout(spec);
    ordered_.push_back(outlasts || needs_order(spec, version, aggregate));
    builds_.push_back({version.name, version.name});
    pools_.push_back(std::make_unique<TaskPool>(limits_of(spec, version), tables_[v],
                                                static_cast<std::size_t>(version.tasks), start_));
    for (const Fault& fault : version.faults) active_[v].emplace_back(kFromTheBeginning, fault);
    fault_pools(v);
  }
  for (std::size_t i = 0; i < spec.events.size(); ++i) {
    const world::Event& event = spec.events[i];
    const TimePoint at = start_ + event.at;
    const auto span = [&](Due::Kind begin, Due::Kind end, const std::optional<Duration>& length) {
      schedule({at, begin, i});
      if (length) schedule({at + *length, end, i});
    };
    if (const auto* inject = std::get_if<world::InjectFault>(&event.what)) {
      span(Due::Kind::FaultBegins, Due::Kind::FaultEnds, inject->length);
    } else if (const auto* throttle = std::get_if<world::ThrottleApi>(&event.what)) {
      span(Due::Kind::ThrottleBegins, Due::Kind::ThrottleEnds, throttle->length);
    } else if (std::holds_alternative<world::ForeignWeights>(event.what)) {
      schedule({at, Due::Kind::Foreign, i});
    } else if (std::holds_alternative<world::ScaleTasks>(event.what)) {
      schedule({at, Due::Kind::Scale, i});
    } else if (std::holds_alternative<world::RevisionArrives>(event.what)) {
      schedule({at, Due::Kind::Revision, i});
    }
  }
  if (spec.platform.throttling.value > 0) {
    throttles_.emplace_back(kFromTheBeginning, spec.platform.throttling.share());
  }
  if (spec.plan.affinity) {
    const std::size_t canary = world::version_index(spec, spec.plan.canary).value_or(0);
    affinity_ = std::make_unique<Affinity>(spec.traffic.users, canary, spec.traffic.segments.size(),
                                           Random(seed).split("affinity"));
  }
  period_begin_ = start_;
  period_end_ = start_ + spec.platform.metric_period;
}

Simulation::~Simulation() = default;

Status Simulation::attach(ControlPlane& plane) {
  plane_ = &plane;
  plane.set_health_probe([this](TaskId task, TimePoint now) {
    return pools_[task.version]->healthy(task.task, now, health_);
  });
  if (!throttles_.empty()) plane.throttle(throttles_.front().second);
  seen_revision_ = plane.revision();
  take_effect(plane.routes());
  seen_split_ = live_split_;
  seen_sticky_ = sticky_;
  return {};
}

// --- time --------------------------------------------------------------------------------------

void Simulation::sleep_until(TimePoint t) {
  if (plane_ == nullptr) return;  // the control plane is still being set up
  advance(std::min({t, limit_, std::max(lives_.next(), now_)}));
}

void Simulation::drain() {
  ended_ = true;
  own_load_ = false;
  mirror_ = 0;
  notice_routes();
  TimePoint last = now_;
  if (affinity_) last = std::min(limit_, now_ + spec_.plan.affinity->lasts);
  for (const PendingRoutes& pending : pending_routes_) last = std::max(last, pending.at);
  advance(last);
}

TimePoint Simulation::next_event() const {
  TimePoint next = period_end_;
  if (next_due_ < due_.size()) next = std::min(next, due_[next_due_].at);
  for (const PendingRoutes& pending : pending_routes_) next = std::min(next, pending.at);
  for (const Unpublished& period : unpublished_) next = std::min(next, period.at);
  if (!rate_.is_flat()) {
    const Duration step = rate_.next_step(now_ - start_);
    if (step != kForever) next = std::min(next, start_ + step);
  }
  if (health_matters_) {
    next = std::min(next, plane_->next_wakeup());
    for (const auto& pool : pools_) {
      if (pool->may_crash()) next = std::min(next, now_ + kCrashResolution);
    }
  }
  return std::max(next, now_);
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
  while (next_due_ < due_.size() && due_[next_due_].at <= now_) {
    const Due due = due_[next_due_++];
    carry_out(due);
  }
  if (period_end_ <= now_) end_period();
  while (!unpublished_.empty() && unpublished_.front().at <= now_) {
    plane_->publish(unpublished_.front().metrics, now_);
    unpublished_.erase(unpublished_.begin());
  }
  plane_->tick(now_);
  notice_routes();
}

/// Keeps the list sorted; of the same moment in the order of coming.
void Simulation::schedule(Due due) {
  const auto begin = due_.begin() + static_cast<std::ptrdiff_t>(next_due_);
  due_.insert(std::upper_bound(begin, due_.end(), due,
                               [](const Due& a, const Due& b) { return a.at < b.at; }),
              due);
}

void Simulation::end_period() {
  PeriodMetrics metrics = ledger_.end_period(period_begin_, period_end_);
  const double loss = spec_.platform.metric_loss.share();
  if (loss == 0 || !losses_.bernoulli(loss)) {
    unpublished_.push_back({period_end_ + spec_.platform.metric_delay, std::move(metrics)});
  }
  period_begin_ = period_end_;
  period_end_ += spec_.platform.metric_period;
}

// --- routes ------------------------------------------------------------------------------------

/// Weights reach the gateway after the platform's delay; where tasks are it learns at once.
void Simulation::notice_routes() {
  if (plane_->revision() == seen_revision_) return;
  seen_revision_ = plane_->revision();
  traffic::Snapshot routes = plane_->routes();
  const Duration delay = spec_.platform.route_delay;
  RoutedRegime routed =
      make_regime(spec_, {routes, {}, tables_, std::vector<bool>(tables_.size(), true)});
  const bool same = routed.split == seen_split_ && routed.sticky == seen_sticky_;
  if (delay == Duration{} || (same && pending_routes_.empty())) {
    take_effect(routes);
  } else {
    pending_routes_.push_back({now_ + delay, std::move(routes)});
  }
  seen_split_ = std::move(routed.split);
  seen_sticky_ = routed.sticky;
}

void Simulation::take_effect(const traffic::Snapshot& routes) {
  live_routes_ = routes;
  const std::vector<std::uint32_t> before = live_split_;
  rebuild_regime();
  if (!before.empty() && before != live_split_ && spec_.platform.route_delay > Duration{}) {
    std::map<std::string, std::uint32_t> weights;
    for (std::size_t v = 0; v < spec_.versions.size(); ++v) {
      weights[spec_.versions[v].name] = live_weights_[v];
    }
    recorder_.note(now_, "routes.live",
                   {{"what", world::render_routes(spec_, weights, by_marks_) +
                                 "    in force at the gateway"}});
  }
}

void Simulation::rebuild_regime() {
  if (aggregate_) aggregate_->settle(requests_, ledger_.fine_latencies());
  RegimeInputs inputs{live_routes_, {}, tables_, ordered_};
  for (const auto& faults : active_) {
    std::vector<Fault>& list = inputs.faults.emplace_back();
    for (const auto& [event, fault] : faults) list.push_back(fault);
  }
  RoutedRegime routed = make_regime(spec_, inputs);
  regime_ = std::move(routed.regime);
  live_weights_ = std::move(routed.weights);
  healthy_ = std::move(routed.healthy);
  live_split_ = std::move(routed.split);
  by_marks_ = routed.by_marks;
  sticky_ = routed.sticky;
  for (std::size_t v = 0; v < pools_.size(); ++v) {
    pools_[v]->set_usable(std::move(routed.usable[v]));
  }
  if (count_only_) {
    const bool lends = !std::exchange(tables_changed_, false);
    aggregate_ = std::make_unique<Aggregate>(regime_, limits_, lends ? aggregate_.get() : nullptr);
  }
  if (beside_) rebuild_beside(std::move(routed));
}

void Simulation::rebuild_beside(RoutedRegime&& routed) {
  own_regime_ = std::move(routed.own);
  mirror_regime_ = std::move(routed.mirror);
  played_ = regime_.segments;
  for (const Regime* more : {&own_regime_, &mirror_regime_}) {
    played_.insert(played_.end(), more->segments.begin(), more->segments.end());
  }
  ledger_.meters_beside(regime_.segments.size());
  if (count_only_) {
    own_aggregate_ = std::make_unique<Aggregate>(own_regime_, limits_, aggregate_.get());
    mirror_aggregate_ = std::make_unique<Aggregate>(mirror_regime_, limits_, aggregate_.get());
  }
  if (ended_ || !spec_.plan.load) return;
  // From the moment on that somebody can meet the canary.
  const std::size_t canary = world::version_index(spec_, spec_.plan.canary).value_or(0);
  for (std::size_t i = canary; i < live_split_.size(); i += spec_.versions.size()) {
    own_load_ |= live_split_[i] > 0;
  }
}

void Simulation::set_mirror(Percent share) {
  const Duration delay = spec_.platform.route_delay;
  if (delay == Duration{}) {
    mirror_ = share.share();
  } else {
    schedule({now_ + delay, Due::Kind::Mirror, 0, {}, share.share()});
  }
}

// --- requests ----------------------------------------------------------------------------------

std::uint64_t Simulation::arrivals(TimePoint begin, TimePoint end) {
  const double rate = rate_.rate_at(begin - start_);
  if (spec_.traffic.arrivals == world::Arrivals::Poisson) {
    return arrivals_.poisson(rate * to_seconds(end - begin));
  }
  const auto whole = [](double beats) { return static_cast<std::uint64_t>(beats + 1e-9); };
  if (rate_.is_flat()) {
    return whole(rate * to_seconds(end - start_)) - whole(rate * to_seconds(begin - start_));
  }
  const double before = beats_;
  beats_ += rate * to_seconds(end - begin);
  return whole(beats_) - whole(before);
}

void Simulation::run_batch(TimePoint end) {
  const std::uint64_t count = arrivals(now_, end);
  if (beside_) ordered_counts_.clear();  // stable_requests() looks at them
  const std::uint64_t before = beside_ ? stable_requests() : 0;
  if (aggregate_) {
    aggregate_->generate(count, requests_, ledger_.meters(), ledger_.dropped());
    if (beside_) play_beside(end, stable_requests() - before);
  } else {
    ordered_counts_.assign(pools_.size(), std::vector<std::uint64_t>(regime_.segments.size(), 0));
    if (affinity_) {
      affinity_->generate(regime_, count, now_, end, requests_, ledger_.meters(), ledger_.dropped(),
                          ordered_counts_);
    } else {
      generate(regime_, count, requests_, ledger_.meters(), ledger_.dropped(), ordered_counts_);
    }
    const std::uint64_t more = beside_ ? play_beside(end, stable_requests() - before) : 0;
    play_ordered(count + more, end);
  }
  ledger_.end_span(now_, end, live_weights_, by_marks_ || sticky_);
}

/// Begun by users, those that are left to the tasks among them.
std::uint64_t Simulation::stable_requests() const {
  const std::size_t v = world::version_index(spec_, spec_.plan.stable).value_or(0);
  std::uint64_t sum = ledger_.meters()[v].total();
  if (v < ordered_counts_.size()) {
    for (const std::uint64_t left : ordered_counts_[v]) sum += left;
  }
  return sum;
}

std::uint64_t Simulation::play_beside(TimePoint end, std::uint64_t stable) {
  std::uint64_t own = 0, copies = 0;
  if (own_load_) {
    own = own_arrivals_.poisson(spec_.plan.load->rate.per_s * to_seconds(end - now_));
  }
  if (mirror_ > 0 && !mirror_regime_.segments.empty()) copies = copies_.binomial(stable, mirror_);
  return play_beside(own, own_regime_, own_aggregate_.get()) +
         play_beside(copies, mirror_regime_, mirror_aggregate_.get());
}

std::uint64_t Simulation::play_beside(std::uint64_t count, const Regime& regime,
                                      Aggregate* aggregate) {
  std::vector<Meter>& meters = ledger_.meters_beside(regime_.segments.size());
  OrderedCounts left(pools_.size(), std::vector<std::uint64_t>(regime.segments.size(), 0));
  if (aggregate != nullptr) {
    aggregate->generate(count, own_requests_, meters, missed_);
  } else {
    generate(regime, count, own_requests_, meters, missed_, left);
  }
  for (std::size_t v = 0; v < ordered_counts_.size(); ++v) {
    ordered_counts_[v].insert(ordered_counts_[v].end(), left[v].begin(), left[v].end());
  }
  return count;
}

/// The requests that were left to the tasks. `beats`: arrivals of all versions together.
void Simulation::play_ordered(std::uint64_t beats, TimePoint end) {
  for (std::size_t v = 0; v < pools_.size(); ++v) {
    if (!ordered_[v]) continue;
    Meter& meter = ledger_.meters()[v];
    std::vector<std::uint64_t> counts = std::move(ordered_counts_[v]);
    const std::vector<SegmentRegime>& segments = beside_ ? played_ : regime_.segments;
    if (spec_.traffic.arrivals == world::Arrivals::Constant) {
      pools_[v]->play_evenly(segments, std::move(counts), beats, now_, end, tasks_, meter,
                             ledger_.dropped());
    } else {
      pools_[v]->play(segments, std::move(counts), now_, end, tasks_, meter, ledger_.dropped());
    }
    pools_[v]->finish(end, meter);
    report_crashes(v);
  }
}

/// A request that a version fails tells nothing of its bodies. What remembers earlier requests
/// (bursts, crashes) is left out: it has no body of its own.
void Simulation::compare_answers() {
  if (!spec_.compare_answers) return;
  world::Record& record = recorder_.record();
  for (const SegmentRegime& segment : regime_.segments) {
    std::vector<Behaviour> behaviours;
    for (const std::string* name : {&spec_.plan.stable, &spec_.plan.canary}) {
      std::vector<Fault> list;
      for (const auto& [event, fault] : active_[world::version_index(spec_, *name).value_or(0)]) {
        if (!remembers(fault)) list.push_back(fault);
      }
      behaviours.push_back(make_behaviour(list, spec_, segment.facts));
    }
    const auto requests = static_cast<int>(kComparedAnswers * segment.share + 0.5);
    for (int i = 0; i < requests; ++i) {
      int answered = 0, wrong = 0;
      for (const Behaviour& behaviour : behaviours) {
        const auto* failure = behaviour.choose_failure(comparisons_.next() >> 32);
        const bool body = failure == nullptr || failure->ending == world::Ending::Wrong;
        answered += body ? 1 : 0;
        wrong += body && failure != nullptr ? 1 : 0;
      }
      if (answered < 2) continue;
      ++record.compared;
      record.differing += wrong == 1 ? 1 : 0;
    }
  }
}

void Simulation::settle_record() {
  if (aggregate_) aggregate_->settle(requests_, ledger_.fine_latencies());
  for (std::size_t v = 0; v < pools_.size(); ++v) {
    if (ordered_[v]) pools_[v]->finish(kNever, ledger_.meters()[v]);
  }
  if (affinity_) ledger_.know_users(affinity_->met_canary());
  ledger_.settle();
}

// --- the run -----------------------------------------------------------------------------------

Result<world::Record> simulate(const world::Spec& spec, const world::RunOptions& options,
                               const ControlPlaneMaker& make_plane) {
  TRY(const FidelityChoice fidelity, choose_fidelity(spec, options.fidelity));
  const std::uint64_t seed = options.seed.value_or(spec.seed);
  Simulation simulation(spec, seed, fidelity.aggregate);
  TRY(const auto plane, make_plane(spec, seed, simulation));
  TRY_STATUS(simulation.attach(*plane));
  world::Recorder& recorder = simulation.recorder();
  recorder.record().fidelity = fidelity.aggregate ? "aggregate" : "request";
  recorder.record().fidelity_reason = fidelity.reason;
  if (const std::string note = plane->note(); !note.empty()) {
    recorder.record().fidelity_reason += "; " + note;
  }
  const bool mirrors = rollout::has_step<rollout::Mirror>(spec.plan);
  if (mirrors) {
    recorder.record().fidelity_reason +=
        "; a mesh that mirrors is assumed, which neither App Mesh nor a load balancer does";
  }
  MirroringTraffic mirroring(plane->traffic(), simulation);
  world::Operators operators(spec, recorder.record().start);
  rollout::RolloutWorld world{mirrors ? mirroring : plane->traffic(),
                              plane->metrics(),
                              simulation,
                              &operators,
                              nullptr,
                              [&recorder](const rollout::Event& e) { recorder.on_event(e); },
                              nullptr};
  world::DeclaredHooks hooks(spec, simulation, recorder.record().start);
  world.hooks = &hooks;
  world.tasks = &simulation;
  std::unique_ptr<rollout::JournalFile> journal;
  if (!options.journal.empty()) {
    const rollout::JournalHeader header{simulation.now(), fmt::format("{}-{}", spec.name, seed),
                                        plane->traffic().describe(), spec.plan};
    TRY(journal, rollout::JournalFile::create(options.journal, header));
    world.journal = journal.get();
    TRY_STATUS(recorder.keep(*journal, options.source));
  }
  TRY(const rollout::RolloutEnd end,
      world::play_rollout(spec, world, simulation.lives(), recorder));
  if (end.outcome) {
    recorder.ended(rollout::to_string(*end.outcome), end.reason, simulation.now());
  } else {
    recorder.time_up(rollout::to_string(end.state.phase), simulation.now());
  }
  simulation.compare_answers();
  simulation.drain();
  simulation.settle_record();
  plane->throttle(0);
  TRY(const rollout::Weights weights, plane->traffic().current_weights());
  for (const auto& [name, weight] : weights) {
    recorder.record().final_weights[name] = static_cast<std::uint32_t>(weight);
  }
  return recorder.finish();
}

}  // namespace coalmine::engine
