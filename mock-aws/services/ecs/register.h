#pragma once

#include <optional>
#include <string>

#include "mock-aws/protocol/service.h"

namespace coalmine::mock::ecs {

/// Whether Fargate runs tasks of this size (CPU units, MiB), probed against AWS in 2026-08.
bool is_fargate_size(int cpu, int memory);

/// "512", "1 vCPU", ".5 vcpu" in CPU units; "1024", "1 GB", "0.5GB" in MiB; nullopt: neither.
std::optional<int> parse_cpu(const std::string& text);
std::optional<int> parse_memory(const std::string& text);

/// Checks a RegisterTaskDefinition input and returns the definition's body as ECS echoes it:
/// with defaults, compatibilities and requiresAttributes; without ARN, revision and dates.
Reply definition_body(const Json& input);

}  // namespace coalmine::mock::ecs
