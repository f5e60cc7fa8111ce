#include "sim/scenario/runs.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <thread>

namespace coalmine::scenario {
namespace fs = std::filesystem;

Result<Shard> parse_shard(std::string_view text) {
  constexpr int kMaxShards = 100'000;
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) {
    return error("shard is \"{}\"; write INDEX/COUNT, as in 1/4", text);
  }
  TRY(const long long count,
      parse_integer(text.substr(slash + 1), "the shard count", 1, kMaxShards));
  TRY(const long long index, parse_integer(text.substr(0, slash), "the shard index", 1, count));
  return Shard{static_cast<int>(index), static_cast<int>(count)};
}

Result<std::vector<std::string>> find_scenario_files(const std::vector<std::string>& paths) {
  std::vector<std::string> files;
  for (const std::string& path : paths) {
    std::error_code failed;
    const fs::file_status status = fs::status(path, failed);
    if (!fs::exists(status)) {
      return error("{}: no such file or folder", path);
    }
    if (!fs::is_directory(status)) {
      files.push_back(path);
      continue;
    }
    std::vector<std::string> found;
    for (auto it = fs::recursive_directory_iterator(path, failed);
         !failed && it != fs::recursive_directory_iterator(); it.increment(failed)) {
      if (it->is_regular_file() && it->path().extension() == ".yaml") {
        found.push_back(it->path().string());
      }
    }
    if (failed) return error(ErrorKind::Environment, "{}: {}", path, failed.message());
    if (found.empty()) return error("{}: no *.yaml file in this folder", path);
    std::sort(found.begin(), found.end());
    files.insert(files.end(), found.begin(), found.end());
  }
  return files;
}

std::vector<RunResult> run_all(const std::vector<Scenario>& scenarios, const RunPlan& plan,
                               const world::World& world) {
  std::vector<RunResult> results;
  std::size_t number = 0;
  for (const Scenario& scenario : scenarios) {
    for (int i = 0; i < plan.seeds; ++i) {
      const std::size_t mine = static_cast<std::size_t>(plan.shard.index - 1);
      if (number++ % static_cast<std::size_t>(plan.shard.count) != mine) continue;
      RunResult result;
      result.scenario = &scenario;
      result.seed = plan.seed.value_or(scenario.spec.seed) + static_cast<std::uint64_t>(i);
      results.push_back(std::move(result));
    }
  }
  const auto run_one = [&](RunResult& result) {
    world::RunOptions options = plan.options;
    options.seed = result.seed;
    if (!plan.journal_folder.empty()) {
      options.journal =
          fmt::format("{}/{}-{}.jsonl", plan.journal_folder, result.scenario->name, result.seed);
      options.source = {result.scenario->file, result.scenario->text, result.scenario->trace};
    }
    Result<world::Record> record = world(result.scenario->spec, options);
    if (record) {
      result.checks = verdict(*result.scenario, *record);
      result.record = *std::move(record);
    } else {
      result.fault = std::move(record).error();
    }
  };
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t i = next++; i < results.size(); i = next++) run_one(results[i]);
  };
  std::vector<std::jthread> helpers;
  for (int i = 1; i < plan.jobs && static_cast<std::size_t>(i) < results.size(); ++i) {
    helpers.emplace_back(work);
  }
  work();
  helpers.clear();  // joins
  return results;
}

}  // namespace coalmine::scenario
