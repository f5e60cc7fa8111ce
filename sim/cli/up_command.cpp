#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <thread>

#include "sim/aws/client.h"
#include "sim/aws/elbv2.h"
#include "sim/cli/lab_clock.h"
#include "sim/cli/mock_options.h"
#include "sim/cli/stop_signal.h"
#include "sim/cli/verbs.h"
#include "sim/lab/provision.h"
#include "sim/net/http.h"

namespace coalmine::cli {
namespace {

/// A task counts as healthy this long after it runs. AWS waits 40 s; a lab that is tried out by
/// hand should not.
constexpr std::chrono::seconds kHealthyAfter{2};
/// v1 must answer through the gateway within this time.
constexpr std::chrono::seconds kStartLimit{60};
/// And then through the load balancer, whose port 80 not everybody may bind.
constexpr std::chrono::seconds kBalancerLimit{10};

struct UpCommand {
  MockOptions mock;
  bool empty = false;
  long long gateway_port = 9080;
  std::string region = "us-east-1";
  std::string account = "000000000000";
};

/// The load balancer's URL.
Result<std::string> provision_lab(const UpCommand& command, const std::string& url) {
  const auto transport = aws::http_transport();
  const auto clock = lab_clock(url, nullptr);
  aws::ClientOptions options;
  options.region = command.region;
  options.endpoint = url;
  aws::Client client(*transport, {command.account, "coalmine", ""}, options, *clock,
                     Random(static_cast<std::uint64_t>(command.mock.seed)));
  lab::ProvisionSettings settings;
  settings.load_balancer = true;
  TRY_STATUS(lab::provision(client, settings, *clock));
  TRY(const auto balancer, aws::describe_load_balancer(client, settings.names.load_balancer));
  return "http://" + balancer.dns_name;
}

/// Returns once a request through the gateway succeeds.
Status wait_for_traffic(const std::string& url, std::chrono::seconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  std::string last = "no answer";
  while (std::chrono::steady_clock::now() < deadline) {
    auto client = net::Client::open(url);
    if (!client) return tl::unexpected(client.error());
    const auto answer = (*client)->send(net::Request{});
    if (answer && answer->status == 200) return {};
    last = answer ? fmt::format("{} {}", answer->status, answer->body) : answer.error().message;
    std::this_thread::sleep_for(std::chrono::milliseconds{50});
  }
  return error(ErrorKind::Environment, "v1 does not answer through {} after {}: {}", url,
               to_string(Duration{limit}), last);
}

int run(const UpCommand& command) {
  const StopSignal stop;
  auto settings = to_server_options(command.mock);
  if (!settings) return complain(settings.error());
  settings->publish_host = command.mock.host;
  settings->publish_port = static_cast<int>(command.gateway_port);
  settings->ecs.healthy_after = kHealthyAfter;
  auto server = mock::CloudServer::start(*settings);
  if (!server) return complain(server.error());
  if (const std::string restored = (*server)->restored(); !restored.empty()) {
    fmt::print(stderr, "coalmine: {}\n", restored);
  }
  const std::string gateway = (*server)->published_url();
  std::string addresses = fmt::format("mock-aws={} gateway={}", (*server)->url(), gateway);
  if (!command.empty) {
    const auto balancer = provision_lab(command, (*server)->url());
    if (!balancer) return complain(balancer.error());
    if (command.mock.driver == "process") {
      const Status ready = wait_for_traffic(gateway, kStartLimit);
      if (!ready) return complain(ready.error());
      if (const Status served = wait_for_traffic(*balancer, kBalancerLimit); served) {
        addresses += " load-balancer=" + *balancer;
      } else {
        fmt::print(stderr, "coalmine: the load balancer is left out: {}\n", served.error().message);
      }
    }
  }
  fmt::print("coalmine: ready {}\n", addresses);
  std::fflush(stdout);
  stop.wait();
  (*server)->stop();
  return kPassed;
}

}  // namespace

Verb up_verb() {
  auto command = std::make_shared<UpCommand>();
  return {
      "up", "Run the whole lab: mock AWS, v1 and v2 as tasks at 100:0, the gateway in front.",
      "coalmine up\n"
      "coalmine up --empty     # provisions nothing: for the ten steps by hand",
      [command](Options& options) {
        options.flag("--empty", command->empty, "provision nothing");
        options.integer("--gateway-port", command->gateway_port, 0, 65535,
                        "port where the mesh's gateway is published; 0 picks a free one "
                        "(default 9080)");
        options.text("--region", command->region, "AWS region to provision (default us-east-1)");
        options.text("--account", command->account, "account to provision (default 000000000000)");
        declare(options, command->mock);
      },
      [command] { return run(*command); }};
}

}  // namespace coalmine::cli
