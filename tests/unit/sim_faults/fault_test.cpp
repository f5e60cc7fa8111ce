#include "sim/traffic/faults/fault.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "sim/core/histogram.h"
#include "tests/support/case_name.h"

namespace coalmine::faults {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

FaultState state(std::string_view text) {
  auto faults = parse_faults(text);
  EXPECT_TRUE(faults) << text << ": " << (faults ? "" : faults.error().message);
  return FaultState(faults ? *std::move(faults) : std::vector<Fault>{}, kVirtualEpoch);
}

const RequestFacts kRequest{"/checkout", {}, false};
const RequestFacts kCheck{"/healthcheck", {}, true};

/// Within five standard deviations of a binomial count.
void expect_share(std::uint64_t hits, std::uint64_t n, double share, double spread = 1) {
  const double mean = static_cast<double>(n) * share;
  const double sd = std::sqrt(mean * (1 - share)) * spread;
  EXPECT_NEAR(static_cast<double>(hits), mean, 5 * sd + 1e-9);
}

// --- shares -----------------------------------------------------------------------------------

struct ShareCase {
  const char* name;
  const char* text;
  double share;
  Outcome want;
};
class Share : public testing::TestWithParam<ShareCase> {};

TEST_P(Share, IsMetByWhatIsInjected) {
  constexpr std::uint64_t kRequests = 200'000;
  FaultState faults = state(GetParam().text);
  Random random(7);
  std::uint64_t hits = 0;
  for (std::uint64_t i = 0; i < kRequests; ++i) {
    const Outcome outcome = faults.decide(kRequest, kVirtualEpoch, random);
    if (outcome == GetParam().want) {
      ++hits;
    } else {
      EXPECT_EQ(outcome, Outcome{});
    }
  }
  expect_share(hits, kRequests, GetParam().share);
}

INSTANTIATE_TEST_SUITE_P(
    Injectors, Share,
    testing::Values(ShareCase{"Errors", "errors=5%,code=503", 0.05, {503, Effect::None, {}, 0}},
                    ShareCase{"RareErrors", "errors=0.01%", 0.0001, {500, Effect::None, {}, 0}},
                    ShareCase{"AllErrors", "errors=100%", 1, {500, Effect::None, {}, 0}},
                    ShareCase{"NoErrors", "errors=0%", 0, {500, Effect::None, {}, 0}},
                    ShareCase{"Resets", "reset=1%", 0.01, {0, Effect::Reset, {}, 0}},
                    ShareCase{"Hangs", "hang=2%", 0.02, {0, Effect::Hang, {}, 0}},
                    ShareCase{"Truncations", "truncate=50%", 0.5, {0, Effect::Truncate, {}, 0}},
                    ShareCase{"WrongBodies", "wrong-body=10%", 0.1, {0, Effect::WrongBody, {}, 0}},
                    ShareCase{"Delays",
                              "latency=20ms,share=25%",
                              0.25,
                              {0, Effect::None, milliseconds{20}, 0}}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(Burst, KeepsTheShareAndHasTheMeanLength) {
  constexpr std::uint64_t kRequests = 2'000'000;
  for (const double length : {1.0, 5.0, 50.0}) {
    FaultState faults = state("errors=5%,burst=" + std::to_string(length));
    Random random(11);
    std::uint64_t hits = 0;
    std::uint64_t bursts = 0;
    bool before = false;
    for (std::uint64_t i = 0; i < kRequests; ++i) {
      const bool hit = faults.decide(kRequest, kVirtualEpoch, random).status != 0;
      hits += hit ? 1 : 0;
      bursts += hit && !before ? 1 : 0;
      before = hit;
    }
    // Runs widen the spread of the count by about sqrt(2 L).
    expect_share(hits, kRequests, 0.05, std::sqrt(2 * length));
    const double mean = static_cast<double>(hits) / static_cast<double>(bursts);
    EXPECT_NEAR(mean, length, length * 5 / std::sqrt(static_cast<double>(bursts)) + 1e-9);
  }
}

// --- latency ----------------------------------------------------------------------------------

std::vector<Duration> delays(std::string_view text, std::size_t n) {
  FaultState faults = state(text);
  Random random(3);
  std::vector<Duration> all;
  for (std::size_t i = 0; i < n; ++i) {
    all.push_back(faults.decide(kRequest, kVirtualEpoch, random).delay);
  }
  std::sort(all.begin(), all.end());
  return all;
}

TEST(LatencyFault, FixedIsAlwaysTheSame) {
  for (const Duration delay : delays("latency=20ms", 100)) EXPECT_EQ(delay, milliseconds{20});
}

TEST(LatencyFault, UniformFillsItsRange) {
  const auto all = delays("latency=20ms..80ms", 100'000);
  EXPECT_GE(all.front(), milliseconds{20});
  EXPECT_LT(all.back(), milliseconds{80});
  EXPECT_NEAR(to_seconds(all[all.size() / 2]), 0.050, 0.0005);
  EXPECT_NEAR(to_seconds(all[all.size() / 10]), 0.026, 0.0005);
}

TEST(LatencyFault, LognormalHasItsMedianAndP99) {
  const auto all = delays("latency=lognormal(20ms,80ms)", 400'000);
  EXPECT_NEAR(to_seconds(all[all.size() / 2]), 0.020, 0.0002);
  EXPECT_NEAR(to_seconds(all[all.size() * 99 / 100]), 0.080, 0.002);
  const Latency same =
      *latency_from_json(*parse_json(R"({"lognormal":{"median":"20ms","sigma":0.5}})"));
  EXPECT_NEAR(to_seconds(same.high), 0.020 * std::exp(0.5 * 2.3263478740408408), 1e-6);
}

TEST(LatencyFault, DelaysAddUp) {
  FaultState faults = state("latency=20ms; latency=5ms; errors=100%");
  Random random(1);
  EXPECT_EQ(faults.decide(kRequest, kVirtualEpoch, random),
            (Outcome{500, Effect::None, milliseconds{25}, 0}));
}

// --- scope and order --------------------------------------------------------------------------

TEST(Scope, PathAndHeaderNarrowAFault) {
  Random random(1);
  FaultState by_path = state("errors=100%,path=/check");
  EXPECT_EQ(by_path.decide(kRequest, kVirtualEpoch, random).status, 500);
  EXPECT_EQ(by_path.decide({"/search", {}, false}, kVirtualEpoch, random).status, 0);
  FaultState by_header = state("errors=100%,header=X-User: 7");
  const std::vector<HeaderField> seven = {{"Accept", "7"}, {"x-user", "7"}};
  const std::vector<HeaderField> eight = {{"X-User", "8"}};
  EXPECT_EQ(by_header.decide({"/", seven, false}, kVirtualEpoch, random).status, 500);
  EXPECT_EQ(by_header.decide({"/", eight, false}, kVirtualEpoch, random).status, 0);
  EXPECT_EQ(by_header.decide(kRequest, kVirtualEpoch, random).status, 0);
}

TEST(Scope, HealthChecksAreSparedUnlessNamed) {
  Random random(1);
  EXPECT_EQ(state("errors=100%; hang=100%").decide(kCheck, kVirtualEpoch, random), Outcome{});
  EXPECT_EQ(state("errors=100%,path=/healthcheck").decide(kCheck, kVirtualEpoch, random).status,
            500);
}

TEST(Order, TheFirstFailureWinsAndACrashBeatsAll) {
  Random random(1);
  EXPECT_EQ(state("reset=100%; errors=100%").decide(kRequest, kVirtualEpoch, random).effect,
            Effect::Reset);
  EXPECT_EQ(state("errors=100%; reset=100%").decide(kRequest, kVirtualEpoch, random),
            (Outcome{500, Effect::None, {}, 0}));
  EXPECT_EQ(state("errors=100%; crash-after=0").decide(kRequest, kVirtualEpoch, random).effect,
            Effect::Crash);
}

// --- the stateful ones --------------------------------------------------------------------------

TEST(Unhealthy, FailsChecksOnly) {
  Random random(1);
  FaultState faults = state("unhealthy");
  EXPECT_EQ(faults.decide(kCheck, kVirtualEpoch, random).status, 503);
  EXPECT_EQ(faults.decide(kRequest, kVirtualEpoch, random), Outcome{});
}

TEST(Crash, ComesAfterTheGivenNumberOfRequests) {
  Random random(1);
  FaultState faults = state("crash-after=3");
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(faults.decide(kCheck, kVirtualEpoch, random), Outcome{});
    EXPECT_EQ(faults.decide(kRequest, kVirtualEpoch, random), Outcome{}) << i;
  }
  EXPECT_EQ(faults.decide(kRequest, kVirtualEpoch, random).effect, Effect::Crash);
}

TEST(SlowStart, WarmsUp) {
  Random random(1);
  FaultState faults = state("slow-start=10s,latency=400ms");
  const auto delay = [&](Duration age) {
    return faults.decide(kRequest, kVirtualEpoch + age, random).delay;
  };
  EXPECT_EQ(delay(seconds{0}), milliseconds{400});
  EXPECT_EQ(delay(seconds{5}), milliseconds{200});
  EXPECT_EQ(delay(seconds{10}), Duration{});
  EXPECT_EQ(faults.decide(kCheck, kVirtualEpoch + seconds{9}, random).status, 503);
  EXPECT_EQ(faults.decide(kCheck, kVirtualEpoch + seconds{10}, random).status, 0);
}

TEST(Leak, GrowsSlowsAndCrashes) {
  Random random(1);
  FaultState faults = state("leak=1MB,limit=10MB");
  Duration last{};
  for (int i = 1; i < 10; ++i) {
    const Outcome outcome = faults.decide(kRequest, kVirtualEpoch, random);
    EXPECT_EQ(outcome.grow_bytes, 1u << 20);
    EXPECT_GT(outcome.delay, last);
    last = outcome.delay;
    if (i == 5) {
      EXPECT_EQ(outcome.delay, milliseconds{20});
    }
  }
  EXPECT_EQ(faults.decide(kRequest, kVirtualEpoch, random).effect, Effect::Crash);
}

TEST(FaultState, IsAValueAndDecidesTheSameForTheSameSeed) {
  FaultState first = state("errors=5%,burst=9; latency=lognormal(20ms,80ms); leak=1B,limit=1GB");
  Random a(5);
  for (int i = 0; i < 100; ++i) first.decide(kRequest, kVirtualEpoch, a);
  FaultState second = first;
  Random b = a;
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(first.decide(kRequest, kVirtualEpoch, a), second.decide(kRequest, kVirtualEpoch, b));
  }
}

// --- reading ----------------------------------------------------------------------------------

TEST(ParseFaults, BothFormsSurviveTheRoundTrip) {
  for (const char* text :
       {"", "errors=5%,burst=20,code=503,path=/checkout", "errors=0.01%,code=500",
        "latency=lognormal(20ms,80ms),header=X-User:7,share=10%", "latency=20ms..80ms",
        "reset=1%; hang=2%; truncate=3%; wrong-body=4%", "unhealthy", "crash-after=1000",
        "slow-start=30s,latency=500ms", "leak=64KB,limit=64MB"}) {
    const auto faults = parse_faults(text);
    ASSERT_TRUE(faults) << text << ": " << faults.error().message;
    EXPECT_EQ(to_string(*faults), text);
    EXPECT_EQ(faults_from_json(to_json(*faults)), faults) << text;
  }
}

TEST(ParseFaults, JsonMayBeOneFaultOrAList) {
  const auto read = [](const char* text) { return faults_from_json(*parse_json(text)); };
  const auto want = parse_faults("errors=5%,code=503");
  EXPECT_EQ(read(R"({"kind":"errors","share":"5%","code":503})"), want);
  EXPECT_EQ(read(R"([{"kind":"errors","share":"5%","code":503}])"), want);
  EXPECT_EQ(read(R"({"faults":[{"kind":"errors","share":"5%","code":503}]})"), want);
  EXPECT_EQ(read("{}")->size(), 0u);
  EXPECT_EQ(read(R"({"kind":"latency","latency":{"uniform":{"min":"1ms","max":"2ms"}}})"),
            parse_faults("latency=1ms..2ms"));
}

struct BadText {
  const char* text;
  const char* says;
};
class BadFaults : public testing::TestWithParam<BadText> {};
TEST_P(BadFaults, AreRefusedWithWhatIsAllowed) {
  const auto faults = parse_faults(GetParam().text);
  ASSERT_FALSE(faults) << GetParam().text;
  EXPECT_NE(faults.error().message.find(GetParam().says), std::string::npos)
      << faults.error().message;
}
INSTANTIATE_TEST_SUITE_P(
    Text, BadFaults,
    testing::Values(
        BadText{"erors=5%", "allowed are errors, latency"}, BadText{"errors", "write errors=VALUE"},
        BadText{"unhealthy=1", "without a value"}, BadText{"errors=101%", "allowed is 0% to 100%"},
        BadText{"errors=5", "%"}, BadText{"errors=5%,code=99", "200 to 599"},
        BadText{"errors=5%,code=600", "200 to 599"},
        BadText{"errors=5%,color=red", "no setting \"color\""},
        BadText{"errors=5%,code", "write code=VALUE"},
        BadText{"errors=5%,code=500,code=500", "set twice"},
        BadText{"errors=5%,path=x", "must begin with '/'"},
        BadText{"errors=5%,header=x", "NAME:VALUE"}, BadText{"errors=5%,burst=0.5", "1 to 1000000"},
        BadText{"errors=60%,burst=1", "at most 50.0%"},
        BadText{"latency=80ms..20ms", "ends before it begins"},
        BadText{"latency=lognormal(80ms,20ms)", "median <= p99"},
        BadText{"latency=lognormal(80ms", "MEDIAN,P99"}, BadText{"latency=2h", "longer than 1h"},
        BadText{"crash-after=-1", "0 to"}, BadText{"leak=2GB", "1B to 1GB"},
        BadText{"leak=64", "1B to 1GB"}),
    [](const auto& info) { return test::case_name(info.index, info.param.text); });

TEST(ParseFaults, JsonNeedsTheMainSetting) {
  const auto faults = faults_from_json(*parse_json(R"({"kind":"leak"})"));
  ASSERT_FALSE(faults);
  EXPECT_EQ(faults.error().message, "leak needs \"growth\"");
  EXPECT_FALSE(faults_from_json(*parse_json("[1]")));
  EXPECT_FALSE(faults_from_json(*parse_json("3")));
}

TEST(ParseFaults, HasALimitedNumber) {
  std::string text = "unhealthy";
  for (std::size_t i = 1; i < kMaxFaults; ++i) text += ";unhealthy";
  EXPECT_TRUE(parse_faults(text));
  EXPECT_FALSE(parse_faults(text + ";unhealthy"));
}

}  // namespace
}  // namespace coalmine::faults
