#include "sim/scenario/doubts.h"

#include <algorithm>

#include "sim/engine/world/rate_curve.h"
#include "sim/rollout/analysis/analysis.h"
#include "sim/rollout/analysis/bounds.h"
#include "sim/scenario/plan_course.h"
#include "sim/scenario/yaml.h"

namespace coalmine::scenario {
namespace {

using rollout::OnNoData;

constexpr double kRateTolerance = 1e-9;
constexpr std::uint64_t kSeedsPlayed = 3;

const YamlNode* child(const YamlNode* node, std::string_view key) {
  for (std::size_t i = 0; node != nullptr && i < node->pairs.size(); ++i) {
    if (node->pairs[i].key.text == key) return &node->pairs[i].value;
  }
  return nullptr;
}

/// "12", "0.6", "1200": as many digits as such an estimate deserves.
std::string about(double n) {
  return n >= 10 ? fmt::format("{:.0f}", n) : fmt::format("{:.2g}", n);
}

class Doubter {
 public:
  explicit Doubter(const Scenario& scenario)
      : scenario_(scenario),
        spec_(scenario.spec),
        plan_(scenario.spec.plan),
        course_(plan_course(scenario.spec)) {
    if (auto root = parse_yaml(scenario.text, scenario.file)) root_ = *std::move(root);
  }

  std::vector<Error> world() {
    doubt_tests();
    doubt_bakes();
    for (const world::Version& version : spec_.versions) doubt_capacity(version);
    doubt_alarms();
    doubt_reach();
    doubt_hooks();
    doubt_faults();
    doubt_unseen_faults();
    doubt_limit();
    return std::move(doubts_);
  }

  std::vector<Error> outcome() {
    for (const Check& check : scenario_.checks) {
      std::visit([&](const auto& what) { doubt_check(what, check.place); }, check.what);
    }
    return std::move(doubts_);
  }

 private:
  template <typename... Args>
  void add(const Place& place, fmt::format_string<Args...> text, Args&&... args) {
    doubts_.push_back({fmt::format(text, std::forward<Args>(args)...), ErrorKind::Invalid, place});
  }

  /// Where a value stands in the file; the scenario's name if it is not there.
  Place place_of(std::initializer_list<std::string_view> path) const {
    const YamlNode* node = &root_;
    for (const std::string_view key : path) {
      const YamlNode* next = child(node, key);
      if (next == nullptr) break;
      node = next;
    }
    if (node == &root_) return scenario_.place;
    return {scenario_.file, node->line, node->column};
  }
  /// Of the plan, which may stand in another file.
  Place plan_place() const {
    return plan_.steps.empty() ? scenario_.place : plan_.steps.front().place;
  }

  // --- tests -----------------------------------------------------------------------------------

  void doubt_tests() {
    const double part = rollout::split_alpha(plan_.analyses);
    for (const rollout::AnalysisSpec& analysis : plan_.analyses) {
      if (analysis.scope == rollout::Scope::Stable) continue;
      if (analysis.segments.empty()) {
        doubt_test(analysis, part);
      } else {
        for (const std::string& name : analysis.segments) doubt_segment(analysis, part, name);
        if (analysis.each_segment) doubt_silence(analysis);
      }
    }
  }

  void doubt_test(const rollout::AnalysisSpec& analysis, double part) {
    const double requests = expected_canary_requests(spec_, course_);
    if (!convicts_the_worst(spec_, course_, analysis, part)) {
      return add(analysis.place,
                 "{} by {} can never decide: the plan gives {} about {} requests in {}, and even "
                 "if all of them were bad that would not convince it",
                 analysis.metric, rollout::test_name(analysis.test), plan_.canary, about(requests),
                 to_string(course_.length));
    }
    doubt_power(analysis, requests);
  }

  /// A test that names what it looks for needs so much on average, whoever makes it.
  void doubt_power(const rollout::AnalysisSpec& analysis, double requests) {
    const auto* sprt = std::get_if<rollout::SprtTest>(&analysis.test);
    if (sprt == nullptr) return;
    const double needs =
        rollout::least_requests(sprt->from.share(), sprt->to.share(), sprt->alpha, sprt->beta);
    if (requests >= needs) return;
    add(analysis.place,
        "too little traffic: to tell {} from {} takes {:.0f} requests to the canary on average, "
        "the plan gives it about {}",
        to_string(sprt->to), to_string(sprt->from), needs, about(requests));
  }

