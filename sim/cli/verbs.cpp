#include "sim/cli/verbs.h"

namespace coalmine::cli {

std::vector<Verb> all_verbs() {
  std::vector<Verb> verbs = {run_verb(),    replay_verb(),  evaluate_verb(), compare_verb(),
                             merge_verb(),  explore_verb(), validate_verb(), import_verb(),
                             schema_verb(), up_verb(),      mock_aws_verb(), env_verb(),
                             gateway_verb()};
  for (Verb& verb : provision_verbs()) verbs.push_back(std::move(verb));
  for (Verb& verb : rollout_verbs()) verbs.push_back(std::move(verb));
  return verbs;
}

}  // namespace coalmine::cli
