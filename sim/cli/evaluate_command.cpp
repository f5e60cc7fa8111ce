#include "sim/cli/evaluate_command.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <ostream>
#include <thread>

#include "sim/cli/plan_option.h"
#include "sim/cli/progress_bar.h"
#include "sim/cli/verb.h"
#include "sim/scenario/scenario.h"
#include "sim/study/advice.h"
#include "sim/study/report.h"
#include "sim/study/shard_file.h"
#include "sim/study/study.h"
#include "sim/study/sweep.h"

namespace coalmine::cli {
namespace {

using study::Evaluation;
using study::StudyResult;

int complain_to(const Error& error, std::ostream& err) {
  err << (error.place ? "" : "coalmine: ") << to_string(error) << "\n";
  return exit_code(error);
}

std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

/// Every problem of the file is printed; the error is the first one.
Result<scenario::Scenario> load(const std::vector<std::string>& paths, std::ostream& err) {
  if (paths.size() != 1) return error("one scenario file is needed, {} are given", paths.size());
  const std::string& path = paths.front();
  scenario::Loaded loaded = scenario::load_scenario_file(path);
  if (loaded.scenario) return *std::move(loaded.scenario);
  for (std::size_t i = 0; i < loaded.problems.size(); ++i) {
    err << scenario::render_problem(loaded.problems[i], read(path));
  }
  return error(loaded.problems.front().kind, "{} cannot be played", path);
}

// --- reports -----------------------------------------------------------------------------------

struct ReportFile {
  std::string kind, path;
};

Result<std::vector<ReportFile>> report_files(const std::vector<std::string>& texts) {
  std::vector<ReportFile> files;
  for (const std::string& text : texts) {
    const auto equals = text.find('=');
    const std::string kind = text.substr(0, equals);
    const bool known = kind == "json" || kind == "csv" || kind == "html";
    if (equals == std::string::npos || equals + 1 == text.size() || !known) {
      return error("report is \"{}\"; write KIND=FILE, KIND being json, csv or html", text);
    }
    files.push_back({kind, text.substr(equals + 1)});
  }
  return files;
}

Status write(const std::string& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary);
  out << text;
  out.close();
  if (!out) return error(ErrorKind::Environment, "{}: the report cannot be written", path);
  return {};
}

std::string render_report(const std::string& kind, study::Kind study,
                          const std::vector<Evaluation>& evaluations) {
  if (kind == "csv") return study::report_csv(evaluations);
  if (kind == "html") return study::report_html(study, evaluations);
  return study::report_json(study, evaluations);
}

/// A whole study is printed and reported; of a part only the samples are written, as JSON.
Status report(const StudyResult& result, const std::vector<ReportFile>& files, std::ostream& out) {
  if (result.shard.count > 1) {
    for (const ReportFile& file : files) {
      if (file.kind != "json") {
        return error("a shard has only a json report; {} comes from `coalmine merge`", file.kind);
      }
      TRY_STATUS(write(file.path, study::write_shard(result)));
    }
    std::size_t runs = 0;
    for (const auto& trial : result.trials) runs += trial.written.size() + trial.healthy.size();
    out << fmt::format("shard {}/{}: {} runs played\n", result.shard.index, result.shard.count,
                       study::number(static_cast<double>(runs)));
    return {};
  }
  const auto evaluations = study::evaluate(result);
  out << study::render(result.kind, evaluations);
  for (const ReportFile& file : files) {
    TRY_STATUS(write(file.path, render_report(file.kind, result.kind, evaluations)));
  }
  return {};
}

// --- playing -----------------------------------------------------------------------------------

Result<world::Fidelity> fidelity_of(const std::string& text) {
  if (text == "auto") return world::Fidelity::Auto;
  if (text == "request") return world::Fidelity::Request;
  if (text == "aggregate") return world::Fidelity::Aggregate;
  return error("fidelity is \"{}\", allowed are request, aggregate, auto", text);
}

/// What the arguments say about how to play, checked.
struct Playing {
  scenario::Shard shard;
  world::Fidelity fidelity = world::Fidelity::Auto;
  int jobs = 1;
  std::ostream* progress = nullptr;
};

Result<Playing> playing(const StudyArguments& arguments, const Environment& environment,
                        std::ostream& err) {
  Playing how;
  TRY(how.shard, read_shard_option(arguments.shard, environment));
  TRY(how.fidelity, fidelity_of(arguments.fidelity));
  const auto cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  how.jobs = arguments.jobs > 0 ? arguments.jobs : cores;
  how.progress = arguments.progress ? &err : nullptr;
  return how;
}

Result<StudyResult> play(const study::Design& design, const Playing& how,
                         const world::World& world) {
  study::Progress progress;
  const ProgressBar bar(progress, how.progress);
  return study::run(design, how.shard, how.jobs, how.fidelity, world, &progress);
}

/// Looks around the plan with few seeds; nothing to print for shards and healthy canaries.
Result<std::string> advice(const scenario::Scenario& scenario, const StudyResult& result,
                           const StudyArguments& arguments, const Playing& how,
                           const world::World& world) {
  const study::TrialFacts& facts = result.trials.front().facts;
  if (!arguments.advice || result.kind != study::Kind::Evaluate || result.shard.count > 1 ||
      !facts.worse || facts.invisible) {
    return std::string();
  }
  study::Design design;
  design.kind = study::Kind::Compare;
  design.trials = study::alternatives(scenario);
  design.seeds = std::min(arguments.seeds, study::kAdviceSeeds);
  design.first_seed = arguments.seed;
  if (design.trials.size() < 2) return std::string();
  TRY(const StudyResult around, play(design, how, world));
  return study::render_advice(study::evaluate(around));
}

Result<std::vector<study::Trial>> trials_of(const StudyArguments& arguments,
                                            const scenario::Scenario& scenario, std::ostream& err) {
  std::vector<study::Trial> trials;
  for (const std::string& plan : arguments.plans) {
    TRY(scenario::Scenario changed, with_plan(scenario, plan, err));
    trials.push_back({plan == "own" ? "own plan" : plan, {}, std::move(changed)});
  }
  if (trials.empty()) trials.push_back(study::own_trial(scenario));
  return trials;
}

Status evaluate_into(const StudyArguments& arguments, const world::World& world,
                     const Environment& environment, std::ostream& out, std::ostream& err) {
  TRY(const auto files, report_files(arguments.reports));
  TRY(const Playing how, playing(arguments, environment, err));
  TRY(const scenario::Scenario scenario, load(arguments.paths, err));
  if (arguments.plans.size() > 1) return error("`evaluate` takes one --plan; `compare` several");
  TRY(const auto trials, trials_of(arguments, scenario, err));
  std::vector<study::Sweep> sweeps;
  for (const std::string& text : arguments.sweeps) {
    TRY(study::Sweep sweep, study::parse_sweep(text));
    sweeps.push_back(std::move(sweep));
  }
  study::Design design;
  design.kind = sweeps.empty() ? study::Kind::Evaluate : study::Kind::Sweep;
  TRY(design.trials, study::sweep_trials(trials.front(), sweeps));
  design.seeds = arguments.seeds;
  design.first_seed = arguments.seed;
  TRY(const StudyResult result, play(design, how, world));
  TRY_STATUS(report(result, files, out));
  TRY(const std::string advised, advice(trials.front().scenario, result, arguments, how, world));
  out << advised;
  return {};
}

Status compare_into(const StudyArguments& arguments, const world::World& world,
                    const Environment& environment, std::ostream& out, std::ostream& err) {
  TRY(const auto files, report_files(arguments.reports));
  TRY(const Playing how, playing(arguments, environment, err));
  TRY(const scenario::Scenario scenario, load(arguments.paths, err));
  StudyArguments with_own = arguments;
  // One plan is compared with the scenario's own.
  if (with_own.plans.size() < 2) with_own.plans.insert(with_own.plans.begin(), "own");
  study::Design design;
  design.kind = study::Kind::Compare;
  TRY(design.trials, trials_of(with_own, scenario, err));
  design.seeds = arguments.seeds;
  design.first_seed = arguments.seed;
  TRY(const StudyResult result, play(design, how, world));
  return report(result, files, out);
}

Status merge_into(const std::vector<std::string>& names, const std::vector<std::string>& reports,
                  std::ostream& out) {
  TRY(const auto files, report_files(reports));
  std::vector<study::NamedShard> parts;
  for (const std::string& name : names) {
    std::ifstream in(name, std::ios::binary);
    if (!in) return error(ErrorKind::Environment, "{}: cannot be read", name);
    TRY(StudyResult part, study::read_shard(read(name), name));
    parts.push_back({name, std::move(part)});
  }
  TRY(const StudyResult whole, study::merge(std::move(parts)));
  return report(whole, files, out);
}

int code_of(const Status& status, std::ostream& err) {
  return status ? static_cast<int>(kPassed) : complain_to(status.error(), err);
}

}  // namespace

int evaluate_scenario(const StudyArguments& arguments, const world::World& world,
                      const Environment& environment, std::ostream& out, std::ostream& err) {
  return code_of(evaluate_into(arguments, world, environment, out, err), err);
}

int compare_plans(const StudyArguments& arguments, const world::World& world,
                  const Environment& environment, std::ostream& out, std::ostream& err) {
  return code_of(compare_into(arguments, world, environment, out, err), err);
}

int merge_shards(const std::vector<std::string>& files, const std::vector<std::string>& reports,
                 std::ostream& out, std::ostream& err) {
  return code_of(merge_into(files, reports, out), err);
}

}  // namespace coalmine::cli