  void doubt_segment(const rollout::AnalysisSpec& analysis, double part, const std::string& name) {
    const auto index = world::segment_index(spec_, name);
    if (!index || convicts_the_worst(spec_, course_, analysis, part, index)) return;
    const double share = spec_.traffic.segments[*index].share.share();
    add(analysis.place,
        "{} in {} can never decide: the plan gives {} about {} requests of it in {}, and even if "
        "all of them failed that would not convince the test",
        analysis.metric, name, plan_.canary,
        about(expected_canary_requests(spec_, course_) * share), to_string(course_.length));
  }

  /// A segment so small that a bake may well end without a canary request in it.
  void doubt_silence(const rollout::AnalysisSpec& analysis) {
    constexpr double kFew = 3;  // of so many none comes once in twenty times
    const world::RateCurve curve(spec_.traffic);
    for (const Stay& stay : course_.stays) {
      if (!std::holds_alternative<rollout::Bake>(plan_.steps[stay.step].what)) continue;
      for (const std::string& name : analysis.segments) {
        const auto index = world::segment_index(spec_, name);
        if (!index) continue;
        const double requests = curve.expected(stay.begin, stay.end) * stay.share *
                                spec_.traffic.segments[*index].share.share();
        if (stay.share <= 0 || requests >= kFew) continue;
        return add(analysis.place,
                   "needs-data each-segment: a bake of {} gives {} about {} requests in {}; with "
                   "none it counts as one without data (on-no-data)",
                   to_string(stay.end - stay.begin), plan_.canary, about(requests), name);
      }
    }
  }

  // --- time ------------------------------------------------------------------------------------

  /// From a weight change until a datapoint of it can be read.
  Duration metric_way() const {
    const world::Platform& p = spec_.platform;
    return p.route_delay + p.metric_period + p.metric_delay;
  }

  /// With analyses and on-no-data hold a bake waits for its first datapoint by itself.
  void doubt_bakes() {
    const bool looks = !plan_.analyses.empty() || !plan_.checks.empty() || plan_.watch;
    const bool waits = !plan_.analyses.empty() && plan_.on_no_data == OnNoData::Hold;
    if (!looks || waits) return;
    for (const Stay& stay : course_.stays) {
      const auto* bake = std::get_if<rollout::Bake>(&plan_.steps[stay.step].what);
      if (bake == nullptr || stay.share <= 0 || bake->length >= metric_way()) continue;
      const bool blames = !plan_.analyses.empty() && plan_.on_no_data == OnNoData::Rollback;
      return add(plan_.steps[stay.step].place,
                 "the bake of {} is over before the first datapoint of its weight can be read "
                 "({}: route-delay {}, metric-period {}, metric-delay {}): {}",
                 to_string(bake->length), to_string(metric_way()),
                 to_string(spec_.platform.route_delay), to_string(spec_.platform.metric_period),
                 to_string(spec_.platform.metric_delay),
                 blames ? "a healthy canary is rolled back for lack of data"
                        : "the next step begins without having seen this one");
    }
  }

  void doubt_limit() {
    if (course_.stuck_at || course_.length >= spec_.limit) return;
    if (course_.length + metric_way() <= spec_.limit) return;
    add(place_of({"given", "clock", "limit"}),
        "the run ends after {}; the steps alone take {}, and metrics come up to {} late: it may be "
        "over before the rollout is",
        to_string(spec_.limit), to_string(course_.length), to_string(metric_way()));
  }

  // --- tasks -----------------------------------------------------------------------------------

  double highest_rate(Duration begin, Duration end) const {
    const world::RateCurve curve(spec_.traffic);
    double highest = 0;
    for (Duration t = begin; t < end; t = curve.next_step(t)) {
      highest = std::max(highest, curve.rate_at(t));
      if (curve.next_step(t) == kForever) break;
    }
    return highest;
  }

  bool is_scaled(const std::string& version) const {
    return std::any_of(spec_.events.begin(), spec_.events.end(), [&version](const auto& event) {
      const auto* scale = std::get_if<world::ScaleTasks>(&event.what);
      return scale != nullptr && scale->tasks.count(version) > 0;
    });
  }

  int tasks_of(const std::string& version) const {
    const auto v = world::version_index(spec_, version);
    return v ? spec_.versions[*v].tasks : 1;
  }

