#include "mock-aws/server/event_hub.h"

#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>

namespace coalmine::mock {
namespace {

constexpr Duration kHeartbeat = std::chrono::seconds{15};
constexpr Duration kLookAround = std::chrono::milliseconds{250};  // has the client gone?
constexpr std::size_t kBatch = 256;

std::optional<std::uint64_t> to_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// Names and times first, where people look for them; the rest sorted.
std::string render(TimePoint now, std::string_view name, const Json& fields) {
  nlohmann::ordered_json out;
  out["time"] = to_iso8601_millis(now);
  out["event"] = std::string(name);
  for (const auto& [key, value] : fields.items()) {
    if (key != "time" && key != "event") out[key] = value;
  }
  return out.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

void follow(const EventHub& hub, std::uint64_t since, net::BodyWriter& out) {
  if (!out.write(": events of coalmine\n\n")) return;
  Duration silent{};
  while (out.write("")) {
    const EventHub::Batch batch = hub.read(since, kBatch);
    std::string text;
    if (batch.lost > 0) text += fmt::format(": {} older events are gone\n\n", batch.lost);
    for (const EventHub::Event& event : batch.events) {
      text += to_sse(event);
      since = event.id;
    }
    if (text.empty() && silent >= kHeartbeat) text = ": still here\n\n";
    if (!text.empty()) {
      if (!out.write(text)) return;
      silent = Duration::zero();
      continue;
    }
    hub.wait(since, kLookAround);
    silent += kLookAround;
  }
}

}  // namespace

void EventHub::event(TimePoint now, std::string_view name, Json fields) {
  std::string json = render(now, name, fields);
  {
    const std::lock_guard lock(mutex_);
    events_.push_back({++last_id_, std::move(json)});
    if (events_.size() > kMaxEvents) events_.pop_front();
  }
  arrived_.notify_all();
}

std::uint64_t EventHub::last_id() const {
  const std::lock_guard lock(mutex_);
  return last_id_;
}

EventHub::Batch EventHub::read(std::uint64_t since, std::size_t limit) const {
  const std::lock_guard lock(mutex_);
  Batch batch;
  if (since >= last_id_) return batch;
  const std::uint64_t first = last_id_ - events_.size() + 1;
  if (since + 1 < first) batch.lost = first - since - 1;
  std::size_t at = since + 1 < first ? 0 : static_cast<std::size_t>(since + 1 - first);
  for (; at < events_.size() && batch.events.size() < limit; ++at) {
    batch.events.push_back(events_[at]);
  }
  return batch;
}

void EventHub::wait(std::uint64_t since, Duration timeout) const {
  std::unique_lock lock(mutex_);
  arrived_.wait_for(lock, timeout, [&] { return closed_ || last_id_ > since; });
}

void EventHub::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  arrived_.notify_all();
}

std::string to_sse(const EventHub::Event& event) {
  return fmt::format("id: {}\ndata: {}\n\n", event.id, event.json);
}

net::Response serve_events(const EventHub& hub, const net::Request& request) {
  std::string since_text = request.headers.get("Last-Event-ID");
  bool follows = true;
  for (const auto& [key, value] : net::parse_query(request.query())) {
    if (key == "since") since_text = value;
    if (key == "follow") follows = value != "false" && value != "0";
  }
  const std::uint64_t start = follows ? hub.last_id() : 0;
  const auto since = since_text.empty() ? std::optional(start) : to_number(since_text);
  if (!since) {
    return net::json_response(
        400, dump_json(Json{{"error", "since must be the number of an event, not " + since_text}}));
  }
  if (!follows) {
    std::string list;
    for (const EventHub::Event& event : hub.read(*since).events) {
      list += (list.empty() ? "" : ",\n") + event.json;
    }
    return net::json_response(200, "[" + list + "]\n");
  }
  net::Response response;
  response.headers = {{"Content-Type", "text/event-stream"}, {"Cache-Control", "no-store"}};
  response.stream = [&hub, from = *since](net::BodyWriter& out) { follow(hub, from, out); };
  return response;
}

}  // namespace coalmine::mock
