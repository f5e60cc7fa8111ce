#include "mock-aws/dataplane/route_compiler.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "mock-aws/dataplane/discovery.h"
#include "mock-aws/dataplane/gateway_listener.h"
#include "mock-aws/dataplane/node_policies.h"
#include "mock-aws/dataplane/route_match.h"
#include "mock-aws/services/appmesh/resource.h"
#include "sim/traffic/retry.h"

namespace coalmine::mock {
namespace {

using namespace appmesh;
using traffic::Chain;
using traffic::Forward;
using traffic::Route;

/// One compilation: the state it reads, and the mesh it is about.
struct Compiler {
  const AppMesh& app_mesh;
  const InstanceRegistry& registry;
  const std::string& mesh;

  Route gateway_route(const Resource& resource) const;
  std::vector<Route> provided_by_router(const Resource& service, const std::string& router,
                                        std::optional<int> port) const;
  std::vector<Route> provided_by_node(const std::string& node) const;
  std::vector<Route> service_routes(const std::string& name, std::optional<int> port) const;
  Route route(const Resource& resource) const;
  traffic::Target target(const std::string& node, std::uint32_t weight, std::optional<int> port,
                         const traffic::Timeouts& route_timeouts) const;
};

// --- timeouts and retries ----------------------------------------------------------------------

traffic::RetryPolicy retries_of(const Json& body) {
  const Json* policy = coalmine::find(body, "retryPolicy");
  if (policy == nullptr) return traffic::app_mesh_default_retries();
  traffic::RetryPolicy out;
  for (const char* member : {"httpRetryEvents", "tcpRetryEvents"}) {
    if (const Json* events = coalmine::find(*policy, member)) {
      for (const Json& event : *events) out.on.push_back(event.get<std::string>());
    }
  }
  out.max_retries = static_cast<int>(get_int(*policy, "maxRetries"));
  out.per_try_timeout = duration_at(*policy, {"perRetryTimeout"}).value_or(Duration::zero());
  return out;
}

/// Requests to the first target have the route's timeouts; a target says where its own differ.
void share_timeouts(Forward& forward) {
  forward.timeouts = *forward.targets.front().timeouts;
  for (traffic::Target& target : forward.targets) {
    if (target.timeouts == forward.timeouts) target.timeouts.reset();
  }
}

// --- routes of a virtual service ---------------------------------------------------------------

traffic::Target Compiler::target(const std::string& node, std::uint32_t weight,
                                 std::optional<int> port,
                                 const traffic::Timeouts& route_timeouts) const {
  traffic::Target out;
  out.name = node;
  out.weight = weight;
  Discovery found = discover_instances(app_mesh, registry, mesh, node, port);
  out.instances = std::move(found.instances);
  out.unavailable = std::move(found.unavailable);
  out.timeouts = route_timeouts;
  if (const Json* listener = node_listener(app_mesh, mesh, node, port)) {
    out.timeouts = lower_timeouts(route_timeouts, *listener);
    set_policies(out, *listener);
  }
  return out;
}

Route Compiler::route(const Resource& resource) const {
  const std::string& name = resource.key.name;
  if (resource.live_spec.is_null()) {
    return refuse(name, 503, fmt::format("all weights of route {} are 0", name));
  }
  const Json& spec = resource.live_spec;
  const RouteBody body = route_body(spec);
  Route out;
  out.name = name;
  if (coalmine::find(spec, "priority") != nullptr) {
    out.priority = static_cast<int>(get_int(spec, "priority"));
  }
  if (body.type != "httpRoute" && body.type != "http2Route") {
    Route refused =
        refuse(name, 501,
               fmt::format("route {} is a {}; only HTTP routes carry traffic", name, body.type));
    refused.priority = out.priority;
    return refused;
  }
  out.match = http_match(body.body->at("match"));
  Forward forward;
  forward.retry = retries_of(*body.body);
  const traffic::Timeouts timeouts = timeouts_of(at(*body.body, {"timeout"}));
  for (const Json& weighted : *at(*body.body, {"action", "weightedTargets"})) {
    const std::string node = get_string(weighted, "virtualNode");
    std::optional<int> port;
    if (const Json* given = coalmine::find(weighted, "port")) port = given->get<int>();
    const auto weight = static_cast<std::uint32_t>(get_int(weighted, "weight"));
    traffic::Target next = target(node, weight, port, timeouts);
    // A node listed twice is one target with both weights, unless its ports differ.
    const auto same = std::find_if(forward.targets.begin(), forward.targets.end(),
                                   [&](const auto& t) { return t.name == next.name; });
    if (same != forward.targets.end() && same->instances == next.instances) {
      same->weight += weight;
      continue;
    }
    if (same != forward.targets.end()) next.name += fmt::format(":{}", port.value_or(0));
    forward.targets.push_back(std::move(next));
  }
  share_timeouts(forward);
  out.action = std::move(forward);
  return out;
}

std::vector<Route> Compiler::provided_by_router(const Resource& service, const std::string& router,
                                                std::optional<int> port) const {
  std::vector<Route> routes;
  const auto resources = app_mesh.list(Kind::Route, mesh, router);
  for (const Resource* resource : resources) {
    const RouteBody body = route_body(resource->spec);
    const Json* match_port = body.body ? at(*body.body, {"match", "port"}) : nullptr;
    if (match_port != nullptr && port && match_port->get<int>() != *port) continue;
    routes.push_back(route(*resource));
  }
  if (routes.empty()) {
    return {refuse(service.key.name, 404,
                   fmt::format("virtual router {} has no route{}", router,
                               resources.empty() ? "" : fmt::format(" for port {}", *port)))};
  }
  sort_routes(routes);
  return routes;
}

std::vector<Route> Compiler::provided_by_node(const std::string& node) const {
  Route route;
  route.name = node;
  Forward forward;
  forward.retry = traffic::app_mesh_default_retries();
  forward.targets = {target(node, 1, std::nullopt, timeouts_of(nullptr))};
  share_timeouts(forward);
  route.action = std::move(forward);
  return {route};
}

std::vector<Route> Compiler::service_routes(const std::string& name,
                                            std::optional<int> port) const {
  const Resource* service = app_mesh.find({mesh, Kind::VirtualService, "", name});
  if (service == nullptr) {
    return {refuse(name, 503, fmt::format("virtual service {} does not exist", name))};
  }
  if (const Json* node = at(service->spec, {"provider", "virtualNode"})) {
    return provided_by_node(get_string(*node, "virtualNodeName"));
  }
  if (const Json* router = at(service->spec, {"provider", "virtualRouter"})) {
    return provided_by_router(*service, get_string(*router, "virtualRouterName"), port);
  }
  return {refuse(name, 503, fmt::format("virtual service {} has no provider", name))};
}

// --- the gateway -------------------------------------------------------------------------------

Route Compiler::gateway_route(const Resource& resource) const {
  const RouteBody body = route_body(resource.spec);
  const std::string& name = resource.key.name;
  Route out;
  out.name = name;
  if (coalmine::find(resource.spec, "priority") != nullptr) {
    out.priority = static_cast<int>(get_int(resource.spec, "priority"));
  }
  if (body.type == "grpcRoute") {
    Route refused = refuse(
        name, 501,
        fmt::format("gateway route {} is a grpcRoute; only HTTP routes carry traffic", name));
    refused.priority = out.priority;
    return refused;
  }
  const std::string service =
      get_string(*at(*body.body, {"action", "target", "virtualService"}), "virtualServiceName");
  const Json* port = at(*body.body, {"action", "target", "port"});
  out.match = http_match(body.body->at("match"));
  out.rewrite = gateway_rewrite(*body.body, service);
  out.action = Chain{
      service,
      service_routes(service, port == nullptr ? std::nullopt : std::optional(port->get<int>()))};
  return out;
}

}  // namespace

std::uint64_t data_plane_revision(const AppMesh& app_mesh, const InstanceRegistry& registry) {
  return app_mesh.revision() + registry.revision();  // both only rise
}

Result<traffic::RouteTable> compile_virtual_gateway(const AppMesh& app_mesh,
                                                    const InstanceRegistry& registry,
                                                    const std::string& mesh,
                                                    const std::string& gateway,
                                                    std::uint64_t version) {
  const Resource* resource = app_mesh.find({mesh, Kind::VirtualGateway, "", gateway});
  if (resource == nullptr) {
    std::vector<std::string> known;
    for (const Resource* other : app_mesh.list(Kind::Mesh, "")) {
      for (const Resource* each : app_mesh.list(Kind::VirtualGateway, other->key.name)) {
        known.push_back(each->key.mesh + "/" + each->key.name);
      }
    }
    return error(ErrorKind::Environment, "no virtual gateway {}/{}; known: {}", mesh, gateway,
                 known.empty() ? "none" : fmt::format("{}", fmt::join(known, ", ")));
  }
  const Compiler compiler{app_mesh, registry, mesh};
  traffic::RouteTable table;
  table.version = version;
  table.name = mesh + "/" + gateway;
  for (const Json& spec : listeners_of(resource->spec)) {
    traffic::Listener listener;
    listener.port = listener_port(spec);
    listener.name = fmt::format("{}:{}", gateway, listener.port);
    for (const Resource* route : app_mesh.list(Kind::GatewayRoute, mesh, gateway)) {
      const Json* port = at(*route_body(route->spec).body, {"match", "port"});
      if (port == nullptr || port->get<int>() == listener.port) {
        listener.routes.push_back(compiler.gateway_route(*route));
      }
    }
    sort_routes(listener.routes);
    set_tls(listener, spec);
    table.listeners.push_back(std::move(listener));
  }
  std::sort(table.listeners.begin(), table.listeners.end(),
            [](const auto& a, const auto& b) { return a.port < b.port; });
  if (const Json* log = at(resource->spec, {"logging", "accessLog", "file"})) {
    table.access_log = get_string(*log, "path");
  }
  table.problems = problems_of(table, resource->spec);
  return table;
}

}  // namespace coalmine::mock
