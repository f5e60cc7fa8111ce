// Open-loop load against a small server: every arrival is accounted for, once.
#include "sim/lab/load_generator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <mutex>
#include <set>
#include <thread>

#include "sim/net/http.h"

namespace coalmine::lab {
namespace {

using namespace std::chrono_literals;

struct Collected {
  std::mutex mutex;
  std::vector<LoadSample> samples;
  std::size_t size() {
    const std::lock_guard lock(mutex);
    return samples.size();
  }
};

/// Runs the whole load and returns what its users saw.
std::vector<LoadSample> run(LoadOptions options) {
  Collected collected;
  auto load = LoadGenerator::start(options, [&collected](const LoadSample& sample) {
    const std::lock_guard lock(collected.mutex);
    collected.samples.push_back(sample);
  });
  EXPECT_TRUE(load);
  const auto deadline = std::chrono::steady_clock::now() + 60s;
  while (collected.size() < options.max_requests && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(5ms);
  }
  (*load)->stop();
  return collected.samples;
}

LoadOptions to(int port, std::uint64_t requests) {
  LoadOptions options;
  options.port = port;
  options.steps = {{{}, 2000}};
  options.max_requests = requests;
  options.length = 60s;
  return options;
}

TEST(LoadGenerator, MakesExactlyTheRequestsAskedForAndStops) {
  std::atomic<int> served{0};
  const auto server = net::Server::listen("127.0.0.1", 0, [&served](const net::Request&) {
    ++served;
    net::Response response = net::text_response(200, "from v1");
    response.headers.add("X-Served-Version", "v1");
    return response;
  });
  ASSERT_TRUE(server);
  const std::vector<LoadSample> samples = run(to((*server)->port(), 400));
  EXPECT_EQ(samples.size(), 400u);
  EXPECT_EQ(served, 400);
  for (const LoadSample& sample : samples) {
    EXPECT_EQ(sample.status, 200);
    EXPECT_EQ(sample.version, "v1");
    EXPECT_FALSE(sample.wrong);
  }
}

TEST(LoadGenerator, TellsResetsTruncatedAndWrongBodiesApart) {
  const auto server = net::Server::listen("127.0.0.1", 0, [](const net::Request& request) {
    net::Response response = net::text_response(200, request.path() == "/wrong" ? "?" : "from v1");
    response.headers.add("X-Served-Version", "v1");
    if (request.path() == "/reset") response.misbehaviour = net::Misbehaviour::Reset;
    if (request.path() == "/cut") response.misbehaviour = net::Misbehaviour::Truncate;
    return response;
  });
  ASSERT_TRUE(server);
  const auto one = [&](const char* path) {
    LoadOptions options = to((*server)->port(), 1);
    options.paths = {{path, 1}};
    return run(options).at(0);
  };
  EXPECT_EQ(one("/reset").status, 0);
  EXPECT_FALSE(one("/reset").truncated);
  EXPECT_TRUE(one("/cut").truncated);
  EXPECT_EQ(one("/cut").version, "v1");
  EXPECT_TRUE(one("/wrong").wrong);
}

TEST(LoadGenerator, PathsGetTheirShares) {
  std::atomic<int> checkout{0};
  const auto server = net::Server::listen("127.0.0.1", 0, [&checkout](const net::Request& r) {
    if (r.path() == "/checkout") ++checkout;
    return net::text_response(200, "ok");
  });
  ASSERT_TRUE(server);
  LoadOptions options = to((*server)->port(), 1000);
  options.paths = {{"/checkout", 0.2}, {"/", 0.8}};
  run(options);
  EXPECT_LT(std::fabs(checkout - 200.0), 5 * std::sqrt(1000 * 0.2 * 0.8));
}

/// Sets cookies with every answer and remembers which ones came.
class CookieServer {
 public:
  CookieServer()
      : server_(net::Server::listen("127.0.0.1", 0, [this](const net::Request& request) {
          const std::lock_guard lock(mutex_);
          std::size_t fields = 0;
          for (const auto& [name, value] : request.headers) {
            fields += name == "Cookie" || name == "cookie" ? 1 : 0;
          }
          came_.push_back(fields > 1 ? "several fields" : request.headers.get("Cookie"));
          net::Response response = net::text_response(200, "ok");
          response.headers.add("Set-Cookie", fmt::format("id={}; Path=/", came_.size()));
          response.headers.add("Set-Cookie", "other=a=b");
          response.headers.add("Set-Cookie", "nonsense");
          return response;
        })) {}
  std::vector<std::string> came() {
    const std::lock_guard lock(mutex_);
    return came_;
  }
  LoadOptions load(std::string header) {
    LoadOptions options = to((*server_)->port(), kMaxLoadRequests);
    options.steps = {{{}, 200}};
    options.cookies = true;
    options.paths = {{"/", 1, std::move(header)}};
    return options;
  }
  /// Loads it until one came back with cookies.
  std::string first_kept(const LoadOptions& options) {
    const auto load = LoadGenerator::start(options, [](const LoadSample&) {});
    const auto deadline = std::chrono::steady_clock::now() + 60s;
    while (std::chrono::steady_clock::now() < deadline) {
      for (const std::string& cookies : came()) {
        if (cookies.find("id=") != std::string::npos) return cookies;
      }
      std::this_thread::sleep_for(5ms);
    }
    return "";
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> came_;
  Result<std::unique_ptr<net::Server>> server_;
};

TEST(LoadGenerator, AUserComesBackWithTheCookiesThatAnswersSet) {
  CookieServer server;
  const std::string kept = server.first_kept(server.load("X-Group:beta"));
  EXPECT_EQ(kept.substr(0, 3), "id=");
  EXPECT_NE(kept.find("; other=a=b"), std::string::npos) << kept;
  EXPECT_EQ(kept.find("nonsense"), std::string::npos);
  EXPECT_EQ(server.came().front(), "");
}

TEST(LoadGenerator, AnOwnCookieAndThoseThatAreKeptAreOneField) {
  CookieServer server;
  const std::string kept = server.first_kept(server.load("cookie:group=beta"));
  EXPECT_EQ(kept.substr(0, 15), "group=beta; id=");
}

TEST(LoadGenerator, WithoutAJarNothingIsKept) {
  CookieServer server;
  LoadOptions options = server.load("");
  options.cookies = false;
  options.max_requests = 50;
  run(options);
  const std::vector<std::string> came = server.came();
  EXPECT_EQ(std::set<std::string>(came.begin(), came.end()), std::set<std::string>{""});
  options.cookies = true;
  options.users = kMaxLoadUsers + 1;
  EXPECT_FALSE(LoadGenerator::start(options, [](const LoadSample&) {}));
}

TEST(LoadGenerator, NobodyThereIsAnAnswerToo) {
  int port = 0;
  {
    const auto server = net::Server::listen(
        "127.0.0.1", 0, [](const net::Request&) { return net::text_response(200, ""); });
    port = (*server)->port();
  }
  for (const LoadSample& sample : run(to(port, 20))) EXPECT_EQ(sample.status, 0);
}

TEST(LoadGenerator, FollowsTheStepsOfItsRate) {
  const auto server = net::Server::listen(
      "127.0.0.1", 0, [](const net::Request&) { return net::text_response(200, ""); });
  ASSERT_TRUE(server);
  LoadOptions options = to((*server)->port(), 60);
  options.poisson = false;
  options.steps = {{0ms, 100}, {100ms, 0}, {300ms, 500}};  // 10 requests, none, then 50
  std::vector<LoadSample> samples = run(options);
  ASSERT_EQ(samples.size(), 60u);
  std::sort(samples.begin(), samples.end(), [](auto& a, auto& b) { return a.due < b.due; });
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const double want_ms =
        i < 9 ? 10.0 * static_cast<double>(i + 1) : 300 + 2.0 * static_cast<double>(i - 9);
    EXPECT_NEAR(to_seconds(samples[i].due) * 1000, want_ms, 2.1) << i;
  }
}

TEST(LoadGenerator, RefusesOtherMachinesAndTooMuch) {
  LoadOptions options;
  options.host = "192.0.2.1";
  EXPECT_FALSE(LoadGenerator::start(options, {}));
  options.host = "not an address";
  EXPECT_FALSE(LoadGenerator::start(options, {}));
  options.host = "127.0.0.1";
  options.steps = {{{}, kMaxLoadPerS + 1}};
  EXPECT_FALSE(LoadGenerator::start(options, {}));
  options.steps = {{{}, 1}};
  options.max_requests = kMaxLoadRequests + 1;
  EXPECT_FALSE(LoadGenerator::start(options, {}));
}

}  // namespace
}  // namespace coalmine::lab
