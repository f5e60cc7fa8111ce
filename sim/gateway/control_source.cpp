#include "sim/gateway/control_source.h"

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "sim/gateway/long_poll.h"
#include "sim/net/http.h"

namespace coalmine::gateway {
namespace {

constexpr Duration kUnknownRetry = std::chrono::milliseconds(250);
constexpr Duration kFirstBackoff = std::chrono::milliseconds(100);
constexpr Duration kMaxBackoff = std::chrono::seconds(2);

void add_source(Json& json, const ControlOptions& options) {
  Json source = {{"scope", options.scope}};
  if (!options.virtual_gateway.empty()) source["virtual-gateway"] = options.virtual_gateway;
  if (!options.load_balancer.empty()) source["load-balancer"] = options.load_balancer;
  json["source"] = std::move(source);
}

Json latency_delta(const Histogram& before, const Histogram& now) {
  std::map<std::uint64_t, std::uint64_t> old;
  for (const auto& [bound, count] : before.filled()) old[bound] = count;
  Json out = Json::array();
  for (const auto& [bound, count] : now.filled()) {
    const auto it = old.find(bound);
    const std::uint64_t fresh = count - (it == old.end() ? 0 : it->second);
    if (fresh > 0) out.push_back({bound, fresh});
  }
  return out;
}

class Polling final : public ControlSource {
 public:
  Polling(Gateway& gateway, ControlOptions options)
      : gateway_(gateway), options_(std::move(options)) {}
  ~Polling() override { stop(); }

  Status begin() {
    TRY(routes_, LongPoll::open(options_.url));
    net::ClientOptions report;
    report.connect_timeout = report.read_timeout = std::chrono::seconds(2);
    TRY(metrics_, net::Client::open(options_.url, report));
    route_thread_ = std::thread([this] { follow_routes(); });
    metric_thread_ = std::thread([this] { send_metrics(); });
    return {};
  }

  std::uint64_t dropped_reports() const override {
    const std::lock_guard lock(mutex_);
    return dropped_;
  }

  void stop() override {
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
      stopping_ = true;
    }
    wake_.notify_all();
    if (!route_thread_.joinable()) return;  // it never began
    routes_->interrupt();
    metric_thread_.join();
    route_thread_.join();
  }

 private:
  /// False once we are to end.
  bool wait(Duration duration) {
    std::unique_lock lock(mutex_);
    return !wake_.wait_for(lock, duration, [this] { return stopping_; });
  }

  std::string target(std::uint64_t after) const {
    const bool mesh = !options_.virtual_gateway.empty();
    return fmt::format(
               "/_coalmine/routes?{}={}&scope={}&after={}",
               mesh ? "virtual-gateway" : "load-balancer",
               net::percent_encode(mesh ? options_.virtual_gateway : options_.load_balancer),
               net::percent_encode(options_.scope), after) +
           (refused_.empty() ? "" : "&refused=" + net::percent_encode(refused_));
  }

  void follow_routes() {
    std::uint64_t after = 0;
    Duration backoff = kFirstBackoff;
    Duration pause{};
    while (wait(pause)) {
      const auto response = routes_->get(target(after));
      pause = Duration{};
      if (response && response->status == 200) {
        // A table that cannot be used is not asked for again: like Envoy, keep what there is.
        after = adopt(response->body, after);
        backoff = kFirstBackoff;
      } else if (response && response->status == 204) {
        backoff = kFirstBackoff;
      } else if (response && response->status == 404) {
        // A control plane that was reset counts its versions from the start again.
        after = 0;
        pause = kUnknownRetry;
      } else {
        pause = backoff;
        backoff = std::min(backoff * 2, kMaxBackoff);
      }
    }
  }