  /// Tasks of the canary in a step, as the rollout scales them.
  int tasks_at(std::size_t step, double share, int tasks) const {
    std::optional<rollout::ScaleCanary> sizing;
    if (plan_.capacity == rollout::CanaryCapacity::FollowWeight) sizing.emplace();
    for (std::size_t i = 0; i < step && i < plan_.steps.size(); ++i) {
      if (const auto* scale = std::get_if<rollout::ScaleCanary>(&plan_.steps[i].what)) {
        sizing = *scale;
      }
    }
    if (!sizing) return tasks;
    const int stables = tasks_of(plan_.stable);
    // A promotion gives it as many as stable has.
    const int sized = rollout::canary_tasks(*sizing, share, stables);
    return step >= plan_.steps.size() ? std::max(sized, stables) : sized;
  }

  /// A version gets more than its tasks can take; the first moment is enough.
  void doubt_capacity(const world::Version& version) {
    if (!version.capacity || is_scaled(version.name)) return;
    int tasks = version.tasks;
    const auto takes = [&] { return version.capacity->per_s * tasks * (1 + kRateTolerance); };
    const auto tell = [&](const Place& place, double gets, const std::string& when) {
      add(place, "{} gets up to {}/s {}, but its {} {}/s: the rest waits or is refused",
          version.name, about(gets), when,
          tasks == 1 ? "one task takes" : fmt::format("{} tasks take", tasks), about(takes()));
    };
    const bool canary = version.name == plan_.canary;
    const Place place = place_of({"given", "versions", version.name, "capacity"});
    if (!canary && highest_rate(Duration{}, spec_.limit) > takes()) {
      return tell(place, highest_rate(Duration{}, spec_.limit), "before the rollout begins");
    }
    if (!canary) return;
    for (const Stay& stay : course_.stays) {
      const double users = highest_rate(stay.begin, stay.end);
      const double gets =
          users * (stay.share + (1 - stay.share) * stay.mirrored) + stay.own_per_s * stay.own_share;
      tasks = tasks_at(stay.step, stay.share, version.tasks);
      if (gets <= takes()) continue;
      return tell(place, gets, fmt::format("at {:.4g}%", stay.share * 100));
    }
    const bool promotes = !plan_.steps.empty() &&
                          std::holds_alternative<rollout::Promote>(plan_.steps.back().what) &&
                          !course_.stuck_at;
    const rollout::Promote* promotion = rollout::promotion_of(plan_);
    if (promotion != nullptr && promotion->kind == rollout::PromoteKind::ImageSwap) return;
    const double all = highest_rate(course_.length, course_.length + Duration{1});
    const bool grows = promotion != nullptr && promotion->kind == rollout::PromoteKind::Replace;
    tasks = tasks_at(plan_.steps.size(), 1, version.tasks);
    if (grows) tasks = std::max(tasks, tasks_of(plan_.stable));
    if (promotes && all > takes()) tell(place, all, "when it is promoted");
  }

  // --- alarms ----------------------------------------------------------------------------------

  void doubt_alarms() {
    if (!plan_.watch) return;
    Duration watched{};
    for (const Stay& stay : course_.stays) {
      if (stay.share > 0) watched += stay.end - stay.begin;
    }
    for (const rollout::AlarmSpec& alarm : plan_.alarms) {
      const auto& names = plan_.watch->names;
      if (std::find(names.begin(), names.end(), alarm.name) == names.end()) continue;
      if (alarm.period < spec_.platform.metric_period) {
        add(alarm.place,
            "the alarm {} has periods of {}, but datapoints come every {}: most periods are empty "
            "(missing data: {})",
            alarm.name, to_string(alarm.period), to_string(spec_.platform.metric_period),
            rollout::to_string(alarm.missing));
      }
      const bool fires_late = alarm.period * alarm.to_alarm > watched;
      if (fires_late && alarm.initially != rollout::AlarmState::Alarm && !course_.operated) {
        add(alarm.place,
            "the alarm {} cannot fire in time: it needs {} periods of {}, the canary has traffic "
            "for {}",
            alarm.name, alarm.to_alarm, to_string(alarm.period), to_string(watched));
      }
    }
  }

  // --- what is never reached -------------------------------------------------------------------

  bool expects(world::Outcome outcome) const {
    return std::any_of(scenario_.checks.begin(), scenario_.checks.end(), [&](const Check& check) {
      const auto* want = std::get_if<OutcomeCheck>(&check.what);
      return want != nullptr && want->want == outcome;
    });
  }

