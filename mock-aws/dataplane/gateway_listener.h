// What a virtual gateway's listener says about the connections it takes.
#pragma once

#include <string>
#include <vector>

#include "sim/core/json.h"
#include "sim/traffic/route_table.h"

namespace coalmine::mock {

/// A route for all requests that answers `status` and says why.
traffic::Route refuse(std::string name, int status, std::string reason);

/// `spec.tls`: certificates in files are served; one from ACM or the Envoy secret discovery
/// service, and clients that must show a certificate, cannot be had here: all requests are refused
/// then.
void set_tls(traffic::Listener& listener, const Json& spec);

/// What the table does not do of a gateway's spec, in words: protocols beyond HTTP/1.1, formats of
/// the access log, and every reason for a 501.
std::vector<std::string> problems_of(const traffic::RouteTable& table, const Json& spec);

}  // namespace coalmine::mock
