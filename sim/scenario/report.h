#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/core/json.h"
#include "sim/scenario/scenario.h"
#include "sim/scenario/verdict.h"

namespace coalmine::scenario {

/// One scenario played once.
struct RunResult {
  const Scenario* scenario = nullptr;
  std::uint64_t seed = 0;
  std::optional<world::Record> record;  ///< absent: the world could not be played
  std::optional<Error> fault;           ///< why
  std::vector<CheckResult> checks;

  bool passed() const;
};

enum class ReportKind { Junit, Json, Markdown, Github };
std::optional<ReportKind> report_kind(std::string_view name);  ///< "junit", "json", …

/// The story of a run, one line per event: see style.md's golden tests for the shape.
std::string render_timeline(const world::Record& record);

/// A table of all runs, then what failed and why. `color`: with ANSI colours.
std::string render_table(const std::vector<RunResult>& results, bool color);
/// Checks of one run, one line each.
std::string render_checks(const RunResult& result, bool color);

/// {"version":1,"scenarios":[…],"passed":N,"failed":N}
Json report_json(const std::vector<RunResult>& results);
std::string report_junit(const std::vector<RunResult>& results);
std::string report_markdown(const std::vector<RunResult>& results);
/// One ::error line per failed check.
std::string report_github(const std::vector<RunResult>& results);
std::string render_report(ReportKind kind, const std::vector<RunResult>& results);

}  // namespace coalmine::scenario
