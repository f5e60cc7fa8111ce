#include "sample-app/app.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "sample-app/run.h"

namespace coalmine::sample {
namespace {

App make(std::string version = "v1", std::string_view faults = "") {
  return App(std::move(version), *faults::parse_faults(faults), kVirtualEpoch, Random(1));
}

net::Request request(std::string target, std::string method = "GET", std::string body = "") {
  net::Request r;
  r.target = std::move(target);
  r.method = std::move(method);
  r.body = std::move(body);
  return r;
}

std::string body(App& app, const net::Request& r) {
  return app.answer(r, kVirtualEpoch).response.body;
}
int status(App& app, const net::Request& r) {
  return app.answer(r, kVirtualEpoch).response.status;
}

TEST(SampleApp, SaysWhichVersionItIs) {
  App v1 = make("v1");
  App other = make("blue \"green\"");
  EXPECT_EQ(body(v1, request("/")), R"({"data":"This is service v1"})");
  EXPECT_EQ(body(v1, request("/?x=1")), R"({"data":"This is service v1"})");
  EXPECT_EQ(body(other, request("/")), R"({"data":"This is service blue \"green\""})");
  EXPECT_EQ(body(v1, request("/version")), R"({"version":"v1"})");
  for (const char* path : {"/healthcheck", "/checkout", "/search", "/profile"}) {
    EXPECT_EQ(status(v1, request(path)), 200) << path;
    EXPECT_NE(body(v1, request(path)).find("\"v1\""), std::string::npos) << path;
  }
}

TEST(SampleApp, RefusesOtherPathsAndMethods) {
  App app = make();
  EXPECT_EQ(status(app, request("/nowhere")), 404);
  EXPECT_NE(body(app, request("/nowhere")).find("/checkout"), std::string::npos);
  EXPECT_EQ(status(app, request("/", "DELETE")), 405);
  EXPECT_EQ(status(app, request("/fault", "POST")), 405);
}

TEST(SampleApp, FaultsCanBeChangedWhileItRuns) {
  App app = make();
  EXPECT_EQ(body(app, request("/fault")), R"({"faults":[],"text":""})");
  EXPECT_EQ(status(app, request("/fault", "PUT", "errors=100%,code=503,path=/checkout")), 200);
  EXPECT_EQ(status(app, request("/checkout")), 503);
  EXPECT_EQ(status(app, request("/search")), 200);
  const std::string json = R"({"kind":"errors","share":"100%","code":418})";
  EXPECT_EQ(status(app, request("/fault", "PUT", json)), 200);
  EXPECT_EQ(status(app, request("/search")), 418);
  EXPECT_EQ(status(app, request("/healthcheck")), 200);
  EXPECT_EQ(status(app, request("/fault", "PUT", "erors=1%")), 400);
  EXPECT_EQ(status(app, request("/fault", "PUT", "{")), 400);
  EXPECT_EQ(status(app, request("/search")), 418);  // a refused change changes nothing
  EXPECT_EQ(status(app, request("/fault", "DELETE")), 200);
  EXPECT_EQ(status(app, request("/search")), 200);
}

TEST(SampleApp, TurnsOutcomesIntoAnswers) {
  const auto first = [](const char* faults) {
    App app = make("v2", faults);
    return app.answer(request("/"), kVirtualEpoch);
  };
  EXPECT_EQ(first("reset=100%").response.misbehaviour, net::Misbehaviour::Reset);
  EXPECT_EQ(first("hang=100%").response.misbehaviour, net::Misbehaviour::Hang);
  EXPECT_EQ(first("truncate=100%").response.misbehaviour, net::Misbehaviour::Truncate);
  EXPECT_EQ(first("latency=7ms").delay, std::chrono::milliseconds{7});
  EXPECT_TRUE(first("crash-after=0").crash);
  const Answer wrong = first("wrong-body=100%");
  EXPECT_EQ(wrong.response.status, 200);
  EXPECT_EQ(wrong.response.body, R"({"dta":null})");
  App unhealthy = make("v2", "unhealthy");
  EXPECT_EQ(status(unhealthy, request("/healthcheck")), 503);
  EXPECT_EQ(status(unhealthy, request("/")), 200);
}

TEST(SampleApp, CountsByPathAndCode) {
  App app = make("v1", "errors=100%,path=/checkout");
  for (const char* path : {"/", "/", "/checkout", "/a", "/b", "/metrics", "/fault"}) {
    app.finished(app.answer(request(path), kVirtualEpoch), std::chrono::milliseconds{3});
  }
  const std::string metrics = body(app, request("/metrics"));
  for (const char* line :
       {"http_requests_total{version=\"v1\",path=\"/\",code=\"200\"} 2\n",
        "http_requests_total{version=\"v1\",path=\"/checkout\",code=\"500\"} 1\n",
        "http_requests_total{version=\"v1\",path=\"other\",code=\"404\"} 2\n",
        "http_request_duration_seconds_bucket{version=\"v1\",path=\"/\",le=\"0.0025\"} 0\n",
        "http_request_duration_seconds_bucket{version=\"v1\",path=\"/\",le=\"0.005\"} 2\n",
        "http_request_duration_seconds_bucket{version=\"v1\",path=\"/\",le=\"+Inf\"} 2\n",
        "http_request_duration_seconds_sum{version=\"v1\",path=\"/\"} 0.006\n",
        "http_request_duration_seconds_count{version=\"v1\",path=\"/\"} 2\n"}) {
    EXPECT_NE(metrics.find(line), std::string::npos) << line << metrics;
  }
  EXPECT_EQ(metrics.find("/metrics"), std::string::npos);
}

// --- through sockets --------------------------------------------------------------------------

struct Live {
  std::unique_ptr<Service> service;
  std::unique_ptr<net::Client> client;
};

Live start(
    std::string_view faults, std::function<void()> crash = [] {}) {
  RunOptions options;
  options.version = "v2";
  options.port = 0;
  options.seed = 5;
  options.faults = *faults::parse_faults(faults);
  Live live;
  live.service = *Service::start(options, std::move(crash));
  live.client = *net::Client::open(fmt::format("http://127.0.0.1:{}", live.service->port()));
  return live;
}

TEST(SampleService, AnswersThroughASocket) {
  Live live = start("");
  const auto response = live.client->send({});
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->body, R"({"data":"This is service v2"})");
  EXPECT_EQ(response->headers.get("Content-Type"), "application/json");
}

