#include "mock-aws/server/interfaces.h"

#include <gtest/gtest.h>

namespace coalmine::mock {
namespace {

TEST(ListenAddresses, ANamedAddressIsItself) {
  EXPECT_EQ(listen_addresses("127.0.0.2"), std::vector<std::string>{"127.0.0.2"});
}

TEST(ListenAddresses, AllOfThemLeaveTheTasksLoopbackAddressesFree) {
  const auto all = listen_addresses("0.0.0.0");
  ASSERT_FALSE(all.empty());
  EXPECT_EQ(all[0], "127.0.0.1");
  for (std::size_t i = 1; i < all.size(); ++i) {
    EXPECT_NE(all[i], "0.0.0.0");
    EXPECT_NE(all[i].substr(0, 4), "127.") << all[i];
  }
}

}  // namespace
}  // namespace coalmine::mock
