// Internal to mock-aws/services/ecs: the state, and what its files share.
#pragma once

#include <deque>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "mock-aws/services/ecs/ecs.h"
#include "mock-aws/services/ecs/task_spec.h"

namespace coalmine::mock::ecs {

// Quotas and paging of the API (service model of 2026, ECS developer guide).
inline constexpr int kMaxDescribedServices = 10;
inline constexpr int kMaxDescribedTasks = 100;
inline constexpr int kMaxDescribedClusters = 100;
inline constexpr int kMaxDescribedDeployments = 20;
inline constexpr int kMaxRunTaskCount = 10;
inline constexpr int kMaxServiceEvents = 100;
inline constexpr int kMaxTags = 50;
inline constexpr int kMaxContainers = 10;

using Tags = std::map<std::string, std::string>;

struct Cluster {
  std::string name, arn;
  bool active = true;
  Tags tags;
  Json settings = Json::array();
  Json configuration;  ///< null: not given
  Json service_connect_defaults;
  std::vector<std::string> capacity_providers;
  Json default_strategy = Json::array();
};

enum class DefinitionStatus { Active, Inactive, DeleteInProgress };

struct TaskDefinition {
  std::string family, arn;
  int revision = 0;
  DefinitionStatus status = DefinitionStatus::Active;
  Json body;  ///< as registered, with the defaults that ECS echoes
  Tags tags;
  TimePoint registered, deregistered;
  std::string registered_by;
  TaskSpec spec;
};

struct Family {
  int last_revision = 0;  ///< never reused
  std::map<int, TaskDefinition> revisions;
};

// --- tasks --------------------------------------------------------------------------------------

enum class Phase {
  Provisioning,
  Pending,
  Activating,
  Running,
  Deactivating,
  Stopping,
  Deprovisioning,
  Stopped
};
const char* to_string(Phase phase);

enum class Health { Unknown, Healthy, Unhealthy };
const char* to_string(Health health);

struct ContainerState {
  enum class Status { Waiting, Starting, Running, Stopped };
  std::string name, image, digest, arn, runtime_id, reason;
  Status status = Status::Waiting;
  std::optional<int> exit_code;
  Health health = Health::Unknown;
  TimePoint started{};
  TimePoint next_check = kNever;
  bool checking = false;
  int failed_checks = 0;
  bool terminated = false;     ///< SIGTERM sent
  TimePoint kill_at = kNever;  ///< SIGKILL due
};

struct Target {
  std::string group;
  int port = 0;
};

struct Task {
  std::string id, arn, cluster, service, group, started_by, deployment_id;
  const TaskDefinition* definition = nullptr;  ///< revisions are never erased
  std::vector<ContainerState> containers;      ///< in the task definition's order
  Phase phase = Phase::Provisioning;
  bool wanted = true;  ///< desiredStatus RUNNING
  std::string address, eni, attachment_id, mac, subnet, launch_type, platform_version;
  std::vector<std::string> security_groups;  ///< as asked for; empty: the default one
  bool public_ip = false;                    ///< assignPublicIp ENABLED
  Json overrides = Json::object();
  Tags tags;
  bool execute_command = false;
  std::int64_t version = 1;
  TimePoint phase_until = kNever;  ///< end of a phase that time ends
  TimePoint created{}, connected{}, pull_started{}, pull_stopped{}, started{}, stopping_at{},
      execution_stopped{}, stopped{};
  std::string stop_code, stopped_reason;
  bool registered = false;  ///< with Cloud Map and target groups
  bool was_healthy = false;
  bool replaced_unhealthy = false;
  bool counted = false;  ///< its end has been counted by the scheduler
  std::vector<Target> targets;
  Json registries = Json::array();  ///< serviceRegistries of its revision

