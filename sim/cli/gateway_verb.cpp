#include <memory>

#include "sim/cli/envoy_stand_in.h"
#include "sim/cli/gateway_command.h"
#include "sim/cli/verbs.h"

namespace coalmine::cli {
namespace {

struct GatewayOptionsTyped {
  GatewayCommand command;
  bool stand_in = false;
  std::string node;
};

int run(const GatewayOptionsTyped& typed) {
  if (!typed.stand_in) return run_gateway(typed.command);
  EnvoyStandInOptions options;
  options.admin = typed.command.admin;
  options.control = typed.command.control;
  options.scope = typed.command.scope;
  const auto slash = typed.node.find('/');
  if (slash == std::string::npos || options.control.empty()) {
    return complain({"--stand-in needs --node MESH/NAME and --control URL"});
  }
  options.mesh = typed.node.substr(0, slash);
  options.node = typed.node.substr(slash + 1);
  const Status served = run_envoy_stand_in(options);
  return served ? kPassed : complain(served.error());
}

}  // namespace

Verb gateway_verb() {
  auto typed = std::make_shared<GatewayOptionsTyped>();
  return {
      "gateway", "Run the data plane alone: a proxy that splits traffic by weight.",
      "coalmine gateway --routes routes.json\n"
      "coalmine gateway --control http://127.0.0.1:4566 --virtual-gateway app/gw",
      [typed](Options& options) {
        GatewayCommand& command = typed->command;
        options.text("--listen", command.listen,
                     "address of all listeners; PORT replaces the port of the only one "
                     "(default 127.0.0.1)");
        options.text("--admin", command.admin,
                     "/server_info, /stats, /metrics, /clusters, /config_dump (default "
                     "127.0.0.1:9901; port 0 picks a free one)");
        options.integer("--threads", command.threads, 1, 64, "worker threads (1 to 64, default 1)");
        options.text("--routes", command.routes, "route table, read again on SIGHUP");
        options.text("--control", command.control, "the mock that hands out routes");
        options.text("--virtual-gateway", command.virtual_gateway, "serve this virtual gateway");
        options.text("--load-balancer", command.load_balancer, "serve this load balancer");
        options.text("--scope", command.scope, "where that lives (default 000000000000/us-east-1)");
        options.text("--report-every", command.report_every,
                     "how often counts go to the control plane (10ms to 1m, default 1s)");
        options.choice("--selection", command.selection, {"random", "exact"},
                       "how targets are chosen (default: as the routes say, else random)");
        options.text("--access-log", command.access_log,
                     "one JSON line per request, with Envoy's fields; - is standard output "
                     "(default: what the virtual gateway says, else none)");
        options.text("--access-log-sample", command.access_log_sample,
                     "share of requests in it (0% to 100%, default 100%)");
        options.flag("--traceparent", command.traceparent,
                     "give requests without a W3C traceparent one");
        options.integer("--max-connections", command.max_connections, 1, 10'000'000,
                        "client connections per thread (default: as many as descriptors allow, "
                        "at most 65536)");
        options.flag("--stand-in", typed->stand_in,
                     "answer the admin port only, as the Envoy sidecar of --node");
        options.text("--node", typed->node, "virtual node of the stand-in, MESH/NAME");
      },
      [typed] { return run(*typed); }};
}

}  // namespace coalmine::cli
