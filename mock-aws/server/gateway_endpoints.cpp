#include "mock-aws/server/gateway_endpoints.h"

#include <charconv>
#include <chrono>
#include <nlohmann/json.hpp>

#include "mock-aws/dataplane/load_balancer.h"
#include "mock-aws/dataplane/metrics.h"
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

net::Response serve_routes(const net::Request& request, MockServer& server) {
  Query query = query_of(request);
  const Scope scope = scope_of(query);
  std::uint64_t after = 0;
  const std::string& text = query["after"];
  std::from_chars(text.data(), text.data() + text.size(), after);
  const auto deadline = std::chrono::steady_clock::now() + kRoutesWait;
  for (;;) {
    const std::uint64_t seen = server.changes();
    std::optional<net::Response> answer;
    with_region(server, scope, [&](Region& region, TimePoint) {
      const std::uint64_t version = region.dataplane_revision() + 1;
      if (version == after) return;
      const auto table = compile(region, query, version);
      answer = table ? ok(traffic::to_json(*table)) : refuse(404, table.error().message);
    });
    if (answer) return *std::move(answer);
    const auto left = deadline - std::chrono::steady_clock::now();
    if (left <= Duration::zero() || !server.running()) return net::text_response(204, "");
    server.wait_for_change(seen, left);
  }
}

net::Response serve_metrics(const net::Request& request, MockServer& server) {
  const auto body = parse_json(request.body, "body");
  if (!body) return refuse(400, body.error().message);
  auto report = parse_gateway_report(*body);
  if (!report) return refuse(400, report.error().message);
  with_region(server, report->scope, [&](Region& region, TimePoint now) {
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

MockServer::Endpoints gateway_endpoints() {
  return {{"/_coalmine/routes", serve_routes},
          {"/_coalmine/metrics", serve_metrics},
          {"/_coalmine/virtual-node", serve_virtual_node}};
}

}  // namespace coalmine::mock
