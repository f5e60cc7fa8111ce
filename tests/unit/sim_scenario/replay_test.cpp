// What a run printed can be computed from its journal alone.
#include "sim/scenario/replay.h"

#include <fstream>

#include "sim/engine/mock_plane.h"
#include "sim/engine/simulation.h"
#include "sim/rollout/journal_file.h"
#include "sim/scenario/runs.h"
#include "tests/support/golden.h"

namespace coalmine::scenario {
namespace {

Result<world::Record> play(const world::Spec& spec, const world::RunOptions& options) {
  return engine::simulate(spec, options, engine::make_plane);
}

std::string path_of(const std::string& folder, const RunResult& result) {
  return fmt::format("{}/{}-{}.jsonl", folder, result.scenario->name, result.seed);
}

std::string journal_text(const std::string& path) {
  const auto text = rollout::read_journal_file(path);
  EXPECT_TRUE(text) << to_string(text.error());
  return text.value_or("");
}

/// Every kind of scenario that there is, each figure of each report.
TEST(ReplayedRuns, ReportsAreThoseOfTheRuns) {
  coalmine::test::TempDir folder;
  std::vector<Scenario> scenarios;
  const auto files = find_scenario_files({"scenarios"});
  for (const std::string& file : *files) {
    Loaded loaded = load_scenario_file(file);
    ASSERT_TRUE(loaded.scenario) << file;
    scenarios.push_back(*std::move(loaded.scenario));
  }
  RunPlan plan;
  plan.journal_folder = folder.path();
  const auto results = run_all(scenarios, plan, play);
  for (const RunResult& result : results) {
    ASSERT_TRUE(result.record) << result.scenario->name;
    const std::string path = path_of(folder.path(), result);
    const auto again = replay_run(journal_text(path), path);
    ASSERT_TRUE(again) << to_string(again.error());
    ASSERT_FALSE(again->disagreement) << to_string(*again->disagreement);
    EXPECT_TRUE(again->notices.empty()) << path;
    EXPECT_FALSE(again->by_metrics);
    EXPECT_EQ(dump_json(report_json({result}), 1), dump_json(report_json({again->result}), 1));
    EXPECT_EQ(render_timeline(*result.record), render_timeline(*again->result.record));
    EXPECT_EQ(render_checks(result, false), render_checks(again->result, false));
    EXPECT_EQ(render_table({result}, false), render_table({again->result}, false));
    EXPECT_EQ(report_junit({result}), report_junit({again->result}));
  }
}

class OneReplayedRun : public testing::Test {
 protected:
  void SetUp() override {
    Loaded loaded = load_scenario_file("scenarios/faulty-v2-is-rolled-back.yaml");
    ASSERT_TRUE(loaded.scenario);
    scenarios_.push_back(*std::move(loaded.scenario));
    RunPlan plan;
    plan.journal_folder = folder_.path();
    results_ = run_all(scenarios_, plan, play);
    text_ = journal_text(path_of(folder_.path(), results_[0]));
  }
  /// The text with the last `what` replaced.
  std::string bent(const std::string& what, const std::string& by) const {
    std::string text = text_;
    const std::size_t at = text.rfind(what);
    EXPECT_NE(at, std::string::npos) << what;
    return at == std::string::npos ? text : text.replace(at, what.size(), by);
  }
  coalmine::test::TempDir folder_;
  std::vector<Scenario> scenarios_;
  std::vector<RunResult> results_;
  std::string text_;
};

TEST_F(OneReplayedRun, EvidenceIsShownWithItsFigures) {
  const auto run = replay_run(text_, "j.jsonl");
  ASSERT_TRUE(run);
  EXPECT_GOLDEN("scenario/replay.txt", render_evidence(*run));
}

TEST_F(OneReplayedRun, CountsThatDoNotAddUpAreFound) {
  const auto run = replay_run(bent("\"dropped\":0", "\"dropped\":5"), "j");
  ASSERT_TRUE(run) << to_string(run.error());
  ASSERT_TRUE(run->disagreement);
  EXPECT_NE(run->disagreement->message.find("5 dropped requests in the end, 0 in the spans"),
            std::string::npos)
      << run->disagreement->message;
}

TEST_F(OneReplayedRun, RunThatWasKilledIsToldByItsMetrics) {
  const std::string cut = text_.substr(0, text_.find("{\"begin_ns\""));
  const auto run = replay_run(cut, "j");
  ASSERT_TRUE(run) << to_string(run.error());
  EXPECT_FALSE(run->disagreement);
  EXPECT_TRUE(run->by_metrics);
  ASSERT_EQ(run->notices.size(), 1U);
  EXPECT_NE(run->notices[0].message.find("was cut off"), std::string::npos);
  EXPECT_EQ(run->result.record->outcome, world::Outcome::RolledBack);
  const auto& canary = canary_of(run->scenario->spec, *run->result.record);
  EXPECT_EQ(canary.requests, run->replay.state.canary_counts.requests);
  EXPECT_GT(canary.failed(), 0U);
}

TEST_F(OneReplayedRun, WorldsLinesAreReadStrictly) {
  for (const auto& [what, by] : std::vector<std::pair<std::string, std::string>>{
           {"\"world\":\"end\"", "\"world\":\"finis\""},
           {"\"world\":\"begin\"", "\"world\":\"span\""},
           {"\"world\":\"span\"", "\"world\":\"begin\""},
           {"\"name\":\"v2\"", "\"name\":\"v3\""},
           {"\"scenario\":\"# ", "\"scenario\":\"nonsense: "}}) {
    const auto run = replay_run(bent(what, by), "j");
    ASSERT_FALSE(run) << by;
    EXPECT_EQ(run.error().kind, ErrorKind::Invalid);
    EXPECT_EQ(to_string(run.error()).rfind("j:", 0), 0U) << to_string(run.error());
  }
}

}  // namespace
}  // namespace coalmine::scenario
