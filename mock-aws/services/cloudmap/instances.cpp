#include <algorithm>
#include <nlohmann/json.hpp>

#include "mock-aws/services/cloudmap/cloudmap.h"
#include "mock-aws/services/cloudmap/store.h"
#include "mock-aws/services/paging.h"

namespace coalmine::mock {
namespace {

using namespace cloudmap;

bool carries(const Attributes& attributes, const Attributes& wanted) {
  return std::all_of(wanted.begin(), wanted.end(), [&](const auto& pair) {
    const auto found = attributes.find(pair.first);
    return found != attributes.end() && found->second == pair.second;
  });
}

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return text;
}

std::string health_of(const DiscoveryService& service, const Instance& instance) {
  return service.custom_health_check.is_null() ? "UNKNOWN" : instance.custom_health;
}

tl::unexpected<AwsError> no_instance(const std::string& id, const DiscoveryService& service) {
  return aws_error("InstanceNotFound", "Instance {} is not registered with service {}", id,
                   service.id);
}

}  // namespace

// --- registration ------------------------------------------------------------------------------

void CloudMap::put_instance(DiscoveryService& service, const std::string& id,
                            const std::string& creator, const Attributes& attributes,
                            TimePoint now) {
  Instance instance;
  instance.id = id;
  instance.creator = creator;
  instance.attributes = attributes;
  if (const auto initial = attributes.find("AWS_INIT_HEALTH_STATUS"); initial != attributes.end()) {
    instance.custom_health = initial->second;
    instance.attributes.erase("AWS_INIT_HEALTH_STATUS");
  }
  service.instances[id] = std::move(instance);
  ++service.revision;
  ++revision_;
  Json fields = {{"service", service.name}, {"instance", id}};
  if (const auto ip = attributes.find("AWS_INSTANCE_IPV4"); ip != attributes.end()) {
    fields["ipv4"] = ip->second;
  }
  events_.event(now, "instance.registered", std::move(fields));
}

bool CloudMap::drop_instance(DiscoveryService& service, const std::string& id, TimePoint now) {
  if (service.instances.erase(id) == 0) return false;
  ++service.revision;
  ++revision_;
  events_.event(now, "instance.deregistered", {{"service", service.name}, {"instance", id}});
  return true;
}

bool CloudMap::register_instance(const std::string& service_id, const std::string& instance_id,
                                 const std::map<std::string, std::string>& attributes,
                                 TimePoint now) {
  DiscoveryService* service = find_service(service_id);
  if (service == nullptr) return false;
  put_instance(*service, instance_id, "", attributes, now);
  return true;
}

bool CloudMap::deregister_instance(const std::string& service_id, const std::string& instance_id,
                                   TimePoint now) {
  DiscoveryService* service = find_service(service_id);
  return service != nullptr && drop_instance(*service, instance_id, now);
}

bool CloudMap::has_service(const std::string& service) const {
  return find_service(service) != nullptr;
}

CloudMap::Check CloudMap::check_instance(const DiscoveryService& service,
                                         const Json& attributes) const {
  static const std::map<std::string, std::string> kNeeded = {{"A", "AWS_INSTANCE_IPV4"},
                                                             {"AAAA", "AWS_INSTANCE_IPV6"},
                                                             {"SRV", "AWS_INSTANCE_PORT"},
                                                             {"CNAME", "AWS_INSTANCE_CNAME"}};
  if (!service.dns_config.is_null()) {
    for (const Json& record : service.dns_config.at("DnsRecords")) {
      const std::string type = get_string(record, "Type");
      if (!attributes.contains(kNeeded.at(type))) {
        return aws_error("InvalidInput", "Attribute {} is required: service {} has {} records",
                         kNeeded.at(type), service.name, type);
      }
    }
  }
  const auto initial = attributes.value("AWS_INIT_HEALTH_STATUS", std::string("HEALTHY"));
  if (initial != "HEALTHY" && initial != "UNHEALTHY") {
    return aws_error("InvalidInput",
                     "AWS_INIT_HEALTH_STATUS is {}; allowed are HEALTHY and UNHEALTHY", initial);
  }
  std::size_t custom = 0, characters = 0;
  for (const auto& [key, value] : attributes.items()) {
    custom += key.compare(0, 4, "AWS_") != 0;
    characters += key.size() + value.get_ref<const std::string&>().size();
  }
  if (custom > kMaxCustomAttributes || characters > kMaxAttributeCharacters) {
    return aws_error("InvalidInput",
                     "{} custom attributes, {} characters in all; allowed are {} and {}", custom,
                     characters, kMaxCustomAttributes, kMaxAttributeCharacters);
  }
  return {};
}

