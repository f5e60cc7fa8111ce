// The file format: what loads, and every problem with its place.
#include <filesystem>

#include "sim/scenario/scenario.h"
#include "sim/scenario/trace_file.h"
#include "tests/support/golden.h"

namespace coalmine::scenario {
namespace {

std::string problems_of(const std::string& text) {
  std::string out;
  for (const Error& problem : load_scenario(text, "test.yaml").problems) {
    out += render_problem(problem, text);
  }
  return out;
}

/// A good file with one line replaced, so that each case shows one problem.
std::string with(const std::string& key, const std::string& line) {
  std::map<std::string, std::string> lines = {
      {"clock", "  clock: {seed: 42, limit: 60m}"},
      {"traffic",
       "  traffic: {rate: 100/s, segments: [{name: checkout, path: /checkout, share: 2%}]}"},
      {"v1", "    v1: {tasks: 4, capacity: 60/s, errors: 0.1%}"},
      {"v2", "    v2: {tasks: 1, errors: 5%}"},
      {"plan", "  plan: [{weight: 1%}, {bake: 10m}, {promote: v2}]"},
      {"analysis", "  analysis: [{metric: errors, test: error-share}]"},
      {"when", "when: [{at: 2m, fault: {target: v2, kind: reset, share: 1%, for: 30s}}]"},
      {"then", "then: [{outcome: rolled-back}]"},
  };
  if (!key.empty()) lines[key] = line;
  return "scenario: test\ngiven:\n" + lines["clock"] + "\n" + lines["traffic"] + "\n  versions:\n" +
         lines["v1"] + "\n" + lines["v2"] + "\nrollout:\n" + lines["plan"] + "\n" +
         lines["analysis"] + "\n" + lines["when"] + "\n" + lines["then"] + "\n";
}

TEST(Load, EveryKindOfProblemNamesPlaceAndWhatIsAllowed) {
  const std::pair<const char*, const char*> cases[] = {
      {"clock", "  clok: {seed: 42}"},
      {"clock", "  clock: {seed: -1}"},
      {"clock", "  clock: {seed: \"42\"}"},
      {"clock", "  clock: {limit: 60}"},
      {"clock", "  clock: {limit: 5m}"},
      {"clock", "  clock: [seed]"},
      {"clock", "  platform: {metric-period: 20s}"},
      {"traffic", "  traffic: {rate: fast}"},
      {"traffic", "  traffic: {arrivals: poisson}"},
      {"traffic",
       "  traffic: {rate: 1/s, segments: [{name: a, share: 60%}, {name: b, share: 50%}]}"},
      {"traffic", "  traffic: {rate: 1/s, segments: [{name: a, share: 1%}, {name: a, share: 1%}]}"},
      {"v1", "    v1: {tasks: 4, tasks: 5}"},
      {"v1", "    v1: {latency: {lognormal: {median: 90ms, p99: 80ms}}}"},
      {"v1", "    v1: {latency: {fixed: 1ms, uniform: {low: 1ms, high: 2ms}}}"},
      {"v2", "    v2: {errors: 101%}"},
      {"v2", "    v1: {errors: 5%}"},
      {"v2", "    # no second version"},
      {"plan", "  plan: [{weight: 150%}, {bake: 10m}]"},
      {"plan", "  plan: []"},
      {"plan", "  plan: [{wieght: 1%}]"},
      {"plan", "  plan: [{weight: 1%}, {bake: 10m}, {promote: v3}]"},
      {"plan", "  plan: [{bake: 10m}, {weight: 1%}, {promote: v2}]"},
      {"plan", "  plan: [{promote: v2}, {weight: 1%}]"},
      {"plan", "  plan: [{weight: 1%, bake: 10m}]"},
      {"plan", "  plan: {weight: 1%}"},
      {"analysis", "  analysis: [{metric: errors, test: sprt, from: 5%, to: 1%}]"},
      {"analysis", "  analysis: [{metric: latency, test: sprt, from: 1%, to: 5%}]"},
      {"analysis", "  analysis: [{metric: latency, test: error-share}]"},
      {"analysis", "  analysis: [{metric: errors, test: threshold, max: 250ms}]"},
      {"analysis", "  analysis: [{metric: errors, test: error-share, alpha: 2}]"},
      {"analysis", "  analysis: [{metric: errors, test: error-share, over: 2s}]"},
      {"when", "when: [{at: 2h, operator: abort}]"},
      {"when", "when: [{at: 2m, fault: {target: v9, kind: reset}}]"},
      {"when", "when: [{at: 2m, fault: {target: v2, kind: latency}}]"},
      {"when", "when: [{at: 2m, fault: {target: v2, kind: reset, segment: search}}]"},
      {"when", "when: [{at: 2m, operator: abort, fault: {target: v2, kind: reset}}]"},
      {"when", "when: [{at: 2m, weights: {v3: 1}}]"},
      {"traffic", "  traffic: {rate: 1/s, trace: day.csv}"},
      {"traffic", "  traffic: {trace: no-such-file.csv}"},
      {"traffic", "  traffic: {rate: 1/s, diurnal: {low: 101%}}"},
      {"traffic", "  traffic: {rate: 1/s, segments: [{name: a, share: 1%, header: beta}]}"},
      {"v1", "    v1: {queue: 10}"},
      {"v1", "    v1: {concurrency: 0}"},
      {"v2", "    v2: {faults: [{kind: crash, share: 50%, warm-up: 3s}]}"},
      {"v2", "    v2: {faults: [{kind: slow-start}]}"},
      {"v2", "    v2: {faults: [{kind: leak, growth: 64kB}]}"},
      {"v2", "    v2: {faults: [{kind: leak}]}"},
      {"v2", "    v2: {faults: [{kind: errors, share: 96%, burst: 20}]}"},
      {"v2", "    v2: {faults: [{kind: unhealthy, burst: 20}]}"},
      {"v2", "    v2: {faults: [{kind: errors, header: 'X User: a'}]}"},
      {"v2", "    v2: {faults: [{kind: errors, segment: checkout, path: /checkout}]}"},
      {"clock", "  platform: {metric-loss: 120%}"},
      {"when", "when: [{at: 2m, throttle: {share: 200%}}]"},
      {"when", "when: [{at: 2m, tasks: {v3: 1}}]"},
      {"when", "when: [{at: 2m, tasks: {v1: -1}}]"},
      {"then", "then: []"},
      {"then", "then: [{outcome: rolled_back}]"},
      {"then", "then: [{final-weights: {v3: 100}}]"},
      {"then", "then: [{blast-radius: {}}]"},
      {"then", "then: [{blast-radius: {requests: {min: 5, max: 4}}}]"},
      {"then", "then: [{dropped-requests: none}]"},
      {"then", "then: [{decision: {metric: latency}}]"},
      {"analysis", "  analysis: [{metric: errors, test: error-share, segments: [search]}]"},
      {"analysis",
       "  analysis: [{metric: errors, test: error-share, segments: [checkout, checkout]}]"},
      {"analysis", "  analysis: [{metric: errors, test: error-share, segments: []}]"},
      {"analysis", "  analysis: [{metric: errors, test: error-share, needs-data: each-segment}]"},
      {"analysis",
       "  analysis: [{metric: errors, test: threshold, max: 1%, segments: [checkout]}]"},
      {"analysis",
       "  analysis: [{metric: latency, test: bernoulli, over: 1s, at-most: 1%, segments: "
       "[checkout]}]"},
      {"then", "then: [{blast-radius: {segment: search, errors: 1}}]"},
      {"then", "then: [{decision: {metric: errors, segment: search}}]"},
      {"then", "then: [{alarm: {name: v2-5xx}}]"},
      {"then", "then: [{alarm: {name: v2-5xx, state: never-red, max: 2m}}]"},
      {"then", "then: [{alarm: {name: v2-5xx, min: 3m, max: 2m}}]"},
      {"then", "then: {outcome: promoted}"},
      {"then", "then: &a [{outcome: promoted}]"},
      {"then", "then: [{outcome: promoted}\n"},
      {"then", "then: [{outcome: promoted}]\n---\nscenario: two"},
  };
  std::string all;
  for (const auto& [key, line] : cases) {
    const std::string found = problems_of(with(key, line));
    EXPECT_FALSE(found.empty()) << line;
    all += found + "\n";
  }
  EXPECT_GOLDEN("scenario/problems.txt", all);
}

TEST(Load, AnAlarmThatIsCheckedIsDeclaredAndWatched) {
  std::string text = with("then", "then: [{alarm: {name: red}}, {alarm: {name: green}}]");
  text.replace(text.find("rollout:"), 8,
               "  alarms: [{name: red, metric: errors, statistic: sum, threshold: 1}, {name: blue, "
               "metric: errors, statistic: sum, threshold: 1}]\n"
               "rollout:\n  alarms: {watch: [blue]}");
  const std::string found = problems_of(text);
  EXPECT_NE(found.find("the rollout does not watch the alarm \"red\""), std::string::npos) << found;
  EXPECT_NE(found.find("there is no alarm \"green\" (allowed: red, blue)"), std::string::npos);
  text.replace(text.find("[blue]"), 6, "[red]");
  text.replace(text.find("green"), 5, "red, state: never-red");
  EXPECT_EQ(problems_of(text), "");
}

TEST(Load, ReportsAllProblemsOfAFileInItsOrder) {
  std::string text = with("v1", "    v1: {tasks: none}");
  text.replace(text.find("outcome"), 7, "outcom");
  text.replace(text.find("target: v2"), 10, "target: v7");
  const Loaded loaded = load_scenario(text, "test.yaml");
  ASSERT_EQ(loaded.problems.size(), 4u);  // "then" has no check then, too
  for (std::size_t i = 1; i < loaded.problems.size(); ++i) {
    EXPECT_LE(loaded.problems[i - 1].place->line, loaded.problems[i].place->line);
  }
  EXPECT_FALSE(loaded.scenario);
}

TEST(Load, AGoodFileBecomesASpec) {
  const Loaded loaded = load_scenario(with("", ""), "test.yaml");
  ASSERT_TRUE(loaded.scenario) << problems_of(with("", ""));
  const world::Spec& spec = loaded.scenario->spec;
  EXPECT_EQ(spec.seed, 42u);
  EXPECT_EQ(spec.plan.stable, "v1");
  EXPECT_EQ(spec.plan.canary, "v2");
  EXPECT_EQ(spec.plan.steps.size(), 3u);
  EXPECT_EQ(spec.versions[0].capacity->per_s, 60);
  EXPECT_EQ(spec.versions[1].faults.size(), 1u);
  EXPECT_EQ(spec.events.size(), 1u);
}

TEST(Load, TheGatewayOfAnAlbHasItsOwnRules) {
  const std::string alb = "  plan: [{weight: 1%}, {bake: 10m}, {promote: v2}]\n  traffic: alb";
  const Loaded plain = load_scenario(with("plan", alb), "test.yaml");
  ASSERT_TRUE(plain.scenario);
  EXPECT_EQ(plain.scenario->spec.platform.metric_period, std::chrono::minutes{1});
  std::string text = with("plan", alb);
  text.replace(text.find("  clock:"), 0, "  platform: {metric-period: 10s}\n");
  EXPECT_NE(problems_of(text).find("a load balancer's metrics come by the minute"),
            std::string::npos);
  text = with("plan", alb);
  for (auto at = text.find("v1"); at != std::string::npos; at = text.find("v1", at + 3)) {
    text.replace(at, 2, "v.1");
  }
  EXPECT_NE(problems_of(text).find("\"v.1\" cannot be part of a target group's name"),
            std::string::npos);
}

TEST(Load, AFaultNeedsASegmentThatItCanTell) {
  std::string text =
      with("traffic", "  traffic: {rate: 100/s, segments: [{name: checkout, share: 2%}]}");
  text.replace(text.find("share: 1%"), 9, "segment: checkout");
  EXPECT_NE(problems_of(text).find("neither a path nor a header of its own"), std::string::npos);
}

TEST(Load, ATestPerSegmentNeedsSegmentsThatMetricsCanTell) {
  std::string text = with("analysis",
                          "  analysis: [{metric: errors, test: error-share, segments: "
                          "[checkout]}]");
  const Loaded good = load_scenario(text, "test.yaml");
  ASSERT_TRUE(good.scenario) << problems_of(text);
  EXPECT_EQ(good.scenario->spec.plan.analyses[0].segments, std::vector<std::string>{"checkout"});
  text.replace(text.find(", path: /checkout"), 17, "");
  EXPECT_NE(problems_of(text).find("test.yaml:10:61: error: the segment \"checkout\" has neither a "
                                   "path nor a header of its own, so a metric cannot tell"),
            std::string::npos)
      << problems_of(text);
}

TEST(Load, EveryFaultKindIsThatOfTheSampleApp) {
  const std::pair<const char*, const char*> cases[] = {
      {"{kind: errors, share: 5%, status: 503, burst: 20}", "errors=5%,burst=20,code=503"},
      {"{kind: latency, latency: {uniform: {low: 1ms, high: 9ms}}, path: /a}",
       "latency=1ms..9ms,path=/a"},
      {"{kind: latency, latency: {lognormal: {median: 1ms, p99: 9ms}}}",
       "latency=lognormal(1ms,9ms)"},
      {"{kind: reset, share: 1%, header: \"X-User: beta\"}", "reset=1%,header=X-User:beta"},
      {"{kind: hang, share: 1%, segment: checkout}", "hang=1%,path=/checkout"},
      {"{kind: truncate, share: 1%}", "truncate=1%"},
      {"{kind: wrong-body, share: 1%}", "wrong-body=1%"},
      {"{kind: unhealthy}", "unhealthy"},
      {"{kind: crash, after: 1000}", "crash-after=1000"},
      {"{kind: slow-start, warm-up: 30s}", "slow-start=30s"},
      {"{kind: leak, growth: 64KB, memory: 32MB}", "leak=64KB,limit=32MB"},
  };
  for (const auto& [yaml, text] : cases) {
    const Loaded loaded =
        load_scenario(with("v2", fmt::format("    v2: {{faults: [{}]}}", yaml)), "test.yaml");
    for (const Error& problem : loaded.problems) ADD_FAILURE() << yaml << to_string(problem);
    if (!loaded.scenario) continue;
    const world::Spec& spec = loaded.scenario->spec;
    EXPECT_EQ(std::vector{world::to_fault(spec, spec.versions[1].faults[0])},
              *faults::parse_faults(text));
  }
}

TEST(Trace, LinesAreReadAndEveryProblemHasItsPlace) {
  Reader reader("test.yaml");
  std::vector<world::TracePoint> points;
  EXPECT_TRUE(parse_trace("t,rate\n# night\n0,10\n\n60, 25.5\r\n", "t.csv", reader, points));
  ASSERT_EQ(points.size(), 2u);
  EXPECT_EQ(points[1].at, std::chrono::minutes{1});
  EXPECT_EQ(points[1].rate.per_s, 25.5);
  const std::pair<const char*, const char*> cases[] = {
      {"5,1\n", "t.csv:1:1: error: the first line must be at 0 seconds"},
      {"0,1\n60,2\n60,3\n", "t.csv:3:1: error: the seconds must rise from line to line"},
      {"0,1\n60;2\n", "t.csv:2:1: error: \"60;2\" is not a line SECONDS,REQUESTS_PER_SECOND"},
      {"0,-1\n", "t.csv:1:1: error: \"0,-1\" is not a line SECONDS,REQUESTS_PER_SECOND"},
      {"0,99999999\n",
       "t.csv:1:1: error: allowed are up to 2592000 s and 10000000 requests per second"},
      {"", "t.csv: error: there is no line SECONDS,REQUESTS_PER_SECOND"},
  };
  for (const auto& [text, want] : cases) {
    Reader each("test.yaml");
    points.clear();
    EXPECT_FALSE(parse_trace(text, "t.csv", each, points)) << text;
    ASSERT_FALSE(each.problems().empty());
    EXPECT_EQ(to_string(each.problems()[0]), want);
  }
}

TEST(Load, LatencyLeftOutIsThatOfTheStableVersion) {
  const Loaded loaded = load_scenario(with("v1", "    v1: {latency: {fixed: 7ms}}"), "test.yaml");
  ASSERT_TRUE(loaded.scenario);
  EXPECT_EQ(loaded.scenario->spec.versions[1].latency,
            world::Latency(world::FixedLatency{std::chrono::milliseconds{7}}));
}

TEST(Load, TheSameFileAsJsonLoads) {
  const Loaded loaded = load_scenario(
      R"({"scenario":"j","given":{"traffic":{"rate":"1/s"},"versions":{"v1":{},"v2":{}}},)"
      R"("rollout":{"plan":[{"weight":"1%"},{"bake":"1m"},{"promote":"v2"}]},)"
      R"("then":[{"outcome":"promoted"},{"dropped-requests":0}]})",
      "test.json");
  EXPECT_TRUE(loaded.scenario);
}

TEST(Load, GarbageIsAProblemNotACrash) {
  for (const char* text : {"", "\n", "null", "[]", "{", "a: b: c", "\"", "- - -", "scenario",
                           "? [a]\n: b", "!!str x", "*a", "\xff\xfe", "%YAML 9"}) {
    EXPECT_FALSE(load_scenario(text, "x").problems.empty()) << text;
  }
  EXPECT_FALSE(load_scenario(std::string(100'000, '['), "x").problems.empty());
  EXPECT_FALSE(load_scenario(std::string(2 << 20, ' '), "x").problems.empty());
}

TEST(Load, AMissingFileIsTheEnvironmentsFault) {
  const Loaded loaded = load_scenario_file("no/such/file.yaml");
  ASSERT_EQ(loaded.problems.size(), 1u);
  EXPECT_EQ(loaded.problems[0].kind, ErrorKind::Environment);
}

TEST(Schema, TheFileInTheLibraryIsTheParsersOwn) {
  EXPECT_EQ(test::read_file("scenarios/scenario.schema.json"),
            dump_json(scenario_schema(), 2) + "\n");
}

TEST(Library, EveryScenarioLoads) {
  int count = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator("scenarios")) {
    if (entry.path().extension() != ".yaml") continue;
    ++count;
    const Loaded loaded = load_scenario_file(entry.path().string());
    for (const Error& problem : loaded.problems) ADD_FAILURE() << to_string(problem);
  }
  EXPECT_GE(count, 3);
}

}  // namespace
}  // namespace coalmine::scenario
