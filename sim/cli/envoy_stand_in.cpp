#include "sim/cli/envoy_stand_in.h"

#include <signal.h>

#include <charconv>

#include "sim/net/http.h"

namespace coalmine::cli {
namespace {

/// Asked on every request: health checks come seconds apart, and a node may appear later.
bool node_exists(const EnvoyStandInOptions& options) {
  net::ClientOptions limits;
  limits.connect_timeout = limits.read_timeout = std::chrono::seconds{1};
  const auto client = net::Client::open(options.control, limits);
  if (!client) return false;
  net::Request request;
  request.target = fmt::format("/_coalmine/virtual-node?mesh={}&name={}&scope={}",
                               net::percent_encode(options.mesh), net::percent_encode(options.node),
                               net::percent_encode(options.scope));
  const auto response = (*client)->send(request);
  return response && response->status == 200;
}

net::Response answer(const EnvoyStandInOptions& options, const net::Request& request) {
  const bool live = node_exists(options);
  if (request.path() == "/server_info") return net::json_response(200, server_info(options, live));
  if (request.path() == "/ready") {
    return net::text_response(live ? 200 : 503, live ? "LIVE\n" : "PRE_INITIALIZING\n");
  }
  return net::text_response(404, "the stand-in for Envoy serves /server_info and /ready only\n");
}

}  // namespace

std::string server_info(const EnvoyStandInOptions& options, bool live) {
  // One field a line, as Envoy prints it: health checks grep for the state.
  return fmt::format(
      "{{\n \"version\": \"coalmine-stand-in/{}/Clean/RELEASE/none\",\n \"state\": \"{}\",\n "
      "\"node\": {{\n  \"id\": \"mesh/{}/virtualNode/{}\"\n }}\n}}\n",
      COALMINE_VERSION, live ? "LIVE" : "PRE_INITIALIZING", options.mesh, options.node);
}

Status run_envoy_stand_in(const EnvoyStandInOptions& options) {
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGINT);
  sigaddset(&ends, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  const auto colon = options.admin.rfind(':');
  int port = 0;
  if (colon != std::string::npos) {
    const char* end = options.admin.data() + options.admin.size();
    const auto parsed = std::from_chars(options.admin.data() + colon + 1, end, port);
    if (parsed.ec != std::errc{} || parsed.ptr != end) port = 0;
  }
  if (port < 1 || port > 65535) {
    return error("--admin is \"{}\", expected HOST:PORT with a port from 1 to 65535",
                 options.admin);
  }
  TRY(const auto server,
      net::Server::listen(options.admin.substr(0, colon), port,
                          [&](const net::Request& request) { return answer(options, request); }));
  int received = 0;
  sigwait(&ends, &received);
  server->stop();
  return {};
}

}  // namespace coalmine::cli
