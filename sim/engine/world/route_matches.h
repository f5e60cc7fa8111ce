#pragma once

#include <vector>

#include "sim/engine/world/world.h"
#include "sim/rollout/matches.h"
#include "sim/traffic/route_table.h"

namespace coalmine::world {

/// The conditions as a route table has them.
traffic::RouteMatch to_route_match(const rollout::MatchConditions& conditions);

/// Which segments' requests match, in the order of Traffic::segments, the unnamed rest last.
/// Matches that the plan's kind of traffic cannot express match nobody.
std::vector<bool> matched_segments(const Spec& spec,
                                   const std::vector<rollout::RouteMatch>& any_of);
/// Share of the traffic that matches.
double matched_share(const Spec& spec, const std::vector<rollout::RouteMatch>& any_of);

/// Whether the requests of a plan's own load match.
bool matches_own_load(const std::vector<rollout::RouteMatch>& any_of, rollout::TrafficApi api);

/// Says in the plan's routes how the traffic's segments are told from other requests.
void fill_in_segments(const Traffic& traffic, rollout::Plan& plan);

/// Routes of the plan that no request of the scenario would take, each with what is missing: a
/// rollout on them would judge nobody.
std::vector<Error> untravelled_routes(const Spec& spec, const rollout::Plan& plan);

}  // namespace coalmine::world
