#include "mock-aws/services/cloudwatch/metric_store.h"

#include <gtest/gtest.h>

#include "sim/core/random.h"

namespace coalmine::mock {
namespace {

using namespace std::chrono_literals;

MetricDatum datum(TimePoint at, std::vector<double> values, bool high = false) {
  MetricDatum d;
  d.metric = "m";
  d.time = at;
  d.values = std::move(values);
  d.counts.assign(d.values.size(), 1);
  d.high_resolution = high;
  return d;
}

const MetricId kId{"N", "m", {}};

TEST(MetricStore, EverySampleIsInExactlyOnePeriod) {
  for (const std::uint64_t seed : {1, 2, 3, 4, 5}) {
    MetricStore store;
    Random random(seed);
    double sum = 0, count = 0;
    for (int i = 0; i < 2000; ++i) {
      const double value = static_cast<double>(random.below(1000));
      sum += value;
      ++count;
      store.put("N", datum(kVirtualEpoch + std::chrono::seconds(random.below(3600)), {value},
                           random.bernoulli(0.5)));
    }
    for (const Duration period : {Duration{1min}, Duration{5min}, Duration{1h}}) {
      double got_sum = 0, got_count = 0;
      for (const Bucket& bucket :
           store.query(kId, {kVirtualEpoch, kVirtualEpoch + 1h, period}, "", false)) {
        got_sum += bucket.cell.sum;
        got_count += bucket.cell.count;
      }
      EXPECT_EQ(got_sum, sum) << "seed " << seed;
      EXPECT_EQ(got_count, count) << "seed " << seed;
    }
  }
}

TEST(MetricStore, StartIsInsideAndEndIsOutside) {
  MetricStore store;
  for (const auto second : {59s, 60s, 119s, 120s})
    store.put("N", datum(kVirtualEpoch + second, {1}));
  const auto buckets =
      store.query(kId, {kVirtualEpoch + 60s, kVirtualEpoch + 120s, 60s}, "", false);
  ASSERT_EQ(buckets.size(), 1U);
  EXPECT_EQ(buckets[0].start, kVirtualEpoch + 60s);
  EXPECT_EQ(buckets[0].cell.count, 2);
}

TEST(MetricStore, HighResolutionKeepsTheSecond) {
  MetricStore store;
  store.put("N", datum(kVirtualEpoch + 11s, {1}, true));
  store.put("N", datum(kVirtualEpoch + 19s, {2}, true));
  store.put("N", datum(kVirtualEpoch + 20s, {4}, true));
  const auto buckets = store.query(kId, {kVirtualEpoch, kVirtualEpoch + 60s, 10s}, "", false);
  ASSERT_EQ(buckets.size(), 2U);
  EXPECT_EQ(buckets[0].start, kVirtualEpoch + 10s);
  EXPECT_EQ(buckets[0].cell.sum, 3);
}

TEST(MetricStore, DimensionsAreAnExactSet) {
  MetricStore store;
  MetricDatum d = datum(kVirtualEpoch, {1});
  d.dimensions = {{"a", "1"}, {"b", "2"}};
  store.put("N", d);
  const Window window{kVirtualEpoch, kVirtualEpoch + 60s, 60s};
  EXPECT_TRUE(store.query({"N", "m", {{"a", "1"}}}, window, "", false).empty());
  EXPECT_EQ(store.query({"N", "m", d.dimensions}, window, "", false).size(), 1U);
}

TEST(MetricStore, PercentilesAreNearestRank) {
  MetricStore store;
  std::vector<double> values;
  for (int i = 100; i >= 1; --i) values.push_back(i);
  store.put("N", datum(kVirtualEpoch, values));
  const auto buckets = store.query(kId, {kVirtualEpoch, kVirtualEpoch + 60s, 60s}, "", true);
  ASSERT_EQ(buckets.size(), 1U);
  const auto p = [&](const char* text) {
    return *value_of(buckets[0].cell, *parse_statistic(text));
  };
  EXPECT_EQ(p("p99"), 99);
  EXPECT_EQ(p("p50"), 50);
  EXPECT_EQ(p("p99.5"), 100);
  EXPECT_EQ(p("p0"), 1);
  EXPECT_EQ(p("p100"), 100);
  // A trimmed count's lower bound is outside, its upper one inside.
  EXPECT_EQ(p("TC(90:)"), 10);
  EXPECT_EQ(p("TC(:90)"), 90);
  EXPECT_EQ(p("TC(10.5:20)"), 10);
  EXPECT_EQ(p("TC(200:)"), 0);
  EXPECT_EQ(p("TC(0.5:)"), 100);
  for (const char* bad :
       {"p101", "p", "px", "tm90", "IQM", "", "TC(", "TC(1)", "TC(x:)", "TC(10%:90%)", "TC(1:"})
    EXPECT_FALSE(parse_statistic(bad));
}

TEST(MetricStore, StatisticSetsHidePercentilesUnlessAllSamplesAreEqual) {
  MetricStore store;
  store.put_statistics("N", datum(kVirtualEpoch, {}), Cell{10, 50, 1, 9, {}, true});
  store.put_statistics("N", datum(kVirtualEpoch + 60s, {}), Cell{10, 50, 5, 5, {}, true});
  const auto buckets = store.query(kId, {kVirtualEpoch, kVirtualEpoch + 120s, 60s}, "", true);
  ASSERT_EQ(buckets.size(), 2U);
  const Statistic p90 = *parse_statistic("p90");
  EXPECT_FALSE(value_of(buckets[0].cell, p90));
  EXPECT_EQ(value_of(buckets[0].cell, *parse_statistic("Average")), 5);
  EXPECT_EQ(value_of(buckets[1].cell, p90), 5);
}

TEST(MetricStore, OldCellsGoAfterTheirRetention) {
  MetricStore store;
  store.put("N", datum(kVirtualEpoch, {1}, true));
  store.put("N", datum(kVirtualEpoch + kSecondRetention - 1s, {1}, true));
  const Window first_second{kVirtualEpoch, kVirtualEpoch + 1s, 1s};
  EXPECT_EQ(store.query(kId, first_second, "", false).size(), 1U);
  store.put("N", datum(kVirtualEpoch + kSecondRetention, {1}, true));
  EXPECT_TRUE(store.query(kId, first_second, "", false).empty());
  const Window first_minute{kVirtualEpoch, kVirtualEpoch + 60s, 60s};
  EXPECT_EQ(store.query(kId, first_minute, "", false).size(), 1U);
  store.put("N", datum(kVirtualEpoch + kMinuteRetention, {1}));
  EXPECT_TRUE(store.query(kId, first_minute, "", false).empty());
}

TEST(MetricStore, ManyDistinctValuesStayWithinOneIn128) {
  MetricStore store;
  Random random(7);
  std::vector<double> all;
  for (int i = 0; i < 20'000; ++i) {
    all.push_back(random.lognormal(0, 1));
    store.put("N", datum(kVirtualEpoch, {all.back()}));
  }
  std::sort(all.begin(), all.end());
  const auto buckets = store.query(kId, {kVirtualEpoch, kVirtualEpoch + 60s, 60s}, "", true);
  EXPECT_LE(buckets[0].cell.values.size(), kMaxDistinctValues);
  for (const double percent : {1.0, 50.0, 99.0}) {
    const double truth = all[static_cast<std::size_t>(percent * 200) - 1];
    const double got = *value_of(buckets[0].cell, {Statistic::Kind::Percentile, percent});
    EXPECT_NEAR(got, truth, truth / 128) << percent;
  }
}

}  // namespace
}  // namespace coalmine::mock
