// mock-aws/services/iam: roles and their policies, as far as ECS set-up scripts need them.
//
// Documents are kept, not judged: every call is allowed. What scripts trip over is real: names
// that exist or do not, the order of deletion, policies that return URL-encoded.
//
// Below: mock-aws/protocol. Above: mock-aws/services/cloud.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "mock-aws/protocol/service.h"

namespace coalmine::mock {

class Iam final : public Service {
 public:
  Iam(Scope scope, Random random) : scope_(std::move(scope)), random_(random) {}

  std::string_view name() const override { return "iam"; }
  bool implements(std::string_view operation) const override;
  Reply call(std::string_view operation, const Json& input, CallContext& context) override;
  Json state() const override;

 private:
  struct Role {
    std::string name, path, id, arn, trust, description;
    std::int64_t max_session = 3600;
    double created = 0;
    Json tags;
    std::map<std::string, std::string> inline_policies;
    std::map<std::string, std::string> attached;  ///< ARN -> name
  };
  struct Policy {
    std::string name, id, arn, path, document, description;
    double created = 0;
  };

  Reply create_role(const Json& input, CallContext& context);
  Reply create_service_linked_role(const Json& input, CallContext& context);
  Reply get_role(const Json& input, CallContext& context);
  Reply list_roles(const Json& input, CallContext& context);
  Reply delete_role(const Json& input, CallContext& context);
  Reply update_assume_role_policy(const Json& input, CallContext& context);
  Reply put_role_policy(const Json& input, CallContext& context);
  Reply get_role_policy(const Json& input, CallContext& context);
  Reply list_role_policies(const Json& input, CallContext& context);
  Reply delete_role_policy(const Json& input, CallContext& context);
  Reply attach_role_policy(const Json& input, CallContext& context);
  Reply detach_role_policy(const Json& input, CallContext& context);
  Reply list_attached_role_policies(const Json& input, CallContext& context);
  Reply create_policy(const Json& input, CallContext& context);
  Reply get_policy(const Json& input, CallContext& context);
  Reply delete_policy(const Json& input, CallContext& context);
  static const OperationTable<Iam>& operations();

  Reply make_role(Role role);
  tl::expected<Role*, AwsError> find_role(const Json& input);
  std::string unique_id(std::string_view prefix);
  static Json describe(const Role& role);
  static Json describe(const Policy& policy, std::size_t attachments);
  std::size_t attachments(const std::string& policy_arn) const;

  Scope scope_;
  Random random_;
  std::map<std::string, Role> roles_;
  std::map<std::string, Policy> policies_;  ///< customer-managed, by ARN
};

}  // namespace coalmine::mock
