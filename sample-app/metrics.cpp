#include "sample-app/metrics.h"

#include <algorithm>

namespace coalmine::sample {
namespace {

/// A label value as the text format wants it.
std::string escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

}  // namespace

void Metrics::begin() {
  const std::lock_guard lock(mutex_);
  ++in_flight_;
}

void Metrics::count(const std::string& path, int code, Duration took) {
  const double seconds = to_seconds(took);
  const std::lock_guard lock(mutex_);
  --in_flight_;
  ++requests_[{path, code}];
  Latencies& latencies = latencies_[path];
  const auto bound = std::lower_bound(kBounds.begin(), kBounds.end(), seconds);
  if (bound != kBounds.end()) {
    ++latencies.within[static_cast<std::size_t>(bound - kBounds.begin())];
  }
  ++latencies.count;
  latencies.sum_s += seconds;
}

std::string Metrics::render() const {
  const std::string version = escape(version_);
  std::string out =
      "# HELP http_requests_total Requests by path and code; code 0: no answer was given.\n"
      "# TYPE http_requests_total counter\n";
  const std::lock_guard lock(mutex_);
  for (const auto& [key, n] : requests_) {
    out += fmt::format("http_requests_total{{version=\"{}\",path=\"{}\",code=\"{}\"}} {}\n",
                       version, key.first, key.second, n);
  }
  out += fmt::format(
      "# HELP http_requests_in_flight Requests not answered yet.\n"
      "# TYPE http_requests_in_flight gauge\n"
      "http_requests_in_flight{{version=\"{}\"}} {}\n",
      version, in_flight_);
  out +=
      "# HELP http_request_duration_seconds Time from the request to its answer.\n"
      "# TYPE http_request_duration_seconds histogram\n";
  for (const auto& [path, latencies] : latencies_) {
    const std::string labels = fmt::format("version=\"{}\",path=\"{}\"", version, path);
    std::uint64_t within = 0;
    for (std::size_t i = 0; i < kBounds.size(); ++i) {
      within += latencies.within[i];
      out += fmt::format("http_request_duration_seconds_bucket{{{},le=\"{}\"}} {}\n", labels,
                         kBounds[i], within);
    }
    out += fmt::format(
        "http_request_duration_seconds_bucket{{{0},le=\"+Inf\"}} {1}\n"
        "http_request_duration_seconds_sum{{{0}}} {2}\n"
        "http_request_duration_seconds_count{{{0}}} {1}\n",
        labels, latencies.count, latencies.sum_s);
  }
  return out;
}

}  // namespace coalmine::sample
