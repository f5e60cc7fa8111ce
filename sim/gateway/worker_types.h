// The worker's own records; only its own files see them.
#pragma once

#include <memory>

#include "sim/gateway/chunks.h"
#include "sim/gateway/worker.h"
#include "sim/traffic/cluster.h"

namespace coalmine::gateway {

struct Worker::Buffer {
  std::string data;
};

struct Worker::Connection : TimerNode {
  enum class Kind : std::uint8_t {
    Wake,
    Listen,
    Client,
    Upstream,
    Cluster,
    Host,
    Check,
  };
  explicit Connection(Kind k) : kind(k) {}
  Kind kind;
  bool dead = false;
  int fd = -1;
};

/// A listener of the table on this worker.
struct Worker::Slot : Connection {
  Slot() : Connection(Kind::Listen) {}
  int port = 0;
  int bound_port = 0;
  const traffic::ListenerIndex* listener = nullptr;  ///< of the plan in force; null once gone
  traffic::Dialect dialect = traffic::Dialect::Envoy;
  traffic::Protocol protocol = traffic::Protocol::Http;
  std::shared_ptr<const TlsContext> tls;  ///< null: plain text
  bool tls_permissive = false;
  traffic::DesyncMode desync = traffic::DesyncMode::Defensive;
  bool drop_invalid_headers = false;
  std::string name;
  ListenerStats* stats = nullptr;
  TargetStats* untargeted = nullptr;  ///< of requests that are answered before a pick
  const StatsKey* untargeted_key = nullptr;
};

/// One instance of a cluster: its connections and counts. The timer is that of its next check.
struct Worker::Host : Connection {
  Host() : Connection(Kind::Host) {}
  Cluster* cluster = nullptr;
  std::size_t index = 0;  ///< in the cluster's state; of no meaning once retired
  std::string id;
  std::string name;  ///< "127.0.0.1:9001"
  int port = 0;
  std::uint32_t ipv4 = 0;  ///< network byte order
  std::vector<Upstream*> idle;
  std::size_t connections = 0;
  Client* first_waiting = nullptr;  ///< for a connection, in the order they came
  Client* last_waiting = nullptr;
  std::size_t waiting = 0;
  bool hungry = false;     ///< a connection may have become free for who waits
  bool retired = false;    ///< the cluster does not name it any more
  Check* check = nullptr;  ///< the health check going on
  InstanceStats stats;
};

/// A health check that waits for its answer.
struct Worker::Check : Connection {
  Check() : Connection(Kind::Check) {}
  Host* host = nullptr;
  bool connected = false;
  HeadScan scan;
  std::string answer;
};

/// What this worker knows of a target's instances. It outlives plans, so that a new table does not
/// forget who was ejected. The timer is that of the outlier sweeps.
struct Worker::Cluster : Connection {
  Cluster() : Connection(Kind::Cluster) {}
  std::string name;
  traffic::ClusterState state;
  std::vector<Host*> hosts;                      ///< by the state's index
  std::vector<std::unique_ptr<Host>> all_hosts;  ///< those, and retired ones still in use
  traffic::PoolLimits limits;                    ///< this worker's share of them
  std::optional<traffic::HealthCheck> health_check;
  Duration sweep_interval{};  ///< zero: nothing to sweep
  std::uint32_t retries = 0;  ///< going on now
  bool retired = false;       ///< the plan in force does not name it
};

struct Worker::PlanTarget {
  Cluster* cluster = nullptr;
  TargetStats* stats = nullptr;
  const StatsKey* key = nullptr;  ///< null: of a mirror
};

/// A route index as this worker uses it. Counted without atomics: it never leaves the thread.
struct Worker::Plan {
  std::shared_ptr<const traffic::RouteIndex> index;
  std::vector<PlanTarget> targets;  ///< by TargetIndex::id
  std::size_t users = 0;
};

/// A connection that is passed through: a WebSocket once the upstream agreed, or TCP.
struct Worker::Tunnel {
  TargetStats* stats = nullptr;
  std::int64_t idle_ns = 0;  ///< longest silence in both directions
  bool upgraded = false;
  bool client_ended = false;    ///< has sent its end
  bool upstream_ended = false;  ///< has sent its end
  bool broken = false;          ///< the upstream takes nothing any more
};

struct Worker::Client : Connection {
  Client() : Connection(Kind::Client) {}
  enum class State : std::uint8_t {
    Handshake,  ///< of TLS, or it is not known yet whether it will be TLS
    Head,       ///< between requests, or a head is coming in
    Body,       ///< a request body is coming in
    Waiting,    ///< the request is complete, the response is not
    Linger,     ///< the last answer was given; what still comes is dropped
    Tunnel,     ///< bytes are passed through in both directions
  };
  enum class Timer : std::uint8_t { Idle, Head, StreamIdle, Request, Retry, Linger, Tunnel };

