#include "mock-aws/services/iam/iam.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace coalmine::mock {
namespace {

class IamTest : public testing::Test {
 protected:
  Reply call(const char* operation, const Json& input) {
    CallContext context{kVirtualEpoch, "000000000000", "us-east-1", "", random_};
    return iam_.call(operation, input, context);
  }
  void refused(const char* code, const char* operation, const Json& input) {
    const Reply reply = call(operation, input);
    ASSERT_FALSE(reply) << operation;
    EXPECT_EQ(reply.error().code, code);
  }

  Random random_{1};
  Iam iam_{{}, Random(2)};
  const Json role_{{"RoleName", "r"}};
};

TEST_F(IamTest, RolesAreMadeOnceAndGoOnlyWhenTheirPoliciesAreGone) {
  const Json create{{"RoleName", "r"}, {"AssumeRolePolicyDocument", "{}"}};
  const Reply made = call("CreateRole", create);
  ASSERT_TRUE(made);
  EXPECT_EQ((*made)["Role"]["Arn"], "arn:aws:iam::000000000000:role/r");
  refused("EntityAlreadyExistsException", "CreateRole", create);
  const Json attach{{"RoleName", "r"},
                    {"PolicyArn", "arn:aws:iam::aws:policy/AWSAppMeshEnvoyAccess"}};
  ASSERT_TRUE(call("AttachRolePolicy", attach));
  refused("DeleteConflictException", "DeleteRole", role_);
  ASSERT_TRUE(call("DetachRolePolicy", attach));
  ASSERT_TRUE(call("PutRolePolicy",
                   {{"RoleName", "r"}, {"PolicyName", "p"}, {"PolicyDocument", "{\"a\": 1}"}}));
  EXPECT_EQ((*call("GetRolePolicy", {{"RoleName", "r"}, {"PolicyName", "p"}}))["PolicyDocument"],
            "%7B%22a%22%3A%201%7D");
  refused("DeleteConflictException", "DeleteRole", role_);
  ASSERT_TRUE(call("DeleteRolePolicy", {{"RoleName", "r"}, {"PolicyName", "p"}}));
  ASSERT_TRUE(call("DeleteRole", role_));
  refused("NoSuchEntityException", "GetRole", role_);
}

TEST_F(IamTest, UnknownNamesAndBrokenDocumentsAreRefused) {
  refused("NoSuchEntityException", "PutRolePolicy",
          {{"RoleName", "none"}, {"PolicyName", "p"}, {"PolicyDocument", "{}"}});
  refused("MalformedPolicyDocumentException", "CreateRole",
          {{"RoleName", "r"}, {"AssumeRolePolicyDocument", "not json"}});
  ASSERT_TRUE(call("CreateRole", {{"RoleName", "r"}, {"AssumeRolePolicyDocument", "{}"}}));
  refused("NoSuchEntityException", "AttachRolePolicy",
          {{"RoleName", "r"}, {"PolicyArn", "arn:aws:iam::000000000000:policy/mine"}});
}

TEST_F(IamTest, ListsPageByName) {
  for (const char* role : {"c", "a", "b"}) {
    ASSERT_TRUE(call("CreateRole", {{"RoleName", role}, {"AssumeRolePolicyDocument", "{}"}}));
  }
  const Json first = *call("ListRoles", {{"MaxItems", 2}});
  EXPECT_EQ(first["Roles"][1]["RoleName"], "b");
  EXPECT_TRUE(first["IsTruncated"]);
  const Json second = *call("ListRoles", {{"Marker", first["Marker"]}});
  EXPECT_EQ(second["Roles"][0]["RoleName"], "c");
  EXPECT_FALSE(second.contains("Marker"));
}

}  // namespace
}  // namespace coalmine::mock
