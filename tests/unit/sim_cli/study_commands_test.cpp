// evaluate, compare, merge and explore as a user meets them: what is printed, the exit code, the
// files.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "sim/cli/evaluate_command.h"
#include "sim/cli/explore_command.h"
#include "sim/cli/plan_option.h"
#include "sim/cli/progress_bar.h"
#include "sim/cli/verb.h"
#include "sim/engine/direct_plane.h"
#include "sim/engine/simulation.h"
#include "tests/support/golden.h"

namespace coalmine::cli {
namespace {

constexpr const char* kFaulty = "scenarios/faulty-v2-is-rolled-back.yaml";
constexpr const char* kHealthy = "scenarios/healthy-canary-is-promoted.yaml";

Result<world::Record> play(const world::Spec& spec, const world::RunOptions& options) {
  return engine::simulate(spec, options, engine::make_direct_plane);
}
std::optional<std::string> nothing(std::string_view) {
  return std::nullopt;
}

class StudyCommands : public testing::Test {
 protected:
  StudyArguments arguments(int seeds) {
    StudyArguments a;
    a.paths = {kFaulty};
    a.seeds = seeds;
    a.jobs = 1;
    a.advice = false;
    return a;
  }
  int evaluate(const StudyArguments& a) { return evaluate_scenario(a, play, nothing, out_, err_); }
  int compare(const StudyArguments& a) { return compare_plans(a, play, nothing, out_, err_); }

  test::TempDir folder_;
  std::ostringstream out_, err_;
};

/// Every line fits a terminal of 80 columns.
void expect_narrow(const std::string& text) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80u) << line;
}

TEST_F(StudyCommands, EvaluateSaysWhatThePlanCosts) {
  StudyArguments a = arguments(40);
  a.advice = true;
  EXPECT_EQ(evaluate(a), kPassed) << err_.str();
  EXPECT_GOLDEN("study/evaluate.txt", out_.str());
  expect_narrow(out_.str());
}

TEST_F(StudyCommands, EvaluateReportsWhatTheContractNames) {
  StudyArguments a = arguments(10);
  const std::string file = folder_.path() + "/cost.json";
  a.reports = {"json=" + file};
  ASSERT_EQ(evaluate(a), kPassed) << err_.str();
  const Json json = Json::parse(test::read_file(file));
  EXPECT_EQ(json["version"], 1);
  EXPECT_EQ(json["scenario"], "faulty-v2-is-rolled-back");
  EXPECT_EQ(json["seeds"], 10);
  EXPECT_EQ(json["outcomes"]["rolled-back"], 10);
  const Json& requests = json["metrics"]["canary_requests"];
  EXPECT_LT(requests["ci95"][0].get<double>(), requests["mean"].get<double>());
  EXPECT_LE(requests["p50"].get<double>(), requests["p95"].get<double>());
  EXPECT_LE(requests["p95"].get<double>(), requests["max"].get<double>());
  EXPECT_TRUE(json["metrics"].contains("canary_failed_requests"));
  EXPECT_TRUE(json["metrics"]["time_to_promote_s"].is_null());
  EXPECT_EQ(json["false_rollback_rate"]["n"], 10);
  EXPECT_NEAR(json["information_floor_requests"].get<double>(), 30.46, 0.1);
}

TEST_F(StudyCommands, CompareSetsPlansSideBySide) {
  StudyArguments a = arguments(20);
  a.plans = {"own", "steps:20%,5m,promote", std::string("coalmine:") + kHealthy};
  a.reports = {"json=" + folder_.path() + "/c.json", "html=" + folder_.path() + "/c.html",
               "csv=" + folder_.path() + "/c.csv"};
  EXPECT_EQ(compare(a), kPassed) << err_.str();
  EXPECT_GOLDEN("study/compare.txt", out_.str());
  expect_narrow(out_.str());
  const Json json = Json::parse(test::read_file(folder_.path() + "/c.json"));
  ASSERT_EQ(json.size(), 3u);
  EXPECT_EQ(json[1]["plan"], "steps:20%,5m,promote");
  EXPECT_NE(test::read_file(folder_.path() + "/c.html").find("<svg"), std::string::npos);
  const std::string csv = test::read_file(folder_.path() + "/c.csv");
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 4);
}

TEST_F(StudyCommands, ASweepIsATable) {
  StudyArguments a = arguments(10);
  a.sweeps = {"weight=1%,10%", "bake=2m,5m"};
  a.reports = {"csv=" + folder_.path() + "/s.csv"};
  EXPECT_EQ(evaluate(a), kPassed) << err_.str();
  EXPECT_NE(out_.str().find("weight 10%, bake 5m"), std::string::npos) << out_.str();
  expect_narrow(out_.str());
  EXPECT_EQ(test::read_file(folder_.path() + "/s.csv").substr(0, 17), "weight,bake,plan,");
}

