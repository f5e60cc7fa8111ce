#include "sim/cli/plan_option.h"

#include "sim/cli/rollout_command.h"
#include "sim/study/study.h"

namespace coalmine::cli {
namespace {

/// Plans call their versions what they like; the scenario's have the names of its own plan.
void rename_versions(rollout::Plan& plan, const rollout::Plan& own) {
  for (rollout::Step& step : plan.steps) {
    if (auto* promote = std::get_if<rollout::Promote>(&step.what)) promote->version = own.canary;
  }
  plan.stable = own.stable;
  plan.canary = own.canary;
  plan.traffic = own.traffic;
}

Result<rollout::Plan> plan_of_file(const std::string& file) {
  scenario::Loaded loaded = scenario::load_scenario_file(file);
  if (!loaded.problems.empty()) return tl::unexpected(loaded.problems.front());
  return std::move(loaded.scenario->spec.plan);
}

Result<rollout::Plan> plan_of(const scenario::Scenario& scenario, const std::string& text) {
  if (text == "own") return scenario.spec.plan;
  if (text.size() > 5 && text.ends_with(".yaml") && text.find(':') == std::string::npos) {
    return plan_of_file(text);
  }
  const auto colon = text.find(':');
  const std::string kind = text.substr(0, colon);
  const std::string rest = colon == std::string::npos ? "" : text.substr(colon + 1);
  if (kind == "coalmine" && !rest.empty()) return plan_of_file(rest);
  if (kind == "steps" && !rest.empty()) {
    rollout::Plan plan = scenario.spec.plan;
    TRY(plan.steps, parse_steps(rest, plan.canary));
    return plan;
  }
  return error("--plan is \"{}\"; write own, coalmine:FILE or steps:5%,10m,50%,10m,promote", text);
}

}  // namespace

Result<scenario::Scenario> with_plan(const scenario::Scenario& scenario, const std::string& plan) {
  scenario::Scenario changed = scenario;
  TRY(changed.spec.plan, plan_of(scenario, plan));
  rename_versions(changed.spec.plan, scenario.spec.plan);
  study::fit_limit(changed.spec);
  if (const auto problems = rollout::check(changed.spec.plan); !problems.empty()) {
    return error("--plan {}: {}", plan, problems.front().message);
  }
  return changed;
}

}  // namespace coalmine::cli
