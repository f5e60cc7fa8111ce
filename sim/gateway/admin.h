#pragma once

#include "sim/gateway/gateway.h"
#include "sim/net/http.h"

namespace coalmine::gateway {

/// Answers of the admin port, shaped like Envoy's: GET /server_info (state LIVE or
/// PRE_INITIALIZING), /ready, /stats (text, ?format=json), /metrics (Prometheus), /clusters
/// (text, ?format=json), /config_dump (the route table with its version).
net::Response admin_response(Gateway& gateway, const net::Request& request);

/// The pieces, for tests and other readers.
std::string stats_text(const GatewayStats& stats);
std::string prometheus_text(const GatewayStats& stats);

}  // namespace coalmine::gateway
