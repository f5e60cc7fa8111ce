#include "sim/lab/lab_cloud.h"

#include <unistd.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <thread>

#include "mock-aws/server/cloud_server.h"
#include "mock-aws/server/event_hub.h"
#include "sim/aws/appmesh.h"
#include "sim/aws/elbv2.h"
#include "sim/aws/metric_names.h"
#include "sim/aws/real_clock.h"
#include "sim/lab/live_faults.h"
#include "sim/lab/provision.h"
#include "sim/net/http.h"
#include "sim/rollout/analysis/analysis.h"
#include "sim/rollout/aws/alb_traffic.h"
#include "sim/rollout/aws/appmesh_traffic.h"
#include "sim/rollout/aws/cloudwatch_metrics.h"
#include "sim/rollout/aws/ecs_tasks.h"

namespace coalmine::lab {
namespace {

using Steady = std::chrono::steady_clock;

constexpr int kAdminPort = 9901;  ///< of the gateway, as Envoy has it in App Mesh
constexpr const char* kAccount = "000000000000";
constexpr const char* kLogGroup = "/coalmine/lab";
/// A port below 1024 would need a privilege.
constexpr int kListenerPort = 8080;
constexpr std::size_t kMostData = 1000;  ///< of one PutMetricData call
constexpr Duration kPoll = std::chrono::milliseconds{20};
/// Of the first requests: a version may be slow, and somebody else may listen there.
constexpr net::ClientOptions kFirstAnswer{std::chrono::seconds{1}, std::chrono::seconds{5}};
/// As in `coalmine up`: a task counts as healthy this long after it runs.
constexpr Duration kHealthyAfter = std::chrono::seconds{2};

/// The mock's clock: real time, sped up.
class MockClock : public Clock {
 public:
  MockClock(mock::MockServer& server, double speed, const std::atomic<bool>* stop)
      : server_(server), speed_(speed), stop_(stop) {}
  TimePoint now() override { return server_.now(); }
  void sleep_until(TimePoint t) override { aws::sleep_in_slices(*this, t, speed_, stop_); }
  bool stopped() const { return stop_ != nullptr && stop_->load(); }

 private:
  mock::MockServer& server_;
  double speed_;
  const std::atomic<bool>* stop_;
};

class RunningCloud : public LabCloud {
 public:
  RunningCloud(const world::Spec& spec, const LabCloudOptions& options)
      : spec_(spec),
        options_(options),
        alb_(spec.plan.traffic == rollout::TrafficApi::Alb),
        watch_(alb_ ? names_.load_balancer : names_.mesh + "/" + names_.app + "-gateway") {}
  ~RunningCloud() override { RunningCloud::stop(); }

  Status open() {
    for (const std::string& program : {options_.program, options_.sample_app}) {
      if (access(program.c_str(), X_OK) == 0) continue;
      return error(ErrorKind::Environment,
                   "{} is missing or not executable; a live run starts it as a task", program);
    }
    TRY_STATUS(start_server());
    connect();
    ProvisionSettings settings = lab_settings();
    TRY_STATUS(provision(*client_, settings, *clock_));
    TRY_STATUS(wait_until_serving());
    return {};
  }

  Clock& clock() override { return *clock_; }
  rollout::TrafficAdapter& traffic() override { return *traffic_; }
  rollout::MetricsSource& metrics() override { return *metrics_; }
  rollout::TaskAdapter& services() override { return *services_; }
  std::string host() const override { return host_; }
  int port() const override { return alb_ ? kListenerPort : gateway_port_; }
  std::string target(const std::string& version) const override { return names_.node(version); }

  Result<std::vector<LabTask>> tasks(const std::string& version) override {
    return running_tasks(*client_, names_.cluster, names_.node(version));
  }

  std::vector<std::string> task_ends(const std::string& version) override {
    return ends_of(names_.node(version));
  }

  bool tasks_moved() override {
    read_events();
    return std::exchange(tasks_moved_, false);
  }

