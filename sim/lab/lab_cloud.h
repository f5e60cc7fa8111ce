#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "sim/aws/client.h"
#include "sim/core/clock.h"
#include "sim/engine/world/world.h"
#include "sim/lab/lab_tasks.h"
#include "sim/lab/route_watch.h"
#include "sim/lab/segment_counter.h"
#include "sim/rollout/driver.h"

namespace coalmine::lab {

/// Everything must be up and serving within this (real) time.
inline constexpr Duration kStartLimit = std::chrono::seconds{60};
inline constexpr int kAppPort = 9000;

struct LabCloudOptions {
  std::string program;     ///< path of coalmine, which runs again as the gateway's task
  std::string sample_app;  ///< path
  double speed = 1;        ///< of the mock's time
  std::uint64_t seed = 1;
  const std::atomic<bool>* stop = nullptr;  ///< set: waiting ends early
};

/// The mock AWS of a live run, in this process: provisioned with the scenario's versions as tasks
/// (processes), and a gateway or a load balancer in front. Everything outside is reached through
/// the AWS API over HTTP. From one thread.
class LabCloud {
 public:
  /// Returns once all tasks run and a request through the gateway succeeds. Errors (Environment):
  /// a program is missing, an address is busy, a task ends by itself: with what it said.
  static Result<std::unique_ptr<LabCloud>> start(const world::Spec& spec,
                                                 const LabCloudOptions& options);
  virtual ~LabCloud() = default;

  /// The mock's time. Sleeping ends early when the run is stopped.
  virtual Clock& clock() = 0;
  virtual rollout::TrafficAdapter& traffic() = 0;
  virtual rollout::MetricsSource& metrics() = 0;
  /// The versions' ECS services, as the rollout changes them.
  virtual rollout::TaskAdapter& services() = 0;
  /// Where users' requests go: the gateway's task, or the load balancer's address.
  virtual std::string host() const = 0;
  virtual int port() const = 0;
  /// The virtual node's or target group's name of a version.
  virtual std::string target(const std::string& version) const = 0;
  virtual Result<std::vector<LabTask>> tasks(const std::string& version) = 0;
  /// Why tasks of the version have ended so far.
  virtual std::vector<std::string> task_ends(const std::string& version) = 0;
  /// Whether anything about tasks may have changed since the last call.
  virtual bool tasks_moved() = 0;
  /// What has become of weight changes, up to now.
  virtual const RouteWatch& routes() = 0;
  /// Puts them into CloudWatch under the names of sim/aws/metric_names.h, as an application would
  /// that knows its segments.
  virtual Status publish(const std::vector<SegmentCount>& counts) = 0;
  /// Sets weights as somebody who is not the rollout would.
  virtual Status set_weights_by_hand(const std::map<std::string, std::uint32_t>& weights) = 0;
  /// Attempts that the gateway has made again at the version so far.
  virtual Result<std::uint64_t> retries(const std::string& version) = 0;
  /// Changes how many tasks a version has.
  virtual Status scale(const std::string& version, int tasks) = 0;
  /// Refuses this share of the calls that shift traffic or read metrics, for coming too fast; the
  /// other calls of the lab pass.
  virtual Status throttle(double share) = 0;
  /// Ends tasks, gateways and the mock. The destructor does it too.
  virtual void stop() = 0;
};

}  // namespace coalmine::lab
