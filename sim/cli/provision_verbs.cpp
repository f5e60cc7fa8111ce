#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>

#include "sim/cli/lab_clock.h"
#include "sim/cli/verbs.h"
#include "sim/lab/provision.h"
#include "sim/rollout/aws/target.h"

namespace coalmine::cli {
namespace {

/// Tasks of the lab start within seconds; AWS's own waiter (services-stable) gives them ten
/// minutes.
constexpr Duration kSteadyPatience = std::chrono::minutes{10};

std::atomic<bool> interrupted = false;

void interrupt(int) {
  interrupted = true;
}

struct ProvisionCommand {
  std::string target = "local";
  rollout::TargetSettings access;
  lab::ProvisionSettings settings;
  long long tasks = 1;
  bool no_wait = false, baseline = false;
};

void declare_names(Options& options, ProvisionCommand& command) {
  lab::LabNames& names = command.settings.names;
  options.choice("--target", command.target, {"local", "aws"},
                 "the mock, or real AWS (default local)");
  options.text("--endpoint", command.access.endpoint,
               "default: AWS_ENDPOINT_URL, else http://127.0.0.1:4566");
  options.text("--region", command.access.region, "default: as the AWS CLI finds it");
  options.text("--mesh", names.mesh, "mesh (default coalmine)");
  options.text("--app", names.app,
               "prefix of the other names: app-v1, app-router, app-gateway, … (default app)");
  options.text("--domain", names.domain, "Cloud Map namespace (default coalmine.local)");
  options.text("--cluster", names.cluster, "ECS cluster (default coalmine)");
  options.text("--load-balancer", names.load_balancer, "ALB (default coalmine)");
  options.flag("--baseline", command.baseline,
               "and a fresh copy of v1, without tasks, for `rollout start --steps experiment:…`");
}

/// As world::add_baseline() has it: stable's image, no task until an experiment asks for some.
void add_baseline(ProvisionCommand& command) {
  if (!command.baseline) return;
  const rollout::Plan plan;
  const std::string name = rollout::baseline_of(plan);
  command.settings.versions.emplace_back(name, 0);
  command.settings.builds[name] = plan.stable;
}

void say(const std::string& line) {
  fmt::print("{}\n", line);
  std::fflush(stdout);
}

void say_step(const lab::ProvisionStep& step) {
  const std::string number = step.number > 0 ? fmt::format("step {:>2}", step.number) : "   and ";
  say(fmt::format("{}  {:<9} {}", number, step.outcome, step.what));
}

/// Opens the target and lets `work` use it.
template <typename Work>
int with_target(ProvisionCommand& command, const char* verb, Work work) {
  if (command.target == "aws") {
    return complain({fmt::format(
        "{} --target aws is not available: AWS switched App Mesh off on 2026-09-30. Set the "
        "services and the load balancer up as you do otherwise; `coalmine rollout start --target "
        "aws --traffic alb` drives them",
        verb)});
  }
  struct sigaction action {};
  action.sa_handler = interrupt;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  const auto environment = aws::process_environment();
  const auto clock = lab_clock(rollout::endpoint_of(command.access, environment), &interrupted);
  auto target = rollout::RolloutTarget::open(command.access, {}, *clock, environment);
  if (!target) return complain(target.error());
  command.settings.on_step = say_step;
  say(fmt::format("{} on {}", verb, (*target)->description()));
  const Status done = work((*target)->client(), *clock);
  return done ? kPassed : complain(done.error());
}

int provision(ProvisionCommand& command) {
  command.settings.load_balancer = true;
  for (auto& [version, tasks] : command.settings.versions) tasks = static_cast<int>(command.tasks);
  add_baseline(command);
  return with_target(command, "provision", [&command](aws::Client& client, Clock& clock) -> Status {
    TRY_STATUS(lab::provision(client, command.settings, clock));
    if (command.no_wait) return {};
    say("waiting until the services are steady");
    TRY_STATUS(lab::wait_until_steady(client, command.settings, clock, kSteadyPatience));
    say("steady; `coalmine rollout start` shifts traffic, `coalmine destroy` takes it all down");
    return {};
  });
}

int destroy(ProvisionCommand& command) {
  add_baseline(command);
  return with_target(command, "destroy", [&command](aws::Client& client, Clock& clock) {
    return lab::destroy(client, command.settings, clock);
  });
}

}  // namespace

std::vector<Verb> provision_verbs() {
  const auto up = std::make_shared<ProvisionCommand>();
  const auto down = std::make_shared<ProvisionCommand>();
  return {{"provision", "Take the ten steps: mesh, v1 and v2 as services, gateway, load balancer.",
           "coalmine provision                       # again: what exists stays as it is\n"
           "coalmine provision --app shop --mesh shop --tasks 2",
           [up](Options& options) {
             options.integer("--tasks", up->tasks, 1, 100, "of each version (1 to 100, default 1)");
             options.flag("--no-wait", up->no_wait, "return before the tasks run");
             declare_names(options, *up);
           },
           [up] { return provision(*up); }},
          {"destroy", "Take down what provision made, and nothing else.",
           "coalmine destroy\n"
           "coalmine destroy --app shop --mesh shop",
           [down](Options& options) { declare_names(options, *down); },
           [down] { return destroy(*down); }}};
}

}  // namespace coalmine::cli
