// What a rollout's polling costs: GetMetricData as the controller asks it, a batch of metrics as
// the virtual world writes it, and a minute's evaluation of an alarm.
#include <benchmark/benchmark.h>

#include <nlohmann/json.hpp>

#include "mock-aws/services/cloudwatch/cloudwatch.h"

namespace coalmine::mock {
namespace {

using namespace std::chrono_literals;

struct Silent : EventSink {
  void event(TimePoint, std::string_view, Json) override {}
};

struct World {
  Silent silent;
  Random random{1};
  CloudWatch cloudwatch{Scope{}, Random(1), silent};
  TimePoint now = kVirtualEpoch;

  World() {
    for (int i = 0; i < 360; ++i) write();
  }
  /// One period of 10 s: two versions, counts and a latency distribution of 50 values.
  void write() {
    std::vector<MetricDatum> data;
    for (const char* version : {"v1", "v2"}) {
      MetricDatum datum{
          "requests", {{"Mesh", "m"}, {"VirtualNode", version}}, now, "Count", {1000}, {1}, true};
      data.push_back(datum);
      datum.metric = "errors";
      data.push_back(datum);
      datum.metric = "latency";
      datum.values.clear();
      for (int i = 0; i < 50; ++i) datum.values.push_back(0.02 * (1 + i));
      datum.counts.assign(50, 20);
      data.push_back(std::move(datum));
    }
    cloudwatch.put_metrics("App", data, now);
    now += 10s;
  }
  Reply call(const char* operation, const Json& input) {
    CallContext context{now, "", "", "", random};
    return cloudwatch.call(operation, input, context);
  }
  Json ask(const char* stat, Duration span) const {
    Json queries = Json::array();
    for (const char* version : {"v1", "v2"}) {
      for (const char* metric : {"requests", "errors"}) {
        queries.push_back(
            {{"Id", fmt::format("{}_{}", metric, version)},
             {"MetricStat",
              {{"Metric",
                {{"Namespace", "App"},
                 {"MetricName", stat[0] == 'p' ? "latency" : metric},
                 {"Dimensions", Json::array({{{"Name", "Mesh"}, {"Value", "m"}},
                                             {{"Name", "VirtualNode"}, {"Value", version}}})}}},
               {"Period", 10},
               {"Stat", stat}}}});
      }
    }
    return {{"MetricDataQueries", std::move(queries)},
            {"StartTime", to_epoch_seconds(now - span)},
            {"EndTime", to_epoch_seconds(now)}};
  }
};

void GetMetricData(benchmark::State& state) {
  World world;
  const Json input = world.ask("Sum", std::chrono::seconds(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(world.call("GetMetricData", input));
}
BENCHMARK(GetMetricData)->Arg(60)->Arg(600);

void GetPercentiles(benchmark::State& state) {
  World world;
  const Json input = world.ask("p99", 60s);
  for (auto _ : state) benchmark::DoNotOptimize(world.call("GetMetricData", input));
}
BENCHMARK(GetPercentiles);

void PutBatch(benchmark::State& state) {
  World world;
  for (auto _ : state) world.write();
}
BENCHMARK(PutBatch);

void EvaluateAlarm(benchmark::State& state) {
  World world;
  Json alarm = {{"AlarmName", "errors"},
                {"Namespace", "App"},
                {"MetricName", "errors"},
                {"Dimensions", Json::array({{{"Name", "Mesh"}, {"Value", "m"}},
                                            {{"Name", "VirtualNode"}, {"Value", "v2"}}})},
                {"Statistic", "Sum"},
                {"Period", 60},
                {"EvaluationPeriods", 3},
                {"Threshold", 1e9},
                {"ComparisonOperator", "GreaterThanThreshold"}};
  if (!world.call("PutMetricAlarm", alarm)) state.SkipWithError("the alarm was refused");
  for (auto _ : state) {
    state.PauseTiming();
    for (int i = 0; i < 6; ++i) world.write();
    state.ResumeTiming();
    world.cloudwatch.tick(world.now);
  }
}
BENCHMARK(EvaluateAlarm)->Iterations(2000);

}  // namespace
}  // namespace coalmine::mock
