#include "sim/cli/verbs.h"

namespace coalmine::cli {

std::vector<Verb> all_verbs() {
  return {env_verb()};
}

}  // namespace coalmine::cli
