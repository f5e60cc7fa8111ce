#include "mock-aws/services/ec2/ec2.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "sim/core/ids.h"

namespace coalmine::mock {
namespace {

/// The values that a filter name stands for in a described object; an unknown name has none and
/// so matches nothing.
using Values = std::vector<std::string>;
using Facts = std::map<std::string, Values>;

bool matches(const Facts& facts, const Json& input) {
  const Json* filters = find(input, "Filters");
  if (filters == nullptr) return true;
  for (const Json& filter : *filters) {
    const auto found = facts.find(get_string(filter, "Name"));
    if (found == facts.end()) return false;
    const Json* wanted = find(filter, "Values");
    if (wanted == nullptr) continue;
    const bool any = std::any_of(wanted->begin(), wanted->end(), [&found](const Json& value) {
      return std::find(found->second.begin(), found->second.end(), value.get<std::string>()) !=
             found->second.end();
    });
    if (!any) return false;
  }
  return true;
}

Facts with_tags(Facts facts, const Json& tags) {
  if (!tags.is_array()) return facts;
  for (const Json& tag : tags) {
    facts["tag:" + get_string(tag, "Key")] = {get_string(tag, "Value")};
    facts["tag-key"].push_back(get_string(tag, "Key"));
  }
  return facts;
}

Values ids_of(const Json& input, std::string_view member) {
  Values ids;
  if (const Json* list = find(input, member)) {
    for (const Json& id : *list) ids.push_back(id.get<std::string>());
  }
  return ids;
}

bool wanted(const Values& ids, const std::string& id) {
  return ids.empty() || std::find(ids.begin(), ids.end(), id) != ids.end();
}

/// The first id that none of `known` is; empty if all are known.
template <typename Items, typename Id>
std::string unknown_id(const Values& ids, const Items& known, Id id_of) {
  for (const std::string& id : ids) {
    const auto found = std::find_if(known.begin(), known.end(),
                                    [&](const auto& item) { return id_of(item) == id; });
    if (found == known.end()) return id;
  }
  return "";
}

}  // namespace

Ec2::Ec2(Scope scope, Random random) : scope_(std::move(scope)), random_(random) {
  vpc_ = "vpc-" + random_hex(random_, 17);
  for (int i = 0; i < 3; ++i) {
    const std::string zone = scope_.region + static_cast<char>('a' + i);
    subnets_.push_back({"subnet-" + random_hex(random_, 17), zone,
                        fmt::format("{}-az{}", scope_.region, i + 1),
                        fmt::format("172.31.{}.0/20", 16 * i)});
  }
  groups_.push_back({"sg-" + random_hex(random_, 17), "default", "default VPC security group", vpc_,
                     Json::array(), Json::array()});
}

const OperationTable<Ec2>& Ec2::operations() {
  static const OperationTable<Ec2> kOperations = {
      {"DescribeVpcs", &Ec2::describe_vpcs},
      {"DescribeSubnets", &Ec2::describe_subnets},
      {"DescribeSecurityGroups", &Ec2::describe_security_groups},
      {"DescribeAvailabilityZones", &Ec2::describe_availability_zones},
      {"DescribeNetworkInterfaces", &Ec2::describe_network_interfaces},
      {"DescribeRegions", &Ec2::describe_regions},
      {"CreateSecurityGroup", &Ec2::create_security_group},
      {"AuthorizeSecurityGroupIngress", &Ec2::authorize_security_group_ingress},
      {"DeleteSecurityGroup", &Ec2::delete_security_group},
  };
  return kOperations;
}

bool Ec2::implements(std::string_view operation) const {
  return operations().count(operation) > 0;
}

Reply Ec2::call(std::string_view operation, const Json& input, CallContext& context) {
  return (this->*operations().at(operation))(input, context);
}

Json Ec2::vpc_json() const {
  return {{"VpcId", vpc_},
          {"CidrBlock", "172.31.0.0/16"},
          {"IsDefault", true},
          {"State", "available"},
          {"OwnerId", scope_.account},
          {"InstanceTenancy", "default"},
          {"DhcpOptionsId", "default"}};
}

Reply Ec2::describe_vpcs(const Json& input, CallContext&) {
  for (const std::string& id : ids_of(input, "VpcIds")) {
    if (id != vpc_) return aws_error("InvalidVpcID.NotFound", "The vpc ID '{}' does not exist", id);
  }
  const Facts facts = {{"vpc-id", {vpc_}},
                       {"is-default", {"true"}},
                       {"isDefault", {"true"}},
                       {"cidr", {"172.31.0.0/16"}},
                       {"state", {"available"}}};
  Json vpcs = Json::array();
  if (matches(facts, input)) vpcs.push_back(vpc_json());
  return Json{{"Vpcs", vpcs}};
}

Json Ec2::subnet_json(const Subnet& subnet) const {
  return {{"SubnetId", subnet.id},
          {"VpcId", vpc_},
          {"CidrBlock", subnet.cidr},
          {"AvailabilityZone", subnet.zone},
          {"AvailabilityZoneId", subnet.zone_id},
          {"AvailableIpAddressCount", 4091},
          {"DefaultForAz", true},
          {"MapPublicIpOnLaunch", true},
          {"State", "available"},
          {"OwnerId", scope_.account},
          {"SubnetArn",
           fmt::format("arn:aws:ec2:{}:{}:subnet/{}", scope_.region, scope_.account, subnet.id)}};
}

Reply Ec2::describe_subnets(const Json& input, CallContext&) {
  const Values ids = ids_of(input, "SubnetIds");
  const std::string unknown = unknown_id(ids, subnets_, [](const Subnet& s) { return s.id; });
  if (!unknown.empty()) {
    return aws_error("InvalidSubnetID.NotFound", "The subnet ID '{}' does not exist", unknown);
  }
  Json subnets = Json::array();
  for (const Subnet& subnet : subnets_) {
    const Facts facts = {{"subnet-id", {subnet.id}},
                         {"vpc-id", {vpc_}},
                         {"default-for-az", {"true"}},
                         {"defaultForAz", {"true"}},
                         {"availability-zone", {subnet.zone}},
                         {"availabilityZone", {subnet.zone}},
                         {"map-public-ip-on-launch", {"true"}},
                         {"state", {"available"}}};
    if (wanted(ids, subnet.id) && matches(facts, input)) subnets.push_back(subnet_json(subnet));
  }
  return Json{{"Subnets", subnets}};
}

Json Ec2::group_json(const SecurityGroup& group) const {
  Json json{{"GroupId", group.id},
            {"GroupName", group.name},
            {"Description", group.description},
            {"VpcId", group.vpc},
            {"OwnerId", scope_.account},
            {"IpPermissions", group.ingress},
            {"IpPermissionsEgress",
             Json::array({{{"IpProtocol", "-1"}, {"IpRanges", {{{"CidrIp", "0.0.0.0/0"}}}}}})}};
  if (!group.tags.empty()) json["Tags"] = group.tags;
  return json;
}

Reply Ec2::describe_security_groups(const Json& input, CallContext&) {
  const Values ids = ids_of(input, "GroupIds");
  const Values names = ids_of(input, "GroupNames");
  const std::string unknown = unknown_id(ids, groups_, [](const SecurityGroup& g) { return g.id; });
  if (!unknown.empty()) {
    return aws_error("InvalidGroup.NotFound", "The security group '{}' does not exist", unknown);
  }
  Json groups = Json::array();
  for (const SecurityGroup& group : groups_) {
    const Facts facts = with_tags({{"group-id", {group.id}},
                                   {"group-name", {group.name}},
                                   {"vpc-id", {group.vpc}},
                                   {"description", {group.description}}},
                                  group.tags);
    if (wanted(ids, group.id) && wanted(names, group.name) && matches(facts, input)) {
      groups.push_back(group_json(group));
    }
  }
  return Json{{"SecurityGroups", groups}};
}

Reply Ec2::describe_availability_zones(const Json&, CallContext&) {
  Json zones = Json::array();
  for (const Subnet& subnet : subnets_) {
    zones.push_back({{"ZoneName", subnet.zone},
                     {"ZoneId", subnet.zone_id},
                     {"RegionName", scope_.region},
                     {"State", "available"},
                     {"OptInStatus", "opt-in-not-required"},
                     {"ZoneType", "availability-zone"}});
  }
  return Json{{"AvailabilityZones", zones}};
}

Reply Ec2::describe_regions(const Json&, CallContext&) {
  return Json{{"Regions",
               {{{"RegionName", scope_.region},
                 {"Endpoint", fmt::format("ec2.{}.amazonaws.com", scope_.region)},
                 {"OptInStatus", "opt-in-not-required"}}}}};
}

const Ec2::SecurityGroup* Ec2::find_group(const std::string& id) const {
  const auto found = std::find_if(groups_.begin(), groups_.end(),
                                  [&](const SecurityGroup& group) { return group.id == id; });
  return found == groups_.end() ? nullptr : &*found;
}

/// As for a task of Fargate: made and managed by ECS, attached as the second device.
Json Ec2::interface_json(const NetworkInterface& interface) const {
  std::string dashed = interface.address;
  std::replace(dashed.begin(), dashed.end(), '.', '-');
  const std::string private_dns = fmt::format("ip-{}.{}.compute.internal", dashed, scope_.region);
  Json groups = Json::array();
  std::vector<std::string> ids = interface.groups;
  if (ids.empty()) ids.push_back(groups_.front().id);
  for (const std::string& id : ids) {
    const SecurityGroup* group = find_group(id);
    groups.push_back({{"GroupId", id}, {"GroupName", group == nullptr ? id : group->name}});
  }
  // Scripts may name a subnet that EC2 here does not know; it is shown as it was given.
  std::string zone = subnets_.front().zone;
  for (const Subnet& subnet : subnets_) {
    if (subnet.id == interface.subnet) zone = subnet.zone;
  }
  Json address{
      {"Primary", true}, {"PrivateIpAddress", interface.address}, {"PrivateDnsName", private_dns}};
  Json json{{"NetworkInterfaceId", interface.id},
            {"SubnetId", interface.subnet},
            {"VpcId", vpc_},
            {"AvailabilityZone", zone},
            {"Description", interface.description},
            {"OwnerId", scope_.account},
            {"RequesterId", "578734482556"},
            {"RequesterManaged", true},
            {"Status", "in-use"},
            {"MacAddress", interface.mac},
            {"PrivateIpAddress", interface.address},
            {"PrivateDnsName", private_dns},
            {"SourceDestCheck", true},
            {"InterfaceType", "interface"},
            {"Groups", groups},
            {"TagSet", Json::array()},
            {"Attachment",
             {{"AttachmentId", "ela-attach-" + interface.id.substr(4)},
              {"DeleteOnTermination", false},
              {"DeviceIndex", 1},
              {"InstanceOwnerId", scope_.account},
              {"Status", "attached"}}}};
  if (interface.public_ip) {
    const Json association{
        {"IpOwnerId", "amazon"},
        {"PublicIp", interface.address},
        {"PublicDnsName", fmt::format("ec2-{}.{}.compute.amazonaws.com", dashed, scope_.region)}};
    json["Association"] = association;
    address["Association"] = association;
  }
  json["PrivateIpAddresses"] = Json::array({address});
  return json;
}

Reply Ec2::describe_network_interfaces(const Json& input, CallContext&) {
  const auto all = interfaces_ ? interfaces_() : std::vector<NetworkInterface>{};
  const Values ids = ids_of(input, "NetworkInterfaceIds");
  const std::string unknown =
      unknown_id(ids, all, [](const NetworkInterface& one) { return one.id; });
  if (!unknown.empty()) {
    return aws_error("InvalidNetworkInterfaceID.NotFound",
                     "The networkInterface ID '{}' does not exist", unknown);
  }
  Json found = Json::array();
  for (const NetworkInterface& one : all) {
    const Json json = interface_json(one);
    Facts facts = {{"network-interface-id", {one.id}},
                   {"subnet-id", {one.subnet}},
                   {"vpc-id", {vpc_}},
                   {"description", {one.description}},
                   {"private-ip-address", {one.address}},
                   {"addresses.private-ip-address", {one.address}},
                   {"mac-address", {one.mac}},
                   {"status", {"in-use"}},
                   {"interface-type", {"interface"}},
                   {"requester-managed", {"true"}},
                   {"owner-id", {scope_.account}},
                   {"availability-zone", {get_string(json, "AvailabilityZone")}}};
    if (one.public_ip) facts["association.public-ip"] = {one.address};
    for (const Json& group : json["Groups"]) {
      facts["group-id"].push_back(get_string(group, "GroupId"));
      facts["group-name"].push_back(get_string(group, "GroupName"));
    }
    if (wanted(ids, one.id) && matches(facts, input)) found.push_back(json);
  }
  return Json{{"NetworkInterfaces", found}};
}

Reply Ec2::create_security_group(const Json& input, CallContext&) {
  SecurityGroup group;
  group.name = get_string(input, "GroupName");
  group.description = get_string(input, "Description");
  group.vpc = get_string(input, "VpcId", vpc_);
  if (group.vpc != vpc_) {
    return aws_error("InvalidVpcID.NotFound", "The vpc ID '{}' does not exist", group.vpc);
  }
  for (const SecurityGroup& other : groups_) {
    if (other.name != group.name) continue;
    return aws_error("InvalidGroup.Duplicate",
                     "The security group '{}' already exists for VPC '{}'", group.name, vpc_);
  }
  group.id = "sg-" + random_hex(random_, 17);
  group.ingress = Json::array();
  group.tags = Json::array();
  if (const Json* specs = find(input, "TagSpecifications")) {
    for (const Json& spec : *specs) {
      if (const Json* tags = find(spec, "Tags")) group.tags = *tags;
    }
  }
  Json answer{{"GroupId", group.id}};
  if (!group.tags.empty()) answer["Tags"] = group.tags;
  groups_.push_back(std::move(group));
  return answer;
}

Reply Ec2::authorize_security_group_ingress(const Json& input, CallContext&) {
  const std::string id = get_string(input, "GroupId");
  const auto group = std::find_if(groups_.begin(), groups_.end(), [&](const SecurityGroup& g) {
    return id.empty() ? g.name == get_string(input, "GroupName") : g.id == id;
  });
  if (group == groups_.end()) {
    return aws_error("InvalidGroup.NotFound", "The security group '{}' does not exist", id);
  }
  Json added = Json::array();
  if (const Json* permissions = find(input, "IpPermissions")) {
    added = *permissions;
  } else {
    // The old form: one rule in plain members.
    added.push_back({{"IpProtocol", get_string(input, "IpProtocol", "tcp")},
                     {"FromPort", get_int(input, "FromPort")},
                     {"ToPort", get_int(input, "ToPort")},
                     {"IpRanges", {{{"CidrIp", get_string(input, "CidrIp")}}}}});
  }
  for (const Json& rule : added) {
    if (std::find(group->ingress.begin(), group->ingress.end(), rule) != group->ingress.end()) {
      return aws_error("InvalidPermission.Duplicate",
                       "the specified rule already exists in security group {}", group->id);
    }
    group->ingress.push_back(rule);
  }
  return Json{{"Return", true}};
}

Reply Ec2::delete_security_group(const Json& input, CallContext&) {
  const std::string id = get_string(input, "GroupId");
  const auto group = std::find_if(groups_.begin(), groups_.end(), [&](const SecurityGroup& g) {
    return id.empty() ? g.name == get_string(input, "GroupName") : g.id == id;
  });
  if (group == groups_.end()) {
    return aws_error("InvalidGroup.NotFound", "The security group '{}' does not exist", id);
  }
  if (group->name == "default") {
    return aws_error("CannotDelete",
                     "the specified group: \"{}\" name: \"default\" cannot be "
                     "deleted by a user",
                     group->id);
  }
  groups_.erase(group);
  return Json{{"Return", true}};
}

Json Ec2::state() const {
  Json groups = Json::array();
  for (const SecurityGroup& group : groups_) groups.push_back(group_json(group));
  return Json{{"vpc", vpc_json()}, {"securityGroups", groups}};
}

}  // namespace coalmine::mock