  const RouteWatch& routes() override {
    read_events();
    return watch_;
  }

  Status set_weights_by_hand(const std::map<std::string, std::uint32_t>& weights) override {
    return alb_ ? modify_listener(weights) : update_route(weights);
  }

  Status publish(const std::vector<SegmentCount>& counts) override {
    namespace names = aws::metrics;
    if (counts.empty()) return {};
    TRY(const rollout::PlanMetrics metrics, find_metrics_());
    Json data = Json::array();
    for (const SegmentCount& count : counts) {
      if (period_is_lost(count.period)) continue;
      const std::string& who = spec_.versions[count.version].name;
      const rollout::VersionMetrics& version = who == spec_.plan.stable   ? metrics.stable
                                               : who == spec_.plan.canary ? metrics.canary
                                                                          : *metrics.baseline;
      Json dimensions = Json::array();
      for (const auto& [name, value] : names::segment_dimensions(
               version.requests.dimensions, spec_.traffic.segments[count.segment].name)) {
        dimensions.push_back({{"Name", name}, {"Value", value}});
      }
      const auto put = [&](std::string_view metric, std::uint64_t value) {
        if (value == 0) return;
        data.push_back({{"MetricName", metric},
                        {"Dimensions", dimensions},
                        {"Timestamp", to_epoch_seconds(count.period)},
                        {"Value", value},
                        {"Unit", "Count"},
                        {"StorageResolution", 1}});
      };
      put(names::kSegmentRequests, count.requests);
      put(names::kSegmentErrors, count.errors);
    }
    for (std::size_t i = 0; i < data.size(); i += kMostData) {
      Json input = {{"Namespace", names::kSegmentNamespace}, {"MetricData", Json::array()}};
      for (std::size_t k = i; k < std::min(data.size(), i + kMostData); ++k) {
        input["MetricData"].push_back(std::move(data[k]));
      }
      TRY_STATUS(client_->call("cloudwatch", "PutMetricData", input));
    }
    return {};
  }

  Status scale(const std::string& version, int tasks) override {
    return client_
        ->call("ecs", "UpdateService",
               {{"cluster", names_.cluster},
                {"service", names_.node(version)},
                {"desiredCount", tasks}})
        .map([](const Json&) {});
  }

  Status throttle(double share) override {
    TRY(const auto control, net::Client::open(server_->url(), kFirstAnswer));
    TRY_STATUS(told(control->send(control_request("DELETE", ""))));
    if (share == 0) return {};
    Json faults = Json::array();
    for (const char* service : {"appmesh", "elbv2", "cloudwatch"}) {
      faults.push_back({{"service", service}, {"action", "throttle"}, {"probability", share}});
    }
    faults.back()["operation"] = "GetMetricData";
    return told(control->send(control_request("POST", faults.dump())));
  }

  void stop() override {
    if (server_) server_->stop();
  }

 private:
  Status start_server() {
    mock::CloudServerOptions cloud;
    cloud.server.port = 0;
    cloud.server.speed = options_.speed;
    cloud.server.seed = options_.seed;
    cloud.program = options_.program;
    cloud.sample_app = options_.sample_app;
    cloud.ecs.healthy_after = kHealthyAfter;
    cloud.ecs.provisioning = spec_.platform.task_start;
    cloud.ecs.start_backoff = Duration{};  // the scenario says how long a new task takes
    cloud.route_delay = spec_.platform.route_delay;
    cloud.metrics_lost = [this](TimePoint at) { return period_is_lost(at); };
    TRY(server_, mock::CloudServer::start(cloud));
    return {};
  }

  /// Whether what is counted at `at` never reaches CloudWatch; the same for a whole period.
  bool period_is_lost(TimePoint at) const {
    const double share = spec_.platform.metric_loss.share();
    if (share == 0) return false;
    const auto period = at.time_since_epoch() / spec_.platform.metric_period;
    Random random =
        Random(options_.seed).split("metric-loss").split(static_cast<std::uint64_t>(period));
    return random.bernoulli(share);
  }

