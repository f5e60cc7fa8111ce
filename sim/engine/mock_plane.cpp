#include "sim/engine/mock_plane.h"

#include <nlohmann/json.hpp>

#include "mock-aws/dataplane/load_balancer.h"
#include "mock-aws/dataplane/metrics.h"
#include "mock-aws/dataplane/route_compiler.h"
#include "mock-aws/server/api_faults.h"
#include "mock-aws/services/appmesh/appmesh.h"
#include "mock-aws/services/cloud.h"
#include "mock-aws/services/cloudmap/cloudmap.h"
#include "mock-aws/services/cloudwatch/cloudwatch.h"
#include "mock-aws/services/elbv2/elbv2.h"
#include "sim/aws/client.h"
#include "sim/aws/elbv2.h"
#include "sim/engine/direct_plane.h"
#include "sim/engine/fidelity.h"
#include "sim/lab/provision.h"
#include "sim/rollout/analysis/analysis.h"
#include "sim/rollout/aws/alb_traffic.h"
#include "sim/rollout/aws/appmesh_traffic.h"
#include "sim/rollout/aws/cloudwatch_metrics.h"

namespace coalmine::engine {
namespace {

constexpr const char* kEndpoint = "http://mock.coalmine.local";
/// The lab is set up before the scenario begins, so that targets are healthy when it does.
constexpr Duration kSetUpTime = std::chrono::minutes{1};

struct NoEvents : mock::EventSink {
  void event(TimePoint, std::string_view, Json) override {}
};

/// The scenario's clock, but for the time before it begins.
class PlaneClock : public Clock {
 public:
  explicit PlaneClock(Clock& world) : world_(world) {}
  TimePoint now() override { return before_ ? *before_ : world_.now(); }
  void sleep_until(TimePoint t) override {
    if (before_) {
      before_ = std::max(*before_, t);
    } else {
      world_.sleep_until(t);
    }
  }
  void begin() { before_.reset(); }

 private:
  Clock& world_;
  std::optional<TimePoint> before_ = kVirtualEpoch - kSetUpTime;
};

rollout::VersionNames names_of(const world::Spec& spec, const lab::LabNames& names) {
  const rollout::PlanVersions plan = world::versions_of(spec);
  return {plan.stable,
          plan.canary,
          names.node(plan.stable),
          names.node(plan.canary),
          plan.baseline,
          plan.baseline.empty() ? "" : names.node(plan.baseline)};
}

aws::ClientOptions client_options() {
  aws::ClientOptions options;
  options.endpoint = kEndpoint;
  return options;
}

mock::CloudOptions cloud_options(std::uint64_t seed) {
  mock::CloudOptions options;
  options.seed = seed;
  return options;
}

/// What the two ways to split traffic have in common.
class MockPlane : public ControlPlane {
 public:
  MockPlane(const world::Spec& spec, std::uint64_t seed, Clock& clock)
      : spec_(spec),
        clock_(clock),
        random_(Random(seed).split("mock-aws")),
        cloud_(cloud_options(random_.split("cloud").next()), events_),
        region_(cloud_.region(mock::Scope{})),
        transport_(aws::in_process_transport(
            [this](const net::Request& request) { return answer(request, true); })),
        client_(*transport_, {"coalmine", "coalmine", ""}, client_options(), clock_,
                random_.split("client")),
        foreign_transport_(aws::in_process_transport(
            [this](const net::Request& request) { return answer(request, false); })),
        foreign_(*foreign_transport_, {"coalmine", "coalmine", ""}, client_options(), clock_,
                 random_.split("foreign")),
        throttling_(random_.split("throttling")) {}

