#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "mock-aws/services/cloudmap/cloudmap.h"
#include "mock-aws/services/cloudmap/store.h"
#include "mock-aws/services/paging.h"
#include "sim/core/ids.h"

namespace coalmine::mock {
namespace {

using namespace cloudmap;

constexpr std::size_t kIdLength = 16;

/// What follows the last '/' of an ARN; an id stays as it is.
std::string id_of(const std::string& id_or_arn) {
  const auto slash = id_or_arn.rfind('/');
  return slash == std::string::npos ? id_or_arn : id_or_arn.substr(slash + 1);
}

template <typename T, typename Describe>
Reply page_of(const std::vector<const T*>& all, const Json& input, std::string_view member,
              const Describe& describe) {
  const auto page = take_page(all, get_string(input, "NextToken"),
                              static_cast<std::size_t>(get_int(input, "MaxResults", 100)),
                              [](const T* item) { return item->id; });
  if (!page) return aws_error("InvalidInput", "NextToken is not one that a List call returned");
  Json items = Json::array();
  for (const T* item : page->items) items.push_back(describe(*item));
  Json reply = {{member, std::move(items)}};
  if (!page->next.empty()) reply["NextToken"] = page->next;
  return reply;
}

AwsError with_members(AwsError error, std::map<std::string, std::string> members) {
  error.members = std::move(members);
  return error;
}

}  // namespace

// --- namespaces --------------------------------------------------------------------------------

Reply CloudMap::create_http_namespace(const Json& input, CallContext& context) {
  return create_namespace("HTTP", input, context);
}
Reply CloudMap::create_private_namespace(const Json& input, CallContext& context) {
  return create_namespace("DNS_PRIVATE", input, context);
}
Reply CloudMap::create_public_namespace(const Json& input, CallContext& context) {
  return create_namespace("DNS_PUBLIC", input, context);
}

Reply CloudMap::create_namespace(std::string_view type, const Json& input, CallContext& context) {
  constexpr std::int64_t kDefaultSoaTtl = 15;
  const std::string name = get_string(input, "Name");
  const std::string creator = get_string(input, "CreatorRequestId");
  for (const auto& [id, space] : store_->namespaces) {
    if (space.name != name) continue;
    if (!creator.empty() && creator == space.creator && space.type == type) {
      return Json{{"OperationId", space.operation_id}};
    }
    return tl::unexpected(with_members(
        {"NamespaceAlreadyExists", fmt::format("Namespace {} already exists", name), 0, {}},
        {{"NamespaceId", id}, {"CreatorRequestId", space.creator}}));
  }
  Namespace space;
  space.id = "ns-" + random_alnum(random_, kIdLength);
  space.arn = fmt::format("arn:aws:servicediscovery:{}:{}:namespace/{}", scope_.region,
                          scope_.account, space.id);
  space.name = name;
  space.type = type;
  space.description = get_string(input, "Description");
  space.creator = creator;
  space.created_at = context.now;
  space.tags = tags_from(input.value("Tags", Json::array()));
  space.properties = {{"HttpProperties", {{"HttpName", name}}}};
  if (type != "HTTP") {
    std::string zone = "Z" + random_alnum(random_, 20);
    std::transform(zone.begin(), zone.end(), zone.begin(),
                   [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
    const Json given = input.value("Properties", Json::object());
    space.properties["DnsProperties"] = {
        {"HostedZoneId", zone},
        {"SOA", given.value("/DnsProperties/SOA"_json_pointer, Json{{"TTL", kDefaultSoaTtl}})}};
  }
  Operation operation;
  operation.type = "CREATE_NAMESPACE";
  operation.targets = {{"NAMESPACE", space.id}};
  TRY(const Json reply, start(std::move(operation), context.now));
  space.operation_id = reply.at("OperationId");
  store_->namespaces[space.id] = std::move(space);
  return reply;
}

tl::expected<Namespace*, AwsError> CloudMap::require_namespace(const std::string& id) const {
  const auto found = store_->namespaces.find(id_of(id));
  if (found == store_->namespaces.end() || !found->second.ready) {
    return aws_error("NamespaceNotFound", "Namespace {} does not exist", id);
  }
  return &found->second;
}

Json CloudMap::describe(const Namespace& space) const {
  const auto services =
      std::count_if(store_->services.begin(), store_->services.end(),
                    [&](const auto& entry) { return entry.second.namespace_id == space.id; });
  Json out = {{"Id", space.id},
              {"Arn", space.arn},
              {"ResourceOwner", scope_.account},
              {"Name", space.name},
              {"Type", space.type},
              {"ServiceCount", services},
              {"Properties", space.properties},
              {"CreateDate", to_epoch_seconds(space.created_at)}};
  if (!space.description.empty()) out["Description"] = space.description;
  return out;
}

Reply CloudMap::get_namespace(const Json& input, CallContext&) {
  TRY(const Namespace* space, require_namespace(get_string(input, "Id")));
  Json out = describe(*space);
  if (!space->creator.empty()) out["CreatorRequestId"] = space->creator;
  return Json{{"Namespace", std::move(out)}};
}

Reply CloudMap::list_namespaces(const Json& input, CallContext&) {
  std::vector<const Namespace*> found;
  for (const auto& [id, space] : store_->namespaces) {
    if (space.ready && passes(input, "TYPE", space.type) && passes(input, "NAME", space.name) &&
        passes(input, "HTTP_NAME", space.name)) {
      found.push_back(&space);
    }
  }
  return page_of(found, input, "Namespaces", [&](const auto& space) { return describe(space); });
}

Reply CloudMap::delete_namespace(const Json& input, CallContext& context) {
  TRY(const Namespace* space, require_namespace(get_string(input, "Id")));
  for (const auto& [id, service] : store_->services) {
    if (service.namespace_id == space->id) {
      return aws_error("ResourceInUse",
                       "Namespace has associated services; delete the services before deleting "
                       "the namespace");
    }
  }
  Operation operation;
  operation.type = "DELETE_NAMESPACE";
  operation.targets = {{"NAMESPACE", space->id}};
  return start(std::move(operation), context.now);
}

// --- services ----------------------------------------------------------------------------------

CloudMap::Check CloudMap::check_service(const Json& input, const Namespace& space) const {
  const Json* dns = find(input, "DnsConfig");
  const bool health = find(input, "HealthCheckConfig") != nullptr;
  if (health && find(input, "HealthCheckCustomConfig") != nullptr) {
    return aws_error("InvalidInput", "Give HealthCheckConfig or HealthCheckCustomConfig, not both");
  }
  if (health && space.type == "DNS_PRIVATE") {
    return aws_error("InvalidInput",
                     "HealthCheckConfig is not supported in private DNS namespace {}; use "
                     "HealthCheckCustomConfig",
                     space.name);
  }
  if (dns == nullptr) return {};
  if (space.type == "HTTP") {
    return aws_error("InvalidInput", "DnsConfig is not supported in HTTP namespace {}", space.name);
  }
  std::set<std::string> types;
  for (const Json& record : dns->at("DnsRecords")) types.insert(get_string(record, "Type"));
  static const std::set<std::set<std::string>> kAllowed = {
      {"A"}, {"AAAA"}, {"A", "AAAA"}, {"SRV"}, {"CNAME"}};
  if (kAllowed.count(types) == 0 || types.size() != dns->at("DnsRecords").size()) {
    return aws_error("InvalidInput",
                     "DnsRecords has types {}; allowed are A, AAAA, A and AAAA, SRV, CNAME",
                     fmt::join(types, " and "));
  }
  if (types.count("CNAME") > 0 && get_string(*dns, "RoutingPolicy") != "WEIGHTED") {
    return aws_error("InvalidInput", "CNAME records need RoutingPolicy WEIGHTED");
  }
  return {};
}

Reply CloudMap::create_service(const Json& input, CallContext& context) {
  const Json* dns = find(input, "DnsConfig");
  std::string namespace_id = get_string(input, "NamespaceId");
  if (namespace_id.empty() && dns != nullptr) namespace_id = get_string(*dns, "NamespaceId");
  if (namespace_id.empty()) return aws_error("InvalidInput", "NamespaceId is required");
  TRY(const Namespace* space, require_namespace(namespace_id));
  TRY_STATUS(check_service(input, *space));
  const std::string name = get_string(input, "Name");
  const std::string creator = get_string(input, "CreatorRequestId");
  if (const DiscoveryService* old = find_service(space->id, name)) {
    if (!creator.empty() && creator == old->creator) return Json{{"Service", describe(*old)}};
    return tl::unexpected(with_members(
        {"ServiceAlreadyExists",
         fmt::format("Service {} already exists in {}", name, space->name),
         0,
         {}},
        {{"ServiceId", old->id}, {"ServiceArn", old->arn}, {"CreatorRequestId", old->creator}}));
  }
  DiscoveryService service;
  service.id = "srv-" + random_alnum(random_, kIdLength);
  service.arn = fmt::format("arn:aws:servicediscovery:{}:{}:service/{}", scope_.region,
                            scope_.account, service.id);
  service.name = name;
  service.namespace_id = space->id;
  service.description = get_string(input, "Description");
  service.creator = creator;
  service.type = space->type == "HTTP" || get_string(input, "Type") == "HTTP" ? "HTTP" : "DNS_HTTP";
  if (dns != nullptr) {
    service.dns_config = *dns;
    service.dns_config["NamespaceId"] = space->id;
    if (find(*dns, "RoutingPolicy") == nullptr) {
      service.dns_config["RoutingPolicy"] = "MULTIVALUE";
    }
  }
  service.health_check = input.value("HealthCheckConfig", Json());
  service.custom_health_check = input.value("HealthCheckCustomConfig", Json());
  service.created_at = context.now;
  service.tags = tags_from(input.value("Tags", Json::array()));
  const DiscoveryService& stored = store_->services[service.id] = service;
  ++revision_;
  events_.event(context.now, "discovery-service.created",
                {{"namespace", space->name}, {"service", name}});
  return Json{{"Service", describe(stored)}};
}

DiscoveryService* CloudMap::find_service(const std::string& id_or_arn) const {
  const auto found = store_->services.find(id_of(id_or_arn));
  return found == store_->services.end() ? nullptr : &found->second;
}

DiscoveryService* CloudMap::find_service(const std::string& space, const std::string& name) const {
  for (auto& [id, service] : store_->services) {
    if (service.namespace_id == space && service.name == name) return &service;
  }
  return nullptr;
}

tl::expected<DiscoveryService*, AwsError> CloudMap::require_service(const std::string& id) const {
  DiscoveryService* service = find_service(id);
  if (service == nullptr) return aws_error("ServiceNotFound", "Service {} does not exist", id);
  return service;
}

Json CloudMap::describe(const DiscoveryService& service) const {
  Json out = {{"Id", service.id},
              {"Arn", service.arn},
              {"ResourceOwner", scope_.account},
              {"Name", service.name},
              {"NamespaceId", service.namespace_id},
              {"InstanceCount", service.instances.size()},
              {"Type", service.type},
              {"CreateDate", to_epoch_seconds(service.created_at)},
              {"CreatedByAccount", scope_.account}};
  if (!service.description.empty()) out["Description"] = service.description;
  if (!service.creator.empty()) out["CreatorRequestId"] = service.creator;
  if (!service.dns_config.is_null()) out["DnsConfig"] = service.dns_config;
  if (!service.health_check.is_null()) out["HealthCheckConfig"] = service.health_check;
  if (!service.custom_health_check.is_null()) {
    out["HealthCheckCustomConfig"] = service.custom_health_check;
  }
  return out;
}

Reply CloudMap::get_service(const Json& input, CallContext&) {
  TRY(const DiscoveryService* service, require_service(get_string(input, "Id")));
  return Json{{"Service", describe(*service)}};
}

Reply CloudMap::list_services(const Json& input, CallContext&) {
  std::vector<const DiscoveryService*> found;
  for (const auto& [id, service] : store_->services) {
    if (passes(input, "NAMESPACE_ID", service.namespace_id)) found.push_back(&service);
  }
  return page_of(found, input, "Services", [&](const auto& service) {
    Json out = describe(service);
    out.erase("NamespaceId");
    out.erase("CreatorRequestId");
    return out;
  });
}

Reply CloudMap::update_service(const Json& input, CallContext& context) {
  TRY(const DiscoveryService* service, require_service(get_string(input, "Id")));
  const Json& change = input.at("Service");
  if (find(change, "DnsConfig") != nullptr && service->dns_config.is_null()) {
    return aws_error("InvalidInput", "Service {} has no DnsConfig to update", service->name);
  }
  Operation operation;
  operation.type = "UPDATE_SERVICE";
  operation.targets = {{"SERVICE", service->id}};
  operation.change = change;
  return start(std::move(operation), context.now);
}

Reply CloudMap::delete_service(const Json& input, CallContext& context) {
  TRY(const DiscoveryService* service, require_service(get_string(input, "Id")));
  if (!service->instances.empty()) {
    return aws_error("ResourceInUse",
                     "Service contains registered instances; delete the instances before deleting "
                     "the service");
  }
  events_.event(context.now, "discovery-service.deleted", {{"service", service->name}});
  store_->services.erase(std::string(service->id));
  ++revision_;
  return Json::object();
}

Json CloudMap::state() const {
  Json spaces = Json::array(), services = Json::array();
  for (const auto& [id, space] : store_->namespaces) {
    if (space.ready) spaces.push_back(describe(space));
  }
  for (const auto& [id, service] : store_->services) {
    Json out = describe(service);
    out["Instances"] = Json::object();
    for (const auto& [instance_id, instance] : service.instances) {
      out["Instances"][instance_id] = instance.attributes;
    }
    services.push_back(std::move(out));
  }
  return {{"revision", revision_}, {"namespaces", spaces}, {"services", services}};
}

}  // namespace coalmine::mock
