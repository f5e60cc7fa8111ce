#include "sim/cli/report_option.h"

#include <fstream>

namespace coalmine::cli {

Result<std::vector<ReportFile>> parse_reports(const std::vector<std::string>& texts) {
  std::vector<ReportFile> reports;
  for (const std::string& text : texts) {
    const auto equals = text.find('=');
    const auto kind = scenario::report_kind(text.substr(0, equals));
    if (equals == std::string::npos || equals + 1 == text.size() || !kind) {
      return error("report is \"{}\"; write KIND=FILE, KIND being junit, json, markdown or github",
                   text);
    }
    reports.push_back({*kind, text.substr(equals + 1)});
  }
  return reports;
}

Status write_report(const ReportFile& report, const std::vector<scenario::RunResult>& results) {
  std::ofstream out(report.path, std::ios::binary);
  out << scenario::render_report(report.kind, results);
  out.close();
  if (!out) return error(ErrorKind::Environment, "{}: the report cannot be written", report.path);
  return {};
}

}  // namespace coalmine::cli
