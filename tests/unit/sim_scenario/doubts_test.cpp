// What can be played but cannot come out as it reads is said, with its place and the reason.
#include "sim/scenario/doubts.h"

#include "sim/engine/mock_plane.h"
#include "sim/engine/simulation.h"
#include "sim/scenario/runs.h"
#include "tests/support/golden.h"

namespace coalmine::scenario {
namespace {

/// A scenario with nothing to doubt; the rows below put something else in its place.
constexpr const char* kGood = R"(scenario: good
given:
  clock: {limit: 1h}
  traffic: {rate: 100/s, segments: [{name: checkout, path: /checkout, share: 1%}]}
  versions:
    v1: {tasks: 4, capacity: 60/s}
    v2: {tasks: 2, capacity: 60/s}
  platform: {route-delay: 3s, metric-period: 10s, metric-delay: 5s}
  alarms: [{name: v2-5xx, metric: errors, statistic: sum, threshold: 5, period: 1m}]
rollout:
  plan: [{weight: 1%}, {bake: 10m}, {weight: 50%}, {bake: 5m}, {promote: v2}]
  analysis: [{metric: errors, test: error-share}]
  alarms: {watch: [v2-5xx]}
then:
  - outcome: promoted
)";

world::World quick_world() {
  return [](const world::Spec& spec, const world::RunOptions& options) {
    return engine::simulate(spec, options, engine::make_quick_plane);
  };
}

std::string doubts_of(const std::string& text) {
  const Loaded loaded = load_scenario(text, "f");
  std::string all;
  for (const Error& problem : loaded.problems) all += "PROBLEM " + to_string(problem) + "\n";
  if (!loaded.scenario) return all;
  for (const Error& doubt : all_doubts(*loaded.scenario, quick_world())) {
    all += to_string(doubt) + "\n";
  }
  return all;
}

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  const std::size_t at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  return at == std::string::npos ? text : text.replace(at, what.size(), by);
}

struct DoubtCase {
  const char* name;
  std::vector<std::pair<const char*, const char*>> changes;
  const char* says;  ///< begins with its place; empty: nothing
};

class Doubts : public testing::TestWithParam<DoubtCase> {};