  void connect() {
    clock_ = std::make_unique<MockClock>(server_->server(), options_.speed, options_.stop);
    transport_ = aws::http_transport();
    aws::ClientOptions client;
    client.endpoint = server_->url();
    client_ = std::make_unique<aws::Client>(*transport_, aws::Credentials{kAccount, "coalmine", ""},
                                            client, *clock_, Random(options_.seed).split("client"));
    const rollout::PlanVersions plan = world::versions_of(spec_);
    const rollout::VersionNames versions{plan.stable,
                                         plan.canary,
                                         names_.node(plan.stable),
                                         names_.node(plan.canary),
                                         plan.baseline,
                                         plan.baseline.empty() ? "" : names_.node(plan.baseline)};
    const rollout::CloudWatchOptions timing{spec_.platform.metric_period,
                                            spec_.platform.metric_delay,
                                            rollout::segments_of(spec_.plan.analyses)};
    rollout::CloudWatchMetrics::Metrics& find = find_metrics_;
    if (alb_) {
      auto alb = std::make_unique<rollout::AlbTraffic>(
          *client_, rollout::AlbPlace{names_.load_balancer, kListenerPort, "", stickiness()},
          versions);
      find = [this, traffic = alb.get()]() -> Result<rollout::PlanMetrics> {
        TRY(const rollout::AlbArns arns, traffic->arns());
        return scaled(rollout::alb_metrics(arns));
      };
      traffic_ = std::move(alb);
    } else {
      traffic_ = std::make_unique<rollout::AppMeshTraffic>(*client_, route_name(), versions);
      find = [this, versions]() -> Result<rollout::PlanMetrics> {
        return scaled(rollout::mesh_metrics(names_.mesh, names_.app + "-gateway", versions));
      };
    }
    metrics_ = std::make_unique<rollout::CloudWatchMetrics>(*client_, find, timing);
    // How a version behaves stands in its environment here, for want of images of its own.
    services_ = std::make_unique<rollout::EcsTasks>(
        *client_, rollout::EcsServices{names_.cluster,
                                       plan.stable,
                                       plan.canary,
                                       versions.stable_target,
                                       versions.canary_target,
                                       {"FAULT", "CAPACITY", "CONCURRENCY", "QUEUE"},
                                       plan.baseline,
                                       versions.baseline_target});
  }

  static net::Request control_request(const char* method, std::string body) {
    net::Request request;
    request.method = method;
    request.target = "/_coalmine/faults";
    request.body = std::move(body);
    return request;
  }
  static Status told(const Result<net::Response>& answer) {
    if (!answer) return tl::unexpected(answer.error());
    if (answer->status == 200) return {};
    return error(ErrorKind::Environment, "the mock answers {} {}", answer->status, answer->body);
  }

  /// What takes 20 ms in the scenario takes 2 ms at speed 10, and so the gateway measures it.
  rollout::PlanMetrics scaled(rollout::PlanMetrics metrics) const {
    for (rollout::VersionMetrics* version : {&metrics.stable, &metrics.canary}) {
      version->latency_units_per_s /= options_.speed;
    }
    if (metrics.baseline) metrics.baseline->latency_units_per_s /= options_.speed;
    return metrics;
  }

  /// Cookies end by real time, in whole seconds.
  std::optional<Duration> stickiness() const {
    const auto lasts = rollout::stickiness_of(spec_.plan);
    if (!lasts) return std::nullopt;
    return std::chrono::round<std::chrono::seconds>(
        from_seconds(to_seconds(*lasts) / options_.speed));
  }

  aws::RouteName route_name() const {
    return {names_.mesh, names_.app + "-router", names_.app + "-route"};
  }