  /// The lab's own provisioning, then the tasks as ECS would register them.
  Status set_up() {
    lab::ProvisionSettings settings;
    settings.names = names_;
    settings.tasks = false;
    if (spec_.platform.retries) {
      settings.retries =
          lab::ProvisionSettings::Retries{spec_.platform.retries->max, spec_.platform.retries->on};
    }
    settings.load_balancer = spec_.plan.traffic == rollout::TrafficApi::Alb;
    settings.versions = {{spec_.plan.stable, 1}, {spec_.plan.canary, 1}};
    const rollout::PlanVersions plan = world::versions_of(spec_);
    if (!plan.baseline.empty()) settings.versions.emplace_back(plan.baseline, 1);
    TRY_STATUS(lab::provision(client_, settings, clock_));
    TRY_STATUS(find_registries());
    for (std::size_t v = 0; v < spec_.versions.size(); ++v) {
      for (int i = 0; i < spec_.versions[v].tasks; ++i) {
        task_started({v, static_cast<std::size_t>(i)}, clock_.now());
      }
    }
    while (cloud_.next_wakeup() <= kVirtualEpoch) cloud_.tick(cloud_.next_wakeup());
    cloud_.tick(kVirtualEpoch);
    if (!health_matters(spec_)) region_.elbv2->set_prober(nullptr);  // all are healthy, for ever
    clock_.begin();
    return {};
  }

  std::uint64_t revision() const override { return region_.dataplane_revision(); }
  TimePoint next_wakeup() const override { return region_.elbv2->next_wakeup(); }
  void tick(TimePoint now) override { cloud_.tick(now); }
  void throttle(double share) override { throttled_share_ = share; }

 protected:
  virtual Status find_registries() = 0;

  /// Counts of the period as the gateway posts them.
  mock::GatewayReport report_of(const PeriodMetrics& period) const {
    mock::GatewayReport report;
    report.time = period.from;
    for (std::size_t v = 0; v < spec_.versions.size(); ++v) {
      const VersionMetrics& metrics = period.versions[v];
      mock::TargetCounts& counts = report.targets[names_.node(spec_.versions[v].name)];
      counts.requests = static_cast<double>(metrics.requests);
      counts.codes[5] = static_cast<double>(metrics.errors);
      counts.codes[2] = counts.requests - counts.codes[5];
      for (const auto& [status, count] : metrics.own_answers) {
        if (status != 503) counts.codes[2] -= static_cast<double>(count);
        counts.local_codes[5] += static_cast<double>(count);
        counts.local_statuses[status] += static_cast<double>(count);
      }
      for (const auto& [value_us, count] : metrics.latency.filled()) {
        counts.latency_us[static_cast<double>(value_us)] = static_cast<double>(count);
      }
      for (std::size_t i = 0; i < metrics.segments.size(); ++i) {
        counts.segments[spec_.traffic.segments[i].name] = {
            static_cast<double>(metrics.segments[i].requests),
            static_cast<double>(metrics.segments[i].errors)};
      }
    }
    return report;
  }

  /// The gateway's metrics, and those of the segments if somebody asks for them.
  void put(const mock::MetricBatch& batch, const mock::GatewayReport& report, TimePoint now) {
    region_.cloudwatch->put_metrics(batch.metric_namespace, batch.data, now);
    const mock::MetricBatch parts = mock::segment_metrics(report, *region_.elbv2);
    if (!parts.data.empty()) {
      region_.cloudwatch->put_metrics(parts.metric_namespace, parts.data, now);
    }
  }

  rollout::CloudWatchOptions metric_options() const {
    return {spec_.platform.metric_period, spec_.platform.metric_delay,
            rollout::segments_of(spec_.plan.analyses)};
  }

  const world::Spec& spec_;
  PlaneClock clock_;
  lab::LabNames names_;
  NoEvents events_;
  Random random_;
  mock::Cloud cloud_;
  mock::Region& region_;
  std::unique_ptr<aws::Transport> transport_;
  aws::Client client_;  ///< the rollout's
  std::unique_ptr<aws::Transport> foreign_transport_;
  aws::Client foreign_;  ///< somebody else's

 private:
  net::Response answer(const net::Request& request, bool may_throttle) {
    const TimePoint now = clock_.now();
    cloud_.tick(now);
    if (may_throttle && throttled_share_ > 0 && throttling_.bernoulli(throttled_share_)) {
      if (const auto call = cloud_.identify(request)) {
        return cloud_.refuse(request, mock::throttling_error(call->service));
      }
    }
    return cloud_.handle(request, now);
  }

