#include "sim/engine/world/route_matches.h"
#include "sim/scenario/plan_course.h"
#include "sim/scenario/plan_source.h"
#include "sim/scenario/tables.h"

namespace coalmine::scenario {
namespace {

const YamlNode* child(const YamlNode* node, std::string_view key) {
  if (node == nullptr) return nullptr;
  for (const auto& [name, value] : node->pairs) {
    if (name.text == key) return &value;
  }
  return nullptr;
}

/// What the checks below share.
struct Context {
  const Scenario& scenario;
  const YamlNode& root;
  Reader& reader;

  /// From the tree, so that names can be checked although something else was wrong.
  std::vector<std::string> names_of(const YamlNode* map) const {
    std::vector<std::string> names;
    for (std::size_t i = 0; map != nullptr && i < map->pairs.size(); ++i) {
      names.push_back(map->pairs[i].key.text);
    }
    return names;
  }

  void want_version(const Place& place, const std::string& name) const {
    const std::vector<std::string> names = names_of(child(child(&root, "given"), "versions"));
    if (names.empty() || std::find(names.begin(), names.end(), name) != names.end()) return;
    reader.problem(place,
                   fmt::format("there is no version \"{}\" (allowed: {})", name, join(names)));
  }

  void want_segment(const Place& place, const std::string& name) const {
    const YamlNode* segments = child(child(child(&root, "given"), "traffic"), "segments");
    std::vector<std::string> names;
    for (std::size_t i = 0; segments != nullptr && i < segments->items.size(); ++i) {
      if (const YamlNode* one = child(&segments->items[i], "name")) names.push_back(one->text);
    }
    if (name.empty() || std::find(names.begin(), names.end(), name) != names.end()) return;
    reader.problem(
        place, names.empty()
                   ? fmt::format("there is no segment \"{}\": the traffic has none", name)
                   : fmt::format("there is no segment \"{}\" (allowed: {})", name, join(names)));
  }

  /// `who` tells a segment's requests by their path or header.
  void want_distinct_segment(const YamlNode& node, std::string_view who = "a fault") const {
    const Place place = reader.place(node);
    const std::string& name = node.text;
    want_segment(place, name);
    const YamlNode* segments = child(child(child(&root, "given"), "traffic"), "segments");
    for (std::size_t i = 0; segments != nullptr && i < segments->items.size(); ++i) {
      const YamlNode& one = segments->items[i];
      const YamlNode* its_name = child(&one, "name");
      const YamlNode* path = child(&one, "path");
      if (its_name == nullptr || its_name->text != name || has_key(one, "header")) continue;
      if (path != nullptr && path->text != "/") continue;
      reader.problem(place, fmt::format("the segment \"{}\" has neither a path nor a header of its "
                                        "own, so {} cannot tell its requests",
                                        name, who));
    }
  }

