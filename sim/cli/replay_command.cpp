#include "sim/cli/replay_command.h"

#include <algorithm>
#include <filesystem>
#include <ostream>

#include "sim/cli/report_option.h"
#include "sim/cli/verb.h"
#include "sim/rollout/importers/importers.h"
#include "sim/rollout/journal_file.h"
#include "sim/scenario/replay.h"

namespace coalmine::cli {
namespace {

namespace fs = std::filesystem;

int complain_to(std::ostream& err, const Error& error) {
  err << to_string(error) << "\n";
  return exit_code(error);
}

bool is_journal_name(const fs::path& path) {
  return path.extension() == ".jsonl" || path.extension() == ".journal";
}

/// Files as they are; of folders what is named as a journal, sorted.
Result<std::vector<std::string>> find_journals(const std::vector<std::string>& paths) {
  std::vector<std::string> files;
  for (const std::string& path : paths) {
    std::error_code failed;
    if (!fs::exists(path, failed)) return error("{}: no such file or folder", path);
    if (!fs::is_directory(path, failed)) {
      files.push_back(path);
      continue;
    }
    std::vector<std::string> found;
    for (auto it = fs::directory_iterator(path, failed); !failed && it != fs::directory_iterator();
         it.increment(failed)) {
      if (is_journal_name(it->path())) found.push_back(it->path().string());
    }
    if (failed) return error(ErrorKind::Environment, "{}: {}", path, failed.message());
    if (found.empty()) return error("{}: no *.jsonl or *.journal in this folder", path);
    std::sort(found.begin(), found.end());
    files.insert(files.end(), found.begin(), found.end());
  }
  return files;
}

Result<scenario::ReplayedRun> replay(const std::string& file) {
  TRY(const std::string text, rollout::read_journal_file(file));
  return scenario::replay_run(text, file);
}

void tell_whole(const scenario::ReplayedRun& run, bool color, std::ostream& out) {
  out << scenario::render_timeline(*run.result.record) << "\n"
      << scenario::render_checks(run.result, color) << "\n"
      << scenario::render_evidence(run) << "\n";
}

}  // namespace

int replay_journals(const ReplayArguments& arguments, std::ostream& out, std::ostream& err) {
  const auto reports = parse_reports(arguments.reports);
  if (!reports) return complain_to(err, reports.error());
  const auto files = find_journals(arguments.paths);
  if (!files) return complain_to(err, files.error());
  int code = kPassed;
  std::vector<scenario::ReplayedRun> runs;
  for (const std::string& file : *files) {
    auto run = replay(file);
    if (!run) {
      code = std::max(code, complain_to(err, run.error()));
      continue;
    }
    for (const Error& notice : run->notices) err << importers::render_warning(notice) << "\n";
    if (run->disagreement) code = std::max(code, complain_to(err, *run->disagreement));
    runs.push_back(*std::move(run));
  }
  std::vector<scenario::RunResult> results;
  for (const auto& run : runs) {
    // What was computed up to a line that disagrees is no result of the run.
    if (!run.disagreement) results.push_back(run.result);
  }
  if (files->size() == 1 && results.size() == 1) tell_whole(runs.front(), arguments.color, out);
  if (!results.empty()) {
    out << scenario::render_table(results, arguments.color) << "\n";
    std::size_t lines = 0;
    for (const auto& run : runs) lines += run.disagreement ? 0 : run.lines;
    out << fmt::format("{} of {} journals agree with themselves, {} lines\n", results.size(),
                       files->size(), lines);
  }
  for (const ReportFile& report : *reports) {
    if (const Status written = write_report(report, results); !written) {
      return complain_to(err, written.error());
    }
  }
  return code;
}

}  // namespace coalmine::cli
