#include "sim/cli/explore_command.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <ostream>
#include <thread>

#include "sim/cli/progress_bar.h"
#include "sim/cli/verb.h"
#include "sim/engine/world/recorder.h"
#include "sim/study/explore.h"
#include "sim/study/report.h"

namespace coalmine::cli {
namespace {

std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

Result<scenario::Scenario> load(const std::string& path, std::ostream& err) {
  scenario::Loaded loaded = scenario::load_scenario_file(path);
  if (loaded.scenario) return *std::move(loaded.scenario);
  for (const Error& problem : loaded.problems) {
    err << scenario::render_problem(problem, read(path));
  }
  return error(loaded.problems.front().kind, "{} cannot be played", path);
}

std::string describe(const world::Event& event) {
  std::string what;
  std::optional<Duration> length;
  if (const auto* inject = std::get_if<world::InjectFault>(&event.what)) {
    what = world::describe(inject->fault, inject->target);
    length = inject->length;
  } else if (const auto* api = std::get_if<world::ThrottleApi>(&event.what)) {
    what = fmt::format("{} of the rollout's calls are throttled", to_string(api->share));
    length = api->length;
  } else {
    return {};
  }
  return fmt::format("  at {:<8} {}{}\n", to_string(event.at), what,
                     length ? " for " + to_string(*length) : "");
}

/// Proves that the file says what was found: loads it and plays it.
Status reproduce(const std::string& text, const std::string& file,
                 const study::CounterExample& example, const world::World& world) {
  scenario::Loaded loaded = scenario::load_scenario(text, file);
  if (!loaded.scenario) return tl::unexpected(loaded.problems.front());
  TRY(const world::Record record, world(loaded.scenario->spec, {}));
  for (const auto& check : scenario::verdict(*loaded.scenario, record)) {
    if (!check.passed && check.name == example.failed.front().name) return {};
  }
  return error(ErrorKind::Failed, "{}: the file does not reproduce what was found", file);
}

Result<int> explore_into(const ExploreArguments& arguments, const world::World& world,
                         std::ostream& out, std::ostream& err) {
  if (arguments.paths.size() != 1) {
    return error("one scenario file is needed, {} are given", arguments.paths.size());
  }
  const std::string& path = arguments.paths.front();
  TRY(const scenario::Scenario scenario, load(path, err));
  study::ExploreOptions options;
  options.runs = arguments.runs;
  options.max_faults = arguments.max_faults;
  options.targets = arguments.targets;
  options.checks = arguments.checks;
  options.first_seed = arguments.seed;
  const auto cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  options.jobs = arguments.jobs > 0 ? arguments.jobs : cores;
  std::optional<study::CounterExample> found;
  {
    study::Progress progress;
    const ProgressBar bar(progress, arguments.progress ? &err : nullptr);
    TRY(found, study::explore(scenario, options, world, &progress));
  }
  if (!found) {
    out << fmt::format("No check failed in {} runs: other seeds, and up to {} faults at a time.\n",
                       study::number(arguments.runs), arguments.max_faults);
    return static_cast<int>(kPassed);
  }
  const std::string file =
      arguments.out.empty() ? scenario.name + "-counter-example.yaml" : arguments.out;
  TRY(const std::string text, study::write_counter_example(read(path), path, *found));
  TRY_STATUS(reproduce(text, file, *found, world));
  std::ofstream to(file, std::ios::binary);
  to << text;
  to.close();
  if (!to) return error(ErrorKind::Environment, "{}: cannot be written", file);

  out << fmt::format("Run {} violates a check (seed {}", study::number(found->runs), found->seed);
  if (found->faults_before > 0) {
    out << fmt::format("; {} faults, shrunk to {}", found->faults_before, found->faults_after);
  }
  out << "):\n";
  for (const auto& check : found->failed) {
    out << fmt::format("  {}: expected {}, got {}\n", check.name, check.expected, check.actual);
  }
  if (found->faults_after > 0) out << "with\n";
  for (const world::Event& event : found->events) out << describe(event);
  out << fmt::format("To see it: coalmine run {}\n", file);
  return static_cast<int>(kFailed);
}

}  // namespace

int explore_scenario(const ExploreArguments& arguments, const world::World& world,
                     std::ostream& out, std::ostream& err) {
  const Result<int> code = explore_into(arguments, world, out, err);
  if (code) return *code;
  err << (code.error().place ? "" : "coalmine: ") << to_string(code.error()) << "\n";
  return exit_code(code.error());
}

}  // namespace coalmine::cli
