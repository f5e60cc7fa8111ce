// mock-aws/services/sts: who is calling, and temporary credentials of roles.
//
// Every key is valid: a key that this object issued is the session of a role, any other is the
// root user of its account. Sessions do not expire: a rollout under test should not stop because
// a laptop slept; GetCallerIdentity still answers what AWS would say about the key.
//
// Below: mock-aws/protocol. Above: mock-aws/services/cloud.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "mock-aws/protocol/service.h"

namespace coalmine::mock {

class Sts final : public Service {
 public:
  /// Sessions kept; the oldest keys go first.
  static constexpr std::size_t kMaxSessions = 10'000;

  Sts(Scope scope, Random random) : scope_(std::move(scope)), random_(random) {}

  std::string_view name() const override { return "sts"; }
  bool implements(std::string_view operation) const override;
  Reply call(std::string_view operation, const Json& input, CallContext& context) override;
  Json state() const override;

 private:
  struct Session {
    std::string role, session, user_id;
  };

  Reply get_caller_identity(const Json& input, CallContext& context);
  Reply get_access_key_info(const Json& input, CallContext& context);
  Reply assume_role(const Json& input, CallContext& context);
  static const OperationTable<Sts>& operations();

  Scope scope_;
  Random random_;
  std::map<std::string, Session> sessions_;  ///< by access key
};

/// An access key ("ASIA…") that carries `account` the way AWS's keys do: base32 of ten bytes, the
/// first six of which hold the account shifted left by seven bits.
std::string issue_access_key(std::string_view prefix, std::string_view account, Random& random);

}  // namespace coalmine::mock
