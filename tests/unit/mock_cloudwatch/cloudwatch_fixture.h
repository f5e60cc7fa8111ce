#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "mock-aws/services/cloudwatch/cloudwatch.h"
#include "sim/core/json.h"

namespace coalmine::mock {

struct Recorder : EventSink {
  void event(TimePoint, std::string_view name, Json fields) override {
    fields["event"] = name;
    events.push_back(std::move(fields));
  }
  std::vector<Json> events;
};

/// A CloudWatch at a time that the test moves.
struct CloudWatchTest : testing::Test {
  TimePoint now = kVirtualEpoch;
  Recorder recorder;
  Random random{1};
  CloudWatch cloudwatch{Scope{}, Random(1), recorder};

  Reply call(const char* operation, const Json& input) {
    CallContext context{now, "000000000000", "us-east-1", "", random};
    return cloudwatch.call(operation, input, context);
  }
  Json ok(const char* operation, const Json& input) {
    const Reply reply = call(operation, input);
    EXPECT_TRUE(reply) << operation << ": " << (reply ? "" : reply.error().message);
    return reply ? *reply : Json();
  }
  static double epoch(TimePoint t) { return to_epoch_seconds(t); }

  void put(const char* metric, double value, TimePoint at, double count = 1) {
    MetricDatum datum;
    datum.metric = metric;
    datum.time = at;
    datum.unit = "Count";
    datum.values = {value};
    datum.counts = {count};
    cloudwatch.put_metrics("Test", {datum}, now);
  }
};

}  // namespace coalmine::mock
