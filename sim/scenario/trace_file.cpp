#include "sim/scenario/trace_file.h"

#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "sim/scenario/scenario.h"

namespace coalmine::scenario {
namespace {

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\r')) text.remove_suffix(1);
  return text;
}

std::optional<double> number(std::string_view text) {
  text = trim(text);
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, ec] = std::from_chars(text.data(), end, value, std::chars_format::fixed);
  if (ec != std::errc{} || stop != end || value < 0) return std::nullopt;
  return value;
}

}  // namespace

bool parse_trace(std::string_view text, const std::string& file, Reader& reader,
                 std::vector<world::TracePoint>& points) {
  int line = 0;
  bool good = true;
  const auto problem = [&](std::string message) {
    good = reader.problem(Place{file, line, 1}, std::move(message));
  };
  while (!text.empty()) {
    ++line;
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view one = trim(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    const bool heading = points.empty() && !one.empty() && (one[0] < '0' || one[0] > '9');
    if (one.empty() || one[0] == '#' || heading) continue;
    const std::size_t comma = one.find(',');
    const auto at = number(one.substr(0, comma));
    const auto rate =
        comma == std::string_view::npos ? std::nullopt : number(one.substr(comma + 1));
    if (!at || !rate) {
      problem(fmt::format("\"{}\" is not a line SECONDS,REQUESTS_PER_SECOND", one.substr(0, 60)));
    } else if (*rate > kMaxRatePerS || *at > to_seconds(kMaxLimit)) {
      problem(fmt::format("allowed are up to {:.0f} s and {:.0f} requests per second",
                          to_seconds(kMaxLimit), kMaxRatePerS));
    } else if (points.empty() ? *at != 0 : from_seconds(*at) <= points.back().at) {
      problem(points.empty() ? "the first line must be at 0 seconds"
                             : "the seconds must rise from line to line");
    } else if (points.size() == kMaxTracePoints) {
      problem(fmt::format("allowed are {} lines", kMaxTracePoints));
      return false;
    } else {
      points.push_back({from_seconds(*at), Rate{*rate}});
    }
  }
  if (good && points.empty()) problem("there is no line SECONDS,REQUESTS_PER_SECOND");
  return good;
}

std::string trace_path(const std::string& scenario_file, const std::string& trace) {
  return (std::filesystem::path(scenario_file).parent_path() / trace).string();
}

bool read_trace(const std::string& path, const Place& at, Reader& reader, std::string& text) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream read;
  if (in) read << in.rdbuf();
  if (!in) return reader.problem(at, fmt::format("{}: cannot be read", path));
  text = read.str();
  return true;
}

}  // namespace coalmine::scenario
