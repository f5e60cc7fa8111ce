// Load balancers: create, describe, delete, and the Set... operations.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "mock-aws/services/elbv2/elbv2.h"
#include "mock-aws/services/paging.h"
#include "sim/core/ids.h"

namespace coalmine::mock {
namespace {

tl::unexpected<AwsError> no_load_balancer() {
  return aws_error("LoadBalancerNotFoundException", "One or more load balancers not found");
}

}  // namespace

tl::expected<std::vector<std::string>, AwsError> Elbv2::read_subnets(const Json& input) const {
  std::vector<std::string> subnets = string_list(input, "Subnets");
  if (const Json* mappings = find(input, "SubnetMappings")) {
    if (!subnets.empty()) {
      return aws_error("ValidationError", "You must specify either subnets or subnet mappings");
    }
    for (const Json& mapping : *mappings) subnets.push_back(get_string(mapping, "SubnetId"));
  }
  std::set<std::string> seen;
  for (std::size_t i = 0; i < subnets.size(); ++i) {
    std::string zone = fmt::format("zone {}", i);
    if (around_.subnet) {
      const auto subnet = around_.subnet(subnets[i]);
      if (!subnet) {
        return aws_error("SubnetNotFoundException", "The subnet ID '{}' does not exist",
                         subnets[i]);
      }
      zone = subnet->zone;
    }
    if (!seen.insert(zone).second) {
      return aws_error("InvalidConfigurationRequestException",
                       "A load balancer cannot be attached to multiple subnets in the same "
                       "Availability Zone");
    }
  }
  if (subnets.size() < 2) {
    return aws_error("ValidationError",
                     "At least two subnets in two different Availability Zones must be specified");
  }
  return subnets;
}

Reply Elbv2::create_load_balancer(const Json& input, CallContext& context) {
  LoadBalancer balancer;
  balancer.name = get_string(input, "Name");
  if (const auto bad = check_elb_name("Load balancer", balancer.name)) return tl::unexpected(*bad);
  if (balancer.name.starts_with("internal-")) {
    return aws_error("ValidationError", "Load balancer name '{}' cannot begin with 'internal-'",
                     balancer.name);
  }
  if (const std::string type = get_string(input, "Type", "application"); type != "application") {
    return aws_error("InvalidConfigurationRequestException",
                     "Load balancers of type '{}' are not implemented here, only 'application'",
                     type);
  }
  balancer.scheme = get_string(input, "Scheme", "internet-facing");
  balancer.ip_address_type = get_string(input, "IpAddressType", "ipv4");
  TRY(balancer.subnets, read_subnets(input));
  balancer.security_groups = string_list(input, "SecurityGroups");
  TRY(balancer.tags, read_tags(input));
  if (const LoadBalancer* old = find_load_balancer(balancer.name)) {
    const bool same = old->scheme == balancer.scheme && old->subnets == balancer.subnets &&
                      old->ip_address_type == balancer.ip_address_type &&
                      old->security_groups == balancer.security_groups;
    if (!same) {
      return aws_error("DuplicateLoadBalancerNameException",
                       "A load balancer with the same name '{}' exists, but with different "
                       "settings",
                       balancer.name);
    }
    return Json{{"LoadBalancers", {describe(*old, context.now)}}};
  }
  const auto address = around_.acquire_address();
  if (!address) {
    return aws_error("TooManyLoadBalancersException",
                     "No loopback address is left for another load balancer");
  }
  balancer.address = *address;
  if (around_.subnet) balancer.vpc = around_.subnet(balancer.subnets.front())->vpc;
  balancer.arn = fmt::format("arn:aws:elasticloadbalancing:{}:{}:loadbalancer/app/{}/{}",
                             scope_.region, scope_.account, balancer.name, random_hex(random_, 16));
  balancer.created = context.now;
  balancer.active_at = context.now + kProvisioningTime;
  balancer.attributes = default_load_balancer_attributes();
  changed(context.now, "load-balancer.created",
          {{"name", balancer.name}, {"address", balancer.address}});
  const Json described = describe(balancer, context.now);
  balancers_.emplace(balancer.arn, std::move(balancer));
  return Json{{"LoadBalancers", {described}}};
}

Json Elbv2::zones(const LoadBalancer& balancer) const {
  Json zones = Json::array();
  for (std::size_t i = 0; i < balancer.subnets.size(); ++i) {
    const auto subnet = around_.subnet ? around_.subnet(balancer.subnets[i]) : std::nullopt;
    zones.push_back(
        {{"SubnetId", balancer.subnets[i]},
         {"ZoneName", subnet ? subnet->zone
                             : fmt::format("{}{}", scope_.region, static_cast<char>('a' + i % 26))},
         {"LoadBalancerAddresses", Json::array()}});
  }
  return zones;
}

Json Elbv2::describe(const LoadBalancer& balancer, TimePoint now) const {
  Json json = {{"LoadBalancerArn", balancer.arn},
               {"DNSName", balancer.address},
               {"CanonicalHostedZoneId", "Z35SXDOTRQ7X7K"},
               {"CreatedTime", to_epoch_seconds(balancer.created)},
               {"LoadBalancerName", balancer.name},
               {"Scheme", balancer.scheme},
               {"State", {{"Code", now < balancer.active_at ? "provisioning" : "active"}}},
               {"Type", "application"},
               {"AvailabilityZones", zones(balancer)},
               {"SecurityGroups", balancer.security_groups},
               {"IpAddressType", balancer.ip_address_type}};
  if (!balancer.vpc.empty()) json["VpcId"] = balancer.vpc;
  return json;
}

Reply Elbv2::describe_load_balancers(const Json& input, CallContext& context) {
  const auto arns = string_list(input, "LoadBalancerArns"), names = string_list(input, "Names");
  std::vector<const LoadBalancer*> found;
  if (arns.empty() && names.empty()) {
    for (const auto& [arn, balancer] : balancers_) found.push_back(&balancer);
  }
  for (const std::string& arn : arns) {
    const auto at = balancers_.find(arn);
    if (at == balancers_.end()) return no_load_balancer();
    found.push_back(&at->second);
  }
  for (const std::string& wanted : names) {
    const LoadBalancer* balancer = find_load_balancer(wanted);
    if (balancer == nullptr || balancer->name != wanted) {
      return aws_error("LoadBalancerNotFoundException", "Load balancers '[{}]' not found", wanted);
    }
    found.push_back(balancer);
  }
  std::sort(found.begin(), found.end(),
            [](const auto* a, const auto* b) { return a->arn < b->arn; });
  const auto page = take_page(found, get_string(input, "Marker"),
                              static_cast<std::size_t>(get_int(input, "PageSize", kElbPage)),
                              [](const LoadBalancer* each) { return each->arn; });
  if (!page) return aws_error("ValidationError", "The marker is not one that was given out");
  Json list = Json::array();
  for (const LoadBalancer* each : page->items) list.push_back(describe(*each, context.now));
  Json reply = {{"LoadBalancers", std::move(list)}};
  if (!page->next.empty()) reply["NextMarker"] = page->next;
  return reply;
}

Reply Elbv2::delete_load_balancer(const Json& input, CallContext& context) {
  const auto found = balancers_.find(get_string(input, "LoadBalancerArn"));
  if (found == balancers_.end()) return Json::object();  // deleting it again succeeds
  if (found->second.attributes["deletion_protection.enabled"] == "true") {
    return aws_error("OperationNotPermittedException",
                     "Load balancer '{}' cannot be deleted because deletion protection is enabled",
                     found->first);
  }
  for (const ElbListener* listener : listeners_of(found->first)) erase_listener(listener->arn);
  if (around_.release_address) around_.release_address(found->second.address);
  const Json fields = {{"name", found->second.name}, {"address", found->second.address}};
  balancers_.erase(found);
  update_use(context.now);
  changed(context.now, "load-balancer.deleted", fields);
  return Json::object();
}

Reply Elbv2::set_security_groups(const Json& input, CallContext&) {
  const auto found = balancers_.find(get_string(input, "LoadBalancerArn"));
  if (found == balancers_.end()) return no_load_balancer();
  found->second.security_groups = string_list(input, "SecurityGroups");
  return Json{{"SecurityGroupIds", found->second.security_groups}};
}

Reply Elbv2::set_subnets(const Json& input, CallContext&) {
  const auto found = balancers_.find(get_string(input, "LoadBalancerArn"));
  if (found == balancers_.end()) return no_load_balancer();
  TRY(found->second.subnets, read_subnets(input));
  return Json{{"AvailabilityZones", zones(found->second)},
              {"IpAddressType", found->second.ip_address_type}};
}

Reply Elbv2::set_ip_address_type(const Json& input, CallContext&) {
  const auto found = balancers_.find(get_string(input, "LoadBalancerArn"));
  if (found == balancers_.end()) return no_load_balancer();
  found->second.ip_address_type = get_string(input, "IpAddressType");
  return Json{{"IpAddressType", found->second.ip_address_type}};
}

}  // namespace coalmine::mock
