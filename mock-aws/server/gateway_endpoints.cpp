#include "mock-aws/server/gateway_endpoints.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <nlohmann/json.hpp>

#include "mock-aws/dataplane/load_balancer.h"
#include "mock-aws/dataplane/metrics.h"
#include "mock-aws/dataplane/propagation.h"
#include "mock-aws/dataplane/route_compiler.h"
#include "mock-aws/server/cloud_backend.h"
#include "mock-aws/services/appmesh/appmesh.h"
#include "mock-aws/services/cloudmap/cloudmap.h"
#include "mock-aws/services/cloudwatch/cloudwatch.h"
#include "mock-aws/services/elbv2/elbv2.h"

namespace coalmine::mock {
namespace {

/// A routes request waits so long for a change before it is answered 204.
constexpr std::chrono::seconds kRoutesWait{25};

net::Response ok(const Json& body) {
  return net::json_response(200, dump_json(body) + "\n");
}

net::Response refuse(int status, const std::string& message) {
  return net::json_response(status, dump_json(Json{{"message", message}}) + "\n");
}

using Query = std::map<std::string, std::string>;

Query query_of(const net::Request& request) {
  Query query;
  for (auto& [name, value] : net::parse_query(request.query())) query[name] = value;
  return query;
}

/// "MESH/NAME" or "ACCOUNT/REGION" in two; empty parts where there is no slash.
std::pair<std::string, std::string> split_pair(const std::string& text) {
  const auto slash = text.find('/');
  if (slash == std::string::npos) return {};
  return {text.substr(0, slash), text.substr(slash + 1)};
}

Scope scope_of(const Query& query) {
  const auto found = query.find("scope");
  if (found == query.end()) return {};
  auto [account, region] = split_pair(found->second);
  return {account, region};
}

template <typename Use>
auto with_region(MockServer& server, const Scope& scope, Use use) {
  return server.look_at_backend([&](Backend& backend, TimePoint now) {
    return use(static_cast<CloudBackend&>(backend).cloud().region(scope), now);
  });
}

Result<traffic::RouteTable> compile(Region& region, Query& query, std::uint64_t version) {
  if (query.count("load-balancer") > 0) {
    return compile_load_balancer(*region.elbv2, query["load-balancer"], version);
  }
  const auto [mesh, name] = split_pair(query["virtual-gateway"]);
  if (mesh.empty()) return error("name ?virtual-gateway=MESH/NAME or ?load-balancer=NAME");
  return compile_virtual_gateway(*region.appmesh, *region.cloudmap, mesh, name, version);
}

/// Weights and tasks of every target, for events.
void add_targets(const std::vector<traffic::Route>& routes, Json& weights, Json& tasks,
                 Json& healthy) {
  for (const traffic::Route& route : routes) {
    if (const auto* forward = std::get_if<traffic::Forward>(&route.action)) {
      for (const traffic::Target& target : forward->targets) {
        weights[route.name][target.name] = target.weight;
        tasks[target.name] = target.instances.size();
        healthy[target.name] =
            std::count_if(target.instances.begin(), target.instances.end(),
                          [](const traffic::Instance& one) { return one.healthy; });
      }
    } else if (const auto* chain = std::get_if<traffic::Chain>(&route.action)) {
      add_targets(chain->routes, weights, tasks, healthy);
    }
  }
}

/// The gateways that ask for routes, and how far each has come. Used with the backend locked.
class RouteFeeds {
 public:
  explicit RouteFeeds(const GatewayEndpointOptions& options) : options_(options) {}

  /// A table that is not `after`; null: there is none yet. Error: no such gateway.
  Result<traffic::Snapshot> table(Region& region, Query& query, std::uint64_t after, EventSink& log,
                                  TimePoint now) {
    Feed& feed = feeds_.try_emplace(key_of(query), options_.route_delay).first->second;
    const std::uint64_t revision = region.dataplane_revision() + 1;
    if (feed.revision != revision) {
      auto compiled = compile(region, query, revision);
      if (!compiled) {
        feeds_.erase(key_of(query));
        return tl::unexpected(compiled.error());
      }
      feed.propagation.observe(*std::move(compiled), now);
      feed.revision = revision;
    }
    if (feed.sent && feed.sent->version == after && feed.adopted != after) {
      feed.adopted = after;
      const std::string refused = value(query, "refused");
      if (refused.empty()) {
        tell(log, now, "routes.adopted", *feed.sent, query);
      } else {
        log.event(now, "routes.refused",
                  {{"gateway", gateway_of(query)}, {"version", after}, {"reason", refused}});
      }
    }
    traffic::Snapshot table = feed.propagation.visible(now);
    if (table->version == after) return nullptr;
    feed.sent = table;
    tell(log, now, "routes.sent", *table, query);
    return table;
  }

