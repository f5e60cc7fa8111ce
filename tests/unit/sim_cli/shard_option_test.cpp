#include "sim/cli/shard_option.h"

#include <gtest/gtest.h>

#include <map>

namespace coalmine::cli {
namespace {

struct ShardCase {
  const char* name;
  const char* option;
  std::map<std::string, std::string, std::less<>> environment;
  int index, count;  ///< 0: an error
};
class ShardOption : public testing::TestWithParam<ShardCase> {};

TEST_P(ShardOption, IsReadFromTheOptionAndTheEnvironment) {
  const auto lookup = [](std::string_view name) -> std::optional<std::string> {
    const auto found = GetParam().environment.find(name);
    return found == GetParam().environment.end() ? std::nullopt : std::optional(found->second);
  };
  const auto shard = read_shard_option(GetParam().option, lookup);
  EXPECT_EQ(shard ? shard->index : 0, GetParam().index);
  EXPECT_EQ(shard ? shard->count : 0, GetParam().count);
}

INSTANTIATE_TEST_SUITE_P(
    Runners, ShardOption,
    testing::Values(
        ShardCase{"NoneIsAll", "", {}, 1, 1}, ShardCase{"Plain", "2/5", {}, 2, 5},
        ShardCase{"Kubernetes", "auto/8", {{"JOB_COMPLETION_INDEX", "0"}}, 1, 8},
        ShardCase{"KubernetesLast", "auto/8", {{"JOB_COMPLETION_INDEX", "7"}}, 8, 8},
        ShardCase{"KubernetesBeyond", "auto/8", {{"JOB_COMPLETION_INDEX", "8"}}, 0, 0},
        ShardCase{"KubernetesNeedsTheCount", "auto", {{"JOB_COMPLETION_INDEX", "0"}}, 0, 0},
        ShardCase{"AwsBatch",
                  "auto",
                  {{"AWS_BATCH_JOB_ARRAY_INDEX", "3"}, {"AWS_BATCH_JOB_ARRAY_SIZE", "4"}},
                  4,
                  4},
        ShardCase{"GitLab", "auto", {{"CI_NODE_INDEX", "1"}, {"CI_NODE_TOTAL", "3"}}, 1, 3},
        ShardCase{
            "GitLabCountsFromOne", "auto", {{"CI_NODE_INDEX", "0"}, {"CI_NODE_TOTAL", "3"}}, 0, 0},
        ShardCase{
            "CircleCi", "auto", {{"CIRCLE_NODE_INDEX", "0"}, {"CIRCLE_NODE_TOTAL", "2"}}, 1, 2},
        ShardCase{"Buildkite",
                  "auto",
                  {{"BUILDKITE_PARALLEL_JOB", "1"}, {"BUILDKITE_PARALLEL_JOB_COUNT", "2"}},
                  2,
                  2},
        ShardCase{"NothingSet", "auto/4", {}, 0, 0},
        ShardCase{"NotANumber", "auto/4", {{"JOB_COMPLETION_INDEX", "one"}}, 0, 0}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace coalmine::cli
