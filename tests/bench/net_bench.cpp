// What one JSON answer costs, through real sockets on loopback: client and server together.
#include <benchmark/benchmark.h>

#include "sim/net/framing.h"
#include "sim/net/http.h"

namespace {

using namespace coalmine;

std::string body() {
  return "{\"mesh\":\"" + std::string(288, 'm') + "\"}";
}

void ParseHead(benchmark::State& state) {
  const std::string head =
      "POST /v20190125/meshes/m/virtualNodes HTTP/1.1\r\nHost: 127.0.0.1:4566\r\n"
      "Accept-Encoding: identity\r\nContent-Type: application/json\r\n"
      "User-Agent: aws-cli/2.9.19\r\nX-Amz-Date: 20261124T193004Z\r\n"
      "Authorization: AWS4-HMAC-SHA256 Credential=test/20261124/us-east-1/appmesh/aws4_request, "
      "SignedHeaders=content-type;host;x-amz-date, Signature=0123456789abcdef\r\n"
      "Content-Length: 300\r\n\r\n";
  for (auto _ : state) benchmark::DoNotOptimize(net::parse_head(head));
}
BENCHMARK(ParseHead);

void JsonAnswer(benchmark::State& state) {
  auto server = net::Server::listen(
      "127.0.0.1", 0, [](const net::Request&) { return net::json_response(200, body()); });
  auto client = net::Client::open("http://127.0.0.1:" + std::to_string((*server)->port()));
  net::Request request;
  request.method = state.range(0) == 0 ? "GET" : "POST";
  request.body = state.range(0) == 0 ? "" : body();
  for (auto _ : state) {
    auto response = (*client)->send(request);
    if (!response) state.SkipWithError(response.error().message.c_str());
  }
}
BENCHMARK(JsonAnswer)->Arg(0)->Arg(1)->UseRealTime()->MeasureProcessCPUTime();

}  // namespace
