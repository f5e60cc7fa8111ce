#include "mock-aws/services/iam/iam.h"

#include <nlohmann/json.hpp>

#include "sim/net/http.h"

namespace coalmine::mock {
namespace {

constexpr std::string_view kManaged = "arn:aws:iam::aws:policy/";
constexpr std::size_t kPage = 100;

bool is_document(const std::string& text) {
  const auto parsed = parse_json(text);
  return parsed && parsed->is_object();
}

/// One page of names from behind `Marker` (the last name of the page before).
template <typename Map, typename Describe>
Json page(const Map& map, const Json& input, const char* member, Describe describe) {
  const std::string marker = get_string(input, "Marker");
  const auto limit = static_cast<std::size_t>(get_int(input, "MaxItems", kPage));
  Json items = Json::array();
  auto it = marker.empty() ? map.begin() : map.upper_bound(marker);
  std::string last;
  for (; it != map.end() && items.size() < limit; ++it) {
    items.push_back(describe(it->first, it->second));
    last = it->first;
  }
  Json answer{{member, items}, {"IsTruncated", it != map.end()}};
  if (it != map.end()) answer["Marker"] = last;
  return answer;
}

}  // namespace

const OperationTable<Iam>& Iam::operations() {
  static const OperationTable<Iam> kOperations = {
      {"CreateRole", &Iam::create_role},
      {"CreateServiceLinkedRole", &Iam::create_service_linked_role},
      {"GetRole", &Iam::get_role},
      {"ListRoles", &Iam::list_roles},
      {"DeleteRole", &Iam::delete_role},
      {"UpdateAssumeRolePolicy", &Iam::update_assume_role_policy},
      {"PutRolePolicy", &Iam::put_role_policy},
      {"GetRolePolicy", &Iam::get_role_policy},
      {"ListRolePolicies", &Iam::list_role_policies},
      {"DeleteRolePolicy", &Iam::delete_role_policy},
      {"AttachRolePolicy", &Iam::attach_role_policy},
      {"DetachRolePolicy", &Iam::detach_role_policy},
      {"ListAttachedRolePolicies", &Iam::list_attached_role_policies},
      {"CreatePolicy", &Iam::create_policy},
      {"GetPolicy", &Iam::get_policy},
      {"DeletePolicy", &Iam::delete_policy},
  };
  return kOperations;
}

bool Iam::implements(std::string_view operation) const {
  return operations().count(operation) > 0;
}

Reply Iam::call(std::string_view operation, const Json& input, CallContext& context) {
  return (this->*operations().at(operation))(input, context);
}

std::string Iam::unique_id(std::string_view prefix) {
  constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  std::string id(prefix);
  for (int i = 0; i < 17; ++i) id += kLetters[random_.below(32)];
  return id;
}

Json Iam::describe(const Role& role) {
  Json json{{"Path", role.path},
            {"RoleName", role.name},
            {"RoleId", role.id},
            {"Arn", role.arn},
            {"CreateDate", role.created},
            {"MaxSessionDuration", role.max_session},
            {"AssumeRolePolicyDocument", net::percent_encode(role.trust)}};
  if (!role.description.empty()) json["Description"] = role.description;
  if (!role.tags.empty()) json["Tags"] = role.tags;
  return json;
}

Reply Iam::make_role(Role role) {
  if (roles_.count(role.name) > 0) {
    return aws_error("EntityAlreadyExistsException", "Role with name {} already exists.",
                     role.name);
  }
  if (!is_document(role.trust)) {
    return aws_error("MalformedPolicyDocumentException", "This policy contains invalid Json");
  }
  role.id = unique_id("AROA");
  role.arn = fmt::format("arn:aws:iam::{}:role{}{}", scope_.account, role.path, role.name);
  const Json answer{{"Role", describe(role)}};
  roles_[role.name] = std::move(role);
  return answer;
}

Reply Iam::create_role(const Json& input, CallContext& context) {
  Role role;
  role.name = get_string(input, "RoleName");
  role.path = get_string(input, "Path", "/");
  role.trust = get_string(input, "AssumeRolePolicyDocument");
  role.description = get_string(input, "Description");
  role.max_session = get_int(input, "MaxSessionDuration", 3600);
  role.created = to_epoch_seconds(context.now);
  if (const Json* tags = find(input, "Tags")) role.tags = *tags;
  return make_role(std::move(role));
}

Reply Iam::create_service_linked_role(const Json& input, CallContext& context) {
  const std::string service = get_string(input, "AWSServiceName");
  std::string word = service.substr(0, service.find('.'));
  if (word == "ecs") word = "ECS";
  if (word == "elasticloadbalancing") word = "ElasticLoadBalancing";
  if (word == "appmesh") word = "AppMesh";
  Role role;
  role.name = "AWSServiceRoleFor" + word;
  role.path = fmt::format("/aws-service-role/{}/", service);
  role.trust = fmt::format(R"({{"Version":"2012-10-17","Statement":[{{"Effect":"Allow",)"
                           R"("Principal":{{"Service":"{}"}},"Action":"sts:AssumeRole"}}]}})",
                           service);
  role.created = to_epoch_seconds(context.now);
  if (roles_.count(role.name) > 0) {
    return aws_error("InvalidInputException",
                     "Service role name {} has been taken in this account, please try a different "
                     "suffix.",
                     role.name);
  }
  return make_role(std::move(role));
}

tl::expected<Iam::Role*, AwsError> Iam::find_role(const Json& input) {
  const std::string role_name = get_string(input, "RoleName");
  const auto found = roles_.find(role_name);
  if (found == roles_.end()) {
    return aws_error("NoSuchEntityException", "The role with name {} cannot be found.", role_name);
  }
  return &found->second;
}

Reply Iam::get_role(const Json& input, CallContext&) {
  TRY(const Role* role, find_role(input));
  return Json{{"Role", describe(*role)}};
}

Reply Iam::list_roles(const Json& input, CallContext&) {
  return page(roles_, input, "Roles", [](const auto&, const Role& r) { return describe(r); });
}

Reply Iam::delete_role(const Json& input, CallContext&) {
  TRY(const Role* role, find_role(input));
  if (!role->attached.empty()) {
    return aws_error("DeleteConflictException",
                     "Cannot delete entity, must detach all policies first.");
  }
  if (!role->inline_policies.empty()) {
    return aws_error("DeleteConflictException",
                     "Cannot delete entity, must delete policies first.");
  }
  roles_.erase(get_string(input, "RoleName"));
  return Json::object();
}

Reply Iam::update_assume_role_policy(const Json& input, CallContext&) {
  TRY(Role * role, find_role(input));
  const std::string document = get_string(input, "PolicyDocument");
  if (!is_document(document)) {
    return aws_error("MalformedPolicyDocumentException", "This policy contains invalid Json");
  }
  role->trust = document;
  return Json::object();
}

Reply Iam::put_role_policy(const Json& input, CallContext&) {
  TRY(Role * role, find_role(input));
  const std::string document = get_string(input, "PolicyDocument");
  if (!is_document(document)) {
    return aws_error("MalformedPolicyDocumentException", "This policy contains invalid Json");
  }
  role->inline_policies[get_string(input, "PolicyName")] = document;
  return Json::object();
}

Reply Iam::get_role_policy(const Json& input, CallContext&) {
  TRY(const Role* role, find_role(input));
  const std::string policy = get_string(input, "PolicyName");
  const auto found = role->inline_policies.find(policy);
  if (found == role->inline_policies.end()) {
    return aws_error("NoSuchEntityException", "The role policy with name {} cannot be found.",
                     policy);
  }
  return Json{{"RoleName", role->name},
              {"PolicyName", policy},
              {"PolicyDocument", net::percent_encode(found->second)}};
}

Reply Iam::list_role_policies(const Json& input, CallContext&) {
  TRY(const Role* role, find_role(input));
  return page(role->inline_policies, input, "PolicyNames",
              [](const auto& policy, const auto&) { return Json(policy); });
}

Reply Iam::delete_role_policy(const Json& input, CallContext&) {
  TRY(Role * role, find_role(input));
  const std::string policy = get_string(input, "PolicyName");
  if (role->inline_policies.erase(policy) == 0) {
    return aws_error("NoSuchEntityException", "The role policy with name {} cannot be found.",
                     policy);
  }
  return Json::object();
}

Reply Iam::attach_role_policy(const Json& input, CallContext&) {
  TRY(Role * role, find_role(input));
  const std::string arn = get_string(input, "PolicyArn");
  // AWS's own policies always exist; a customer's must have been created.
  if (arn.rfind(kManaged, 0) != 0 && policies_.count(arn) == 0) {
    return aws_error("NoSuchEntityException", "Policy {} does not exist or is not attachable.",
                     arn);
  }
  role->attached[arn] = arn.substr(arn.rfind('/') + 1);
  return Json::object();
}

Reply Iam::detach_role_policy(const Json& input, CallContext&) {
  TRY(Role * role, find_role(input));
  const std::string arn = get_string(input, "PolicyArn");
  if (role->attached.erase(arn) == 0) {
    return aws_error("NoSuchEntityException", "Policy {} was not found.", arn);
  }
  return Json::object();
}

Reply Iam::list_attached_role_policies(const Json& input, CallContext&) {
  TRY(const Role* role, find_role(input));
  return page(role->attached, input, "AttachedPolicies", [](const auto& arn, const auto& policy) {
    return Json{{"PolicyName", policy}, {"PolicyArn", arn}};
  });
}

std::size_t Iam::attachments(const std::string& policy_arn) const {
  std::size_t count = 0;
  for (const auto& [role_name, role] : roles_) count += role.attached.count(policy_arn);
  return count;
}

Json Iam::describe(const Policy& policy, std::size_t attachments) {
  Json json{{"PolicyName", policy.name},
            {"PolicyId", policy.id},
            {"Arn", policy.arn},
            {"Path", policy.path},
            {"DefaultVersionId", "v1"},
            {"AttachmentCount", attachments},
            {"PermissionsBoundaryUsageCount", 0},
            {"IsAttachable", true},
            {"CreateDate", policy.created},
            {"UpdateDate", policy.created}};
  if (!policy.description.empty()) json["Description"] = policy.description;
  return json;
}

Reply Iam::create_policy(const Json& input, CallContext& context) {
  Policy policy;
  policy.name = get_string(input, "PolicyName");
  policy.path = get_string(input, "Path", "/");
  policy.document = get_string(input, "PolicyDocument");
  policy.description = get_string(input, "Description");
  policy.created = to_epoch_seconds(context.now);
  policy.arn = fmt::format("arn:aws:iam::{}:policy{}{}", scope_.account, policy.path, policy.name);
  if (policies_.count(policy.arn) > 0) {
    return aws_error("EntityAlreadyExistsException",
                     "A policy called {} already exists. "
                     "Duplicate names are not allowed.",
                     policy.name);
  }
  if (!is_document(policy.document)) {
    return aws_error("MalformedPolicyDocumentException", "This policy contains invalid Json");
  }
  policy.id = unique_id("ANPA");
  const Json answer{{"Policy", describe(policy, 0)}};
  policies_[policy.arn] = std::move(policy);
  return answer;
}

Reply Iam::get_policy(const Json& input, CallContext&) {
  const std::string arn = get_string(input, "PolicyArn");
  if (arn.rfind(kManaged, 0) == 0) {
    Policy managed;
    managed.name = arn.substr(arn.rfind('/') + 1);
    managed.arn = arn;
    managed.path = "/";
    managed.id = "ANPAMANAGEDBYAWS";
    return Json{{"Policy", describe(managed, attachments(arn))}};
  }
  const auto found = policies_.find(arn);
  if (found == policies_.end()) {
    return aws_error("NoSuchEntityException", "Policy {} was not found.", arn);
  }
  return Json{{"Policy", describe(found->second, attachments(arn))}};
}

Reply Iam::delete_policy(const Json& input, CallContext&) {
  const std::string arn = get_string(input, "PolicyArn");
  if (attachments(arn) > 0) {
    return aws_error("DeleteConflictException", "Cannot delete a policy attached to entities.");
  }
  if (policies_.erase(arn) == 0) {
    return aws_error("NoSuchEntityException", "Policy {} was not found.", arn);
  }
  return Json::object();
}

Json Iam::state() const {
  Json roles = Json::object();
  for (const auto& [role_name, role] : roles_) {
    Json attached = Json::array(), inline_names = Json::array();
    for (const auto& [arn, policy] : role.attached) attached.push_back(arn);
    for (const auto& [policy, document] : role.inline_policies) inline_names.push_back(policy);
    roles[role_name] = {{"arn", role.arn}, {"attached", attached}, {"inline", inline_names}};
  }
  return Json{{"roles", roles}};
}

}  // namespace coalmine::mock