  ProvisionSettings lab_settings() const {
    ProvisionSettings settings;
    settings.names = names_;
    settings.versions.clear();
    // Stable first: it has the traffic.
    for (const bool stable : {true, false}) {
      for (const world::Version& version : spec_.versions) {
        if ((version.name == spec_.plan.stable) != stable) continue;
        settings.versions.emplace_back(version.name, version.tasks);
        settings.environment[version.name] = environment_of(spec_, version, options_.speed);
        settings.environment[version.name]["SERVICE_NAME"] = names_.node(version.name);
      }
    }
    const rollout::PlanVersions plan = world::versions_of(spec_);
    if (!plan.baseline.empty()) settings.builds[plan.baseline] = plan.stable;
    settings.port = kAppPort;
    settings.gateway_port = gateway_port_;
    settings.load_balancer = alb_;
    if (spec_.platform.retries) {
      settings.retries =
          ProvisionSettings::Retries{spec_.platform.retries->max, spec_.platform.retries->on};
    }
    settings.listener_port = kListenerPort;
    const Duration timeout = world::request_timeout(spec_);
    settings.request_timeout = from_seconds(to_seconds(timeout) / options_.speed);
    settings.log_group = kLogGroup;
    return settings;
  }

  // --- until everything serves -----------------------------------------------------------------

  Status wait_until_serving() {
    const auto deadline = Steady::now() + kStartLimit;
    std::string missing;
    while (Steady::now() < deadline) {
      if (clock_->stopped()) return error(ErrorKind::Environment, "interrupted");
      TRY_STATUS(complain_about_ends());
      TRY(missing, what_is_missing());
      if (missing.empty()) return {};
      std::this_thread::sleep_for(kPoll);
    }
    return error(ErrorKind::Environment, "the lab does not serve within {}: {}",
                 to_string(kStartLimit), missing);
  }

  /// A task that ends while the lab starts would only end again.
  Status complain_about_ends() {
    read_events();
    if (!watch_.failure().empty()) {
      return error(ErrorKind::Environment, "the {} cannot be served: {}",
                   alb_ ? "load balancer" : "gateway", watch_.failure());
    }
    if (!task_stopped_) return {};
    std::vector<std::pair<std::string, std::string>> services;
    for (const world::Version& version : spec_.versions) {
      services.emplace_back(version.name, names_.node(version.name));
    }
    services.emplace_back("the gateway", names_.app + "-gateway");
    for (const auto& [who, service] : services) {
      const std::vector<std::string> ends = ends_of(service);
      if (!ends.empty()) {
        return error(ErrorKind::Environment, "a task of {} ended while the lab started: {}", who,
                     ends.back());
      }
    }
    return {};
  }

  /// Empty once all is there.
  Result<std::string> what_is_missing() {
    for (const world::Version& version : spec_.versions) {
      const auto known = watch_.healthy().find(names_.node(version.name));
      const auto count = known == watch_.healthy().end() ? 0 : static_cast<int>(known->second);
      if (count < version.tasks) {
        return fmt::format("{} of {} tasks of {} are healthy to the gateway", count, version.tasks,
                           version.name);
      }
    }
    TRY(host_, find_host());
    if (host_.empty()) return std::string("no task of the gateway runs");
    TRY(const auto client,
        net::Client::open(fmt::format("http://{}:{}", host_, port()), kFirstAnswer));
    const auto answer = client->send(net::Request{});
    // Any answer of a version will do: it may be faulty from the beginning.
    if (answer && answer->headers.has("X-Served-Version")) return std::string();
    return answer ? fmt::format("the gateway answers {} {}", answer->status, answer->body)
                  : answer.error().message;
  }

  Result<std::string> find_host() {
    if (alb_) {
      TRY(const auto balancer, aws::describe_load_balancer(*client_, names_.load_balancer));
      return balancer.dns_name;
    }
    TRY(const auto tasks, running_tasks(*client_, names_.cluster, names_.app + "-gateway"));
    return tasks.empty() ? std::string() : tasks.front().address;
  }