  bool alive() const { return wanted && phase != Phase::Stopped; }
  bool pending() const { return phase < Phase::Running; }
};

// --- services -----------------------------------------------------------------------------------

/// What a revision fixes; a change of it makes a new deployment.
struct ServiceRevision {
  std::string arn, service_arn, cluster_arn;
  std::string task_definition;
  Json settings = Json::object();  ///< loadBalancers, serviceRegistries, networkConfiguration, …
  std::map<std::string, std::string> digests;  ///< container -> pinned digest
  TimePoint created;
};

enum class RolloutState { InProgress, Completed, Failed };

struct Deployment {
  std::string id, revision_arn, service_deployment_arn;
  enum class Status { Primary, Active, Draining } status = Status::Primary;
  RolloutState rollout = RolloutState::InProgress;
  std::string reason;
  int failed_tasks = 0;
  int start_failures = 0;  ///< consecutive, for the back-off
  bool backoff_told = false, stuck_told = false;
  bool rolling_back = false;    ///< made PRIMARY again by a rollback
  bool ever_completed = false;  ///< a rollback may return to it
  TimePoint created, updated;
  TimePoint next_start{};         ///< the back-off's end
  TimePoint bake_until = kNever;  ///< set once all tasks are healthy and alarms are watched
  TimePoint next_alarm_poll = kNever;
  bool alarms_ignored = false;
};

struct ServiceEvent {
  std::string id, message;
  TimePoint created;
};

struct Service {
  std::string name, arn, cluster, role;
  enum class Status { Active, Draining, Inactive } status = Status::Active;
  int desired = 0;
  std::string scheduling = "REPLICA";
  std::string controller = "ECS";
  Json deployment_configuration;
  Json placement_constraints = Json::array(), placement_strategy = Json::array();
  int grace_period_s = 0;
  bool has_grace_period = false;
  bool managed_tags = false, execute_command = false;
  std::string propagate_tags = "NONE", az_rebalancing = "DISABLED";
  Tags tags;
  TimePoint created, deleted{};
  std::vector<Deployment> deployments;  ///< newest first; the primary one leads
  std::deque<ServiceEvent> events;      ///< newest first
  bool steady = false;
  std::map<std::string, int> registered_now;  ///< target group -> targets, until told

  Deployment& primary() { return deployments.front(); }
  const Deployment& primary() const { return deployments.front(); }
};

enum class DeploymentStatus {
  Pending,
  InProgress,
  Successful,
  StopRequested,
  Stopped,
  RollbackRequested,
  RollbackInProgress,
  RollbackSuccessful,
  RollbackFailed
};
const char* to_string(DeploymentStatus status);
bool terminal(DeploymentStatus status);

struct ServiceDeployment {
  std::string arn, service_key, service_arn, cluster_arn, target_revision, deployment_id;
  std::vector<std::string> source_revisions;
  DeploymentStatus status = DeploymentStatus::Pending;
  std::string status_reason;
  Json configuration;
  TimePoint created, started{}, finished{}, stopped{}, updated;
  std::string breaker_status = "DISABLED", alarm_status = "DISABLED";
  int failures = 0, threshold = 0;
  std::vector<std::string> triggered_alarms;
  std::string rollback_reason, rollback_revision;
  TimePoint rollback_started{};
  std::uint64_t sequence = 0;  ///< newest first in lists
};

struct Core {
  explicit Core(EcsDependencies dependencies) : d(std::move(dependencies)), random(d.random) {}

  EcsDependencies d;
  Random random;
  std::map<std::string, Cluster> clusters;
  std::map<std::string, Family> families;
  std::map<std::string, Service> services;  ///< by service_key(cluster, name)
  std::map<std::string, Task> tasks;        ///< by id
  std::map<std::string, ServiceRevision> revisions;
  std::map<std::string, ServiceDeployment> service_deployments;
  struct Remembered {
    std::string input;
    Json reply;
  };
  std::map<std::string, Remembered> tokens;  ///< operation + clientToken
  std::vector<TaskAction> actions;
  std::uint64_t sequence = 0;
  TimePoint wakeup = kNever;

