// Whole runs in virtual time: determinism, verdicts and what the reports look like.
#include <nlohmann/json.hpp>
#include <set>

#include "sim/engine/direct_plane.h"
#include "sim/engine/mock_plane.h"
#include "sim/engine/simulation.h"
#include "sim/scenario/report.h"
#include "sim/scenario/runs.h"
#include "tests/support/golden.h"

namespace coalmine::scenario {
namespace {

Result<world::Record> play(const world::Spec& spec, const world::RunOptions& options) {
  return engine::simulate(spec, options, engine::make_plane);
}

std::vector<Scenario> library() {
  std::vector<Scenario> scenarios;
  const auto files = find_scenario_files({"scenarios"});
  for (const std::string& file : *files) {
    Loaded loaded = load_scenario_file(file);
    if (loaded.scenario) scenarios.push_back(*std::move(loaded.scenario));
  }
  return scenarios;
}

TEST(Runs, TheLibraryPasses) {
  const std::vector<Scenario> scenarios = library();
  for (const RunResult& result : run_all(scenarios, {}, play)) {
    EXPECT_TRUE(result.passed()) << result.scenario->name << "\n" << render_checks(result, false);
  }
}

TEST(Runs, SameSeedSameBytesWhateverTheJobs) {
  const std::vector<Scenario> scenarios = library();
  RunPlan plan;
  plan.seeds = 3;
  const std::string once = render_report(ReportKind::Json, run_all(scenarios, plan, play));
  plan.jobs = 4;
  EXPECT_EQ(once, render_report(ReportKind::Json, run_all(scenarios, plan, play)));
}

Result<world::Record> play_plain(const world::Spec& spec, const world::RunOptions& options) {
  return engine::simulate(spec, options, engine::make_direct_plane);
}

/// AWS's bytes in between change nothing that the rollout can see.
TEST(Runs, TheMockAndPlainValuesGiveTheSameStory) {
  std::vector<Scenario> scenarios = library();
  const std::size_t n = scenarios.size();
  for (std::size_t i = 0; i < n; ++i) {
    scenarios.push_back(scenarios[i]);
    scenarios.back().spec.plan.traffic = rollout::TrafficApi::Alb;
    scenarios.back().spec.platform.metric_period = std::chrono::minutes{1};
  }
  // Throttled calls and a load balancer's health checks are AWS's own.
  std::erase_if(scenarios, [](const Scenario& s) { return !engine::plain_values_suffice(s.spec); });
  RunPlan plan;
  plan.seeds = 3;
  const auto mock = run_all(scenarios, plan, play);
  auto plain = run_all(scenarios, plan, play_plain);
  ASSERT_EQ(mock.size(), plain.size());
  for (std::size_t i = 0; i < mock.size(); ++i) {
    ASSERT_TRUE(mock[i].record && plain[i].record);
    EXPECT_NE(plain[i].record->fidelity_reason, mock[i].record->fidelity_reason);
    plain[i].record->fidelity_reason = mock[i].record->fidelity_reason;
    EXPECT_EQ(dump_json(report_json({mock[i]}), 1), dump_json(report_json({plain[i]}), 1));
  }
}

TEST(Runs, ShardsTogetherAreTheWhole) {
  std::vector<Scenario> scenarios = library();
  std::erase_if(scenarios, [](const Scenario& s) { return s.spec.limit > std::chrono::hours{1}; });
  scenarios.resize(3);
  RunPlan plan;
  plan.seeds = 5;
  const auto runs = [&] {
    std::multiset<std::string> text;
    for (const RunResult& one : run_all(scenarios, plan, play)) {
      text.insert(dump_json(report_json({one}), 1));
    }
    return text;
  };
  const auto whole = runs();
  std::multiset<std::string> parts;
  for (int i = 1; i <= 4; ++i) {
    plan.shard = {i, 4};
    parts.merge(runs());
  }
  EXPECT_EQ(whole.size(), 15u);
  EXPECT_EQ(whole, parts);
}

TEST(Runs, ShardsAreReadStrictly) {
  EXPECT_EQ(parse_shard("2/5")->index, 2);
  for (const char* bad : {"", "2", "0/5", "6/5", "a/b", "1/0", "1/5x"}) {
    EXPECT_FALSE(parse_shard(bad)) << bad;
  }
}

/// One passing and one failing run, as every report shows them.
class Reports : public testing::Test {
 protected:
  void SetUp() override {
    scenarios_ = library();
    std::erase_if(scenarios_,
                  [](const Scenario& s) { return s.name != "faulty-v2-is-rolled-back"; });
    ASSERT_EQ(scenarios_.size(), 1u);
    scenarios_.push_back(scenarios_[0]);
    scenarios_[1].name = "expects-too-much";
    scenarios_[1].checks = {{OutcomeCheck{world::Outcome::Promoted}, {"too-much.yaml", 9, 5}},
                            {DroppedRequestsCheck{{0, 0}}, {"too-much.yaml", 10, 5}}};
    results_ = run_all(scenarios_, {}, play);
  }
  std::vector<Scenario> scenarios_;
  std::vector<RunResult> results_;
};

TEST_F(Reports, Timeline) {
  EXPECT_GOLDEN("scenario/faulty-v2.timeline", render_timeline(*results_[0].record));
}
TEST_F(Reports, Table) {
  EXPECT_GOLDEN("scenario/table.txt", render_table(results_, false));
}
TEST_F(Reports, Junit) {
  EXPECT_GOLDEN("scenario/report.xml", report_junit(results_));
}
TEST_F(Reports, Markdown) {
  EXPECT_GOLDEN("scenario/report.md", report_markdown(results_));
}
TEST_F(Reports, Github) {
  EXPECT_GOLDEN("scenario/github.txt", report_github(results_));
}

TEST_F(Reports, JsonHasTheShapeOfTheContract) {
  const Json json = report_json(results_);
  EXPECT_EQ(json["version"], 1);
  EXPECT_EQ(json["passed"], 1);
  EXPECT_EQ(json["failed"], 1);
  for (const char* key : {"name", "file", "seed", "mode", "outcome", "passed", "duration_s",
                          "checks", "metrics", "timeline"}) {
    EXPECT_TRUE(json["scenarios"][0].contains(key)) << key;
  }
  for (const char* key : {"requests", "canary_requests", "failed_requests",
                          "canary_failed_requests", "blast_radius", "time_to_detect_s"}) {
    EXPECT_TRUE(json["scenarios"][0]["metrics"].contains(key)) << key;
  }
  EXPECT_TRUE(json["scenarios"][0]["timeline"][0].contains("t_s"));
  EXPECT_TRUE(json["scenarios"][0]["timeline"][0].contains("event"));
}

TEST(Verdict, AnAlarmIsRedWhenTheRolloutSeesIt) {
  Loaded loaded = load_scenario_file("scenarios/alarms/the-clock-of-an-alarm.yaml");
  ASSERT_TRUE(loaded.scenario);
  Scenario& scenario = *loaded.scenario;
  const auto evaluated = [](int second, const char* verdict, const char* test = "alarm") {
    return rollout::Event{TimePoint{std::chrono::seconds{second}},
                          "analysis.evaluated",
                          {{"metric", std::string("v2-5xx")},
                           {"test", std::string(test)},
                           {"verdict", std::string(verdict)}}};
  };
  world::Record record;
  record.versions.resize(2);
  record.timeline = {evaluated(50, "fail", "threshold"), evaluated(60, "continue"),
                     evaluated(120, "fail"), evaluated(180, "continue"), evaluated(240, "fail")};
  using std::chrono::minutes;
  struct Case {
    AlarmCheck check;
    bool passes;
    const char* actual;
  };
  const Case cases[] = {
      {{"v2-5xx", true, {}}, true, "v2-5xx red after 2m"},
      {{"v2-5xx", true, {minutes{2}, minutes{2}}}, true, "v2-5xx red after 2m"},
      {{"v2-5xx", true, {minutes{3}, {}}}, false, "v2-5xx red after 2m"},
      {{"v2-5xx", true, {{}, minutes{1}}}, false, "v2-5xx red after 2m"},
      {{"v2-5xx", false, {}}, false, "v2-5xx red after 2m"},
      {{"other", false, {}}, false, "nobody watched other"},
  };
  const auto judged = [&](const AlarmCheck& check) {
    scenario.checks = {{check, {}}};
    return verdict(scenario, record)[0];
  };
  for (const Case& one : cases) {
    const CheckResult result = judged(one.check);
    EXPECT_EQ(result.passed, one.passes) << result.expected;
    EXPECT_EQ(result.actual, one.actual);
  }
  record.timeline.resize(2);
  EXPECT_TRUE(judged({"v2-5xx", false, {}}).passed);
  EXPECT_FALSE(judged({"v2-5xx", true, {}}).passed);
}

TEST(Verdict, TheWorstWindowIsFound) {
  world::Record record;
  using std::chrono::seconds;
  record.versions.resize(1);
  for (int i = 0; i < 10; ++i) {
    const std::uint64_t failed = i == 6 ? 50 : 0;
    record.spans.push_back({seconds{i * 10}, seconds{i * 10 + 10}, {1}, {{100, failed}}, 0});
    record.versions[0].requests += 100;
    record.versions[0].endings[1] += failed;
  }
  EXPECT_DOUBLE_EQ(worst_error_rate(record, seconds{10}), 0.5);
  EXPECT_DOUBLE_EQ(worst_error_rate(record, seconds{20}), 0.25);
  EXPECT_DOUBLE_EQ(worst_error_rate(record, std::nullopt), 0.05);
  EXPECT_DOUBLE_EQ(worst_error_rate(record, seconds{1000}), 0.05);
}

}  // namespace
}  // namespace coalmine::scenario