TEST_F(StudyCommands, MergedShardsAreTheWhole) {
  StudyArguments a = arguments(9);
  const std::string whole = folder_.path() + "/whole.json", merged = folder_.path() + "/m.json";
  a.reports = {"json=" + whole};
  ASSERT_EQ(evaluate(a), kPassed);
  std::vector<std::string> parts;
  for (const char* shard : {"3/3", "1/3", "2/3"}) {
    parts.push_back(fmt::format("{}/part-{}.json", folder_.path(), shard[0]));
    a.shard = shard;
    a.reports = {"json=" + parts.back()};
    ASSERT_EQ(evaluate(a), kPassed) << err_.str();
  }
  ASSERT_EQ(merge_shards(parts, {"json=" + merged}, out_, err_), kPassed) << err_.str();
  EXPECT_EQ(test::read_file(whole), test::read_file(merged));
  parts.pop_back();
  EXPECT_EQ(merge_shards(parts, {}, out_, err_), kUsage);
  EXPECT_NE(err_.str().find("shards are missing: 2/3"), std::string::npos);
}

struct RefusalCase {
  const char* name;
  void (*spoil)(StudyArguments&);
  const char* says;
};
class Refusal : public testing::TestWithParam<RefusalCase> {};

TEST_P(Refusal, SaysWhatIsAllowed) {
  StudyArguments a;
  a.paths = {kFaulty};
  a.seeds = 1;
  GetParam().spoil(a);
  std::ostringstream out, err;
  EXPECT_EQ(evaluate_scenario(a, play, nothing, out, err), kUsage);
  EXPECT_NE(err.str().find(GetParam().says), std::string::npos) << err.str();
  EXPECT_EQ(out.str(), "");
}

INSTANTIATE_TEST_SUITE_P(
    Usage, Refusal,
    testing::Values(
        RefusalCase{"ReportKind", [](StudyArguments& a) { a.reports = {"pdf=x"}; },
                    "json, csv or html"},
        RefusalCase{"Shard", [](StudyArguments& a) { a.shard = "5/4"; }, "shard index"},
        RefusalCase{"Parameter", [](StudyArguments& a) { a.sweeps = {"wait=1m"}; },
                    "allowed are weight, bake, fault"},
        RefusalCase{"Value", [](StudyArguments& a) { a.sweeps = {"weight=120%"}; },
                    "120% lies outside 0% to 100%"},
        RefusalCase{"Twice", [](StudyArguments& a) { a.sweeps = {"rate=1/s,1/s"}; },
                    "1/s is given twice"},
        RefusalCase{"PlanKind", [](StudyArguments& a) { a.plans = {"magic:x"}; }, "--plan"},
        RefusalCase{"BadSteps", [](StudyArguments& a) { a.plans = {"steps:promote,5%"}; },
                    "promote"},
        RefusalCase{"TwoFiles", [](StudyArguments& a) { a.paths.push_back(kHealthy); },
                    "one scenario file is needed, 2 are given"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST_F(StudyCommands, AFileThatCannotBeReadIsTheEnvironments) {
  StudyArguments a = arguments(1);
  a.paths = {"scenarios/none.yaml"};
  EXPECT_EQ(evaluate(a), kEnvironment);
}

TEST_F(StudyCommands, ExploreWritesAFileThatReproduces) {
  ExploreArguments a;
  a.paths = {kHealthy};
  a.checks = {"outcome"};
  a.targets = {"v2"};
  a.jobs = 2;
  a.runs = 400;
  a.out = folder_.path() + "/found.yaml";
  ASSERT_EQ(explore_scenario(a, play, out_, err_), kFailed) << out_.str() << err_.str();
  auto loaded = scenario::load_scenario_file(a.out);
  ASSERT_TRUE(loaded.scenario) << loaded.problems.front().message;
  EXPECT_EQ(loaded.scenario->spec.events.size(), 1u) << test::read_file(a.out);
  // The same search again finds the same bytes, on one thread too.
  const std::string first = test::read_file(a.out);
  a.jobs = 1;
  EXPECT_EQ(explore_scenario(a, play, out_, err_), kFailed);
  EXPECT_EQ(test::read_file(a.out), first);
}

TEST_F(StudyCommands, ExploreFindsNothingWhereNothingIs) {
  ExploreArguments a;
  a.paths = {kHealthy};
  a.checks = {"dropped-requests"};
  a.runs = 40;
  a.max_faults = 0;  // a crash of the only canary task would drop requests
  a.out = folder_.path() + "/none.yaml";
  EXPECT_EQ(explore_scenario(a, play, out_, err_), kPassed) << out_.str();
  EXPECT_FALSE(std::filesystem::exists(a.out));
  a.checks = {"no-such-check"};
  EXPECT_EQ(explore_scenario(a, play, out_, err_), kUsage);
}

TEST(PlanOption, StepsKeepTheAnalysis) {
  const auto loaded = scenario::load_scenario_file(kFaulty);
  std::ostringstream err;
  const auto changed = with_plan(*loaded.scenario, "steps:5%,1m,promote", err);
  ASSERT_TRUE(changed) << changed.error().message;
  EXPECT_EQ(changed->spec.plan.steps.size(), 3u);
  EXPECT_EQ(changed->spec.plan.analyses.size(), loaded.scenario->spec.plan.analyses.size());
}

TEST(ProgressBar, ShowsWhatIsLeft) {
  EXPECT_EQ(render_progress(0, 100, 0), "[............................]   0%  0 of 100 runs");
  EXPECT_EQ(render_progress(50, 100, 10),
            "[##############..............]  50%  50 of 100 runs, 10s left");
}

}  // namespace
}  // namespace coalmine::cli
