#include "mock-aws/dataplane/gateway_listener.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "mock-aws/services/appmesh/resource.h"

namespace coalmine::mock {
namespace {

using namespace appmesh;

void collect(const std::vector<traffic::Route>& routes, std::vector<std::string>& out) {
  for (const traffic::Route& route : routes) {
    const auto* fixed = std::get_if<traffic::FixedResponse>(&route.action);
    if (fixed != nullptr && fixed->status == 501 &&
        std::find(out.begin(), out.end(), fixed->reason) == out.end()) {
      out.push_back(fixed->reason);
    }
    if (const auto* chain = std::get_if<traffic::Chain>(&route.action)) collect(chain->routes, out);
  }
}

}  // namespace

traffic::Route refuse(std::string name, int status, std::string reason) {
  traffic::Route route;
  route.name = std::move(name);
  traffic::FixedResponse response;
  response.status = status;
  // Envoy answers these itself: an unknown route with an empty body, no upstream with this text.
  if (status == 503) response.body = "no healthy upstream";
  if (status == 501) response.body = reason;
  response.reason = std::move(reason);
  route.action = std::move(response);
  return route;
}

void set_tls(traffic::Listener& listener, const Json& spec) {
  const Json* tls = coalmine::find(spec, "tls");
  if (tls == nullptr || get_string(*tls, "mode") == "DISABLED") return;
  const auto cannot = [&](std::string_view why) {
    listener.routes = {
        refuse("tls", 501, fmt::format("listener {} wants TLS {}", listener.name, why))};
  };
  if (coalmine::find(*tls, "validation") != nullptr) {
    cannot("with client certificates, which are not checked here");
    return;
  }
  const Json* file = at(*tls, {"certificate", "file"});
  if (file == nullptr) {
    cannot(at(*tls, {"certificate", "acm"}) != nullptr
               ? "with a certificate from ACM, of which there is none here; use one from a file"
               : "with a certificate from SDS, which is not served here; use one from a file");
    return;
  }
  listener.tls = {get_string(*file, "certificateChain"), get_string(*file, "privateKey"),
                  get_string(*tls, "mode") == "PERMISSIVE"};
}

std::vector<std::string> problems_of(const traffic::RouteTable& table, const Json& spec) {
  std::vector<std::string> out;
  for (const Json& listener : listeners_of(spec)) {
    const std::string protocol = listener_protocol(listener);
    if (protocol == "http") continue;
    out.push_back(fmt::format("listener {}: {} is asked for, only HTTP/1.1 is served",
                              listener_port(listener), protocol));
  }
  if (at(spec, {"logging", "accessLog", "file", "format"}) != nullptr) {
    out.push_back("the access log has Envoy's default fields as JSON, not the format asked for");
  }
  for (const traffic::Listener& listener : table.listeners) collect(listener.routes, out);
  return out;
}

}  // namespace coalmine::mock
