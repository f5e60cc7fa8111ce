// sim/gateway: the data plane. Users' requests pass through here.
//
// An HTTP/1.1 reverse proxy that routes by the snapshots of sim/traffic. Each worker thread has
// its own listening sockets (SO_REUSEPORT), edge-triggered epoll set, upstream pools, timers and
// counts; nothing is shared while requests run. A new snapshot reaches a worker as a message
// between two turns of its loop: requests in flight finish on the one they started with.
//
//   fields.h         header fields (pure)
//   http1.h          strict parsing of heads; chunks.h: of chunked bodies (pure)
//   desync.h         requests that can be read in two ways, as an ALB judges them (pure)
//   heads.h          what is added to and taken from heads; our own answers (pure)
//   timer_wheel.h    one lazy timer per connection (pure)
//   untaken.h        whether a request reached a peer that ended its connection
//   worker.h         one thread of it, in several files:
//     worker.cpp         the loop           listeners.cpp      who is let in
//     client.cpp         a client's socket  upstream.cpp       attempts and their answers
//     request.cpp        heads, our answers request_body.cpp   bodies
//     timeouts.cpp       who took too long  clusters.cpp       instances: ejections, limits, queues
//     health_checks.cpp  how they are       mirror.cpp         copies whose answers nobody sees
//     tunnel.cpp         WebSockets, TCP    observe.cpp        what is told of single requests
//   tls.h            certificates and sessions of listeners that speak TLS
//   access_log.h     one line per request; request_stream.h: every result, for analysis
//   stats.h          counts per listener, route and target, and per instance
//   admin.h          /server_info, /stats, /metrics, /clusters, /config_dump, /requests, /ready
//   control_source.h snapshots from the control plane, counts back to it
//
// Below: sim/traffic, sim/net, sim/core. Above: sim/lab, sim/cli.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/core/result.h"
#include "sim/gateway/stats.h"
#include "sim/gateway/worker.h"
#include "sim/traffic/route_index.h"

namespace coalmine::gateway {

inline constexpr int kMaxThreads = 64;

struct GatewayOptions {
  std::string host = "127.0.0.1";  ///< every listener binds here
  std::optional<int> port;         ///< replaces the port of the only listener; 0: any free one
  std::string admin_host = "127.0.0.1";
  std::optional<int> admin_port = 0;  ///< 0: any free one; nothing: no admin server
  int threads = 1;
  std::optional<traffic::Selection> selection;  ///< overrides the table's
  std::uint64_t seed = 0;                       ///< of the random picks
  Duration drain = std::chrono::seconds{10};    ///< longest wait for requests in flight at the end
  WorkerTimeouts timeouts;
  std::size_t max_connections = kDefaultMaxClients;  ///< of clients, per thread
  std::string access_log;  ///< file, or "-"; instead of the table's. Empty: as the table says
  double access_log_percent = 100;  ///< of requests
  bool traceparent = false;         ///< W3C: is created where a request has none
};

struct BoundPort {
  int port = 0;   ///< as the table names it
  int bound = 0;  ///< where it is served
  bool tls = false;
};

/// A running gateway. All functions may be called from any thread.
class Gateway {
 public:
  /// Starts workers and admin server, then serves `initial`, if given; without one the gateway is
  /// PRE_INITIALIZING until the first update. Errors (Environment): an address is in use; (Invalid)
  /// the table breaks a rule.
  static Result<std::unique_ptr<Gateway>> start(GatewayOptions options, traffic::Snapshot initial);
  virtual ~Gateway() = default;

  /// Serves `table` from now on; certificate files are read now, so the same table again takes what
  /// they hold by then. On an error nothing changes. New problems of the table go to stderr.
  virtual Status update(traffic::Snapshot table) = 0;
  virtual GatewayStats stats() = 0;
  /// Results of single requests from number `from` on, as JSON lines (RequestStream::read()). They
  /// are kept from the first call on.
  virtual std::string requests(std::uint64_t from) = 0;
  /// Opens the access log by its name again, after it was moved away.
  virtual void reopen_log() = 0;
  /// The table in force; null before the first.
  virtual traffic::Snapshot table() = 0;
  virtual std::vector<BoundPort> ports() = 0;
  virtual int admin_port() const = 0;  ///< 0 without an admin server
  /// Drains and stops; the destructor does it too.
  virtual void stop() = 0;
};

}  // namespace coalmine::gateway