  State state = State::Head;
  Timer timer = Timer::Idle;
  bool keep_alive = true;
  bool to_head = false;
  bool more = false;        ///< the socket may hold unread bytes
  bool hangup = false;      ///< the client has sent its end
  bool processing = false;  ///< process() is on the stack
  bool request_whole = true;
  bool replayable = true;
  bool response_started = false;
  bool idempotent = false;
  bool retrying = false;   ///< counted in the cluster's retries
  bool upgrade = false;    ///< asks for a WebSocket
  bool first_met = false;  ///< the answer sets the cookie of a sticky forward
  bool mirrored = false;   ///< nobody's: a copy whose answer is thrown away
  bool idle = false;       ///< in the list of those between two requests
  bool refused = false;    ///< there was no room for it
  bool isolate = false;    ///< neither connection may serve another request
  int minor = 1;
  int retries = 0;
  Slot* slot = nullptr;
  Client* next_client = nullptr;
  Client* previous_client = nullptr;
  Client* newer_idle = nullptr;
  Client* older_idle = nullptr;
  HeadScan scan;
  Buffer* in = nullptr;   ///< bytes that cannot be used yet
  Buffer* out = nullptr;  ///< bytes the socket did not take
  std::size_t out_sent = 0;
  std::size_t linger_left = 0;
  std::uint32_t peer_ipv4 = 0;  ///< host byte order
  char peer[16] = {};

  // the request being served
  Upstream* up = nullptr;
  Plan* plan = nullptr;
  const traffic::ForwardIndex* forward = nullptr;
  std::size_t target = 0;
  PlanTarget* plan_target = nullptr;
  const Host* tried = nullptr;  ///< of the last attempt; to compare only, it may be gone
  Host* waits_for = nullptr;    ///< a connection to it
  Client* next_waiting = nullptr;
  Client* previous_waiting = nullptr;
  Buffer* request = nullptr;  ///< head and body as sent upstream, as far as kept
  std::size_t request_sent = 0;
  Framing body;  ///< length counts down
  std::unique_ptr<ChunkDecoder> chunks;
  std::int64_t begun_ns = 0;
  std::int64_t head_ns = 0;    ///< when the response head came; 0: not yet
  std::uint64_t received = 0;  ///< bytes of the request body
  std::uint64_t sent = 0;      ///< bytes of the response body
  std::string_view flag;       ///< Envoy's, of literals: what went wrong
  std::unique_ptr<LogEntry> log;
  std::int64_t request_deadline_ns = TimerNode::kNone;
  std::int64_t idle_ns = 0;    ///< longest silence once the request is complete; 0: any
  std::int64_t active_ns = 0;  ///< when a byte came last, from either side
  int status = 0;
  std::unique_ptr<Tunnel> tunnel;
  std::unique_ptr<TlsSession> tls;  ///< null: plain text
};

struct Worker::Upstream : Connection {
  Upstream() : Connection(Kind::Upstream) {}
  Host* host = nullptr;
  Client* client = nullptr;  ///< null: idle
  bool connecting = false;
  bool reused = false;
  bool more = false;    ///< reading stopped because the client does not take more
  bool hangup = false;  ///< the peer has sent its end
  bool in_body = false;
  bool any_byte = false;  ///< of the response being waited for
  bool keep_alive = true;
  BodyKind to_client = BodyKind::None;
  HeadScan scan;
  Buffer* in = nullptr;  ///< of an incomplete head
  Framing body;
  std::unique_ptr<ChunkDecoder> chunks;
  std::int64_t begun_ns = 0;  ///< the attempt
  std::int64_t idle_since_ns = 0;
};

inline traffic::Dialect Worker::dialect_of(const Client* c) const {
  return c->slot->dialect;
}

inline TargetStats& Worker::stats_of(const Client* c) const {
  return c->plan_target != nullptr ? *c->plan_target->stats : *c->slot->untargeted;
}

/// Bytes of the request that have not gone upstream yet.
inline std::size_t Worker::pending_request(const Client* c) const {
  return c->request == nullptr ? 0 : c->request->data.size() - c->request_sent;
}

}  // namespace coalmine::gateway
