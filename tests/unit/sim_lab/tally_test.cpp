// From what the load generator saw to the record.
#include "sim/lab/tally.h"

#include <gtest/gtest.h>

#include "sim/lab/segment_counter.h"

namespace coalmine::lab {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using world::Ending;

world::Spec two_versions() {
  world::Spec spec;
  spec.versions.resize(2);
  spec.versions[0].name = "v1";
  spec.versions[1].name = "v2";
  spec.plan.stable = "v1";
  spec.plan.canary = "v2";
  spec.platform.metric_period = seconds{10};
  return spec;
}

const std::vector<std::string> kTargets = {"app-v1", "app-v2"};

LoadSample sample(int status, const char* version, const char* reason = "") {
  LoadSample made;
  made.due = milliseconds{100};
  made.sent = milliseconds{110};
  made.latency = milliseconds{20};
  made.status = status;
  made.version = version;
  made.reason = reason;
  return made;
}

struct JudgeCase {
  const char* name;
  LoadSample sample;
  int version;
  Ending ending;
};

class Judge : public testing::TestWithParam<JudgeCase> {};

TEST_P(Judge, SaysWhoServedItAndHowItEnded) {
  const Seen seen = judge(GetParam().sample, two_versions(), kTargets, 10);
  EXPECT_EQ(seen.version, GetParam().version);
  EXPECT_EQ(seen.ending, GetParam().ending);
  EXPECT_EQ(seen.due, seconds{1}) << "scenario time";
  EXPECT_EQ(seen.sent, milliseconds{1100});
  EXPECT_EQ(seen.latency, milliseconds{200});
}

LoadSample truncated() {
  LoadSample made = sample(0, "v2");
  made.truncated = true;
  return made;
}
LoadSample of_service(const char* version, const char* service) {
  LoadSample made = sample(200, version);
  made.service = service;
  return made;
}
LoadSample wrong() {
  LoadSample made = sample(200, "v2");
  made.wrong = true;
  return made;
}

INSTANTIATE_TEST_SUITE_P(
    Samples, Judge,
    testing::Values(
        JudgeCase{"Served", sample(200, "v1"), 0, Ending::Ok},
        JudgeCase{"CanarysBuildInStablesService", of_service("v2", "app-v1"), 0, Ending::Ok},
        JudgeCase{"ErrorOfTheVersion", sample(500, "v2"), 1, Ending::Error},
        JudgeCase{"BrokenConnection",
                  sample(503, "",
                         "127.1.1.2:9000 (target app-v2) closed the connection before its answer"),
                  1, Ending::Reset},
        JudgeCase{"GatewayTimeout", sample(504, "", "target app-v2 did not answer within 1.5s"), 1,
                  Ending::Timeout},
        JudgeCase{"Truncated", truncated(), 1, Ending::Truncated},
        JudgeCase{"WrongBody", wrong(), 1, Ending::Wrong},
        JudgeCase{"NoInstance", sample(503, "", "app-v2 has no instance"), -1, Ending::Dropped},
        JudgeCase{"NoAnswer", sample(0, ""), -1, Ending::Dropped}),
    [](const auto& info) { return std::string(info.param.name); });

Seen seen(int sent_ms, int version, int latency_ms = 20) {
  Seen one;
  one.due = one.sent = milliseconds{sent_ms};
  one.latency = milliseconds{latency_ms};
  one.version = version;
  one.ending = version < 0 ? Ending::Dropped : Ending::Ok;
  return one;
}

world::Record counted(std::vector<Seen> all, bool promotion = false) {
  const world::Spec spec = two_versions();
  world::Record record;
  record.versions.resize(2);
  const std::vector<InForce> in_force = {{Duration{}, seconds{5}, {100, 0}, false},
                                         {seconds{6}, seconds{20}, {50, 50}, promotion}};
  count_up(spec, std::move(all), in_force, seconds{20}, milliseconds{250}, record);
  return record;
}

TEST(Tally, SpansAreCutAtChangesAndMetricPeriods) {
  const world::Record record = counted({});
  std::vector<std::pair<Duration, std::size_t>> spans;
  for (const world::Span& span : record.spans) spans.emplace_back(span.begin, span.weights.size());
  EXPECT_EQ(spans, (std::vector<std::pair<Duration, std::size_t>>{
                       {Duration{}, 2}, {seconds{5}, 0}, {seconds{6}, 2}, {seconds{10}, 2}}));
}

TEST(Tally, ARequestThatMayHaveBeenPickedDuringAChangeBelongsToNeitherSide) {
  const world::Record record =
      counted({seen(4000, 0), seen(4990, 1), seen(5500, 1), seen(6010, 1), seen(4800, 0, 1000)});
  EXPECT_EQ(record.spans[0].versions[0].requests, 1u) << "only the one at 4 s is certain";
  EXPECT_EQ(record.spans[0].versions[1].requests, 0u);
  EXPECT_EQ(record.spans[1].versions[1].requests, 2u);
  EXPECT_EQ(record.spans[1].versions[0].requests, 1u);
  EXPECT_EQ(record.spans[2].versions[1].requests, 1u);
}

TEST(Tally, ASlowAnswerDoesNotMakeThePickUncertainForLong) {
  const world::Record record = counted({seen(4000, 1, 3000)});
  EXPECT_EQ(record.spans[0].versions[1].requests, 1u);
}

TEST(Tally, EverythingIsCountedOnce) {
  const world::Record record = counted({seen(1000, 0), seen(7000, 1), seen(8000, -1)});
  EXPECT_EQ(record.versions[0].requests, 1u);
  EXPECT_EQ(record.versions[1].requests, 1u);
  EXPECT_EQ(record.dropped, 1u);
  EXPECT_EQ(record.first_canary, seconds{7});
  EXPECT_EQ(record.last_canary, seconds{7});
  EXPECT_EQ(record.blast_users, 1u);
  EXPECT_EQ(record.max_canary_share, 0.5);
}

TEST(Tally, NamedSegmentsAreCountedByThemselves) {
  world::Spec spec = two_versions();
  spec.traffic.segments = {{"pay", "/pay", Percent{5}, ""}};
  LoadSample of_pay = sample(500, "v2"), of_the_rest = sample(500, "v2");
  of_the_rest.path = 1;
  of_pay.user = 7;
  world::Record record;
  record.versions.resize(2);
  for (world::VersionRecord& version : record.versions) version.segments.resize(1);
  count_up(spec,
           {judge(of_pay, spec, kTargets, 10), judge(of_the_rest, spec, kTargets, 10),
            judge(sample(200, "v2"), spec, kTargets, 10)},
           {{Duration{}, seconds{20}, {50, 50}, false}}, seconds{20}, milliseconds{250}, record);
  EXPECT_EQ(record.versions[1].requests, 3u);
  EXPECT_EQ(record.versions[1].segments[0], (world::Tally{2, 1}));
  ASSERT_EQ(record.versions[1].segment_users.size(), 1u);
  EXPECT_EQ(record.versions[1].segment_users[0], 2u) << "7, and 0 who is of the rest as well";
  EXPECT_EQ(record.blast_users, 2u);
  EXPECT_TRUE(record.versions[0].segment_users.empty()) << "counted for the canary only";
  EXPECT_EQ(record.versions[0].segments[0], world::Tally{});
}

TEST(SegmentCounter, CountsInThePeriodsOfCloudWatch) {
  world::Spec spec = two_versions();
  spec.traffic.segments = {{"pay", "/pay", Percent{5}, ""}};
  const TimePoint start = from_epoch_seconds(1'000'004);
  SegmentCounter counter(spec, start);
  Seen failed = seen(5900, 1, 200);  // ends 6.1 s after the start, in the next period
  failed.ending = Ending::Reset;
  Seen truncated = seen(1000, 1);
  truncated.ending = Ending::Truncated;  // no metric sees it
  Seen rest = seen(1000, 1);
  rest.segment = 1;
  for (const Seen& one : {failed, truncated, rest, seen(2000, -1), seen(3000, 0), seen(3100, 0)}) {
    counter.add(one);
  }
  EXPECT_EQ(counter.take(),
            (std::vector<SegmentCount>{{from_epoch_seconds(1'000'000), 0, 0, 2, 0},
                                       {from_epoch_seconds(1'000'000), 1, 0, 1, 0},
                                       {from_epoch_seconds(1'000'010), 1, 0, 1, 1}}));
  EXPECT_TRUE(counter.take().empty());
}

TEST(Tally, ThePromotionIsNoStepOnTheWay) {
  EXPECT_EQ(counted({}, true).max_canary_share, 0);
}

}  // namespace
}  // namespace coalmine::lab
