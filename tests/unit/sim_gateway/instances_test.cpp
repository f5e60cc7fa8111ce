// Which instance an attempt goes to, and when none may: ejections, limits, retry budgets.
#include <gtest/gtest.h>

#include "sim/gateway/admin.h"
#include "tests/unit/sim_gateway/fixture.h"

namespace coalmine::gateway::test {
namespace {

using std::chrono::milliseconds;

/// A table with one target v1; `policies` are further members of the target.
traffic::Snapshot table_with(const std::vector<int>& ports, const Json& policies,
                             std::uint64_t version = 1, const Json& route = Json::object()) {
  Json target = {{"name", "v1"}};
  for (const int port : ports) target["instances"].push_back(fmt::format("127.0.0.1:{}", port));
  target.update(policies);
  Json more = {{"targets", {target}}};
  more.update(route);
  return table_of({{"v1", 1, ports}}, version, more);
}

/// Answers with the status that it is told to, and counts.
class Task {
 public:
  explicit Task(int first_status = 200) : status(first_status), upstream_(serve()) {}
  int port() const { return upstream_.port(); }
  std::string address() const { return fmt::format("127.0.0.1:{}", port()); }
  std::atomic<int> status;
  std::atomic<int> asked{0};

 private:
  Upstream::Serve serve() {
    return [this](Socket& socket) {
      while (!read_request(socket).empty()) {
        ++asked;
        socket.write(fmt::format("HTTP/1.1 {} X\r\nContent-Length: 0\r\n\r\n", status.load()));
      }
    };
  }
  Upstream upstream_;
};

InstanceStats stats_of(Gateway& gateway, const Task& task) {
  for (const auto& [key, stats] : gateway.stats().instances) {
    if (key.address == task.address()) return stats;
  }
  return {};
}

void ask_times(Gateway& gateway, int times) {
  Socket socket = Socket::connect_to(port_of(gateway));
  for (int i = 0; i < times; ++i) {
    socket.write(kGet);
    read_answer(socket);
  }
}

std::string clusters(Gateway& gateway) {
  net::Request request;
  request.target = "/clusters";
  return admin_response(gateway, request).body;
}

const Json kEjectAtThree = {{"outlier",
                             {{"consecutive_errors", 3},
                              {"interval", "50ms"},
                              {"base_ejection", "1h"},
                              {"max_ejection_percent", 100}}}};

// --- outlier detection -------------------------------------------------------------------------

TEST(Instances, BadAnswersInARowEjectATask) {  // Envoy, outlier: consecutive_5xx
  Task good, bad(500);
  const auto gateway = start_gateway(table_with({good.port(), bad.port()}, kEjectAtThree));
  ask_times(*gateway, 20);
  EXPECT_EQ(bad.asked, 3);
  EXPECT_EQ(good.asked, 17);
  const InstanceStats stats = stats_of(*gateway, bad);
  EXPECT_EQ(stats.ejections, 1U);
  EXPECT_EQ(stats.codes[5], 3U);
  EXPECT_NE(
      clusters(*gateway).find("v1::" + bad.address() + "::health_flags::/failed_outlier_check\n"),
      std::string::npos);
  EXPECT_NE(clusters(*gateway).find("v1::" + good.address() + "::health_flags::healthy\n"),
            std::string::npos);
  const std::string text = stats_text(gateway->stats());
  for (const char* line : {"cluster.v1.membership_total: 2\n", "cluster.v1.membership_healthy: 1\n",
                           "cluster.v1.outlier_detection.ejections_active: 1\n",
                           "cluster.v1.outlier_detection.ejections_enforced_total: 1\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line;
  }
}

TEST(Instances, OfTheGatewaysKindOfErrorsFewerAreEnough) {  // Envoy: consecutive_gateway_failure
  Task good, bad(500), unavailable(503);
  Json policies = kEjectAtThree;
  policies["outlier"]["consecutive_gateway_errors"] = 2;
  policies["panic_percent"] = 0;  // one of three is left
  const auto gateway =
      start_gateway(table_with({good.port(), bad.port(), unavailable.port()}, policies));
  ask_times(*gateway, 30);
  EXPECT_EQ(bad.asked, 3);
  EXPECT_EQ(unavailable.asked, 2);
}

TEST(Instances, ATaskThatSucceedsLessOftenThanTheOthersIsEjected) {  // Envoy: success_rate
  std::list<Task> tasks(5);
  std::vector<int> ports;
  for (const Task& task : tasks) ports.push_back(task.port());
  Task& bad = tasks.back();
  bad.status = 500;
  const Json policies = {{"outlier",
                          {{"consecutive_errors", 0},
                           {"interval", "50ms"},
                           {"base_ejection", "1h"},
                           {"success_rate", {{"request_volume", 2}}}}}};
  const auto gateway = start_gateway(table_with(ports, policies));
  ASSERT_TRUE(eventually([&] {
    ask_times(*gateway, 20);
    return stats_of(*gateway, bad).ejections == 1;
  }));
  const int before = bad.asked;
  ask_times(*gateway, 20);
  EXPECT_EQ(bad.asked, before);
}

TEST(Instances, AGoodAnswerInBetweenKeepsATaskIn) {
  Task good, bad(500);
  const auto gateway = start_gateway(table_with({good.port(), bad.port()}, kEjectAtThree));
  for (int i = 0; i < 4; ++i) {
    bad.status = 500;
    ask_times(*gateway, 4);
    bad.status = 404;
    ask_times(*gateway, 2);
  }
  EXPECT_EQ(bad.asked, 12);
  EXPECT_EQ(stats_of(*gateway, bad).ejections, 0U);
}

TEST(Instances, NoAnswerIsABadOne) {  // Envoy: local origin failures count as 5xx
  Task good;
  Upstream closes([](Socket& socket) { read_request(socket); });
  const auto gateway = start_gateway(table_with({good.port(), closes.port(), 1}, [] {
    Json policies = kEjectAtThree;
    policies["panic_percent"] = 0;
    return policies;
  }()));
  ask_times(*gateway, 30);
  EXPECT_EQ(closes.connections(), 3);
  const GatewayStats stats = gateway->stats();
  const InstanceStats& refused = stats.instances.at({"v1", "127.0.0.1:1", "127.0.0.1:1"});
  EXPECT_EQ(refused.attempts, 3U);
  EXPECT_EQ(refused.connect_failures, 3U);
  EXPECT_EQ(refused.codes[0], 3U);
  EXPECT_EQ(good.asked, 24);
}

TEST(Instances, AnEjectionOutlivesTableUpdates) {
  Task good, bad(500);
  const auto gateway = start_gateway(table_with({good.port(), bad.port()}, kEjectAtThree));
  ask_times(*gateway, 6);
  ASSERT_TRUE(gateway->update(table_with({bad.port(), good.port()}, kEjectAtThree, 2)));
  EXPECT_TRUE(stats_of(*gateway, bad).ejected);
  ask_times(*gateway, 4);
  EXPECT_EQ(bad.asked, 3);
}

TEST(Instances, AnEjectionEndsInTime) {
  Task good, bad(500);
  Json policies = kEjectAtThree;
  policies["outlier"]["base_ejection"] = "200ms";
  const auto gateway = start_gateway(table_with({good.port(), bad.port()}, policies));
  ask_times(*gateway, 6);
  EXPECT_EQ(stats_of(*gateway, bad).ejections, 1U);
  bad.status = 200;
  ASSERT_TRUE(eventually([&] { return !stats_of(*gateway, bad).ejected; }));
  const int before = bad.asked;
  ask_times(*gateway, 2);
  EXPECT_EQ(bad.asked, before + 1);
}

TEST(Instances, TooFewLeftIsPanic) {  // Envoy: healthy < 50% of the hosts -> all of them
  Task one(500), two(500), three;
  const auto gateway =
      start_gateway(table_with({one.port(), two.port(), three.port()}, kEjectAtThree));
  ask_times(*gateway, 9);
  EXPECT_TRUE(stats_of(*gateway, one).ejected && stats_of(*gateway, two).ejected);
  const int before = three.asked;
  ask_times(*gateway, 9);
  EXPECT_EQ(three.asked, before + 3) << "a third again, not all";
}

TEST(Instances, WithoutPanicNobodyLeftIs503) {  // Envoy: healthy_panic_threshold 0 -> UH
  Task bad(500);
  Json policies = kEjectAtThree;
  policies["panic_percent"] = 0;
  const auto gateway = start_gateway(table_with({bad.port()}, policies));
  ask_times(*gateway, 3);
  const Answer answer = ask(port_of(*gateway), kGet);
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.body, "no healthy upstream");
  EXPECT_EQ(answer.field("x-coalmine-reason"),
            "target v1: all of its 1 instances are ejected, sick or gone");
  EXPECT_EQ(gateway->stats().local_replies.at("UH"), 1U);
  EXPECT_EQ(bad.asked, 3);
}

TEST(Instances, AnAlbUsesAllWhenNoneIsHealthy) {  // ALB: fail open
  Task sick, well;
  const auto table = [&](bool healthy, std::uint64_t version) {
    const Json list = {
        {{"id", "a"}, {"address", "127.0.0.1"}, {"port", sick.port()}, {"healthy", false}},
        {{"id", "b"}, {"address", "127.0.0.1"}, {"port", well.port()}, {"healthy", healthy}}};
    return table_with({}, {{"instances", list}}, version, {{"empty", "fail-open"}});
  };
  const auto gateway = start_gateway(table(true, 1));
  ask_times(*gateway, 4);
  EXPECT_EQ(sick.asked, 0);
  ASSERT_TRUE(gateway->update(table(false, 2)));
  ask_times(*gateway, 4);
  EXPECT_EQ(sick.asked, 2);
  EXPECT_NE(clusters(*gateway).find("::health_flags::/failed_eds_health\n"), std::string::npos);
}

TEST(Instances, ATargetBehindTwoRoutesIsEjectedOnce) {
  Task good, bad(500);
  Json target = {{"name", "v1"}, {"instances", {good.address(), bad.address()}}};
  target.update(kEjectAtThree);
  const Json routes = {{{"name", "a"}, {"match", {{"prefix", "/a"}}}, {"targets", {target}}},
                       {{"name", "b"}, {"targets", {target}}}};
  const auto gateway =
      start_gateway(table_of({{"v1", 1, {1}}}, 1, Json::object(), {{"routes", routes}}));
  Socket socket = Socket::connect_to(port_of(*gateway));
  for (int i = 0; i < 20; ++i) {
    socket.write(i % 4 < 2 ? "GET /a HTTP/1.1\r\nHost: x\r\n\r\n" : kGet);
    read_answer(socket);
  }
  EXPECT_EQ(bad.asked, 3);
}

// --- health checks -----------------------------------------------------------------------------

/// Answers health checks, at /ping, with a status of their own.
class Checked {
 public:
  explicit Checked(int first_health) : health(first_health), upstream_(serve()) {}
  int port() const { return upstream_.port(); }
  std::string address() const { return fmt::format("127.0.0.1:{}", port()); }
  std::atomic<int> health;
  std::atomic<int> asked{0};
  std::atomic<int> checked{0};

