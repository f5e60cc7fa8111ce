#include <cstdlib>
#include <memory>

#include "sim/cli/rollout_command.h"
#include "sim/cli/steps_text.h"
#include "sim/cli/verbs.h"

namespace coalmine::cli {
namespace {

struct RolloutOptionsTyped {
  RolloutCommand command;
  std::string target = "local";
  std::string steps = "1%,10m,10%,10m,50%,10m,promote";
  std::string weight;
  double alpha = 0.01;
};
using Typed = std::shared_ptr<RolloutOptionsTyped>;

void declare_target(Options& options, RolloutOptionsTyped& typed) {
  RolloutCommand& command = typed.command;
  rollout::TargetSettings& target = command.target;
  options.choice("--target", typed.target, {"local", "aws"},
                 "the mock, or real AWS (default local)");
  options.choice(
      "--traffic", target.traffic, {"appmesh", "alb", "ecs"},
      "what shifts traffic: UpdateRoute, or an ALB's weighted forward (default appmesh)");
  options.text("--endpoint", target.endpoint,
               "default: AWS_ENDPOINT_URL, else http://127.0.0.1:4566 or AWS's own");
  options.text("--region", target.region, "default: as the AWS CLI finds it");
  options.text("--name", command.name, "name of the rollout (default \"default\")");
  options.text("--state", command.state_dir,
               "folder of the journals (default $XDG_STATE_HOME/coalmine, "
               "else ~/.local/state/coalmine)");
  options.text("--mesh", target.mesh, "App Mesh (default coalmine)");
  options.text("--router", target.router, "virtual router (default app-router)");
  options.text("--route", target.route, "route (default app-route)");
  options.text("--gateway", target.gateway,
               "virtual gateway, of the metrics (default app-gateway)");
  options.text("--load-balancer", target.load_balancer, "ALB (default coalmine)");
  options.text("--rule", target.rule_arn, "ARN of the listener rule (default: the default action)");
  options.text("--stable", target.stable_target, "virtual node or target group (default app-v1)");
  options.text("--canary", target.canary_target, "virtual node or target group (default app-v2)");
  options.text("--cluster", target.cluster,
               "ECS cluster, of steps that change tasks (default "
               "coalmine)");
  options.text("--stable-service", target.stable_service, "ECS service (default as --stable)");
  options.text("--canary-service", target.canary_service, "ECS service (default as --canary)");
  options.text("--baseline", target.baseline_target,
               "of experiments: virtual node or target group (default as --stable, with -baseline "
               "behind)");
  options.text("--baseline-service", target.baseline_service,
               "ECS service that runs stable's images (default as --stable-service, with -baseline "
               "behind)");
  options.duration(
      "--metric-period", target.metric_period,
      "of a datapoint: 1s, 5s, 10s, 30s or minutes (default 10s of the mock's App Mesh, "
      "else 60s)");
  options.duration(
      "--metric-delay", target.metric_delay,
      "after its end a datapoint is waited for so long (default 5s locally, 60s on AWS)");
}

int start(RolloutOptionsTyped& typed) {
  RolloutCommand& command = typed.command;
  auto steps = parse_steps(typed.steps, command.plan.canary);
  if (!steps) return complain(steps.error());
  command.plan.steps = *std::move(steps);
  rollout::ErrorShareTest test;
  test.alpha = typed.alpha;
  rollout::AnalysisSpec analysis;
  analysis.metric = "errors";
  analysis.test = test;
  command.plan.analyses = {analysis};
  return rollout_start(command);
}

/// A subcommand that needs only the target and its own function.
Verb verb(const std::string& word, const std::string& summary, const std::string& examples,
          int (*function)(const RolloutCommand&),
          const std::function<void(Options&, RolloutOptionsTyped&)>& more = nullptr) {
  const Typed typed = std::make_shared<RolloutOptionsTyped>();
  return {"rollout " + word, summary, examples,
          [typed, more](Options& options) {
            if (more) more(options, *typed);
            declare_target(options, *typed);
          },
          [typed, function] {
            RolloutCommand& command = typed->command;
            command.target.aws = typed->target == "aws";
            command.plan.traffic = command.target.traffic == "alb" ? rollout::TrafficApi::Alb
                                                                   : rollout::TrafficApi::AppMesh;
            if (!typed->weight.empty()) {
              const auto weight = parse_percent(typed->weight);
              if (!weight) return complain(weight.error());
              command.weight = *weight;
            }
            return function != nullptr ? function(command) : start(*typed);
          }};
}

void declare_start(Options& options, RolloutOptionsTyped& typed) {
  options.text("--steps", typed.steps,
               "weights, bakes, pause, tasks:3, tasks:50% (of stable's), tasks:weight (follow "
               "it), experiment:5%:10m (beside a fresh copy of stable), header:NAME=VALUE or "
               "cookie:NAME=VALUE (such requests go to the canary until "
               "routes:none), promote, promote:image-swap, promote:replace (default "
               "1%,10m,10%,10m,50%,10m,promote)");
  options.number("--alpha", typed.alpha, 1e-9, 0.5,
                 "share of healthy rollouts that may be rolled back by mistake (default 0.01)");
  options.flag("--dry-run", typed.command.dry_run, "print the calls, change nothing");
}

void declare_reason(Options& options, RolloutOptionsTyped& typed) {
  options.text("--reason", typed.command.reason, "why, for the journal (default: none)");
}

}  // namespace

std::vector<Verb> rollout_verbs() {
  return {
      verb("start", "Shift traffic to the canary step by step, and back if it fails.",
           "coalmine rollout start --steps 5%,30s,50%,30s,promote\n"
           "coalmine rollout start --steps header:X-Tester=alice,5m,10%,5m,promote\n"
           "coalmine rollout start --target aws --traffic alb --load-balancer shop \\\n"
           "    --stable shop-v1 --canary shop-v2",
           nullptr, declare_start),
      verb("status", "Show where the rollout stands, from its journal.", "coalmine rollout status",
           rollout_status),
      verb("weights", "Show the weights as they are set, or set them.",
           "coalmine rollout weights\ncoalmine rollout weights --set 10%", rollout_weights,
           [](Options& options, RolloutOptionsTyped& typed) {
             options.text("--set", typed.weight, "the canary's share, as in 10%");
           }),
      verb("pause", "Hold the rollout where it is.", "coalmine rollout pause", rollout_pause,
           declare_reason),
      verb("resume", "Go on after a pause.", "coalmine rollout resume", rollout_resume,
           declare_reason),
      verb("promote", "Give the canary all traffic now.", "coalmine rollout promote",
           rollout_promote, declare_reason),
      verb("abort", "Put the weights back to the stable version.",
           "coalmine rollout abort --reason 'checkout looks odd'", rollout_abort, declare_reason),
  };
}

}  // namespace coalmine::cli
