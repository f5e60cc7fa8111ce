// sim/traffic: which target does a request go to?
//
// A RouteTable says which weighted targets serve which requests; match() finds the route and
// pick() chooses the target. Health, retries and outlier ejection are small state machines
// beside it; fault models describe misbehaving versions. Nothing here does I/O, reads a clock
// or owns a thread: the gateway and the engine both stand on it, which is why a scenario ends
// the same way live and in virtual time.
//
//   request -> match() -> Route -> pick() -> Target -> (health, retry) -> next or give up
//
// Below: sim/core. Above: sim/gateway, sim/engine, mock-aws/dataplane.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "sim/core/json.h"
#include "sim/core/result.h"
#include "sim/core/time.h"
#include "sim/traffic/target_policy.h"

namespace coalmine::traffic {

inline constexpr std::size_t kMaxTargets = 10;  ///< App Mesh: 10 weighted targets, ALB: 5
inline constexpr std::size_t kMaxNesting = 4;   ///< gateway route -> virtual service -> route

/// One running copy of a version.
struct Instance {
  std::string id;       ///< task id, or the address again
  std::string address;  ///< IPv4
  int port = 0;
  bool healthy = true;
  bool operator==(const Instance&) const = default;
};

struct Timeouts {
  Duration request = std::chrono::seconds{15};  ///< whole request, retries included; zero: none
  Duration idle{};                              ///< without a byte in either direction; zero: none
  bool operator==(const Timeouts&) const = default;
};

/// A version behind a route: an App Mesh virtual node or an ALB target group.
struct Target {
  std::string name;          ///< the virtual node's or target group's name
  std::uint32_t weight = 1;  ///< relative; 0 takes no traffic
  std::vector<Instance> instances;
  /// Why there are no instances, for the 503's reason header:
  /// "cloud map service v1.app.local is not registered".
  std::string unavailable;
  std::optional<Timeouts> timeouts;  ///< instead of the route's, for requests that go here
  std::optional<OutlierPolicy> outlier;
  PoolLimits pool;
  std::optional<HealthCheck> health_check;
  /// Below this share of usable ones among the instances that count as members, all of them take
  /// requests; 0: never.
  int panic_percent = kDefaultPanicPercent;
  bool operator==(const Target&) const = default;
};

/// How one string is compared; exactly one way.
struct StringMatch {
  enum class Kind { Exact, Prefix, Suffix, Regex, Range, Present, Wildcard };
  Kind kind = Kind::Present;
  std::string value;
  std::int64_t start = 0;  ///< Range: [start, end), of the value read as an integer
  std::int64_t end = 0;
  bool invert = false;       ///< a missing header never matches a value matcher, inverted or not
  bool ignore_case = false;  ///< ALB host and query conditions
  bool operator==(const StringMatch&) const = default;
};

struct FieldMatch {
  std::string name;
  std::vector<StringMatch> any_of;  ///< alternatives (ALB); App Mesh has one
  bool operator==(const FieldMatch&) const = default;
};

/// All given conditions must hold.
struct RouteMatch {
  std::vector<StringMatch> path;  ///< alternatives; empty = any. The path without the query
  std::vector<StringMatch> host;  ///< alternatives; empty = any. Without the port
  std::vector<std::string> methods;
  std::vector<FieldMatch> headers;
  std::vector<FieldMatch> query;
  std::vector<std::string> source_cidrs;
  bool operator==(const RouteMatch&) const = default;
};

/// What a gateway route changes before the request goes on.
struct Rewrite {
  std::optional<std::string> hostname;
  std::optional<std::string> prefix;  ///< replaces the matched prefix
  std::optional<std::string> path;    ///< replaces the whole path
  bool operator==(const Rewrite&) const = default;
};

struct RetryPolicy {
  std::vector<std::string> on;  ///< Envoy's names: 5xx, gateway-error, reset, connect-failure, ...
  int max_retries = 0;
  Duration per_try_timeout{};  ///< zero: none; ignored if not below the request's (Envoy)
  bool operator==(const RetryPolicy&) const = default;
};

struct Stickiness {
  Duration duration{};  ///< of the target group cookie AWSALBTG; zero: off
  bool operator==(const Stickiness&) const = default;
};

/// Random draws anew for every request, as Envoy and ALB do; Exact follows a balanced order
/// (facts: chairman assignment of Tijdeman 1980).
enum class Selection { Random, Exact };

/// Envoy gives 503 when no healthy instance is left; ALB fails open to all.
enum class EmptyPolicy { Refuse, FailOpen };

/// A copy of some requests goes to another target, whose answers are thrown away (Envoy:
/// request_mirror_policies).
struct Mirror {
  std::string target;           ///< the name of one of the route's targets; or
  std::optional<Target> other;  ///< one that takes nothing else
  double percent = 100;         ///< of the requests, to 0.0001
  bool operator==(const Mirror&) const = default;
};

struct Forward {
  std::vector<Target> targets;
  Selection selection = Selection::Random;
  EmptyPolicy empty = EmptyPolicy::Refuse;
  RetryPolicy retry;
  Timeouts timeouts;
  Stickiness stickiness;
  std::optional<Mirror> mirror;
  std::optional<std::uint64_t> max_body_bytes;  ///< instead of the listener's
  bool operator==(const Forward&) const = default;
};

struct FixedResponse {
  int status = 503;
  std::string content_type = "text/plain";
  std::string body;
  std::string reason;  ///< for the reason header of a refusal
  bool operator==(const FixedResponse&) const = default;
};

struct Redirect {
  int status = 302;
  std::string protocol = "#{protocol}", host = "#{host}", port = "#{port}", path = "/#{path}",
              query = "#{query}";
  bool operator==(const Redirect&) const = default;
};

struct Route;

/// A gateway route's virtual service: match again below it, after the rewrite.
struct Chain {
  std::string name;  ///< the virtual service
  std::vector<Route> routes;
  bool operator==(const Chain&) const;
};

struct Route {
  std::string name;
  std::optional<int> priority;  ///< lower first, none last; the compiler has sorted by it already
  RouteMatch match;
  Rewrite rewrite;
  std::variant<Forward, Chain, FixedResponse, Redirect> action;
  bool operator==(const Route&) const = default;
};

inline bool Chain::operator==(const Chain& other) const {
  return name == other.name && routes == other.routes;
}

enum class Dialect { Envoy, Alb };  ///< whose local replies and header rules a listener follows

/// What an ALB does with requests that can be read in more than one way (ALB user guide, desync
/// mitigation mode).
enum class DesyncMode { Defensive, Strictest, Monitor };

/// TLS that a listener speaks. Files are read by the gateway, when it takes the table.
struct ListenerTls {
  std::string certificate;  ///< file with the certificate and its chain (PEM)
  std::string key;          ///< file with its private key (PEM)
  bool permissive = false;  ///< takes plain text as well (App Mesh: PERMISSIVE)
  bool operator==(const ListenerTls&) const = default;
};

/// What a listener takes from its clients. Connections of a Tcp listener are spread by the weights
/// of its only route, one pick per connection.
enum class Protocol { Http, Tcp };

struct Listener {
  std::string name;
  int port = 0;
  Dialect dialect = Dialect::Envoy;
  std::vector<Route> routes;  ///< in the order they are tried; the first match wins
  Protocol protocol = Protocol::Http;
  std::optional<ListenerTls> tls;
  /// Of a request body; beyond: 413. 0: no limit, for bodies are streamed.
  std::uint64_t max_body_bytes = 0;
  /// Of the Alb dialect; Envoy's reading is always the strict one.
  DesyncMode desync = DesyncMode::Defensive;
  bool drop_invalid_headers = false;  ///< of the Alb dialect: names other than [-A-Za-z0-9]+
  bool operator==(const Listener&) const = default;
};

/// An immutable snapshot of everything a gateway needs. Build a new one, never edit.
struct RouteTable {
  std::uint64_t version = 0;        ///< +1 per control-plane change
  std::string name;                 ///< "mesh/gateway" or the load balancer's name
  std::vector<Listener> listeners;  ///< sorted by port
  std::string access_log;           ///< file for the gateway's access log; empty: none
  /// What the control plane asks for and this table does not do, for people to read.
  std::vector<std::string> problems;
  bool operator==(const RouteTable&) const = default;
};
using Snapshot = std::shared_ptr<const RouteTable>;

/// The JSON of `gateway --routes`, /config_dump and the control plane's stream (design: Static
/// routes). Short forms are read too: "match":{"prefix":"/"}, "instances":["127.0.0.1:9001"].
/// A target's policies, all optional:
///   "timeouts": {"request": "15s", "idle": "5m"}
///   "outlier": {"consecutive_errors": 5, "interval": "10s", "base_ejection": "30s",
///               "max_ejection": "5m", "max_ejection_percent": 10, "always_eject_one": true,
///               "consecutive_gateway_errors": 3,
///               "success_rate": {"minimum_hosts": 5, "request_volume": 100, "stdev_factor": 1.9}}
///   "pool": {"max_connections": 100, "max_pending": 10, "max_retries": 3}
///   "health_check": {"protocol": "http", "path": "/ping", "port": 9001, "interval": "30s",
///                    "no_traffic_interval": "60s", "timeout": "5s", "healthy_threshold": 2,
///                    "unhealthy_threshold": 2}
///   "panic_percent": 50
/// Unknown keys, weights out of range, empty target lists are errors with their JSON path.
Result<RouteTable> route_table_from_json(const Json& json);
Json to_json(const RouteTable& table);

}  // namespace coalmine::traffic