  /// From Envoy-like statistics: "cluster.…app-v2.upstream_rq_retry: 12".
  Result<std::uint64_t> retries(const std::string& version) override {
    if (alb_) return std::uint64_t{0};  // ALB makes no attempt again
    TRY(const auto client, net::Client::open(fmt::format("http://{}:{}", host_, kAdminPort), {}));
    net::Request request;
    request.target = "/stats";
    TRY(const net::Response response, client->send(request));
    const std::string name = fmt::format(".{}.upstream_rq_retry: ", target(version));
    std::uint64_t sum = 0;
    for (std::size_t at = response.body.find(name); at != std::string::npos;
         at = response.body.find(name, at + 1)) {
      sum += std::strtoull(response.body.c_str() + at + name.size(), nullptr, 10);
    }
    return sum;
  }

  // --- while it runs ---------------------------------------------------------------------------

  void read_events() {
    const mock::EventHub::Batch batch = server_->server().events().read(last_event_);
    for (const mock::EventHub::Event& event : batch.events) {
      last_event_ = event.id;
      if (event.json.find("\"task.") != std::string::npos) {
        tasks_moved_ = true;
        task_stopped_ |= event.json.find("\"task.stopping\"") != std::string::npos;
      }
      watch_.see(event.json);
    }
  }

  std::vector<std::string> ends_of(const std::string& service) {
    return reasons_of_stopped_tasks(*client_, names_.cluster, service, kLogGroup)
        .value_or(std::vector<std::string>{});
  }

  Status update_route(const std::map<std::string, std::uint32_t>& weights) {
    TRY(Json spec, aws::describe_route_spec(*client_, route_name()));
    Json* targets = aws::weighted_targets(spec);
    if (targets == nullptr) return error(ErrorKind::Failed, "the route has no weighted targets");
    for (Json& target : *targets) {
      for (const auto& [version, weight] : weights) {
        if (get_string(target, "virtualNode") == names_.node(version)) target["weight"] = weight;
      }
    }
    return aws::update_route_spec(*client_, route_name(), spec);
  }

  Status modify_listener(const std::map<std::string, std::uint32_t>& weights) {
    TRY(const auto balancer, aws::describe_load_balancer(*client_, names_.load_balancer));
    TRY(const auto place, aws::describe_listener(*client_, balancer, kListenerPort));
    std::map<std::string, int> by_group;
    for (const auto& [version, weight] : weights) {
      TRY(const auto group, aws::describe_target_group(*client_, names_.node(version)));
      by_group[group.arn] = static_cast<int>(weight);
    }
    TRY(const Json actions, aws::with_forward_weights(*place.actions, by_group));
    return aws::modify_actions(*client_, place, actions);
  }

  const world::Spec& spec_;
  const LabCloudOptions options_;
  const bool alb_;
  const LabNames names_;
  const int gateway_port_ = 9080;
  RouteWatch watch_;
  std::uint64_t last_event_ = 0;
  bool tasks_moved_ = false;
  bool task_stopped_ = false;
  std::string host_;
  std::unique_ptr<mock::CloudServer> server_;
  std::unique_ptr<MockClock> clock_;
  std::unique_ptr<aws::Transport> transport_;
  std::unique_ptr<aws::Client> client_;
  std::unique_ptr<rollout::TrafficAdapter> traffic_;
  rollout::CloudWatchMetrics::Metrics find_metrics_;
  std::unique_ptr<rollout::MetricsSource> metrics_;
  std::unique_ptr<rollout::TaskAdapter> services_;
};

}  // namespace

Result<std::unique_ptr<LabCloud>> LabCloud::start(const world::Spec& spec,
                                                  const LabCloudOptions& options) {
  auto cloud = std::make_unique<RunningCloud>(spec, options);
  TRY_STATUS(cloud->open());
  return std::unique_ptr<LabCloud>(std::move(cloud));
}

}  // namespace coalmine::lab
