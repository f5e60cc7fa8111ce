#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sim/net/http.h"

namespace coalmine::mock {

/// Which names a page or control request may call us by. A browser on a hostile page can be
/// made to resolve any name to 127.0.0.1, but it cannot hide the name: it is in Host and Origin.
struct HostPolicy {
  std::string bind_host = "127.0.0.1";
  std::vector<std::string> allowed;  ///< further names, as in a compose file
};

/// `host` is HOST[:PORT]. Allowed: localhost and *.localhost, 127.0.0.0/8, ::1, the bind host,
/// what the policy adds, and each with "data-" before it, which AWS SDKs do for Cloud Map. Bound
/// beyond loopback also any IP address, and names without a dot, as services have in a compose
/// file or a Kubernetes namespace: nobody can register such a name for a hostile page.
bool host_allowed(std::string_view host, const HostPolicy& policy);

/// Empty if Host and, when there is one, Origin are allowed; else what to tell the client.
std::string why_not_allowed(const net::Request& request, const HostPolicy& policy);

}  // namespace coalmine::mock