  /// When the gateway has to look again, though nothing happens: real time from now.
  Duration until_next(const Query& query, TimePoint now) const {
    const auto feed = feeds_.find(key_of(query));
    if (feed == feeds_.end() || feed->second.propagation.next() == kNever) return kForever;
    const Duration left = feed->second.propagation.next() - now;
    return from_seconds(to_seconds(std::max(left, Duration{})) / options_.speed) + kLookAgain;
  }

 private:
  static constexpr Duration kLookAgain = std::chrono::milliseconds{1};
  struct Feed {
    explicit Feed(Duration delay) : propagation(delay) {}
    Propagation propagation;
    std::uint64_t revision = 0;  ///< of what was compiled last; 0: nothing was
    traffic::Snapshot sent;
    std::uint64_t adopted = 0;
  };

  static std::string value(const Query& query, const char* name) {
    const auto at = query.find(name);
    return at == query.end() ? std::string() : at->second;
  }
  static std::string gateway_of(const Query& query) {
    return value(query, "virtual-gateway") + value(query, "load-balancer");
  }
  static std::string key_of(const Query& query) {
    return fmt::format("{}|{}|{}", value(query, "scope"), value(query, "virtual-gateway"),
                       value(query, "load-balancer"));
  }
  static void tell(EventSink& log, TimePoint now, std::string_view name,
                   const traffic::RouteTable& table, const Query& query) {
    Json weights = Json::object(), tasks = Json::object(), healthy = Json::object();
    for (const traffic::Listener& listener : table.listeners) {
      add_targets(listener.routes, weights, tasks, healthy);
    }
    log.event(now, name,
              {{"gateway", gateway_of(query)},
               {"version", table.version},
               {"weights", std::move(weights)},
               {"tasks", std::move(tasks)},
               {"healthy", std::move(healthy)}});
  }

  const GatewayEndpointOptions options_;
  std::map<std::string, Feed> feeds_;
};

net::Response serve_routes(const net::Request& request, MockServer& server, RouteFeeds& feeds) {
  Query query = query_of(request);
  const Scope scope = scope_of(query);
  std::uint64_t after = 0;
  const std::string& text = query["after"];
  std::from_chars(text.data(), text.data() + text.size(), after);
  const auto deadline = std::chrono::steady_clock::now() + kRoutesWait;
  for (;;) {
    const std::uint64_t seen = server.changes();
    std::optional<net::Response> answer;
    Duration pause = kForever;
    with_region(server, scope, [&](Region& region, TimePoint now) {
      const auto table = feeds.table(region, query, after, server.events(), now);
      if (!table) {
        answer = refuse(404, table.error().message);
      } else if (*table) {
        answer = ok(traffic::to_json(**table));
      }
      pause = feeds.until_next(query, now);
    });
    if (answer) return *std::move(answer);
    const Duration left = deadline - std::chrono::steady_clock::now();
    if (left <= Duration::zero() || !server.running()) return net::text_response(204, "");
    server.wait_for_change(seen, std::min(left, pause));
  }
}

net::Response serve_metrics(const net::Request& request, MockServer& server,
                            const std::function<bool(TimePoint)>& lost) {
  const auto body = parse_json(request.body, "body");
  if (!body) return refuse(400, body.error().message);
  auto report = parse_gateway_report(*body);
  if (!report) return refuse(400, report.error().message);
  with_region(server, report->scope, [&](Region& region, TimePoint now) {
    if (lost && lost(now)) return;
    report->time = now;  // the mock's clock may stand or run faster than the gateway's
    const MetricBatch batch = report->load_balancer.empty()
                                  ? app_mesh_metrics(*report)
                                  : load_balancer_metrics(*report, *region.elbv2);
    region.cloudwatch->put_metrics(batch.metric_namespace, batch.data, now);
  });
  return ok(Json::object());
}

/// A sidecar whose virtual node does not exist never gets a configuration.
net::Response serve_virtual_node(const net::Request& request, MockServer& server) {
  Query query = query_of(request);
  const bool found = with_region(server, scope_of(query), [&](Region& region, TimePoint) {
    return region.appmesh->find({query["mesh"], AppMesh::Kind::VirtualNode, "", query["name"]}) !=
           nullptr;
  });
  if (found) return ok(Json{{"status", "ACTIVE"}});
  return refuse(
      404, fmt::format("virtual node {} does not exist in mesh {}", query["name"], query["mesh"]));
}

}  // namespace

MockServer::Endpoints gateway_endpoints(const GatewayEndpointOptions& options) {
  const auto feeds = std::make_shared<RouteFeeds>(options);
  return {{"/_coalmine/routes",
           [feeds](const net::Request& request, MockServer& server) {
             return serve_routes(request, server, *feeds);
           }},
          {"/_coalmine/metrics",
           [lost = options.metrics_lost](const net::Request& request, MockServer& server) {
             return serve_metrics(request, server, lost);
           }},
          {"/_coalmine/virtual-node", serve_virtual_node}};
}

}  // namespace coalmine::mock
