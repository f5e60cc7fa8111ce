// mock-aws/tasks: what carries out the ECS core's task actions.
//
//   simulated   in virtual time, by a table of behaviours per image
//   process     each container is a local command at the task's own loopback address
//
// Below: mock-aws/services/task_actions.h. Above: mock-aws/server, sim/engine, sim/lab.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "mock-aws/services/task_actions.h"

namespace coalmine::mock {

/// How containers of an image behave. Durations count from the event before.
struct SimulatedImage {
  Duration start_delay = std::chrono::seconds{1};  ///< pull and start
  bool pull_fails = false;
  bool start_fails = false;
  std::optional<Duration> exits_after;  ///< by itself, from its start
  int exit_code = 1;                    ///< of that exit
  Duration stop_delay{};                ///< from SIGTERM to its exit
  bool ignores_terminate = false;       ///< only SIGKILL ends it
  bool ever_healthy = true;
  Duration healthy_after{};                 ///< checks fail before
  std::optional<Duration> unhealthy_after;  ///< checks fail from then on
  Duration check_duration = std::chrono::milliseconds{10};
};

/// Runs containers in virtual time. Deterministic: events that fall on one moment come in the
/// order in which their actions did. Draws nothing.
class SimulatedDriver : public TaskDriver {
 public:
  /// `fallback` is for images that no pattern matches.
  explicit SimulatedDriver(SimulatedImage fallback = {}) : fallback_(fallback) {}

  /// Images that match `pattern` (glob over the whole name) start to behave so from now on, the
  /// health of running ones included. Later patterns win.
  void set_image(std::string pattern, SimulatedImage image);

  void carry_out(const TaskAction& action, TimePoint now) override;
  std::vector<TaskEvent> take_events(TimePoint now) override;
  TimePoint next_event() const override;

  /// The container crashes at `now`. False: it is not running.
  bool crash(const std::string& task_id, const std::string& container, int exit_code,
             TimePoint now);
  /// Containers that have been started and have not ended.
  std::size_t running() const { return containers_.size(); }

 private:
  using Key = std::pair<std::string, std::string>;  // task, container
  struct Running {
    std::string image;
    TimePoint started = kNever;  // kNever: still starting
    std::uint64_t generation = 0;
  };
  struct Due {
    TaskEvent event;
    Key key;
    std::uint64_t generation = 0;  // stale when the container has gone or begun anew
  };

  const SimulatedImage& behaviour(const std::string& image) const;
  void schedule(TimePoint at, TaskEvent event, const Key& key, std::uint64_t generation);
  void start(const ContainerStart& action, TimePoint now);
  void signal(const ContainerSignal& action, TimePoint now);
  void check(const CheckStart& action, TimePoint now);

  SimulatedImage fallback_;
  std::vector<std::pair<std::string, SimulatedImage>> images_;
  std::map<Key, Running> containers_;
  std::map<std::pair<TimePoint, std::uint64_t>, Due> due_;
  std::uint64_t sequence_ = 0;
};

}  // namespace coalmine::mock
