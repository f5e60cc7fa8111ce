// Routes by header, cookie or segment: their words in the APIs, and their life in a rollout.
#include <gtest/gtest.h>

#include "sim/core/regex.h"
#include "sim/rollout/journal.h"
#include "sim/rollout/matches.h"
#include "sim/rollout/replay.h"
#include "tests/unit/sim_rollout/fake_world.h"

namespace coalmine::rollout {
namespace {

using namespace std::chrono_literals;
using By = RouteMatch::By;
using Kind = HeaderCondition::Kind;
using test::plan_of;

const RouteMatch kTester{By::Header, "X-Tester", "alice"};

// --- words -------------------------------------------------------------------------------------

struct WordsCase {
  const char* name;
  RouteMatch match;
  std::vector<MatchConditions> app_mesh, alb;  ///< alb empty: it cannot say so
};

class Words : public testing::TestWithParam<WordsCase> {};

TEST_P(Words, AreThoseOfTheApi) {
  const auto& [name, match, app_mesh, alb] = GetParam();
  const auto mesh = conditions_of({match}, TrafficApi::AppMesh);
  ASSERT_TRUE(mesh) << to_string(mesh.error());
  EXPECT_EQ(*mesh, app_mesh);
  const auto balancer = conditions_of({match}, TrafficApi::Alb);
  EXPECT_EQ(balancer.value_or(std::vector<MatchConditions>{}), alb);
}

MatchConditions header(std::string name, Kind kind, std::vector<std::string> values) {
  return {"", {{std::move(name), kind, std::move(values)}}};
}

INSTANTIATE_TEST_SUITE_P(
    Matches, Words,
    testing::Values(WordsCase{"HeaderWithAValue",
                              kTester,
                              {header("X-Tester", Kind::Exact, {"alice"})},
                              {header("X-Tester", Kind::Wildcard, {"alice"})}},
                    WordsCase{"HeaderWithAnyValue",
                              {By::Header, "X-Tester", ""},
                              {header("X-Tester", Kind::Present, {})},
                              {header("X-Tester", Kind::Wildcard, {"*"})}},
                    WordsCase{"RegexThatIsAWildcard",
                              {By::Header, "User-Agent", "^Mozilla/5\\.0.*$", true},
                              {header("User-Agent", Kind::Regex, {"^Mozilla/5\\.0.*$"})},
                              {header("User-Agent", Kind::Wildcard, {"Mozilla/5.0*"})}},
                    WordsCase{"RegexThatIsNone",
                              {By::Header, "X-Tester", "alice|bob", true},
                              {header("X-Tester", Kind::Regex, {"alice|bob"})},
                              {}},
                    WordsCase{"ValueThatAnAlbReadsAsAPattern",
                              {By::Header, "X-Tester", "a*"},
                              {header("X-Tester", Kind::Exact, {"a*"})},
                              {}},
                    WordsCase{
                        "Cookie",
                        {By::Cookie, "group", "b.c"},
                        {header("cookie", Kind::Regex, {"(.*; *)?group=b\\.c(;.*)?"})},
                        {header("cookie", Kind::Wildcard, {"group=b.c", "group=b.c;*"}),
                         header("cookie", Kind::Wildcard, {"*; group=b.c", "*; group=b.c;*"})}},
                    WordsCase{"CookieWithAnyValue",
                              {By::Cookie, "group", ""},
                              {header("cookie", Kind::Regex, {"(.*; *)?group=[^;]*(;.*)?"})},
                              {header("cookie", Kind::Wildcard, {"group=*", "*; group=*"})}},
                    WordsCase{"SegmentByPath",
                              {By::Segment, "checkout", "", false, "/checkout", ""},
                              {{"/checkout", {}}},
                              {{"/checkout", {}}}},
                    WordsCase{"SegmentByPathAndHeader",
                              {By::Segment, "beta", "", false, "/shop", "X-User:beta"},
                              {{"/shop", {{"X-User", Kind::Exact, {"beta"}}}}},
                              {{"/shop", {{"X-User", Kind::Wildcard, {"beta"}}}}}}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(Words, WhatCannotBeSaidIsRefusedWithTheReason) {
  const auto refused = [](const RouteMatch& match, TrafficApi api) {
    const auto said = conditions_of({match}, api);
    return said ? std::string("said") : said.error().message;
  };
  EXPECT_EQ(refused({By::Segment, "checkout"}, TrafficApi::AppMesh),
            "nothing tells the requests of the segment \"checkout\" from others: it needs a path "
            "or a header");
  EXPECT_EQ(refused({By::Header, ""}, TrafficApi::Alb), "the header to route by has no name");
  EXPECT_EQ(refused({By::Header, "X", std::string(256, 'x')}, TrafficApi::AppMesh).substr(0, 43),
            "App Mesh compares with up to 255 characters");
  EXPECT_EQ(refused({By::Header, "X", std::string(255, 'x')}, TrafficApi::AppMesh), "said");
  EXPECT_EQ(refused({By::Header, "X", std::string(129, 'x')}, TrafficApi::Alb).substr(0, 41),
            "an ALB compares with up to 128 characters");
}

TEST(Words, ACookieIsFoundWhereverItStands) {
  const auto said = conditions_of({{By::Cookie, "group", "beta"}}, TrafficApi::AppMesh);
  const auto regex = Regex::compile((*said)[0].headers[0].any_of[0]);
  ASSERT_TRUE(regex);
  for (const char* with :
       {"group=beta", "a=1; group=beta", "group=beta; b=2", "a=1;group=beta;b"}) {
    EXPECT_TRUE(regex->matches(with)) << with;
  }
  for (const char* without : {"group=betamax", "mygroup=beta", "group=alpha; x=group=beta", ""}) {
    EXPECT_FALSE(regex->matches(without)) << without;
  }
}

TEST(Words, WildcardsAreOnlyMadeOfWhatMeansTheSame) {
  const std::pair<const char*, const char*> same[] = {
      {"abc", "abc"}, {"^a.c$", "a?c"}, {".*x.*", "*x*"}, {"a\\.b", "a.b"}, {"", ""}};
  for (const auto& [regex, pattern] : same) EXPECT_EQ(as_wildcard(regex), pattern) << regex;
  for (const char* other : {"a+", "a?", "[ab]", "(a)", "a|b", "\\d", "a\\*", "a{2}", "x\\"}) {
    EXPECT_FALSE(as_wildcard(other)) << other;
  }
}

// --- in a rollout ------------------------------------------------------------------------------

Plan routed_plan() {
  return plan_of({RouteMatching{{kTester}}, Bake{2min}, SetWeight{Percent{10}}, Bake{2min},
                  SetWeight{Percent{50}}, Bake{2min}, Promote{"v2"}},
                 {test::error_share()});
}

struct Played {
  RolloutEnd end;
  std::string timeline, journal;
  std::vector<std::pair<TimePoint, double>> weights, routed;
  std::vector<RouteMatch> left;
  bool finished = false;
};

struct Circumstances {
  test::FakeVersion v2{.001, .001};
  std::vector<std::pair<Duration, Operator>> commands;
  int failures = 0, route_failures = 0;
  long lines = 1'000'000;  ///< of the journal before the controller is killed
};

Played play(const Plan& plan, const Circumstances& with) {
  test::FakeClock clock;
  test::FakeTraffic traffic(clock);
  traffic.failures = with.failures;
  traffic.route_failures = with.route_failures;
  test::FakeMetrics metrics(traffic, 100, {.001, .001}, with.v2, 4);
  test::Script script(with.commands);
  test::MemoryJournal sink;
  sink.text = header_line({kVirtualEpoch, "r1", traffic.describe(), plan, {}});
  sink.lines_left = with.lines;
  Played played;
  const auto tell = [&played](const Event& event) {
    if (const std::string line = render(event, kVirtualEpoch); !line.empty()) {
      played.timeline += line + "\n";
    }
  };
  RolloutWorld world{traffic, metrics, clock, &script, &sink, tell, {}};
  auto end = run_rollout(plan, world);
  played.finished = end.has_value();
  if (!end) {
    const auto journal = parse_journal(sink.text, "j");
    EXPECT_TRUE(journal) << to_string(journal.error());
    sink.lines_left = 1'000'000;
    clock.sleep_until(clock.now() + 40s);
    end = resume_rollout(journal->header.plan, resume(*journal), world);
  }
  if (!end) {
    ADD_FAILURE() << to_string(end.error());
    return played;
  }
  played.end = *end;
  played.journal = sink.text;
  played.weights = traffic.history;
  played.routed = traffic.routed;
  played.left = traffic.matches;
  return played;
}

TEST(Routes, ComeBeforeTheWeightsAndGoBehindThem) {
  const Played played = play(routed_plan(), {});
  EXPECT_EQ(played.end.outcome, Outcome::Promoted);
  ASSERT_EQ(played.routed.size(), 2u);
  EXPECT_EQ(played.routed[0].first, kVirtualEpoch);
  EXPECT_GE(played.weights[0].first, kVirtualEpoch + 2min);
  EXPECT_EQ(played.weights.back().second, 100);
  EXPECT_GE(played.routed[1].first, played.weights.back().first);
  EXPECT_TRUE(played.left.empty());
  EXPECT_NE(played.timeline.find("routes    header X-Tester: alice bake until 2:00"),
            std::string::npos)
      << played.timeline;
}

TEST(Routes, AFaultAmongTheRoutedIsSeenAndRolledBack) {
  const Played played = play(routed_plan(), {{.2, .001}, {}, 0, 0});
  EXPECT_EQ(played.end.outcome, Outcome::RolledBack);
  EXPECT_TRUE(played.left.empty());
  ASSERT_EQ(played.weights.size(), 1u) << "no weight was needed to find out";
  EXPECT_EQ(played.weights[0].second, 0);
  EXPECT_NE(played.end.reason.find("of traffic as measured"), std::string::npos)
      << played.end.reason;
}

TEST(Routes, AHealthyCanaryIsNotBlamedForTheShareThatNoWeightTells) {
  int blamed = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    const Plan plan = plan_of({RouteMatching{{kTester}}, Bake{10min}}, {test::error_share(0.01)});
    test::FakeClock clock;
    test::FakeTraffic traffic(clock);
    traffic.matched_share = 0.3;
    test::FakeMetrics metrics(traffic, 100, {.01, 0}, {.01, 0}, seed);
    RolloutWorld world{traffic, metrics, clock, nullptr, nullptr, {}, {}};
    const auto end = run_rollout(plan, world);
    ASSERT_TRUE(end);
    blamed += end->outcome == Outcome::RolledBack ? 1 : 0;
  }
  EXPECT_LE(blamed, 8) << "alpha is 1%";
}

TEST(Routes, AnyEndTakesThemAway) {
  const auto with_command = [](Duration at, Command command) {
    Circumstances with;
    with.commands = {{at, {command, "", {}}}};
    return with;
  };
  EXPECT_EQ(play(routed_plan(), with_command(1min, Command::Abort)).end.outcome, Outcome::Aborted);
  EXPECT_TRUE(play(routed_plan(), with_command(1min, Command::Abort)).left.empty());
  const Played promoted = play(routed_plan(), with_command(1min, Command::Promote));
  EXPECT_EQ(promoted.end.outcome, Outcome::Promoted);
  EXPECT_TRUE(promoted.left.empty());
  const Plan open_end = plan_of({RouteMatching{{kTester}}, Bake{1min}});
  const Played completed = play(open_end, {});
  EXPECT_EQ(completed.end.outcome, Outcome::Completed);
  EXPECT_TRUE(completed.left.empty());
  Plan stepwise = routed_plan();
  stepwise.rollback = {RollbackKind::Stepwise, Percent{20}, 10s};
  const Played slowly = play(stepwise, with_command(6min, Command::Abort));
  EXPECT_EQ(slowly.end.outcome, Outcome::Aborted);
  EXPECT_TRUE(slowly.left.empty());
  EXPECT_LT(slowly.routed.back().first, slowly.weights.back().first) << "the routes go first";
}

TEST(Routes, CanBeTakenAwayInTheMiddle) {
  const Plan plan = plan_of({RouteMatching{{kTester}}, Bake{1min}, RouteMatching{},
                             SetWeight{Percent{50}}, Bake{1min}, Promote{"v2"}});
  const Played played = play(plan, {});
  EXPECT_EQ(played.end.outcome, Outcome::Promoted);
  ASSERT_EQ(played.routed.size(), 2u);
  EXPECT_LE(played.routed[1].first, played.weights[0].first);
}

TEST(Routes, AFailedChangeIsTriedAgainAndAtLastRolledBack) {
  Circumstances some;
  some.route_failures = 3;
  const Played again = play(routed_plan(), some);
  EXPECT_EQ(again.end.outcome, Outcome::Promoted);
  EXPECT_EQ(again.routed[0].first, kVirtualEpoch + 7s);  // 1, 2 and 4 seconds
  Circumstances many;
  many.route_failures = 4;
  const Played given_up = play(routed_plan(), many);
  EXPECT_EQ(given_up.end.outcome, Outcome::RolledBack);
  EXPECT_NE(given_up.end.reason.find("the routes could not be set: TooManyRequestsException"),
            std::string::npos);
  EXPECT_TRUE(given_up.left.empty());
}

TEST(Routes, ThatStayWhenTheWeightsAreBackAreTriedUntilTheyAreGone) {
  // Abort at one minute: the first tries to take the routes away fail, the weights do not wait.
  Plan plan = routed_plan();
  test::FakeClock clock;
  test::FakeTraffic traffic(clock);
  test::FakeMetrics metrics(traffic, 100, {.001, 0}, {.001, 0}, 4);
  test::Script script({{1min, {Command::Abort, "", {}}}});
  RolloutWorld world{traffic, metrics, clock, &script, nullptr, {}, {}};
  world.on_decision = [&traffic](const RolloutState& state) {
    if (state.phase == Phase::Baking) traffic.route_failures = 5;
  };
  const auto end = run_rollout(plan, world);
  ASSERT_TRUE(end);
  EXPECT_EQ(end->outcome, Outcome::Aborted);
  EXPECT_TRUE(traffic.matches.empty());
  EXPECT_EQ(traffic.history.back().first, kVirtualEpoch + 1min);
  EXPECT_EQ(traffic.routed.back().first, kVirtualEpoch + 1min + 31s);  // 1, 2, 4, 8 and 16 seconds

  clock.sleep_until(kVirtualEpoch);
  traffic.route_failures = 0;
  world.on_decision = [&traffic](const RolloutState& state) {
    if (state.phase == Phase::Baking) traffic.route_failures = 1000;
  };
  test::Script again({{clock.now() - kVirtualEpoch + 1min, {Command::Abort, "", {}}}});
  world.operators = &again;
  const auto stuck = run_rollout(plan, world);
  ASSERT_TRUE(stuck);
  EXPECT_EQ(stuck->outcome, Outcome::Failed);
  EXPECT_NE(stuck->reason.find("routes to v2 could not be taken away"), std::string::npos);
}

TEST(Routes, APausedChangeGoesOnWithTheResume) {
  Circumstances with;
  with.route_failures = 2;
  with.commands = {{2s, {Command::Pause, "", {}}}, {1min, {Command::Resume, "", {}}}};
  const Played played = play(routed_plan(), with);
  EXPECT_EQ(played.end.outcome, Outcome::Promoted);
  EXPECT_EQ(played.routed[0].first, kVirtualEpoch + 1min);
  with.commands = {{2s, {Command::SetWeights, "", Percent{5}}}, {1min, {Command::Resume, "", {}}}};
  const Played held = play(routed_plan(), with);
  EXPECT_EQ(held.end.outcome, Outcome::Promoted);
  EXPECT_EQ(held.routed[0].first, kVirtualEpoch + 1min);
}

TEST(Routes, AreAskedForBeforeUsersComeToTheCanary) {
  Plan plan = routed_plan();
  plan.hooks = {
      {"ask", HookStage::PreStep, "http://127.0.0.1:1/", "", 10s, 0, OnFail::Rollback, {}}};
  RolloutState state;
  const Decision first = decide(plan, state, Started{{{"v1", 100}, {"v2", 0}}}, kVirtualEpoch);
  EXPECT_EQ(first.state.phase, Phase::Asking);
  const Decision passed =
      decide(plan, first.state, HookAnswered{0, HookVerdict::Passed, ""}, kVirtualEpoch);
  EXPECT_EQ(passed.state.phase, Phase::Routing);
}

TEST(Routes, AreRefusedWhereNobodyCanSetThem) {
  struct Plain : test::FakeTraffic {
    using FakeTraffic::FakeTraffic;
    Status check_matches(const std::vector<RouteMatch>& any_of) const override {
      return TrafficAdapter::check_matches(any_of);
    }
  };
  test::FakeClock clock;
  Plain traffic(clock);
  const auto errors = check_weights(routed_plan(), traffic);
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors[0].message, "a fake cannot tell requests by header, cookie or segment");
}

TEST(Routes, AControllerKilledAnywhereLeavesNoneBehind) {
  for (const double errors : {.001, .2}) {
    bool finished = false;
    long lines = 0;
    for (; !finished && lines < 2000; ++lines) {
      Circumstances with;
      with.v2 = {errors, .001};
      with.lines = lines;
      const Played played = play(routed_plan(), with);
      finished = played.finished;
      EXPECT_EQ(played.end.outcome, errors > .01 ? Outcome::RolledBack : Outcome::Promoted);
      EXPECT_TRUE(played.left.empty()) << "killed after line " << lines;
      test::expect_no_jump(played.weights, {0, 10, 50, 100}, lines);
      test::expect_replayed(played.journal, lines);
    }
    EXPECT_TRUE(finished);
    EXPECT_GT(lines, 20);
  }
}

TEST(Mirror, IsSetBesideTheRoutesAndIsGoneAtAnyEnd) {
  const Plan plan = plan_of({Mirror{Percent{20}}, Bake{1min}, RouteMatching{{kTester}}, Bake{1min},
                             Mirror{}, Bake{1min}, Promote{"v2"}});
  std::string seen;
  for (const Command command : {Command::Resume, Command::Abort, Command::Promote}) {
    test::FakeClock clock;
    test::FakeTraffic traffic(clock);
    test::FakeMetrics metrics(traffic, 100, {}, {}, 1);
    test::Script script({{90s, {command, "", {}}}});
    RolloutWorld world{traffic, metrics, clock, &script, nullptr, {}, {}};
    world.on_event = [&](const Event& event) {
      if (event.name == "routes.changed") seen += event.text("routes") + "; ";
    };
    const auto end = run_rollout(plan, world);
    ASSERT_TRUE(end) << to_string(end.error());
    EXPECT_EQ(traffic.mirror, 0);
    EXPECT_TRUE(traffic.matches.empty());
  }
  EXPECT_EQ(seen,
            "copies of 20%; header X-Tester: alice, copies of 20%; header X-Tester: alice; none; "
            "copies of 20%; header X-Tester: alice, copies of 20%; none; "
            "copies of 20%; header X-Tester: alice, copies of 20%; none; ");
}

TEST(Mirror, IsRefusedByNameWhereNobodyCopies) {
  test::FakeClock clock;
  test::FakeTraffic traffic(clock);
  traffic.can_mirror = false;
  const auto errors = check_weights(plan_of({Mirror{Percent{20}}, Bake{1min}}), traffic);
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors[0].message.substr(0, 41), "a fake cannot copy requests to the canary");
}

TEST(Routes, ComeBackFromTheJournal) {
  for (const Input& input : {Input{RoutesApplied{}}, Input{RoutesFailed{"throttled"}}}) {
    const std::string line = input_line(kVirtualEpoch, input);
    const auto back = parse_input_line(line);
    ASSERT_TRUE(back) << to_string(back.error());
    EXPECT_EQ(input_line(kVirtualEpoch, *back), line);
  }
  Plan plan = routed_plan();
  std::get<RouteMatching>(plan.steps[0].what)
      .any_of.push_back({By::Segment, "checkout", "", false, "/checkout", "X-User:beta"});
  const auto back = plan_from_json(to_json(plan));
  ASSERT_TRUE(back);
  EXPECT_EQ(std::get<RouteMatching>(back->steps[0].what).any_of,
            std::get<RouteMatching>(plan.steps[0].what).any_of);
}

}  // namespace
}  // namespace coalmine::rollout
