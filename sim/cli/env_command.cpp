#include <fmt/format.h>

#include <memory>

#include "sim/cli/verbs.h"

namespace coalmine::cli {
namespace {

struct EnvCommand {
  std::string endpoint = "http://127.0.0.1:4566";
  std::string region = "us-east-1";
  std::string account = "000000000000";
  bool unset = false;
};

/// What any AWS client needs to find coalmine and nothing else: the endpoint, keys (a key of 12
/// digits is the account), a region, and no host prefixes ("data-127.0.0.1" resolves nowhere).
int print_env(const EnvCommand& command) {
  const std::pair<const char*, std::string> variables[] = {
      {"AWS_ENDPOINT_URL", command.endpoint}, {"AWS_ACCESS_KEY_ID", command.account},
      {"AWS_SECRET_ACCESS_KEY", "coalmine"},  {"AWS_REGION", command.region},
      {"AWS_DEFAULT_REGION", command.region}, {"AWS_DISABLE_HOST_PREFIX_INJECTION", "true"},
      {"AWS_EC2_METADATA_DISABLED", "true"},  {"AWS_PAGER", ""},
  };
  for (const auto& [name, value] : variables) {
    if (command.unset) {
      fmt::print("unset {}\n", name);
    } else {
      fmt::print("export {}=\"{}\"\n", name, value);
    }
  }
  // A session token or profile of a real account would travel along and confuse both sides.
  if (!command.unset) fmt::print("unset AWS_SESSION_TOKEN AWS_PROFILE\n");
  return kPassed;
}

}  // namespace

Verb env_verb() {
  auto command = std::make_shared<EnvCommand>();
  return {"env", "Print the environment that points AWS clients at coalmine.",
          "eval \"$(coalmine env)\"\n"
          "eval \"$(coalmine env --account 511522223657 --region ap-south-1)\"\n"
          "eval \"$(coalmine env --unset)\"",
          [command](Options& options) {
            options.text("--endpoint", command->endpoint,
                         "where mock-aws listens (default http://127.0.0.1:4566)");
            options.text("--region", command->region, "AWS region (default us-east-1)");
            options.text("--account", command->account,
                         "account id, 12 digits; used as the access key (default 000000000000)");
            options.flag("--unset", command->unset, "print the lines that undo it");
          },
          [command] { return print_env(*command); }};
}

}  // namespace coalmine::cli
