#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <memory>

#include "sim/cli/mock_options.h"
#include "sim/cli/replay_command.h"
#include "sim/cli/run_command.h"
#include "sim/cli/verbs.h"
#include "sim/core/units.h"
#include "sim/engine/mock_plane.h"
#include "sim/engine/simulation.h"
#include "sim/lab/live_world.h"

namespace coalmine::cli {
namespace {

std::atomic<bool> stop_requested = false;

/// The first signal lets a live run end what it has started; the second one is not waited for.
void stop_on_signals() {
  struct sigaction action {};
  action.sa_handler = [](int) { stop_requested = true; };
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

struct RunOptionsTyped {
  RunArguments arguments;
  std::string seed;
  long long seeds = 1;
  long long jobs = 0;
};

bool colourful() {
  return isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr;
}

Worlds worlds() {
  lab::LiveOptions live;
  if (const auto program = own_path()) {
    live.program = *program;
    live.sample_app = sample_app_beside(*program);
  }
  live.stop = &stop_requested;
  return {[](const world::Spec& spec, const world::RunOptions& options) {
            return engine::simulate(spec, options, engine::make_plane);
          },
          [live](const world::Spec& spec, const world::RunOptions& options) {
            return lab::play_live(spec, options, live);
          }};
}

/// The virtual world with plain values wherever they tell the same story.
world::World quick_world() {
  return [](const world::Spec& spec, const world::RunOptions& options) {
    return engine::simulate(spec, options, engine::make_quick_plane);
  };
}

int run(RunOptionsTyped& typed) {
  RunArguments& arguments = typed.arguments;
  arguments.seeds = static_cast<int>(typed.seeds);
  arguments.jobs = static_cast<int>(typed.jobs);
  arguments.color = colourful();
  if (!typed.seed.empty()) {
    const auto seed = parse_integer(typed.seed, "--seed", 0, INT64_MAX);
    if (!seed) return complain(seed.error());
    arguments.seed = static_cast<std::uint64_t>(*seed);
  }
  if (arguments.live) stop_on_signals();
  return run_scenarios(arguments, worlds(), std::cout, std::cerr);
}

void declare_run(Options& options, RunOptionsTyped& typed) {
  RunArguments& arguments = typed.arguments;
  options.positionals("PATH", arguments.paths, true,
                      "scenario files, or folders (*.yaml and *.json below them)");
  options.flag("--live", arguments.live, "with real processes and requests on loopback");
  options.number("--speed", arguments.speed, 1, lab::kMaxSpeed,
                 "live: scenario time runs X times faster than real time (1 to 1000, default 1)");
  options.choice("--fidelity", arguments.fidelity, {"request", "aggregate", "auto"},
                 "virtual: model every request, or counts per interval (default auto)");
  options.text("--seed", typed.seed, "instead of the files' seeds");
  options.integer("--seeds", typed.seeds, 1, 1'000'000,
                  "run each scenario with so many seeds in a row (default 1)");
  options.integer("--jobs", typed.jobs, 0, 1024,
                  "scenarios at a time; the results are the same (default 0: one per core)");
  options.text("--shard", arguments.shard, "only the I-th of N equal parts, as in 1/4");
  options.text("--filter", arguments.filter, "only scenarios whose name or file contains this");
  options.text("--plan", arguments.plan,
               "KIND:FILE, a plan instead of the scenarios' own plan, analyses and checks; KIND is "
               "coalmine, flagger, argo, ecs, codedeploy or properties");
  options.texts("--report", arguments.reports,
                "write a report: junit, json, markdown or github; repeatable");
  options.text("--journal", arguments.journal, "write each run's journal into this folder");
}

}  // namespace

Verb run_verb() {
  auto typed = std::make_shared<RunOptionsTyped>();
  return {"run", "Replay rollout scenarios and check them.",
          "coalmine run scenarios\n"
          "coalmine run scenarios --report junit=rollouts.xml\n"
          "coalmine run scenarios/faulty-v2-is-rolled-back.yaml --live --speed 10",
          [typed](Options& options) { declare_run(options, *typed); },
          [typed] { return run(*typed); }};
}

Verb replay_verb() {
  auto typed = std::make_shared<ReplayArguments>();
  return {"replay", "Compute a run's figures from its journal alone, and check each decision.",
          "coalmine run scenarios --journal journals && coalmine replay journals\n"
          "coalmine replay ~/.local/state/coalmine/default.journal",
          [typed](Options& options) {
            options.positionals("JOURNAL", typed->paths, true,
                                "journals, or folders (*.jsonl and *.journal in them)");
            options.texts("--report", typed->reports,
                          "write a report as `run` does: junit, json, markdown or github; "
                          "repeatable");
          },
          [typed] {
            typed->color = colourful();
            return replay_journals(*typed, std::cout, std::cerr);
          }};
}

Verb validate_verb() {
  auto paths = std::make_shared<std::vector<std::string>>();
  return {"validate", "Check scenario files: every problem, and what cannot come out as it reads.",
          "coalmine validate scenarios\ncoalmine validate my-rollout.yaml",
          [paths](Options& options) {
            options.positionals("PATH", *paths, true, "scenario files or folders");
          },
          [paths] { return validate_scenarios(*paths, quick_world(), std::cout, std::cerr); }};
}

Verb import_verb() {
  auto plan = std::make_shared<std::vector<std::string>>();
  return {"import", "Print a plan of Flagger, Argo, ECS or CodeDeploy as part of a scenario.",
          "coalmine import flagger:canary.yaml\n"
          "coalmine import codedeploy:CodeDeployDefault.ECSCanary10Percent5Minutes",
          [plan](Options& options) {
            options.positionals("KIND:FILE", *plan, true,
                                "one plan; KIND is coalmine, flagger, argo, ecs, codedeploy or "
                                "properties (app.properties.json)");
          },
          [plan] {
            if (plan->size() != 1) {
              return complain(
                  Error{fmt::format("one plan is imported at a time, found {}", plan->size()),
                        ErrorKind::Invalid, std::nullopt});
            }
            return import_plan(plan->front(), std::cout, std::cerr);
          }};
}

Verb schema_verb() {
  return {"schema", "Print the JSON Schema of scenario files, for completion in editors.",
          "coalmine schema > scenario.schema.json", [](Options&) {},
          [] { return print_schema(std::cout); }};
}

}  // namespace coalmine::cli
