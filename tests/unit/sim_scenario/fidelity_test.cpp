// The two fidelities: which one is chosen and why, and that they agree in distribution on every
// figure that checks look at.
#include <gtest/gtest.h>

#include "sim/engine/direct_plane.h"
#include "sim/engine/fidelity.h"
#include "sim/engine/mock_plane.h"
#include "sim/engine/simulation.h"
#include "sim/scenario/verdict.h"
#include "tests/unit/sim_engine/statistics.h"

namespace coalmine::scenario {
namespace {

using engine::chi_square_excess;
using engine::ks_excess;
using world::Fidelity;

Scenario scenario(const std::string& given, const std::string& rollout,
                  const std::string& when = "[]") {
  const Loaded loaded = load_scenario("scenario: test\ngiven: " + given + "\nrollout: " + rollout +
                                          "\nwhen: " + when + "\nthen: [{dropped-requests: 0}]\n",
                                      "test.yaml");
  for (const Error& problem : loaded.problems) ADD_FAILURE() << to_string(problem);
  return loaded.scenario.value();
}

const std::string kRollout =
    "{plan: [{weight: 5%}, {bake: 3m}, {weight: 30%}, {bake: 2m}, {promote: v2}], analysis: "
    "[{metric: errors, test: error-share, alpha: 0.01}, {metric: latency, over: 250ms, test: sprt, "
    "from: 1%, to: 4%}]}";

struct Fidelities : testing::TestWithParam<std::pair<const char*, Scenario>> {};

using Figures = std::map<std::string, std::vector<double>>;

/// Every figure of every run, and the endings and outcomes of all runs together.
Figures play(const world::Spec& spec, Fidelity fidelity, std::uint64_t seeds, Figures& counts) {
  Figures figures;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    world::RunOptions options;
    options.seed = seed;
    options.fidelity = fidelity;
    const auto record = engine::simulate(spec, options, engine::make_direct_plane);
    if (!record) {
      ADD_FAILURE() << to_string(record.error());
      break;
    }
    const auto note = [&figures](const char* name, double value) {
      figures[name].push_back(value);
    };
    const auto note_time = [&note](const char* name, const std::optional<Duration>& time) {
      note(name, time ? to_seconds(*time) : -1);
    };
    const world::VersionRecord& canary = canary_of(spec, *record);
    note("requests", static_cast<double>(total_requests(*record)));
    note("failed", static_cast<double>(total_failed(*record)));
    note("canary requests", static_cast<double>(canary.requests));
    note("canary failed", static_cast<double>(canary.failed()));
    note("users", static_cast<double>(record->blast_users));
    note("dropped", static_cast<double>(record->dropped));
    note("worst minute", worst_error_rate(*record, std::chrono::minutes{1}));
    note("p50", to_seconds(canary.latency.quantile(0.5)));
    note("p99", to_seconds(canary.latency.quantile(0.99)));
    note("stable p99", to_seconds(record->versions[0].latency.quantile(0.99)));
    note("canary weight", record->max_canary_share);
    note_time("detect", time_to_detect(*record));
    note_time("roll back", time_to_rollback(*record));
    note_time("promote", record->promoted_at);
    note_time("first canary", record->first_canary);
    note_time("last canary", record->last_canary);
    for (const StepShare& step : step_shares(spec, *record)) note("sigma", step.sigma());
    for (const world::VersionRecord& version : record->versions) {
      for (std::size_t i = 0; i < version.segments.size(); ++i) {
        const world::Tally& part = version.segments[i];
        const std::string name = version.name + " " + spec.traffic.segments[i].name;
        figures[name + " requests"].push_back(static_cast<double>(part.requests));
        figures[name + " failed"].push_back(static_cast<double>(part.failed));
        if (const auto users = users_in(version, i)) {
          figures[name + " users"].push_back(static_cast<double>(*users));
        }
        std::vector<double>& parts = counts["segments of " + version.name];
        parts.resize(2 * version.segments.size());
        parts[2 * i] += static_cast<double>(part.requests - part.failed);
        parts[2 * i + 1] += static_cast<double>(part.failed);
      }
      std::vector<double>& endings = counts["endings of " + version.name];
      endings.resize(world::kEndings);
      for (std::size_t e = 0; e < world::kEndings; ++e) {
        endings[e] += static_cast<double>(version.endings[e]);
      }
    }
    std::vector<double>& outcomes = counts["outcomes"];
    outcomes.resize(6);
    ++outcomes[static_cast<std::size_t>(record->outcome)];
  }
  return figures;
}

TEST_P(Fidelities, AgreeOnEveryFigureThatChecksUse) {
  const world::Spec& spec = GetParam().second.spec;
  constexpr std::uint64_t kSeeds = 1000;
  Figures counts, aggregate_counts;
  const Figures request = play(spec, Fidelity::Request, kSeeds, counts);
  const Figures aggregate = play(spec, Fidelity::Aggregate, kSeeds, aggregate_counts);
  for (const auto& [name, values] : request) {
    EXPECT_LT(ks_excess(values, aggregate.at(name)), 1) << name;
  }
  for (const auto& [name, values] : counts) {
    EXPECT_LT(chi_square_excess(values, aggregate_counts.at(name)), 1) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Scenarios, Fidelities,
    testing::Values(
        std::pair{"FaultyAndSlow",
                  scenario("{clock: {limit: 6m}, traffic: {rate: 100/s, users: 3000, segments: "
                           "[{name: pay, path: /pay, share: 5%}]}, versions: {v1: {errors: 0.2%}, "
                           "v2: {errors: 0.6%, faults: [{kind: latency, share: 3%, latency: "
                           "{uniform: {low: 150ms, high: 400ms}}}, {kind: reset, share: 5%, "
                           "segment: pay}, {kind: hang, share: 0.1%}]}}, platform: {route-delay: "
                           "3s, metric-delay: 4s}}",
                           kRollout)},
        std::pair{"OneBadFlow",
                  scenario("{clock: {limit: 6m}, traffic: {rate: 100/s, users: 3000, segments: "
                           "[{name: pay, path: /pay, share: 1%}, {name: browse, path: /browse, "
                           "share: 60%}]}, versions: {v1: {errors: 0.2%}, v2: {errors: 0.2%, "
                           "faults: [{kind: errors, share: 50%, segment: pay}]}}, platform: "
                           "{metric-delay: 4s}}",
                           "{plan: [{weight: 5%}, {bake: 3m}, {weight: 30%}, {bake: 2m}, "
                           "{promote: v2}], analysis: [{metric: errors, test: error-share, "
                           "segments: [pay, browse]}]}")},
        std::pair{
            "HealthyWithAFaultOfStableAndATide",
            scenario("{clock: {limit: 6m}, traffic: {rate: 60/s, users: 200000, diurnal: "
                     "{low: 20%, peak-at: 4m}}, versions: {v1: {errors: 0.5%}, v2: {}}}",
                     kRollout,
                     "[{at: 1m, fault: {target: v1, kind: wrong-body, share: 10%, for: 90s}}]")}),
    [](const auto& info) { return std::string(info.param.first); });

TEST(Fidelity, AutoSaysWhichAndWhy) {
  const std::string plan = "{plan: [{weight: 5%}, {bake: 3m}, {promote: v2}]}";
  struct Case {
    const char* given;
    bool aggregate;
    const char* reason;
  };
  const Case cases[] = {
      {"{traffic: {rate: 10/s}, versions: {v1: {}, v2: {}}}", false,
       "at most 36000 requests are expected, few enough for one by one"},
      {"{traffic: {rate: 10000/s}, versions: {v1: {}, v2: {}}}", true,
       "up to 36000000 requests are expected and none waits for another"},
      {"{traffic: {rate: 10000/s}, versions: {v1: {capacity: 20000/s}, v2: {}}}", false,
       "v1 has a capacity, so its requests queue"},
      {"{traffic: {rate: 10000/s}, versions: {v1: {}, v2: {concurrency: 8}}}", false,
       "v2 has a concurrency, so its requests queue"},
      {"{traffic: {rate: 10000/s}, versions: {v1: {}, v2: {faults: [{kind: leak, growth: 1KB}]}}}",
       false, "v2 has a fault that remembers earlier requests (\"leak\")"},
  };
  for (const Case& one : cases) {
    const auto choice = engine::choose_fidelity(scenario(one.given, plan).spec, Fidelity::Auto);
    ASSERT_TRUE(choice);
    EXPECT_EQ(choice->aggregate, one.aggregate) << one.given;
    EXPECT_EQ(choice->reason, one.reason);
  }
}

TEST(Fidelity, AggregateIsRefusedWhereRequestsQueue) {
  const Scenario queues =
      scenario("{traffic: {rate: 10/s}, versions: {v1: {}, v2: {capacity: 5/s}}}",
               "{plan: [{weight: 5%}, {bake: 3m}, {promote: v2}]}");
  world::RunOptions options;
  options.fidelity = Fidelity::Aggregate;
  const auto record = engine::simulate(queues.spec, options, engine::make_direct_plane);
  ASSERT_FALSE(record);
  EXPECT_EQ(record.error().message,
            "test: fidelity aggregate only counts, but v2 has a capacity, so its requests queue; "
            "use request or auto");
}

TEST(Fidelity, ADayAtAMillionASecondIsCountedToTheLast) {
  const Scenario day = scenario(
      "{clock: {limit: 24h}, traffic: {rate: 1000000/s}, versions: {v1: {errors: 0.1%}, "
      "v2: {errors: 0.1%}}, platform: {metric-period: 1m}}",
      "{plan: [{weight: 1%}, {bake: 12h}, {weight: 10%}, {bake: 11h}, {promote: v2}], "
      "analysis: [{metric: errors, test: error-share}]}");
  const auto record = engine::simulate(day.spec, {}, engine::make_direct_plane);
  ASSERT_TRUE(record);
  EXPECT_EQ(record->fidelity, "aggregate");
  const std::uint64_t total = total_requests(*record);
  EXPECT_NEAR(static_cast<double>(total), 1e6 * to_seconds(record->duration), 5 * 3e5);
  std::uint64_t spans = 0;
  for (const world::Span& span : record->spans) {
    for (const world::Tally& tally : span.versions) spans += tally.requests;
  }
  EXPECT_EQ(spans, total);
  for (const world::VersionRecord& version : record->versions) {
    EXPECT_EQ(version.latency.count(), version.requests);
  }
}

}  // namespace
}  // namespace coalmine::scenario
