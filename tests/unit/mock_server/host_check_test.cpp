#include "mock-aws/server/host_check.h"

#include <gtest/gtest.h>

namespace coalmine::mock {
namespace {

TEST(HostCheck, LoopbackNamesAreAllowed) {
  const HostPolicy policy;
  for (const char* host : {"localhost", "LOCALHOST:4566", "mesh.localhost:1", "127.0.0.1:4566",
                           "127.1.2.3", "[::1]:80", "data-127.0.0.1:4566", "data-localhost",
                           "data-servicediscovery.localhost:4566"}) {
    EXPECT_TRUE(host_allowed(host, policy)) << host;
  }
  for (const char* host :
       {"", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1",
        "128.0.0.1", "127.0.0.256", "127.1", "data-", "data-evil", "notlocalhost", ".localhost"}) {
    EXPECT_FALSE(host_allowed(host, policy)) << host;
  }
}

TEST(HostCheck, TheConfiguredNamesAreAllowed) {
  const HostPolicy policy{"0.0.0.0", {"lab.canary.svc"}};
  // "lab": what a compose service or a pod's neighbour is called; nobody can register it.
  for (const char* host : {"lab:4566", "Lab", "data-lab:4566", "10.0.0.1:4566", "[fe80::1]:1",
                           "0.0.0.0", "lab.canary.svc:4566"}) {
    EXPECT_TRUE(host_allowed(host, policy)) << host;
  }
  for (const char* host : {"evil.example", "", ":4566", "lab.", "lab.evil.example"}) {
    EXPECT_FALSE(host_allowed(host, policy)) << host;
  }
  EXPECT_TRUE(host_allowed("lab.internal:1", {"lab.internal", {}}));
}

TEST(HostCheck, ForeignOriginsAreRefused) {
  net::Request request;
  request.headers = {{"Host", "127.0.0.1:4566"}};
  EXPECT_EQ(why_not_allowed(request, {}), "");
  request.headers.set("Origin", "http://localhost:3000");
  EXPECT_EQ(why_not_allowed(request, {}), "");
  for (const char* origin : {"https://evil.example", "null", ""}) {
    request.headers.set("Origin", origin);
    EXPECT_NE(why_not_allowed(request, {}), "") << origin;
  }
  request.headers = {{"Host", "evil.example"}};
  EXPECT_NE(why_not_allowed(request, {}).find("evil.example"), std::string::npos);
}

}  // namespace
}  // namespace coalmine::mock
