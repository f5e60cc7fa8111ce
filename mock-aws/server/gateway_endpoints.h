#pragma once

#include "mock-aws/server/server.h"

namespace coalmine::mock {

/// What gateways and sidecars ask the control plane, over a CloudBackend:
///   GET  /_coalmine/routes?virtual-gateway=MESH/NAME|load-balancer=NAME&scope=A/R&after=VERSION
///   POST /_coalmine/metrics       what a gateway counted since its last report
///   GET  /_coalmine/virtual-node?mesh=M&name=N&scope=A/R
MockServer::Endpoints gateway_endpoints();

}  // namespace coalmine::mock
