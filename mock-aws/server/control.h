#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "mock-aws/server/api_faults.h"
#include "mock-aws/server/backend.h"
#include "mock-aws/server/event_hub.h"
#include "mock-aws/server/host_check.h"
#include "sim/core/random.h"

namespace coalmine::mock {

/// The most that POST /_coalmine/clock moves at once.
inline constexpr Duration kMaxAdvance = std::chrono::hours{24 * 366};

struct ControlOptions {
  HostPolicy hosts;
  std::uint64_t seed = 1;  ///< of the API faults' chance
  /// The time; empty: a clock that stands still until POST /_coalmine/clock moves it.
  std::function<TimePoint()> now;
  TimePoint start = kVirtualEpoch;  ///< of the manual clock
  double speed = 1;                 ///< how fast `now` runs, for whoever asks
  /// Waits out a fault's delay; empty: does not wait.
  std::function<void(Duration)> sleep;
};

/// The whole server but its sockets and threads: tells AWS calls from control requests, injects
/// API faults, keeps the time, and lets one request at a time at the backend. Thread-safe.
class Control {
 public:
  Control(ControlOptions options, std::unique_ptr<Backend> backend, EventHub& events);

  net::Response handle(const net::Request& request);

  /// Serves exactly this path by `handler`, which is called without any lock held and may take
  /// its time. Before the first request. The host check has been passed.
  void add_endpoint(const std::string& path, net::Handler handler);

  /// Runs `use(backend, now)` as the only caller of the backend.
  template <typename Use>
  auto with_backend(Use use) {
    const std::lock_guard lock(mutex_);
    return use(*backend_, catch_up());
  }

  struct Ticked {
    bool was_due = false;
    TimePoint next;  ///< when something is due again; kNever: nothing pending
  };
  /// Ticks what is due.
  Ticked tick();
  TimePoint now();
  bool manual() const { return !options_.now; }

 private:
  using Endpoint = net::Response (Control::*)(const net::Request&);
  struct Builtin {
    const char* path;
    const char* method;
    const char* says;
    Endpoint serve;
  };
  static const std::vector<Builtin>& builtins();

  net::Response handle_aws(const net::Request& request);
  net::Response handle_control(const net::Request& request);
  net::Response serve_page(const net::Request& request) const;
  net::Response serve_health(const net::Request& request);
  net::Response serve_reset(const net::Request& request);
  net::Response serve_state(const net::Request& request);
  net::Response serve_clock(const net::Request& request);
  net::Response advance_clock(const net::Request& request);
  net::Response list_faults(const net::Request& request);
  net::Response add_faults(const net::Request& request);
  net::Response clear_faults(const net::Request& request);
  net::Response stream_events(const net::Request& request);
  net::Response not_found(std::string_view path) const;

  // With mutex_ held:
  TimePoint read_clock();
  TimePoint catch_up();
  void advance_to(TimePoint target);

  const ControlOptions options_;
  EventHub& events_;
  std::map<std::string, net::Handler, std::less<>> endpoints_;

  std::mutex mutex_;  // guards what follows
  std::unique_ptr<Backend> backend_;
  ApiFaults faults_;
  Random random_;
  TimePoint now_;
};

}  // namespace coalmine::mock
