// The ten-step set-up of the canary tutorial, in two name patterns, for tests of the compiler.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "mock-aws/dataplane/route_compiler.h"
#include "mock-aws/services/cloudmap/cloudmap.h"
#include "tests/support/service_harness.h"

namespace coalmine::test {

/// How one set-up calls its things.
struct Names {
  std::string mesh, node1, node2, router, route, service, gateway, gateway_route;
  std::string space, host1, host2;  ///< namespace; Cloud Map services below it
  int node_port = 9000, router_port = 9000;
  Json rewrite;  ///< null: none given
};

/// The starter's console pattern: the virtual service is a name in the namespace.
inline Names console_names() {
  return {"my-app",
          "my-app-virtual-node-1",
          "my-app-virtual-node-2",
          "my-app-virtual-router",
          "my-app-route",
          "svc1-v1.my-app.local",
          "my-app-virtual-gateway",
          "my-app-gateway-route",
          "my-app.local",
          "svc1-v1",
          "svc1-v2",
          9000,
          9000,
          nullptr};
}

/// The pipeline's pattern: router port unlike the nodes', virtual service outside the namespace,
/// rewrites spelt out.
inline Names pipeline_names() {
  return {"shop-mesh",
          "shop-mesh-service1-v1-vn-1",
          "shop-mesh-service1-v2-vn-2",
          "shop-mesh-virtual-router",
          "shop-mesh-virtual-route",
          "service1-v1.dev-shop.local",
          "shop-mesh-virtual-gateway",
          "shop-mesh-virtual-gateway-route",
          "dev.shop.local",
          "service1-v1",
          "service1-v2",
          3000,
          8080,
          Json{{"hostname", {{"defaultTargetHostname", "ENABLED"}}},
               {"prefix", {{"defaultPrefix", "ENABLED"}}}}};
}

/// App Mesh and Cloud Map of one scope, and calls into them.
struct MeshLab {
  RecordingSink sink;
  mock::AppMesh app_mesh{mock::Scope{}, Random{1}, sink};
  mock::CloudMap cloud_map{mock::Scope{}, Random{2}, sink};
  Caller mesh{app_mesh};
  Caller map{cloud_map};
  std::string mesh_name = "m";

  Json listeners(int port, const char* protocol = "http") {
    return {{{"portMapping", {{"port", port}, {"protocol", protocol}}}}};
  }
  void put(const std::string& operation, Json input) {
    input["meshName"] = mesh_name;
    mesh.ok(operation, input);
  }

  /// A namespace with services, and one instance of each at 127.1.0.2, 127.1.0.3, ...
  void discoverable(const std::string& space, const std::vector<std::string>& services) {
    const Json reply = map.ok("CreatePrivateDnsNamespace", {{"Name", space}, {"Vpc", "vpc-1"}});
    map.now += std::chrono::seconds{1};
    const Json id = map.ok("GetOperation", reply).at("Operation").at("Targets").at("NAMESPACE");
    int host = 2;
    for (const std::string& name : services) {
      const std::string service =
          map.ok("CreateService", {{"Name", name},
                                   {"NamespaceId", id},
                                   {"DnsConfig", {{"DnsRecords", {{{"Type", "A"}, {"TTL", 60}}}}}}})
              .at("Service")
              .at("Id");
      cloud_map.register_instance(service, "task-" + name,
                                  {{"AWS_INSTANCE_IPV4", fmt::format("127.1.0.{}", host++)}},
                                  map.now);
    }
  }

  void node(const std::string& name, const std::string& host, int port) {
    put("CreateVirtualNode", {{"virtualNodeName", name},
                              {"spec",
                               {{"listeners", listeners(port)},
                                {"serviceDiscovery", {{"dns", {{"hostname", host}}}}}}}});
  }

  /// Steps 1 to 7 with 99:1; `host1`, `host2` are the nodes' DNS host names.
  void ten_steps(const Names& names, const std::string& host1, const std::string& host2) {
    mesh_name = names.mesh;
    put("CreateMesh", Json::object());
    node(names.node1, host1, names.node_port);
    node(names.node2, host2, names.node_port);
    put("CreateVirtualRouter", {{"virtualRouterName", names.router},
                                {"spec", {{"listeners", listeners(names.router_port)}}}});
    put("CreateVirtualService",
        {{"virtualServiceName", names.service},
         {"spec", {{"provider", {{"virtualRouter", {{"virtualRouterName", names.router}}}}}}}});
    put("CreateRoute", {{"virtualRouterName", names.router},
                        {"routeName", names.route},
                        {"spec",
                         {{"httpRoute",
                           {{"match", {{"prefix", "/"}}},
                            {"action",
                             {{"weightedTargets",
                               {{{"virtualNode", names.node1}, {"weight", 99}},
                                {{"virtualNode", names.node2}, {"weight", 1}}}}}}}}}}});
    put("CreateVirtualGateway",
        {{"virtualGatewayName", names.gateway}, {"spec", {{"listeners", listeners(9080)}}}});
    Json action = {{"target", {{"virtualService", {{"virtualServiceName", names.service}}}}}};
    if (!names.rewrite.is_null()) action["rewrite"] = names.rewrite;
    put("CreateGatewayRoute",
        {{"virtualGatewayName", names.gateway},
         {"gatewayRouteName", names.gateway_route},
         {"spec", {{"httpRoute", {{"match", {{"prefix", "/"}}}, {"action", action}}}}}});
  }
  void ten_steps(const Names& names) {
    discoverable(names.space, {names.host1, names.host2});
    ten_steps(names, names.host1 + "." + names.space, names.host2 + "." + names.space);
  }

  traffic::RouteTable compile(const std::string& gateway) {
    const auto table = mock::compile_virtual_gateway(app_mesh, cloud_map, mesh_name, gateway, 7);
    EXPECT_TRUE(table) << (table ? "" : table.error().message);
    if (table) {  // what is compiled must be what a gateway takes, unchanged
      const auto read = traffic::route_table_from_json(traffic::to_json(*table));
      EXPECT_TRUE(read) << read.error().message;
      if (read) {
        EXPECT_EQ(*read, *table);
      }
    }
    return table ? *table : traffic::RouteTable{};
  }
};

}  // namespace coalmine::test
