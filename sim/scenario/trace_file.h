#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sim/engine/world/world.h"
#include "sim/scenario/format.h"

namespace coalmine::scenario {

inline constexpr std::size_t kMaxTracePoints = 100'000;

/// Lines "SECONDS,REQUESTS_PER_SECOND", the first at 0, rising; empty lines, those that begin with
/// '#' and a heading are passed over. False: every problem was reported with its place in `file`.
bool parse_trace(std::string_view text, const std::string& file, Reader& reader,
                 std::vector<world::TracePoint>& points);

/// Reads the file beside the scenario; problems that are not in it are reported at `at`.
bool read_trace(const std::string& scenario_file, const std::string& trace, const Place& at,
                Reader& reader, std::vector<world::TracePoint>& points);

}  // namespace coalmine::scenario
