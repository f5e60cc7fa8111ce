#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <memory>

#include "sim/cli/evaluate_command.h"
#include "sim/cli/explore_command.h"
#include "sim/cli/verbs.h"
#include "sim/core/units.h"
#include "sim/engine/mock_plane.h"
#include "sim/engine/simulation.h"
#include "sim/study/explore.h"

namespace coalmine::cli {
namespace {

struct StudyTyped {
  StudyArguments arguments;
  std::string seed;
  long long seeds = 1000;
  long long jobs = 0;
  bool no_advice = false;
};

Result<world::Record> play(const world::Spec& spec, const world::RunOptions& options) {
  return engine::simulate(spec, options, engine::make_quick_plane);
}

Status finish(StudyTyped& typed) {
  StudyArguments& arguments = typed.arguments;
  arguments.seeds = static_cast<int>(typed.seeds);
  arguments.jobs = static_cast<int>(typed.jobs);
  arguments.advice = !typed.no_advice;
  arguments.progress = isatty(STDERR_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr;
  if (!typed.seed.empty()) {
    TRY(const long long seed, parse_integer(typed.seed, "--seed", 0, INT64_MAX));
    arguments.seed = static_cast<std::uint64_t>(seed);
  }
  return {};
}

constexpr const char* kPlanHelp =
    "another plan: own, steps:5%,10m,promote, or KIND:FILE with KIND coalmine (a scenario's), "
    "flagger, argo, ecs, codedeploy or properties";

void declare_common(Options& options, StudyTyped& typed) {
  StudyArguments& arguments = typed.arguments;
  options.positionals("SCENARIO", arguments.paths, true, "a scenario file");
  options.integer("--seeds", typed.seeds, 1, 1'000'000,
                  "play with so many seeds (1 to 1000000, default 1000)");
  options.text("--seed", typed.seed, "the first seed, instead of the file's");
  options.integer("--jobs", typed.jobs, 0, 256,
                  "runs at a time; the result is the same (0 to 256, default 0: one per core)");
  options.choice("--fidelity", arguments.fidelity, {"request", "aggregate", "auto"},
                 "model every request, or counts per interval (default auto)");
  options.text("--shard", arguments.shard,
               "play only the I-th of N parts, to be merged later; auto or auto/N: the index comes "
               "from Kubernetes, AWS Batch, GitLab, CircleCI or Buildkite");
  options.texts("--report", arguments.reports, "write a report: json, csv or html; repeatable");
}

}  // namespace

Verb evaluate_verb() {
  auto typed = std::make_shared<StudyTyped>();
  return {"evaluate", "What a plan costs if the canary is bad, and how often it stops a good one.",
          "coalmine evaluate scenarios/faulty-v2-is-rolled-back.yaml --seeds 1000\n"
          "coalmine evaluate faulty-v2.yaml --sweep weight=1%,5%,25%",
          [typed](Options& options) {
            declare_common(options, *typed);
            options.texts("--plan", typed->arguments.plans, kPlanHelp);
            options.texts("--sweep", typed->arguments.sweeps,
                          "PARAMETER=VALUE,VALUE,... once or twice: weight, bake, fault, rate, "
                          "alpha, metric-period, metric-delay, route-delay");
            options.flag("--no-advice", typed->no_advice, "do not look for a better plan");
          },
          [typed] {
            if (const Status read = finish(*typed); !read) return complain(read.error());
            return evaluate_scenario(typed->arguments, play, process_environment(), std::cout,
                                     std::cerr);
          }};
}

Verb compare_verb() {
  auto typed = std::make_shared<StudyTyped>();
  return {"compare", "The same faults and seeds under several plans, side by side.",
          "coalmine compare faulty-v2.yaml --plan steps:10%,5m,promote\n"
          "coalmine compare faulty-v2.yaml --plan own --plan flagger:canary.yaml",
          [typed](Options& options) {
            declare_common(options, *typed);
            options.texts("--plan", typed->arguments.plans,
                          std::string(kPlanHelp) + "; repeatable, one alone is compared with own");
          },
          [typed] {
            if (const Status read = finish(*typed); !read) return complain(read.error());
            return compare_plans(typed->arguments, play, process_environment(), std::cout,
                                 std::cerr);
          }};
}

Verb merge_verb() {
  struct Typed {
    std::vector<std::string> files, reports;
  };
  auto typed = std::make_shared<Typed>();
  return {"merge", "Join the parts that evaluate or compare wrote with --shard, as if never split.",
          "coalmine merge part-1.json part-2.json\n"
          "coalmine merge part-*.json --report json=cost.json",
          [typed](Options& options) {
            options.positionals("FILE", typed->files, true, "all parts of one study");
            options.texts("--report", typed->reports,
                          "write a report: json, csv or html; repeatable");
          },
          [typed] { return merge_shards(typed->files, typed->reports, std::cout, std::cerr); }};
}

Verb explore_verb() {
  struct Typed {
    ExploreArguments arguments;
    std::string seed;
    long long runs = 2000, max_faults = 3, jobs = 0;
  };
  auto typed = std::make_shared<Typed>();
  return {"explore", "Search seeds and fault schedules for a run that violates a check.",
          "coalmine explore healthy-canary.yaml --check dropped-requests\n"
          "coalmine explore faulty-v2.yaml --target v1 --runs 500",
          [typed](Options& options) {
            ExploreArguments& arguments = typed->arguments;
            options.positionals("SCENARIO", arguments.paths, true, "a scenario file");
            options.integer("--runs", typed->runs, 1, study::kMaxExploreRuns,
                            "give up after so many runs (1 to 10000000, default 2000)");
            options.integer("--max-faults", typed->max_faults, 0, study::kMaxExploreFaults,
                            "faults at a time (0: other seeds only; to 20, default 3)");
            options.texts("--target", arguments.targets,
                          "only faults of this version; repeatable, default all");
            options.texts("--check", arguments.checks,
                          "only violations of this check count; repeatable, default all");
            options.text("--seed", typed->seed, "the first seed, instead of the file's");
            options.integer("--jobs", typed->jobs, 0, 256,
                            "runs at a time; the result is the same (default 0: one per core)");
            options.text("--out", arguments.out,
                         "file of the counter-example (default NAME-counter-example.yaml)");
          },
          [typed] {
            ExploreArguments& arguments = typed->arguments;
            arguments.runs = static_cast<int>(typed->runs);
            arguments.max_faults = static_cast<int>(typed->max_faults);
            arguments.jobs = static_cast<int>(typed->jobs);
            arguments.progress = isatty(STDERR_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr;
            if (!typed->seed.empty()) {
              const auto seed = parse_integer(typed->seed, "--seed", 0, INT64_MAX);
              if (!seed) return complain(seed.error());
              arguments.seed = static_cast<std::uint64_t>(*seed);
            }
            return explore_scenario(arguments, play, std::cout, std::cerr);
          }};
}

}  // namespace coalmine::cli