TEST(SampleService, ErrorsComeAtTheirShare) {
  Live live = start("errors=20%");
  int errors = 0;
  for (int i = 0; i < 1000; ++i) {
    const auto response = live.client->send({});
    ASSERT_TRUE(response) << response.error().message;
    errors += response->status == 500 ? 1 : 0;
  }
  EXPECT_NEAR(errors, 200, 5 * 12.65);  // five standard deviations of a binomial count
}

TEST(SampleService, ResetsTruncationsAndCrashesAreSeenByTheClient) {
  EXPECT_FALSE(start("reset=100%").client->send({}));
  EXPECT_FALSE(start("truncate=100%").client->send({}));
  std::atomic<int> crashes{0};
  Live live = start("crash-after=1", [&crashes] { ++crashes; });
  net::Request post;
  post.method = "POST";
  EXPECT_TRUE(live.client->send(post));
  EXPECT_FALSE(live.client->send(post));
  EXPECT_EQ(crashes, 1);
}

TEST(SampleService, DrainFinishesWhatIsInFlight) {
  Live live = start("latency=300ms");
  Result<net::Response> response = error("not asked");
  std::thread asking([&] { response = live.client->send({}); });
  const auto watcher = *net::Client::open(fmt::format("http://127.0.0.1:{}", live.service->port()));
  net::Request metrics;
  metrics.target = "/metrics";
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{20};
  while (std::chrono::steady_clock::now() < deadline) {
    const auto seen = watcher->send(metrics);
    ASSERT_TRUE(seen) << seen.error().message;
    if (seen->body.find("in_flight{version=\"v2\"} 1\n") != std::string::npos) break;
  }
  live.service->drain();
  asking.join();
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(response->headers.get("Connection"), "close");
}

}  // namespace
}  // namespace coalmine::sample
