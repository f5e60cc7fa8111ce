#pragma once

#include <string>

#include "sim/core/json.h"
#include "sim/core/result.h"
#include "sim/traffic/route_table.h"

namespace coalmine::traffic {

/// A target and its policies, of a route table's JSON; `path` is its place there, for errors.
Result<Target> target_from_json(const Json& json, const std::string& path);
Json target_to_json(const Target& target);

Result<Timeouts> read_timeouts(const Json& json, const std::string& path);
Json timeouts_to_json(const Timeouts& timeouts);

}  // namespace coalmine::traffic