  Random throttling_;
  double throttled_share_ = 0;
};

/// Traffic is split by a route of App Mesh; tasks are instances in Cloud Map.
class MeshPlane : public MockPlane {
 public:
  MeshPlane(const world::Spec& spec, std::uint64_t seed, Clock& clock)
      : MockPlane(spec, seed, clock),
        traffic_(client_, {names_.mesh, names_.app + "-router", names_.app + "-route"},
                 names_of(spec, names_)),
        metrics_(
            client_, [this] { return metric_names(); }, metric_options()) {}

  rollout::TrafficAdapter& traffic() override { return traffic_; }
  rollout::MetricsSource& metrics() override { return metrics_; }

  traffic::Snapshot routes() override {
    auto table = mock::compile_virtual_gateway(*region_.appmesh, *region_.cloudmap, names_.mesh,
                                               gateway_, revision());
    return std::make_shared<traffic::RouteTable>(table ? *std::move(table) : traffic::RouteTable{});
  }

  void publish(const PeriodMetrics& period, TimePoint now) override {
    mock::GatewayReport report = report_of(period);
    report.mesh = names_.mesh;
    report.virtual_gateway = gateway_;
    put(mock::app_mesh_metrics(report), report, now);
  }

  bool set_foreign(const std::map<std::string, std::uint32_t>& weights) override {
    const Json where = {{"meshName", names_.mesh},
                        {"virtualRouterName", names_.app + "-router"},
                        {"routeName", names_.app + "-route"}};
    const auto route = foreign_.call("appmesh", "DescribeRoute", where);
    if (!route) return false;
    Json input = where;
    input["spec"] = (*route)["route"]["spec"];
    for (Json& target : input["spec"]["httpRoute"]["action"]["weightedTargets"]) {
      for (const auto& [version, weight] : weights) {
        if (get_string(target, "virtualNode") == names_.node(version)) target["weight"] = weight;
      }
    }
    return foreign_.call("appmesh", "UpdateRoute", input).has_value();
  }

  void task_started(TaskId task, TimePoint now) override {
    region_.cloudmap->register_instance(services_[task.version], instance_id(task),
                                        {{"AWS_INSTANCE_IPV4", task_address(task)}}, now);
  }
  void task_stopped(TaskId task, TimePoint now) override {
    region_.cloudmap->deregister_instance(services_[task.version], instance_id(task), now);
  }

 private:
  Result<rollout::PlanMetrics> metric_names() const {
    return rollout::mesh_metrics(names_.mesh, gateway_, names_of(spec_, names_));
  }

  Status find_registries() override {
    services_.resize(spec_.versions.size());
    TRY(const Json listed, client_.call("cloudmap", "ListServices", Json::object()));
    for (std::size_t v = 0; v < spec_.versions.size(); ++v) {
      for (const Json& one : listed.value("Services", Json::array())) {
        if (get_string(one, "Name") == names_.node(spec_.versions[v].name)) {
          services_[v] = get_string(one, "Id");
        }
      }
    }
    return {};
  }

  std::string instance_id(TaskId task) const {
    return fmt::format("{}-{}", spec_.versions[task.version].name, task.task);
  }

  std::string gateway_ = names_.app + "-gateway";
  std::vector<std::string> services_;  ///< Cloud Map's ids, by version
  rollout::AppMeshTraffic traffic_;
  rollout::CloudWatchMetrics metrics_;
};

/// Traffic is split by a listener's weighted forward; tasks are targets of target groups.
class AlbPlane : public MockPlane {
 public:
  AlbPlane(const world::Spec& spec, std::uint64_t seed, Clock& clock)
      : MockPlane(spec, seed, clock),
        traffic_(client_,
                 {names_.load_balancer, kListenerPort, "", rollout::stickiness_of(spec.plan)},
                 names_of(spec, names_)),
        metrics_(
            client_, [this] { return metric_names(); }, metric_options()) {
    region_.elbv2->set_prober([this](const mock::Probe& probe, TimePoint now) {
      const auto task = task_at(probe.address);
      const bool healthy = !probe_ || !task || probe_(*task, now);
      return mock::ProbeOutcome{mock::ProbeOutcome::Kind::Answered, healthy ? 200 : 503};
    });
  }

