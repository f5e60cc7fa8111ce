#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "mock-aws/services/task_actions.h"
#include "sim/core/result.h"

namespace coalmine::mock {

/// `--image PATTERN=COMMAND`
struct ImageMapping {
  std::string pattern;  ///< glob over the image's name, with or without registry host and tag
  std::string command;  ///< for /bin/sh -c, with {host}, {port}, {version} filled in
};

/// Splits at the first '='. Errors: no '=', or one side is empty.
Result<ImageMapping> parse_image_mapping(std::string_view text);

/// Which local programs stand for which images.
struct ImageCommands {
  std::string coalmine;    ///< path of this program, for Envoy images
  std::string sample_app;  ///< path, for images whose name ends in v<number>
  std::string control;     ///< URL of the mock, for gateways; also AWS_ENDPOINT_URL of children
  std::vector<ImageMapping> mappings;  ///< the first match wins, before the defaults
  Duration report_interval = std::chrono::seconds{1};  ///< of gateways' counts, real time
};

/// The processes that make up one container: all run, and the first to exit ends it.
struct ContainerPlan {
  std::vector<std::vector<std::string>> processes;  ///< argument vectors
  std::map<std::string, std::string> environment;   ///< beside what the parent hands down
};

/// What to run for a container: a mapping, else the gateway for Envoy images, else the sample
/// app for v<number>, one process per container port. The error is AWS's reason:
/// CannotPullContainerError for an image that is nowhere, CannotStartContainerError, saying how
/// to map it, for one that only the mock's ECR has.
Result<ContainerPlan> plan_container(const ContainerStart& start, const ImageCommands& commands);

/// `text` with localhost and 127.0.0.1, where they stand for a host, replaced by `address`: in a
/// container they mean the task itself.
std::string with_task_address(std::string_view text, std::string_view address);

}  // namespace coalmine::mock
