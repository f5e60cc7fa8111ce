#include "sim/cli/run_command.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <ostream>
#include <thread>

#include "sim/cli/report_option.h"
#include "sim/cli/verb.h"
#include "sim/scenario/doubts.h"
#include "sim/scenario/plan_source.h"
#include "sim/scenario/plan_text.h"
#include "sim/scenario/report.h"
#include "sim/scenario/runs.h"
#include "sim/scenario/scenario.h"

namespace coalmine::cli {
namespace {

int complain(const Error& error, std::ostream& err) {
  err << to_string(error) << "\n";
  return exit_code(error);
}

std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

/// Every file's problems are printed, not only the first file's.
/// Warnings are for those who ask (`validate`).
int load_all(const std::vector<std::string>& paths, std::vector<scenario::Scenario>& scenarios,
             std::ostream& err, bool warn = false) {
  const auto files = scenario::find_scenario_files(paths);
  if (!files) return complain(files.error(), err);
  int code = kPassed;
  for (const std::string& file : *files) {
    scenario::Loaded loaded = scenario::load_scenario_file(file);
    for (const Error& problem : loaded.problems) {
      err << scenario::render_problem(problem, read(file));
      code = std::max(code, exit_code(problem));
    }
    for (std::size_t i = 0; warn && i < loaded.warnings.size(); ++i) {
      err << scenario::render_warning(loaded.warnings[i], read(file));
    }
    if (loaded.scenario) scenarios.push_back(*std::move(loaded.scenario));
  }
  return code;
}

Result<world::Fidelity> parse_fidelity(const std::string& text) {
  if (text == "auto") return world::Fidelity::Auto;
  if (text == "request") return world::Fidelity::Request;
  if (text == "aggregate") return world::Fidelity::Aggregate;
  return error("fidelity is \"{}\", allowed are request, aggregate, auto", text);
}

Result<scenario::RunPlan> make_plan(const RunArguments& arguments) {
  scenario::RunPlan plan;
  TRY(plan.options.fidelity, parse_fidelity(arguments.fidelity));
  plan.options.speed = arguments.speed;
  plan.seed = arguments.seed;
  plan.seeds = arguments.seeds;
  if (!arguments.shard.empty()) {
    TRY(plan.shard, scenario::parse_shard(arguments.shard));
  }
  const auto cores = std::max(1u, std::thread::hardware_concurrency());
  plan.jobs = arguments.jobs > 0 ? arguments.jobs : static_cast<int>(cores);
  if (arguments.live) plan.jobs = 1;  // ports, processes and cores are the machine's
  plan.journal_folder = arguments.journal;
  if (!arguments.journal.empty()) {
    std::error_code failed;
    std::filesystem::create_directories(arguments.journal, failed);
    if (failed) {
      return error(ErrorKind::Environment, "{}: {}", arguments.journal, failed.message());
    }
  }
  return plan;
}

}  // namespace

int run_scenarios(const RunArguments& arguments, const Worlds& worlds, std::ostream& out,
                  std::ostream& err) {
  const auto reports = parse_reports(arguments.reports);
  if (!reports) return complain(reports.error(), err);
  const auto plan = make_plan(arguments);
  if (!plan) return complain(plan.error(), err);
  std::vector<scenario::Scenario> scenarios;
  if (const int code = load_all(arguments.paths, scenarios, err); code != kPassed) return code;
  if (!arguments.plan.empty()) {
    if (const int code = use_plan(arguments.plan, scenarios, err); code != kPassed) return code;
  }
  std::erase_if(scenarios, [&arguments](const scenario::Scenario& s) {
    return s.name.find(arguments.filter) == std::string::npos &&
           s.file.find(arguments.filter) == std::string::npos;
  });
  if (scenarios.empty()) {
    return complain(
        Error{fmt::format("no scenario's name or file contains \"{}\"", arguments.filter),
              ErrorKind::Invalid, std::nullopt},
        err);
  }
  const world::World& world = arguments.live ? worlds.live : worlds.virtual_time;
  const std::vector<scenario::RunResult> results = scenario::run_all(scenarios, *plan, world);
  if (results.size() == 1 && results[0].record) {
    out << scenario::render_timeline(*results[0].record) << "\n"
        << scenario::render_checks(results[0], arguments.color) << "\n";
  }
  out << scenario::render_table(results, arguments.color);
  int code = kPassed;
  for (const scenario::RunResult& result : results) {
    if (result.fault) {
      code = std::max(code, exit_code(*result.fault));
      err << to_string(*result.fault) << "\n";
    } else if (!result.passed()) {
      code = std::max<int>(code, kFailed);
    }
  }
  for (const ReportFile& report : *reports) {
    if (const Status written = write_report(report, results); !written) {
      return complain(written.error(), err);
    }
  }
  return code;
}

int validate_scenarios(const std::vector<std::string>& paths, const world::World& world,
                       std::ostream& out, std::ostream& err) {
  std::vector<scenario::Scenario> scenarios;
  const int code = load_all(paths, scenarios, err, true);
  for (const scenario::Scenario& scenario : scenarios) {
    for (const Error& doubt : scenario::all_doubts(scenario, world)) {
      err << scenario::render_warning(doubt, scenario.text);
    }
    out << fmt::format("{}: ok, {} ({} steps, {} events, {} checks)\n", scenario.file,
                       scenario.name, scenario.spec.plan.steps.size(), scenario.spec.events.size(),
                       scenario.checks.size());
  }
  return code;
}

namespace {

int tell(const std::vector<Error>& problems, const std::vector<Error>& warnings,
         std::string_view text, std::ostream& err) {
  int code = kPassed;
  for (const Error& problem : problems) {
    err << scenario::render_problem(problem, text);
    code = std::max(code, exit_code(problem));
  }
  for (const Error& warning : warnings) err << scenario::render_warning(warning, text);
  return code;
}

}  // namespace

int use_plan(const std::string& kind_and_file, std::vector<scenario::Scenario>& scenarios,
             std::ostream& err) {
  const scenario::LoadedPlan loaded = scenario::load_plan(kind_and_file);
  if (const int code = tell(loaded.problems, loaded.warnings, loaded.text, err); code != kPassed) {
    return code;
  }
  int code = kPassed;
  for (scenario::Scenario& one : scenarios) {
    const scenario::PlanUse use = scenario::use_plan(one, *loaded.choice);
    code = std::max(code, tell(use.problems, use.warnings, {}, err));
  }
  return code;
}

int import_plan(const std::string& kind_and_file, std::ostream& out, std::ostream& err) {
  const scenario::LoadedPlan loaded = scenario::load_plan(kind_and_file);
  if (const int code = tell(loaded.problems, loaded.warnings, loaded.text, err); code != kPassed) {
    return code;
  }
  out << "# from " << kind_and_file << "\n";
  for (const std::string& note : loaded.choice->notes) out << "# " << note << "\n";
  out << scenario::render_plan(loaded.choice->plan);
  return kPassed;
}

int print_schema(std::ostream& out) {
  out << dump_json(scenario::scenario_schema(), 2) << "\n";
  return kPassed;
}

}  // namespace coalmine::cli
