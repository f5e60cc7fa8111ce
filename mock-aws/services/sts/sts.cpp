#include "mock-aws/services/sts/sts.h"

#include <charconv>
#include <nlohmann/json.hpp>

#include "mock-aws/protocol/account.h"
#include "sim/core/ids.h"

namespace coalmine::mock {
namespace {

constexpr std::string_view kBase32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

std::string role_id(Random& random) {
  std::string id = "AROA";
  for (int i = 0; i < 17; ++i) id += kBase32[random.below(32)];
  return id;
}

}  // namespace

std::string issue_access_key(std::string_view prefix, std::string_view account, Random& random) {
  std::uint64_t number = 0;
  std::from_chars(account.data(), account.data() + account.size(), number);
  const std::uint64_t head = std::uint64_t{1} << 47 | number << 7 | random.below(128);
  // Bit 47 marks the keys that carry an account. 80 bits in 16 letters: 48 of the head, 32 drawn.
  std::string key(prefix);
  std::uint64_t tail = random.below(std::uint64_t{1} << 32);
  for (int i = 0; i < 9; ++i) key += kBase32[(head >> (43 - 5 * i)) & 31];
  key += kBase32[((head & 7) << 2) | (tail >> 30)];
  for (int i = 0; i < 6; ++i) key += kBase32[(tail >> (25 - 5 * i)) & 31];
  return key;
}

const OperationTable<Sts>& Sts::operations() {
  static const OperationTable<Sts> kOperations = {
      {"GetCallerIdentity", &Sts::get_caller_identity},
      {"GetAccessKeyInfo", &Sts::get_access_key_info},
      {"AssumeRole", &Sts::assume_role},
  };
  return kOperations;
}

bool Sts::implements(std::string_view operation) const {
  return operations().count(operation) > 0;
}

Reply Sts::call(std::string_view operation, const Json& input, CallContext& context) {
  return (this->*operations().at(operation))(input, context);
}

Reply Sts::get_caller_identity(const Json&, CallContext& context) {
  if (const auto found = sessions_.find(context.access_key); found != sessions_.end()) {
    const Session& s = found->second;
    return Json{{"UserId", s.user_id},
                {"Account", scope_.account},
                {"Arn", fmt::format("arn:aws:sts::{}:assumed-role/{}/{}", scope_.account, s.role,
                                    s.session)}};
  }
  return Json{{"UserId", scope_.account},
              {"Account", scope_.account},
              {"Arn", fmt::format("arn:aws:iam::{}:root", scope_.account)}};
}

Reply Sts::get_access_key_info(const Json& input, CallContext&) {
  return Json{{"Account", account_of_key(get_string(input, "AccessKeyId"))}};
}

Reply Sts::assume_role(const Json& input, CallContext& context) {
  const std::string role_arn = get_string(input, "RoleArn");
  const auto slash = role_arn.rfind('/');
  if (role_arn.rfind("arn:aws:iam::", 0) != 0 || slash == std::string::npos) {
    return aws_error("ValidationError", "{} is invalid", role_arn);
  }
  const std::string account = role_arn.substr(13, role_arn.find(':', 13) - 13);
  const std::string session = get_string(input, "RoleSessionName");
  const std::string key = issue_access_key("ASIA", account, random_);
  if (sessions_.size() >= kMaxSessions) sessions_.erase(sessions_.begin());
  const std::string id = role_id(random_) + ":" + session;
  sessions_[key] = {role_arn.substr(slash + 1), session, id};
  const auto lifetime = std::chrono::seconds{get_int(input, "DurationSeconds", 3600)};
  return Json{{"Credentials",
               {{"AccessKeyId", key},
                // The one secret that --verify-signatures accepts.
                {"SecretAccessKey", "coalmine"},
                {"SessionToken", random_base64url(random_, 64)},
                {"Expiration", to_epoch_seconds(context.now + lifetime)}}},
              {"AssumedRoleUser",
               {{"AssumedRoleId", id},
                {"Arn", fmt::format("arn:aws:sts::{}:assumed-role/{}/{}", account,
                                    role_arn.substr(slash + 1), session)}}},
              {"PackedPolicySize", 0}};
}

Json Sts::state() const {
  Json sessions = Json::object();
  for (const auto& [key, s] : sessions_) sessions[key] = {{"role", s.role}, {"session", s.session}};
  return Json{{"sessions", sessions}};
}

}  // namespace coalmine::mock
