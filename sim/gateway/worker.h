#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "sim/core/random.h"
#include "sim/gateway/access_log.h"
#include "sim/gateway/heads.h"
#include "sim/gateway/http1.h"
#include "sim/gateway/request_stream.h"
#include "sim/gateway/stats.h"
#include "sim/gateway/timer_wheel.h"
#include "sim/gateway/tls.h"
#include "sim/traffic/route_index.h"

namespace coalmine::gateway {

inline constexpr std::size_t kScratchBytes = 64 << 10;     ///< one read; per worker
inline constexpr std::size_t kMaxReplayBytes = 64 << 10;   ///< of a request, kept for retries
inline constexpr std::size_t kMaxPendingBytes = 64 << 10;  ///< unsent, then the other side waits
inline constexpr std::size_t kMaxIdlePerInstance = 1024;   ///< connections kept per worker
inline constexpr std::size_t kMaxMirrored =
    256;  ///< copies under way per worker; others are not made
inline constexpr std::size_t kMaxLingerBytes = 256 << 10;  ///< read and dropped after a refusal

struct WorkerTimeouts {
  Duration connect = std::chrono::seconds{5};
  Duration head = std::chrono::seconds{15};        ///< a request head, once begun: then 408
  Duration stream_idle = std::chrono::minutes{5};  ///< between pieces of a request body: then 408
  Duration client_idle = std::chrono::hours{1};
  Duration tcp_idle = std::chrono::hours{1};  ///< of a tcp listener's connections
  Duration linger = std::chrono::seconds{1};
  /// A server that closes a connection as we use it is believed to have lost patience with it only
  /// if it was idle for this long: the shortest keep-alive timeouts in common use are 5 s (Apache
  /// httpd, Node.js).
  Duration patience = std::chrono::milliseconds{4500};
};

/// Client connections that a worker keeps. A new one beyond them takes the place of the one that
/// has been idle longest; if none is idle it is refused: 503, or just closed under TLS and TCP.
inline constexpr std::size_t kDefaultMaxClients = 65536;
inline constexpr std::size_t kMaxRefusing = 64;  ///< refusals under way; beyond, no answer is given
inline constexpr std::size_t kMaxForwardedFor = 30;  ///< addresses in X-Forwarded-For, of an ALB

/// A listening socket of one worker, handed over to it.
struct ListenSocket {
  int port = 0;  ///< the port in the table; the bound one may differ
  int bound_port = 0;
  int fd = -1;
};

/// What listeners that speak TLS show, by the port in the table.
using TlsContexts = std::map<int, std::shared_ptr<const TlsContext>>;

struct WorkerOptions {
  WorkerTimeouts timeouts;
  std::size_t max_clients = kDefaultMaxClients;
  std::uint32_t access_log_ppm = 1'000'000;  ///< requests per million that are logged
  bool traceparent = false;                  ///< is created where there is none
};

/// What a worker goes by from now on.
struct WorkerUpdate {
  std::shared_ptr<const traffic::RouteIndex> index;
  std::vector<ListenSocket> sockets;  ///< of new listeners
  TlsContexts tls;
  std::shared_ptr<AccessLog> log;  ///< null: none is written
};

/// One thread of the data plane: a raw edge-triggered epoll set, its own connections, pools,
/// timers and counts. Nothing here is shared while requests run; the outside talks to it by
/// messages that are run between two turns of the loop.
class Worker {
 public:
  /// Worker `number` of `count`: limits of a target are shared out among them.
  Worker(int number, int count, std::uint64_t seed, const WorkerOptions& options);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void start();
  /// From any thread: requests begun from now on follow the update's index; listeners that it no
  /// longer names close when they are idle.
  void update(WorkerUpdate update);
  /// A copy of the counts, taken between two turns.
  GatewayStats stats();
  /// Results of requests since the last time; the first time they begin to be kept.
  RequestRing::Batch requests();
  /// Stops accepting, lets requests in flight finish for at most `drain`, ends the thread.
  void stop(Duration drain);

 private:
  struct Buffer;
  struct Check;
  struct Cluster;
  struct Host;
  struct Plan;
  struct PlanTarget;
  struct Tunnel;
  struct Slot;
  struct Connection;
  struct Client;
  struct Upstream;

  // loop
  void run();
  void turn();
  void post(std::function<void()> message);
  void run_messages();
  void read_clock();
  void fire(TimerNode& node);
  void upstream_timed_out(Upstream* u);
  void client_timed_out(Client* c);
  void bury(Connection* connection);
  void delete_dead();
  void add_to_epoll(Connection* connection);

