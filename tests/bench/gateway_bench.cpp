// What the pure part of a proxied request costs: heads parsed and written, routes found. The
// sockets around it cost about ten times as much; see `./dev soak` and the README for the whole.
#include <benchmark/benchmark.h>

#include <nlohmann/json.hpp>

#include "sim/core/random.h"
#include "sim/gateway/chunks.h"
#include "sim/gateway/heads.h"
#include "sim/traffic/route_index.h"

namespace coalmine::gateway {
namespace {

/// As wrk sends it, and as a browser does.
constexpr std::string_view kPlain = "GET /small HTTP/1.1\r\nHost: 127.0.0.1:9080\r\n\r\n";
constexpr std::string_view kBrowser =
    "GET /checkout/basket?item=4711&size=m HTTP/1.1\r\n"
    "Host: shop.example.com\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    "Accept-Language: en-US,en;q=0.5\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Connection: keep-alive\r\n"
    "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; consent=all\r\n"
    "Upgrade-Insecure-Requests: 1\r\n"
    "Sec-Fetch-Dest: document\r\n"
    "Sec-Fetch-Mode: navigate\r\n"
    "Priority: u=0, i\r\n\r\n";
constexpr std::string_view kAnswer =
    "HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Tue, 24 Nov 2026 19:30:04 GMT\r\n"
    "Content-Type: application/json\r\nContent-Length: 200\r\nConnection: keep-alive\r\n"
    "X-Served-Version: v1\r\n\r\n";

std::string_view request_of(std::int64_t kind) {
  return kind == 0 ? kPlain : kBrowser;
}

RequestHead parsed(std::string_view bytes) {
  HeadScan scan;
  RequestHead head;
  (void)parse_request(bytes, scan, head);
  return head;
}

void BM_ParseRequest(benchmark::State& state) {
  const std::string_view bytes = request_of(state.range(0));
  RequestHead head;
  for (auto _ : state) {
    HeadScan scan;
    benchmark::DoNotOptimize(parse_request(bytes, scan, head));
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes.size()));
}
BENCHMARK(BM_ParseRequest)->ArgName("browser")->Arg(0)->Arg(1);

void BM_ParseResponse(benchmark::State& state) {
  ResponseHead head;
  for (auto _ : state) {
    HeadScan scan;
    benchmark::DoNotOptimize(parse_response(kAnswer, scan, false, head));
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(kAnswer.size()));
}
BENCHMARK(BM_ParseResponse);

void BM_UpstreamHead(benchmark::State& state) {
  const RequestHead head = parsed(request_of(state.range(0)));
  ForwardContext context;
  context.peer = "127.0.0.1";
  context.path = head.path;
  context.host = head.host;
  context.random[0] = 0x0123456789abcdef;
  context.random[1] = 0xfedcba9876543210;
  std::string out;
  for (auto _ : state) {
    out.clear();
    append_upstream_head(out, head, context);
    benchmark::DoNotOptimize(out.data());
  }
}
BENCHMARK(BM_UpstreamHead)->ArgName("browser")->Arg(0)->Arg(1);

void BM_DownstreamHead(benchmark::State& state) {
  HeadScan scan;
  ResponseHead head;
  (void)parse_response(kAnswer, scan, false, head);
  std::string out;
  for (auto _ : state) {
    out.clear();
    append_downstream_head(out, head, traffic::Dialect::Envoy, head.framing.kind, false, 3,
                           "Tue, 24 Nov 2026 19:30:04 GMT");
    benchmark::DoNotOptimize(out.data());
  }
}
BENCHMARK(BM_DownstreamHead);

/// A listener with so many prefix routes; the request takes the last.
std::shared_ptr<const traffic::RouteIndex> routes(std::int64_t count, const char* selection) {
  const Json targets = {{{"name", "v1"}, {"weight", 99}, {"instances", {"127.0.0.1:9001"}}},
                        {{"name", "v2"}, {"weight", 1}, {"instances", {"127.0.0.1:9002"}}}};
  Json list = Json::array();
  for (std::int64_t i = 1; i < count; ++i) {
    list.push_back({{"name", fmt::format("r{}", i)},
                    {"match", {{"prefix", fmt::format("/service-{}/", i)}}},
                    {"targets", targets}});
  }
  list.push_back({{"name", "rest"},
                  {"match", {{"prefix", "/"}}},
                  {"selection", selection},
                  {"targets", targets}});
  const Json listener = {{"port", 9080}, {"routes", list}};
  auto table = traffic::route_table_from_json(Json{{"version", 1}, {"listeners", {listener}}});
  auto index =
      traffic::RouteIndex::compile(std::make_shared<const traffic::RouteTable>(std::move(*table)));
  return *index;
}

void resolve_all(benchmark::State& state, const char* selection) {
  const auto index = routes(state.range(0), selection);
  const traffic::ListenerIndex& listener = *index->listener(9080);
  traffic::RequestView request;
  request.host = "shop.example.com";
  request.path = "/checkout/basket";
  Random random(1);
  std::string scratch;
  for (auto _ : state) {
    benchmark::DoNotOptimize(traffic::resolve(listener, request, random.next(), scratch));
  }
}
void BM_ResolveRandom(benchmark::State& state) {
  resolve_all(state, "random");
}
BENCHMARK(BM_ResolveRandom)
    ->ArgName("routes")
    ->Arg(1)
    ->Arg(3)
    ->Arg(4)
    ->Arg(10)
    ->Arg(100)
    ->Arg(1000);
void BM_ResolveExact(benchmark::State& state) {
  resolve_all(state, "exact");
}
BENCHMARK(BM_ResolveExact)->ArgName("routes")->Arg(1);

void BM_ChunkedBody(benchmark::State& state) {
  std::string body;
  for (int i = 0; i < 16; ++i) body += "400\r\n" + std::string(1024, 'x') + "\r\n";
  body += "0\r\n\r\n";
  std::string copy;
  for (auto _ : state) {
    copy = body;
    ChunkDecoder decoder;
    benchmark::DoNotOptimize(decoder.decode(copy.data(), copy.size()));
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(body.size()));
}
BENCHMARK(BM_ChunkedBody);

}  // namespace
}  // namespace coalmine::gateway
