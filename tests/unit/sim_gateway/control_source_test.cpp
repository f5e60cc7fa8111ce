#include "sim/gateway/control_source.h"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>

#include "sim/gateway/timer_wheel.h"
#include "sim/net/http.h"
#include "tests/unit/sim_gateway/fixture.h"

namespace coalmine::gateway::test {
namespace {

// A control plane that does not know the gateway at first, then has a table, then a newer one.
class Control {
 public:
  Control() {
    auto server = net::Server::listen(
        "127.0.0.1", 0, [this](const net::Request& request) { return answer(request); });
    EXPECT_TRUE(server);
    server_ = std::move(*server);
  }
  std::string url() const { return fmt::format("http://127.0.0.1:{}", server_->port()); }

  void set(const traffic::Snapshot& table) {
    const std::lock_guard lock(mutex_);
    table_ = table;
  }
  std::vector<std::string> targets() {
    const std::lock_guard lock(mutex_);
    return targets_;
  }
  std::vector<std::string> reports() {
    const std::lock_guard lock(mutex_);
    return reports_;
  }

 private:
  net::Response answer(const net::Request& request) {
    const std::lock_guard lock(mutex_);
    if (request.method == "POST") {
      reports_.push_back(request.body);
      return net::json_response(200, "{}");
    }
    if (targets_.size() < 1000) targets_.push_back(request.target);
    if (!table_) return net::json_response(404, R"({"message":"no such gateway"})");
    const bool newer =
        request.target.find(fmt::format("after={}", table_->version)) == std::string::npos;
    if (!newer) {
      net::Response none;
      none.status = 204;
      return none;
    }
    return net::json_response(200, dump_json(to_json(*table_)));
  }

