#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

#include "mock-aws/services/ports.h"
#include "sim/core/time.h"
#include "sim/net/http.h"

namespace coalmine::mock {

/// How many events can be read again; older ones are gone.
inline constexpr std::size_t kMaxEvents = 10'000;

/// Everything that happened lately, numbered from 1, for any number of readers. Thread-safe.
class EventHub : public EventSink {
 public:
  struct Event {
    std::uint64_t id = 0;
    std::string json;  ///< {"time":"2026-…Z","event":"route.updated", ...}, one line
  };
  struct Batch {
    std::vector<Event> events;
    std::uint64_t lost = 0;  ///< events asked for that are gone
  };

  void event(TimePoint now, std::string_view name, Json fields) override;

  /// The number of the latest event; 0 before the first.
  std::uint64_t last_id() const;
  /// Up to `limit` events behind number `since`.
  Batch read(std::uint64_t since, std::size_t limit = kMaxEvents) const;
  /// Returns when there are events behind `since`, after `timeout`, or when closed.
  void wait(std::uint64_t since, Duration timeout) const;
  /// Wakes everybody who waits; nobody waits any more from now on.
  void close();

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable arrived_;
  std::deque<Event> events_;
  std::uint64_t last_id_ = 0;
  bool closed_ = false;
};

/// "id: 7\ndata: {...}\n\n", as text/event-stream wants it.
std::string to_sse(const EventHub::Event& event);

/// Answers GET /_coalmine/events: a stream of new events, or from ?since=N or Last-Event-ID on;
/// with ?follow=false what there is, as a JSON list.
net::Response serve_events(const EventHub& hub, const net::Request& request);

}  // namespace coalmine::mock
