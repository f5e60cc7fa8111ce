// The gateway and the virtual world stand on the same pure code. Random tables, requests and
// misfortunes, through both: what the gateway really did must be what the model says.
#include <gtest/gtest.h>

#include "sim/engine/regime.h"
#include "sim/engine/tasks.h"
#include "sim/traffic/cluster.h"
#include "sim/traffic/retry.h"
#include "tests/unit/sim_gateway/fixture.h"

namespace coalmine {
namespace {

using gateway::GatewayStats;
using gateway::test::Answer;
using gateway::test::kGet;
using gateway::test::ok;
using gateway::test::port_of;
using gateway::test::read_answer;
using gateway::test::read_request;
using gateway::test::Socket;
using gateway::test::start_gateway;
using gateway::test::Upstream;

template <typename T>
const T& one_of(Random& random, const std::vector<T>& list) {
  return list[random.below(list.size())];
}

// --- where requests go -------------------------------------------------------------------------

/// Tasks of three versions at the addresses that the virtual world gives them.
class Versions {
 public:
  explicit Versions(Random& random) {
    for (std::size_t v = 0; v < 3; ++v) {
      auto& tasks = tasks_.emplace_back();
      for (std::size_t t = 1 + random.below(3); t > 0; --t) {
        const engine::TaskId id{v, tasks.size()};
        tasks.push_back(std::make_unique<Upstream>(
            [id](Socket& socket) {
              while (!read_request(socket).empty()) {
                socket.write(ok(fmt::format("{} {}", id.version, id.task)));
              }
            },
            engine::task_address(id)));
      }
    }
  }
  static std::string name(std::size_t version) { return fmt::format("app-v{}", version + 1); }

  /// Some of a version's tasks, some of them sick.
  Json instances(std::size_t version, Random& random) const {
    Json out = Json::array();
    for (std::size_t t = 0; t < tasks_[version].size(); ++t) {
      if (random.below(6) == 0) continue;
      const engine::TaskId id{version, t};
      out.push_back({{"id", fmt::format("task-{}-{}", version, t)},
                     {"address", engine::task_address(id)},
                     {"port", tasks_[version][t]->port()},
                     {"healthy", random.below(3) != 0}});
    }
    return out;
  }