  std::mutex mutex_;
  traffic::Snapshot table_;
  std::vector<std::string> targets_;
  std::vector<std::string> reports_;
  std::unique_ptr<net::Server> server_;
};

TEST(ControlSource, FollowsTheControlPlaneAndReportsBack) {
  Upstream upstream(echo("v1"));
  Control control;
  const auto gateway = start_gateway(nullptr);
  const auto source = ControlSource::start(*gateway, {control.url(), "mesh/gw", "", "1/eu-west-1"});
  ASSERT_TRUE(source) << source.error().message;
  ASSERT_TRUE(eventually([&] { return control.targets().size() >= 2; })) << "asks again after 404";
  EXPECT_EQ(control.targets()[0],
            "/_coalmine/routes?virtual-gateway=mesh%2Fgw&scope=1%2Feu-west-1&after=0");
  EXPECT_EQ(gateway->table(), nullptr);
  control.set(table_of({{"v1", 1, {upstream.port()}}}, 5));
  ASSERT_TRUE(eventually([&] { return gateway->table() != nullptr; }));
  EXPECT_EQ(ask(port_of(*gateway), kGet).status, 200);
  ASSERT_TRUE(eventually([&] { return !control.reports().empty(); }));
  const auto report = parse_json(control.reports()[0]);
  ASSERT_TRUE(report);
  EXPECT_EQ((*report)["source"]["virtual-gateway"], "mesh/gw");
  EXPECT_EQ((*report)["targets"][0]["requests"], 1);
  EXPECT_EQ((*report)["targets"][0]["codes"]["2xx"], 1);
  control.set(table_of({{"v1", 3, {upstream.port()}}}, 6));
  EXPECT_TRUE(eventually([&] { return gateway->table()->version == 6; }));
  (*source)->stop();
}

TEST(ControlSource, KeepsTheTableWhenTheControlPlaneGoesAway) {
  auto control = std::make_unique<Control>();
  control->set(table_of({{"v1", 1, {1}}}, 5));
  const auto gateway = start_gateway(nullptr);
  const auto source = ControlSource::start(*gateway, {control->url(), "", "lb", "1/eu-west-1"});
  ASSERT_TRUE(source);
  ASSERT_TRUE(eventually([&] { return gateway->table() != nullptr; }));
  control.reset();
  EXPECT_EQ(ask(port_of(*gateway), kGet).status, 503);
  (*source)->stop();
  EXPECT_EQ(gateway->table()->version, 5U);
}

// As the virtual world's ledger has it: HTTPCode_ELB_5XX is no HTTPCode_Target_5XX.
TEST(MetricsReport, TellsOurOwnAnswersFromThoseOfInstances) {
  Upstream v1(echo("v1"));
  Upstream breaks([](Socket& socket) { read_request(socket); });
  Upstream hangs([](Socket& socket) {
    read_request(socket);
    socket.read_all();
  });
  const auto route = [](const std::string& name, Json instances, Json more = Json::object()) {
    more["name"] = name;
    more["match"] = {{"prefix", "/" + name}};
    more["targets"] = {{{"name", name}, {"instances", std::move(instances)}}};
    return more;
  };
  const auto at = [](int port) { return Json{fmt::format("127.0.0.1:{}", port)}; };
  const Json routes = {route("gone", Json::array()), route("breaks", at(breaks.port())),
                       route("refuses", at(1)),
                       route("hangs", at(hangs.port()), {{"timeouts", {{"request", "50ms"}}}}),
                       route("v1", at(v1.port()))};
  const auto gateway = start_gateway(table_of({{"v1", 1, {v1.port()}}}, 1, Json::object(),
                                              {{"dialect", "alb"}, {"routes", routes}}));
  const auto status = [port = port_of(*gateway)](const char* path) {
    return ask(port, fmt::format("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", path)).status;
  };
  EXPECT_EQ(status("v1"), 200);
  EXPECT_EQ(status("gone"), 503);
  EXPECT_EQ(status("gone"), 503);
  EXPECT_EQ(status("breaks"), 502);
  EXPECT_EQ(status("refuses"), 502);
  EXPECT_EQ(status("hangs"), 504);
  const auto reported = [&](const ControlOptions& options) {
    Json out = Json::object();
    const Json report = *parse_json(metrics_report({}, gateway->stats(), options, 0), "report");
    for (const Json& target : report["targets"]) {
      out[target["target"].get<std::string>()] = {target["requests"], target["codes"],
                                                  target["local_codes"], target["connect_failures"],
                                                  target["latency_us"]["buckets"].size()};
    }
    return out;
  };
  const Json none = Json::object();
  Json want = {{"v1", {1, {{"2xx", 1}}, none, 0, 1}},
               {"gone", {0, none, {{"503", 2}}, 0, 0}},
               {"breaks", {1, none, {{"502", 1}}, 0, 0}},
               {"refuses", {1, none, {{"502", 1}}, 1, 0}},
               {"hangs", {1, none, {{"504", 1}}, 0, 0}}};
  EXPECT_EQ(reported({"", "", "web", "1/eu-west-1"}), want);
  want["gone"][0] = 2;
  EXPECT_EQ(reported({"", "m/g", "", "1/eu-west-1"}), want) << "Envoy counts them to the cluster";
}

TEST(ControlSource, WantsOneNameAndAUrl) {
  const auto gateway = start_gateway(nullptr);
  EXPECT_FALSE(ControlSource::start(*gateway, {"http://127.0.0.1:1", "", "", "s"}));
  EXPECT_FALSE(ControlSource::start(*gateway, {"http://127.0.0.1:1", "a/b", "c", "s"}));
  EXPECT_FALSE(ControlSource::start(*gateway, {"ftp://x", "a/b", "", "s"}));
}

TEST(TimerWheel, FiresOnceAtOrAfterTheDeadlineAndFollowsMoves) {
  constexpr std::int64_t kMs = 1'000'000;
  TimerWheel wheel;
  TimerNode a, b, c, d;
  std::int64_t now = 50'000'000 * kMs;
  std::vector<TimerNode*> fired;
  const auto advance = [&](std::int64_t to) {
    now = to;
    wheel.advance(now, [&](TimerNode& node) { fired.push_back(&node); });
  };
  advance(now);
  const std::int64_t start = now;
  wheel.set(a, start + 100 * kMs, now);
  wheel.set(b, start + 100'000 * kMs, now);  // beyond the horizon
  wheel.set(c, start + 60'000 * kMs, now);
  wheel.set(c, start + 50 * kMs, now);  // moved forward
  wheel.set(d, start + 50 * kMs, now);
  wheel.set(d, start + 5'000 * kMs, now);  // moved back
  EXPECT_LE(wheel.wait_ms(now), 66);
  advance(start + 49 * kMs);
  EXPECT_TRUE(fired.empty());
  advance(start + 66 * kMs);
  EXPECT_EQ(fired, std::vector<TimerNode*>{&c});
  advance(start + 120 * kMs);
  EXPECT_EQ(fired, (std::vector<TimerNode*>{&c, &a}));
  for (std::int64_t ms = 200; ms <= 99'900; ms += 100) advance(start + ms * kMs);
  EXPECT_EQ(fired, (std::vector<TimerNode*>{&c, &a, &d}));
  for (std::int64_t ms = 99'950; ms <= 100'050; ms += 10) advance(start + ms * kMs);
  EXPECT_EQ(fired, (std::vector<TimerNode*>{&c, &a, &d, &b}));
  EXPECT_EQ(wheel.wait_ms(now), -1);
}

}  // namespace
}  // namespace coalmine::gateway::test
