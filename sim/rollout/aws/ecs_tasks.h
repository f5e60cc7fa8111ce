#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "sim/aws/client.h"
#include "sim/rollout/tasks.h"

namespace coalmine::rollout {

/// The ECS services of a plan's versions.
struct EcsServices {
  std::string cluster = "coalmine";
  std::string stable = "v1", canary = "v2";                          ///< in the plan
  std::string stable_service = "app-v1", canary_service = "app-v2";  ///< in the cluster
  /// Variables of a container that belong to its build and move with the image. On AWS none: what
  /// the environment says is the service's.
  std::vector<std::string> build_variables = {};
  /// An experiment's fresh copy of stable; empty: the plan has no experiments.
  std::string baseline = {}, baseline_service = {};
};

/// Tasks as ECS services: DescribeServices and UpdateService's desiredCount. A service's tasks
/// take requests when they run and, where it has target groups, are healthy in them. An image swap
/// registers a new revision of stable's family with the canary's image in the container of the same
/// name (or in the one that is left over on both sides) and updates the service; everything else in
/// the definition stays. It is done when one deployment is left and runs as many tasks as wanted,
/// as `aws ecs wait services-stable` has it. The new revision carries a docker label with the
/// canary's task definition, so that it is known again although image tags may move.
///
/// A baseline is a service of its own that runs stable's images; one with others is an error, since
/// a comparison with it would blame the canary for what it is not.
class EcsTasks : public TaskAdapter {
 public:
  EcsTasks(aws::Client& client, EcsServices services)
      : client_(client), services_(std::move(services)) {}

  Result<Tasks> read() override;
  Result<Tasks> scale(const std::string& version, int tasks) override;
  Result<Tasks> swap_image(const std::string& build) override;

 private:
  Result<TaskCount> count_of(const Json& service);
  Result<TaskCount> service_in(const Json& answer, const std::string& name);
  Result<std::vector<std::string>> images(const std::string& build);
  Status check_baseline(const TaskCount& stable, const TaskCount& baseline);
  Result<int> healthy_targets(const Json& service, int running);
  Result<Json> definition(const std::string& arn);
  Status update(const std::string& service, Json change);

  aws::Client& client_;
  EcsServices services_;
  std::map<std::string, std::string> images_of_;  ///< by definition of stable: the canary's
  std::set<std::pair<std::string, std::string>> same_images_;  ///< definitions that have the same
};

/// Stable's definition with the canary's images, as RegisterTaskDefinition takes it. Error
/// (Failed): no container of stable can be told to be the canary's.
Result<Json> with_images_of(const Json& stable, const Json& canary,
                            const std::vector<std::string>& build_variables);

}  // namespace coalmine::rollout
