// A journal is played again: it agrees with itself, and no line of it can be bent unnoticed.
#include "sim/rollout/replay.h"

#include "tests/unit/sim_rollout/fake_world.h"

namespace coalmine::rollout {
namespace {

using namespace std::chrono_literals;

Plan plan_with_everything() {
  Plan plan = test::plan_of(
      {SetWeight{Percent{1}}, Bake{2min}, SetWeight{Percent{50}}, Bake{2min}, Promote{"v2"}},
      {test::error_share(),
       {"latency",
        SprtTest{Percent{1}, Percent{5}, .01, .01, Duration{250ms}},
        OnFail::Pause,
        {}}});
  CheckSpec check;
  check.name = "success-rate";
  check.limits = {{"success-rate", Signal::Errors}};
  check.limits[0].pass_max = Bound{5};
  check.failures = 2;
  plan.checks = {check};
  return plan;
}

/// The journal of a rollout; the canary fails that often.
std::string journal_of(double errors) {
  const Plan plan = plan_with_everything();
  test::FakeClock clock;
  test::FakeTraffic traffic(clock);
  test::FakeMetrics metrics(traffic, 100, {.001, .001}, {errors, .001}, 4);
  test::Script script({{1min, {Command::Pause, "lunch", {}}}, {3min, {Command::Resume, "", {}}}});
  test::MemoryJournal sink;
  sink.text = header_line({kVirtualEpoch, "r1", traffic.describe(), plan, {}});
  traffic.failures = 1;  // the first shift is throttled once
  RolloutWorld world{traffic, metrics, clock, &script, &sink, {}, {}};
  EXPECT_TRUE(run_rollout(plan, world));
  return sink.text;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    lines.push_back(text.substr(at, end + 1 - at));
    at = end + 1;
  }
  return lines;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line;
  return text;
}

TEST(Replay, JournalAgreesWithItself) {
  for (const double errors : {.001, .08}) {
    const std::string text = journal_of(errors);
    std::vector<Event> heard;
    ReplayListener listener;
    listener.on_event = [&heard](const Event& event) { heard.push_back(event); };
    const auto replay = replay_journal(text, "j", listener);
    ASSERT_TRUE(replay) << to_string(replay.error());
    EXPECT_FALSE(replay->disagreement) << to_string(*replay->disagreement);
    EXPECT_TRUE(replay->notices.empty());
    ASSERT_TRUE(replay->end);
    EXPECT_EQ(replay->end->outcome, errors > .01 ? Outcome::RolledBack : Outcome::Promoted);
    EXPECT_EQ(heard, replay->events);
    EXPECT_GT(replay->events.size(), 10U);
  }
}

/// Of every line: nothing can be taken out, said twice or put elsewhere without being noticed.
TEST(Replay, EveryMissingDoubledOrMovedLineIsFound) {
  const std::vector<std::string> lines = lines_of(journal_of(.08));
  for (std::size_t i = 1; i < lines.size(); ++i) {
    std::vector<std::string> missing = lines, doubled = lines, moved = lines;
    missing.erase(missing.begin() + static_cast<std::ptrdiff_t>(i));
    doubled.insert(doubled.begin() + static_cast<std::ptrdiff_t>(i), lines[i]);
    if (i + 1 < lines.size()) std::swap(moved[i], moved[i + 1]);
    const auto odd = [](const Result<Replay>& replay) {
      return !replay || replay->disagreement || !replay->notices.empty() || !replay->end;
    };
    EXPECT_TRUE(odd(replay_journal(joined(missing), "j"))) << "without line " << i + 1;
    EXPECT_TRUE(odd(replay_journal(joined(doubled), "j"))) << "line twice: " << i + 1;
    if (moved != lines) {
      EXPECT_TRUE(odd(replay_journal(joined(moved), "j"))) << "swapped behind: " << i + 1;
    }
  }
}

struct Bent {
  const char* name;
  const char* what;  ///< in the first line that has it
  const char* by;
  const char* says;
};

class BentJournal : public testing::TestWithParam<Bent> {};

TEST_P(BentJournal, IsFoundAtItsLine) {
  const Bent& bent = GetParam();
  std::vector<std::string> lines = lines_of(journal_of(.08));
  std::size_t at = 1;
  while (at < lines.size() && lines[at].find(bent.what) == std::string::npos) ++at;
  ASSERT_LT(at, lines.size());
  lines[at].replace(lines[at].find(bent.what), std::string(bent.what).size(), bent.by);
  const auto replay = replay_journal(joined(lines), "j");
  ASSERT_TRUE(replay) << to_string(replay.error());
  ASSERT_TRUE(replay->disagreement);
  const std::string text = to_string(*replay->disagreement);
  EXPECT_NE(text.find(bent.says), std::string::npos) << text;
  EXPECT_EQ(text.rfind(fmt::format("j:{}: error: ", replay->disagreement->place->line), 0), 0U);
  EXPECT_GE(replay->disagreement->place->line, static_cast<int>(at) + 1);
  EXPECT_EQ(replay->disagreement->kind, ErrorKind::Failed);
}

INSTANTIATE_TEST_SUITE_P(
    Lines, BentJournal,
    testing::Values(
        Bent{"AnotherDecision", "\"decision\":\"roll-back\"", "\"decision\":\"promote\"",
             "\"decision\" is \"promote\" in the journal, what it was told comes to \"roll-back\""},
        Bent{"AnotherReason", "\"event\":\"rollout.finished\",\"outcome\":\"rolled-back\"",
             "\"event\":\"rollout.finished\",\"outcome\":\"promoted\"",
             "\"outcome\" is \"promoted\""},
        Bent{"AnotherSample", "\"canary\":{\"errors\":", "\"canary\":{\"errors\":7",
             "the event \"analysis.evaluated errors\" is missing"},
        Bent{"AnotherAnswer", "\"input\":\"weights-applied\"", "\"input\":\"weights-failed\"",
             "what it was told comes to \"weights.failed\""},
        Bent{"ALostWeight", "\"weights\":{\"v1\":99,\"v2\":1}", "\"weights\":{\"v1\":100,\"v2\":0}",
             "1% were asked for the canary, the journal says that v1 100  v2 0 were set"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(Replay, TornLastLineIsOnlyNoticed) {
  std::string text = journal_of(.001);
  text.resize(text.size() - 3);
  const auto replay = replay_journal(text, "j");
  ASSERT_TRUE(replay);
  EXPECT_FALSE(replay->disagreement);
  ASSERT_FALSE(replay->notices.empty());
  EXPECT_NE(replay->notices[0].message.find("the last line is torn"), std::string::npos);
}

TEST(Replay, GarbageIsAnErrorWithItsLine) {
  std::vector<std::string> lines = lines_of(journal_of(.001));
  const std::string impossible =
      "{\"input\":\"metrics\",\"ns\":1,\"windows\":[{\"from_ns\":1,\"to_ns\":2,"
      "\"canary\":{\"requests\":1,\"errors\":-2}}]}\n";
  for (const char* garbage :
       {"oops\n", "{\"t\":1}\n", "[]\n", "{\"input\":\"tick\"}\n", impossible.c_str()}) {
    std::vector<std::string> bad = lines;
    bad[4] = garbage;
    const auto replay = replay_journal(joined(bad), "j");
    ASSERT_FALSE(replay) << garbage;
    EXPECT_EQ(replay.error().kind, ErrorKind::Invalid);
    EXPECT_EQ(to_string(replay.error()).rfind("j:5:", 0), 0U) << to_string(replay.error());
  }
}

}  // namespace
}  // namespace coalmine::rollout
