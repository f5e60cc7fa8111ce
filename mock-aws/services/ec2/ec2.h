// mock-aws/services/ec2: the default VPC that ECS and load balancers are put into.
//
// One VPC 172.31.0.0/16 with a /20 subnet per zone and a default security group, as a fresh
// account has; security groups can be added. Nothing here routes or filters packets: tasks have
// loopback addresses, and those are what their network interfaces show. Identifiers follow from the
// seed, so scripts see the same ones each time.
//
// Below: mock-aws/protocol. Above: mock-aws/services/cloud.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "mock-aws/protocol/service.h"

namespace coalmine::mock {

/// A task's interface, as EC2 shows it.
struct NetworkInterface {
  std::string id, mac, subnet, address;
  std::string description;          ///< ARN of the attachment, as ECS writes it
  std::vector<std::string> groups;  ///< empty: the default security group
  bool public_ip = false;           ///< reachable at its address from outside, too
};

class Ec2 final : public Service {
 public:
  Ec2(Scope scope, Random random);

  /// Who knows the interfaces that exist now; without it there are none.
  void set_interfaces(std::function<std::vector<NetworkInterface>()> interfaces) {
    interfaces_ = std::move(interfaces);
  }

  std::string_view name() const override { return "ec2"; }
  bool implements(std::string_view operation) const override;
  Reply call(std::string_view operation, const Json& input, CallContext& context) override;
  Json state() const override;

 private:
  struct Subnet {
    std::string id, zone, zone_id, cidr;
  };
  struct SecurityGroup {
    std::string id, name, description, vpc;
    Json ingress = {};
    Json tags = {};
  };

  Reply describe_vpcs(const Json& input, CallContext& context);
  Reply describe_subnets(const Json& input, CallContext& context);
  Reply describe_security_groups(const Json& input, CallContext& context);
  Reply describe_availability_zones(const Json& input, CallContext& context);
  Reply describe_network_interfaces(const Json& input, CallContext& context);
  Reply describe_regions(const Json& input, CallContext& context);
  Reply create_security_group(const Json& input, CallContext& context);
  Reply authorize_security_group_ingress(const Json& input, CallContext& context);
  Reply delete_security_group(const Json& input, CallContext& context);
  static const OperationTable<Ec2>& operations();

  Json vpc_json() const;
  Json subnet_json(const Subnet& subnet) const;
  Json group_json(const SecurityGroup& group) const;
  Json interface_json(const NetworkInterface& interface) const;
  const SecurityGroup* find_group(const std::string& id) const;

  Scope scope_;
  Random random_;
  std::string vpc_;
  std::vector<Subnet> subnets_;
  std::vector<SecurityGroup> groups_;
  std::function<std::vector<NetworkInterface>()> interfaces_;
};

}  // namespace coalmine::mock
