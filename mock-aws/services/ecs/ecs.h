// mock-aws/services/ecs: clusters, task definitions, services and their tasks. Pure.
//
// A service reconciles: what is wanted (desired count, revision) against what runs, by the
// arithmetic of a rolling deployment; a task walks PROVISIONING -> PENDING -> ACTIVATING ->
// RUNNING -> DEACTIVATING -> STOPPING -> DEPROVISIONING -> STOPPED. What must be done outside
// (start a container, signal it, run a check) leaves as TaskActions; what happened comes back
// as TaskEvents. So the same scheduler drives modelled tasks in virtual time and processes.
//
//   call / tick -> settle: tasks advance, services reconcile -> take_actions() -> driver
//   driver -> on_event() -> tick
//
//   core.h                  the state, and what the files below share
//   clusters, task_definitions (task_spec: the part a task needs), services, task_calls,
//   service_deployments     the API operations by subject; tags, paging, idempotency
//   task_machine            one task's states, containers, health checks, stop sequence
//   rolling                 pure arithmetic: how many to start and stop now
//   reconcile, deployments  the scheduler; completion, circuit breaker, alarms, rollback
//   service_events          the wording of service events
//
// Real: states, order, arithmetic, errors, wording. Modelled: how long an ENI takes, how long
// ECS waits between failing starts, and that a cluster always has room (EC2 launch type too).
//
// Below: mock-aws/protocol, mock-aws/services/ports.h. Above: mock-aws/services/cloud.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "mock-aws/protocol/service.h"
#include "mock-aws/services/address_pool.h"
#include "mock-aws/services/ports.h"
#include "mock-aws/services/task_actions.h"
#include "sim/core/random.h"

namespace coalmine::mock {

/// Durations that AWS does not promise or that a lab wants shorter.
struct EcsOptions {
  // An ENI takes 10 to 30 s on Fargate; here only the states matter.
  Duration provisioning = std::chrono::milliseconds{50};
  Duration activating = std::chrono::milliseconds{50};
  Duration deprovisioning = std::chrono::milliseconds{50};
  /// A task without load balancer and container check counts as healthy this long after RUNNING.
  /// AWS: 40 s.
  Duration healthy_after = std::chrono::seconds{40};
  /// Factor on interval and startPeriod of container health checks. AWS: 1.
  double check_pace = 1.0;
  /// From leaving Cloud Map to SIGTERM, so that callers hear of it before it is gone. Targets of
  /// a load balancer drain for their group's deregistration delay instead, if that is longer.
  Duration drain = std::chrono::seconds{1};
  /// How often target health is asked for while a task waits on it.
  Duration health_poll = std::chrono::seconds{1};
  Duration alarm_poll = std::chrono::seconds{10};
  /// Bake of a rolling deployment with alarms that sets no bakeTimeInMinutes. AWS: "under 5
  /// minutes", by the alarms' periods.
  Duration alarm_bake = std::chrono::minutes{3};
  /// Wait after the first start that failed, doubled by each further one up to the limit. AWS
  /// documents the limit only. Also for tasks that crash within `crash_loop` of RUNNING, which
  /// AWS restarts at once: a local crash loop would burn a core for nothing.
  Duration start_backoff = std::chrono::seconds{2};
  Duration start_backoff_max = std::chrono::minutes{15};
  Duration crash_loop = std::chrono::seconds{10};
  /// How long stopped tasks and deleted services can still be described. AWS: an hour or more.
  Duration remembered = std::chrono::hours{1};
};

struct EcsDependencies {
  Scope scope;
  Random random;
  EventSink& events;
  InstanceRegistry& registry;
  TargetGroups& target_groups;
  LogSink& logs;
  ImageStore& images;
  Alarms& alarms;
  AddressPool& addresses;
  EcsOptions options = {};
};

/// A task as other rooms see it: which version answers at which address.
struct TaskView {
  std::string id, cluster, service, family, deployment_id, address, last_status, health_status;
  int revision = 0;
  std::vector<std::pair<std::string, std::string>> images;  ///< container name, image
  std::string virtual_gateway;  ///< "MESH/NAME" that a container of it serves; empty: none
  std::string eni, attachment_arn, mac, subnet;
  std::vector<std::string> security_groups;  ///< as asked for; empty: the default one
  bool public_ip = false;
};

namespace ecs {
struct Core;
}

class Ecs : public Service {
 public:
  explicit Ecs(EcsDependencies dependencies);
  ~Ecs() override;

  std::string_view name() const override { return "ecs"; }
  bool implements(std::string_view operation) const override;
  Reply call(std::string_view operation, const Json& input, CallContext& context) override;
  void tick(TimePoint now) override;
  TimePoint next_wakeup() const override;
  Json state() const override;

  /// What a task driver has to carry out, in this order; empty until something is due.
  std::vector<TaskAction> take_actions();
  /// What a driver reported. False: the task is not ours (another region's, or forgotten).
  /// Moves nothing yet: next_wakeup() becomes `now`, and tick() acts on it.
  bool on_event(const TaskEvent& event, TimePoint now);

  /// Tasks that are not STOPPED, by id.
  std::vector<TaskView> tasks() const;

 private:
  std::unique_ptr<ecs::Core> core_;
};

/// Hands actions to the driver and events back, until neither has more to say at `now`.
void pump(Ecs& ecs, TaskDriver& driver, TimePoint now);

}  // namespace coalmine::mock
