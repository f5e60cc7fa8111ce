// The calls that provisioning makes, as bytes: each operation once, lists as lists.
#include <nlohmann/json.hpp>

#include "sim/lab/provision.h"
#include "tests/support/golden.h"

namespace coalmine::lab {
namespace {

struct StillClock : Clock {
  TimePoint now() override { return kVirtualEpoch; }
  void sleep_until(TimePoint) override {}
};

/// Answers as an empty account would, or refuses every creation because it is there already.
struct Account {
  bool full = false;
  std::string calls;

  net::Response answer(const net::Request& request) {
    const std::string target =
        request.headers.get("X-Amz-Target", request.method + " " + std::string(request.path()));
    calls += target + " " + request.body + "\n";
    const bool creates = request.method == "PUT" || target.find("Create") != std::string::npos;
    if (full && creates) {
      net::Response conflict = net::json_response(409, R"({"message":"already there"})");
      conflict.headers.add("x-amzn-ErrorType", "ConflictException");
      return conflict;
    }
    if (target.ends_with("ListNamespaces")) {
      return net::json_response(200, R"({"Namespaces":[{"Name":"coalmine.local","Id":"ns-1"}]})");
    }
    if (target.ends_with("ListServices")) {
      return net::json_response(
          200, R"({"Services":[{"Name":"app-v1","Arn":"arn:1"},{"Name":"app-v2","Arn":"arn:2"}]})");
    }
    if (full && target.ends_with("DescribeServices")) {
      return net::json_response(200, R"({"services":[{"status":"ACTIVE"}]})");
    }
    return net::json_response(200, "{}");
  }
};

Status run(Account& account) {
  const auto transport = aws::in_process_transport(
      [&account](const net::Request& request) { return account.answer(request); });
  StillClock clock;
  aws::ClientOptions options;
  options.endpoint = "http://127.0.0.1:4566";
  aws::Client client(*transport, {"test", "test", ""}, options, clock, Random(1));
  return provision(client, {}, clock);
}

TEST(Provision, MakesTheTenStepsInOrder) {
  Account account;
  const Status status = run(account);
  ASSERT_TRUE(status) << to_string(status.error());
  EXPECT_GOLDEN("lab/provision.txt", account.calls);
}

TEST(Provision, WhatIsThereAlreadyStays) {
  Account account;
  account.full = true;
  const Status status = run(account);
  EXPECT_TRUE(status) << to_string(status.error());
  EXPECT_EQ(account.calls.find("UpdateRoute"), std::string::npos);
}

}  // namespace
}  // namespace coalmine::lab
