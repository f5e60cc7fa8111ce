#include "sim/cli/shard_option.h"

#include <cstdlib>

namespace coalmine::cli {
namespace {

struct Runner {
  const char* index;
  int first;          ///< index of the first part
  const char* count;  ///< nullptr: it tells nobody
};
constexpr Runner kRunners[] = {{"JOB_COMPLETION_INDEX", 0, nullptr},
                               {"AWS_BATCH_JOB_ARRAY_INDEX", 0, "AWS_BATCH_JOB_ARRAY_SIZE"},
                               {"CI_NODE_INDEX", 1, "CI_NODE_TOTAL"},
                               {"CIRCLE_NODE_INDEX", 0, "CIRCLE_NODE_TOTAL"},
                               {"BUILDKITE_PARALLEL_JOB", 0, "BUILDKITE_PARALLEL_JOB_COUNT"}};

}  // namespace

Environment process_environment() {
  return [](std::string_view name) -> std::optional<std::string> {
    const char* value = std::getenv(std::string(name).c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  };
}

Result<scenario::Shard> read_shard_option(std::string_view text, const Environment& environment) {
  if (text.empty()) return scenario::Shard{};
  if (text != "auto" && text.substr(0, 5) != "auto/") return scenario::parse_shard(text);
  std::string known;
  for (const Runner& runner : kRunners) {
    known += (known.empty() ? "" : ", ") + std::string(runner.index);
    const auto index = environment(runner.index);
    if (!index) continue;
    std::string count(text.size() > 5 ? text.substr(5) : "");
    if (count.empty()) {
      const auto total = runner.count == nullptr ? std::nullopt : environment(runner.count);
      if (!total) {
        return error(
            "--shard auto: {} says which part this is, but nothing says of how many; "
            "write auto/N",
            runner.index);
      }
      count = *total;
    }
    TRY(const long long number, parse_integer(*index, runner.index, runner.first, 100'000));
    return scenario::parse_shard(fmt::format("{}/{}", number - runner.first + 1, count));
  }
  return error("--shard {}: none of {} is set", text, known);
}

}  // namespace coalmine::cli
