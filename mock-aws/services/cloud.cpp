#include "mock-aws/services/cloud.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "mock-aws/protocol/endpoint.h"
#include "mock-aws/services/appmesh/appmesh.h"
#include "mock-aws/services/cloudmap/cloudmap.h"
#include "mock-aws/services/cloudwatch/cloudwatch.h"
#include "mock-aws/services/ec2/ec2.h"
#include "mock-aws/services/ecr/ecr.h"
#include "mock-aws/services/elbv2/elbv2.h"
#include "mock-aws/services/iam/iam.h"
#include "mock-aws/services/logs/logs.h"
#include "mock-aws/services/sts/sts.h"

namespace coalmine::mock {
namespace {

/// The one secret that --verify-signatures accepts, whatever the key.
constexpr std::string_view kSecret = "coalmine";

std::vector<NetworkInterface> interfaces_of(const Ecs& ecs) {
  std::vector<NetworkInterface> all;
  for (const TaskView& task : ecs.tasks()) {
    all.push_back({task.eni, task.mac, task.subnet, task.address, task.attachment_arn,
                   task.security_groups, task.public_ip});
  }
  return all;
}

}  // namespace

Region::Region() = default;
Region::~Region() = default;

std::vector<Service*> Region::services() const {
  return {cloudmap.get(), elbv2.get(), cloudwatch.get(), ecs.get(), appmesh.get(),
          ecr.get(),      logs.get(),  iam.get(),        ec2.get(), sts.get()};
}

Service* Region::find(std::string_view service) const {
  for (Service* candidate : services()) {
    if (candidate->name() == service) return candidate;
  }
  return nullptr;
}

std::uint64_t Region::dataplane_revision() const {
  return appmesh->revision() + cloudmap->revision() + elbv2->revision();
}

Cloud::Cloud(CloudOptions options, EventSink& events)
    : options_(std::move(options)),
      events_(events),
      random_(options_.seed),
      addresses_(options_.first_address, options_.last_address) {
  EndpointOptions endpoint;
  endpoint.verify_signatures = options_.verify_signatures;
  endpoint.secret_of = [](std::string_view) { return std::string(kSecret); };
  endpoint_ = std::make_unique<Endpoint>(
      std::move(endpoint),
      [this](const Scope& scope, std::string_view service) { return region(scope).find(service); },
      random_.split("requests"));
}

Cloud::~Cloud() = default;

std::unique_ptr<Region> Cloud::make_region(const Scope& scope) {
  auto made = std::make_unique<Region>();
  const Random random = random_.split(scope.account + "/" + scope.region);
  made->appmesh = std::make_unique<AppMesh>(scope, random.split("appmesh"), events_);
  made->cloudmap = std::make_unique<CloudMap>(scope, random.split("cloudmap"), events_);
  made->cloudwatch = std::make_unique<CloudWatch>(scope, random.split("cloudwatch"), events_);
  made->ec2 = std::make_unique<Ec2>(scope, random.split("ec2"));
  made->ecr = std::make_unique<Ecr>(scope, random.split("ecr"), events_);
  made->ecr->set_registry_host(options_.registry_host);
  made->iam = std::make_unique<Iam>(scope, random.split("iam"));
  made->logs = std::make_unique<Logs>(scope, random.split("logs"), events_);
  made->sts = std::make_unique<Sts>(scope, random.split("sts"));
  ElbSurroundings around;
  around.acquire_address = [this] { return addresses_.acquire(); };
  around.release_address = [this](const std::string& address) { addresses_.release(address); };
  made->elbv2 = std::make_unique<Elbv2>(scope, random.split("elbv2"), events_, std::move(around));
  made->ecs = std::make_unique<Ecs>(
      EcsDependencies{scope, random.split("ecs"), events_, *made->cloudmap, *made->elbv2,
                      *made->logs, *made->ecr, *made->cloudwatch, addresses_, options_.ecs});
  made->ec2->set_interfaces([ecs = made->ecs.get()] { return interfaces_of(*ecs); });
  return made;
}

Region& Cloud::region(const Scope& scope) {
  auto& slot = regions_[scope];
  if (!slot) slot = make_region(scope);
  return *slot;
}

void Cloud::set_registry_host(const std::string& host) {
  options_.registry_host = host;
  for (const auto& [scope, region] : regions_) region->ecr->set_registry_host(host);
}

net::Response Cloud::handle(const net::Request& request, TimePoint now) {
  return endpoint_->handle(request, now);
}

std::optional<ApiCall> Cloud::identify(const net::Request& request) const {
  return endpoint_->identify(request);
}

net::Response Cloud::refuse(const net::Request& request, const AwsError& refusal) {
  return endpoint_->refuse(request, refusal);
}

void Cloud::tick(TimePoint now) {
  for (const auto& [scope, region] : regions_) {
    for (Service* service : region->services()) service->tick(now);
  }
}

TimePoint Cloud::next_wakeup() const {
  TimePoint next = kNever;
  for (const auto& [scope, region] : regions_) {
    for (const Service* service : region->services()) {
      next = std::min(next, service->next_wakeup());
    }
  }
  return next;
}

void Cloud::reset() {
  regions_.clear();
  addresses_ = AddressPool(options_.first_address, options_.last_address);
}

Json Cloud::state() const {
  Json all = Json::object();
  for (const auto& [scope, region] : regions_) {
    Json& one = all[scope.account + "/" + scope.region];
    for (const Service* service : region->services()) {
      one[std::string(service->name())] = service->state();
    }
  }
  return all;
}

}  // namespace coalmine::mock
