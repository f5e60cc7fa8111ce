#include "sim/cli/plan_option.h"

#include "sim/cli/run_command.h"
#include "sim/cli/steps_text.h"
#include "sim/cli/verb.h"
#include "sim/study/study.h"

namespace coalmine::cli {
namespace {

/// Other steps under the scenario's own analysis.
Result<scenario::Scenario> with_steps(scenario::Scenario scenario, const std::string& plan,
                                      const std::string& steps) {
  TRY(scenario.spec.plan.steps, parse_steps(steps, scenario.spec.plan.canary));
  world::add_baseline(scenario.spec);
  study::fit_limit(scenario.spec);
  if (const auto problems = rollout::check(scenario.spec.plan); !problems.empty()) {
    return error("--plan {}: {}", plan, problems.front().message);
  }
  return scenario;
}

}  // namespace

Result<scenario::Scenario> with_plan(const scenario::Scenario& scenario, const std::string& plan,
                                     std::ostream& err) {
  constexpr std::string_view kSteps = "steps:";
  if (plan == "own") return scenario;
  if (plan.starts_with(kSteps)) return with_steps(scenario, plan, plan.substr(kSteps.size()));
  const bool bare_file = plan.ends_with(".yaml") && plan.find(':') == std::string::npos;
  if (!bare_file && plan.find(':') == std::string::npos) {
    return error(
        "--plan is \"{}\"; write own, steps:5%,10m,50%,10m,promote or KIND:FILE, where KIND is "
        "coalmine, flagger, argo, ecs, codedeploy or properties",
        plan);
  }
  std::vector<scenario::Scenario> changed = {scenario};
  if (use_plan(bare_file ? "coalmine:" + plan : plan, changed, err) != kPassed) {
    return error("--plan {} cannot be played in scenario {}", plan, scenario.name);
  }
  study::fit_limit(changed.front().spec);
  return std::move(changed.front());
}

}  // namespace coalmine::cli
