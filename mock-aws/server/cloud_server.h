#pragma once

#include <memory>
#include <string>
#include <vector>

#include "mock-aws/server/server.h"
#include "mock-aws/services/ecs/ecs.h"

namespace coalmine::mock {

/// Who runs the containers of ECS tasks.
enum class DriverKind {
  Process,    ///< local processes, each task on its own loopback address
  Simulated,  ///< nothing runs; tasks behave by a model, in the server's time
};

struct CloudServerOptions {
  MockServerOptions server;
  bool verify_signatures = false;
  DriverKind driver = DriverKind::Process;
  std::vector<std::string> images;  ///< PATTERN=COMMAND, see mock-aws/tasks/commands.h
  std::string program;              ///< path of coalmine, run again in Envoy's place
  std::string sample_app;           ///< path, for images whose name ends in v<number>
  EcsOptions ecs = {};
  std::string publish_host;  ///< where the mesh's gateway is published; empty: it is not
  int publish_port = 9080;   ///< 0: any free one
  std::string persist;       ///< journal of the calls, made again at the next start; empty: none
  /// From a change of weights to its effect in the gateways, in the server's time.
  Duration route_delay{};
  /// Whether what gateways count at this moment of the server's time never reaches CloudWatch;
  /// called from the server's threads. Empty: nothing is lost.
  std::function<bool(TimePoint)> metrics_lost = {};
};

/// The whole mock on a port: cloud, task driver, health probes, load balancers, and the endpoints
/// through which gateways get their routes and report what they counted.
class CloudServer {
 public:
  /// Errors (Environment): an address is busy, the journal cannot be kept; (Invalid): an --image
  /// mapping, the speed, a damaged journal.
  static Result<std::unique_ptr<CloudServer>> start(CloudServerOptions options);
  virtual ~CloudServer() = default;
  virtual MockServer& server() = 0;
  virtual std::string url() = 0;
  /// Of the mesh's gateway; empty when it is not published.
  virtual std::string published_url() = 0;
  /// What was made again from the journal, for people; empty: nothing.
  virtual std::string restored() = 0;
  /// Ends tasks and gateways, then the server.
  virtual void stop() = 0;
};

}  // namespace coalmine::mock