  void doubt_reach() {
    for (const rollout::CheckSpec& check : plan_.checks) {
      if (!check.to_step || *check.to_step > check.from_step) continue;
      add(check.place, "the check{}{} ends with step {}, before it begins with step {}",
          check.name.empty() ? "" : " ", check.name, *check.to_step + 1, check.from_step + 1);
    }
    if (!course_.stuck_at || *course_.stuck_at + 1 >= plan_.steps.size()) return;
    if (expects(world::Outcome::Paused) || course_.operated) return;
    const rollout::Step& step = plan_.steps[*course_.stuck_at];
    const auto& pause = std::get<rollout::Pause>(step.what);
    if (pause.timeout && expects(world::Outcome::RolledBack)) return;
    const bool one = plan_.steps.size() - *course_.stuck_at == 2;
    add(step.place,
        "the plan waits here for an operator, and nobody speaks{} (when: operator): the {} behind "
        "it {} never reached",
        pause.timeout ? " within " + to_string(*pause.timeout) : "", one ? "step" : "steps",
        one ? "is" : "are");
  }

  void doubt_hooks() {
    for (const auto& [name, answer] : spec_.hooks) {
      const bool called =
          std::any_of(plan_.hooks.begin(), plan_.hooks.end(),
                      [&name = name](const auto& hook) { return hook.name == name; });
      if (!called)
        add(place_of({"given", "hooks", name}), "no hook of the plan is called {}", name);
    }
    for (const rollout::Hook& hook : plan_.hooks) {
      const auto answer = spec_.hooks.find(hook.name);
      if (answer == spec_.hooks.end() || answer->second.takes < hook.timeout) continue;
      add(hook.place, "{} takes {} to answer, its timeout is {}: it fails every time", hook.name,
          to_string(answer->second.takes), to_string(hook.timeout));
    }
  }

  void doubt_faults() {
    if (course_.stuck_at || course_.operated) return;
    const Duration over = course_.length + metric_way();
    for (const world::Event& event : spec_.events) {
      const auto* inject = std::get_if<world::InjectFault>(&event.what);
      if (inject == nullptr || event.at <= over) continue;
      add(event.place,
          "the fault begins after {}, but the rollout can be over after {}: nobody may meet it",
          to_string(event.at), to_string(course_.length));
    }
  }

  /// Whether an analysis reads what the requests of a segment were answered, by whomever.
  bool looks_into_segments() const {
    return std::any_of(plan_.analyses.begin(), plan_.analyses.end(),
                       [](const auto& a) { return a.metric == "errors" && !a.segments.empty(); });
  }

  void doubt_unseen(const std::vector<world::Fault>& faults, const Place& place) {
    for (const world::Fault& fault : faults) {
      const bool reset = fault.kind == world::FaultKind::Reset;
      if (!reset && fault.kind != world::FaultKind::Hang) continue;
      return add(place,
                 "{} {}: users get a {} that is the load balancer's own (HTTPCode_ELB_5XX_Count) "
                 "and in no metric of {}'s target group. No test, check or alarm here sees it; "
                 "errors of a segment, counted by whoever sees the requests, would show it",
                 plan_.canary, reset ? "breaks connections" : "does not answer", reset ? 502 : 504,
                 plan_.canary);
    }
  }

  /// Behind a load balancer the canary's metrics do not know of answers that it never gave.
  void doubt_unseen_faults() {
    if (plan_.traffic != rollout::TrafficApi::Alb || !somebody_looks()) return;
    if (looks_into_segments()) return;
    for (const world::Version& version : spec_.versions) {
      if (version.name != plan_.canary) continue;
      doubt_unseen(version.faults, place_of({"given", "versions", version.name, "faults"}));
    }
    for (const world::Event& event : spec_.events) {
      const auto* inject = std::get_if<world::InjectFault>(&event.what);
      if (inject != nullptr && inject->target == plan_.canary) {
        doubt_unseen({inject->fault}, event.place);
      }
    }
  }

  // --- checks ----------------------------------------------------------------------------------