Reply CloudMap::register_instance_call(const Json& input, CallContext& context) {
  TRY(const DiscoveryService* service, require_service(get_string(input, "ServiceId")));
  TRY_STATUS(check_instance(*service, input.at("Attributes")));
  Operation operation;
  operation.type = "REGISTER_INSTANCE";
  operation.targets = {{"SERVICE", service->id}, {"INSTANCE", get_string(input, "InstanceId")}};
  operation.creator = get_string(input, "CreatorRequestId");
  operation.change = input.at("Attributes");
  return start(std::move(operation), context.now);
}

Reply CloudMap::deregister_instance_call(const Json& input, CallContext& context) {
  TRY(const DiscoveryService* service, require_service(get_string(input, "ServiceId")));
  const std::string id = get_string(input, "InstanceId");
  if (service->instances.count(id) == 0) return no_instance(id, *service);
  Operation operation;
  operation.type = "DEREGISTER_INSTANCE";
  operation.targets = {{"SERVICE", service->id}, {"INSTANCE", id}};
  return start(std::move(operation), context.now);
}

Reply CloudMap::get_instance(const Json& input, CallContext&) {
  TRY(const DiscoveryService* service, require_service(get_string(input, "ServiceId")));
  const auto found = service->instances.find(get_string(input, "InstanceId"));
  if (found == service->instances.end()) {
    return no_instance(get_string(input, "InstanceId"), *service);
  }
  const Instance& instance = found->second;
  Json out = {{"Id", instance.id},
              {"Attributes", instance.attributes},
              {"CreatedByAccount", scope_.account}};
  if (!instance.creator.empty()) out["CreatorRequestId"] = instance.creator;
  return Json{{"ResourceOwner", scope_.account}, {"Instance", std::move(out)}};
}

Reply CloudMap::list_instances(const Json& input, CallContext&) {
  TRY(const DiscoveryService* service, require_service(get_string(input, "ServiceId")));
  std::vector<const Instance*> all;
  for (const auto& [id, instance] : service->instances) all.push_back(&instance);
  const auto page = take_page(all, get_string(input, "NextToken"),
                              static_cast<std::size_t>(get_int(input, "MaxResults", 100)),
                              [](const Instance* instance) { return instance->id; });
  if (!page) return aws_error("InvalidInput", "NextToken is not one that a List call returned");
  Json reply = {{"ResourceOwner", scope_.account}, {"Instances", Json::array()}};
  for (const Instance* instance : page->items) {
    reply["Instances"].push_back({{"Id", instance->id},
                                  {"Attributes", instance->attributes},
                                  {"CreatedByAccount", scope_.account}});
  }
  if (!page->next.empty()) reply["NextToken"] = page->next;
  return reply;
}

// --- health ------------------------------------------------------------------------------------

Reply CloudMap::get_health(const Json& input, CallContext&) {
  TRY(const DiscoveryService* service, require_service(get_string(input, "ServiceId")));
  std::vector<const Instance*> wanted;
  if (const Json* ids = find(input, "Instances")) {
    for (const Json& id : *ids) {
      const auto found = service->instances.find(id.get<std::string>());
      if (found == service->instances.end()) return no_instance(id.get<std::string>(), *service);
      wanted.push_back(&found->second);
    }
    std::sort(wanted.begin(), wanted.end(), [](auto* a, auto* b) { return a->id < b->id; });
  } else {
    for (const auto& [id, instance] : service->instances) wanted.push_back(&instance);
  }
  const auto page = take_page(wanted, get_string(input, "NextToken"),
                              static_cast<std::size_t>(get_int(input, "MaxResults", 100)),
                              [](const Instance* instance) { return instance->id; });
  if (!page) return aws_error("InvalidInput", "NextToken is not one that a call returned");
  Json reply = {{"Status", Json::object()}};
  for (const Instance* instance : page->items) {
    reply["Status"][instance->id] = health_of(*service, *instance);
  }
  if (!page->next.empty()) reply["NextToken"] = page->next;
  return reply;
}

Reply CloudMap::set_health(const Json& input, CallContext& context) {
  TRY(DiscoveryService*  service, require_service(get_string(input, "ServiceId")));
  const std::string id = get_string(input, "InstanceId");
  const auto found = service->instances.find(id);
  if (found == service->instances.end()) return no_instance(id, *service);
  if (service->custom_health_check.is_null()) {
    return aws_error("CustomHealthNotFound", "Service {} has no HealthCheckCustomConfig",
                     service->id);
  }
  found->second.next_health = get_string(input, "Status");
  found->second.next_health_at = context.now + options_.custom_health_delay;
  return Json::object();
}

// --- discovery ---------------------------------------------------------------------------------

