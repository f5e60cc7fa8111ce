#include "sim/aws/sts.h"

#include <nlohmann/json.hpp>

namespace coalmine::aws {

Result<Identity> get_caller_identity(Client& client) {
  TRY(const Json answer, client.call("sts", "GetCallerIdentity", Json::object()));
  return Identity{get_string(answer, "Account"), get_string(answer, "Arn"),
                  get_string(answer, "UserId")};
}

}  // namespace coalmine::aws