 private:
  std::vector<std::vector<std::unique_ptr<Upstream>>> tasks_;
};

const std::vector<std::string> kPaths = {"/", "/a", "/a/b", "/ab", "/b/x", "/c"};
const std::vector<std::string> kHeaders = {"", "x-kind:gold", "x-kind:silver"};

Json random_match(Random& random) {
  Json match = Json::object();
  const std::string& path = one_of(random, kPaths);
  if (random.below(4) != 0) match[random.below(3) == 0 ? "exact" : "prefix"] = path;
  if (random.below(3) == 0) {
    match["headers"] = {
        {{"name", "x-kind"}, {"any_of", {{{"exact", "gold"}, {"invert", random.below(2) == 0}}}}}};
  }
  return match;
}

Json random_targets(const Versions& versions, Random& random) {
  Json out = Json::array();
  std::uint64_t total = 0;
  for (std::size_t v = 0; v < 3; ++v) {
    if (random.below(4) == 0 && v > 0) continue;
    const std::uint64_t weight = random.below(4);
    total += weight;
    out.push_back({{"name", Versions::name(v)},
                   {"weight", weight},
                   {"instances", versions.instances(v, random)}});
  }
  if (total == 0) out[0]["weight"] = 1;  // Envoy refuses a route without any
  return out;
}

Json random_routes(const Versions& versions, Random& random, int depth) {
  Json routes = Json::array();
  for (std::uint64_t left = (depth == 0 ? 2 : 0) + random.below(3); left > 0; --left) {
    Json route = {{"name", fmt::format("r{}", left)}, {"match", random_match(random)}};
    if (random.below(4) == 0) route["rewrite"] = {{"prefix", one_of(random, kPaths)}};
    switch (random.below(depth < 2 ? 6 : 4)) {
      case 0:
        route["fixed_response"] = {{"status", 200 + random.below(300)}, {"body", "fixed"}};
        break;
      case 1:
        if (random.below(2) == 0) {
          route["redirect"] = {{"status", 301 + random.below(2)}};
          break;
        }
        [[fallthrough]];
      case 2:
      case 3:
        route["targets"] = random_targets(versions, random);
        route["selection"] = "exact";  // so that few requests show the weights
        if (random.below(2) == 0) route["empty"] = "fail-open";
        break;
      default:
        route["chain"] = {{"name", "service"},
                          {"routes", random_routes(versions, random, depth + 1)}};
    }
    routes.push_back(std::move(route));
  }
  return routes;
}

traffic::Snapshot random_table(const Versions& versions, Random& random) {
  const Json listener = {{"port", 0},
                         {"dialect", random.below(3) == 0 ? "alb" : "envoy"},
                         {"routes", random_routes(versions, random, 0)}};
  auto table = traffic::route_table_from_json({{"version", 1}, {"listeners", {listener}}});
  EXPECT_TRUE(table) << table.error().message;
  return std::make_shared<const traffic::RouteTable>(std::move(*table));
}

/// The virtual world's view of one kind of request.
engine::RoutedRegime regime_of(const traffic::Snapshot& table, const world::Segment& segment) {
  world::Spec spec;
  for (const char* name : {"v1", "v2", "v3"}) {
    world::Version version;
    version.name = name;
    spec.versions.push_back(version);
  }
  spec.traffic.segments = {segment};
  engine::RegimeInputs inputs;
  inputs.routes = table;
  inputs.faults.resize(3);
  inputs.latency.resize(3);
  inputs.ordered = {true, true, true};
  return engine::make_regime(spec, inputs);
}

/// What clients saw of requests of one kind.
struct Seen {
  std::array<std::uint64_t, 3> answered{};  ///< by version
  std::array<std::set<std::size_t>, 3> tasks;
  std::map<int, std::uint64_t> local;  ///< answers of the gateway itself, by status
};

Seen ask(int port, const world::Segment& segment, std::uint64_t times) {
  std::string request = fmt::format("GET {} HTTP/1.1\r\nHost: x\r\n", segment.path);
  if (!segment.header.empty()) request += segment.header + "\r\n";
  request += "\r\n";
  Seen seen;
  Socket socket = Socket::connect_to(port);
  for (std::uint64_t i = 0; i < times; ++i) {
    socket.write(request);
    const Answer answer = read_answer(socket);
    std::size_t version = 0, task = 0;
    if (answer.status == 200 && std::sscanf(answer.body.c_str(), "%zu %zu", &version, &task) == 2) {
      ++seen.answered[version];
      seen.tasks[version].insert(task);
    } else {
      ++seen.local[answer.status];
    }
  }
  return seen;
}

traffic::Decision decide(const traffic::RouteIndex& index, const world::Segment& segment,
                         std::vector<traffic::HeaderView>& headers, std::string& scratch) {
  traffic::RequestView request;
  request.host = "x";
  request.path = segment.path;
  if (!segment.header.empty()) {
    headers = {{"x-kind", std::string_view(segment.header).substr(7)}};
  }
  request.headers = headers;
  return traffic::resolve(index.listeners().front(), request, 0, scratch);
}

/// How often each way was taken: a comparison of nothings would agree as well.
struct Ways {
  int forwarded = 0, some_down = 0, answered_here = 0;
};

void expect_agreement(Ways& ways, const traffic::Snapshot& table, gateway::Gateway& gateway,
                      const world::Segment& segment) {
  const auto index = traffic::RouteIndex::compile(table);
  ASSERT_TRUE(index);
  std::vector<traffic::HeaderView> headers;
  std::string scratch;
  const traffic::Decision decision = decide(**index, segment, headers, scratch);
  const engine::RoutedRegime routed = regime_of(table, segment);
  const engine::SegmentRegime& regime = routed.regime.segments.at(0);
  const bool forwarded = decision.forward != nullptr;
  EXPECT_EQ(regime.refused, !forwarded);

  constexpr std::uint64_t kPeriods = 3;  // of the exact order, after which counts are exact
  const std::uint64_t period = forwarded ? decision.forward->total_weight : 1;
  const Seen seen = ask(port_of(gateway), segment, period * kPeriods);
  std::array<std::uint64_t, 3> want{};
  std::uint64_t refused = 0;
  for (std::size_t k = 0; k < regime.targets; ++k) {
    const auto share = regime.weight[k] * static_cast<double>(period);
    const auto count = static_cast<std::uint64_t>(share + 0.5) * kPeriods;
    (regime.up[k] ? want[regime.version[k]] : refused) += count;
  }
  ++(!forwarded ? ways.answered_here : refused > 0 ? ways.some_down : ways.forwarded);
  EXPECT_EQ(seen.answered, want);
  for (std::size_t v = 0; v < 3; ++v) {
    if (want[v] == 0) continue;
    const std::set<std::size_t> usable(routed.usable[v].begin(), routed.usable[v].end());
    for (const std::size_t task : seen.tasks[v]) EXPECT_TRUE(usable.contains(task)) << task;
    EXPECT_EQ(seen.tasks[v].size(), std::min<std::size_t>(usable.size(), want[v]));
  }
  std::map<int, std::uint64_t> local;
  if (!forwarded) {
    traffic::RequestView request;
    local[traffic::local_reply(decision, (*index)->listeners().front().listener[0], request)
              .status] = kPeriods;
  } else if (refused > 0) {
    local[503] = refused;
  }
  EXPECT_EQ(seen.local, local);
}

TEST(Agreement, RequestsGoWhereTheVirtualWorldSendsThem) {
  Ways ways;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    Random random = Random(seed).split("agreement");
    const Versions versions(random);
    const traffic::Snapshot table = random_table(versions, random);
    SCOPED_TRACE(traffic::to_json(*table).dump(1));
    const auto gateway = start_gateway(table);
    for (const std::string& path : kPaths) {
      for (const std::string& header : kHeaders) {
        SCOPED_TRACE(path + " " + header);
        expect_agreement(ways, table, *gateway, {"s", path, Percent{100}, header});
      }
    }
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_GT(ways.forwarded, 200);
  EXPECT_GT(ways.some_down, 50);
  EXPECT_GT(ways.answered_here, 200);
}

// --- which instance, and how often --------------------------------------------------------------

constexpr int kHangUp = 0;  ///< the upstream closes the connection instead of answering

/// What befalls the attempts, whoever they go to; and whom they went to.
struct Script {
  std::vector<int> outcomes;
  std::mutex mutex;
  std::vector<std::size_t> hits;

