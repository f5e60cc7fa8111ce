#include "sim/rollout/journal.h"

#include "sim/rollout/journal_file.h"
#include "sim/rollout/replay.h"
#include "tests/support/golden.h"
#include "tests/unit/sim_rollout/fake_world.h"

namespace coalmine::rollout {
namespace {

using namespace std::chrono_literals;

Plan small_plan() {
  return test::plan_of(
      {SetWeight{Percent{1}}, Bake{2min}, SetWeight{Percent{50}}, Bake{2min}, Pause{Duration{1h}},
       Promote{"v2"}},
      {test::error_share(),
       {"latency", SprtTest{Percent{1}, Percent{5}, .01, .01, Duration{250ms}}, OnFail::Pause, {}},
       {"errors", Threshold{Percent{5}, {}, .99, 50, 3}, OnFail::Ignore, {}}});
}

TEST(Journal, PlanComesBackAsItWas) {
  const Json json = to_json(small_plan());
  const auto back = plan_from_json(json);
  ASSERT_TRUE(back) << to_string(back.error());
  EXPECT_EQ(dump_json(to_json(*back)), dump_json(json));
}

struct Killed {
  std::string journal;
  std::vector<std::pair<TimePoint, double>> weights;
  bool finished = false;
  std::optional<Outcome> outcome;
};

/// Runs with a journal that breaks after `lines`, then again from what is left, as after kill -9.
Killed run_killed(long lines, test::FakeVersion v2) {
  const Plan plan = small_plan();
  test::FakeClock clock;
  test::FakeTraffic traffic(clock);
  test::FakeMetrics metrics(traffic, 100, {.001, .001}, v2, 4);
  // Said again: a command that was not yet journaled dies with the controller.
  test::Script script({{5min, {Command::Resume, "", {}}}, {7min, {Command::Resume, "", {}}}});
  test::MemoryJournal sink;
  sink.text = header_line({kVirtualEpoch, "r1", traffic.describe(), plan, {}});
  sink.lines_left = lines;
  RolloutWorld world{traffic, metrics, clock, &script, &sink, {}, {}};
  Killed result;
  auto end = run_rollout(plan, world);
  if (!end) {
    sink.text += "{\"t\": \"torn";
    const auto journal = parse_journal(sink.text, "j");
    EXPECT_TRUE(journal) << to_string(journal.error());
    sink.text.resize(journal->whole_bytes);
    sink.lines_left = 1'000'000;
    clock.sleep_until(clock.now() + 40s);
    end = resume_rollout(journal->header.plan, resume(*journal), world);
  } else {
    result.finished = true;
  }
  EXPECT_TRUE(end);
  result.outcome = end->outcome;
  result.journal = sink.text;
  result.weights = traffic.history;
  return result;
}

TEST(Journal, ControllerKilledAnywhereGoesOnWithoutAJumpUpwards) {
  for (const test::FakeVersion v2 : {test::FakeVersion{.001, .001}, {.08, .001}}) {
    const bool faulty = v2.errors > .01;
    bool finished = false;
    long lines = 0;
    for (; !finished && lines < 2000; ++lines) {
      const Killed run = run_killed(lines, v2);
      finished = run.finished;
      EXPECT_EQ(run.outcome, faulty ? Outcome::RolledBack : Outcome::Promoted) << lines;
      test::expect_no_jump(run.weights, {0, 1, 50, 100}, lines);
      EXPECT_EQ(run.weights.back().second, faulty ? 0 : 100) << lines;
      test::expect_replayed(run.journal, lines);
    }
    EXPECT_TRUE(finished);
    EXPECT_GT(lines, 20);
  }
}

TEST(Journal, StateIsWhatTheInputsMakeIt) {
  const Killed run = run_killed(1'000'000, {.08, .001});
  const auto journal = parse_journal(run.journal, "j");
  ASSERT_TRUE(journal);
  const RolloutState state = resume(*journal);
  EXPECT_EQ(state.phase, Phase::RolledBack);
  EXPECT_GT(state.canary_counts.errors, 0U);
  EXPECT_NE(run.journal.find(fmt::format("\"canary_requests\":{}", state.canary_counts.requests)),
            std::string::npos)
      << "the printed figure is the recomputed one";
}

TEST(Journal, LoweredWeightsAreNotRaisedUnasked) {
  const Plan plan = small_plan();
  RolloutState state;
  TimePoint t = kVirtualEpoch;
  state = decide(plan, state, Started{{{"v1", 100}, {"v2", 0}}}, t).state;
  state = decide(plan, state, WeightsApplied{{{"v1", 99}, {"v2", 1}}}, t).state;
  ASSERT_EQ(state.phase, Phase::Baking);
  const Decision lowered = decide(plan, state, Restarted{{{"v1", 100}, {"v2", 0}}}, t + 1min);
  EXPECT_EQ(lowered.state.phase, Phase::Paused);
  for (const Action& action : lowered.actions) {
    EXPECT_FALSE(std::holds_alternative<ChangeWeights>(action));
  }
  const Decision resumed = decide(plan, lowered.state, Operator{Command::Resume, "", {}}, t + 2min);
  const auto* change = std::get_if<ChangeWeights>(&resumed.actions[1]);
  ASSERT_NE(change, nullptr);
  EXPECT_EQ(change->shares.canary.value, 1);
  EXPECT_EQ(resumed.state.phase, Phase::Baking);
  const Decision raised = decide(plan, state, Restarted{{{"v1", 0}, {"v2", 100}}}, t + 1min);
  EXPECT_EQ(raised.state.phase, Phase::Baking);
  EXPECT_TRUE(std::any_of(raised.actions.begin(), raised.actions.end(), [](const Action& action) {
    const auto* back = std::get_if<ChangeWeights>(&action);
    return back != nullptr && back->shares.canary.value == 1;
  }));
}

TEST(Journal, BrokenOnesAreRefusedWithTheirLine) {
  const std::string head = header_line({kVirtualEpoch, "r1", "x", small_plan(), {{"mesh", "m"}}});
  EXPECT_EQ(to_string(parse_journal("", "j").error()), "j:1: error: the journal is empty");
  EXPECT_EQ(to_string(parse_journal("{}\n", "j").error()), "j:1: error: not a rollout's journal");
  EXPECT_EQ(to_string(parse_journal(head + "{\"input\":\"nonsense\"}\n", "j").error()),
            "j:2: error: unknown input \"nonsense\"");
  EXPECT_NE(to_string(parse_journal(head + "{oops\n", "j").error()).find("j:2:2: error: not valid"),
            std::string::npos);
}

TEST(JournalFile, OneWriterAtATimeAndTornLinesAreCut) {
  coalmine::test::TempDir dir;
  const std::string path = dir.path() + "/r1.journal";
  const JournalHeader header{kVirtualEpoch, "r1", "x", small_plan(), {{"mesh", "m"}}};
  {
    auto file = JournalFile::create(path, header);
    ASSERT_TRUE(file) << to_string(file.error());
    EXPECT_FALSE(JournalFile::create(path, header));
    const auto second = JournalFile::reopen(path);
    ASSERT_FALSE(second);
    EXPECT_NE(second.error().message.find("another process drives"), std::string::npos);
    ASSERT_TRUE((*file)->append(input_line(kVirtualEpoch, Tick{}), true));
    ASSERT_TRUE((*file)->append("{\"torn", false));
  }
  const auto journal = parse_journal(*read_journal_file(path), path);
  ASSERT_TRUE(journal);
  EXPECT_EQ(journal->inputs.size(), 1U);
  auto again = JournalFile::reopen(path);
  ASSERT_TRUE(again);
  EXPECT_TRUE(JournalFile::is_held(path));
  ASSERT_TRUE(again->file->append(input_line(kVirtualEpoch, Tick{}), true));
  EXPECT_EQ(parse_journal(*read_journal_file(path), path)->inputs.size(), 2U);
}

}  // namespace
}  // namespace coalmine::rollout
