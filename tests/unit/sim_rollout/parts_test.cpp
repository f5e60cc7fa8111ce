// The parts of a plan beside weights, bakes and analyses: checks, alarms, gates, hooks, deadlines,
// ways back, newer revisions.
#include "sim/rollout/alarm_run.h"
#include "sim/rollout/check_run.h"
#include "sim/rollout/journal.h"
#include "tests/support/golden.h"
#include "tests/unit/sim_rollout/fake_world.h"

namespace coalmine::rollout {
namespace {

using namespace std::chrono_literals;
using test::FakeRun;
using test::plan_of;
using test::run;

// --- counting ------------------------------------------------------------------------------------

constexpr TimePoint kStart = kVirtualEpoch;

CheckSpec errors_check(int failures) {
  CheckSpec spec;
  Limit limit;
  limit.pass_max = Bound{1};
  spec.limits = {limit};
  spec.failures = failures;
  return spec;
}

/// One window of a minute that ends at `until`: g good, b bad, i in between, - no request.
std::vector<MetricsWindow> minute(char what, TimePoint until) {
  MetricsWindow window;
  window.from = until - 60s;
  window.to = until;
  window.canary.requests = what == '-' ? 0 : 1000;
  window.canary.errors = what == 'b' ? 100 : what == 'i' ? 30 : 0;
  return {window};
}

/// How it ends, and after how many minutes.
std::string looks(CheckSpec spec, const std::string& minutes) {
  spec.delay = 60s;
  CheckRun check(spec, kStart);
  for (std::size_t i = 0; i < minutes.size(); ++i) {
    const TimePoint now = kStart + 60s * static_cast<int>(i + 1);
    check.look(minute(minutes[i], now), now);
    if (check.end() == CheckRun::End::Running) continue;
    const char* end = check.end() == CheckRun::End::Passed   ? "passed"
                      : check.end() == CheckRun::End::Failed ? "failed"
                                                             : "inconclusive";
    return fmt::format("{} at {}", end, i + 1);
  }
  return "running";
}

struct CountingCase {
  const char* name;
  void (*change)(CheckSpec&);
  const char* minutes;
  const char* want;
};

class Counting : public testing::TestWithParam<CountingCase> {};

TEST_P(Counting, Ends) {
  CheckSpec spec = errors_check(2);
  GetParam().change(spec);
  EXPECT_EQ(looks(spec, GetParam().minutes), GetParam().want);
}

INSTANTIATE_TEST_SUITE_P(
    Rules, Counting,
    testing::Values(
        CountingCase{"OneMoreThanAllowedFails", [](CheckSpec&) {}, "bbb", "failed at 3"},
        CountingCase{"AsManyAsAllowedDoNot", [](CheckSpec&) {}, "bb", "running"},
        CountingCase{"FailuresAddUpOverTheRollout", [](CheckSpec&) {}, "bgbgb", "failed at 5"},
        CountingCase{"InARowASuccessForgets", [](CheckSpec& s) { s.counted = Tally::InARow; },
                     "bbgbbgbbb", "failed at 9"},
        CountingCase{"CountEndsWell", [](CheckSpec& s) { s.count = 3; }, "gbg", "passed at 3"},
        CountingCase{"NoneNeverFails", [](CheckSpec& s) { s.failures.reset(); }, "bbbbbb",
                     "running"},
        CountingCase{"EnoughInARowPassEarly", [](CheckSpec& s) { s.successes = 2; }, "gbgg",
                     "passed at 4"},
        CountingCase{"NoDataFails", [](CheckSpec&) {}, "---", "failed at 3"},
        CountingCase{"NoDataMayPass",
                     [](CheckSpec& s) {
                       s.no_data = CheckResult::Passed;
                       s.count = 2;
                     },
                     "--", "passed at 2"},
        CountingCase{"NoDataAsErrorTripsAtTheFifth",
                     [](CheckSpec& s) { s.no_data = CheckResult::Error; }, "----------",
                     "failed at 5"},
        CountingCase{"ErrorsThatAreNotInARowDoNot",
                     [](CheckSpec& s) { s.no_data = CheckResult::Error; }, "----g----g", "running"},
        CountingCase{"BetweenTwoBoundsIsInconclusive",
                     [](CheckSpec& s) {
                       s.limits[0].fail_above = Bound{5, false};
                     },
                     "gi", "inconclusive at 2"},
        CountingCase{"InconclusiveMayBeAllowed",
                     [](CheckSpec& s) {
                       s.limits[0].fail_above = Bound{5, false};
                       s.inconclusives = 1;
                     },
                     "ii", "inconclusive at 2"},
        CountingCase{"LateFailuresActAtTheNextLook", [](CheckSpec& s) { s.acts_late = true; },
                     "bbbg", "failed at 4"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(CheckRun, TheBoundItselfIsOnTheSideItWasGivenTo) {
  MetricsWindow window;
  window.to = kStart + 60s;
  window.from = kStart;
  window.canary = {100, 1, {}};
  const auto result = [&](std::optional<Bound> pass, std::optional<Bound> fail) {
    CheckSpec spec = errors_check(0);
    spec.limits[0].pass_max = pass;
    spec.limits[0].fail_above = fail;
    return measure(spec, {window}, window.to).result;
  };
  EXPECT_EQ(result(Bound{1, true}, {}), CheckResult::Passed);
  EXPECT_EQ(result(Bound{1, false}, {}), CheckResult::Failed);
  EXPECT_EQ(result({}, Bound{1, true}), CheckResult::Failed);
  EXPECT_EQ(result({}, Bound{1, false}), CheckResult::Passed);
  EXPECT_EQ(result({}, {}), CheckResult::Passed);
}

TEST(CheckRun, OnlyTheLastWindowIsLookedAt) {
  std::vector<MetricsWindow> recent;
  for (int i = 0; i < 12; ++i) {
    MetricsWindow window;
    window.from = kStart + 10s * i;
    window.to = window.from + 10s;
    window.canary = {10, i < 6 ? 10u : 0u, {}};
    recent.push_back(window);
  }
  CheckSpec spec = errors_check(0);
  EXPECT_EQ(measure(spec, recent, kStart + 60s).result, CheckResult::Failed);
  EXPECT_EQ(measure(spec, recent, kStart + 120s).result, CheckResult::Passed);
  EXPECT_EQ(measure(spec, recent, kStart + 120s).n, 60u);
  // A scrape that is as long as the window leaves nothing in it once it is late.
  EXPECT_TRUE(measure(spec, recent, kStart + 181s).no_data);
}

// --- alarms --------------------------------------------------------------------------------------

/// "0XX-X": newest right; 0 fine, X breaching, - nothing.
std::vector<std::optional<double>> points(const std::string& text) {
  std::vector<std::optional<double>> newest_first;
  for (auto c = text.rbegin(); c != text.rend(); ++c) {
    newest_first.push_back(*c == '-' ? std::nullopt : std::optional(*c == 'X' ? 9.0 : 0.0));
  }
  return newest_first;
}

struct AlarmCase {
  int m;
  const char* points;
  const char* missing;  ///< states for missing, ignore, breaching, not breaching
};

TEST(AlarmRule, FollowsCloudWatchsTableOfMissingData) {
  const AlarmCase cases[] = {
      {3, "0-X-X", "OK OK OK OK"},
      {3, "0----", "OK OK OK OK"},
      {3, "-----", "INSUFFICIENT_DATA keep ALARM OK"},
      {3, "0XX-X", "ALARM ALARM ALARM ALARM"},
      {3, "--X--", "ALARM keep ALARM OK"},
      {2, "0-X-X", "ALARM ALARM ALARM ALARM"},
      {2, "00X0X", "ALARM ALARM ALARM ALARM"},
      {2, "---X-", "ALARM keep ALARM OK"},
      {2, "0-X--", "OK OK ALARM OK"},
      {2, "----0", "OK OK ALARM OK"},
  };
  for (const AlarmCase& c : cases) {
    std::string found;
    for (const MissingData missing : {MissingData::Missing, MissingData::Ignore,
                                      MissingData::Breaching, MissingData::NotBreaching}) {
      AlarmSpec spec;
      spec.periods = 3;
      spec.to_alarm = c.m;
      spec.missing = missing;
      const auto state = alarm_state(spec, points(c.points));
      found += (found.empty() ? "" : " ") + (state ? std::string(to_string(*state)) : "keep");
    }
    EXPECT_EQ(found, c.missing) << c.m << " of 3, " << c.points;
  }
}

AlarmSpec red_above(double errors) {
  AlarmSpec alarm;
  alarm.name = "canary-5xx";
  alarm.threshold = errors;
  alarm.missing = MissingData::NotBreaching;
  return alarm;
}

Plan watched(AlarmSpec alarm) {
  Plan plan = plan_of({SetWeight{Percent{10}}, Bake{10min}, Promote{"v2"}});
  plan.alarms = {alarm};
  plan.watch = AlarmWatch{{alarm.name}, AlarmAtStart::Ignore, OnFail::Rollback, {}};
  return plan;
}

TEST(Alarms, TakeTheCanaryBackWithinAMinuteOrTwo) {
  EXPECT_EQ(run(watched(red_above(20)), {0, 0}, {0, 0}).end->outcome, Outcome::Promoted);
  const FakeRun red = run(watched(red_above(20)), {0, 0}, {.5, 0});
  EXPECT_EQ(red.end->outcome, Outcome::RolledBack);
  EXPECT_LE(red.weights.back().first - kStart, 2min);
  EXPECT_NE(red.end->reason.find("alarm canary-5xx is ALARM"), std::string::npos);
}

TEST(Alarms, RedAtTheStartStopsBeforeAnyWeight) {
  Plan plan = watched(red_above(20));
  plan.alarms[0].initially = AlarmState::Alarm;
  plan.watch->at_start = AlarmAtStart::Stop;
  const FakeRun red = run(plan, {0, 0}, {0, 0});
  EXPECT_EQ(red.end->outcome, Outcome::RolledBack);
  EXPECT_EQ(red.weights, (std::vector<std::pair<TimePoint, double>>{{kStart, 0}}));
}

TEST(Alarms, ScopeDecidesWhoseErrorsCount) {
  AlarmSpec share = red_above(5);
  share.statistic = AlarmStatistic::Average;
  EXPECT_EQ(run(watched(share), {0, 0}, {.2, 0}).end->outcome, Outcome::RolledBack);
  share.scope = Scope::Service;  // 10% of 20% is 2%
  EXPECT_EQ(run(watched(share), {0, 0}, {.2, 0}).end->outcome, Outcome::Promoted);
  EXPECT_FALSE(check_doubts(watched(share)).empty());
}

TEST(Alarms, MOfNNeedsMPeriods) {
  AlarmSpec alarm = red_above(20);
  alarm.periods = alarm.to_alarm = 3;
  const FakeRun red = run(watched(alarm), {0, 0}, {.5, 0});
  EXPECT_EQ(red.end->outcome, Outcome::RolledBack);
  EXPECT_GE(red.weights.back().first - kStart, 3min);
}

// --- ends ----------------------------------------------------------------------------------------

Plan faulty(Rollback back) {
  Plan plan = plan_of({SetWeight{Percent{50}}, Bake{10min}, Promote{"v2"}}, {test::error_share()});
  plan.rollback = back;
  return plan;
}

std::vector<double> weights_of(const FakeRun& result) {
  std::vector<double> weights;
  for (const auto& [t, weight] : result.weights) weights.push_back(weight);
  return weights;
}

TEST(Rollback, StepwiseGoesDownByTheStep) {
  const FakeRun result = run(faulty({RollbackKind::Stepwise, Percent{20}, 30s}), {0, 0}, {.5, 0});
  EXPECT_EQ(result.end->outcome, Outcome::RolledBack);
  EXPECT_EQ(weights_of(result), (std::vector<double>{50, 30, 10, 0}));
  EXPECT_EQ(result.weights[3].first - result.weights[2].first, 30s);
}

TEST(Rollback, HoldLeavesTheWeightsUntilSomebodySpeaks) {
  const FakeRun result = run(faulty({RollbackKind::Hold, Percent{10}, 1min}), {0, 0}, {.5, 0}, 1,
                             {{20min, {Command::Abort, "seen", {}}}});
  EXPECT_EQ(result.end->outcome, Outcome::Aborted);
  EXPECT_EQ(weights_of(result), (std::vector<double>{50, 0}));
  EXPECT_EQ(result.weights[1].first, kStart + 20min);
}

TEST(DeadlineTest, EndsARolloutThatWaits) {
  Plan plan = plan_of({SetWeight{Percent{10}}, Bake{1min}, Pause{}, Promote{"v2"}});
  plan.deadline = Deadline{30min, OnFail::Rollback, {}};
  const FakeRun result = run(plan, {0, 0}, {0, 0});
  EXPECT_EQ(result.end->outcome, Outcome::RolledBack);
  EXPECT_EQ(result.weights.back().first, kStart + 30min);
  plan.deadline->after = 1min;
  EXPECT_FALSE(check(plan).empty());  // not longer than its bakes
}

TEST(PauseTest, TimeoutMayGoOn) {
  Plan plan = plan_of(
      {SetWeight{Percent{10}}, Pause{Duration{5min}, OnTimeout::Continue, {}}, Promote{"v2"}});
  const FakeRun result = run(plan, {0, 0}, {0, 0});
  EXPECT_EQ(result.end->outcome, Outcome::Promoted);
  EXPECT_EQ(result.weights.back().first, kStart + 5min);
}

// --- inputs one by one ---------------------------------------------------------------------------

/// Feeds inputs to decide() and keeps the last actions.
struct Told {
  Plan plan;
  RolloutState state;
  TimePoint now = kStart;
  std::vector<Action> actions;

  Told& tell(Input input, Duration later = 0s) {
    now += later;
    Decision decision = decide(plan, std::move(state), input, now);
    state = std::move(decision.state);
    actions = std::move(decision.actions);
    return *this;
  }
  template <typename T>
  const T* action() const {
    for (const Action& one : actions) {
      if (const auto* found = std::get_if<T>(&one)) return found;
    }
    return nullptr;
  }
};

const Weights kStable{{"v1", 100}, {"v2", 0}};
const Weights kTenPercent{{"v1", 90}, {"v2", 10}};

Plan hooked(HookStage at, OnFail on_fail = OnFail::Rollback) {
  Plan plan = plan_of({SetWeight{Percent{10}}, Bake{1min}, Promote{"v2"}});
  plan.hooks = {{"ask", at, "http://127.0.0.1:1/", "", 10s, 1, on_fail, {}}};
  return plan;
}

TEST(Hooks, AreAskedBeforeTheWeightRises) {
  Told told{hooked(HookStage::PreStep), {}, kStart, {}};
  told.tell(Started{kStable});
  ASSERT_NE(told.action<CallHook>(), nullptr);
  EXPECT_EQ(told.action<ChangeWeights>(), nullptr);
  EXPECT_EQ(told.state.phase, Phase::Asking);
  told.tell(HookAnswered{0, HookVerdict::Wait, "not yet"});
  EXPECT_EQ(told.action<ChangeWeights>(), nullptr);
  told.tell(Tick{}, 10s);
  ASSERT_NE(told.action<CallHook>(), nullptr);
  told.tell(HookAnswered{0, HookVerdict::Passed, ""});
  ASSERT_NE(told.action<ChangeWeights>(), nullptr);
  EXPECT_EQ(told.action<ChangeWeights>()->shares.canary.value, 10);
}

TEST(Hooks, AnObjectionIsAskedAgainThenCounts) {
  Told told{hooked(HookStage::PreRollout), {}, kStart, {}};
  told.tell(Started{kStable}).tell(HookAnswered{0, HookVerdict::Failed, "no"});
  EXPECT_EQ(told.state.phase, Phase::Asking);
  told.tell(Tick{}, 1s).tell(HookAnswered{0, HookVerdict::Failed, "no"});
  EXPECT_EQ(told.state.phase, Phase::RollingBack);
  EXPECT_EQ(told.state.reason, "hook ask objects: no");

  Told ignored{hooked(HookStage::PreRollout, OnFail::Ignore), {}, kStart, {}};
  ignored.tell(Started{kStable}).tell(HookAnswered{0, HookVerdict::Failed, "no"});
  ignored.tell(Tick{}, 1s).tell(HookAnswered{0, HookVerdict::Failed, "no"});
  EXPECT_EQ(ignored.state.phase, Phase::Shifting);

  Told paused{hooked(HookStage::PreStep, OnFail::Pause), {}, kStart, {}};
  paused.tell(Started{kStable}).tell(HookAnswered{0, HookVerdict::Failed, "no"});
  paused.tell(Tick{}, 1s).tell(HookAnswered{0, HookVerdict::Failed, "no"});
  EXPECT_EQ(paused.state.phase, Phase::Paused);
  paused.tell(Operator{Command::Resume, "", {}});
  EXPECT_EQ(paused.state.phase, Phase::Shifting);  // over the objection
}

TEST(Hooks, OnRollbackIsToldAndChangesNothing) {
  Told told{hooked(HookStage::OnRollback), {}, kStart, {}};
  told.tell(Started{kStable}).tell(WeightsApplied{kTenPercent});
  told.tell(Operator{Command::Abort, "enough", {}});
  EXPECT_NE(told.action<CallHook>(), nullptr);
  EXPECT_NE(told.action<ChangeWeights>(), nullptr);
  const auto at = [&told](const auto& is) {
    return std::find_if(told.actions.begin(), told.actions.end(), is);
  };
  EXPECT_LT(at([](const Action& a) { return std::holds_alternative<ChangeWeights>(a); }),
            at([](const Action& a) { return std::holds_alternative<CallHook>(a); }))
      << "users go back before anybody is told";
  told.tell(HookAnswered{0, HookVerdict::Failed, "no"}).tell(WeightsApplied{kStable});
  EXPECT_EQ(told.state.phase, Phase::Aborted);
}

TEST(Hooks, AGateOpensThePause) {
  Plan plan = hooked(HookStage::Gate);
  plan.steps[1].what = Pause{{}, OnTimeout::Rollback, "ask"};
  Told told{plan, {}, kStart, {}};
  told.tell(Started{kStable}).tell(WeightsApplied{kTenPercent});
  EXPECT_EQ(told.state.phase, Phase::Paused);
  ASSERT_NE(told.action<CallHook>(), nullptr);
  told.tell(HookAnswered{0, HookVerdict::Wait, ""}).tell(Tick{}, 10s);
  ASSERT_NE(told.action<CallHook>(), nullptr);
  told.tell(HookAnswered{0, HookVerdict::Passed, ""});
  EXPECT_EQ(told.state.phase, Phase::Promoting);
}

TEST(Hooks, ARestartAsksAgain) {
  Told told{hooked(HookStage::ConfirmPromote), {}, kStart, {}};
  told.tell(Started{kStable}).tell(WeightsApplied{kTenPercent});
  told.tell(Metrics{{}, kNever}, 1min).tell(WeightsSeen{kTenPercent});
  EXPECT_EQ(told.state.phase, Phase::Asking);
  told.tell(Restarted{kTenPercent});
  EXPECT_NE(told.action<CallHook>(), nullptr);
  EXPECT_EQ(told.action<ChangeWeights>(), nullptr);
}

// --- weights in force --------------------------------------------------------------------------

Told bake_is_over() {
  Told told{plan_of({SetWeight{Percent{10}}, Bake{1min}, SetWeight{Percent{50}}, Bake{1min},
                     Promote{"v2"}}),
            {},
            kStart,
            {}};
  told.tell(Started{kStable}).tell(WeightsApplied{kTenPercent});
  told.tell(Metrics{{}, kNever}, 1min);
  return told;
}

TEST(WeightsInForce, AreLookedAtBeforeTheNextStep) {
  Told told = bake_is_over();
  EXPECT_NE(told.action<ReadWeights>(), nullptr);
  EXPECT_EQ(told.action<ChangeWeights>(), nullptr);
  told.tell(WeightsSeen{kTenPercent});
  ASSERT_NE(told.action<ChangeWeights>(), nullptr);
  EXPECT_EQ(told.action<ChangeWeights>()->shares.canary.value, 50);
}

TEST(WeightsInForce, LoweredOnesPauseAndTheBakeBeginsAnew) {
  Told told = bake_is_over();
  told.tell(WeightsSeen{kStable});
  EXPECT_EQ(told.state.phase, Phase::Paused);
  EXPECT_EQ(told.action<ChangeWeights>(), nullptr);
  EXPECT_NE(told.state.reason.find("this rollout has set 10%: somebody lowered it"),
            std::string::npos)
      << told.state.reason;
  told.tell(Operator{Command::Resume, "", {}}, 5min);
  ASSERT_NE(told.action<ChangeWeights>(), nullptr);
  EXPECT_EQ(told.action<ChangeWeights>()->shares.canary.value, 10);
  EXPECT_EQ(told.state.phase, Phase::Baking);
  EXPECT_EQ(told.state.deadline, kStart + 6min + 1min);
}

TEST(WeightsInForce, RaisedOnesAreSetBackAndTheBakeBeginsAnew) {
  Told told = bake_is_over();
  told.tell(WeightsSeen{{{"v1", 0}, {"v2", 100}}});
  EXPECT_EQ(told.state.phase, Phase::Baking);
  ASSERT_NE(told.action<ChangeWeights>(), nullptr);
  EXPECT_EQ(told.action<ChangeWeights>()->shares.canary.value, 10);
  EXPECT_EQ(told.state.deadline, kStart + 1min + 1min);
}

TEST(WeightsInForce, UnreadOnesStopNobody) {
  Told told = bake_is_over();
  told.tell(WeightsUnseen{"ThrottlingException"});
  ASSERT_NE(told.action<ChangeWeights>(), nullptr);
  EXPECT_EQ(told.action<ChangeWeights>()->shares.canary.value, 50);
}

TEST(Newer, BeginsAnewAfterTheOldOneMadeRoom) {
  Told told{plan_of({SetWeight{Percent{10}}, Bake{1h}, Promote{"v2"}}, {test::error_share()}),
            {},
            kStart,
            {}};
  told.tell(Started{kStable}).tell(WeightsApplied{kTenPercent}).tell(NewerRevision{"v3"});
  told.tell(WeightsApplied{kStable});
  ASSERT_EQ(told.state.phase, Phase::Superseded);
  told.tell(Started{kStable}, 2min);
  EXPECT_EQ(told.state.phase, Phase::Shifting);
  EXPECT_EQ(told.state.started, kStart + 2min);
  EXPECT_EQ(told.state.newer, "");
}

TEST(Newer, RestartsRefusesOrSwaps) {
  const auto at_ten_percent = [](OnNewer on_newer) {
    Plan plan = plan_of({SetWeight{Percent{10}}, Bake{1h}, Promote{"v2"}}, {test::error_share()});
    plan.on_newer = on_newer;
    Told told{plan, {}, kStart, {}};
    told.tell(Started{kStable}).tell(WeightsApplied{kTenPercent}).tell(NewerRevision{"v3"});
    return told;
  };
  Told restart = at_ten_percent(OnNewer::Restart);
  EXPECT_EQ(restart.state.phase, Phase::RollingBack);
  restart.tell(WeightsApplied{kStable});
  EXPECT_EQ(restart.state.phase, Phase::Superseded);
  EXPECT_TRUE(is_over(restart.state.phase));
  Told refuse = at_ten_percent(OnNewer::Refuse);
  EXPECT_EQ(refuse.state.phase, Phase::Baking);
  EXPECT_EQ(refuse.state.newer, "v3");
  Told swap = at_ten_percent(OnNewer::Swap);
  EXPECT_EQ(swap.state.phase, Phase::Baking);
  EXPECT_EQ(swap.action<ChangeWeights>(), nullptr);
}

TEST(Newer, ComesBackFromTheJournal) {
  for (const Input& input :
       {Input{NewerRevision{"v3"}}, Input{HookAnswered{2, HookVerdict::Wait, "soon"}}}) {
    const std::string line = input_line(kStart, input);
    const auto back = parse_input_line(line);
    ASSERT_TRUE(back) << to_string(back.error());
    EXPECT_EQ(input_line(kStart, *back), line);
  }
}

TEST(Journal, APlanOfAllPartsComesBackAsItWas) {
  Plan plan = watched(red_above(3));
  plan.steps.insert(plan.steps.begin() + 1,
                    {{Examine{{errors_check(1)}}, {}},
                     {Pause{Duration{1min}, OnTimeout::Continue, "ask"}, {}},
                     {RouteMatching{{{RouteMatch::By::Cookie, "beta", "a.*", true}}}, {}},
                     {Mirror{Percent{5}}, {}},
                     {ScaleCanary{ScaleCanary::How::Tasks, 3}, {}},
                     {Experiment{Duration{1min}, Percent{2}}, {}}});
  std::get<Examine>(plan.steps[1].what).checks[0].count = 3;
  plan.checks = {errors_check(4)};
  plan.checks[0].counted = Tally::InARow;
  plan.checks[0].to_step = 5;
  plan.hooks = hooked(HookStage::Gate).hooks;
  plan.rollback = {RollbackKind::Stepwise, Percent{5}, 10s};
  plan.deadline = Deadline{2h, OnFail::Pause, {}};
  plan.on_newer = OnNewer::Swap;
  plan.affinity = SessionAffinity{"c", 1h, {}};
  plan.load = SyntheticLoad{Rate{5}, {}};
  plan.capacity = CanaryCapacity::FollowWeight;
  const auto back = plan_from_json(to_json(plan));
  ASSERT_TRUE(back) << to_string(back.error());
  EXPECT_EQ(dump_json(to_json(*back), 1), dump_json(to_json(plan), 1));
  EXPECT_EQ(check_playable(plan).size(), 2u);
}

}  // namespace
}  // namespace coalmine::rollout