 private:
  Upstream::Serve serve() {
    return [this](Socket& socket) {
      for (std::string request = read_request(socket); !request.empty();
           request = read_request(socket)) {
        const bool check = request.starts_with("GET /ping HTTP/1.1\r\n");
        ++(check ? checked : asked);
        socket.write(
            fmt::format("HTTP/1.1 {} X\r\nContent-Length: 0\r\n\r\n", check ? health.load() : 200));
      }
    };
  }
  Upstream upstream_;
};

Json check_policy(const char* protocol = "http") {
  return {{"health_check",
           {{"protocol", protocol},
            {"path", "/ping"},
            {"interval", "20ms"},
            {"timeout", "10s"},
            {"healthy_threshold", 2},
            {"unhealthy_threshold", 2}}}};
}

bool in_by_checks(Gateway& gateway, const std::string& address) {
  return !gateway.stats().instances.at({"v1", address, address}).check_failed;
}

TEST(Instances, ActiveChecksTakeTasksOutAndBackIn) {
  Checked one(200), two(404);
  const auto gateway = start_gateway(table_with({one.port(), two.port()}, check_policy()));
  ASSERT_TRUE(eventually([&] { return in_by_checks(*gateway, one.address()); }));
  ask_times(*gateway, 4);
  EXPECT_EQ(two.asked, 0) << "204, 404 or anything but 200 is no pass";
  EXPECT_NE(clusters(*gateway).find("v1::" + two.address() + "::health_flags::/failed_active_hc\n"),
            std::string::npos);
  two.health = 200;
  ASSERT_TRUE(eventually([&] { return in_by_checks(*gateway, two.address()); }));
  ask_times(*gateway, 4);
  EXPECT_EQ(two.asked, 2);
  one.health = 500;
  ASSERT_TRUE(eventually([&] { return !in_by_checks(*gateway, one.address()); }));
  const int before = one.asked;
  ask_times(*gateway, 4);
  EXPECT_EQ(one.asked, before);
}

TEST(Instances, UntilTheFirstRequestChecksHaveAPaceOfTheirOwn) {  // Envoy: no_traffic_interval
  Checked used(200), never_used(200);
  const auto target = [](const char* name, int weight, const Checked& task) {
    Json out = check_policy();
    out["health_check"]["interval"] = "1h";
    out["health_check"]["no_traffic_interval"] = "20ms";
    out.update({{"name", name}, {"weight", weight}, {"instances", {task.address()}}});
    return out;
  };
  const auto gateway = start_gateway(table_of(
      {{"v1", 1, {1}}}, 1, {{"targets", {target("v1", 1, used), target("v2", 0, never_used)}}}));
  const auto checks = [&](const char* name, const Checked& task) {
    return gateway->stats().instances.at({name, task.address(), task.address()}).checks;
  };
  ASSERT_TRUE(eventually([&] { return checks("v1", used) >= 3; }));
  ask_times(*gateway, 1);
  const auto asked = checks("v1", used);
  const auto others = checks("v2", never_used);
  ASSERT_TRUE(eventually([&] { return checks("v2", never_used) >= others + 5; }));
  EXPECT_LE(checks("v1", used), asked + 1) << "the one that was due, then none for an hour";
}

TEST(Instances, ATaskThatIsCheckedByConnectingNeedsOnlyListen) {
  Task task;
  const auto gateway = start_gateway(table_with({task.port(), 1}, check_policy("tcp")));
  ASSERT_TRUE(eventually([&] {
    return in_by_checks(*gateway, task.address()) &&
           gateway->stats().instances.at({"v1", "127.0.0.1:1", "127.0.0.1:1"}).check_failures > 0;
  }));
  ask_times(*gateway, 6);
  EXPECT_EQ(task.asked, 6);
}

TEST(Instances, ACheckWithoutAnAnswerFails) {
  Checked good(200);
  Upstream silent([](Socket& socket) { socket.read_all(); });
  Json policies = check_policy();
  policies["health_check"]["timeout"] = "50ms";
  const auto gateway = start_gateway(table_with({good.port(), silent.port()}, policies));
  const std::string address = fmt::format("127.0.0.1:{}", silent.port());
  ASSERT_TRUE(eventually([&] {
    return gateway->stats().instances.at({"v1", address, address}).check_failures >= 2 &&
           in_by_checks(*gateway, good.address());
  }));
  EXPECT_FALSE(in_by_checks(*gateway, address));
}

TEST(Instances, APassedCheckTakesAnEjectedTaskBack) {  // Envoy: a good active check un-ejects
  Task good, bad(500);
  Json policies = check_policy("tcp");
  policies.update(kEjectAtThree);
  const auto gateway = start_gateway(table_with({good.port(), bad.port()}, policies));
  ASSERT_TRUE(eventually([&] {
    ask_times(*gateway, 2);
    return stats_of(*gateway, bad).ejections >= 2;
  })) << "an hour's ejection ended at the next check";
}

TEST(Instances, ChecksEndWithTheTaskAndWithThePolicy) {
  Checked one(200), two(200);
  const auto gateway = start_gateway(table_with({one.port(), two.port()}, check_policy()));
  ASSERT_TRUE(eventually([&] { return one.checked > 2 && two.checked > 2; }));
  ASSERT_TRUE(gateway->update(table_with({two.port()}, check_policy(), 2)));
  ASSERT_TRUE(eventually([&] { return gateway->stats().version == 2; }));
  const int before = one.checked;
  const int still = two.checked;
  ASSERT_TRUE(eventually([&] { return two.checked > still + 3; }));
  EXPECT_LE(one.checked, before + 1) << "one may have been on its way";
  ASSERT_TRUE(gateway->update(table_with({two.port()}, Json::object(), 3)));
  ask_times(*gateway, 2);
  EXPECT_EQ(two.asked, 2);
}

// --- retries -----------------------------------------------------------------------------------

TEST(Instances, ARetryGoesToAnotherTaskWhateverOthersAsk) {
  Task good;
  const auto gateway =
      start_gateway(table_with({1, good.port()}, Json::object(), 1,
                               {{"retry", {{"on", {"connect-failure"}}, {"max_retries", 1}}}}));
  std::atomic<int> failed{0};
  std::vector<std::thread> clients;
  for (int c = 0; c < 4; ++c) {
    clients.emplace_back([&] {
      Socket socket = Socket::connect_to(port_of(*gateway));
      for (int i = 0; i < 30; ++i) {
        socket.write(kGet);
        if (read_answer(socket).status != 200) ++failed;
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(good.asked, 120);
}

// --- connection limits -------------------------------------------------------------------------

/// Holds every request until it is told to let them go.
class Gate {
 public:
  Gate() : upstream_([this](Socket& socket) { serve(socket); }) {}
  ~Gate() { open = true; }
  int port() const { return upstream_.port(); }
  int connections() const { return upstream_.connections(); }
  std::atomic<int> inside{0};
  std::atomic<bool> open{false};

 private:
  void serve(Socket& socket) {
    while (!read_request(socket).empty()) {
      ++inside;
      eventually([this] { return open.load(); });
      socket.write(ok("through"));
    }
  }
  Upstream upstream_;
};

std::uint64_t waiting(Gateway& gateway) {
  std::uint64_t out = 0;
  for (const auto& [key, stats] : gateway.stats().instances) out += stats.requests_waiting;
  return out;
}

TEST(Instances, RequestsBeyondTheConnectionsWaitAndBeyondThatOverflow) {
  Gate gate;
  const auto gateway = start_gateway(
      table_with({gate.port()}, {{"pool", {{"max_connections", 2}, {"max_pending", 1}}}}, 1,
                 {{"retry", {{"on", {"5xx"}}, {"max_retries", 3}}}}));
  std::list<Socket> served;
  for (std::uint64_t i = 0; i < 3; ++i) {
    served.push_back(Socket::connect_to(port_of(*gateway)));
    served.back().write(kGet);
    ASSERT_TRUE(eventually(
        [&] { return static_cast<std::uint64_t>(gate.inside) + waiting(*gateway) == i + 1; }));
  }
  EXPECT_EQ(waiting(*gateway), 1U);
  const Answer answer = ask(port_of(*gateway), kGet);
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.field("x-envoy-overloaded"), "true");
  EXPECT_EQ(answer.body,
            "upstream connect error or disconnect/reset before headers. reset reason: overflow");
  gate.open = true;
  for (Socket& socket : served) EXPECT_EQ(read_answer(socket).status, 200);
  EXPECT_EQ(gate.connections(), 2);
  const GatewayStats stats = gateway->stats();
  const TargetStats& target = stats.targets.at({":0", "r", "v1"});
  EXPECT_EQ(target.overflows, 1U);
  EXPECT_EQ(target.retries, 0U) << "an overflow is never retried";
  EXPECT_EQ(target.attempts, 3U);
  EXPECT_EQ(stats.local_replies.at("UO"), 1U);
}

TEST(Instances, WhoWaitsMayLeaveOrTimeOut) {
  Gate gate;
  const auto gateway = start_gateway(table_with({gate.port()}, {{"pool", {{"max_connections", 1}}}},
                                                1, {{"timeouts", {{"request", "500ms"}}}}));
  Socket first = Socket::connect_to(port_of(*gateway));
  first.write(kGet);
  ASSERT_TRUE(eventually([&] { return gate.inside == 1; }));
  Socket leaves = Socket::connect_to(port_of(*gateway));
  leaves.write(kGet);
  ASSERT_TRUE(eventually([&] { return waiting(*gateway) == 1; }));
  Socket late = Socket::connect_to(port_of(*gateway));
  late.write(kGet);
  ASSERT_TRUE(eventually([&] { return waiting(*gateway) == 2; }));
  leaves.abort();
  ASSERT_TRUE(eventually([&] { return waiting(*gateway) == 1; }));
  EXPECT_EQ(read_answer(late).status, 504);
  EXPECT_EQ(waiting(*gateway), 0U);
}

TEST(Instances, WhoWaitsForATaskThatGoesIsServedByAnother) {
  Gate gate;
  Task other;
  const Json pool = {{"pool", {{"max_connections", 1}}}};
  const auto gateway = start_gateway(table_with({gate.port()}, pool));
  Socket first = Socket::connect_to(port_of(*gateway));
  first.write(kGet);
  ASSERT_TRUE(eventually([&] { return gate.inside == 1; }));
  Socket second = Socket::connect_to(port_of(*gateway));
  second.write(kGet);
  ASSERT_TRUE(eventually([&] { return waiting(*gateway) == 1; }));
  ASSERT_TRUE(gateway->update(table_with({other.port()}, pool, 2)));
  EXPECT_EQ(read_answer(second).status, 200);
  EXPECT_EQ(other.asked, 1);
  gate.open = true;
  EXPECT_EQ(read_answer(first).body, "through");
}

TEST(Instances, WhoWaitsForATargetThatGoesIsStillServedByIt) {
  Gate gate;
  const auto gateway =
      start_gateway(table_with({gate.port()}, {{"pool", {{"max_connections", 1}}}}));
  Socket first = Socket::connect_to(port_of(*gateway));
  first.write(kGet);
  ASSERT_TRUE(eventually([&] { return gate.inside == 1; }));
  Socket second = Socket::connect_to(port_of(*gateway));
  second.write(kGet);
  ASSERT_TRUE(eventually([&] { return waiting(*gateway) == 1; }));
  ASSERT_TRUE(gateway->update(table_of({{"v2", 1, {1}}}, 2)));
  gate.open = true;
  EXPECT_EQ(read_answer(first).body, "through");
  EXPECT_EQ(read_answer(second).body, "through");
}

TEST(Instances, TooManyRetriesAtATimeAreNotMade) {  // Envoy, circuit breakers: max_retries
  Gate gate;
  std::atomic<int> asked{0};
  Upstream flaky([&](Socket& socket) {  // the first two fail, what comes again is held
    while (!read_request(socket).empty()) {
      if (asked++ == 1) {
        eventually([&] { return gate.open.load(); });
        socket.write(ok("again"));
      } else {
        socket.write("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n");
      }
    }
  });
  const auto gateway =
      start_gateway(table_with({flaky.port()}, {{"pool", {{"max_retries", 1}}}}, 1,
                               {{"retry", {{"on", {"503"}}, {"max_retries", 1}}}}));
  Socket first = Socket::connect_to(port_of(*gateway));
  first.write(kGet);
  ASSERT_TRUE(eventually([&] { return asked == 2; })) << "its retry is under way";
  EXPECT_EQ(ask(port_of(*gateway), kGet).status, 503) << "as the upstream said";
  const TargetStats stats = gateway->stats().targets.at({":0", "r", "v1"});
  EXPECT_EQ(stats.retry_overflows, 1U);
  EXPECT_EQ(stats.retries, 1U);
  gate.open = true;
  EXPECT_EQ(read_answer(first).body, "again");
}

// --- counts ------------------------------------------------------------------------------------

TEST(Instances, EveryAttemptIsCountedWithItsTask) {
  Task one, two(404);
  const auto gateway = start_gateway(table_with({one.port(), two.port()}, Json::object()), 2);
  ask_times(*gateway, 10);
  const InstanceStats a = stats_of(*gateway, one);
  const InstanceStats b = stats_of(*gateway, two);
  EXPECT_EQ(a.attempts, 5U);
  EXPECT_EQ(a.requests, 5U);
  EXPECT_EQ(a.codes[2], 5U);
  EXPECT_EQ(a.latency.count(), 5U);
  EXPECT_EQ(a.connections_active, 1U);
  EXPECT_EQ(a.requests_active, 0U);
  EXPECT_EQ(b.codes[4], 5U);
  net::Request request;
  request.target = "/metrics";
  const std::string text = admin_response(*gateway, request).body;
  EXPECT_NE(text.find(fmt::format("coalmine_instance_answers_total{{target=\"v1\",instance=\"{0}\","
                                  "address=\"{0}\",code=\"4xx\"}} 5\n",
                                  two.address())),
            std::string::npos);
  request.target = "/stats";
  EXPECT_NE(admin_response(*gateway, request)
                .body.find(fmt::format("cluster.v1.instance.{}.rq_total: 5\n", one.address())),
            std::string::npos);
  EXPECT_NE(clusters(*gateway).find(fmt::format("v1::{}::rq_success::5\n", one.address())),
            std::string::npos);
}

}  // namespace
}  // namespace coalmine::gateway::test
