#include "sim/study/study.h"

#include <gtest/gtest.h>

#include "sim/engine/direct_plane.h"
#include "sim/engine/simulation.h"
#include "sim/study/evaluation.h"
#include "sim/study/report.h"
#include "sim/study/shard_file.h"

namespace coalmine::study {
namespace {

Result<world::Record> play(const world::Spec& spec, const world::RunOptions& options) {
  return engine::simulate(spec, options, engine::make_direct_plane);
}

scenario::Scenario faulty() {
  auto loaded = scenario::load_scenario_file("scenarios/faulty-v2-is-rolled-back.yaml");
  return loaded.scenario.value();
}

Design design_of(int seeds) {
  Design design;
  design.trials = {own_trial(faulty())};
  design.seeds = seeds;
  return design;
}

StudyResult result_of(const Design& design, scenario::Shard shard = {}, int jobs = 1) {
  return run(design, shard, jobs, world::Fidelity::Auto, play).value();
}

TEST(Study, DoesNotDependOnTheJobs) {
  const StudyResult one = result_of(design_of(12)), four = result_of(design_of(12), {}, 4);
  EXPECT_EQ(report_json(one.kind, evaluate(one)), report_json(four.kind, evaluate(four)));
}

TEST(Study, SamplesAreThoseOfTheSeeds) {
  const Design design = design_of(3);
  const StudyResult result = result_of(design);
  ASSERT_EQ(result.trials[0].written.size(), 3u);
  world::RunOptions options;
  options.seed = design.trials[0].scenario.spec.seed + 2;
  const auto record = play(design.trials[0].scenario.spec, options);
  EXPECT_EQ(result.trials[0].written[2], make_sample(2, design.trials[0].scenario, *record));
}

TEST(Study, ShardsPlayEverySeedOnce) {
  const StudyResult whole = result_of(design_of(7));
  std::vector<std::size_t> written(7), healthy(7);
  for (int i = 1; i <= 5; ++i) {
    const StudyResult part = result_of(design_of(7), {i, 5});
    for (const Sample& sample : part.trials[0].written) {
      ++written[sample.index];
      EXPECT_EQ(sample, whole.trials[0].written[sample.index]);
    }
    for (const Sample& sample : part.trials[0].healthy) {
      ++healthy[sample.index];
      EXPECT_EQ(sample, whole.trials[0].healthy[sample.index]);
    }
  }
  EXPECT_EQ(written, std::vector<std::size_t>(7, 1));
  EXPECT_EQ(healthy, std::vector<std::size_t>(7, 1));
}

TEST(Study, TheFaultIsFoundAndHealthyRolloutsLive) {
  const Evaluation evaluation = evaluate(result_of(design_of(40)))[0];
  EXPECT_EQ(evaluation.written.count(world::Outcome::RolledBack), 40u);
  EXPECT_EQ(evaluation.missed_fault->count, 0u);
  EXPECT_LE(evaluation.false_rollback.count, 2u);
  ASSERT_TRUE(evaluation.facts.floor);
  EXPECT_NEAR(*evaluation.facts.floor, 30.5, 0.1);
  EXPECT_EQ(evaluation.budget.runs, 40u);
}

TEST(Study, SegmentsAreEvaluatedByThemselvesWholeOrInShards) {
  Design design;
  auto loaded = scenario::load_scenario_file("scenarios/analysis/one-bad-flow-in-a-thousand.yaml");
  design.trials = {own_trial(loaded.scenario.value())};
  design.seeds = 4;
  const StudyResult whole = result_of(design);
  const Evaluation evaluation = evaluate(whole)[0];
  ASSERT_EQ(evaluation.written.segments.size(), 5u);
  const Figures::Segment& voucher = evaluation.written.segments[4];
  EXPECT_EQ(voucher.name, "voucher");
  EXPECT_GT(voucher.failed.mean, 10);
  EXPECT_EQ(voucher.failed.mean, voucher.requests.mean) << "all of them fail";
  EXPECT_GT(voucher.users.mean, 0.9 * voucher.requests.mean) << "hardly anybody asks twice";
  EXPECT_LE(voucher.users.max, voucher.requests.max);
  EXPECT_LT(voucher.users.mean, evaluation.written.find("canary_users")->mean);
  EXPECT_LT(evaluation.healthy->segments[4].failed.mean, 3);
  const std::string report = report_json(whole.kind, evaluate(whole));
  EXPECT_NE(report.find("\"voucher\""), std::string::npos);
  EXPECT_NE(render_evaluation(evaluation).find("\n    in voucher "), std::string::npos);

  std::vector<NamedShard> parts;
  for (int i = 1; i <= 2; ++i) {
    const std::string text = write_shard(result_of(design, {i, 2}));
    parts.push_back({"part", read_shard(text, "part").value()});
  }
  EXPECT_EQ(report_json(whole.kind, evaluate(merge(std::move(parts)).value())), report);
}

TEST(Study, ThePartsOfTheBlastRadiusAddUp) {
  const StudyResult result = result_of(design_of(20));
  for (const Sample& sample : result.trials[0].written) {
    const BlastParts& parts = sample.parts;
    EXPECT_NEAR(double(parts.test + parts.metrics + parts.route), double(sample.canary_requests),
                1.0);
    EXPECT_GT(parts.route, 0u);  // routes take 3 s at one canary request a second
  }
}

TEST(Study, AnErrorOfTheWorldIsTheErrorOfTheStudy) {
  const auto result =
      run(design_of(5), {}, 2, world::Fidelity::Auto,
          [](const world::Spec&, const world::RunOptions&) -> Result<world::Record> {
            return error(ErrorKind::Environment, "no world");
          });
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message, "no world");
}

TEST(Study, RefusesSeedsBeyondItsLimits) {
  for (const int seeds : {0, scenario::kMaxSeeds + 1}) {
    EXPECT_FALSE(run(design_of(seeds), {}, 1, world::Fidelity::Auto, play)) << seeds;
  }
}

TEST(Numbers, ReadWell) {
  EXPECT_EQ(number(0), "0");
  EXPECT_EQ(number(76.44), "76.4");
  EXPECT_EQ(number(1234.5), "1,234");
  EXPECT_EQ(number(12), "12");
  EXPECT_EQ(rough_duration(0.0123), "12ms");
  EXPECT_EQ(rough_duration(3.04), "3.0s");
  EXPECT_EQ(rough_duration(151), "2m31s");
  EXPECT_EQ(rough_duration(1200), "20m");
  EXPECT_EQ(rough_duration(7260), "2h01m");
  EXPECT_EQ(bar(0, 10, 20), "");
  EXPECT_EQ(bar(0.01, 10, 20), "#");
  EXPECT_EQ(bar(11, 10, 4), "####");
}

TEST(Comparison, APlanThatWaitsForSomebodyIsSaidToWait) {
  Design design = design_of(4);
  design.kind = Kind::Compare;
  design.trials.push_back(design.trials[0]);
  design.trials[1].plan = "waiting";
  auto& steps = design.trials[1].scenario.spec.plan.steps;
  steps.insert(steps.end() - 1, {rollout::Pause{}, {}});
  const std::string text = render(Kind::Compare, evaluate(result_of(design)));
  EXPECT_NE(text.find("Waits:      waiting stops at a pause"), std::string::npos) << text;
  EXPECT_EQ(text.find("0ms"), std::string::npos) << text;
  EXPECT_EQ(text.find("Fastest"), std::string::npos) << "only one plan promotes\n" << text;
}

}  // namespace
}  // namespace coalmine::study
