#include "sim/scenario/plan_source.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include "sim/engine/world/route_matches.h"
#include "sim/rollout/importers/importers.h"
#include "sim/scenario/plan_text.h"
#include "sim/scenario/tables.h"

namespace coalmine::scenario {
namespace {

using importers::PlanKind;

/// What a plan may need beyond its bakes before the run is cut off.
constexpr Duration kSlack = std::chrono::minutes{30};

const YamlNode* child(const YamlNode& node, std::string_view key) {
  for (const auto& [name, value] : node.pairs) {
    if (name.text == key) return &value;
  }
  return nullptr;
}

LoadedPlan refused(std::string message, std::string file) {
  LoadedPlan loaded;
  loaded.problems.push_back({std::move(message), ErrorKind::Invalid, std::nullopt});
  if (!file.empty()) loaded.problems.back().place = Place{std::move(file), 0, 0};
  return loaded;
}

/// The rollout of a scenario file, or of a file that has nothing else.
LoadedPlan load_own(const std::string& text, const std::string& file) {
  LoadedPlan loaded;
  const Result<YamlNode> root = parse_yaml(text, file);
  if (!root) {
    loaded.problems.push_back(root.error());
    return loaded;
  }
  Reader reader(file);
  const YamlNode* rollout = child(*root, "rollout");
  if (rollout == nullptr) {
    reader.problem(*root, "the file has no rollout");
    loaded.problems = reader.take();
    return loaded;
  }
  Rollout draft;
  bool good = rollout_rule().read(*rollout, reader, draft);
  PlanChoice choice;
  const YamlNode* given = child(*root, "given");
  const YamlNode* alarms = given == nullptr ? nullptr : child(*given, "alarms");
  if (alarms != nullptr) {
    good = list_rule("", alarm_rule(), 0, rollout::kMaxAlarms)
               .read(*alarms, reader, choice.plan.alarms) &&
           good;
  }
  loaded.problems = reader.take();
  if (!good || !loaded.problems.empty()) return loaded;
  if (!draft.stable.empty()) choice.plan.stable = draft.stable;
  if (!draft.canary.empty()) choice.plan.canary = draft.canary;
  choice.plan.traffic = draft.traffic;
  choice.plan.steps = std::move(draft.plan);
  choice.plan.analyses = std::move(draft.analysis);
  put_parts(std::move(draft), choice.plan);
  loaded.choice = std::move(choice);
  return loaded;
}

bool is_declared(const rollout::Plan& plan, const std::string& name) {
  return std::any_of(plan.alarms.begin(), plan.alarms.end(),
                     [&name](const rollout::AlarmSpec& a) { return a.name == name; });
}

/// A plan that comes from elsewhere knows nothing of this scenario: what it names and the scenario
/// does not say is taken to be as most people have it, and said aloud.
void guess_alarms(rollout::Plan& plan, std::vector<Error>& warnings) {
  for (const std::string& name : plan.watch ? plan.watch->names : std::vector<std::string>{}) {
    if (is_declared(plan, name)) continue;
    plan.alarms.push_back(guessed_alarm(name));
    plan.alarms.back().place = plan.watch->place;
    warnings.push_back({fmt::format("given.alarms does not say what {} measures: taken as more "
                                    "than 1% errors of the canary within a minute",
                                    name),
                        ErrorKind::Invalid, plan.watch->place});
  }
}

using HookAnswers = std::map<std::string, world::HookAnswer>;

HookAnswers guess_answers(HookAnswers hooks, const rollout::Plan& plan,
                          std::vector<Error>& warnings) {
  for (const rollout::Hook& hook : plan.hooks) {
    if (!hooks.emplace(hook.name, world::HookAnswer{}).second) continue;
    warnings.push_back({fmt::format("given.hooks does not say what {} answers: taken as passed at "
                                    "once",
                                    hook.name),
                        ErrorKind::Invalid, hook.place});
  }
  return hooks;
}

}  // namespace

LoadedPlan load_plan_text(const std::string& kind, const std::string& text,
                          const std::string& file) {
  const auto found = importers::plan_kind(kind);
  if (!found) {
    return refused(
        fmt::format("the plan's kind is \"{}\", allowed are {}", kind, importers::plan_kinds()),
        "");
  }
  LoadedPlan loaded;
  if (*found == PlanKind::Coalmine) {
    loaded = load_own(text, file);
  } else {
    importers::Imported imported = importers::import_plan(*found, text, file);
    loaded.problems = std::move(imported.errors);
    loaded.warnings = std::move(imported.warnings);
    if (imported.plan) {
      loaded.choice = PlanChoice{"", *std::move(imported.plan), std::move(imported.notes)};
    }
  }
  if (loaded.choice) loaded.choice->label = kind + ":" + file;
  loaded.text = text;
  return loaded;
}

LoadedPlan load_plan(const std::string& kind_and_file) {
  const auto colon = kind_and_file.find(':');
  if (colon == std::string::npos || colon + 1 == kind_and_file.size()) {
    return refused(fmt::format("the plan is \"{}\"; write KIND:FILE, KIND being one of {}",
                               kind_and_file, importers::plan_kinds()),
                   "");
  }
  const std::string kind = kind_and_file.substr(0, colon);
  const std::string file = kind_and_file.substr(colon + 1);
  if (!importers::plan_kind(kind)) return load_plan_text(kind, "", file);
  if (kind == "codedeploy" && file.rfind("CodeDeployDefault.", 0) == 0) {
    return load_plan_text(kind, file, file);
  }
  std::ifstream in(file, std::ios::binary);
  std::stringstream text;
  if (in) text << in.rdbuf();
  if (!in) {
    LoadedPlan loaded = refused("cannot be read", file);
    loaded.problems[0].kind = ErrorKind::Environment;
    return loaded;
  }
  return load_plan_text(kind, text.str(), file);
}

std::vector<Error> unanswered_hooks(const world::Spec& spec, const rollout::Plan& plan) {
  std::vector<Error> problems;
  for (const rollout::Hook& hook : plan.hooks) {
    if (spec.hooks.count(hook.name) > 0) continue;
    problems.push_back({fmt::format("nobody is called in a scenario: say in given.hooks what {} "
                                    "answers, as in {}: {{answer: passed, takes: 2s}}",
                                    hook.name, hook.name),
                        ErrorKind::Invalid, hook.place});
  }
  return problems;
}

PlanUse use_plan(Scenario& scenario, const PlanChoice& choice) {
  PlanUse use;
  world::Spec& spec = scenario.spec;
  rollout::Plan plan = choice.plan;
  plan.stable = spec.plan.stable;
  plan.canary = spec.plan.canary;
  plan.traffic = spec.plan.traffic;
  plan.poll = spec.plan.poll;
  plan.settle = spec.plan.settle;
  for (rollout::Step& step : plan.steps) {
    if (auto* promote = std::get_if<rollout::Promote>(&step.what)) promote->version = plan.canary;
  }
  for (const rollout::AlarmSpec& alarm : spec.plan.alarms) {
    if (!is_declared(plan, alarm.name)) plan.alarms.push_back(alarm);
  }
  guess_alarms(plan, use.warnings);
  HookAnswers hooks = guess_answers(spec.hooks, plan, use.warnings);
  world::fill_in_segments(spec.traffic, plan);
  use.problems = rollout::check(plan);
  for (const Error& found : rollout::check_playable(plan)) use.problems.push_back(found);
  for (const Error& found : world::untravelled_routes(spec, plan)) use.problems.push_back(found);
  for (const rollout::AnalysisSpec& analysis : plan.analyses) {
    for (const std::string& name : analysis.segments) {
      if (world::segment_index(spec, name)) continue;
      use.problems.push_back(
          {fmt::format("the traffic of {} has no segment \"{}\"", scenario.name, name),
           ErrorKind::Invalid, analysis.place});
    }
  }
  for (const Error& found : rollout::check_doubts(plan)) use.warnings.push_back(found);
  const Duration length = rollout::bake_length(plan);
  if (length >= spec.limit) {
    use.warnings.push_back(
        {fmt::format("the plan {} bakes for {}: the run's limit is raised from {} to {}",
                     choice.label, to_string(length), to_string(spec.limit),
                     to_string(length + kSlack)),
         ErrorKind::Invalid, scenario.place});
    spec.limit = length + kSlack;
  }
  if (use.problems.empty()) {
    spec.plan = std::move(plan);
    world::add_baseline(spec);
    spec.hooks = std::move(hooks);
  }
  return use;
}

}  // namespace coalmine::scenario
