#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/scenario/scenario.h"

namespace coalmine::scenario {

// `--plan KIND:FILE`: another plan for the same world, faults and checks.

/// A plan of a file, read and checked for itself.
struct PlanChoice {
  std::string label;  ///< as it was typed: "flagger:canary.yaml"
  rollout::Plan plan;
  std::vector<std::string> notes;  ///< what differs from the tool by its nature
};

struct LoadedPlan {
  std::optional<PlanChoice> choice;  ///< absent when there are problems
  std::vector<Error> problems, warnings;
  std::string text;  ///< of the file, for carets
};

/// Reads "KIND:FILE": coalmine (a scenario, or only its rollout and given.alarms), flagger, argo,
/// ecs, codedeploy (also the name of a predefined configuration), properties.
LoadedPlan load_plan(const std::string& kind_and_file);
/// The same of a text at hand. `kind` is one of the words above.
LoadedPlan load_plan_text(const std::string& kind, const std::string& text,
                          const std::string& file);

/// Hooks of the plan for which the scenario says no answer.
std::vector<Error> unanswered_hooks(const world::Spec& spec, const rollout::Plan& plan);

struct PlanUse {
  std::vector<Error> problems;  ///< why this plan cannot be played in this scenario
  std::vector<Error> warnings;
};
/// Replaces the scenario's plan, analyses and checks. Versions and traffic API stay the scenario's;
/// its alarms stay declared; its limit is raised (with a warning) when the plan is longer.
PlanUse use_plan(Scenario& scenario, const PlanChoice& choice);

}  // namespace coalmine::scenario
