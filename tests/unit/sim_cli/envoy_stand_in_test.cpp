#include "sim/cli/envoy_stand_in.h"

#include <gtest/gtest.h>

namespace coalmine::cli {
namespace {

TEST(EnvoyStandIn, ServerInfoCarriesTheStateOnALineOfItsOwn) {
  const EnvoyStandInOptions options{"127.1.0.1:9901", "m", "n", "", ""};
  EXPECT_NE(server_info(options, true).find("\n \"state\": \"LIVE\",\n"), std::string::npos);
  EXPECT_EQ(server_info(options, false).find("LIVE"), std::string::npos);
}

TEST(EnvoyStandIn, RefusesAnAdminAddressWithoutPort) {
  for (const char* bad : {"127.1.0.1", "127.1.0.1:", "127.1.0.1:0", "127.1.0.1:x", "h:65536"}) {
    const auto status = run_envoy_stand_in({bad, "m", "n", "http://127.0.0.1:1", ""});
    ASSERT_FALSE(status) << bad;
    EXPECT_EQ(status.error().kind, ErrorKind::Invalid);
  }
}

}  // namespace
}  // namespace coalmine::cli
