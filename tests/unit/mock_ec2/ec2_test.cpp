#include "mock-aws/services/ec2/ec2.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace coalmine::mock {
namespace {

Reply call(Ec2& ec2, const char* operation, const Json& input) {
  Random random(1);
  CallContext context{kVirtualEpoch, "000000000000", "eu-west-1", "", random};
  return ec2.call(operation, input, context);
}

TEST(Ec2, AFreshAccountHasADefaultVpcWithASubnetPerZone) {
  Ec2 ec2({"000000000000", "eu-west-1"}, Random(1));
  const Json vpc =
      (*call(ec2, "DescribeVpcs",
             {{"Filters", {{{"Name", "is-default"}, {"Values", {"true"}}}}}}))["Vpcs"][0];
  const Json subnets =
      (*call(ec2, "DescribeSubnets",
             {{"Filters", {{{"Name", "vpc-id"}, {"Values", {vpc["VpcId"]}}}}}}))["Subnets"];
  ASSERT_EQ(subnets.size(), 3U);
  EXPECT_EQ(subnets[0]["AvailabilityZone"], "eu-west-1a");
  EXPECT_TRUE((*call(ec2, "DescribeVpcs",
                     {{"Filters", {{{"Name", "is-default"}, {"Values", {"false"}}}}}}))["Vpcs"]
                  .empty());
  const Reply unknown = call(ec2, "DescribeSubnets", {{"SubnetIds", {"subnet-0"}}});
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, "InvalidSubnetID.NotFound");
}

TEST(Ec2, SecurityGroupsAreMadeOnceAndDeleted) {
  Ec2 ec2({"000000000000", "eu-west-1"}, Random(1));
  const Json create{{"GroupName", "web"}, {"Description", "web"}};
  const std::string id = (*call(ec2, "CreateSecurityGroup", create))["GroupId"];
  EXPECT_FALSE(call(ec2, "CreateSecurityGroup", create));
  const Json rule{{"GroupId", id},
                  {"IpProtocol", "tcp"},
                  {"FromPort", 80},
                  {"ToPort", 80},
                  {"CidrIp", "0.0.0.0/0"}};
  EXPECT_TRUE(call(ec2, "AuthorizeSecurityGroupIngress", rule));
  EXPECT_EQ(call(ec2, "AuthorizeSecurityGroupIngress", rule).error().code,
            "InvalidPermission.Duplicate");
  EXPECT_TRUE(call(ec2, "DeleteSecurityGroup", {{"GroupId", id}}));
  EXPECT_FALSE(call(ec2, "DeleteSecurityGroup", {{"GroupId", id}}));
}

TEST(Ec2, InterfacesAreThoseOfTheTasks) {
  Ec2 ec2({"000000000000", "eu-west-1"}, Random(1));
  EXPECT_TRUE((*call(ec2, "DescribeNetworkInterfaces", {}))["NetworkInterfaces"].empty());
  ec2.set_interfaces([] {
    return std::vector<NetworkInterface>{
        {"eni-1", "0a:00:00:00:00:01", "subnet-1", "127.1.1.1", "arn:one", {}, false},
        {"eni-2", "0a:00:00:00:00:02", "subnet-1", "127.1.1.2", "arn:two", {"sg-9"}, true}};
  });
  const Json all = (*call(ec2, "DescribeNetworkInterfaces", {}))["NetworkInterfaces"];
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0]["PrivateIpAddress"], "127.1.1.1");
  EXPECT_EQ(all[0]["Groups"][0]["GroupName"], "default");
  EXPECT_FALSE(all[0].contains("Association"));
  EXPECT_EQ(all[1]["Association"]["PublicIp"], "127.1.1.2");
  const Json filtered =
      (*call(ec2, "DescribeNetworkInterfaces",
             {{"Filters", {{{"Name", "group-id"}, {"Values", {"sg-9"}}}}}}))["NetworkInterfaces"];
  ASSERT_EQ(filtered.size(), 1U);
  EXPECT_EQ(filtered[0]["NetworkInterfaceId"], "eni-2");
  const Reply unknown =
      call(ec2, "DescribeNetworkInterfaces", {{"NetworkInterfaceIds", {"eni-3"}}});
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, "InvalidNetworkInterfaceID.NotFound");
}

}  // namespace
}  // namespace coalmine::mock