  int next(std::size_t instance) {
    const std::lock_guard lock(mutex);
    hits.push_back(instance);
    return outcomes[(hits.size() - 1) % outcomes.size()];
  }
};

traffic::Forward random_forward(Random& random, std::size_t instances) {
  const std::vector<std::string> conditions = {
      "5xx", "gateway-error", "reset", "connect-failure", "503", "server-error", "client-error"};
  traffic::Forward out;
  for (std::uint64_t left = random.below(3); left > 0; --left) {
    out.retry.on.push_back(one_of(random, conditions));
  }
  out.retry.max_retries = static_cast<int>(random.below(3));
  traffic::Target target;
  target.name = "v1";
  target.instances.resize(instances);
  target.panic_percent = static_cast<int>(random.below(3)) * 50;
  if (random.below(4) != 0) {
    target.outlier.emplace();
    target.outlier->consecutive_errors = static_cast<int>(1 + random.below(3));
    target.outlier->max_ejection_percent = static_cast<int>(random.below(101));
    target.outlier->interval = target.outlier->base_ejection = std::chrono::hours{1};
    target.outlier->always_eject_one = random.below(2) == 0;
  }
  out.empty = random.below(3) == 0 ? traffic::EmptyPolicy::FailOpen : traffic::EmptyPolicy::Refuse;
  out.targets = {std::move(target)};
  return out;
}

/// The pure code alone: what a worker that begins at instance 0 does with one request after the
/// other. Returns the statuses that users see; `script` notes whom the attempts went to.
std::vector<int> play(const traffic::Forward& forward, std::size_t requests, Script& script) {
  const auto conditions = traffic::parse_retry_conditions(forward.retry.on);
  traffic::ClusterState state;
  state.update(forward.targets[0], forward.empty);
  std::vector<int> statuses;
  for (std::size_t i = 0; i < requests; ++i) {
    std::size_t tried = traffic::ClusterState::kNobody;
    for (int retries = 0;; ++retries) {
      std::size_t instance = state.next();
      if (instance == tried) instance = state.next();  // not the same again, if there is another
      tried = instance;
      if (instance == traffic::ClusterState::kNobody) {
        statuses.push_back(503);
        break;
      }
      const int status = script.next(instance);
      state.record(instance, status == kHangUp ? 0 : status, kVirtualEpoch);
      using Kind = traffic::AttemptOutcome::Kind;
      const traffic::AttemptOutcome outcome{
          status == kHangUp ? Kind::ResetBeforeHead : Kind::Response, status};
      if (traffic::should_retry(forward.retry, *conditions, outcome, retries)) continue;
      statuses.push_back(status == kHangUp ? 503 : status);
      break;
    }
  }
  return statuses;
}

/// The same through a gateway and real connections, kept ones mostly.
std::vector<int> play_live(traffic::Forward forward, std::size_t requests, Script& script) {
  std::vector<std::unique_ptr<Upstream>> upstreams;
  for (std::size_t i = 0; i < forward.targets[0].instances.size(); ++i) {
    upstreams.push_back(std::make_unique<Upstream>([i, &script](Socket& socket) {
      while (!read_request(socket).empty()) {
        const int status = script.next(i);
        if (status == kHangUp) return;
        socket.write(fmt::format("HTTP/1.1 {} X\r\nContent-Length: 0\r\n\r\n", status));
      }
    }));
    forward.targets[0].instances[i] = {fmt::format("task-{}", i), "127.0.0.1",
                                       upstreams.back()->port(), true};
  }
  traffic::Route route;
  route.name = "r";
  route.action = std::move(forward);
  traffic::Listener listener;
  listener.routes = {route};
  traffic::RouteTable table;
  table.version = 1;
  table.listeners = {listener};
  const auto gateway = start_gateway(std::make_shared<const traffic::RouteTable>(std::move(table)));
  Socket socket = Socket::connect_to(port_of(*gateway));
  std::vector<int> statuses;
  for (std::size_t i = 0; i < requests; ++i) {
    socket.write(i % 2 == 0 ? kGet : "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    statuses.push_back(read_answer(socket).status);
  }
  return statuses;
}

void expect_same_attempts(std::uint64_t seed) {
  constexpr std::size_t kRequests = 60;
  Random random = Random(seed).split("attempts");
  const traffic::Forward forward = random_forward(random, 1 + random.below(5));
  Script model, live;
  const std::vector<int> outcomes = {200, 200, 200, 404, 409, 500, 502, 503, kHangUp};
  for (int i = 0; i < 200; ++i) model.outcomes.push_back(one_of(random, outcomes));
  live.outcomes = model.outcomes;
  traffic::Forward named = forward;
  for (std::size_t i = 0; i < named.targets[0].instances.size(); ++i) {
    named.targets[0].instances[i].id = fmt::format("task-{}", i);
  }
  EXPECT_EQ(play_live(forward, kRequests, live), play(named, kRequests, model)) << "seed " << seed;
  EXPECT_EQ(live.hits, model.hits) << "seed " << seed;
}

TEST(Agreement, AttemptsFollowTheRulesOfRetryAndEjection) {
  std::atomic<std::uint64_t> next{1};
  std::vector<std::thread> threads;  // most of the time is the back-off before retries
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (std::uint64_t seed = next++; seed <= 64; seed = next++) expect_same_attempts(seed);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace coalmine