tl::expected<DiscoveryService*, AwsError> CloudMap::require_by_name(const Json& input) const {
  const std::string space_name = get_string(input, "NamespaceName");
  const std::string name = get_string(input, "ServiceName");
  for (const auto& [id, space] : store_->namespaces) {
    if (!space.ready || space.name != space_name) continue;
    if (DiscoveryService* service = find_service(id, name)) return service;
    return aws_error("ServiceNotFound", "No service named {} exists in namespace {}", name,
                     space_name);
  }
  return aws_error("NamespaceNotFound", "No namespace named {} exists", space_name);
}

Reply CloudMap::discover_instances(const Json& input, CallContext&) {
  TRY(const DiscoveryService* service, require_by_name(input));
  const auto limit = static_cast<std::size_t>(get_int(input, "MaxResults", 100));
  const std::string wanted_health = get_string(input, "HealthStatus", "HEALTHY");
  const Attributes query = input.value("QueryParameters", Attributes{});
  const Attributes optional = input.value("OptionalParameters", Attributes{});
  std::vector<const Instance*> found;
  for (const auto& [id, instance] : service->instances) {
    if (carries(instance.attributes, query)) found.push_back(&instance);
  }
  // Optional parameters and HEALTHY_OR_ELSE_ALL narrow the result unless nothing would be left.
  const auto narrow = [&found](bool or_else_all, const auto& keep) {
    std::vector<const Instance*> kept;
    std::copy_if(found.begin(), found.end(), std::back_inserter(kept), keep);
    if (!kept.empty() || !or_else_all) found = std::move(kept);
  };
  narrow(true, [&](const Instance* i) { return carries(i->attributes, optional); });
  if (!service->custom_health_check.is_null() && wanted_health != "ALL") {
    const std::string health = wanted_health == "UNHEALTHY" ? "UNHEALTHY" : "HEALTHY";
    narrow(wanted_health == "HEALTHY_OR_ELSE_ALL",
           [&](const Instance* i) { return i->custom_health == health; });
  }
  Json list = Json::array();
  for (std::size_t i = 0; i < std::min(limit, found.size()); ++i) {
    list.push_back({{"InstanceId", found[i]->id},
                    {"NamespaceName", get_string(input, "NamespaceName")},
                    {"ServiceName", service->name},
                    {"HealthStatus", health_of(*service, *found[i])},
                    {"Attributes", found[i]->attributes}});
  }
  return Json{{"Instances", std::move(list)}, {"InstancesRevision", service->revision}};
}

Reply CloudMap::discover_revision(const Json& input, CallContext&) {
  TRY(const DiscoveryService* service, require_by_name(input));
  return Json{{"InstancesRevision", service->revision}};
}

DiscoveredInstance CloudMap::discovered(const DiscoveryService& service,
                                        const Instance& instance) const {
  DiscoveredInstance out;
  out.id = instance.id;
  out.attributes = instance.attributes;
  if (const auto ip = instance.attributes.find("AWS_INSTANCE_IPV4");
      ip != instance.attributes.end()) {
    out.ipv4 = ip->second;
  }
  if (const auto port = instance.attributes.find("AWS_INSTANCE_PORT");
      port != instance.attributes.end()) {
    out.port = std::atoi(port->second.c_str());
  }
  out.healthy = health_of(service, instance) != "UNHEALTHY";
  return out;
}

std::optional<std::vector<DiscoveredInstance>> CloudMap::discover(
    const std::string& namespace_name, const std::string& service_name,
    const std::map<std::string, std::string>& attributes) const {
  const auto service =
      require_by_name({{"NamespaceName", namespace_name}, {"ServiceName", service_name}});
  if (!service) return std::nullopt;
  std::vector<DiscoveredInstance> found;
  for (const auto& [id, instance] : (*service)->instances) {
    if (carries(instance.attributes, attributes)) found.push_back(discovered(**service, instance));
  }
  return found;
}

std::optional<std::vector<DiscoveredInstance>> CloudMap::resolve(
    const std::string& hostname) const {
  std::string wanted = lower(hostname);
  if (!wanted.empty() && wanted.back() == '.') wanted.pop_back();
  for (const auto& [id, service] : store_->services) {
    const Namespace& space = store_->namespaces.at(service.namespace_id);
    if (service.dns_config.is_null() || lower(service.name + "." + space.name) != wanted) continue;
    return discover(space.name, service.name, {});
  }
  return std::nullopt;
}

std::vector<std::string> CloudMap::hostnames() const {
  std::vector<std::string> names;
  for (const auto& [id, service] : store_->services) {
    if (service.dns_config.is_null()) continue;
    names.push_back(service.name + "." + store_->namespaces.at(service.namespace_id).name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace coalmine::mock
