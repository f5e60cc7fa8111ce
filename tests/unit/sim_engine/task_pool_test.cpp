// Tasks: queues as queueing theory has them, faults as the sample app has them.
#include "sim/engine/task_pool.h"

#include <gtest/gtest.h>

#include <cmath>

#include "sim/core/math.h"
#include "tests/unit/sim_engine/statistics.h"

namespace coalmine::engine {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using world::Ending;

std::shared_ptr<const LatencyTable> fixed(Duration value) {
  return std::make_shared<LatencyTable>(world::FixedLatency{value});
}
std::shared_ptr<const LatencyTable> exponential(double mean_s) {
  return std::make_shared<LatencyTable>(
      [mean_s](double p) { return from_seconds(-mean_s * math::log(1 - p)); });
}

std::uint64_t count(const Meter& meter, Ending ending) {
  return meter.endings[static_cast<std::size_t>(ending)];
}

/// One version's tasks under Poisson arrivals.
struct Stage {
  Stage(TaskPool::Limits limits, std::shared_ptr<const LatencyTable> table, std::size_t tasks = 1)
      : pool(limits, std::move(table), tasks, kVirtualEpoch) {
    std::vector<std::size_t> all;
    for (std::size_t i = 0; i < tasks; ++i) all.push_back(i);
    pool.set_usable(all);
    segments.resize(1);
  }
  void play(double rate_per_s, int ten_seconds) {
    for (int i = 0; i < ten_seconds; ++i) {
      const TimePoint end = now + seconds{10};
      pool.play(segments, {random.poisson(rate_per_s * 10)}, now, end, random, meter, dropped);
      pool.finish(end, meter);
      now = end;
    }
  }
  TaskPool pool;
  std::vector<SegmentRegime> segments;
  Random random{11};
  Meter meter;
  std::uint64_t dropped = 0;
  TimePoint now = kVirtualEpoch;
};

TEST(Queues, MeanWaitIsThatOfMD1) {
  // One task that serves 100/s, asked 80/s: Pollaczek-Khinchine gives rho / (2 mu (1 - rho)).
  Stage stage({milliseconds{10}, 0, {}, {}}, fixed(Duration{}));
  stage.play(80, 2000);
  const double want = 0.8 / (2 * 100 * (1 - 0.8));
  EXPECT_NEAR(to_seconds(stage.meter.other.mean()), want, want * 0.03);
}

TEST(Queues, ConcurrencyOneWithFixedWorkIsMD1Too) {
  Stage stage({{}, 1, {}, {}}, fixed(milliseconds{10}));
  stage.play(80, 2000);
  const double want = 0.01 + 0.8 / (2 * 100 * (1 - 0.8));
  EXPECT_NEAR(to_seconds(stage.meter.other.mean()), want, want * 0.03);
}

/// Mean wait of M/M/c: Erlang's C over (c mu - lambda) (Kleinrock, "Queueing Systems", 1975).
double mmc_wait(int servers, double rate, double service_s) {
  const double load = rate * service_s;
  double sum = 0, term = 1;
  for (int k = 0; k < servers; ++k) {
    sum += term;
    term *= load / (k + 1);
  }
  const double tail = term * servers / (servers - load);
  return tail / (sum + tail) / (servers / service_s - rate);
}

TEST(Queues, MeanWaitIsThatOfMMc) {
  for (const int servers : {1, 4, 16}) {
    const double service = 0.05, rate = 0.8 * servers / service;
    Stage stage({{}, servers, {}, {}}, exponential(service));
    stage.play(rate, 40'000 / servers);
    const double want = service + mmc_wait(servers, rate, service);
    EXPECT_NEAR(to_seconds(stage.meter.other.mean()), want, want * 0.03) << servers;
  }
}

TEST(Queues, AFullQueueTurnsAwayAsErlangSays) {
  // No place to wait: Erlang's B. Load 4 on 4 servers loses 31.07% of the requests.
  Stage stage({{}, 4, 0, {}}, exponential(0.05));
  stage.play(80, 3000);
  const double n = static_cast<double>(stage.meter.requests);
  const double lost = static_cast<double>(count(stage.meter, Ending::Error));
  // Losses come in runs, so their variance is some times the binomial one.
  EXPECT_NEAR(lost / n, 0.31068, 5 * std::sqrt(3 * 0.31 * 0.69 / n));
}

TEST(Queues, OverloadEndsInTimeoutsNotInAnEndlessQueue) {
  Stage stage({milliseconds{100}, 0, {}, {}},
              std::make_shared<LatencyTable>(world::kDefaultLatency));
  stage.play(100, 100);
  EXPECT_GT(count(stage.meter, Ending::Timeout), stage.meter.requests * 85 / 100);
  EXPECT_LE(stage.meter.other.max(), world::kMeshRequestTimeout);
}

TEST(Queues, EvenArrivalsWithinCapacityNeverWait) {
  Stage stage({milliseconds{10}, 0, {}, {}}, fixed(milliseconds{5}));
  stage.pool.play_evenly(stage.segments, {500}, 500, stage.now, stage.now + seconds{10},
                         stage.random, stage.meter, stage.dropped);
  EXPECT_EQ(stage.meter.requests, 500u);
  EXPECT_EQ(stage.meter.other.max(), milliseconds{5});
}

TEST(Poisson, SplittingAndOrderKeepTheGapsExponential) {
  // 1% of a Poisson stream is Poisson: with work of fixed length, the share of requests that find
  // a single task idle is that of M/D/1, 1 - rho.
  Stage stage({{}, 1, {}, {}}, fixed(milliseconds{500}));
  Random thin(3);
  for (int i = 0; i < 20'000; ++i) {
    const std::uint64_t mine = thin.binomial(stage.random.poisson(1000), 0.001);
    stage.pool.play(stage.segments, {mine}, stage.now, stage.now + seconds{1}, stage.random,
                    stage.meter, stage.dropped);
    stage.now += seconds{1};
  }
  const double n = static_cast<double>(stage.meter.other.count());
  const double waited = static_cast<double>(stage.meter.other.count_above(milliseconds{503}));
  EXPECT_NEAR(1 - waited / n, 0.5, 5 * std::sqrt(2 * 0.25 / n));
}

faults::Fault fault(const char* text) {
  return faults::parse_faults(text)->front();
}

TEST(Tasks, BurstsHaveTheShareAndTheRunLength) {
  Stage stage({}, fixed(milliseconds{1}));
  stage.pool.set_faults({fault("errors=5%,burst=20")}, stage.now);
  std::uint64_t errors = 0, runs = 0;
  bool before = false;
  for (int i = 0; i < 400'000; ++i) {
    stage.meter.clear();
    stage.pool.serve({}, 0, stage.now + milliseconds{i}, stage.random, stage.meter, stage.dropped);
    const bool failed = count(stage.meter, Ending::Error) == 1;
    errors += failed ? 1 : 0;
    runs += failed && !before ? 1 : 0;
    before = failed;
  }
  EXPECT_NEAR(static_cast<double>(errors), 20'000, 5 * std::sqrt(20'000.0 * 20 * 2));
  EXPECT_NEAR(static_cast<double>(errors) / static_cast<double>(runs), 20, 4);
}

TEST(Tasks, ACrashTakesTheRequestsInWorkWithItAndIsReplaced) {
  Stage stage({{}, 0, {}, seconds{10}}, fixed(seconds{1}));
  stage.pool.set_faults({fault("crash-after=5")}, stage.now);
  for (int i = 0; i < 8; ++i) {
    stage.pool.serve({}, 0, stage.now + milliseconds{300 * i}, stage.random, stage.meter,
                     stage.dropped);
  }
  stage.pool.finish(kNever, stage.meter);
  // Those of 0 and 300 ms were answered by 1.5 s, when the sixth came.
  EXPECT_EQ(stage.meter.requests, 6u);
  EXPECT_EQ(count(stage.meter, Ending::Ok), 2u);
  EXPECT_EQ(count(stage.meter, Ending::Reset), 4u);
  EXPECT_EQ(stage.dropped, 2u);
  const auto crashes = stage.pool.take_crashes();
  ASSERT_EQ(crashes.size(), 1u);
  EXPECT_EQ(crashes[0].up_at - crashes[0].at, seconds{10});
  stage.pool.serve({}, 0, crashes[0].up_at, stage.random, stage.meter, stage.dropped);
  EXPECT_EQ(stage.meter.requests, 7u);
  EXPECT_TRUE(stage.pool.take_crashes().empty());
}

TEST(Tasks, AnotherTaskServesWhileOneIsAway) {
  Stage stage({{}, 0, {}, seconds{10}}, fixed(milliseconds{1}), 2);
  stage.pool.set_faults({fault("crash-after=3")}, stage.now);
  for (int i = 0; i < 7; ++i) {
    stage.pool.serve({}, 0, stage.now + milliseconds{i * 10}, stage.random, stage.meter,
                     stage.dropped);
  }
  EXPECT_EQ(stage.dropped, 0u);
  EXPECT_EQ(stage.pool.take_crashes().size(), 1u);
}

TEST(Tasks, ALeakSlowsDownAndEndsInACrash) {
  Stage stage({{}, 0, {}, seconds{10}}, fixed(milliseconds{1}));
  stage.pool.set_faults({fault("leak=1MB,limit=64MB")}, stage.now);
  for (int i = 0; i < 64; ++i) {
    stage.pool.serve({}, 0, stage.now + seconds{i * 20}, stage.random, stage.meter, stage.dropped);
  }
  stage.pool.finish(kNever, stage.meter);
  EXPECT_EQ(stage.pool.take_crashes().size(), 1u);
  EXPECT_GT(stage.meter.other.max(), milliseconds{500});
}

TEST(Tasks, ASlowStartFailsHealthChecksAndFades) {
  Stage stage({}, fixed(Duration{}));
  stage.pool.set_faults({fault("slow-start=10s,latency=1s")}, stage.now);
  EXPECT_FALSE(stage.pool.healthy(0, stage.now + seconds{9}, stage.random));
  EXPECT_TRUE(stage.pool.healthy(0, stage.now + seconds{10}, stage.random));
  stage.pool.serve({}, 0, stage.now + seconds{5}, stage.random, stage.meter, stage.dropped);
  EXPECT_NEAR(to_seconds(stage.meter.other.max()), 0.5, 0.01);
}

TEST(Tasks, UnhealthyOnesServeAllTheSame) {
  Stage stage({}, fixed(milliseconds{1}));
  stage.pool.set_faults({fault("unhealthy")}, stage.now);
  EXPECT_FALSE(stage.pool.healthy(0, stage.now, stage.random));
  stage.pool.serve({}, 0, stage.now, stage.random, stage.meter, stage.dropped);
  EXPECT_EQ(count(stage.meter, Ending::Ok), 1u);
}

TEST(Tasks, ScopeIsPathAndHeader) {
  Stage stage({}, fixed(milliseconds{1}));
  stage.pool.set_faults({fault("errors=100%,path=/checkout,header=X-User:beta")}, stage.now);
  const std::vector<faults::HeaderField> beta = {{"x-user", "beta"}};
  stage.pool.serve({"/checkout/1", beta, false}, 0, stage.now, stage.random, stage.meter,
                   stage.dropped);
  EXPECT_EQ(count(stage.meter, Ending::Error), 1u);
  stage.pool.serve({"/checkout/1", {}, false}, 0, stage.now, stage.random, stage.meter,
                   stage.dropped);
  stage.pool.serve({"/", beta, false}, 0, stage.now, stage.random, stage.meter, stage.dropped);
  EXPECT_EQ(count(stage.meter, Ending::Error), 1u);
}

TEST(Tasks, ScalingInLosesNothing) {
  Stage stage({{}, 0, {}, seconds{10}}, fixed(seconds{1}), 3);
  stage.pool.set_faults({fault("crash-after=1000")}, stage.now);
  for (int i = 0; i < 9; ++i) {
    stage.pool.serve({}, 0, stage.now, stage.random, stage.meter, stage.dropped);
  }
  stage.pool.resize(1, stage.now);
  stage.pool.set_usable({0, 1, 2});
  stage.pool.finish(kNever, stage.meter);
  EXPECT_EQ(count(stage.meter, Ending::Ok), 9u);
}

/// What one draw decides is in distribution what the sample app's code decides.
TEST(Tasks, BehavioursAreDecideInDistribution) {
  const std::vector<world::Fault> faults = {
      {world::FaultKind::Errors, Percent{5}, 503, {}, ""},
      {world::FaultKind::Slow, Percent{20}, 500,
       world::UniformLatency{milliseconds{5}, milliseconds{90}}, ""},
      {world::FaultKind::Reset, Percent{3}, 500, {}, ""},
      {world::FaultKind::Hang, Percent{1}, 500, {}, ""},
      {world::FaultKind::Truncate, Percent{2}, 500, {}, ""},
      {world::FaultKind::WrongBody, Percent{4}, 500, {}, ""}};
  const world::Spec spec;
  const auto table = std::make_shared<LatencyTable>(world::kDefaultLatency);
  constexpr std::uint64_t kRequests = 300'000;

  Stage stage({}, table);
  std::vector<faults::Fault> below;
  for (const world::Fault& one : faults) below.push_back(world::to_fault(spec, one));
  stage.pool.set_faults(below, stage.now);
  for (std::uint64_t i = 0; i < kRequests; ++i) {
    stage.pool.serve({}, 0, stage.now, stage.random, stage.meter, stage.dropped);
  }

  Regime regime;
  regime.segments.resize(1);
  regime.segments[0].targets = 1;
  regime.segments[0].up[0] = true;
  regime.segments[0].behaviour[0] = make_behaviour(faults, spec, {});
  regime.versions = {{table}};
  std::vector<Meter> meters(1);
  std::uint64_t dropped = 0;
  OrderedCounts ordered;
  Random random(12);
  generate(regime, kRequests, random, meters, dropped, ordered);

  const auto row = [](const Meter& meter) {
    std::vector<double> counts(meter.endings.begin(), meter.endings.end());
    counts[0] += static_cast<double>(meter.fast_requests);
    return counts;
  };
  EXPECT_LT(chi_square_excess(row(stage.meter), row(meters[0])), 1);
  const auto latencies = [](const Meter& meter) {
    std::vector<double> values;
    for (const auto& [us, n] : meter.other.filled()) values.insert(values.end(), n, us);
    return values;
  };
  EXPECT_LT(ks_excess(latencies(stage.meter), latencies(meters[0])), 1);
}

}  // namespace
}  // namespace coalmine::engine