  // listeners and plans
  template <typename F>
  auto between_turns(F f);
  void adopt(const WorkerUpdate& update);
  void adopt_listeners(const WorkerUpdate& update);
  void accept_clients(Slot& slot);
  void name_slot(Slot& slot, const std::string& name);
  void close_listener(Slot& slot);
  void begin_drain();
  bool drained() const;
  void release(Plan* plan);
  GatewayStats collect() const;

  // client side
  void client_event(Client* c, std::uint32_t events);
  void client_readable(Client* c);
  void handshake(Client* c);
  void begin_serving(Client* c);
  ssize_t receive(Client* c);
  ssize_t transmit(Client* c, std::string_view bytes);
  ssize_t transmit_tls(Client* c, std::string_view first, std::string_view second,
                       std::string_view third);
  void end_writing(Client* c);
  void process(Client* c, char* bytes, std::size_t size);
  void stash(Client* c, std::string_view bytes);
  std::size_t take_head(Client* c, char* bytes, std::size_t size);
  Parsed judge(Client* c, std::string_view head, Parsed strict);
  /// Starts the request in request_; returns how much of the bytes behind its head was used.
  std::size_t begin(Client* c, char* rest, std::size_t rest_size);
  bool refused_unrouted(Client* c);
  std::size_t answer_decision(Client* c, const traffic::Decision& decision,
                              const traffic::RequestView& view, std::size_t rest_size);
  void forward(Client* c, const traffic::Decision& decision, std::string_view original_path);
  std::size_t feed_body(Client* c, char* bytes, std::size_t size);
  void emit_body(Client* c, std::string_view first, std::string_view payload,
                 std::string_view last);
  void request_complete(Client* c);
  void count_own_answer(Client* c, const traffic::LocalReply& reply);
  void answer(Client* c, const traffic::LocalReply& reply, bool body_unread);
  void refuse(Client* c, int status, const char* why);
  void refuse_http2(Client* c);
  void send_to_client(Client* c, std::string_view first, std::string_view second = {},
                      std::string_view third = {});
  void flush_client(Client* c);
  void linger(Client* c);
  void client_done(Client* c);
  void take_up(Client* c);
  void drop_client(Client* c);
  void close_idle(Client* c);
  void enter_idle(Client* c);
  void leave_idle(Client* c);
  bool make_room();
  void refuse_connection(Client* c);

  void leave_plan(Client* c);

  // clusters
  void adopt_clusters(const traffic::RouteIndex& index, Plan& plan);
  Cluster* cluster_named(const std::string& name);
  void adopt_hosts(Cluster& cluster, const traffic::Target& target);
  void retire_hosts(Cluster& cluster);
  void purge_clusters();
  traffic::PoolLimits share_of(const traffic::PoolLimits& limits) const;
  void sweep(Cluster& cluster);
  void attempt_ended(Host& host, int status, std::int64_t begun_ns);
  void judge(Host& host, int status);
  bool begin_retry(Client* c);
  void wait_for(Client* c, Host* host);
  void stop_waiting(Client* c);
  void call_next(Host* host);
  void feed_hungry();
  void feed(Host& host);
  void collect_instances(GatewayStats& out) const;

  // health checks
  void adopt_checks(Cluster& cluster, const std::optional<traffic::HealthCheck>& policy);
  void stop_checks(Host& host);
  void begin_check(Host& host);
  void check_event(Check* check, std::uint32_t events);
  void read_check(Check* check);
  void check_ended(Host& host, bool passed);
  Duration check_interval(const Cluster& cluster) const;

  // tunnels
  void begin_tcp(Client* c);
  void tcp_failed(Client* c, Host& host);
  void begin_tunnel(Client* c, TargetStats& stats, Duration idle, Duration otherwise);
  void begin_upgrade(Upstream* u, std::string_view early);
  void tunnel_event(Upstream* u, std::uint32_t events);
  void tunnel_up(Client* c, std::string_view bytes);
  void tunnel_down(Upstream* u);
  void tunnel_flush_up(Client* c);
  void tunnel_flushed_down(Client* c);
  void tunnel_client_ended(Client* c);
  void tunnel_upstream_ended(Client* c);
  void tunnel_broken(Client* c);
  void pass_on_client_end(Client* c);
  bool tunnel_blocked(const Client* c) const;
  void touch_tunnel(Client* c);
  void end_tunnel(Client* c);

  // mirrors
  void mirror(Client* c);
  void start_mirrored();

