#pragma once

#include <string>
#include <vector>

#include "sim/scenario/report.h"

namespace coalmine::cli {

/// What `--report KIND=FILE` asks for.
struct ReportFile {
  scenario::ReportKind kind;
  std::string path;
};

Result<std::vector<ReportFile>> parse_reports(const std::vector<std::string>& texts);
/// Error (Environment): the file cannot be written.
Status write_report(const ReportFile& report, const std::vector<scenario::RunResult>& results);

}  // namespace coalmine::cli
