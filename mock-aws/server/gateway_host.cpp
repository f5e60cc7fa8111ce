#include "mock-aws/server/gateway_host.h"

#include <nlohmann/json.hpp>

#include "mock-aws/server/interfaces.h"
#include "mock-aws/services/appmesh/appmesh.h"
#include "mock-aws/services/appmesh/resource.h"
#include "mock-aws/services/ecs/ecs.h"
#include "mock-aws/services/elbv2/elbv2.h"

namespace coalmine::mock {
namespace {

constexpr int kPublishedPort = 9080;

/// The port of the virtual gateway's first listener; nullopt: there is no such gateway.
std::optional<int> listener_port(const AppMesh& app_mesh, const std::string& mesh_and_name) {
  const auto slash = mesh_and_name.find('/');
  const auto* resource =
      app_mesh.find({mesh_and_name.substr(0, slash), AppMesh::Kind::VirtualGateway, "",
                     mesh_and_name.substr(slash + 1)});
  if (resource == nullptr) return std::nullopt;
  const Json* listeners = find(resource->spec, "listeners");
  if (listeners == nullptr || listeners->empty()) return std::nullopt;
  const Json* mapping = find(listeners->front(), "portMapping");
  return mapping == nullptr ? std::nullopt
                            : std::optional(static_cast<int>(get_int(*mapping, "port")));
}

}  // namespace

traffic::RouteTable published_table(const Cloud& cloud) {
  traffic::Target target;
  target.name = "gateway";
  for (const auto& [scope, region] : cloud.regions()) {
    for (const TaskView& task : region->ecs->tasks()) {
      if (task.virtual_gateway.empty() || task.last_status != "RUNNING") continue;
      const auto port = listener_port(*region->appmesh, task.virtual_gateway);
      if (port) target.instances.push_back({task.id, task.address, *port, true});
    }
  }
  traffic::Route route;
  route.name = "published";
  if (target.instances.empty()) {
    const std::string why =
        "no task of a virtual gateway is running: create an ECS service whose Envoy container has "
        "APPMESH_VIRTUAL_NODE_NAME=mesh/MESH/virtualGateway/NAME";
    route.action = traffic::FixedResponse{503, "text/plain", why + "\n", why};
  } else {
    traffic::Forward forward;
    forward.targets.push_back(std::move(target));
    // The gateway behind keeps the limits; this hop only carries.
    forward.timeouts.request = Duration{};
    route.action = std::move(forward);
  }
  traffic::Listener listener;
  listener.name = "published";
  listener.port = kPublishedPort;
  listener.routes.push_back(std::move(route));
  traffic::RouteTable table;
  table.name = "published";
  table.listeners.push_back(std::move(listener));
  return table;
}

GatewayHost::GatewayHost(GatewayHostOptions options, EventSink& events)
    : options_(std::move(options)), events_(events) {}

Result<std::unique_ptr<GatewayHost>> GatewayHost::start(GatewayHostOptions options,
                                                        EventSink& events) {
  std::unique_ptr<GatewayHost> host(new GatewayHost(std::move(options), events));
  if (!host->options_.publish_host.empty()) {
    gateway::GatewayOptions published;
    published.port = host->options_.publish_port;
    published.admin_port = std::nullopt;
    struct NoEvents : EventSink {
      void event(TimePoint, std::string_view, Json) override {}
    } silent;
    const Cloud empty({}, silent);
    const auto table = std::make_shared<const traffic::RouteTable>(published_table(empty));
    for (const std::string& address : listen_addresses(host->options_.publish_host)) {
      published.host = address;
      TRY(auto gateway, gateway::Gateway::start(published, table));
      published.port = gateway->ports().front().bound;
      host->published_.push_back(std::move(gateway));
    }
  }
  host->thread_ = std::thread([raw = host.get()] { raw->run(); });
  return host;
}

GatewayHost::~GatewayHost() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

std::string GatewayHost::published_url() const {
  if (published_.empty()) return "";
  const std::string host = options_.publish_host == "0.0.0.0" ? "127.0.0.1" : options_.publish_host;
  return fmt::format("http://{}:{}", host, published_.front()->ports().front().bound);
}

void GatewayHost::want(const Cloud& cloud, TimePoint now) {
  Wanted wanted;
  for (const auto& [scope, region] : cloud.regions()) {
    for (const LoadBalancerView& balancer : region->elbv2->load_balancers()) {
      if (!balancer.ports.empty()) wanted[balancer.address] = {scope, balancer.name};
    }
  }
  traffic::Snapshot table;
  if (!published_.empty())
    table = std::make_shared<const traffic::RouteTable>(published_table(cloud));
  const std::lock_guard lock(mutex_);
  const bool same_table = !table || (wanted_table_ && *table == *wanted_table_);
  if (wanted == wanted_ && same_table) return;
  wanted_ = std::move(wanted);
  if (!same_table) wanted_table_ = std::move(table);
  now_ = now;
  dirty_ = true;
  changed_.notify_all();
}

void GatewayHost::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return dirty_ || stopping_; });
    if (stopping_) break;
    dirty_ = false;
    const Wanted wanted = wanted_;
    const traffic::Snapshot table = wanted_table_;
    const TimePoint now = now_;
    lock.unlock();
    for (const auto& published : published_) {
      if (!table) break;
      if (const Status updated = published->update(table); !updated) {
        events_.event(now, "gateway.publish-failed", {{"reason", updated.error().message}});
      }
    }
    for (auto it = balancers_.begin(); it != balancers_.end();) {
      it = wanted.count(it->first) == 0 ? balancers_.erase(it) : std::next(it);
    }
    for (const auto& [address, what] : wanted) {
      if (balancers_.count(address) == 0) start_balancer(address, what.first, what.second, now);
    }
    lock.lock();
  }
  lock.unlock();
  balancers_.clear();
  published_.clear();
}

void GatewayHost::start_balancer(const std::string& address, const Scope& scope,
                                 const std::string& name, TimePoint now) {
  gateway::GatewayOptions options;
  options.host = address;
  options.admin_port = std::nullopt;
  auto gateway = gateway::Gateway::start(options, nullptr);
  if (!gateway) {
    events_.event(now, "load-balancer.failed",
                  {{"loadBalancer", name}, {"reason", gateway.error().message}});
    return;
  }
  gateway::ControlOptions control;
  control.url = options_.control;
  control.load_balancer = name;
  control.scope = scope.account + "/" + scope.region;
  control.report_interval = options_.report_interval;
  auto source = gateway::ControlSource::start(**gateway, control);
  if (!source) {
    events_.event(now, "load-balancer.failed",
                  {{"loadBalancer", name}, {"reason", source.error().message}});
    return;
  }
  balancers_[address] = {*std::move(gateway), *std::move(source)};
}

}  // namespace coalmine::mock
