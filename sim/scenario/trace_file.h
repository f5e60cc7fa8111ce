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

/// Where the trace that a scenario names lies: beside the scenario.
std::string trace_path(const std::string& scenario_file, const std::string& trace);
/// Reads the file; that it cannot be read is reported at `at`.
bool read_trace(const std::string& path, const Place& at, Reader& reader, std::string& text);

}  // namespace coalmine::scenario
