#include "mock-aws/server/control.h"

#include <gtest/gtest.h>

#include "tests/unit/mock_server/small_backend.h"

namespace coalmine::mock {
namespace {

using std::chrono::seconds;

class ControlTest : public testing::Test {
 protected:
  explicit ControlTest(bool running = false) {
    ControlOptions options;
    if (running) options.now = [this] { return real; };
    auto backend = std::make_unique<test::SmallBackend>(events);
    small = backend.get();
    options.sleep = [this](Duration delay) { slept += delay; };
    control = std::make_unique<Control>(std::move(options), std::move(backend), events);
  }

  net::Response ask(std::string method, std::string target, std::string body = "",
                    net::Headers headers = {{"Host", "127.0.0.1:4566"}}) {
    net::Request request;
    request.method = std::move(method);
    request.target = std::move(target);
    request.body = std::move(body);
    request.headers = std::move(headers);
    return control->handle(request);
  }
  net::Response call(const char* operation, std::string body = "") {
    return ask("POST", "/", std::move(body), {{"Host", "x"}, {"X-Operation", operation}});
  }

  EventHub events;
  Duration slept{};
  TimePoint real = kVirtualEpoch;
  test::SmallBackend* small = nullptr;
  std::unique_ptr<Control> control;
};

TEST_F(ControlTest, AwsCallsReachTheBackendUnderAnyName) {
  EXPECT_EQ(call("Count").body, "1");
  EXPECT_EQ(ask("GET", "/v20190125/meshes", "", {{"Host", "appmesh.us-east-1.amazonaws.com"}}).body,
            "2");
  EXPECT_EQ(ask("GET", "/", "", {{"Host", "x"}, {"Authorization", "AWS4…"}}).body, "3");
  EXPECT_EQ(ask("GET", "/?Action=DescribeRules", "", {{"Host", "x"}}).body, "4");
}

TEST_F(ControlTest, HealthStateAndReset) {
  call("Count");
  EXPECT_EQ(ask("GET", "/_coalmine/health").body,
            "{\"clock\":\"manual\",\"status\":\"ok\",\"time\":\"2026-01-01T00:00:00.000Z\","
            "\"version\":\"" COALMINE_VERSION "\"}\n");
  EXPECT_EQ(ask("HEAD", "/_coalmine/health").status, 200);
  EXPECT_EQ(ask("GET", "/_coalmine/state").body,
            "{\"faults\":[],\"state\":{\"calls\":1},\"time\":\"2026-01-01T00:00:00.000Z\"}\n");
  EXPECT_EQ(ask("POST", "/_coalmine/reset").status, 200);
  EXPECT_NE(ask("GET", "/_coalmine/state").body.find("\"calls\":0"), std::string::npos);
}

TEST_F(ControlTest, UnknownEndpointsAndMethodsSayWhatThereIs) {
  const auto missing = ask("GET", "/_coalmine/helth");
  EXPECT_EQ(missing.status, 404);
  EXPECT_NE(missing.body.find("GET /_coalmine/health"), std::string::npos) << missing.body;
  const auto wrong = ask("GET", "/_coalmine/reset");
  EXPECT_EQ(wrong.status, 405);
  EXPECT_EQ(wrong.headers.get("Allow"), "POST");
  EXPECT_EQ(ask("PUT", "/_coalmine/faults").headers.get("Allow"), "GET, POST, DELETE");
}

TEST_F(ControlTest, ControlEndpointsAnswerOnlyToTheirNames) {
  const auto refused = ask("POST", "/_coalmine/reset", "", {{"Host", "evil.example"}});
  EXPECT_EQ(refused.status, 403);
  EXPECT_NE(refused.body.find("evil.example"), std::string::npos);
  EXPECT_EQ(ask("GET", "/", "", {{"Host", "evil.example"}}).status, 403);
  EXPECT_EQ(ask("POST", "/_coalmine/reset", "",
                {{"Host", "localhost"}, {"Origin", "http://evil.example"}})
                .status,
            403);
  EXPECT_EQ(ask("POST", "/_coalmine/reset", "", {{"Host", "data-localhost:1"}}).status, 200);
}

TEST_F(ControlTest, ABrowserSeesAPage) {
  const auto text = ask("GET", "/");
  EXPECT_EQ(text.headers.get("Content-Type"), "text/plain");
  EXPECT_NE(text.body.find("AWS_ENDPOINT_URL=http://127.0.0.1:4566"), std::string::npos);
  EXPECT_NE(text.body.find("/_coalmine/events"), std::string::npos);
  const auto page = ask("GET", "/", "", {{"Host", "localhost"}, {"Accept", "text/html,*/*"}});
  EXPECT_EQ(page.headers.get("Content-Type"), "text/html; charset=utf-8");
  EXPECT_EQ(page.body.substr(0, 15), "<!doctype html>");
}

TEST_F(ControlTest, AManualClockMovesFromDueMomentToDueMoment) {
  call("Timer", "60");
  const auto moved = ask("POST", "/_coalmine/clock", R"({"advance":"150s"})");
  EXPECT_EQ(moved.body, "{\"time\":\"2026-01-01T00:02:30.000Z\"}\n");
  const std::vector<TimePoint> want = {kVirtualEpoch + seconds{60}, kVirtualEpoch + seconds{120},
                                       kVirtualEpoch + seconds{150}};
  EXPECT_EQ(small->ticks(), want);
  EXPECT_EQ(ask("GET", "/_coalmine/clock").body,
            "{\"clock\":\"manual\",\"epoch_s\":1767225750.0,\"speed\":0.0,"
            "\"time\":\"2026-01-01T00:02:30.000Z\"}\n");
}

TEST_F(ControlTest, ABackendThatIsAlwaysDueDoesNotStopTheClock) {
  call("Timer", "0");
  EXPECT_EQ(ask("POST", "/_coalmine/clock", R"({"advance":"1s"})").status, 200);
  EXPECT_EQ(control->now(), kVirtualEpoch + seconds{1});
}

TEST_F(ControlTest, BadClockRequestsChangeNothing) {
  for (const char* body : {"", "{}", R"({"advance":"10"})", R"({"advance":"-1s"})",
                           R"({"advance":"367d"})", R"({"advance":10})", "["}) {
    EXPECT_EQ(ask("POST", "/_coalmine/clock", body).status, 400) << body;
  }
  EXPECT_EQ(control->now(), kVirtualEpoch);
}

TEST_F(ControlTest, FaultsAreInjectedAndTakenBack) {
  EXPECT_EQ(ask("POST", "/_coalmine/faults",
                R"([{"operation":"Count","action":"delay","delay":"2s"},
                    {"operation":"Count","action":"error","code":"X","status":503,"nth":1},
                    {"operation":"Count","action":"drop","nth":2}])")
                .status,
            200);
  const auto refused = call("Count");
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.body, "X");
  EXPECT_EQ(call("Count").misbehaviour, net::Misbehaviour::Reset);
  EXPECT_EQ(call("Count").body, "1");  // neither of the others reached the backend
  EXPECT_EQ(slept, seconds{6});
  EXPECT_NE(ask("GET", "/_coalmine/faults").body.find("\"calls\":3"), std::string::npos);
  EXPECT_EQ(ask("DELETE", "/_coalmine/faults").body, "{\"faults\":[]}\n");
  EXPECT_EQ(call("Count").body, "2");
  EXPECT_EQ(slept, seconds{6});
  EXPECT_EQ(ask("POST", "/_coalmine/faults", R"({"action":"explode"})").status, 400);
  EXPECT_EQ(ask("POST", "/_coalmine/faults", "x").status, 400);
}

