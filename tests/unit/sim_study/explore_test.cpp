// Faults that exploring adds: all kinds come, every schedule can be written as a scenario file
// that says the same, and shrinking leaves the smallest that still violates.
#include "sim/study/explore.h"

#include <gtest/gtest.h>

#include <set>

#include "sim/engine/world/recorder.h"
#include "sim/scenario/scenario.h"

namespace coalmine::study {
namespace {

constexpr const char* kFile = R"(scenario: any
given:
  clock: {seed: 1, limit: 10m}
  traffic: {rate: 10/s}
  versions: {v1: {tasks: 2}, v2: {tasks: 1}}
rollout:
  plan: [{weight: 10%}, {bake: 5m}, {promote: v2}]
then:
  - outcome: promoted
)";

scenario::Scenario any_scenario() {
  scenario::Loaded loaded = scenario::load_scenario(kFile, "any.yaml");
  EXPECT_TRUE(loaded.scenario);
  return *loaded.scenario;
}

/// As people read it; two events that read alike are alike.
std::string render(const std::vector<world::Event>& events) {
  std::string out;
  for (const world::Event& event : events) {
    std::optional<Duration> length;
    out += to_string(event.at) + " ";
    if (const auto* inject = std::get_if<world::InjectFault>(&event.what)) {
      out += world::describe(inject->fault, inject->target);
      out += fmt::format(" after {}", inject->fault.after);
      length = inject->length;
    } else {
      const auto& api = std::get<world::ThrottleApi>(event.what);
      out += "throttle " + to_string(api.share);
      length = api.length;
    }
    out += length ? " for " + to_string(*length) + "\n" : "\n";
  }
  return out;
}

TEST(RandomFaults, AllKindsComeAndTheFileSaysTheSame) {
  const scenario::Scenario scenario = any_scenario();
  std::set<std::string> kinds;
  for (std::uint64_t i = 0; i < 300; ++i) {
    CounterExample example;
    example.events = random_faults(scenario.spec, {}, std::chrono::minutes{5}, Random(7).split(i));
    for (const world::Event& event : example.events) {
      const auto* inject = std::get_if<world::InjectFault>(&event.what);
      kinds.insert(inject == nullptr ? "throttle"
                                     : std::string(world::to_string(inject->fault.kind)));
      if (inject != nullptr && inject->fault.burst > 0) kinds.insert("burst");
    }
    const auto text = write_counter_example(kFile, "any.yaml", example);
    ASSERT_TRUE(text);
    const scenario::Loaded again = scenario::load_scenario(*text, "found.yaml");
    ASSERT_TRUE(again.scenario) << *text << to_string(again.problems.front());
    EXPECT_EQ(render(again.scenario->spec.events), render(example.events));
  }
  EXPECT_EQ(kinds.size(), 10u);
}

/// A world in which nothing matters but whether v2 crashes: then the rollout is rolled back.
Result<world::Record> crash_matters(const world::Spec& spec, const world::RunOptions&) {
  world::Record record;
  record.duration = std::chrono::minutes{6};
  for (const world::Version& version : spec.versions) {
    record.versions.emplace_back().name = version.name;
  }
  record.outcome = world::Outcome::Promoted;
  for (const world::Event& event : spec.events) {
    const auto* inject = std::get_if<world::InjectFault>(&event.what);
    if (inject != nullptr && inject->target == "v2" &&
        inject->fault.kind == world::FaultKind::Crash) {
      record.outcome = world::Outcome::RolledBack;
    }
  }
  return record;
}

TEST(Explore, ShrinksToTheOneFaultThatMatters) {
  ExploreOptions options;
  options.max_faults = 6;
  const auto found = explore(any_scenario(), options, crash_matters);
  ASSERT_TRUE(found) << to_string(found.error());
  ASSERT_TRUE(*found);
  const CounterExample& example = **found;
  EXPECT_EQ(example.events.size(), 1u) << render(example.events);
  EXPECT_NE(render(example.events).find("crash"), std::string::npos);
  EXPECT_EQ(example.faults_after, 1u);
}

TEST(Explore, IsTheSameForAnyNumberOfJobs) {
  ExploreOptions one, three;
  three.jobs = 3;
  const auto a = explore(any_scenario(), one, crash_matters);
  const auto b = explore(any_scenario(), three, crash_matters);
  ASSERT_TRUE(a && *a && b && *b);
  EXPECT_EQ(render((*a)->events), render((*b)->events));
  EXPECT_EQ((*a)->runs, (*b)->runs);
}

}  // namespace
}  // namespace coalmine::study
