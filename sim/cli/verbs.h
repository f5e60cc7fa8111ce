#pragma once

#include <vector>

#include "sim/cli/verb.h"

namespace coalmine::cli {

// One function per subcommand: its options in a struct that lives as long as the verb.
Verb run_verb();
Verb replay_verb();
Verb evaluate_verb();
Verb compare_verb();
Verb merge_verb();
Verb explore_verb();
Verb validate_verb();
Verb import_verb();
Verb schema_verb();
Verb up_verb();
Verb mock_aws_verb();
Verb env_verb();
Verb gateway_verb();
std::vector<Verb> provision_verbs();
std::vector<Verb> rollout_verbs();

/// In the order of the help.
std::vector<Verb> all_verbs();

}  // namespace coalmine::cli