  // upstream side
  int open_connection(std::uint32_t ipv4, int port);
  void attempt(Client* c, bool fresh_only);
  void attempt_on(Client* c, Host* host, bool fresh_only);
  void begin_try(Upstream* u);
  Upstream* connect_to(Host* host);
  void flush_request(Client* c);
  void resume_upload(Client* c);
  void upstream_event(Upstream* u, std::uint32_t events);
  void upstream_readable(Upstream* u);
  void response_bytes(Upstream* u, char* bytes, std::size_t size);
  bool response_head(Upstream* u, std::string_view early);
  void remember_target(const Client* c);
  void response_body(Upstream* u, char* bytes, std::size_t size);
  void response_complete(Upstream* u, bool extra_bytes);
  void upstream_closed(Upstream* u, bool clean_end);
  bool may_resend(const Upstream* u, bool clean_end) const;
  void attempt_failed(Client* c, Failure failure, std::string reason);
  bool retry_later(Client* c, const traffic::AttemptOutcome& outcome);
  void arm_request_timer(Client* c);
  void stream_idle(Client* c);
  void request_timed_out(Client* c);
  void abort_response(Client* c, std::string_view flag);
  std::int64_t body_idle_ns(const Client* c) const;
  std::size_t pending_request(const Client* c) const;
  void drop_upstream(Upstream* u);
  void forget_idle(Upstream* u);
  void record(Client* c, int status);
  void count(Client* c, TargetStats& stats, int status);
  TargetStats& stats_of(const Client* c) const;
  const std::string& address_asked(const Client* c);
  void begin_exchange(Client* c);
  void observe(Client* c, int status);
  void begin_log(Client* c);
  void begin_log_of_nothing(Client* c);
  void name_in_log(Client* c);
  void finish_log(Client* c, int status);
  void flush_log();
  traffic::Dialect dialect_of(const Client* c) const;
  const std::string& date();

  Buffer* take_buffer();
  void give_buffer(Buffer*& buffer);
  TargetStats* stats_for(const StatsKey& key);
  TargetStats* mirror_stats_for(const StatsKey& key);
  void count_reply(std::string_view flag);

  const int number_;
  const int count_;
  const WorkerOptions options_;
  const WorkerTimeouts timeouts_;
  Random random_;
  int epoll_ = -1;
  int wake_ = -1;
  std::thread thread_;

  std::mutex inbox_mutex_;
  std::vector<std::function<void()>> inbox_;
  bool closed_ = false;  ///< under the mutex: no message will be run any more

  std::int64_t now_ns_ = 0;
  std::int64_t epoch_ns_ = 0;
  std::int64_t epoch_s_ = 0;
  std::int64_t date_epoch_s_ = -1;
  std::string date_;
  bool running_ = true;
  bool draining_ = false;
  std::int64_t drain_until_ns_ = 0;

  TimerWheel timers_;
  std::vector<char> scratch_;
  RequestHead request_;
  ResponseHead response_;
  std::string path_scratch_;
  std::string rewrite_scratch_;
  std::string head_out_;
  std::string tls_out_;
  std::string address_asked_;
  std::string tidied_;  // a head, as it may be read
  std::vector<traffic::HeaderView> views_;
  int spare_fd_ = -1;  ///< given up to refuse a connection when descriptors run out

  std::unique_ptr<Plan> plan_;                    // in force
  std::vector<std::unique_ptr<Plan>> old_plans_;  // still used by requests in flight
  std::map<int, std::unique_ptr<Slot>> slots_;
  std::map<std::string, std::unique_ptr<Cluster>> clusters_;
  std::vector<Host*> hungry_;
  std::vector<Buffer*> free_buffers_;
  std::vector<Connection*> dead_;
  Client* clients_ = nullptr;  // all of them, linked
  std::size_t client_count_ = 0;
  Client* oldest_idle_ = nullptr;  // those between two requests, linked
  Client* newest_idle_ = nullptr;
  std::size_t refusing_ = 0;
  std::vector<Client*> mirrored_;  // to be started at the end of the turn
  std::size_t mirrored_count_ = 0;
  std::map<StatsKey, std::unique_ptr<TargetStats>> target_stats_;
  std::map<StatsKey, std::unique_ptr<TargetStats>> mirror_stats_;
  bool observed_ = false;  // single requests are logged or kept for reading
  std::shared_ptr<AccessLog> log_;
  std::string log_lines_;
  std::int64_t log_flushed_ns_ = 0;
  RequestRing ring_;
  GatewayStats counts_;
  std::vector<std::pair<std::string_view, std::uint64_t>> replies_;  // by flag; flags are literals
};

}  // namespace coalmine::gateway
