#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/core/result.h"
#include "sim/traffic/match.h"
#include "sim/traffic/path_index.h"
#include "sim/traffic/pick.h"
#include "sim/traffic/request.h"
#include "sim/traffic/retry.h"
#include "sim/traffic/route_table.h"

namespace coalmine::traffic {

/// A weighted target made ready: which of its instances may take requests.
struct TargetIndex {
  const Target* target = nullptr;
  /// The healthy instances; all of them if none is healthy and the forward fails open.
  std::vector<const Instance*> usable;
  std::size_t id = 0;       ///< dense over the whole table, for per-target state of the caller
  std::size_t cluster = 0;  ///< in RouteIndex::clusters()
  Timeouts timeouts;        ///< the target's own or its route's
  Duration per_try{};       ///< zero: none, or it would not end before the request's timeout
};

/// A target as something to connect to (Envoy's cluster). Targets of one name with the same
/// instances and policies are one cluster, whatever routes lead there: a virtual node behind two
/// routes has one set of connections and is ejected once.
struct ClusterIndex {
  /// The target's name; with "@LISTENER/ROUTE" if differing targets share it.
  std::string name;
  const Target* target = nullptr;
  EmptyPolicy empty = EmptyPolicy::Refuse;
};

struct ForwardIndex {
  const Forward* forward = nullptr;
  std::string listener;    ///< name, or ":PORT"
  std::string route_name;  ///< "gateway-route/route", for metrics
  std::vector<TargetIndex> targets;
  std::uint64_t total_weight = 0;
  RetryConditions retry_on;
  std::shared_ptr<ExactOrder> exact;  ///< set for Selection::Exact
  std::uint64_t max_body_bytes = 0;   ///< the route's own or its listener's; 0: no limit
  /// Where copies of requests go: a forward with one target and neither retries nor limits.
  std::unique_ptr<ForwardIndex> mirror;
  std::uint32_t mirror_ppm = 0;              ///< copies per million requests
  std::unique_ptr<const Forward> described;  ///< of a mirror: what `forward` points to

  /// The next pick by the forward's selection; total_weight must not be 0.
  std::size_t choose(std::uint64_t draw) const {
    return exact ? exact->next() : pick(forward->targets, scale_draw(draw, total_weight));
  }
};

struct RouteEntry {
  const Route* route = nullptr;
  RouteMatcher matcher;
  std::unique_ptr<ForwardIndex> forward;  ///< if the action forwards
  std::vector<RouteEntry> chain;          ///< if it goes on to a virtual service
  PathIndex chain_paths;
};

struct ListenerIndex {
  const Listener* listener = nullptr;
  std::vector<RouteEntry> routes;
  PathIndex paths;
};

/// Why a request is answered here instead of being forwarded.
enum class Refusal : std::uint8_t {
  None,
  NoRoute,     ///< no route matches: 404
  NoProvider,  ///< the virtual service has no routes at all: 503
  NoWeight,    ///< all targets have weight 0: 503
  NoInstance,  ///< the picked target has no usable instance: 503
};

/// What is to happen to one request. Views point into the request, the index or the scratch.
struct Decision {
  Refusal refusal = Refusal::None;
  const Route* route = nullptr;           ///< the deepest one that matched
  const ForwardIndex* forward = nullptr;  ///< null if refused before a pick, or answered
  std::size_t target = 0;                 ///< index in forward->targets
  bool kept = false;                      ///< the target is the one that the user met before
  const FixedResponse* fixed = nullptr;
  const Redirect* redirect = nullptr;
  std::string_view path;     ///< to send on, without the query
  std::string_view host;     ///< to send on; empty: unchanged
  std::string_view service;  ///< the virtual service passed through, if any

  const TargetIndex& chosen() const { return forward->targets[target]; }
};

struct IndexOptions {
  std::optional<Selection> selection;  ///< overrides the table's, for every route
};

/// A snapshot made fast: regexes compiled, instances sorted out, orders of exact selection laid.
/// Immutable but for the counters of exact selection. It holds its snapshot.
class RouteIndex {
 public:
  /// `previous`, the index being replaced, hands the lags of exact selection on. Errors: what
  /// validate() finds.
  static Result<std::shared_ptr<const RouteIndex>> compile(Snapshot table,
                                                           const RouteIndex* previous = nullptr,
                                                           IndexOptions options = {});

  const RouteTable& table() const { return *table_; }
  const Snapshot& snapshot() const { return table_; }
  const ListenerIndex* listener(int port) const;
  const std::vector<ListenerIndex>& listeners() const { return listeners_; }
  /// Every forward of the table, in order.
  const std::vector<const ForwardIndex*>& forwards() const { return forwards_; }
  /// And every mirror.
  const std::vector<const ForwardIndex*>& mirrors() const { return mirrors_; }
  std::size_t target_count() const { return target_count_; }
  const std::vector<ClusterIndex>& clusters() const { return clusters_; }

 private:
  Result<std::vector<RouteEntry>> compile_routes(const std::vector<Route>& routes,
                                                 const Listener& listener, const std::string& above,
                                                 const RouteIndex* previous, IndexOptions options);
  Result<std::unique_ptr<ForwardIndex>> compile_forward(const Forward& forward,
                                                        const Listener& listener, std::string name,
                                                        const RouteIndex* previous,
                                                        IndexOptions options);

  Snapshot table_;
  std::vector<ListenerIndex> listeners_;
  std::size_t cluster_of(const Target& target, const ForwardIndex& forward);
  void shorten_cluster_names();

  void compile_targets(ForwardIndex& out);
  void compile_mirror(const Mirror& mirror, ForwardIndex& out);

  std::vector<const ForwardIndex*> forwards_;
  std::vector<const ForwardIndex*> mirrors_;
  std::vector<ClusterIndex> clusters_;
  std::size_t target_count_ = 0;
};

/// Where `request` goes: the first matching route, its rewrites, below a virtual service the
/// same again, then the weighted pick by `draw` (64 random bits). `scratch` holds a rewritten
/// path and may be reused; nothing is allocated unless a path has to be rewritten. Used by the
/// gateway and by the virtual world alike.
Decision resolve(const ListenerIndex& listener, const RequestView& request, std::uint64_t draw,
                 std::string& scratch);

/// An answer given here.
struct LocalReply {
  int status = 503;
  std::string content_type;  ///< empty: no body
  std::string body;
  std::string reason;       ///< for x-coalmine-reason: what exactly is missing
  std::string location;     ///< of redirects
  std::string_view flag;    ///< Envoy's response flag: NR, UH, ...; a literal
  bool overloaded = false;  ///< say so in x-envoy-overloaded
};

/// The answer to a decision that does not forward. `scheme` and `port` are the listener's.
LocalReply local_reply(const Decision& decision, const Listener& listener,
                       const RequestView& request, std::string_view scheme = "http");

/// Every rule a table must keep beyond its types: names, ranges, limits, regexes. The error
/// names the place as a JSON path: listeners[0].routes[2].targets: ...
Status validate(const RouteTable& table);

}  // namespace coalmine::traffic
