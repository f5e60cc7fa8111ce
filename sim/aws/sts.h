#pragma once

#include <string>

#include "sim/aws/client.h"

namespace coalmine::aws {

struct Identity {
  std::string account, arn, user_id;
};
/// GetCallerIdentity: who the credentials belong to. Needs no permission, changes nothing.
Result<Identity> get_caller_identity(Client& client);

}  // namespace coalmine::aws
