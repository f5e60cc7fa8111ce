// A service that remembers what it was called with and answers what it was told to.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "mock-aws/protocol/endpoint.h"

namespace coalmine::test {

class FakeService final : public mock::Service {
 public:
  std::string_view name() const override { return "fake"; }
  bool implements(std::string_view) const override { return implemented; }
  mock::Reply call(std::string_view operation, const Json& input,
                   mock::CallContext& context) override {
    called = operation;
    received = input;
    scope = {context.account, context.region};
    access_key = context.access_key;
    return reply;
  }
  Json state() const override { return Json::object(); }

  bool implemented = true;
  mock::Reply reply = Json::object();
  std::string called;
  Json received;
  mock::Scope scope;
  std::string access_key;
};

/// An endpoint whose every service is one fake.
class FakeCloud {
 public:
  explicit FakeCloud(mock::EndpointOptions options = {})
      : endpoint(
            std::move(options),
            [this](const mock::Scope&, std::string_view service) {
              asked_for = service;
              return &service_;
            },
            Random(1)) {}

  net::Response send(const net::Request& request) { return endpoint.handle(request, now); }
  net::Response json(const std::string& target, const std::string& body) {
    return send({"POST",
                 "/",
                 {{"X-Amz-Target", target}, {"Content-Type", "application/x-amz-json-1.1"}},
                 body,
                 ""});
  }
  net::Response form(const std::string& body) {
    return send({"POST", "/", {{"Content-Type", "application/x-www-form-urlencoded"}}, body, ""});
  }
  net::Response rest(const std::string& method, const std::string& target,
                     const std::string& body = "") {
    return send({method, target, {{"Content-Type", "application/json"}}, body, ""});
  }
  FakeService& service() { return service_; }

  TimePoint now = kVirtualEpoch;
  std::string asked_for;
  FakeService service_;
  mock::Endpoint endpoint;
};

inline const std::string kEcs = "AmazonEC2ContainerServiceV20141113.";

}  // namespace coalmine::test
