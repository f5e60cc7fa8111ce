// sim/lab: the lab on loopback: what it is made of, and scenarios played live in it.
//
//   provision.h       the ten steps through the AWS API: mesh, services, tasks, load balancer
//   load_generator.h  open-loop HTTP load: arrivals do not wait for answers
//   live_world.h      mock AWS, v1 and v2, gateway and load; the rollout in real, scaled time
//
// Below: sim/engine/world, sim/aws, mock-aws/server, sim/gateway. Above: sim/scenario, sim/cli.
#pragma once

#include <functional>
#include <map>
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

struct ProvisionSettings {
  LabNames names;
  std::vector<std::pair<std::string, int>> versions = {{"v1", 1}, {"v2", 1}};  ///< with tasks
  int port = 9000;                                                             ///< of the app
  int gateway_port = 9080;  ///< of the virtual gateway
  bool tasks = true;        ///< ECS services; false: only the mesh
  bool load_balancer = false;
};

/// Sets the lab up: the first version has all the traffic. What exists already stays as it is,
/// so running it again is harmless. Waits on `clock` for what AWS does in the background. Errors
/// name the call that was refused.
Status provision(aws::Client& client, const ProvisionSettings& settings, Clock& clock);

}  // namespace coalmine::lab