TEST_F(ControlTest, EventsCanBeReadAgain) {
  call("Count");
  call("Count");
  ask("POST", "/_coalmine/reset");
  EXPECT_EQ(ask("GET", "/_coalmine/events?follow=false&since=1").body,
            "[{\"time\":\"2026-01-01T00:00:00.000Z\",\"event\":\"call.counted\",\"calls\":2},\n"
            "{\"time\":\"2026-01-01T00:00:00.000Z\",\"event\":\"mock.reset\"}]\n");
  EXPECT_EQ(ask("GET", "/_coalmine/events?since=x").status, 400);
}

TEST_F(ControlTest, FurtherEndpointsCanBeAdded) {
  control->add_endpoint("/_coalmine/routes", [](const net::Request& request) {
    return net::text_response(200, std::string(request.query()));
  });
  EXPECT_EQ(ask("GET", "/_coalmine/routes?version=3").body, "version=3");
  EXPECT_EQ(ask("GET", "/_coalmine/routes", "", {{"Host", "evil.example"}}).status, 403);
  EXPECT_NE(ask("GET", "/_coalmine/x").body.find("/_coalmine/routes"), std::string::npos);
}

class RunningClockTest : public ControlTest {
 protected:
  RunningClockTest() : ControlTest(true) {}
};

TEST_F(RunningClockTest, TicksWhatIsDueBeforeACall) {
  call("Timer", "10");
  call("Count");
  EXPECT_TRUE(small->ticks().empty());
  real += seconds{11};
  call("Count");
  EXPECT_EQ(small->ticks().size(), 1u);
  EXPECT_FALSE(control->tick().was_due);
  real += seconds{30};
  EXPECT_TRUE(control->tick().was_due);
  real -= seconds{20};  // a clock that falls is not followed
  EXPECT_EQ(control->now(), kVirtualEpoch + seconds{41});
}

TEST_F(RunningClockTest, CannotBeMovedByHand) {
  const auto refused = ask("POST", "/_coalmine/clock", R"({"advance":"10m"})");
  EXPECT_EQ(refused.status, 409);
  EXPECT_NE(refused.body.find("--clock manual"), std::string::npos);
}

TEST(EventHub, KeepsTheLatestAndSaysWhatIsLost) {
  EventHub hub;
  for (std::size_t i = 0; i < kMaxEvents + 5; ++i) hub.event(kVirtualEpoch, "e", {{"i", i}});
  EXPECT_EQ(hub.last_id(), kMaxEvents + 5);
  const auto all = hub.read(0);
  EXPECT_EQ(all.lost, 5u);
  EXPECT_EQ(all.events.size(), kMaxEvents);
  EXPECT_EQ(all.events.front().id, 6u);
  EXPECT_EQ(hub.read(kMaxEvents + 4).events.front().json,
            fmt::format("{{\"time\":\"2026-01-01T00:00:00.000Z\",\"event\":\"e\",\"i\":{}}}",
                        kMaxEvents + 4));
  EXPECT_TRUE(hub.read(kMaxEvents + 5).events.empty());
  EXPECT_TRUE(hub.read(~std::uint64_t{0}).events.empty());
  EXPECT_EQ(hub.read(3, 2).events.size(), 2u);
  EXPECT_EQ(to_sse({7, "{}"}), "id: 7\ndata: {}\n\n");
}

}  // namespace
}  // namespace coalmine::mock
