// What an App Mesh call costs before and after the service: identify, route, read, validate,
// write. No socket.
#include <benchmark/benchmark.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "mock-aws/protocol/api_model.h"
#include "mock-aws/protocol/endpoint.h"

namespace coalmine {
namespace {

class Echo final : public mock::Service {
 public:
  std::string_view name() const override { return "appmesh"; }
  bool implements(std::string_view) const override { return true; }
  mock::Reply call(std::string_view, const Json& input, mock::CallContext&) override {
    return Json{{"route",
                 {{"meshName", input.at("meshName")},
                  {"routeName", input.at("routeName")},
                  {"spec", input.at("spec")},
                  {"metadata", {{"arn", "arn"}, {"createdAt", 1.5}, {"version", 1}}}}}};
  }
  Json state() const override { return Json::object(); }
};

net::Request update_route() {
  net::Request request{
      "PUT",
      "/v20190125/meshes/m/virtualRouter/r/routes/x",
      {{"Host", "127.0.0.1:4566"}, {"Content-Type", "application/json"}},
      R"({"spec":{"httpRoute":{"match":{"prefix":"/"},"action":{"weightedTargets":[)"
      R"({"virtualNode":"v1","weight":99},{"virtualNode":"v2","weight":1}]},"retryPolicy":)"
      R"({"maxRetries":2,"httpRetryEvents":["server-error"],)"
      R"("perRetryTimeout":{"value":1,"unit":"s"}}}}})",
      ""};
  aws::sign(request, {"test", "secret", ""}, {"us-east-1", "appmesh"}, kVirtualEpoch);
  return request;
}

void bm_update_route(benchmark::State& state) {
  Echo echo;
  mock::EndpointOptions options{
      state.range(0) != 0, [](std::string_view) { return std::optional<std::string>("secret"); }};
  mock::Endpoint endpoint(
      options, [&](const mock::Scope&, std::string_view) { return &echo; }, Random(1));
  const net::Request request = update_route();
  for (auto _ : state) {
    net::Response response = endpoint.handle(request, kVirtualEpoch);
    if (response.status != 200) state.SkipWithError(response.body.c_str());
    benchmark::DoNotOptimize(response);
  }
}
BENCHMARK(bm_update_route)->ArgName("verify")->Arg(0)->Arg(1)->Unit(benchmark::kMicrosecond);

void bm_parse_model(benchmark::State& state, std::string_view service) {
  std::ifstream file("mock-aws/models/" + std::string(service) + ".json");
  const std::string text(std::istreambuf_iterator<char>(file), {});
  for (auto _ : state) benchmark::DoNotOptimize(mock::ApiModel::parse(service, text));
}
BENCHMARK_CAPTURE(bm_parse_model, appmesh, "appmesh")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(bm_parse_model, ecs, "ecs")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(bm_parse_model, iam, "iam")->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace coalmine
