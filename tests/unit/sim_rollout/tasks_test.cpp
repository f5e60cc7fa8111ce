// Plans that change tasks: more before a weight rises, fewer after it fell, and stable's image.
#include <gtest/gtest.h>

#include "sim/rollout/journal.h"
#include "sim/rollout/replay.h"
#include "tests/unit/sim_rollout/fake_world.h"

namespace coalmine::rollout {
namespace {

using namespace std::chrono_literals;
using test::FakeTasks;
using test::plan_of;
using How = ScaleCanary::How;
using History = std::vector<std::string>;

struct TasksOfShare {
  const char* name;
  ScaleCanary how;
  double share;
  int stable;
  int want;
};

class CanaryTasks : public testing::TestWithParam<TasksOfShare> {};

TEST_P(CanaryTasks, AreRoundedUp) {
  EXPECT_EQ(canary_tasks(GetParam().how, GetParam().share, GetParam().stable), GetParam().want);
}

INSTANTIATE_TEST_SUITE_P(
    Shares, CanaryTasks,
    testing::Values(TasksOfShare{"NoneWithoutAWeight", {How::FollowWeight, 0}, 0, 10, 0},
                    TasksOfShare{"OneAtLeast", {How::FollowWeight, 0}, 0.001, 10, 1},
                    TasksOfShare{"AWholeNumberStays", {How::FollowWeight, 0}, 0.2, 5, 1},
                    TasksOfShare{"APartIsATask", {How::FollowWeight, 0}, 0.21, 5, 2},
                    TasksOfShare{"AllAreAsMany", {How::FollowWeight, 0}, 1, 7, 7},
                    TasksOfShare{"PercentDoNotLookAtTheWeight", {How::Percent, 50}, 0.01, 5, 3},
                    TasksOfShare{"MoreThanStableHas", {How::Percent, 150}, 0.01, 4, 6},
                    TasksOfShare{"ANumberIsANumber", {How::Tasks, 3}, 0.5, 100, 3}),
    [](const auto& info) { return std::string(info.param.name); });

struct Played {
  Result<RolloutEnd> end = error("not run");
  History tasks;
  std::vector<double> baselines;
  std::string timeline;
  std::vector<std::string> phases;
  std::vector<std::pair<TimePoint, double>> weights;
};

struct World {
  int stable = 4, canary = 1;
  Duration start = 25s;
  int failures = 0, refusals = 0;
  std::string failure;
  test::FakeVersion v2 = {};
  std::vector<std::pair<Duration, Operator>> commands = {};
  test::FakeVersion v1 = {}, fresh = {};
};

Played play(const Plan& plan, const World& how = {}) {
  test::FakeClock clock;
  test::FakeTraffic traffic(clock);
  test::FakeMetrics metrics(traffic, 100, how.v1, how.v2, 1);
  metrics.fresh = how.fresh;
  FakeTasks tasks(clock, how.stable, how.canary);
  tasks.start = how.start;
  tasks.refusals = how.refusals;
  tasks.failure = how.failure;
  test::Script script(how.commands);
  Played played;
  RolloutWorld world{traffic,
                     metrics,
                     clock,
                     &script,
                     nullptr,
                     [&played](const Event& event) {
                       if (event.name == "state.changed") played.phases.push_back(event.text("to"));
                       const std::string line = render(event, kVirtualEpoch);
                       if (!line.empty()) played.timeline += line + "\n";
                     },
                     {}};
  world.tasks = &tasks;
  played.end = run_rollout(plan, world);
  played.tasks = tasks.history;
  played.weights = traffic.history;
  for (const auto& [t, share] : traffic.baselines) played.baselines.push_back(share);
  return played;
}

std::vector<std::pair<Duration, double>> since_start(const Played& played) {
  std::vector<std::pair<Duration, double>> list;
  for (const auto& [t, weight] : played.weights) list.emplace_back(t - kVirtualEpoch, weight);
  return list;
}
using Weighted = std::vector<std::pair<Duration, double>>;

Plan following(std::vector<StepKind> steps) {
  Plan plan = plan_of(std::move(steps));
  plan.capacity = CanaryCapacity::FollowWeight;
  return plan;
}

TEST(Tasks, ComeBeforeTheWeightRisesAndGoAfterItFell) {
  const Played played =
      play(following({SetWeight{Percent{10}}, Bake{1min}, SetWeight{Percent{60}}, Bake{1min},
                      SetWeight{Percent{20}}, Bake{1min}, Promote{"v2"}}),
           {5, 0});
  ASSERT_TRUE(played.end) << to_string(played.end.error());
  EXPECT_EQ(played.end->outcome, Outcome::Promoted);
  // Looked at every 10 s, there after 25: each weight 30 s after its tasks were asked for.
  EXPECT_EQ(played.tasks,
            (History{"0:00.000 v2 1", "1:30.000 v2 3", "3:30.000 v2 1", "4:00.000 v2 5"}));
  EXPECT_EQ(since_start(played), (Weighted{{30s, 10}, {120s, 60}, {180s, 20}, {270s, 100}}));
  EXPECT_EQ(played.phases.front(), "scaling");
  EXPECT_NE(played.timeline.find("tasks     v2 1 -> 3, for 60% of the traffic"), std::string::npos)
      << played.timeline;
  EXPECT_NE(played.timeline.find("tasks     v2 3 -> 1, enough for 20% of the traffic"),
            std::string::npos)
      << played.timeline;
}

TEST(Tasks, ThatAreThereAlreadyAreNotWaitedFor) {
  const Played played =
      play(following({SetWeight{Percent{50}}, Bake{1min}, Promote{"v2"}}), {4, 4});
  EXPECT_EQ(since_start(played), (Weighted{{0s, 50}, {90s, 100}}));
  EXPECT_EQ(played.tasks, (History{"0:30.000 v2 2", "1:00.000 v2 4"}));
}

TEST(Tasks, GoAfterARollBackAndNotWithIt) {
  Plan plan = following({SetWeight{Percent{50}}, Bake{10min}, Promote{"v2"}});
  plan.analyses = {test::error_share()};
  const Played played = play(plan, {4, 0, 25s, 0, 0, "", {.2, 0}});
  EXPECT_EQ(played.end->outcome, Outcome::RolledBack);
  ASSERT_EQ(played.weights.size(), 2u);
  const TimePoint back = played.weights[1].first;
  EXPECT_EQ(played.tasks.back(), to_stopwatch(back + plan.settle - kVirtualEpoch) + " v2 0");
}

TEST(Tasks, OfAStepStayUntilTheNextOne) {
  const Played played =
      play(plan_of({ScaleCanary{How::Tasks, 3}, SetWeight{Percent{10}}, Bake{1min},
                    SetWeight{Percent{50}}, Bake{1min}, ScaleCanary{How::Percent, 75},
                    ScaleCanary{How::FollowWeight, 0}, Bake{1min}, Promote{"v2"}}));
  EXPECT_EQ(played.end->outcome, Outcome::Promoted);
  EXPECT_EQ(played.tasks, (History{"0:00.000 v2 3", "2:30.000 v2 2", "3:30.000 v2 4"}));
  EXPECT_EQ(since_start(played), (Weighted{{30s, 10}, {90s, 50}, {240s, 100}}));
}

TEST(Tasks, GoBackToWhatTheyWereWhenASteppedPlanIsAborted) {
  const Played played =
      play(plan_of({ScaleCanary{How::Percent, 100}, SetWeight{Percent{10}}, Bake{10min}}),
           {4, 2, 25s, 0, 0, "", {}, {{5min, {Command::Abort, "enough", {}}}}});
  EXPECT_EQ(played.end->outcome, Outcome::Aborted);
  EXPECT_EQ(played.tasks, (History{"0:00.000 v2 4", "5:30.000 v2 2"}));
}

TEST(Tasks, ThatDoNotComeUpRollThePlanBackWithASentence) {
  Plan plan = following({SetWeight{Percent{10}}, Bake{1min}, SetWeight{Percent{50}}, Bake{1min}});
  plan.task_patience = 2min;
  const Played late = play(plan, {4, 0, 3min});
  EXPECT_EQ(late.end->outcome, Outcome::RolledBack);
  EXPECT_EQ(late.end->reason, "0 of 1 tasks of v2 take requests after 2m");
  EXPECT_EQ(late.weights.back().second, 0);
  const Played broken = play(plan, {4, 0, 3min, 0, 0, "deployment failed: tasks failed to start"});
  EXPECT_EQ(broken.end->reason,
            "tasks of v2 do not come up: deployment failed: tasks failed to start");
  const Played refused = play(plan, {4, 0, 5s, 0, kMaxShiftAttempts});
  EXPECT_EQ(refused.end->outcome, Outcome::RolledBack);
  EXPECT_EQ(refused.end->reason, "the tasks could not be changed: AccessDenied: not you");
  EXPECT_EQ(play(plan, {4, 0, 5s, 0, kMaxShiftAttempts - 1}).end->outcome, Outcome::Completed);
}

TEST(Tasks, AreWaitedForWithEyesOpen) {
  // The canary turns bad in front of its growth: what watches it goes on watching.
  Plan plan = following({SetWeight{Percent{20}}, Bake{10s}, SetWeight{Percent{100}}, Bake{1min}});
  plan.analyses = {test::error_share()};
  plan.on_no_data = OnNoData::Continue;
  const Played played = play(plan, {5, 1, 5min, 0, 0, "", {.05, 0}});
  EXPECT_EQ(played.end->outcome, Outcome::RolledBack);
  EXPECT_EQ(played.phases, (std::vector<std::string>{"scaling", "shifting", "baking", "scaling",
                                                     "rolling-back", "rolled-back"}))
      << played.timeline;
}

TEST(Tasks, APauseWhileTheyComeGoesOnWithThem) {
  const Played played =
      play(following({SetWeight{Percent{50}}, Bake{1min}}),
           {4,
            0,
            25s,
            0,
            0,
            "",
            {},
            {{15s, {Command::Pause, "", {}}}, {5min, {Command::Resume, "", {}}}}});
  EXPECT_EQ(since_start(played), (Weighted{{5min, 50}}));
  EXPECT_EQ(played.tasks, (History{"0:00.000 v2 2"}));
}

TEST(Tasks, NoneForAWeightIsDoubted) {
  const auto doubts =
      check_doubts(plan_of({ScaleCanary{How::Tasks, 0}, SetWeight{Percent{10}}, Bake{1min},
                            ScaleCanary{How::FollowWeight, 0}, SetWeight{Percent{50}}, Bake{1min}},
                           {test::error_share()}));
  ASSERT_EQ(doubts.size(), 1u);
  EXPECT_EQ(doubts[0].message, "the canary has 10% of the traffic and no task to take it");
}

// --- promotions --------------------------------------------------------------------------------

Plan promoted_by(PromoteKind kind, bool stops_idle = false) {
  return plan_of({SetWeight{Percent{30}}, Bake{1min}, Promote{"v2", kind, stops_idle}});
}

TEST(Promotion, ByImageSwapGivesStableTheImageAndThenTheTraffic) {
  const Played played = play(promoted_by(PromoteKind::ImageSwap));
  ASSERT_TRUE(played.end) << to_string(played.end.error());
  EXPECT_EQ(played.end->outcome, Outcome::Promoted);
  EXPECT_EQ(played.end->reason, "v1 runs v2 and takes all traffic");
  EXPECT_EQ(played.tasks, (History{"1:00.000 image app:3"}));
  EXPECT_EQ(since_start(played), (Weighted{{0s, 30}, {90s, 0}})) << "the weight stays meanwhile";
  EXPECT_NE(played.timeline.find("4 tasks of v1 get the image of v2"), std::string::npos);
  EXPECT_NE(played.timeline.find("4 tasks of v1 take requests with the image of v2"),
            std::string::npos);
}

TEST(Promotion, ByImageSwapStopsTheCanaryIfItShall) {
  EXPECT_EQ(play(promoted_by(PromoteKind::ImageSwap, true)).tasks,
            (History{"1:00.000 image app:3", "2:00.000 v2 0"}));
}

TEST(Promotion, ByImageSwapThatDoesNotComeUpGivesTheOldImageBack) {
  Plan plan = promoted_by(PromoteKind::ImageSwap);
  plan.task_patience = 1min;
  const Played played = play(plan, {4, 1, 10min});
  EXPECT_EQ(played.end->outcome, Outcome::RolledBack);
  EXPECT_EQ(played.end->reason,
            "0 of 4 tasks of v1 take requests with the image asked for after 1m");
  EXPECT_EQ(played.tasks, (History{"1:00.000 image app:3", "2:00.000 image app:1"}));
  EXPECT_EQ(since_start(played), (Weighted{{0s, 30}, {120s, 0}}));
}

TEST(Promotion, ByImageSwapCanBeAborted) {
  const Played played =
      play(promoted_by(PromoteKind::ImageSwap),
           {4, 1, 5min, 0, 0, "", {}, {{2min, {Command::Abort, "wrong build", {}}}}});
  EXPECT_EQ(played.end->outcome, Outcome::Aborted);
  EXPECT_EQ(played.tasks, (History{"1:00.000 image app:3", "2:00.000 image app:1"}));
}

TEST(Promotion, ByReplacementGrowsTheCanaryFirstAndStopsStableLast) {
  const Played played = play(promoted_by(PromoteKind::Replace));
  EXPECT_EQ(played.end->outcome, Outcome::Promoted);
  EXPECT_EQ(played.tasks, (History{"1:00.000 v2 4", "2:00.000 v1 0"}));
  EXPECT_EQ(since_start(played), (Weighted{{0s, 30}, {90s, 100}}));
}

TEST(Promotion, OfAnOperatorIsMadeAsThePlanSays) {
  const Played played = play(promoted_by(PromoteKind::ImageSwap),
                             {4, 1, 25s, 0, 0, "", {}, {{10s, {Command::Promote, "", {}}}}});
  EXPECT_EQ(played.tasks, (History{"0:10.000 image app:3"}));
  EXPECT_EQ(since_start(played), (Weighted{{0s, 30}, {40s, 0}}));
}

TEST(Promotion, WithoutAnybodyWhoRunsTasksIsRefused) {
  test::FakeClock clock;
  test::FakeTraffic traffic(clock);
  test::FakeMetrics metrics(traffic, 100, {}, {}, 1);
  RolloutWorld world{traffic, metrics, clock, nullptr, nullptr, {}, {}};
  const auto end = run_rollout(promoted_by(PromoteKind::Replace), world);
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().message, "the plan changes tasks, but nothing here can");
}

Plan experiment(Percent before = Percent{0}) {
  Plan plan = plan_of({SetWeight{before}, Experiment{5min, Percent{5}}, SetWeight{Percent{50}},
                       Bake{1min}, Promote{"v2"}});
  if (before.value <= 0) plan.steps.erase(plan.steps.begin());
  return plan;
}

// --- killed anywhere ---------------------------------------------------------------------------

struct KilledCase {
  const char* name;
  Plan (*plan)();
  std::vector<double> planned;  ///< weights, each the next one above
  double last;
};

class KilledController : public testing::TestWithParam<KilledCase> {};

struct AfterKill {
  bool finished = false;  ///< before it could be killed
  Result<RolloutEnd> end = error("not run");
  std::vector<std::pair<TimePoint, double>> weights;
  Tasks tasks;
  std::string journal;
};

/// The journal breaks after so many lines; another controller goes on from what it has.
AfterKill run_killed(const Plan& plan, long lines) {
  test::FakeClock clock;
  test::FakeTraffic traffic(clock);
  test::FakeMetrics metrics(traffic, 100, {.001, 0}, {.001, 0}, 4);
  FakeTasks tasks(clock, 4, 1);
  test::MemoryJournal sink;
  sink.text = header_line({kVirtualEpoch, "r1", traffic.describe(), plan, {}});
  sink.lines_left = lines;
  RolloutWorld world{traffic, metrics, clock, nullptr, &sink, {}, {}};
  world.tasks = &tasks;
  AfterKill run;
  run.end = run_rollout(plan, world);
  run.finished = run.end.has_value();
  if (!run.finished) {
    const auto journal = parse_journal(sink.text, "j");
    EXPECT_TRUE(journal) << to_string(journal.error());
    sink.lines_left = 1'000'000;
    clock.sleep_until(clock.now() + 7s);
    run.end = resume_rollout(journal->header.plan, resume(*journal), world);
  }
  run.weights = traffic.history;
  run.tasks = tasks.now;
  run.journal = sink.text;
  return run;
}

/// Whatever line its journal breaks after: no weight jumps upwards, and all ends as it would have.
TEST_P(KilledController, GoesOn) {
  const Plan plan = GetParam().plan();
  const std::vector<double>& planned = GetParam().planned;
  const Tasks wanted = run_killed(plan, 1'000'000).tasks;
  bool finished = false;
  long lines = 0;
  for (; !finished && lines < 2000; ++lines) {
    const AfterKill run = run_killed(plan, lines);
    finished = run.finished;
    ASSERT_TRUE(run.end) << lines << to_string(run.end.error());
    EXPECT_EQ(run.end->outcome, Outcome::Promoted) << lines << ": " << run.end->reason;
    test::expect_no_jump(run.weights, planned, lines);
    EXPECT_EQ(run.weights.back().second, GetParam().last) << lines;
    EXPECT_EQ(run.tasks.canary.desired, wanted.canary.desired) << "killed after line " << lines;
    EXPECT_EQ(run.tasks.baseline->desired, 0) << "killed after line " << lines;
    EXPECT_EQ(run.tasks.stable.desired, wanted.stable.desired) << "killed after line " << lines;
    EXPECT_EQ(run.tasks.stable.build, wanted.stable.build) << "killed after line " << lines;
    test::expect_replayed(run.journal, lines);
  }
  EXPECT_TRUE(finished);
  EXPECT_GT(lines, 20);
}

INSTANTIATE_TEST_SUITE_P(
    Plans, KilledController,
    testing::Values(
        KilledCase{"WhoseTasksFollowTheWeight",
                   [] {
                     return following({SetWeight{Percent{10}}, Bake{1min}, SetWeight{Percent{50}},
                                       Bake{1min}, Promote{"v2", PromoteKind::Replace}});
                   },
                   {0, 10, 50, 100},
                   100},
        KilledCase{"ThatSwapsTheImage",
                   [] { return promoted_by(PromoteKind::ImageSwap, true); },
                   {0, 30},
                   0},
        KilledCase{"ThatScalesInSteps",
                   [] {
                     return plan_of({ScaleCanary{How::Percent, 50}, SetWeight{Percent{50}},
                                     Bake{1min}, Promote{"v2"}});
                   },
                   {0, 50, 100},
                   100},
        KilledCase{"ThatExperiments", [] { return experiment(); }, {0, 5, 0, 50, 100}, 100}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(Tasks, ComeBackFromTheJournal) {
  const Tasks tasks{{4, 3, 1, "arn:app:3", "circuit breaker"}, {2, 2, 0, "arn:app:7", ""}, true};
  for (const Input& input :
       {Input{TasksSeen{tasks}}, Input{TasksFailed{"no"}}, Input{Started{{{"v1", 1}}, tasks}},
        Input{Restarted{{{"v1", 1}}, tasks}}}) {
    const std::string line = input_line(kVirtualEpoch, input);
    const auto back = parse_input_line(line);
    ASSERT_TRUE(back) << to_string(back.error());
    EXPECT_EQ(input_line(kVirtualEpoch, *back), line);
  }
}

// --- experiments -------------------------------------------------------------------------------

TEST(Experiment, SetsTheCanaryBesideAnEquallyLargeFreshCopyOfStable) {
  const Played played = play(experiment(Percent{10}), {10, 3});
  ASSERT_TRUE(played.end) << to_string(played.end.error());
  EXPECT_EQ(played.end->outcome, Outcome::Promoted) << played.timeline;
  EXPECT_EQ(since_start(played),
            (Weighted{{0s, 10}, {30s, 5}, {330s, 10}, {330s, 50}, {390s, 100}}))
      << "5% for five minutes, and back to what it was";
  EXPECT_EQ(played.baselines, (std::vector<double>{0, 5, 0, 0, 0}));
  EXPECT_EQ(played.tasks, (History{"0:00.000 v1-baseline 3", "6:00.000 v1-baseline 0"}))
      << "as many as the canary has, before the weights and as long as they may act";
  EXPECT_NE(
      played.timeline.find("tasks     v1-baseline 0 -> 3, a fresh copy of v1, as many as v2 has"),
      std::string::npos)
      << played.timeline;
}

TEST(Experiment, GivesTheCanaryItsTasksFirstWhereTheyFollowTheWeight) {
  Plan plan = experiment();
  plan.capacity = CanaryCapacity::FollowWeight;
  const Played played = play(plan, {40, 0});
  EXPECT_EQ(played.end->outcome, Outcome::Promoted) << played.timeline;
  EXPECT_EQ(played.tasks.at(0), "0:00.000 v2 2");
  EXPECT_EQ(played.tasks.at(1), "0:30.000 v1-baseline 2");
  EXPECT_EQ(since_start(played).front(), (std::pair<Duration, double>{60s, 5}));
}

TEST(Experiment, JudgesByTheFreshCopyAndNotByStable) {
  // Everything that has just started fails more: not the canary's fault.
  Plan plan = experiment();
  plan.analyses = {test::error_share()};
  World cold{10, 3};
  cold.v2 = cold.fresh = {.03, 0};
  cold.v1 = {.001, 0};
  const Played fair = play(plan, cold);
  EXPECT_GT(fair.end->state.canary_counts.errors, 20u);
  EXPECT_NE(fair.timeline.find("the experiment is over, no analysis objects"), std::string::npos)
      << fair.timeline;
  cold.fresh = {.001, 0};
  const Played guilty = play(plan, cold);
  EXPECT_EQ(guilty.end->outcome, Outcome::RolledBack) << guilty.timeline;
  EXPECT_EQ(guilty.weights.size(), 2u) << "within the experiment";
  EXPECT_EQ(guilty.baselines.back(), 0);
  EXPECT_EQ(guilty.tasks.back().substr(guilty.tasks.back().find(' ')), " v1-baseline 0");
}

TEST(Experiment, LeavesNothingBehindHoweverItEnds) {
  const auto end = [](Command command, Plan plan) {
    const Played played =
        play(plan, {10, 3, 25s, 0, 0, "", {}, {{2min, {command, "now", Percent{20}}}}});
    EXPECT_EQ(played.baselines.back(), 0) << to_string(command);
    EXPECT_EQ(played.tasks.size(), 2u) << to_string(command) << "\n" << played.timeline;
    return played.end->outcome;
  };
  EXPECT_EQ(end(Command::Abort, experiment()), Outcome::Aborted);
  EXPECT_EQ(end(Command::Promote, experiment()), Outcome::Promoted);
  EXPECT_EQ(play(plan_of({Experiment{2min, Percent{5}}})).tasks,
            (History{"0:00.000 v1-baseline 1", "3:00.000 v1-baseline 0"}))
      << "the plan ends with it";
}

TEST(Experiment, GoesOnForTheRestOfItsTimeAfterAPause) {
  const Played played =
      play(experiment(), {10,
                          3,
                          25s,
                          0,
                          0,
                          "",
                          {},
                          {{2min, {Command::Pause, "", {}}}, {10min, {Command::Resume, "", {}}}}});
  EXPECT_EQ(played.end->outcome, Outcome::Promoted) << played.timeline;
  EXPECT_EQ(since_start(played).at(1), (std::pair<Duration, double>{810s, 0}))
      << "90 s before the pause, 210 s after it\n"
      << played.timeline;
}

TEST(Experiment, OfNoLengthOrShareIsRefused) {
  const auto says = [](Duration length, double share) {
    const auto errors =
        check(plan_of({SetWeight{Percent{1}}, Experiment{length, Percent{share}}, Promote{"v2"}}));
    return errors.empty() ? std::string() : errors.front().message;
  };
  EXPECT_EQ(says(5min, 5), "");
  EXPECT_NE(says(5min, 0).find("allowed is above 0%, up to 50%"), std::string::npos);
  EXPECT_NE(says(5min, 51).find("allowed is above 0%, up to 50%"), std::string::npos);
  EXPECT_NE(says(30s, 5).find("it must be longer"), std::string::npos);
}

}  // namespace
}  // namespace coalmine::rollout