  std::uint64_t adopt(const std::string& body, std::uint64_t after) {
    const auto json = parse_json(body, options_.url);
    if (!json) return complain(json.error(), after);
    auto table = traffic::route_table_from_json(*json);
    const auto version = static_cast<std::uint64_t>(get_int(*json, "version"));
    if (!table) return complain(table.error(), version);
    const auto updated =
        gateway_.update(std::make_shared<const traffic::RouteTable>(std::move(*table)));
    if (!updated) return complain(updated.error(), version);
    refused_.clear();
    return version;
  }
  std::uint64_t complain(const Error& failure, std::uint64_t version) {
    refused_ = failure.message;
    fmt::print(stderr, "coalmine: route table from {} refused: {}\n", options_.url,
               failure.message);
    return version;
  }

  void send_metrics() {
    GatewayStats before;
    bool more = true;
    while (more) {
      more = wait(options_.report_interval);
      GatewayStats now = gateway_.stats();
      const auto epoch =
          std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch());
      const std::string report = metrics_report(before, now, options_, epoch.count());
      before = std::move(now);
      if (report.empty()) continue;
      net::Request request;
      request.method = "POST";
      request.target = "/_coalmine/metrics";
      request.headers.set("Content-Type", "application/json");
      request.body = report;
      const auto response = metrics_->send(request);
      if (!response || response->status >= 300) {
        const std::lock_guard lock(mutex_);
        ++dropped_;
      }
    }
  }

  Gateway& gateway_;
  const ControlOptions options_;
  std::unique_ptr<LongPoll> routes_;
  std::string refused_;  ///< why the last table was; of the route thread
  std::unique_ptr<net::Client> metrics_;
  std::thread route_thread_;
  std::thread metric_thread_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::uint64_t dropped_ = 0;
};

}  // namespace

std::string metrics_report(const GatewayStats& before, const GatewayStats& now,
                           const ControlOptions& options, double epoch_s) {
  static const TargetStats kNone;
  Json targets = Json::array();
  for (const auto& [key, stats] : now.targets) {
    const auto it = before.targets.find(key);
    const TargetStats& old = it == before.targets.end() ? kNone : it->second;
    if (stats.requests == old.requests && stats.attempts == old.attempts) continue;
    // What the gateway answers itself Envoy counts to the cluster, a load balancer to itself; for
    // want of an instance not even as a request of the target group (RequestCount: requests for
    // which a target was chosen).
    const std::uint64_t unserved = stats.unserved - old.unserved;
    std::array<std::uint64_t, 6> by_target = stats.codes;
    Json local_codes = Json::object();
    for (const auto& [status, count] : stats.own_answers) {
      const auto before_then = old.own_answers.find(status);
      const std::uint64_t fresh =
          count - (before_then == old.own_answers.end() ? 0 : before_then->second);
      by_target[static_cast<std::size_t>(status / 100)] -= fresh;
      if (fresh > 0) local_codes[std::to_string(status)] = fresh;
    }
    Json codes = Json::object();
    for (std::size_t i = 1; i < by_target.size(); ++i) {
      const std::uint64_t fresh = by_target[i] - old.codes[i];
      if (fresh > 0) codes[fmt::format("{}xx", i)] = fresh;
    }
    targets.push_back({{"listener", key.listener},
                       {"route", key.route},
                       {"target", key.target},
                       {"requests", stats.requests - old.requests -
                                        (options.load_balancer.empty() ? 0 : unserved)},
                       {"codes", codes},
                       {"local_codes", local_codes},
                       {"aborted", stats.codes[0] - old.codes[0]},
                       {"attempts", stats.attempts - old.attempts},
                       {"retries", stats.retries - old.retries},
                       {"connect_failures", stats.connect_failures - old.connect_failures},
                       {"latency_us", {{"buckets", latency_delta(old.latency, stats.latency)}}}});
  }
  if (targets.empty()) return {};
  Json out = {{"time", epoch_s}, {"targets", std::move(targets)}};
  add_source(out, options);
  return dump_json(out);
}

Result<std::unique_ptr<ControlSource>> ControlSource::start(Gateway& gateway,
                                                            ControlOptions options) {
  if (options.virtual_gateway.empty() == options.load_balancer.empty()) {
    return error("give either a virtual gateway or a load balancer");
  }
  auto source = std::make_unique<Polling>(gateway, std::move(options));
  TRY_STATUS(source->begin());
  return source;
}

}  // namespace coalmine::gateway
