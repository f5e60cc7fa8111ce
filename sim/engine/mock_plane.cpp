#include "sim/engine/mock_plane.h"

#include <nlohmann/json.hpp>

#include "mock-aws/dataplane/metrics.h"
#include "mock-aws/dataplane/route_compiler.h"
#include "mock-aws/protocol/endpoint.h"
#include "mock-aws/services/appmesh/appmesh.h"
#include "mock-aws/services/cloudmap/cloudmap.h"
#include "mock-aws/services/cloudwatch/cloudwatch.h"
#include "sim/aws/client.h"
#include "sim/engine/direct_plane.h"
#include "sim/lab/provision.h"
#include "sim/rollout/aws/appmesh_traffic.h"
#include "sim/rollout/aws/cloudwatch_metrics.h"

namespace coalmine::engine {
namespace {

constexpr const char* kEndpoint = "http://mock.coalmine.local";

struct NoEvents : mock::EventSink {
  void event(TimePoint, std::string_view, Json) override {}
};

rollout::VersionNames names_of(const world::Spec& spec, const lab::LabNames& names) {
  return {spec.plan.stable, spec.plan.canary, names.node(spec.plan.stable),
          names.node(spec.plan.canary)};
}

mock::CloudMap::Options at_once() {
  mock::CloudMap::Options options;
  options.operation_delay = Duration{};
  return options;
}

class MockPlane : public ControlPlane {
 public:
  MockPlane(const world::Spec& spec, Clock& clock)
      : spec_(spec),
        clock_(clock),
        random_(Random(spec.seed).split("mock-aws")),
        appmesh_(scope_, random_.split("appmesh"), events_),
        cloudmap_(scope_, random_.split("cloudmap"), events_, at_once()),
        cloudwatch_(scope_, random_.split("cloudwatch"), events_),
        endpoint_(
            {}, [this](const mock::Scope&, std::string_view name) { return find(name); },
            random_.split("requests")),
        transport_(aws::in_process_transport([this](const net::Request& request) {
          cloudmap_.tick(clock_.now());
          return endpoint_.handle(request, clock_.now());
        })),
        client_(*transport_, {"coalmine", "coalmine", ""}, options(), clock,
                random_.split("client")),
        traffic_(client_, {names_.mesh, names_.app + "-router", names_.app + "-route"},
                 names_of(spec, names_)),
        metrics_(client_,
                 [this] {
                   const rollout::VersionNames names = names_of(spec_, names_);
                   const std::string gateway = names_.app + "-gateway";
                   return Result<std::pair<rollout::VersionMetrics, rollout::VersionMetrics>>(
                       {rollout::mesh_metrics(names_.mesh, gateway, names.stable_target),
                        rollout::mesh_metrics(names_.mesh, gateway, names.canary_target)});
                 },
                 {spec.platform.metric_period, spec.platform.metric_delay}) {}

  /// Mesh and names through the API, then the tasks as ECS would register them.
  Status set_up() {
    lab::ProvisionSettings settings;
    settings.names = names_;
    settings.tasks = false;
    settings.versions = {{spec_.plan.stable, 1}, {spec_.plan.canary, 1}};
    TRY_STATUS(lab::provision(client_, settings, clock_));
    TRY(const Json listed, client_.call("cloudmap", "ListServices", Json::object()));
    for (std::size_t v = 0; v < spec_.versions.size(); ++v) {
      for (const Json& one : listed.value("Services", Json::array())) {
        if (get_string(one, "Name") == names_.node(spec_.versions[v].name)) {
          register_tasks(v, get_string(one, "Id"));
        }
      }
    }
    return {};
  }

  rollout::TrafficAdapter& traffic() override { return traffic_; }
  rollout::MetricsSource& metrics() override { return metrics_; }
  std::uint64_t revision() const override { return mock::data_plane_revision(appmesh_, cloudmap_); }

