#include "sim/scenario/report.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "sim/core/markup.h"
#include "sim/engine/world/recorder.h"

namespace coalmine::scenario {
namespace {

using world::Record;

constexpr std::size_t kMaxSegmentLines = 8;

std::string brief(Duration d) {
  return to_string(std::chrono::round<std::chrono::milliseconds>(d));
}

std::string thousands(std::uint64_t n) {
  std::string digits = fmt::format("{}", n);
  for (std::size_t i = digits.size(); i > 3; i -= 3) digits.insert(i - 3, ",");
  return digits;
}

std::string paint(std::string_view text, bool good, bool color) {
  if (!color) return std::string(text);
  return fmt::format("\x1b[{}m{}\x1b[0m", good ? "32" : "31;1", text);
}

/// Runs of one scenario, one behind the other in the results.
struct Group {
  const Scenario* scenario = nullptr;
  std::vector<const RunResult*> runs;
  std::size_t passed() const {
    return static_cast<std::size_t>(
        std::count_if(runs.begin(), runs.end(), [](const RunResult* r) { return r->passed(); }));
  }
};

std::vector<Group> group(const std::vector<RunResult>& results) {
  std::vector<Group> groups;
  for (const RunResult& result : results) {
    if (groups.empty() || groups.back().scenario != result.scenario) {
      groups.push_back({result.scenario, {}});
    }
    groups.back().runs.push_back(&result);
  }
  return groups;
}

std::string outcome_text(const RunResult& run) {
  return run.record ? std::string(to_string(run.record->outcome)) : "could not run";
}

std::vector<std::string> table_row(const Group& one) {
  const RunResult& run = *one.runs.front();
  const std::size_t runs = one.runs.size();
  std::string outcome = outcome_text(run), canary = "-", errors = "-", time = "-";
  if (runs > 1) {
    std::map<std::string, int> outcomes;
    for (const RunResult* r : one.runs) ++outcomes[outcome_text(*r)];
    outcome.clear();
    for (const auto& [name, n] : outcomes) {
      outcome += fmt::format("{}{} {}", outcome.empty() ? "" : ", ", n, name);
    }
  } else if (run.record) {
    const world::VersionRecord& v = canary_of(run.scenario->spec, *run.record);
    canary = thousands(v.requests);
    errors = thousands(v.failed());
    time = brief(run.record->duration);
  }
  const std::string verdict = one.passed() == runs ? "passed" : "FAILED";
  return {one.scenario->name,
          outcome,
          time,
          canary,
          errors,
          runs > 1 ? fmt::format("{} ({} of {} seeds)", verdict, one.passed(), runs) : verdict};
}

std::string trimmed(std::string line) {
  line.erase(line.find_last_not_of(' ') + 1);
  return line;
}

Json seconds_or_null(const std::optional<Duration>& d) {
  return d ? Json(to_seconds(*d)) : Json(nullptr);
}

Json value_json(const rollout::Value& value) {
  return std::visit([](const auto& v) { return Json(v); }, value);
}

Json metrics_json(const Scenario& scenario, const Record& record) {
  const world::VersionRecord& canary = canary_of(scenario.spec, record);
  Json json = {
      {"requests", total_requests(record)},
      {"canary_requests", canary.requests},
      {"failed_requests", total_failed(record)},
      {"canary_failed_requests", canary.failed()},
      {"dropped_requests", record.dropped},
      {"blast_radius",
       {{"requests", canary.requests}, {"errors", canary.failed()}, {"users", record.blast_users}}},
      {"time_to_detect_s", seconds_or_null(time_to_detect(record))},
      {"time_to_rollback_s", seconds_or_null(time_to_rollback(record))},
      {"time_to_promote_s", seconds_or_null(record.promoted_at)},
      {"max_canary_share", record.max_canary_share},
      {"final_weights", record.final_weights},
      {"versions", Json::object()},
      {"steps", Json::array()}};
  for (const world::VersionRecord& version : record.versions) {
    Json endings = Json::object();
    for (std::size_t e = 0; e < world::kEndings; ++e) {
      if (version.endings[e] > 0) {
        endings[std::string(to_string(static_cast<world::Ending>(e)))] = version.endings[e];
      }
    }
    json["versions"][version.name] = {{"requests", version.requests},
                                      {"failed", version.failed()},
                                      {"endings", endings},
                                      {"p50_s", to_seconds(version.latency.quantile(0.5))},
                                      {"p99_s", to_seconds(version.latency.quantile(0.99))}};
    if (version.retries > 0) json["versions"][version.name]["retries"] = version.retries;
    if (version.beside > 0) json["versions"][version.name]["own_requests"] = version.beside;
    for (std::size_t i = 0; i < version.segments.size(); ++i) {
      json["versions"][version.name]["segments"][scenario.spec.traffic.segments[i].name] = {
          {"requests", version.segments[i].requests}, {"failed", version.segments[i].failed}};
    }
  }
  for (std::size_t i = 0; i < canary.segments.size(); ++i) {
    json["blast_radius"]["segments"][scenario.spec.traffic.segments[i].name] = {
        {"requests", canary.segments[i].requests},
        {"errors", canary.segments[i].failed},
        {"users", users_in(canary, i) ? Json(*users_in(canary, i)) : Json(nullptr)}};
  }
  if (record.compared > 0) {
    json["answers"] = {{"compared", record.compared}, {"differing", record.differing}};
  }
  for (const StepShare& step : step_shares(scenario.spec, record)) {
    json["steps"].push_back({{"begin_s", to_seconds(step.begin)},
                             {"end_s", to_seconds(step.end)},
                             {"weight", step.weight},
                             {"requests", step.requests},
                             {"canary_requests", step.canary_requests}});
  }
  return json;
}

/// Metrics know nothing of these.
void leave_out_unknown(Json& metrics) {
  metrics["dropped_requests"] = nullptr;
  metrics["blast_radius"]["users"] = nullptr;
  for (auto& [name, version] : metrics["versions"].items()) {
    version.erase("p50_s");
    version.erase("p99_s");
  }
}

Json run_json(const RunResult& run) {
  Json json = {
      {"name", run.scenario->name}, {"file", run.scenario->file},   {"seed", run.seed},
      {"mode", "virtual"},          {"outcome", outcome_text(run)}, {"passed", run.passed()},
      {"duration_s", 0.0},          {"checks", Json::array()},      {"metrics", Json::object()},
      {"timeline", Json::array()}};
  for (const CheckResult& check : run.checks) {
    json["checks"].push_back({{"name", check.name},
                              {"passed", check.passed},
                              {"expected", check.expected},
                              {"actual", check.actual}});
  }
  if (run.fault) json["error"] = run.fault->message;
  if (!run.record) return json;
  json["mode"] = run.record->mode;
  json["fidelity"] = run.record->fidelity;
  if (!run.record->fidelity_reason.empty()) {
    json["fidelity_reason"] = run.record->fidelity_reason;
  }
  json["reason"] = run.record->reason;
  json["duration_s"] = to_seconds(run.record->duration);
  json["metrics"] = metrics_json(*run.scenario, *run.record);
  if (run.record->fidelity == "metrics") leave_out_unknown(json["metrics"]);
  for (const rollout::Event& event : run.record->timeline) {
    Json entry = {{"t_s", to_seconds(event.t - run.record->start)}, {"event", event.name}};
    for (const auto& [key, value] : event.fields) entry[key] = value_json(value);
    json["timeline"].push_back(std::move(entry));
  }
  return json;
}

/// The canary's blast radius by segment, the hardest hit first; empty where none is named.
std::string segment_lines(const Scenario& scenario, const Record& record) {
  const world::VersionRecord& canary = canary_of(scenario.spec, record);
  std::vector<std::size_t> order(canary.segments.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto share = [&canary](std::size_t i) {
    const world::Tally& tally = canary.segments[i];
    return tally.requests == 0
               ? 0
               : static_cast<double>(tally.failed) / static_cast<double>(tally.requests);
  };
  std::stable_sort(order.begin(), order.end(),
                   [&share](std::size_t a, std::size_t b) { return share(a) > share(b); });
  std::string text;
  for (std::size_t i = 0; i < std::min(order.size(), kMaxSegmentLines); ++i) {
    const world::Tally& tally = canary.segments[order[i]];
    const auto users = users_in(canary, order[i]);
    text += fmt::format("  {:<8}  {}: {} of {} requests to {} failed{}\n", i == 0 ? "segment" : "",
                        scenario.spec.traffic.segments[order[i]].name, thousands(tally.failed),
                        thousands(tally.requests), canary.name,
                        users ? fmt::format(", from {} users", thousands(*users)) : "");
  }
  if (order.size() > kMaxSegmentLines) {
    text += fmt::format("  {:<8}  {} more that failed less often: see --report json=FILE\n", "",
                        order.size() - kMaxSegmentLines);
  }
  return text;
}

/// What users did not hear of, because the gateway tried again; empty where it never did.
std::string retry_lines(const Record& record) {
  std::string text;
  for (const world::VersionRecord& version : record.versions) {
    if (version.retries == 0) continue;
    text +=
        fmt::format("  {:<8}  {}: {} failed attempts were made again; users saw {} of {} fail\n",
                    text.empty() ? "retries" : "", version.name, thousands(version.retries),
                    thousands(version.failed()), thousands(version.requests));
  }
  return text;
}

/// The rollout's own load and copies; empty without any.
std::string own_lines(const Record& record) {
  std::string text;
  for (const world::VersionRecord& version : record.versions) {
    if (version.beside == 0) continue;
    text += fmt::format("  {:<8}  {}: {} requests that no user waited for\n",
                        text.empty() ? "own" : "", version.name, thousands(version.beside));
  }
  return text;
}

std::size_t count_passed(const std::vector<RunResult>& results) {
  return static_cast<std::size_t>(
      std::count_if(results.begin(), results.end(), [](const RunResult& r) { return r.passed(); }));
}

/// GitHub reads workflow commands line by line; %, CR and LF must be encoded.
std::string github_escape(std::string_view text, bool property) {
  std::string out;
  for (const char c : text) {
    if (c == '%' || c == '\r' || c == '\n' || (property && (c == ':' || c == ','))) {
      out += fmt::format("%{:02X}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

bool RunResult::passed() const {
  return record && std::all_of(checks.begin(), checks.end(),
                               [](const CheckResult& check) { return check.passed; });
}

std::optional<ReportKind> report_kind(std::string_view name) {
  if (name == "junit") return ReportKind::Junit;
  if (name == "json") return ReportKind::Json;
  if (name == "markdown") return ReportKind::Markdown;
  if (name == "github") return ReportKind::Github;
  return std::nullopt;
}

std::string render_timeline(const Record& record) {
  std::string text;
  for (const rollout::Event& event : record.timeline) {
    const std::string line = world::render_line(event, record.start);
    if (!line.empty()) text += trimmed(line) + "\n";
  }
  return text;
}

std::string render_checks(const RunResult& result, bool color) {
  std::string text;
  for (const CheckResult& check : result.checks) {
    text += fmt::format("  {}  {:<17}  ",
                        paint(check.passed ? "passed" : "FAILED", check.passed, color), check.name);
    text += check.passed ? check.actual
                         : fmt::format("expected {}, got {}", check.expected, check.actual);
    text += "\n";
  }
  if (result.fault) text += "  " + to_string(*result.fault) + "\n";
  if (result.record) text += segment_lines(*result.scenario, *result.record);
  if (result.record) text += retry_lines(*result.record);
  if (result.record) text += own_lines(*result.record);
  if (result.record && !result.record->fidelity_reason.empty()) {
    text += fmt::format("  fidelity  {}: {}\n", result.record->fidelity,
                        result.record->fidelity_reason);
  }
  return text;
}

std::string render_table(const std::vector<RunResult>& results, bool color) {
  const std::vector<Group> groups = group(results);
  std::vector<std::vector<std::string>> rows = {
      {"scenario", "outcome", "took", "to canary", "failed", "verdict"}};
  for (const Group& one : groups) rows.push_back(table_row(one));
  std::vector<std::size_t> widths(rows[0].size());
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    std::string line;
    for (std::size_t i = 0; i + 1 < rows[r].size(); ++i) {
      const bool number = i >= 3;
      line += number ? fmt::format("{:>{}}  ", rows[r][i], widths[i])
                     : fmt::format("{:<{}}  ", rows[r][i], widths[i]);
    }
    const std::string& last = rows[r].back();
    line += r == 0 ? last : paint(last, last.rfind("passed", 0) == 0, color);
    text += trimmed(std::move(line)) + "\n";
  }
  for (const RunResult& result : results) {
    if (result.passed()) continue;
    text += fmt::format("\n{} (seed {})\n", result.scenario->name, result.seed);
    for (const CheckResult& check : result.checks) {
      if (check.passed) continue;
      text +=
          fmt::format("  {}:{}:{}: {}: expected {}, got {}\n", check.place.file, check.place.line,
                      check.place.column, check.name, check.expected, check.actual);
    }
    if (result.fault) text += "  " + to_string(*result.fault) + "\n";
  }
  const std::size_t passed = count_passed(results);
  return text + fmt::format("\n{} passed, {} failed\n", passed, results.size() - passed);
}

Json report_json(const std::vector<RunResult>& results) {
  Json json = {{"version", 1}, {"scenarios", Json::array()}};
  for (const RunResult& result : results) json["scenarios"].push_back(run_json(result));
  const std::size_t passed = count_passed(results);
  json["passed"] = passed;
  json["failed"] = results.size() - passed;
  return json;
}

std::string report_junit(const std::vector<RunResult>& results) {
  std::string suites;
  std::size_t all = 0, all_failed = 0;
  for (const RunResult& run : results) {
    std::string cases;
    std::size_t failed = 0;
    for (const CheckResult& check : run.checks) {
      cases += fmt::format("    <testcase classname=\"{}\" name=\"{}\" file=\"{}\" line=\"{}\"",
                           escape_markup(run.scenario->name), escape_markup(check.name),
                           escape_markup(check.place.file), check.place.line);
      if (check.passed) {
        cases += "/>\n";
        continue;
      }
      ++failed;
      cases += fmt::format(">\n      <failure message=\"expected {}, got {}\"/>\n    </testcase>\n",
                           escape_markup(check.expected), escape_markup(check.actual));
    }
    std::size_t count = run.checks.size();
    if (run.fault) {
      ++count;
      ++failed;
      cases += fmt::format(
          "    <testcase classname=\"{0}\" name=\"run\">\n      <error message=\"{1}\"/>\n"
          "    </testcase>\n",
          escape_markup(run.scenario->name), escape_markup(run.fault->message));
    }
    suites += fmt::format(
        "  <testsuite name=\"{} seed {}\" tests=\"{}\" failures=\"{}\" time=\"{:.3f}\">\n{}"
        "  </testsuite>\n",
        escape_markup(run.scenario->name), run.seed, count, failed,
        run.record ? to_seconds(run.record->duration) : 0.0, cases);
    all += count;
    all_failed += failed;
  }
  return fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"coalmine\" tests=\"{}\" "
      "failures=\"{}\">\n{}</testsuites>\n",
      all, all_failed, suites);
}

std::string report_markdown(const std::vector<RunResult>& results) {
  std::string text =
      "| scenario | outcome | took | to canary | failed | verdict |\n"
      "|---|---|---|---:|---:|---|\n";
  for (const Group& one : group(results)) {
    text += fmt::format("| {} |\n", fmt::join(table_row(one), " | "));
  }
  for (const RunResult& result : results) {
    if (result.passed()) continue;
    text += fmt::format("\n**{}** (seed {})\n\n", result.scenario->name, result.seed);
    for (const CheckResult& check : result.checks) {
      if (check.passed) continue;
      text +=
          fmt::format("- `{}`: expected {}, got {}\n", check.name, check.expected, check.actual);
    }
    if (result.fault) text += fmt::format("- {}\n", result.fault->message);
  }
  const std::size_t passed = count_passed(results);
  return text + fmt::format("\n{} passed, {} failed\n", passed, results.size() - passed);
}

std::string report_github(const std::vector<RunResult>& results) {
  std::string text;
  for (const RunResult& run : results) {
    const auto line = [&](const Place& place, std::string_view title, const std::string& message) {
      text += fmt::format("::error file={},line={},col={},title={}::{}\n",
                          github_escape(place.file, true), place.line, place.column,
                          github_escape(title, true), github_escape(message, false));
    };
    for (const CheckResult& check : run.checks) {
      if (check.passed) continue;
      line(check.place, run.scenario->name + " " + check.name,
           fmt::format("expected {}, got {} (seed {})", check.expected, check.actual, run.seed));
    }
    if (run.fault) line(run.scenario->place, run.scenario->name, run.fault->message);
  }
  return text;
}

std::string render_report(ReportKind kind, const std::vector<RunResult>& results) {
  switch (kind) {
    case ReportKind::Junit:
      return report_junit(results);
    case ReportKind::Json:
      return dump_json(report_json(results), 1) + "\n";
    case ReportKind::Markdown:
      return report_markdown(results);
    case ReportKind::Github:
      return report_github(results);
  }
  return {};
}

}  // namespace coalmine::scenario
