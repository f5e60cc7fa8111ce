#pragma once

#include <map>
#include <string>
#include <vector>

#include "sim/core/result.h"
#include "sim/engine/world/world.h"
#include "sim/lab/lab_tasks.h"

namespace coalmine::lab {

/// What the sample app of a version is told: its latency and these faults, as --fault and
/// PUT /fault take them. All times are divided by `speed`.
std::string fault_text(const world::Spec& spec, const world::Version& version,
                       const std::vector<world::Fault>& faults, double speed);

/// The environment that makes a container behave like the version from the beginning: FAULT,
/// PATIENCE, and its limits CAPACITY, CONCURRENCY and QUEUE where it has some.
std::map<std::string, std::string> environment_of(const world::Spec& spec,
                                                  const world::Version& version, double speed);

/// Replaces what is wrong with the task, by PUT /fault. Errors (Environment): it does not answer,
/// or refuses the text.
Status put_faults(const LabTask& task, int port, const std::string& text);

/// The faults in force by version, and which tasks know of them.
class FaultBoard {
 public:
  FaultBoard(const world::Spec& spec, double speed);

  void begin(std::size_t version, std::size_t event, const world::Fault& fault);
  void end(std::size_t version, std::size_t event);
  /// Another build runs in the version's tasks: with these faults from its beginning on.
  void rebuild(std::size_t version, std::vector<world::Fault> faults);
  /// Tasks that are not known yet run another version's build, with its environment.
  void adopt(std::size_t version, std::size_t from);
  /// Tells every task that has heard something else. A task that is new knows its environment.
  Status tell(std::size_t version, const std::vector<LabTask>& tasks, int port);

 private:
  struct Build {
    std::size_t version = 0;        ///< whose
    std::vector<world::Fault> own;  ///< what is wrong with it
  };
  struct Board {
    Build build;                                               ///< of new tasks
    std::map<std::string, Build> elders;                       ///< tasks that run an earlier one
    std::vector<std::pair<std::size_t, world::Fault>> active;  ///< by event of the scenario
    std::map<std::string, std::string> told;                   ///< by task
  };
  /// What the environment says, and what holds now.
  std::string text_at_start(const Build& build) const;
  std::string text_of(const Board& board, const Build& build) const;

  const world::Spec& spec_;
  double speed_;
  std::vector<Board> boards_;
};

}  // namespace coalmine::lab
