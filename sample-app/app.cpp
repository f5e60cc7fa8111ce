#include "sample-app/app.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

namespace coalmine::sample {
namespace {

constexpr std::string_view kHealthPath = "/healthcheck";
constexpr std::string_view kFaultPath = "/fault";
constexpr std::string_view kMetricsPath = "/metrics";
constexpr std::array<std::string_view, 6> kPaths{"/",        "/checkout", "/search",
                                                 "/profile", "/version",  kHealthPath};

/// Keeps the members in this order, as people read them.
using OrderedJson = nlohmann::ordered_json;

net::Response json(int status, const OrderedJson& value) {
  return net::json_response(status,
                            value.dump(-1, ' ', false, OrderedJson::error_handler_t::replace));
}

bool is_read(const net::Request& request) {
  return request.method == "GET" || request.method == "HEAD" || request.method == "POST";
}

net::Response not_allowed(std::string_view allowed) {
  net::Response response = json(405, {{"error", fmt::format("allowed are {}", allowed)}});
  response.headers.add("Allow", std::string(allowed));
  return response;
}

net::Response not_found(std::string_view path) {
  std::string known;
  for (const std::string_view p : kPaths) known += fmt::format("{}, ", p);
  return json(404, {{"error", "not found"},
                    {"path", std::string(path)},
                    {"paths", fmt::format("{}{}, {}", known, kMetricsPath, kFaultPath)}});
}

/// Valid JSON of another shape: what a schema check finds and a status check does not.
net::Response wrong_body() {
  return json(200, {{"dta", nullptr}});
}

std::span<const faults::HeaderField> fields(const net::Headers& headers) {
  if (headers.empty()) return {};
  return {&*headers.begin(), headers.size()};
}

}  // namespace

App::App(std::string version, std::vector<faults::Fault> faults, TimePoint started, Random random,
         ServiceQueue queue)
    : version_(std::move(version)),
      metrics_(version_),
      faults_(std::move(faults), started),
      random_(random),
      queue_(queue) {}

Answer App::answer(const net::Request& request, TimePoint now) {
  Answer answer;
  const std::string_view path = request.path();
  if (path == kMetricsPath) {
    answer.response = net::text_response(200, metrics_.render(), "text/plain; version=0.0.4");
    return answer;
  }
  if (path == kFaultPath) {
    answer.response = serve_fault(request, now);
    return answer;
  }
  metrics_.begin();
  const bool known = std::find(kPaths.begin(), kPaths.end(), path) != kPaths.end();
  answer.counted_as = known ? std::string(path) : "other";
  answer.response = serve(request);
  const std::lock_guard lock(mutex_);
  // A health check is not work: a full queue must not take the task out of service.
  const bool check = path == kHealthPath;
  const std::optional<Duration> wait = check ? Duration{} : queue_.wait(now);
  if (!wait) {
    answer.response = json(503, {{"error", "the queue is full"}, {"version", version_}});
  } else {
    const TimePoint turn = now + *wait;
    const bool stays = *wait <= queue_.limits().patience;
    if (stays && !faults_.empty()) {
      inject(faults_.decide({path, fields(request.headers), check}, turn, random_), answer);
    }
    if (!check) queue_.begin(now, turn, busy_time(answer, *wait));
    answer.delay += *wait;
  }
  // Whatever the body says (errors and wrong bodies say little), the version can be told.
  answer.response.headers.add("X-Served-Version", version_);
  return answer;
}

/// How long a request keeps its place: one that hangs until its caller leaves.
Duration App::busy_time(const Answer& answer, Duration waited) const {
  const bool hangs = answer.response.misbehaviour == net::Misbehaviour::Hang;
  return hangs ? std::max(queue_.limits().patience - waited, Duration{}) : answer.delay;
}

void App::inject(const faults::Outcome& outcome, Answer& answer) {
  answer.delay = outcome.delay;
  if (outcome.grow_bytes > 0) leaked_.emplace_back(outcome.grow_bytes, 'x');
  if (outcome.status != 0) {
    answer.response = json(outcome.status, {{"error", "injected fault"}, {"version", version_}});
  }
  switch (outcome.effect) {
    case faults::Effect::None:
      return;
    case faults::Effect::Reset:
      answer.response.misbehaviour = net::Misbehaviour::Reset;
      return;
    case faults::Effect::Hang:
      answer.response.misbehaviour = net::Misbehaviour::Hang;
      return;
    case faults::Effect::Truncate:
      answer.response.misbehaviour = net::Misbehaviour::Truncate;
      return;
    case faults::Effect::WrongBody:
      answer.response = wrong_body();
      return;
    case faults::Effect::Crash:
      answer.crash = true;
      return;
  }
}

void App::finished(const Answer& answer, Duration took) {
  if (answer.counted_as.empty()) return;  // metrics and faults are not the service's traffic
  const auto kind = answer.response.misbehaviour;
  const bool silent = kind == net::Misbehaviour::Reset || kind == net::Misbehaviour::Hang;
  metrics_.count(answer.counted_as, silent ? 0 : answer.response.status, took);
}

net::Response App::serve(const net::Request& request) const {
  const std::string_view path = request.path();
  if (std::find(kPaths.begin(), kPaths.end(), path) == kPaths.end()) return not_found(path);
  if (!is_read(request)) return not_allowed("GET, HEAD, POST");
  if (path == "/") return json(200, {{"data", "This is service " + version_}});
  if (path == kHealthPath) return json(200, {{"status", "ok"}, {"version", version_}});
  if (path == "/version") return json(200, {{"version", version_}});
  if (path == "/checkout") {
    return json(200, {{"flow", "checkout"}, {"version", version_}, {"status", "confirmed"}});
  }
  if (path == "/search") {
    return json(200, {{"flow", "search"}, {"version", version_}, {"results", {"lamp", "rope"}}});
  }
  return json(200, {{"flow", "profile"}, {"version", version_}, {"name", "Canary"}});
}

net::Response App::serve_fault(const net::Request& request, TimePoint now) {
  const std::lock_guard lock(mutex_);
  if (request.method == "PUT") {
    const std::size_t first = request.body.find_first_not_of(" \t\r\n");
    const bool is_json =
        first != std::string::npos && (request.body[first] == '{' || request.body[first] == '[');
    const auto read = [&]() -> Result<std::vector<faults::Fault>> {
      if (!is_json) return faults::parse_faults(request.body);
      TRY(const Json value, parse_json(request.body));
      return faults::faults_from_json(value);
    };
    auto faults = read();
    if (!faults) return json(400, {{"error", faults.error().message}});
    faults_ = faults::FaultState(*std::move(faults), now);
    leaked_.clear();
  } else if (request.method == "DELETE") {
    faults_ = {};
    leaked_.clear();
  } else if (request.method != "GET" && request.method != "HEAD") {
    return not_allowed("GET, PUT, DELETE");
  }
  return net::json_response(200, dump_json(Json{{"faults", faults::to_json(faults_.faults())},
                                                {"text", faults::to_string(faults_.faults())}}));
}

}  // namespace coalmine::sample