  bool somebody_looks() const {
    return !plan_.analyses.empty() || !plan_.checks.empty() || plan_.watch ||
           rollout::has_step<rollout::Examine>(plan_);
  }
  bool promotes() const { return rollout::promotion_of(plan_) != nullptr; }
  bool operator_promotes() const {
    return std::any_of(spec_.events.begin(), spec_.events.end(), [](const auto& event) {
      const auto* speaks = std::get_if<world::OperatorSpeaks>(&event.what);
      return speaks != nullptr && speaks->command == world::OperatorCommand::Promote;
    });
  }

  template <typename Other>
  void doubt_check(const Other&, const Place&) {}

  void doubt_check(const OutcomeCheck& check, const Place& place) {
    if (check.want == world::Outcome::Promoted && !promotes() && !operator_promotes()) {
      add(place, "no step promotes and no operator does: such a rollout ends as completed at best");
    }
    if (check.want == world::Outcome::Completed && promotes()) {
      add(place, "the plan ends with a promotion: it comes out as promoted, never as completed");
    }
  }

  void doubt_check(const TimeToPromoteCheck& check, const Place& place) {
    if (!check.bound.max || operator_promotes() || course_.stuck_at) return;
    if (*check.bound.max >= course_.length) return;
    add(place, "it cannot be promoted within {}: the steps before take {}",
        to_string(*check.bound.max), to_string(course_.length));
  }

  void doubt_nobody(std::string_view name, const Place& place) {
    if (somebody_looks()) return;
    add(place, "{} cannot hold: no analysis, check or alarm looks at the canary", name);
  }
  void doubt_check(const TimeToDetectCheck&, const Place& place) {
    doubt_nobody("time-to-detect", place);
  }
  void doubt_check(const DecisionCheck&, const Place& place) { doubt_nobody("decision", place); }

  const Scenario& scenario_;
  const world::Spec& spec_;
  const rollout::Plan& plan_;
  PlanCourse course_;
  YamlNode root_;
  std::vector<Error> doubts_;
};

/// Nothing but a canary that fails always, and what the plan makes of it.
world::Spec with_the_worst_canary(world::Spec spec) {
  for (world::Version& version : spec.versions) {
    version.faults.clear();
    version.capacity.reset();
    version.concurrency.reset();
    version.queue.reset();
    if (version.name == spec.plan.canary) {
      version.faults.push_back({world::FaultKind::Errors, Percent{100}, 500, std::nullopt, ""});
    }
  }
  std::erase_if(spec.events, [](const world::Event& event) {
    return !std::holds_alternative<world::OperatorSpeaks>(event.what);
  });
  return spec;
}

bool ends_well(world::Outcome outcome) {
  return outcome == world::Outcome::Promoted || outcome == world::Outcome::Completed;
}

}  // namespace

std::vector<Error> world_doubts(const Scenario& scenario) {
  return Doubter(scenario).world();
}

std::vector<Error> outcome_doubts(const Scenario& scenario) {
  return Doubter(scenario).outcome();
}

std::vector<Error> blind_doubts(const Scenario& scenario, const world::World& world) {
  const rollout::Plan& plan = scenario.spec.plan;
  const bool looks = !plan.analyses.empty() || !plan.checks.empty() || plan.watch;
  // That nobody looks at all is said by check_doubts(); an operator may promote what he likes.
  if (!looks || plan_course(scenario.spec).operated) return {};
  const world::Spec spec = with_the_worst_canary(scenario.spec);
  for (std::uint64_t seed = 1; seed <= kSeedsPlayed; ++seed) {
    world::RunOptions options;
    options.seed = seed;
    const auto record = world(spec, options);
    if (!record || !ends_well(record->outcome)) return {};
  }
  return {{fmt::format("a {} that fails for every request comes out well under this plan: what "
                       "looks at it does not see it in time",
                       plan.canary),
           ErrorKind::Invalid, plan.steps.front().place}};
}

std::vector<Error> all_doubts(const Scenario& scenario, const world::World& world) {
  std::vector<Error> doubts = world_doubts(scenario);
  for (auto& more : {outcome_doubts(scenario), blind_doubts(scenario, world)}) {
    doubts.insert(doubts.end(), more.begin(), more.end());
  }
  std::stable_sort(doubts.begin(), doubts.end(), [](const Error& a, const Error& b) {
    const auto key = [](const Error& e) {
      return e.place ? std::pair(e.place->line, e.place->column) : std::pair(0, 0);
    };
    return key(a) < key(b);
  });
  return doubts;
}

}  // namespace coalmine::scenario