TEST_P(Doubts, AreSaidWithPlaceAndReason) {
  std::string text = kGood;
  for (const auto& [what, by] : GetParam().changes) text = replaced(text, what, by);
  const std::string said = doubts_of(text);
  if (std::string(GetParam().says).empty()) {
    EXPECT_EQ(said, "");
  } else {
    EXPECT_NE(said.find(GetParam().says), std::string::npos) << said;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Table, Doubts,
    testing::Values(
        DoubtCase{"Nothing", {}, ""},
        DoubtCase{"TooLittleTrafficToEverDecide",
                  {{"100/s", "0.01/s"}, {"{weight: 50%}, {bake: 5m}, ", ""}},
                  "f:12:14: error: errors by error-share can never decide: the plan gives v2 about "
                  "0.06 requests in 10m"},
        DoubtCase{"EnoughForTwoErrorsIsEnough",
                  {{"100/s", "0.5/s"}, {"{weight: 50%}, {bake: 5m}, ", ""}},
                  ""},
        DoubtCase{"TooLittleForWhatTheTestLooksFor",
                  {{"test: error-share", "test: sprt, from: 1%, to: 2%"},
                   {"100/s", "10/s"},
                   {"{weight: 50%}, {bake: 5m}, ", ""}},
                  "f:12:14: error: too little traffic: to tell 2% from 1% takes "},
        DoubtCase{"ThresholdThatNeedsMoreRequestsThanThereAre",
                  {{"test: error-share", "test: threshold, max: 5%, min-requests: 100000"}},
                  "f:12:14: error: errors by threshold can never decide: the plan gives v2 about "
                  "15600 requests in 15m"},
        DoubtCase{"SegmentTooSmall",
                  {{"test: error-share", "test: error-share, segments: [checkout]"},
                   {"share: 1%", "share: 0.001%"},
                   {"{weight: 50%}, {bake: 5m}, ", ""}},
                  "f:12:14: error: errors in checkout can never decide: the plan gives v2 about "
                  "0.006 requests of it"},
        DoubtCase{"SegmentThatMayBeSilent",
                  {{"test: error-share",
                    "test: error-share, segments: [checkout], needs-data: each-segment"},
                   {"share: 1%", "share: 0.1%"},
                   {"bake: 10m", "bake: 20s"}},
                  "f:12:14: error: needs-data each-segment: a bake of 20s gives v2 about 0.02 "
                  "requests in checkout"},
        DoubtCase{"BakeShorterThanTheWayOfAMetric",
                  {{"  analysis: [{metric: errors, test: error-share}]\n", ""},
                   {"bake: 10m", "bake: 15s"}},
                  "f:11:31: error: the bake of 15s is over before the first datapoint of its "
                  "weight can be read (18s: route-delay 3s, metric-period 10s, metric-delay 5s): "
                  "the next step begins without having seen this one"},
        DoubtCase{"ShortBakeThatBlamesTheCanary",
                  {{"test: error-share}]", "test: error-share}]\n  on-no-data: rollback"},
                   {"bake: 10m", "bake: 15s"}},
                  "a healthy canary is rolled back for lack of data"},
        DoubtCase{"StableTooSmallFromTheBeginning",
                  {{"tasks: 4, capacity: 60/s", "tasks: 1, capacity: 60/s"}},
                  "f:6:30: error: v1 gets up to 100/s before the rollout begins, but its one task "
                  "takes 60/s"},
        DoubtCase{"CanaryTooSmallAtAWeight",
                  {{"v2: {tasks: 2, capacity: 60/s}", "v2: {tasks: 2, capacity: 20/s}"}},
                  "f:7:30: error: v2 gets up to 50/s at 50%, but its 2 tasks take 40/s"},
        DoubtCase{"CanaryTooSmallForTheEnd",
                  {{"v2: {tasks: 2, capacity: 60/s}", "v2: {tasks: 2, capacity: 40/s}"}},
                  "f:7:30: error: v2 gets up to 100/s when it is promoted, but its 2 tasks take "
                  "80/s"},
        DoubtCase{"TasksAreAddedInTime",
                  {{"v2: {tasks: 2, capacity: 60/s}", "v2: {tasks: 2, capacity: 40/s}"},
                   {"then:", "when:\n  - {at: 1m, tasks: {v2: 4}}\nthen:"}},
                  ""},
        DoubtCase{"AlarmFinerThanItsMetric",
                  {{"period: 1m}", "period: 10s}"}, {"metric-period: 10s", "metric-period: 1m"}},
                  "f:9:12: error: the alarm v2-5xx has periods of 10s, but datapoints come every "
                  "1m: most periods are empty (missing data: missing)"},
        DoubtCase{"AlarmThatCannotFireInTime",
                  {{"period: 1m}", "period: 10m, periods: 3, to-alarm: 2}"}},
                  "f:9:12: error: the alarm v2-5xx cannot fire in time: it needs 2 periods of 10m, "
                  "the canary has traffic for 15m"},
        DoubtCase{"PauseThatNobodyEnds",
                  {{"{weight: 50%}", "{pause: {}}, {weight: 50%}"}},
                  "f:11:37: error: the plan waits here for an operator, and nobody speaks (when: "
                  "operator): the steps behind it are never reached"},
        DoubtCase{"PauseThatRollsBack",
                  {{"{weight: 50%}", "{pause: {timeout: 5m}}, {weight: 50%}"}},
                  "nobody speaks within 5m (when: operator): the steps behind it are never"},
        DoubtCase{"PauseThatSomebodyEnds",
                  {{"{weight: 50%}", "{pause: {}}, {weight: 50%}"},
                   {"then:", "when:\n  - {at: 12m, operator: resume}\nthen:"}},
                  ""},
        DoubtCase{"PauseThatIsMeant",
                  {{"{weight: 50%}", "{pause: {}}, {weight: 50%}"},
                   {"outcome: promoted", "outcome: paused"}},
                  ""},
        DoubtCase{"HookThatNobodyCalls",
                  {{"  alarms: [", "  hooks: {smoke-test: {takes: 1s}}\n  alarms: ["}},
                  "f:9:23: error: no hook of the plan is called smoke-test"},
        DoubtCase{"HookThatIsTooSlow",
                  {{"  alarms: [", "  hooks: {smoke-test: {takes: 1m}}\n  alarms: ["},
                   {"then:", "  hooks: [{name: smoke-test, at: pre-rollout, command: x}]\nthen:"}},
                  "error: smoke-test takes 1m to answer, its timeout is 10s: it fails every time"},
        DoubtCase{
            "FaultBehindTheEnd",
            {{"then:", "when:\n  - {at: 40m, fault: {target: v2, kind: reset, share: 1%}}\nthen:"}},
            "f:15:10: error: the fault begins after 40m, but the rollout can be over after "
            "15m"},
        DoubtCase{"LimitCutClose",
                  {{"limit: 1h", "limit: 15m10s"}},
                  "f:3:18: error: the run ends after 15m10s; the steps alone take 15m"},
        DoubtCase{"PromotionThatNobodyMakes",
                  {{", {promote: v2}", ""}},
                  "f:15:5: error: no step promotes and no operator does"},
        DoubtCase{"PromotionThatIsNotExpected",
                  {{"outcome: promoted", "outcome: completed"}},
                  "f:15:5: error: the plan ends with a promotion"},
        DoubtCase{"PromotedSoonerThanTheBakesTake",
                  {{"outcome: promoted", "time-to-promote: {max: 10m}"}},
                  "f:15:5: error: it cannot be promoted within 10m: the steps before take 15m"},
        DoubtCase{"DetectedByNobody",
                  {{"  analysis: [{metric: errors, test: error-share}]\n", ""},
                   {"  alarms: {watch: [v2-5xx]}\n", ""},
                   {"outcome: promoted", "time-to-detect: {max: 10m}"}},
                  "error: time-to-detect cannot hold: no analysis, check or alarm looks"},
        DoubtCase{"PlanThatPromotesTheWorst",
                  {{"  analysis: [{metric: errors, test: error-share}]\n", ""},
                   {"threshold: 5, ", "threshold: 1000000, "}},
                  "f:11:19: error: a v2 that fails for every request comes out well under this "
                  "plan"}),
    [](const auto& info) { return std::string(info.param.name); });

/// The library may doubt itself where that is the lesson, and nowhere else.
TEST(LibraryDoubts, AreThoseThatAreMeant) {
  const auto files = find_scenario_files({"scenarios"});
  std::string all;
  for (const std::string& file : *files) {
    const Loaded loaded = load_scenario_file(file);
    ASSERT_TRUE(loaded.scenario) << file;
    for (const Error& doubt : all_doubts(*loaded.scenario, quick_world())) {
      all += to_string(doubt) + "\n";
    }
  }
  EXPECT_GOLDEN("scenario/library-doubts.txt", all);
}

}  // namespace
}  // namespace coalmine::scenario
