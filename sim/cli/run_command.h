#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "sim/engine/world/world.h"
#include "sim/scenario/scenario.h"

namespace coalmine::cli {

/// Options of `coalmine run` as they were typed.
struct RunArguments {
  std::vector<std::string> paths;
  std::string fidelity = "auto";      ///< request, aggregate, auto
  bool live = false;                  ///< on loopback instead of in virtual time
  double speed = 1;                   ///< live: scenario time per real time
  std::optional<std::uint64_t> seed;  ///< instead of the files'
  int seeds = 1;
  int jobs = 0;                      ///< 0: one per core
  std::string shard;                 ///< "I/N"; empty: all
  std::string filter;                ///< part of the name or file
  std::string plan;                  ///< KIND:FILE instead of the scenarios' plans; empty: theirs
  std::vector<std::string> reports;  ///< KIND=FILE
  std::string journal;               ///< folder
  bool color = false;
};

/// The two worlds a scenario can be played in.
struct Worlds {
  world::World virtual_time;
  world::World live;
};

/// Replays scenarios and checks them. Returns the exit code: 0 all passed, 1 a check failed,
/// 2 an invalid file or option, 3 the environment.
int run_scenarios(const RunArguments& arguments, const Worlds& worlds, std::ostream& out,
                  std::ostream& err);
/// Checks files without running them; warnings are for what is allowed but cannot come out as it
/// reads. `world` shows what becomes of the worst canary.
int validate_scenarios(const std::vector<std::string>& paths, const world::World& world,
                       std::ostream& out, std::ostream& err);
/// Replaces the scenarios' plans by that of KIND:FILE, with all problems and warnings on `err`.
/// Returns the exit code.
int use_plan(const std::string& kind_and_file, std::vector<scenario::Scenario>& scenarios,
             std::ostream& err);
/// Prints the scenario part that KIND:FILE is: its rollout, and alarms that it only names.
int import_plan(const std::string& kind_and_file, std::ostream& out, std::ostream& err);
/// Prints the JSON Schema of scenario files.
int print_schema(std::ostream& out);

}  // namespace coalmine::cli
