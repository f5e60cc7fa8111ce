#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "mock-aws/services/cloudwatch/cloudwatch.h"
#include "sim/core/json.h"
#include "tests/support/service_harness.h"

namespace coalmine::mock {

/// A CloudWatch at a time that the test moves.
struct CloudWatchTest : test::ServiceTest<CloudWatch> {
  CloudWatch& cloudwatch = service;

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
