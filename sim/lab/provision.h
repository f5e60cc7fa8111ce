// sim/lab: the lab on loopback: what it is made of, and scenarios played live in it.
//
//   provision.h       the ten steps through the AWS API, there and back: mesh, services, tasks, ALB
//   load_generator.h  open-loop HTTP load: arrivals do not wait for answers
//   lab_cloud.h       the mock AWS of a live run, provisioned and serving; its clock and routes
//   lab_tasks.h       which tasks run where, and why others ended
//   live_faults.h     what is wrong with the versions, told to their tasks
//   live_stage.h      what a scenario's `when` makes happen while the rollout goes on
//   tally.h           what the load generator saw, counted up into a record
//   live_world.h      all of it together: a scenario in real, scaled time
//
// Below: sim/engine/world, sim/aws, mock-aws/server, sim/gateway. Above: sim/scenario, sim/cli.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/aws/client.h"
#include "sim/core/clock.h"
#include "sim/core/result.h"

namespace coalmine::lab {

/// Names of the lab; the rollout's defaults (sim/rollout/aws/target.h) are the same.
struct LabNames {
  std::string mesh = "coalmine";
  std::string app = "app";                ///< prefix: app-v1, app-router, app-route, …
  std::string domain = "coalmine.local";  ///< Cloud Map namespace
  std::string cluster = "coalmine";
  std::string load_balancer = "coalmine";
  std::string node(const std::string& version) const { return app + "-" + version; }
};

/// One of the ten steps (number 1 to 10), or what comes beside them (number 0).
struct ProvisionStep {
  int number = 0;
  std::string what;     ///< "virtual nodes app-v1, app-v2"
  std::string outcome;  ///< "created", "exists", "deleted", "not there"
};

struct ProvisionSettings {
  LabNames names;
  std::vector<std::pair<std::string, int>> versions = {{"v1", 1}, {"v2", 1}};  ///< with tasks
  int port = 9000;                                                             ///< of the app
  int gateway_port = 9080;  ///< of the virtual gateway
  bool tasks = true;        ///< ECS services; false: only the mesh
  bool load_balancer = false;
  int listener_port = 80;  ///< of the load balancer
  /// Of the route: how often and on which of App Mesh's events; none: App Mesh's default.
  struct Retries {
    int max = 0;
    std::vector<std::string> on;
  };
  std::optional<Retries> retries = {};
  Duration request_timeout{};  ///< of the route and the load balancer; zero: AWS's defaults
  /// Of the app's container, by version.
  std::map<std::string, std::map<std::string, std::string>> environment;
  std::map<std::string, std::string> builds = {};  ///< whose image a version runs, if not its own
  std::string log_group;  ///< what the containers print goes there; empty: nowhere
  std::function<void(const ProvisionStep&)> on_step = {};  ///< told after each step; may be empty
};

/// Sets the lab up: the first version has all the traffic. What exists already stays as it is,
/// so running it again is harmless. Waits on `clock` for what AWS does in the background. Errors
/// name the call that was refused.
Status provision(aws::Client& client, const ProvisionSettings& settings, Clock& clock);

/// Waits until the services of the lab are steady: as many tasks run as are wanted and no
/// deployment is under way. Error (Failed) after `patience`, with each service's last event.
Status wait_until_steady(aws::Client& client, const ProvisionSettings& settings, Clock& clock,
                         Duration patience);

/// Takes the lab down again, tasks first and the mesh last; what is not there is passed over, so
/// running it again is harmless. Touches only what bears the settings' names. Waits on `clock`
/// for tasks to drain. Errors name the call that was refused.
Status destroy(aws::Client& client, const ProvisionSettings& settings, Clock& clock);

}  // namespace coalmine::lab
