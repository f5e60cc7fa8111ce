#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace coalmine::cli {

/// Options of `coalmine replay` as they were typed.
struct ReplayArguments {
  std::vector<std::string> paths;    ///< journals, or folders of them
  std::vector<std::string> reports;  ///< KIND=FILE
  bool color = false;
};

/// Computes what the runs and rollouts printed from their journals alone. Returns the exit code:
/// 0 every line agrees with what it rests on, whatever the verdict was; 1 one does not; 2 a file is
/// no journal; 3 the environment.
int replay_journals(const ReplayArguments& arguments, std::ostream& out, std::ostream& err);

}  // namespace coalmine::cli
