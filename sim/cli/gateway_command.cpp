#include "sim/cli/gateway_command.h"

#include <sys/resource.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

#include "sim/cli/verb.h"
#include "sim/core/units.h"
#include "sim/gateway/control_source.h"
#include "sim/gateway/gateway.h"

namespace coalmine::cli {
namespace {

constexpr Duration kShortestReport = std::chrono::milliseconds{10};
constexpr Duration kLongestReport = std::chrono::minutes{1};

struct HostPort {
  std::string host;
  std::optional<int> port;
};

Result<HostPort> parse_host_port(const std::string& text, std::string_view option) {
  const std::size_t colon = text.rfind(':');
  HostPort out;
  out.host = text.substr(0, colon);
  if (colon != std::string::npos) {
    TRY(const long long port,
        parse_integer(text.substr(colon + 1), fmt::format("the port of {}", option), 0, 65535));
    out.port = static_cast<int>(port);
  }
  if (out.host.empty()) return error("{} \"{}\" must be HOST[:PORT]", option, text);
  return out;
}

Result<traffic::Snapshot> read_routes(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return error("cannot read the route table {}", file);
  std::stringstream text;
  text << in.rdbuf();
  TRY(const Json json, parse_json(text.str(), file));
  auto table = traffic::route_table_from_json(json);
  if (!table) return error("{}: {}", file, table.error().message);
  if (table->version == 0) table->version = 1;
  return std::make_shared<const traffic::RouteTable>(std::move(*table));
}

Result<gateway::GatewayOptions> options_of(const GatewayCommand& command) {
  gateway::GatewayOptions out;
  TRY(const HostPort listen, parse_host_port(command.listen, "--listen"));
  TRY(const HostPort admin, parse_host_port(command.admin, "--admin"));
  out.host = listen.host;
  out.port = listen.port;
  out.admin_host = admin.host;
  out.admin_port = admin.port.value_or(9901);
  out.threads = static_cast<int>(command.threads);
  out.seed = std::random_device{}();
  TRY(const Percent sample, parse_percent(command.access_log_sample));
  if (sample.value < 0 || sample.value > 100) {
    return error("--access-log-sample is {}, allowed is 0% to 100%", command.access_log_sample);
  }
  out.access_log = command.access_log;
  out.access_log_percent = sample.value;
  out.traceparent = command.traceparent;
  if (command.selection == "random") out.selection = traffic::Selection::Random;
  if (command.selection == "exact") out.selection = traffic::Selection::Exact;
  if (command.routes.empty() == command.control.empty()) {
    return error("give either --routes FILE or --control URL");
  }
  return out;
}

Result<Duration> parse_report_interval(const std::string& text) {
  TRY(const Duration interval, parse_duration(text));
  if (interval < kShortestReport || interval > kLongestReport) {
    return error("--report-every is {}, allowed are {} to {}", text, to_string(kShortestReport),
                 to_string(kLongestReport));
  }
  return interval;
}

// Two descriptors per request in flight: the soft limit is often 1,024. Returns how many clients
// each of the threads may have, so that there is a descriptor for either side of everyone.
std::size_t raise_descriptor_limit(int threads) {
  constexpr rlim_t kOthers = 128;  // listeners, admin, control plane
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return gateway::kDefaultMaxClients;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  const rlim_t clients =
      (std::max(limit.rlim_cur, kOthers + 32) - kOthers) / 2 / static_cast<rlim_t>(threads);
  return std::min<rlim_t>(std::max<rlim_t>(clients, 1), gateway::kDefaultMaxClients);
}

void print_ready(gateway::Gateway& gateway, const gateway::GatewayOptions& options) {
  std::string line = "coalmine: ready";
  const char* name = " gateway";
  for (const gateway::BoundPort& port : gateway.ports()) {
    line +=
        fmt::format("{}={}://{}:{}", name, port.tls ? "https" : "http", options.host, port.bound);
    name = " listener";
  }
  line += fmt::format(" admin=http://{}:{}\n", options.admin_host, gateway.admin_port());
  std::fputs(line.c_str(), stdout);
  std::fflush(stdout);
}

// Signals come through Asio; SIGHUP reads routes and certificates again, the others end the wait.
class Signals {
 public:
  Signals(gateway::Gateway& gateway, const std::string& routes)
      : gateway_(gateway), routes_(routes), signals_(io_, SIGINT, SIGTERM, SIGHUP) {
    wait();
  }
  void run() { io_.run(); }

 private:
  void wait() {
    signals_.async_wait([this](const boost::system::error_code& failure, int signal) {
      if (failure || signal != SIGHUP) return;
      reload();
      wait();
    });
  }
  // Without a file the control plane's table stays, with what its certificates hold now.
  void reload() {
    gateway_.reopen_log();
    auto table =
        routes_.empty() ? Result<traffic::Snapshot>(gateway_.table()) : read_routes(routes_);
    if (table && *table == nullptr) return;
    const Status done = table ? gateway_.update(*table) : tl::unexpected(table.error());
    if (done) {
      fmt::print(stderr, "coalmine: {} read again\n",
                 routes_.empty() ? "certificates" : "routes from " + routes_);
    } else {
      (void)complain(done.error());
      fmt::print(stderr, "coalmine: the routes in force stay as they are\n");
    }
  }

  gateway::Gateway& gateway_;
  const std::string routes_;
  boost::asio::io_context io_{1};
  boost::asio::signal_set signals_;
};

}  // namespace

int run_gateway(const GatewayCommand& command) {
  auto options = options_of(command);
  if (!options) return complain(options.error());
  const auto report_every = parse_report_interval(command.report_every);
  if (!report_every) return complain(report_every.error());
  traffic::Snapshot initial;
  if (!command.routes.empty()) {
    auto table = read_routes(command.routes);
    if (!table) return complain(table.error());
    initial = std::move(*table);
  }
  options->max_connections = raise_descriptor_limit(options->threads);
  if (command.max_connections > 0) {
    options->max_connections = static_cast<std::size_t>(command.max_connections);
  }
  auto started = gateway::Gateway::start(*options, std::move(initial));
  if (!started) return complain(started.error());
  gateway::Gateway& gateway = **started;
  Signals signals(gateway, command.routes);
  std::unique_ptr<gateway::ControlSource> control;
  if (!command.control.empty()) {
    auto source = gateway::ControlSource::start(
        gateway, {command.control, command.virtual_gateway, command.load_balancer, command.scope,
                  *report_every});
    if (!source) return complain(source.error());
    control = std::move(*source);
  }
  print_ready(gateway, *options);
  signals.run();
  gateway.stop();
  if (control) control->stop();
  return kPassed;
}

}  // namespace coalmine::cli
