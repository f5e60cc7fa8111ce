// The worker's own records; only worker.cpp, client.cpp and upstream.cpp see them.
#pragma once

#include "sim/gateway/worker.h"

namespace coalmine::gateway {

struct Worker::Buffer {
  std::string data;
};

struct Worker::Connection : TimerNode {
  enum class Kind : std::uint8_t { Wake, Listen, Client, Upstream };
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
  std::string name;
};

/// Connections to one instance. Lives as long as any plan or connection uses it.
struct Worker::Pool {
  std::string address;
  int port = 0;
  std::uint32_t ipv4 = 0;  ///< network byte order
  std::vector<Upstream*> idle;
  std::size_t connections = 0;
  bool retired = false;  ///< the plan in force does not name it
  std::string name() const { return fmt::format("{}:{}", address, port); }
};

struct Worker::PlanTarget {
  std::vector<Pool*> pools;
  std::size_t next = 0;  ///< round robin
  TargetStats* stats = nullptr;
};

/// A route index as this worker uses it. Counted without atomics: it never leaves the thread.
struct Worker::Plan {
  std::shared_ptr<const traffic::RouteIndex> index;
  std::vector<PlanTarget> targets;  ///< by TargetIndex::id
  std::size_t users = 0;
};

struct Worker::Client : Connection {
  Client() : Connection(Kind::Client) {}
  enum class State : std::uint8_t {
    Head,     ///< between requests, or a head is coming in
    Body,     ///< a request body is coming in
    Waiting,  ///< the request is complete, the response is not
    Linger,   ///< the last answer was given; what still comes is dropped
  };
  enum class Timer : std::uint8_t { Idle, Head, StreamIdle, Request, Retry, Linger };

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
  int minor = 1;
  int retries = 0;
  Slot* slot = nullptr;
  Client* next_client = nullptr;
  Client* previous_client = nullptr;
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
  Buffer* request = nullptr;  ///< head and body as sent upstream, as far as kept
  std::size_t request_sent = 0;
  Framing body;  ///< length counts down
  std::unique_ptr<ChunkDecoder> chunks;
  std::int64_t begun_ns = 0;
  std::int64_t request_deadline_ns = TimerNode::kNone;
  int status = 0;
};

struct Worker::Upstream : Connection {
  Upstream() : Connection(Kind::Upstream) {}
  Pool* pool = nullptr;
  Client* client = nullptr;  ///< null: idle in the pool
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
};

}  // namespace coalmine::gateway
