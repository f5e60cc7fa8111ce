#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "mock-aws/services/cloud.h"
#include "mock-aws/services/ports.h"
#include "sim/gateway/control_source.h"
#include "sim/gateway/gateway.h"

namespace coalmine::mock {

struct GatewayHostOptions {
  std::string control;       ///< URL of the mock itself
  std::string publish_host;  ///< where the mesh's gateway is published; empty: it is not
  int publish_port = 9080;   ///< 0: any free one
  Duration report_interval = std::chrono::seconds{1};  ///< of counts, real time
};

/// Serves the listeners of load balancers, each at its balancer's own address, and publishes the
/// mesh's gateway on an address that stays the same whichever task serves it.
///
/// The caller says what should be there (want(), cheap); a thread of its own starts and stops
/// gateways, which may take as long as requests in flight do.
class GatewayHost {
 public:
  /// Errors (Environment): the published address is busy.
  static Result<std::unique_ptr<GatewayHost>> start(GatewayHostOptions options, EventSink& events);
  ~GatewayHost();

  /// Reads off the cloud what should be served.
  void want(const Cloud& cloud, TimePoint now);
  /// "http://127.0.0.1:9080"; empty when nothing is published.
  std::string published_url() const;

 private:
  struct Balancer {
    std::unique_ptr<gateway::Gateway> gateway;
    std::unique_ptr<gateway::ControlSource> source;
  };
  /// address -> (scope, name)
  using Wanted = std::map<std::string, std::pair<Scope, std::string>>;

  GatewayHost(GatewayHostOptions options, EventSink& events);
  void run();
  void start_balancer(const std::string& address, const Scope& scope, const std::string& name,
                      TimePoint now);

  GatewayHostOptions options_;
  EventSink& events_;
  std::vector<std::unique_ptr<gateway::Gateway>> published_;  ///< one an address, on one port
  std::map<std::string, Balancer> balancers_;                 ///< by address; the thread's own

  std::mutex mutex_;
  std::condition_variable changed_;
  Wanted wanted_;
  traffic::Snapshot wanted_table_;
  TimePoint now_{};
  bool dirty_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

/// What the published address serves: every running task of a virtual gateway, or a 503 that says
/// what is missing.
traffic::RouteTable published_table(const Cloud& cloud);

}  // namespace coalmine::mock
