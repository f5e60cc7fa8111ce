// Calling a mock service in a test, without protocol or model.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "mock-aws/protocol/service.h"
#include "mock-aws/services/ports.h"

namespace coalmine::test {

/// Remembers the events it was told.
class RecordingSink final : public mock::EventSink {
 public:
  void event(TimePoint, std::string_view name, Json fields) override {
    events.emplace_back(name, std::move(fields));
  }
  std::vector<std::pair<std::string, Json>> events;
};

/// Calls with a time that the test moves by hand.
class Caller {
 public:
  explicit Caller(mock::Service& service) : service_(service) {}

  mock::Reply operator()(std::string_view operation, const Json& input) {
    mock::CallContext context{now, "000000000000", "us-east-1", "", random_};
    return service_.call(operation, input, context);
  }
  /// The output of a call that must succeed; null if it did not.
  Json ok(std::string_view operation, const Json& input) {
    const mock::Reply reply = (*this)(operation, input);
    if (reply) return *reply;
    ADD_FAILURE() << operation << ": " << reply.error().code << ": " << reply.error().message;
    return nullptr;
  }
  /// "Code: message" of a call that must fail; "ok" if it did not.
  std::string fails(std::string_view operation, const Json& input) {
    const mock::Reply reply = (*this)(operation, input);
    return reply ? "ok" : reply.error().code + ": " + reply.error().message;
  }

  TimePoint now = kVirtualEpoch;

 private:
  mock::Service& service_;
  Random random_{7};
};

/// A fixture around one service that tells its events, at a time that the test moves.
template <typename ServiceUnderTest>
struct ServiceTest : testing::Test {
  RecordingSink recorder;
  ServiceUnderTest service{mock::Scope{}, Random(1), recorder};
  Caller call{service};
  TimePoint& now = call.now;

  Json ok(std::string_view operation, const Json& input) { return call.ok(operation, input); }
  void refused(std::string_view operation, const Json& input, std::string_view code,
               std::string_view message) {
    const mock::Reply reply = call(operation, input);
    ASSERT_FALSE(reply) << operation << " " << input.dump();
    EXPECT_EQ(reply.error().code, code);
    EXPECT_EQ(reply.error().message, message);
  }
};

}  // namespace coalmine::test
