#include "mock-aws/services/cloudmap/cloudmap.h"

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "mock-aws/services/cloudmap/store.h"
#include "mock-aws/services/paging.h"
#include "sim/core/ids.h"

namespace coalmine::mock {

using namespace cloudmap;

namespace cloudmap {

bool passes(const Json& input, std::string_view name, const std::string& value) {
  const Json* filters = find(input, "Filters");
  if (filters == nullptr) return true;
  for (const Json& filter : *filters) {
    if (get_string(filter, "Name") != name) continue;
    const std::string condition = get_string(filter, "Condition", "EQ");
    const auto values = filter.at("Values").get<std::vector<std::string>>();
    const auto number = [](const std::string& text) { return std::strtod(text.c_str(), nullptr); };
    const bool pass =
        condition == "BETWEEN"
            ? values.size() == 2 && number(values[0]) <= number(value) &&
                  number(value) <= number(values[1])
            : std::any_of(values.begin(), values.end(), [&](const std::string& wanted) {
                return condition == "BEGINS_WITH" ? value.compare(0, wanted.size(), wanted) == 0
                                                  : value == wanted;
              });
    if (!pass) return false;
  }
  return true;
}

}  // namespace cloudmap

CloudMap::CloudMap(Scope scope, Random random, EventSink& events)
    : CloudMap(std::move(scope), random, events, Options{}) {}

CloudMap::CloudMap(Scope scope, Random random, EventSink& events, Options options)
    : scope_(std::move(scope)),
      random_(random),
      events_(events),
      options_(options),
      store_(std::make_unique<Store>()) {}

CloudMap::~CloudMap() = default;

const OperationTable<CloudMap>& CloudMap::operations() {
  static const OperationTable<CloudMap> kOperations = {
      {"CreateHttpNamespace", &CloudMap::create_http_namespace},
      {"CreatePrivateDnsNamespace", &CloudMap::create_private_namespace},
      {"CreatePublicDnsNamespace", &CloudMap::create_public_namespace},
      {"GetNamespace", &CloudMap::get_namespace},
      {"ListNamespaces", &CloudMap::list_namespaces},
      {"DeleteNamespace", &CloudMap::delete_namespace},
      {"CreateService", &CloudMap::create_service},
      {"GetService", &CloudMap::get_service},
      {"ListServices", &CloudMap::list_services},
      {"UpdateService", &CloudMap::update_service},
      {"DeleteService", &CloudMap::delete_service},
      {"RegisterInstance", &CloudMap::register_instance_call},
      {"DeregisterInstance", &CloudMap::deregister_instance_call},
      {"GetInstance", &CloudMap::get_instance},
      {"ListInstances", &CloudMap::list_instances},
      {"GetInstancesHealthStatus", &CloudMap::get_health},
      {"UpdateInstanceCustomHealthStatus", &CloudMap::set_health},
      {"DiscoverInstances", &CloudMap::discover_instances},
      {"DiscoverInstancesRevision", &CloudMap::discover_revision},
      {"GetOperation", &CloudMap::get_operation},
      {"ListOperations", &CloudMap::list_operations},
      {"TagResource", &CloudMap::tag_resource},
      {"UntagResource", &CloudMap::untag_resource},
      {"ListTagsForResource", &CloudMap::list_tags},
  };
  return kOperations;
}

bool CloudMap::implements(std::string_view operation) const {
  return operations().count(operation) > 0;
}

Reply CloudMap::call(std::string_view operation, const Json& input, CallContext& context) {
  tick(context.now);
  const auto found = operations().find(operation);
  if (found == operations().end()) {
    return aws_error("UnknownOperationException", "{} is not implemented", operation);
  }
  return (this->*found->second)(input, context);
}

// --- what time moves ---------------------------------------------------------------------------

void CloudMap::tick(TimePoint now) {
  for (Operation& operation : store_->operations) {
    if (operation.status == "PENDING" && operation.due_at <= now) finish(operation, now);
  }
  for (auto& [id, service] : store_->services) {
    for (auto& [instance_id, instance] : service.instances) {
      if (instance.next_health.empty() || instance.next_health_at > now) continue;
      instance.custom_health = std::exchange(instance.next_health, "");
      instance.next_health_at = kNever;
      ++revision_;
      events_.event(now, "instance.health-changed",
                    {{"service", service.name},
                     {"instance", instance_id},
                     {"health", instance.custom_health}});
    }
  }
}

TimePoint CloudMap::next_wakeup() const {
  TimePoint next = kNever;
  for (const Operation& operation : store_->operations) {
    if (operation.status == "PENDING") next = std::min(next, operation.due_at);
  }
  for (const auto& [id, service] : store_->services) {
    for (const auto& [instance_id, instance] : service.instances) {
      next = std::min(next, instance.next_health_at);
    }
  }
  return next;
}

Reply CloudMap::start(Operation operation, TimePoint now) {
  operation.id = random_alnum(random_, 32) + "-" + random_alnum(random_, 8);
  operation.created_at = operation.updated_at = now;
  operation.due_at = now + options_.operation_delay;
  auto& all = store_->operations;
  if (all.size() >= kMaxOperations) {
    const auto done =
        std::find_if(all.begin(), all.end(), [](const auto& o) { return o.status != "PENDING"; });
    if (done == all.end()) {
      return aws_error("ResourceLimitExceeded", "{} operations are pending", all.size());
    }
    all.erase(done);
  }
  const Json reply = {{"OperationId", operation.id}};
  all.push_back(std::move(operation));
  return reply;
}

void CloudMap::finish(Operation& operation, TimePoint now) {
  operation.status = "SUCCESS";
  operation.updated_at = operation.due_at;
  const auto fail = [&](const char* code, std::string message) {
    operation.status = "FAIL";
    operation.error_code = code;
    operation.error_message = std::move(message);
  };
  if (operation.type == "CREATE_NAMESPACE") {
    Namespace& space = store_->namespaces.at(operation.targets.at("NAMESPACE"));
    space.ready = true;
    ++revision_;
    events_.event(now, "namespace.created", {{"namespace", space.name}, {"type", space.type}});
  } else if (operation.type == "DELETE_NAMESPACE") {
    const std::string& id = operation.targets.at("NAMESPACE");
    for (const auto& [service_id, service] : store_->services) {
      if (service.namespace_id == id) {
        return fail("RESOURCE_IN_USE",
                    "Namespace has associated services; delete the services "
                    "before deleting the namespace");
      }
    }
    store_->namespaces.erase(id);
    ++revision_;
  } else {
    DiscoveryService* service = find_service(operation.targets.at("SERVICE"));
    if (service == nullptr) {
      return fail("SERVICE_NOT_FOUND", "the service was deleted in the meantime");
    }
    if (operation.type == "REGISTER_INSTANCE") {
      put_instance(*service, operation.targets.at("INSTANCE"), operation.creator,
                   operation.change.get<Attributes>(), now);
    } else if (operation.type == "DEREGISTER_INSTANCE") {
      drop_instance(*service, operation.targets.at("INSTANCE"), now);
    } else {
      // UpdateService: what is left out of it goes, except description and custom health check.
      if (const Json* text = find(operation.change, "Description")) service->description = *text;
      if (const Json* dns = find(operation.change, "DnsConfig")) {
        service->dns_config["DnsRecords"] = dns->at("DnsRecords");
      } else {
        service->dns_config = nullptr;
      }
      service->health_check = operation.change.value("HealthCheckConfig", Json());
      ++revision_;
    }
  }
}

namespace {

Json operation_json(const Operation& operation, const std::string& account) {
  Json out = {{"Id", operation.id},
              {"OwnerAccount", account},
              {"Type", operation.type},
              {"Status", operation.status},
              {"CreateDate", to_epoch_seconds(operation.created_at)},
              {"UpdateDate", to_epoch_seconds(operation.updated_at)},
              {"Targets", operation.targets}};
  if (!operation.error_code.empty()) {
    out["ErrorCode"] = operation.error_code;
    out["ErrorMessage"] = operation.error_message;
  }
  return out;
}

}  // namespace

Reply CloudMap::get_operation(const Json& input, CallContext&) {
  const std::string id = get_string(input, "OperationId");
  for (const Operation& operation : store_->operations) {
    if (operation.id == id) {
      return Json{{"Operation", operation_json(operation, scope_.account)}};
    }
  }
  return aws_error("OperationNotFound", "No operation with id {} exists", id);
}

Reply CloudMap::list_operations(const Json& input, CallContext&) {
  const auto target = [](const Operation& operation, const char* kind) {
    const auto found = operation.targets.find(kind);
    return found == operation.targets.end() ? std::string() : found->second;
  };
  std::vector<const Operation*> found;
  for (const Operation& operation : store_->operations) {
    const auto updated_ms = operation.updated_at.time_since_epoch().count() / 1'000'000;
    if (passes(input, "STATUS", operation.status) && passes(input, "TYPE", operation.type) &&
        passes(input, "NAMESPACE_ID", target(operation, "NAMESPACE")) &&
        passes(input, "SERVICE_ID", target(operation, "SERVICE")) &&
        passes(input, "UPDATE_DATE", std::to_string(updated_ms))) {
      found.push_back(&operation);
    }
  }
  std::sort(found.begin(), found.end(), [](auto* a, auto* b) { return a->id < b->id; });
  const auto page = take_page(found, get_string(input, "NextToken"),
                              static_cast<std::size_t>(get_int(input, "MaxResults", 100)),
                              [](const Operation* operation) { return operation->id; });
  if (!page) return aws_error("InvalidInput", "NextToken is not one that a List call returned");
  Json reply = {{"Operations", Json::array()}};
  for (const Operation* operation : page->items) {
    reply["Operations"].push_back({{"Id", operation->id}, {"Status", operation->status}});
  }
  if (!page->next.empty()) reply["NextToken"] = page->next;
  return reply;
}

// --- tags --------------------------------------------------------------------------------------

Attributes* CloudMap::find_tags(const std::string& arn) const {
  for (auto& [id, space] : store_->namespaces) {
    if (space.arn == arn) return &space.tags;
  }
  for (auto& [id, service] : store_->services) {
    if (service.arn == arn) return &service.tags;
  }
  return nullptr;
}

Reply CloudMap::tag_resource(const Json& input, CallContext&) {
  const std::string arn = get_string(input, "ResourceARN");
  Attributes* tags = find_tags(arn);
  if (tags == nullptr) return aws_error("ResourceNotFoundException", "No resource has ARN {}", arn);
  Attributes merged = tags_from(input.at("Tags"));
  merged.insert(tags->begin(), tags->end());
  if (merged.size() > kMaxTags) {
    return aws_error("TooManyTagsException", "{} would have {} tags, allowed are {}", arn,
                     merged.size(), kMaxTags);
  }
  *tags = std::move(merged);
  return Json::object();
}

Reply CloudMap::untag_resource(const Json& input, CallContext&) {
  const std::string arn = get_string(input, "ResourceARN");
  Attributes* tags = find_tags(arn);
  if (tags == nullptr) return aws_error("ResourceNotFoundException", "No resource has ARN {}", arn);
  for (const Json& key : input.at("TagKeys")) tags->erase(key.get<std::string>());
  return Json::object();
}

Reply CloudMap::list_tags(const Json& input, CallContext&) {
  const std::string arn = get_string(input, "ResourceARN");
  const Attributes* tags = find_tags(arn);
  if (tags == nullptr) return aws_error("ResourceNotFoundException", "No resource has ARN {}", arn);
  Json list = Json::array();
  for (const auto& [key, value] : *tags) list.push_back({{"Key", key}, {"Value", value}});
  return Json{{"Tags", std::move(list)}};
}

}  // namespace coalmine::mock
