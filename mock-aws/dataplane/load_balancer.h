#pragma once

#include <cstdint>
#include <string>

#include "mock-aws/services/elbv2/elbv2.h"
#include "sim/core/result.h"
#include "sim/traffic/route_table.h"

namespace coalmine::mock {

/// The table that the load balancer called `name` (or with this ARN) obeys, numbered `version`;
/// compile anew when Elbv2::revision() rises.
///
/// Rules come in ascending priority, the default rule last. A forward's targets are its groups
/// with their weights; instances are the registered targets that are not draining, unhealthy ones
/// marked, and a group of only unhealthy ones is used whole (ALB fails open). A group without
/// targets keeps its weight and says so in `unavailable`: ALB answers 503 and does not spill over.
/// The idle timeout bounds each request, for a table has no timeout of the silence alone.
/// Stickiness to targets and slow start have no effect.
/// Error: there is no such load balancer.
Result<traffic::RouteTable> compile_load_balancer(const Elbv2& elb, const std::string& name,
                                                  std::uint64_t version);

}  // namespace coalmine::mock
