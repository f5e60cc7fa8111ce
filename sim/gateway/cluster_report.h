// What is known and counted of every target's instances, as text and JSON.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/core/json.h"
#include "sim/gateway/gateway.h"

namespace coalmine::gateway {

using Values = std::vector<std::pair<std::string, std::uint64_t>>;

/// As Envoy's admin writes it: CLUSTER::ADDRESS::rq_total::7, health flags included. A cluster is
/// a target's name. Counts that Envoy has go by its names; the rest are ours.
std::string clusters_text(Gateway& gateway);
/// The same per route, target and instance.
Json clusters_json(Gateway& gateway);

/// For /stats: cluster.TARGET.membership_*, .outlier_detection.*, .instance.ADDRESS.*
void add_instance_values(const GatewayStats& stats, Values& out);
/// For /metrics: coalmine_instance_*
void add_instance_families(const GatewayStats& stats, std::string& out);

/// A label's value in Prometheus text.
std::string escaped(std::string_view text);
std::uint64_t microseconds(Duration d);

}  // namespace coalmine::gateway
