#pragma once

#include <vector>

#include "sim/cli/verb.h"

namespace coalmine::cli {

// One function per subcommand: its options in a struct that lives as long as the verb.
Verb env_verb();

/// In the order of the help.
std::vector<Verb> all_verbs();

}  // namespace coalmine::cli
