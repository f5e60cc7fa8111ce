#include "sim/core/units.h"

#include <gtest/gtest.h>

#include "sim/core/histogram.h"
#include "sim/core/json.h"
#include "sim/core/random.h"

namespace coalmine {
namespace {

using namespace std::chrono_literals;

TEST(Units, DurationsReadWhatTheyPrint) {
  for (const Duration d : {Duration{0s}, Duration{10min}, Duration{90min}, Duration{250ms},
                           Duration{1500us}, Duration{7ns}, Duration{25h}}) {
    EXPECT_EQ(parse_duration(to_string(d)).value(), d) << to_string(d);
  }
  EXPECT_EQ(parse_duration("1.5s").value(), Duration{1500ms});
  EXPECT_EQ(parse_duration("1d").value(), Duration{24h});
}

TEST(Units, EveryRefusalSaysWhatIsAllowed) {
  for (const char* bad : {"", "10", "m", "-1s", "10 m", "1x", "inf", "1e3s", "20000d"}) {
    ASSERT_FALSE(parse_duration(bad)) << bad;
  }
  EXPECT_NE(parse_duration("10").error().message.find("as in 10m"), std::string::npos);
  EXPECT_FALSE(parse_percent("1"));
  EXPECT_FALSE(parse_percent("%"));
  EXPECT_EQ(parse_percent("0.01%")->value, 0.01);
  EXPECT_EQ(parse_percent("-1%")->value, -1);
  EXPECT_EQ(parse_rate("6/m")->per_s, 0.1);
  EXPECT_FALSE(parse_rate("100"));
  EXPECT_FALSE(parse_integer("11", "count", 1, 10));
  EXPECT_EQ(parse_integer("10", "count", 1, 10).value(), 10);
}

TEST(Time, PrintsIso8601) {
  EXPECT_EQ(to_iso8601(kVirtualEpoch), "2026-01-01T00:00:00Z");
  EXPECT_EQ(to_iso8601_millis(kVirtualEpoch + 36h + 1234ms), "2026-01-02T12:00:01.234Z");
  EXPECT_EQ(to_stopwatch(70s), "1:10.000");
  EXPECT_EQ(to_stopwatch(3723s + 5ms), "1:02:03.005");
}

TEST(Histogram, QuantilesStayWithinOneIn128) {
  Histogram histogram;
  std::vector<double> values;
  Random random(9);
  for (int i = 0; i < 20000; ++i) {
    const Duration d = from_seconds(random.lognormal(-4, 1));
    histogram.add(d);
    values.push_back(static_cast<double>(d / 1us));
  }
  std::sort(values.begin(), values.end());
  for (const double q : {0.01, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const double truth = values[static_cast<std::size_t>(std::ceil(q * 20000)) - 1];
    const double got = static_cast<double>(histogram.quantile(q) / 1us);
    EXPECT_GE(got, truth) << q;
    EXPECT_LE(got, truth * (1 + 1.0 / 128) + 1) << q;
  }
  EXPECT_EQ(histogram.count(), 20000U);
}

TEST(Histogram, MergingEqualsAddingTogether) {
  Histogram a, b, both;
  for (int i = 0; i < 1000; ++i) {
    (i % 3 != 0 ? a : b).add(std::chrono::microseconds(i * i));
    both.add(std::chrono::microseconds(i * i));
  }
  a.merge(b);
  EXPECT_EQ(a, both);
  EXPECT_EQ(Histogram{}.quantile(0.5), Duration{});
}

TEST(Json, ErrorsNameLineAndColumn) {
  const auto bad = parse_json("{\n  \"a\": tru\n}", "x.json");
  ASSERT_FALSE(bad);
  EXPECT_EQ(to_string(bad.error()).rfind("x.json:2:11: error: not valid JSON", 0), 0U)
      << to_string(bad.error());
  EXPECT_FALSE(parse_json(std::string(500, '[')));
}

}  // namespace
}  // namespace coalmine
