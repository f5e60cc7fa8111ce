#include "mock-aws/server/cloud_server.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>

#include "mock-aws/server/cloud_backend.h"
#include "mock-aws/server/gateway_endpoints.h"
#include "mock-aws/tasks/commands.h"
#include "mock-aws/tasks/process.h"
#include "mock-aws/tasks/simulated.h"

namespace coalmine::mock {
namespace {

/// Two coalmines on one machine must not use the same loopback addresses: each takes a /16 of
/// 127.0.0.0/8 by its process id, leaving out 127.0 where everybody else lives.
std::uint32_t address_block() {
  const auto pid = static_cast<std::uint32_t>(getpid());
  return 0x7f000000 | (1 + pid % 250) << 16;
}

/// Gateways report once a second, as the server's time goes, but never more often than this.
constexpr Duration kShortestReportInterval = std::chrono::milliseconds{20};

Duration report_interval(const MockServerOptions& server) {
  if (server.manual_clock) return std::chrono::seconds{1};
  return std::max(from_seconds(1 / server.speed), kShortestReportInterval);
}

class CloudServerImpl final : public CloudServer {
 public:
  ~CloudServerImpl() override { stop(); }

  Status open(CloudServerOptions options) {
    block_ = address_block();
    if (!options.persist.empty()) TRY_STATUS(take_over(options));
    ImageCommands commands;
    commands.coalmine = options.program;
    commands.sample_app = options.sample_app;
    for (const std::string& image : options.images) {
      TRY(ImageMapping mapping, parse_image_mapping(image));
      commands.mappings.push_back(std::move(mapping));
    }
    TRY(server_,
        MockServer::start(
            options.server,
            [&options, this](EventSink& events) { return make_backend(options, events); },
            gateway_endpoints({options.route_delay, options.server.speed, options.metrics_lost})));
    commands.control = url();
    commands.report_interval = report_interval(options.server);
    return server_->with_backend([&](Backend&, TimePoint) { return attach(options, commands); });
  }

  MockServer& server() override { return *server_; }
  std::string url() override { return server_->url(); }
  std::string published_url() override { return backend_->published_url(); }

  std::string restored() override { return restored_; }

  void stop() override {
    if (!server_ || stopped_.exchange(true)) return;
    // Gateways wait on the server and tasks report to it, so they end first; the long polls of
    // gateways end when the server stops.
    server_->with_backend([this](Backend&, TimePoint) { backend_->set_driver(nullptr); });
    server_->stop();
    backend_->shut_down();
  }

 private:
  /// The journal's seed, addresses and time become ours.
  Status take_over(CloudServerOptions& options) {
    TRY(auto opened, CallJournal::open(options.persist,
                                       {options.server.seed, block_, options.verify_signatures}));
    if (opened.header.verify_signatures != options.verify_signatures) {
      return error("{} was begun {} --verify-signatures; start it so again, or with another file",
                   options.persist, opened.header.verify_signatures ? "with" : "without");
    }
    options.server.seed = opened.header.seed;
    block_ = opened.header.address_block;
    entries_ = std::move(opened.entries);
    journal_ = std::move(opened.journal);
    if (!entries_.empty()) options.server.not_before = entries_.back().t;
    return {};
  }

  void restore(const CloudServerOptions& options, CloudBackend& backend) {
    if (!entries_.empty()) {
      const TimePoint wall{std::chrono::system_clock::now().time_since_epoch()};
      const TimePoint last = entries_.back().t;
      const std::size_t refused =
          backend.replay(entries_, options.server.manual_clock ? last : std::max(wall, last));
      restored_ = fmt::format("{}: {} calls were made again", options.persist, entries_.size());
      if (refused > 0) restored_ += fmt::format(", {} of them refused this time", refused);
      entries_.clear();
    }
    backend.set_journal(std::move(journal_));
  }

  std::unique_ptr<Backend> make_backend(const CloudServerOptions& options, EventSink& events) {
    CloudOptions cloud;
    cloud.seed = options.server.seed;
    cloud.verify_signatures = options.verify_signatures;
    cloud.ecs = options.ecs;
    cloud.first_address = block_ | 0x0101;
    cloud.last_address = block_ | 0xfffe;
    events_ = &events;
    auto backend = std::make_unique<CloudBackend>(cloud, events);
    backend_ = backend.get();
    restore(options, *backend);
    return backend;
  }

  Status attach(const CloudServerOptions& options, const ImageCommands& commands) {
    const auto origin = url().substr(std::string_view("http://").size());
    backend_->cloud().set_registry_host(origin);
    if (options.driver == DriverKind::Simulated) {
      backend_->set_driver(std::make_unique<SimulatedDriver>());
    } else {
      ProcessOptions process;
      process.commands = commands;
      process.wake = [this] {
        backend_->woken();
        server_->wake();
      };
      backend_->set_driver(std::make_unique<ProcessDriver>(std::move(process)));
      backend_->enable_probes([this] { server_->wake(); });
    }
    GatewayHostOptions gateways;
    gateways.control = url();
    gateways.report_interval = commands.report_interval;
    gateways.publish_host = options.publish_host;
    gateways.publish_port = options.publish_port;
    TRY(auto host, GatewayHost::start(std::move(gateways), *events_));
    backend_->set_gateways(std::move(host));
    return {};
  }

  std::unique_ptr<MockServer> server_;
  CloudBackend* backend_ = nullptr;  ///< the server's
  EventSink* events_ = nullptr;      ///< the server's
  std::uint32_t block_ = 0;          ///< of loopback addresses
  std::vector<CallEntry> entries_;   ///< to be made again
  std::unique_ptr<CallJournal> journal_;
  std::string restored_;
  std::atomic<bool> stopped_ = false;
};

}  // namespace

Result<std::unique_ptr<CloudServer>> CloudServer::start(CloudServerOptions options) {
  auto server = std::make_unique<CloudServerImpl>();
  TRY_STATUS(server->open(std::move(options)));
  return std::unique_ptr<CloudServer>(std::move(server));
}

}  // namespace coalmine::mock
