#pragma once

#include <map>
#include <memory>
#include <string>

#include "sim/rollout/aws/alb_traffic.h"
#include "sim/rollout/aws/appmesh_traffic.h"
#include "sim/rollout/aws/cloudwatch_metrics.h"
#include "sim/rollout/aws/ecs_tasks.h"

namespace coalmine::rollout {

/// Where a rollout acts. The names are those that the local lab provisions.
struct TargetSettings {
  bool aws = false;                 ///< real AWS instead of the local mock
  std::string traffic = "appmesh";  ///< or "alb"
  std::string endpoint;             ///< empty: AWS_ENDPOINT_URL, else the mock's or AWS's own
  std::string region;               ///< empty: as the AWS CLI finds it; locally us-east-1
  std::string mesh = "coalmine", router = "app-router", route = "app-route";
  std::string gateway = "app-gateway";
  std::string load_balancer = "coalmine";
  int listener_port = 80;
  std::string rule_arn;  ///< empty: the listener's default action
  std::string stable_target = "app-v1", canary_target = "app-v2";  ///< nodes or target groups
  std::string cluster = "coalmine";                                ///< of the ECS services
  std::string stable_service, canary_service;                      ///< empty: named as the targets
  /// Of experiments: a node or target group, and its service; empty: named as stable's, with
  /// "-baseline" behind.
  std::string baseline_target, baseline_service;
  Duration metric_period{};  ///< zero: 10s of the mock's App Mesh, else 60s
  Duration metric_delay{};   ///< zero: 5s locally, 60s on AWS
};

/// Where the calls go: as the settings say, else AWS_ENDPOINT_URL, else the mock's; empty for
/// AWS's own.
std::string endpoint_of(const TargetSettings& settings, const aws::Environment& environment);

inline constexpr const char* kLocalEndpoint = "http://127.0.0.1:4566";

std::map<std::string, std::string> to_map(const TargetSettings& settings);
/// Unknown keys are ignored, missing ones keep their default.
TargetSettings settings_from_map(const std::map<std::string, std::string>& map);

/// Client, traffic adapter and metrics source of one target, wired together.
class RolloutTarget {
 public:
  /// Finds credentials, region and endpoint; sends nothing. Errors: no credentials or region
  /// (Environment), an unknown kind of traffic or a metric period that CloudWatch lacks (Invalid).
  static Result<std::unique_ptr<RolloutTarget>> open(const TargetSettings& settings,
                                                     const Plan& plan, Clock& clock,
                                                     const aws::Environment& environment);

  AwsTraffic& traffic() { return *traffic_; }
  MetricsSource& metrics() { return *metrics_; }
  TaskAdapter& tasks() { return *tasks_; }
  aws::Client& client() { return *client_; }
  /// As given, with the endpoint and region that were found: for whoever goes on elsewhere.
  const TargetSettings& settings() const { return settings_; }
  /// Endpoint, region and where the credentials' calls go, for people.
  const std::string& description() const { return description_; }

 private:
  RolloutTarget() = default;
  TargetSettings settings_;
  std::unique_ptr<aws::Transport> transport_;
  std::unique_ptr<aws::Client> client_;
  std::unique_ptr<AwsTraffic> traffic_;
  std::unique_ptr<MetricsSource> metrics_;
  std::unique_ptr<TaskAdapter> tasks_;
  std::string description_;
};

}  // namespace coalmine::rollout