  traffic::Snapshot routes() override {
    auto table = mock::compile_virtual_gateway(appmesh_, cloudmap_, names_.mesh,
                                               names_.app + "-gateway", revision());
    return std::make_shared<traffic::RouteTable>(table ? *std::move(table) : traffic::RouteTable{});
  }

  void publish(const PeriodMetrics& period, TimePoint now) override {
    mock::GatewayReport report;
    report.mesh = names_.mesh;
    report.virtual_gateway = names_.app + "-gateway";
    report.scope = scope_;
    report.time = period.from;
    for (std::size_t v = 0; v < spec_.versions.size(); ++v) {
      const VersionMetrics& metrics = period.versions[v];
      mock::TargetCounts& counts = report.targets[names_.node(spec_.versions[v].name)];
      counts.requests = static_cast<double>(metrics.requests);
      counts.codes[5] = static_cast<double>(metrics.errors);
      counts.codes[2] = counts.requests - counts.codes[5];
      for (const auto& [value_us, count] : metrics.latency.filled()) {
        counts.latency_us[static_cast<double>(value_us)] = static_cast<double>(count);
      }
    }
    const mock::MetricBatch batch = mock::app_mesh_metrics(report);
    cloudwatch_.put_metrics(batch.metric_namespace, batch.data, now);
  }

  bool set_foreign(const std::map<std::string, std::uint32_t>& weights) override {
    const Json where = {{"meshName", names_.mesh},
                        {"virtualRouterName", names_.app + "-router"},
                        {"routeName", names_.app + "-route"}};
    const auto route = client_.call("appmesh", "DescribeRoute", where);
    if (!route) return false;
    Json input = where;
    input["spec"] = (*route)["route"]["spec"];
    for (Json& target : input["spec"]["httpRoute"]["action"]["weightedTargets"]) {
      for (const auto& [version, weight] : weights) {
        if (get_string(target, "virtualNode") == names_.node(version)) target["weight"] = weight;
      }
    }
    return client_.call("appmesh", "UpdateRoute", input).has_value();
  }

  void tick(TimePoint now) override {
    cloudmap_.tick(now);
    cloudwatch_.tick(now);
  }

 private:
  static aws::ClientOptions options() {
    aws::ClientOptions options;
    options.endpoint = kEndpoint;
    return options;
  }

  mock::Service* find(std::string_view name) {
    if (name == appmesh_.name()) return &appmesh_;
    if (name == cloudmap_.name()) return &cloudmap_;
    if (name == cloudwatch_.name()) return &cloudwatch_;
    return nullptr;
  }

  void register_tasks(std::size_t version, const std::string& service) {
    for (int i = 0; i < spec_.versions[version].tasks; ++i) {
      const std::string address =
          fmt::format("127.1.{}.{}", version * 4 + 1 + i / 250, 1 + i % 250);
      cloudmap_.register_instance(service, fmt::format("{}-{}", spec_.versions[version].name, i),
                                  {{"AWS_INSTANCE_IPV4", address}}, clock_.now());
    }
  }

  const world::Spec& spec_;
  Clock& clock_;
  lab::LabNames names_;
  mock::Scope scope_;
  NoEvents events_;
  Random random_;
  mock::AppMesh appmesh_;
  mock::CloudMap cloudmap_;
  mock::CloudWatch cloudwatch_;
  mock::Endpoint endpoint_;
  std::unique_ptr<aws::Transport> transport_;
  aws::Client client_;
  rollout::AppMeshTraffic traffic_;
  rollout::CloudWatchMetrics metrics_;
};

}  // namespace

Result<std::unique_ptr<ControlPlane>> make_mock_plane(const world::Spec& spec, Clock& clock) {
  auto plane = std::make_unique<MockPlane>(spec, clock);
  TRY_STATUS(plane->set_up());
  return plane;
}

Result<std::unique_ptr<ControlPlane>> make_plane(const world::Spec& spec, Clock& clock) {
  return spec.plan.traffic == rollout::TrafficApi::AppMesh ? make_mock_plane(spec, clock)
                                                           : make_direct_plane(spec, clock);
}

}  // namespace coalmine::engine
