// The protocol layer before a service that answers what it is told to, for
// tests/e2e/protocol_against_botocore.py: JSON lines in and out.
//   in:  {"method","target","headers":[[name,value]...],"body":hex,"reply":{...}} or
//        {..., "error":{"code","message"}}
//   out: {"status","headers":[[name,value]...],"body":hex,"operation","received":{...}}
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "mock-aws/protocol/endpoint.h"
#include "tests/tools/hex.h"

namespace {

using namespace coalmine;

class Told final : public mock::Service {
 public:
  std::string_view name() const override { return "told"; }
  bool implements(std::string_view) const override { return true; }
  mock::Reply call(std::string_view operation, const Json& input, mock::CallContext&) override {
    called = operation;
    received = input;
    return reply;
  }
  Json state() const override { return Json::object(); }

  mock::Reply reply;
  std::string called;
  Json received;
};

}  // namespace

int main() {
  Told service;
  mock::Endpoint endpoint(
      {}, [&](const mock::Scope&, std::string_view) { return &service; }, Random(1));
  for (std::string line; std::getline(std::cin, line);) {
    const Json in = Json::parse(line);
    net::Request request{
        in.at("method"), in.at("target"), {}, test::from_hex(in.at("body").get<std::string>()), ""};
    for (const Json& header : in.at("headers")) request.headers.add(header.at(0), header.at(1));
    service.called.clear();
    service.received = nullptr;
    if (const Json* error = find(in, "error")) {
      service.reply = mock::aws_error(error->at("code"), "{}", get_string(*error, "message"));
    } else {
      service.reply = in.at("reply");
    }
    const net::Response response = endpoint.handle(request, kVirtualEpoch);
    Json out{{"status", response.status},
             {"headers", Json::array()},
             {"body", test::to_hex(response.body)},
             {"operation", service.called},
             {"received", service.received}};
    for (const auto& [name, value] : response.headers) out["headers"].push_back({name, value});
    std::cout << dump_json(out) << "\n" << std::flush;
  }
}