  /// Every item of the list `key`, in the file's order.
  std::vector<const YamlNode*> items(std::string_view key) const {
    std::vector<const YamlNode*> found;
    const YamlNode* list = child(&root, key);
    for (std::size_t i = 0; list != nullptr && i < list->items.size(); ++i) {
      found.push_back(&list->items[i]);
    }
    return found;
  }
};

/// Names inside a map of weights, each reported at its own key.
void check_weight_names(const Context& context, const YamlNode* weights) {
  if (weights == nullptr) return;
  for (const auto& [name, value] : weights->pairs) {
    context.want_version(context.reader.place(name), name.text);
  }
}

void check_versions(const Context& context) {
  const YamlNode* versions = child(child(&context.root, "given"), "versions");
  if (versions == nullptr) return;
  for (const auto& [name, version] : versions->pairs) {
    const YamlNode* faults = child(&version, "faults");
    for (std::size_t i = 0; faults != nullptr && i < faults->items.size(); ++i) {
      if (const YamlNode* segment = child(&faults->items[i], "segment")) {
        context.want_distinct_segment(*segment);
      }
    }
  }
}

void check_segments(const Context& context) {
  const YamlNode* list = child(child(child(&context.root, "given"), "traffic"), "segments");
  std::vector<std::string> seen;
  for (std::size_t i = 0; list != nullptr && i < list->items.size(); ++i) {
    const YamlNode* name = child(&list->items[i], "name");
    if (name == nullptr) continue;
    if (std::find(seen.begin(), seen.end(), name->text) != seen.end()) {
      context.reader.problem(*name, "the segment \"{}\" is given twice", name->text);
    }
    seen.push_back(name->text);
  }
}

/// A scenario may mean to stop in the middle, if it says so.
bool expects_unfinished(const Scenario& scenario) {
  return std::any_of(scenario.checks.begin(), scenario.checks.end(), [](const Check& check) {
    const auto* outcome = std::get_if<OutcomeCheck>(&check.what);
    return outcome != nullptr && outcome->want == world::Outcome::Unfinished;
  });
}

/// What can be said of the plan although something else in the file is wrong.
void check_rollout_names(const Context& context, bool complete) {
  const YamlNode* rollout = child(&context.root, "rollout");
  for (const char* role : {"stable", "canary"}) {
    if (const YamlNode* name = child(rollout, role)) {
      context.want_version(context.reader.place(*name), name->text);
    }
  }
  const YamlNode* analyses = child(rollout, "analysis");
  for (std::size_t i = 0; analyses != nullptr && i < analyses->items.size(); ++i) {
    const YamlNode* segments = child(&analyses->items[i], "segments");
    for (std::size_t k = 0; segments != nullptr && k < segments->items.size(); ++k) {
      context.want_distinct_segment(segments->items[k], "a metric");
    }
  }
  const YamlNode* plan = child(rollout, "plan");
  for (std::size_t i = 0; plan != nullptr && i < plan->items.size(); ++i) {
    const YamlNode* routes = child(&plan->items[i], "route");
    for (std::size_t k = 0; routes != nullptr && k < routes->items.size(); ++k) {
      if (const YamlNode* segment = child(&routes->items[k], "segment")) {
        // At the step's place, where check_playable() says what else is wrong with it.
        context.want_segment(context.reader.place(plan->items[i]), segment->text);
      }
    }
  }
  if (complete || plan == nullptr) return;
  for (const YamlNode& step : plan->items) {
    if (const YamlNode* promoted = child(&step, "promote")) {
      context.want_version(context.reader.place(*promoted), promoted->text);
    }
  }
}

void check_rollout(const Context& context) {
  const rollout::Plan& plan = context.scenario.spec.plan;
  const YamlNode* rollout = child(&context.root, "rollout");
  if (plan.stable == plan.canary) {
    context.reader.problem(*rollout, "stable and canary are both \"{}\"", plan.canary);
  }
  const Duration length = rollout::bake_length(plan);
  for (const rollout::Step& step : plan.steps) {
    const auto* promote = std::get_if<rollout::Promote>(&step.what);
    if (promote == nullptr) continue;
    context.want_version(step.place, promote->version);
    if (promote->version == plan.stable) {
      context.reader.problem(step.place, fmt::format("\"{}\" is the stable version; promote \"{}\"",
                                                     promote->version, plan.canary));
    }
  }
  const PlanCourse course = plan_course(context.scenario.spec);
  const Duration limit = context.scenario.spec.limit;
  if (length >= limit && !expects_unfinished(context.scenario)) {
    context.reader.problem(*child(rollout, "plan"),
                           "the plan bakes for {}, but the run ends after {} (given.clock.limit)",
                           to_string(length), to_string(limit));
  } else if (course.length >= limit && !course.stuck_at && !course.operated &&
             !expects_unfinished(context.scenario)) {
    context.reader.problem(*child(rollout, "plan"),
                           "the steps take {}, but the run ends after {} (given.clock.limit)",
                           to_string(course.length), to_string(limit));
  }
  // One problem of a place is enough: both checks may have found it.
  std::vector<Error> found = rollout::check(plan);
  for (const Error& problem : rollout::check_playable(plan)) found.push_back(problem);
  for (const Error& problem : unanswered_hooks(context.scenario.spec, plan)) {
    found.push_back(problem);
  }
  for (const Error& problem : world::untravelled_routes(context.scenario.spec, plan)) {
    found.push_back(problem);
  }
  for (const Error& problem : found) {
    const Place place = problem.place.value_or(context.reader.place(*child(rollout, "plan")));
    const auto& known = context.reader.problems();
    if (std::none_of(known.begin(), known.end(),
                     [&place](const Error& e) { return e.place == place; })) {
      context.reader.problem(place, problem.message);
    }
  }
}

/// What only holds for a load balancer: ALB's metrics come by the minute, target groups have names
/// of their own.
void check_alb(const Context& context) {
  const world::Spec& spec = context.scenario.spec;
  if (spec.plan.traffic != rollout::TrafficApi::Alb) return;
  const YamlNode* given = child(&context.root, "given");
  const YamlNode* period = child(child(given, "platform"), "metric-period");
  if (period != nullptr && spec.platform.metric_period % std::chrono::minutes{1} != Duration{}) {
    context.reader.problem(*period,
                           "metric-period is {}; a load balancer's metrics come by the minute: "
                           "write whole minutes, or leave it out for 1m",
                           period->text);
  }
  if (const YamlNode* retries = child(child(given, "platform"), "retries")) {
    context.reader.problem(*retries,
                           "a load balancer makes no attempt again; retries are the mesh's");
  }
  constexpr std::size_t kMaxName = 28;  // of 32, behind "app-"
  for (const auto& [name, version] : child(given, "versions")->pairs) {
    const bool plain = name.text.find_first_of("._") == std::string::npos;
    if (plain && name.text.size() <= kMaxName && name.text.back() != '-') continue;
    context.reader.problem(name,
                           "\"{}\" cannot be part of a target group's name; with traffic alb "
                           "allowed are up to {} letters, digits and inner '-'",
                           name.text, kMaxName);
  }
}

void check_events(const Context& context, bool complete) {
  for (const YamlNode* event : context.items("when")) {
    const YamlNode* at = child(event, "at");
    const Result<Duration> time = parse_duration(at == nullptr ? "" : at->text);
    if (complete && time && *time >= context.scenario.spec.limit) {
      context.reader.problem(*at, "at is {}, but the run ends after {} (given.clock.limit)",
                             at->text, to_string(context.scenario.spec.limit));
    }
    if (const YamlNode* fault = child(event, "fault")) {
      const YamlNode* target = child(fault, "target");
      if (target != nullptr) context.want_version(context.reader.place(*target), target->text);
      if (const YamlNode* segment = child(fault, "segment")) {
        context.want_distinct_segment(*segment);
      }
    }
    check_weight_names(context, child(event, "weights"));
    check_weight_names(context, child(event, "tasks"));
  }
}

/// An alarm that is declared and watched: of others nobody asks the state.
void want_watched(const Context& context, const YamlNode& name) {
  const YamlNode* alarms = child(child(&context.root, "given"), "alarms");
  std::vector<std::string> declared, watched;
  for (std::size_t i = 0; alarms != nullptr && i < alarms->items.size(); ++i) {
    if (const YamlNode* one = child(&alarms->items[i], "name")) declared.push_back(one->text);
  }
  const YamlNode* watch = child(child(child(&context.root, "rollout"), "alarms"), "watch");
  for (std::size_t i = 0; watch != nullptr && i < watch->items.size(); ++i) {
    watched.push_back(watch->items[i].text);
  }
  const auto has = [&name](const std::vector<std::string>& names) {
    return std::find(names.begin(), names.end(), name.text) != names.end();
  };
  if (!has(declared)) {
    context.reader.problem(
        context.reader.place(name),
        declared.empty()
            ? fmt::format("there is no alarm \"{}\": given.alarms declares none", name.text)
            : fmt::format("there is no alarm \"{}\" (allowed: {})", name.text, join(declared)));
  } else if (!has(watched)) {
    context.reader.problem(name,
                           "the rollout does not watch the alarm \"{}\" (rollout.alarms.watch), so "
                           "its state is never asked",
                           name.text);
  }
}

void check_checks(const Context& context, bool complete) {
  std::vector<std::string> metrics;
  for (const auto& analysis : context.scenario.spec.plan.analyses) {
    metrics.push_back(analysis.metric);
  }
  for (const YamlNode* check : context.items("then")) {
    check_weight_names(context, child(check, "final-weights"));
    if (const YamlNode* version = child(child(check, "latency"), "version")) {
      context.want_version(context.reader.place(*version), version->text);
    }
    for (const char* kind : {"blast-radius", "decision"}) {
      if (const YamlNode* segment = child(child(check, kind), "segment")) {
        context.want_segment(context.reader.place(*segment), segment->text);
      }
    }
    if (const YamlNode* alarm = child(child(check, "alarm"), "name")) want_watched(context, *alarm);
    const YamlNode* metric = child(child(check, "decision"), "metric");
    if (complete && metric != nullptr &&
        std::find(metrics.begin(), metrics.end(), metric->text) == metrics.end()) {
      context.reader.problem(*metric, "no analysis looks at the metric \"{}\"", metric->text);
    }
  }
}

}  // namespace

void cross_check(const Scenario& scenario, bool complete, const YamlNode& root, Reader& reader) {
  const Context context{scenario, root, reader};
  check_versions(context);
  check_segments(context);
  check_rollout_names(context, complete);
  if (complete) check_rollout(context);
  if (complete) check_alb(context);
  check_events(context, complete);
  check_checks(context, complete);
}

}  // namespace coalmine::scenario