  rollout::TrafficAdapter& traffic() override { return traffic_; }
  rollout::MetricsSource& metrics() override { return metrics_; }

  traffic::Snapshot routes() override {
    auto table = mock::compile_load_balancer(*region_.elbv2, names_.load_balancer, revision());
    return std::make_shared<traffic::RouteTable>(table ? *std::move(table) : traffic::RouteTable{});
  }

  void publish(const PeriodMetrics& period, TimePoint now) override {
    mock::GatewayReport report = report_of(period);
    report.load_balancer = names_.load_balancer;
    put(mock::load_balancer_metrics(report, *region_.elbv2), report, now);
  }

  bool set_foreign(const std::map<std::string, std::uint32_t>& weights) override {
    const auto balancer = aws::describe_load_balancer(foreign_, names_.load_balancer);
    if (!balancer) return false;
    const auto place = aws::describe_listener(foreign_, *balancer, kListenerPort);
    if (!place) return false;
    std::map<std::string, int> wanted;
    for (std::size_t v = 0; v < spec_.versions.size(); ++v) {
      const auto weight = weights.find(spec_.versions[v].name);
      if (weight != weights.end()) wanted[groups_[v]] = static_cast<int>(weight->second);
    }
    const auto actions = aws::with_forward_weights(*place->actions, wanted);
    if (!actions) return false;
    return aws::modify_actions(foreign_, *place, *actions).has_value();
  }

  void task_started(TaskId task, TimePoint now) override {
    region_.elbv2->register_target(groups_[task.version], task_address(task), kTaskPort, now);
  }
  void task_stopped(TaskId task, TimePoint now) override {
    region_.elbv2->deregister_target(groups_[task.version], task_address(task), kTaskPort, now);
  }
  void set_health_probe(HealthProbe probe) override { probe_ = std::move(probe); }

 private:
  static constexpr int kListenerPort = 80;
  Result<rollout::PlanMetrics> metric_names() {
    TRY(const rollout::AlbArns arns, traffic_.arns());
    return rollout::alb_metrics(arns);
  }

  Status find_registries() override {
    groups_.clear();
    for (const world::Version& version : spec_.versions) {
      TRY(const auto group, aws::describe_target_group(client_, names_.node(version.name)));
      groups_.push_back(group.arn);
    }
    return {};
  }

  std::vector<std::string> groups_;  ///< ARNs, by version
  HealthProbe probe_;
  rollout::AlbTraffic traffic_;
  rollout::CloudWatchMetrics metrics_;
};

}  // namespace

Result<std::unique_ptr<ControlPlane>> make_mock_plane(const world::Spec& spec, std::uint64_t seed,
                                                      Clock& clock) {
  std::unique_ptr<MockPlane> plane;
  if (spec.plan.traffic == rollout::TrafficApi::Alb) {
    plane = std::make_unique<AlbPlane>(spec, seed, clock);
  } else {
    plane = std::make_unique<MeshPlane>(spec, seed, clock);
  }
  TRY_STATUS(plane->set_up());
  return plane;
}

Result<std::unique_ptr<ControlPlane>> make_plane(const world::Spec& spec, std::uint64_t seed,
                                                 Clock& clock) {
  const bool many = spec.limit / spec.platform.metric_period > kMaxPeriodsOnTheMock;
  return many ? make_quick_plane(spec, seed, clock) : make_mock_plane(spec, seed, clock);
}

Result<std::unique_ptr<ControlPlane>> make_quick_plane(const world::Spec& spec, std::uint64_t seed,
                                                       Clock& clock) {
  return plain_values_suffice(spec) ? make_direct_plane(spec, seed, clock)
                                    : make_mock_plane(spec, seed, clock);
}

}  // namespace coalmine::engine