  const EcsOptions& options() const { return d.options; }
  std::string arn(std::string_view tail) const {
    return fmt::format("arn:aws:ecs:{}:{}:{}", d.scope.region, d.scope.account, tail);
  }
  std::string caller() const { return fmt::format("arn:aws:iam::{}:root", d.scope.account); }
};

inline std::string service_key(std::string_view cluster, std::string_view name) {
  return fmt::format("{}/{}", cluster, name);
}

/// The part of an ARN or name behind the last '/'.
std::string last_part(std::string_view name);

// --- time ---------------------------------------------------------------------------------------

/// Advances all tasks and services until nothing changes at `now`, then sets `wakeup`.
void settle(Core& core, TimePoint now);

// task_machine.cpp
struct TaskRequest {
  std::string cluster, service, group, started_by, deployment_id, launch_type, platform_version;
  const TaskDefinition* definition = nullptr;
  Json network;  ///< awsvpcConfiguration or null
  Json overrides = Json::object();
  std::map<std::string, std::string> digests;
  std::vector<Target> targets;
  Json registries = Json::array();
  Tags tags;
  bool execute_command = false;
};
/// nullptr: no address is free.
Task* create_task(Core& core, const TaskRequest& request, TimePoint now);
/// Begins the stop sequence; a task that is already stopping keeps its first reason.
void stop_task(Core& core, Task& task, std::string code, std::string reason, TimePoint now);
/// One step; true if anything changed.
bool advance_task(Core& core, Task& task, TimePoint now);
TimePoint task_due(const Core& core, const Task& task);
Health task_health(const Task& task);
bool handle_event(Core& core, const TaskEvent& event, TimePoint now);

// reconcile.cpp
bool reconcile(Core& core, Service& service, TimePoint now);
TimePoint service_due(const Core& core, const Service& service, TimePoint now);
std::vector<Task*> tasks_of(Core& core, const Service& service);
struct TaskCounts {
  int running = 0, pending = 0, alive = 0;
};
/// Of one deployment, or of all with an empty id.
TaskCounts count_tasks(const Core& core, const Service& service, std::string_view deployment_id);

// deployments.cpp
/// Makes `revision` primary: the deployment, its service deployment record, pinned digests.
Deployment& begin_deployment(Core& core, Service& service, ServiceRevision revision, TimePoint now);
/// A task of the primary deployment failed; may trip the circuit breaker.
void count_failure(Core& core, Service& service, Deployment& deployment, bool failed_to_start,
                   TimePoint now);
void task_became_healthy(Core& core, Service& service, Deployment& deployment, TimePoint now);
/// Alarms, requested stops and completion of the primary deployment. True if anything changed.
bool advance_deployment(Core& core, Service& service, bool all_healthy, int old_alive,
                        TimePoint now);
int breaker_threshold(int desired);
ServiceDeployment* service_deployment_of(Core& core, const Deployment& deployment);

// service_events.cpp
void tell(Core& core, Service& service, TimePoint now, std::string message);
std::string task_list(const std::vector<std::string>& ids);

// --- operations ---------------------------------------------------------------------------------

Reply create_cluster(Core&, const Json&, CallContext&);
Reply delete_cluster(Core&, const Json&, CallContext&);
Reply describe_clusters(Core&, const Json&, CallContext&);
Reply list_clusters(Core&, const Json&, CallContext&);
Reply update_cluster(Core&, const Json&, CallContext&);
Reply update_cluster_settings(Core&, const Json&, CallContext&);
Reply put_cluster_capacity_providers(Core&, const Json&, CallContext&);

Reply register_task_definition(Core&, const Json&, CallContext&);
Reply deregister_task_definition(Core&, const Json&, CallContext&);
Reply describe_task_definition(Core&, const Json&, CallContext&);
Reply list_task_definitions(Core&, const Json&, CallContext&);
Reply list_task_definition_families(Core&, const Json&, CallContext&);
Reply delete_task_definitions(Core&, const Json&, CallContext&);

Reply create_service(Core&, const Json&, CallContext&);
Reply update_service(Core&, const Json&, CallContext&);
Reply delete_service(Core&, const Json&, CallContext&);
Reply describe_services(Core&, const Json&, CallContext&);
Reply list_services(Core&, const Json&, CallContext&);

Reply run_task(Core&, const Json&, CallContext&);
Reply stop_task_call(Core&, const Json&, CallContext&);
Reply describe_tasks(Core&, const Json&, CallContext&);
Reply list_tasks(Core&, const Json&, CallContext&);

Reply list_service_deployments(Core&, const Json&, CallContext&);
Reply describe_service_deployments(Core&, const Json&, CallContext&);
Reply stop_service_deployment(Core&, const Json&, CallContext&);
Reply continue_service_deployment(Core&, const Json&, CallContext&);
Reply describe_service_revisions(Core&, const Json&, CallContext&);

Reply tag_resource(Core&, const Json&, CallContext&);
Reply untag_resource(Core&, const Json&, CallContext&);
Reply list_tags(Core&, const Json&, CallContext&);

// --- shared lookups -----------------------------------------------------------------------------

/// By name or ARN; "default" when the input names none. ClusterNotFoundException otherwise.
tl::expected<Cluster*, AwsError> find_cluster(Core& core, const Json& input);
/// By family (its latest ACTIVE revision), family:revision or ARN; any status with a revision.
/// ClientException with the text `if_unknown` otherwise.
tl::expected<TaskDefinition*, AwsError> find_task_definition(Core& core, const std::string& name,
                                                             const char* if_unknown);
/// For new use: must exist and be ACTIVE.
tl::expected<TaskDefinition*, AwsError> usable_task_definition(Core& core, const std::string& name);
Service* find_service(Core& core, const Cluster& cluster, std::string_view name_or_arn);
bool wants(const Json& input, std::string_view field);  ///< include=[field]

Json render_service(const Core& core, const Service& service);
Json render_task(const Core& core, const Task& task, bool with_tags);
Json render_cluster(const Core& core, const Cluster& cluster, const Json& input);
Json render_tags(const Tags& tags);
tl::expected<Tags, AwsError> read_tags(const Json& input);
Json failure(std::string arn, std::string reason);

/// Whether the network configuration fits the definition's network mode, as Create- and
/// UpdateService and RunTask check it.
tl::expected<void, AwsError> check_network(const TaskDefinition& definition, const Json& network);

}  // namespace coalmine::mock::ecs
