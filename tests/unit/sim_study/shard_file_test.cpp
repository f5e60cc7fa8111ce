#include "sim/study/shard_file.h"

#include <gtest/gtest.h>

#include "sim/engine/direct_plane.h"
#include "sim/engine/simulation.h"
#include "sim/study/evaluation.h"
#include "sim/study/report.h"

namespace coalmine::study {
namespace {

Result<world::Record> play(const world::Spec& spec, const world::RunOptions& options) {
  return engine::simulate(spec, options, engine::make_direct_plane);
}

StudyResult part(int seeds, scenario::Shard shard) {
  Design design;
  auto loaded = scenario::load_scenario_file("scenarios/faulty-v2-is-rolled-back.yaml");
  design.trials = {own_trial(loaded.scenario.value())};
  design.seeds = seeds;
  return run(design, shard, 2, world::Fidelity::Auto, play).value();
}

std::vector<NamedShard> parts(int seeds, int count) {
  std::vector<NamedShard> all;
  for (int i = count; i >= 1; --i) {
    const std::string text = write_shard(part(seeds, {i, count}));
    const std::string name = fmt::format("{}.json", i);
    all.push_back({name, read_shard(text, name).value()});
  }
  return all;
}

TEST(Shards, MergeIntoTheBytesOfTheWhole) {
  const StudyResult whole = part(9, {});
  const std::string want = report_json(whole.kind, evaluate(whole));
  for (const int count : {1, 2, 4, 30}) {  // 30: more shards than runs
    const auto merged = merge(parts(9, count));
    ASSERT_TRUE(merged) << merged.error().message;
    EXPECT_EQ(report_json(merged->kind, evaluate(*merged)), want) << count;
  }
}

TEST(Shards, SayWhichAreMissing) {
  auto some = parts(4, 3);
  some.erase(some.begin() + 1);
  const auto merged = merge(std::move(some));
  ASSERT_FALSE(merged);
  EXPECT_EQ(merged.error().message, "shards are missing: 2/3");
}

TEST(Shards, AreNotCountedTwice) {
  auto some = parts(4, 2);
  some.push_back(some.front());
  EXPECT_EQ(merge(std::move(some)).error().message, "2.json and 2.json are both shard 2/2");
}

TEST(Shards, OfOtherStudiesAreRefused) {
  auto some = parts(4, 2);
  some[0].part = part(5, {2, 2});
  EXPECT_FALSE(merge(std::move(some)));
  EXPECT_FALSE(merge({}));
}

TEST(Shards, ThatAreDamagedAreRefused) {
  const std::string good = write_shard(part(3, {1, 2}));
  for (std::string bad : {std::string("{}"), std::string("["), good.substr(0, 200),
                          std::string(R"({"format":"coalmine study shard","version":1})")}) {
    EXPECT_FALSE(read_shard(bad, "bad.json")) << bad;
  }
  std::string wild = good;
  wild.replace(wild.find("\"seeds\":3"), 9, "\"seeds\":1");  // samples beyond the seeds
  EXPECT_FALSE(read_shard(wild, "wild.json"));
}

}  // namespace
}  // namespace coalmine::study
