#pragma once

#include <string>
#include <vector>

#include "sim/aws/client.h"

namespace coalmine::lab {

struct LabTask {
  std::string arn;
  std::string address;
};

/// The running tasks of an ECS service, by ARN.
Result<std::vector<LabTask>> running_tasks(aws::Client& client, const std::string& cluster,
                                           const std::string& service);

/// Why tasks of the service have stopped, newest last: what ECS says, the exit code, and the last
/// lines that the containers printed into `log_group`.
Result<std::vector<std::string>> reasons_of_stopped_tasks(aws::Client& client,
                                                          const std::string& cluster,
                                                          const std::string& service,
                                                          const std::string& log_group);

}  // namespace coalmine::lab
