#include <algorithm>
#include <fstream>
#include <sstream>

#include "sim/engine/world/route_matches.h"
#include "sim/rollout/importers/importers.h"
#include "sim/scenario/tables.h"
#include "sim/scenario/trace_file.h"

namespace coalmine::scenario {
namespace {

/// The whole file as its tables give it.
struct Draft {
  std::string name, description;
  Given given;
  Rollout rollout;
  std::vector<world::Event> when;
  std::vector<Check> then;
};

const Rule<Draft>& file_rule() {
  static const Rule<Draft> rule =
      ObjectRule<Draft>("a rollout, the world it runs in, and what must hold")
          .required("scenario", name_rule("name of the scenario"), &Draft::name)
          .optional("description", text_rule("what it teaches", 2000), &Draft::description)
          .required("given", given_rule(), &Draft::given)
          .required("rollout", rollout_rule(), &Draft::rollout)
          .optional("when", when_rule(), &Draft::when)
          .required("then", then_rule(), &Draft::then)
          .rule();
  return rule;
}

/// The promoted version is the canary, the other one is stable, unless the file names them.
void name_versions(const Draft& draft, rollout::Plan& plan) {
  const auto& versions = draft.given.versions;
  std::string canary = draft.rollout.canary;
  for (const rollout::Step& step : draft.rollout.plan) {
    const auto* promote = std::get_if<rollout::Promote>(&step.what);
    if (canary.empty() && promote != nullptr) canary = promote->version;
  }
  const auto is = [](const auto& name) {
    return [&name](const auto& version) { return version.first == name; };
  };
  if (std::none_of(versions.begin(), versions.end(), is(canary))) {
    if (draft.rollout.canary.empty()) canary = versions.back().first;
  }
  std::string stable = draft.rollout.stable;
  for (const auto& [name, version] : versions) {
    if (stable.empty() && name != canary) stable = name;
  }
  plan.canary = canary;
  plan.stable = stable;
}

world::Version make_version(const std::string& name, const VersionDraft& draft,
                            const VersionDraft* stable) {
  world::Version version;
  version.name = name;
  version.tasks = static_cast<int>(draft.tasks);
  version.capacity = draft.capacity;
  if (draft.concurrency) version.concurrency = static_cast<int>(*draft.concurrency);
  if (draft.queue) version.queue = static_cast<int>(*draft.queue);
  if (draft.latency) {
    version.latency = *draft.latency;
  } else if (stable != nullptr && stable->latency) {
    version.latency = *stable->latency;
  }
  if (draft.errors && draft.errors->value > 0) {
    version.faults.push_back({world::FaultKind::Errors, *draft.errors, 500, std::nullopt, ""});
  }
  version.faults.insert(version.faults.end(), draft.faults.begin(), draft.faults.end());
  return version;
}

Scenario make_scenario(Draft&& draft, const std::string& file) {
  Scenario scenario;
  scenario.file = file;
  scenario.name = draft.name;
  scenario.description = draft.description;
  world::Spec& spec = scenario.spec;
  spec.name = draft.name;
  spec.seed = static_cast<std::uint64_t>(draft.given.clock.seed);
  spec.limit = draft.given.clock.limit;
  spec.traffic = draft.given.traffic.traffic;
  spec.platform = draft.given.platform;
  name_versions(draft, spec.plan);
  const VersionDraft* stable = nullptr;
  for (const auto& [name, version] : draft.given.versions) {
    if (name == spec.plan.stable) stable = &version;
  }
  for (const auto& [name, version] : draft.given.versions) {
    spec.versions.push_back(make_version(name, version, stable));
  }
  spec.plan.traffic = draft.rollout.traffic;
  spec.plan.steps = std::move(draft.rollout.plan);
  spec.plan.analyses = std::move(draft.rollout.analysis);
  spec.plan.alarms = std::move(draft.given.alarms);
  put_parts(std::move(draft.rollout), spec.plan);
  world::add_baseline(spec);
  world::fill_in_segments(spec.traffic, spec.plan);
  for (auto& [name, answer] : draft.given.hooks) spec.hooks[name] = std::move(answer);
  spec.events = std::move(draft.when);
  std::stable_sort(spec.events.begin(), spec.events.end(),
                   [](const auto& a, const auto& b) { return a.at < b.at; });
  scenario.checks = std::move(draft.then);
  spec.compare_answers = std::any_of(
      scenario.checks.begin(), scenario.checks.end(),
      [](const Check& check) { return std::holds_alternative<CompatibleCheck>(check.what); });
  return scenario;
}

/// ALB's own metrics come by the minute.
void default_metric_period(Draft& draft, const YamlNode& root) {
  if (draft.rollout.traffic != rollout::TrafficApi::Alb) return;
  for (const auto& [key, given] : root.pairs) {
    if (key.text != "given") continue;
    for (const auto& [name, platform] : given.pairs) {
      if (name.text == "platform" && has_key(platform, "metric-period")) return;
    }
  }
  draft.given.platform.metric_period = std::chrono::minutes{1};
}

void sort_by_place(std::vector<Error>& problems) {
  const auto key = [](const Error& e) {
    return e.place ? std::pair(e.place->line, e.place->column) : std::pair(0, 0);
  };
  std::stable_sort(problems.begin(), problems.end(),
                   [&key](const Error& a, const Error& b) { return key(a) < key(b); });
}

std::string_view line_of(std::string_view source, int line) {
  for (int i = 1; i < line; ++i) {
    const auto end = source.find('\n');
    if (end == std::string_view::npos) return {};
    source.remove_prefix(end + 1);
  }
  std::string_view text = source.substr(0, source.find('\n'));
  if (!text.empty() && text.back() == '\r') text.remove_suffix(1);
  return text;
}

/// Length of the word at the start of `rest`: what the caret underlines.
std::size_t token_length(std::string_view rest) {
  if (rest.empty()) return 1;
  if (rest[0] == '"' || rest[0] == '\'') {
    const auto end = rest.find(rest[0], 1);
    return end == std::string_view::npos ? rest.size() : end + 1;
  }
  const auto end = rest.find_first_of(" ,:{}[]#\t");
  if (end == std::string_view::npos) return rest.size();
  return std::max<std::size_t>(end, 1);
}

}  // namespace

Loaded load_scenario(const std::string& text, const std::string& file,
                     const std::string* trace_text) {
  Loaded loaded;
  Result<YamlNode> root = parse_yaml(text, file);
  if (!root) {
    loaded.problems.push_back(root.error());
    return loaded;
  }
  Reader reader(file);
  Draft draft;
  bool complete = file_rule().read(*root, reader, draft) && reader.problems().empty();
  TrafficDraft& traffic = draft.given.traffic;
  std::string trace;
  if (complete && !traffic.trace.empty()) {
    const std::string path = trace_path(file, traffic.trace);
    complete = trace_text != nullptr || read_trace(path, traffic.trace_place, reader, trace);
    if (trace_text != nullptr) trace = *trace_text;
    complete = complete && parse_trace(trace, path, reader, traffic.traffic.trace);
  }
  default_metric_period(draft, *root);
  Scenario scenario;
  if (complete) scenario = make_scenario(std::move(draft), file);
  scenario.text = text;
  scenario.trace = std::move(trace);
  for (const auto& [key, value] : root->pairs) {
    if (key.text == "scenario") scenario.place = reader.place(value);
  }
  cross_check(scenario, complete, *root, reader);
  loaded.problems = reader.take();
  sort_by_place(loaded.problems);
  if (complete) loaded.warnings = rollout::check_doubts(scenario.spec.plan);
  sort_by_place(loaded.warnings);
  if (loaded.problems.empty()) loaded.scenario = std::move(scenario);
  return loaded;
}

Loaded load_scenario_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  if (in) text << in.rdbuf();
  if (!in) {
    return {std::nullopt, {Error{"cannot be read", ErrorKind::Environment, Place{path, 0, 0}}}};
  }
  return load_scenario(text.str(), path);
}

Json scenario_schema() {
  Json schema = file_rule().schema;
  schema["$schema"] = "https://json-schema.org/draft/2020-12/schema";
  schema["title"] = "coalmine scenario";
  return schema;
}

namespace {

std::string render(std::string text, const Error& problem, std::string_view source) {
  text += "\n";
  if (!problem.place || problem.place->line == 0) return text;
  const std::string_view line = line_of(source, problem.place->line);
  if (line.empty()) return text;
  text += fmt::format("{:5} | {}\n", problem.place->line, line);
  const auto column = static_cast<std::size_t>(std::max(problem.place->column, 1)) - 1;
  if (column > line.size()) return text;
  // Tabs stay tabs, so that the caret stands below its word.
  std::string lead(line.substr(0, column));
  for (char& c : lead) c = c == '\t' ? '\t' : ' ';
  const std::size_t length = token_length(line.substr(column));
  return text + fmt::format("      | {}^{}\n", lead, std::string(length - 1, '~'));
}

}  // namespace

std::string render_problem(const Error& problem, std::string_view source) {
  return render(to_string(problem), problem, source);
}

std::string render_warning(const Error& warning, std::string_view source) {
  return render(importers::render_warning(warning), warning, source);
}

}  // namespace coalmine::scenario
