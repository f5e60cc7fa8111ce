#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "sim/core/result.h"
#include "sim/scenario/runs.h"

namespace coalmine::cli {

/// Value of an environment variable; nullopt: not set.
using Environment = std::function<std::optional<std::string>(std::string_view)>;
Environment process_environment();

/// What --shard says: "I/N"; or "auto/N" and "auto", where the index (and for "auto" the count)
/// come from the variables of whatever runs the parts:
///   Kubernetes Indexed Job   JOB_COMPLETION_INDEX (from 0)
///   AWS Batch array job      AWS_BATCH_JOB_ARRAY_INDEX (from 0), AWS_BATCH_JOB_ARRAY_SIZE
///   GitLab CI                CI_NODE_INDEX (from 1), CI_NODE_TOTAL
///   CircleCI                 CIRCLE_NODE_INDEX (from 0), CIRCLE_NODE_TOTAL
///   Buildkite                BUILDKITE_PARALLEL_JOB (from 0), BUILDKITE_PARALLEL_JOB_COUNT
/// Empty: everything, in one part.
Result<scenario::Shard> read_shard_option(std::string_view text, const Environment& environment);

}  // namespace coalmine::cli
