#include "mock-aws/server/control.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "sim/core/markup.h"
#include "sim/core/units.h"

namespace coalmine::mock {
namespace {

constexpr std::string_view kPrefix = "/_coalmine/";
/// A backend that is always due would stop the clock; it moves at least so far.
constexpr Duration kSmallestStep = std::chrono::milliseconds{1};

net::Response fail(int status, const std::string& message) {
  return net::json_response(status, dump_json(Json{{"error", message}}) + "\n");
}

net::Response ok(const Json& value) {
  return net::json_response(200, dump_json(value) + "\n");
}

/// A person's GET / and not an AWS call, which is POSTed, signed or has an Action.
bool asks_for_page(const net::Request& request) {
  return (request.method == "GET" || request.method == "HEAD") && request.target == "/" &&
         !request.headers.has("Authorization");
}

}  // namespace

const std::vector<Control::Builtin>& Control::builtins() {
  static const std::vector<Builtin> all = {
      {"/_coalmine/health", "GET", "whether it runs, and its time", &Control::serve_health},
      {"/_coalmine/reset", "POST", "empty all state", &Control::serve_reset},
      {"/_coalmine/state", "GET", "all state as JSON", &Control::serve_state},
      {"/_coalmine/clock", "GET", "the time", &Control::serve_clock},
      {"/_coalmine/clock", "POST", "{\"advance\":\"10m\"} moves a manual clock",
       &Control::advance_clock},
      {"/_coalmine/faults", "GET", "the API faults in force", &Control::list_faults},
      {"/_coalmine/faults", "POST",
       "{\"service\":\"ecs\",\"operation\":\"UpdateService\",\"action\":\"throttle\",\"nth\":1}",
       &Control::add_faults},
      {"/_coalmine/faults", "DELETE", "no API faults any more", &Control::clear_faults},
      {"/_coalmine/events", "GET", "everything that happens, as server-sent events (?since=N)",
       &Control::stream_events},
  };
  return all;
}

Control::Control(ControlOptions options, std::unique_ptr<Backend> backend, EventHub& events)
    : options_(std::move(options)),
      events_(events),
      backend_(std::move(backend)),
      random_(Random(options_.seed).split("api-faults")),
      now_(options_.now ? options_.now() : options_.start) {}

void Control::add_endpoint(const std::string& path, net::Handler handler) {
  endpoints_[path] = std::move(handler);
}

net::Response Control::handle(const net::Request& request) {
  const std::string_view path = request.path();
  const bool control = path.substr(0, kPrefix.size()) == kPrefix || path == "/_coalmine" ||
                       endpoints_.find(path) != endpoints_.end();
  const bool page = asks_for_page(request);
  if (!control && !page) return handle_aws(request);
  if (const std::string why = why_not_allowed(request, options_.hosts); !why.empty()) {
    return fail(403, why);
  }
  return page ? serve_page(request) : handle_control(request);
}

net::Response Control::handle_aws(const net::Request& request) {
  ApiFaultOutcome fault;
  {
    const std::lock_guard lock(mutex_);
    const auto call = faults_.empty() ? std::nullopt : backend_->identify(request);
    if (call) {
      const TimePoint at = catch_up();
      fault = faults_.decide(*call, random_);
      if (fault.drop || fault.error || fault.delay > Duration::zero()) {
        events_.event(at, "api.fault-injected",
                      {{"service", call->service},
                       {"operation", call->operation},
                       {"code", fault.error  ? fault.error->code
                                : fault.drop ? "drop"
                                             : "delay"}});
      }
    }
  }
  if (fault.delay > Duration::zero() && options_.sleep) options_.sleep(fault.delay);
  if (fault.drop) {
    net::Response dropped;
    dropped.misbehaviour = net::Misbehaviour::Reset;
    return dropped;
  }
  const std::lock_guard lock(mutex_);
  if (fault.error) return backend_->refuse(request, *fault.error);
  return backend_->handle(request, catch_up());
}

net::Response Control::handle_control(const net::Request& request) {
  const std::string_view path = request.path();
  if (const auto added = endpoints_.find(path); added != endpoints_.end()) {
    return added->second(request);
  }
  std::string allowed;
  for (const Builtin& builtin : builtins()) {
    if (path != builtin.path) continue;
    const bool head = request.method == "HEAD" && std::string_view(builtin.method) == "GET";
    if (request.method == builtin.method || head) return (this->*builtin.serve)(request);
    allowed += (allowed.empty() ? "" : ", ") + std::string(builtin.method);
  }
  if (allowed.empty()) return not_found(path);
  net::Response response = fail(405, fmt::format("{} takes {}", path, allowed));
  response.headers.add("Allow", allowed);
  return response;
}

net::Response Control::not_found(std::string_view path) const {
  Json list = Json::array();
  for (const Builtin& builtin : builtins()) {
    list.push_back(fmt::format("{} {}", builtin.method, builtin.path));
  }
  for (const auto& [added, handler] : endpoints_) list.push_back(added);
  return net::json_response(
      404,
      dump_json(Json{{"error", fmt::format("there is no {}", path)}, {"endpoints", list}}) + "\n");
}

net::Response Control::serve_page(const net::Request& request) const {
  std::string text =
      "coalmine: AWS for canary deployments, on this machine.\n\n"
      "Point an AWS client here, with any credentials:\n"
      "  export AWS_ENDPOINT_URL=http://" +
      request.headers.get("Host") +
      " AWS_DISABLE_HOST_PREFIX_INJECTION=true\n"
      "  export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION=us-east-1\n"
      "  aws appmesh list-meshes\n\n"
      "Beside AWS's operations:\n";
  for (const Builtin& builtin : builtins()) {
    text += fmt::format("  {:<6} {:<20} {}\n", builtin.method, builtin.path, builtin.says);
  }
  for (const auto& [path, handler] : endpoints_) text += fmt::format("         {}\n", path);
  if (request.headers.get("Accept").find("text/html") == std::string::npos) {
    return net::text_response(200, std::move(text));
  }
  // Host is checked, yet nothing goes into a page as it came.
  return net::text_response(200,
                            "<!doctype html><html lang=en><meta charset=utf-8><title>coalmine"
                            "</title><pre>" +
                                escape_markup(text) + "</pre></html>\n",
                            "text/html; charset=utf-8");
}

net::Response Control::serve_health(const net::Request&) {
  return ok({{"status", "ok"},
             {"version", COALMINE_VERSION},
             {"clock", manual() ? "manual" : "running"},
             {"time", to_iso8601_millis(now())}});
}

net::Response Control::serve_reset(const net::Request&) {
  const std::lock_guard lock(mutex_);
  const TimePoint at = catch_up();
  backend_->reset(at);
  faults_.clear();
  events_.event(at, "mock.reset", Json::object());
  return ok({{"reset", true}});
}

net::Response Control::serve_state(const net::Request&) {
  const std::lock_guard lock(mutex_);
  const TimePoint at = catch_up();
  return ok({{"time", to_iso8601_millis(at)},
             {"state", backend_->state()},
             {"faults", faults_.to_json()}});
}

net::Response Control::serve_clock(const net::Request&) {
  const TimePoint at = now();
  return ok({{"time", to_iso8601_millis(at)},
             {"epoch_s", to_epoch_seconds(at)},
             {"clock", manual() ? "manual" : "running"},
             {"speed", manual() ? 0 : options_.speed}});
}

net::Response Control::advance_clock(const net::Request& request) {
  if (!manual()) {
    return fail(409,
                "the clock runs by itself; start with --clock manual to move it by this endpoint");
  }
  const auto body = parse_json(request.body);
  if (!body) return fail(400, body.error().message);
  const auto step = parse_duration(get_string(*body, "advance"));
  if (!step || *step > kMaxAdvance) {
    return fail(400, fmt::format("write {{\"advance\":\"10m\"}}, at most 366 days{}",
                                 step ? "" : ": " + step.error().message));
  }
  const std::lock_guard lock(mutex_);
  advance_to(now_ + *step);
  backend_->clock_moved(now_);
  return ok({{"time", to_iso8601_millis(now_)}});
}

net::Response Control::list_faults(const net::Request&) {
  const std::lock_guard lock(mutex_);
  return ok({{"faults", faults_.to_json()}});
}

net::Response Control::add_faults(const net::Request& request) {
  const auto body = parse_json(request.body);
  if (!body) return fail(400, body.error().message);
  const auto parsed = parse_api_faults(*body);
  if (!parsed) return fail(400, parsed.error().message);
  const std::lock_guard lock(mutex_);
  if (const Status added = faults_.add(*parsed); !added) return fail(400, added.error().message);
  return ok({{"faults", faults_.to_json()}});
}

net::Response Control::clear_faults(const net::Request&) {
  const std::lock_guard lock(mutex_);
  faults_.clear();
  return ok({{"faults", faults_.to_json()}});
}

net::Response Control::stream_events(const net::Request& request) {
  return serve_events(events_, request);
}

Control::Ticked Control::tick() {
  const std::lock_guard lock(mutex_);
  const bool due = backend_->next_wakeup() <= read_clock();
  catch_up();
  return {due, backend_->next_wakeup()};
}

TimePoint Control::now() {
  const std::lock_guard lock(mutex_);
  return read_clock();
}

TimePoint Control::read_clock() {
  if (options_.now) now_ = std::max(now_, options_.now());
  return now_;
}

TimePoint Control::catch_up() {
  read_clock();
  if (backend_->next_wakeup() <= now_) backend_->tick(now_);
  return now_;
}

/// From one due moment to the next, so that what follows from a step happens at its time.
void Control::advance_to(TimePoint target) {
  while (now_ < target) {
    const TimePoint due = std::max(backend_->next_wakeup(), now_ + kSmallestStep);
    now_ = std::min(due, target);
    backend_->tick(now_);
  }
}

}  // namespace coalmine::mock
