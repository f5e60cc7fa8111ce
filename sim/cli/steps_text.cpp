#include "sim/cli/steps_text.h"

#include <algorithm>
#include <optional>

#include "sim/rollout/tasks.h"

namespace coalmine::cli {
namespace {

/// "header:X-Tester=alice", "cookie:group=beta", "routes:none"
std::optional<rollout::RouteMatching> parse_route(std::string_view word) {
  if (word == "routes:none") return rollout::RouteMatching{};
  rollout::RouteMatch match;
  const bool cookie = word.starts_with("cookie:");
  if (!cookie && !word.starts_with("header:")) return std::nullopt;
  if (cookie) match.by = rollout::RouteMatch::By::Cookie;
  word.remove_prefix(std::string_view("header:").size());
  const std::size_t equals = std::min(word.find('='), word.size());
  if (equals == 0) return std::nullopt;
  match.name = word.substr(0, equals);
  if (equals < word.size()) match.value = word.substr(equals + 1);
  return rollout::RouteMatching{{std::move(match)}};
}

/// Tasks of the canary: so many, so many percent of stable's, or as the weight says.
Result<rollout::ScaleCanary> parse_scale(std::string_view text) {
  using How = rollout::ScaleCanary::How;
  if (text == "weight") return rollout::ScaleCanary{};
  if (const auto percent = parse_percent(text)) {
    return rollout::ScaleCanary{How::Percent, percent->value};
  }
  TRY(const std::int64_t tasks, parse_integer(text, "tasks", 0, rollout::kMostTasks));
  return rollout::ScaleCanary{How::Tasks, static_cast<double>(tasks)};
}

/// "5%:10m", a share for each of canary and baseline and how long.
Result<rollout::Experiment> parse_experiment(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) {
    return error("step \"experiment:{}\": write a share and a time, as experiment:5%:10m", text);
  }
  const auto share = parse_percent(text.substr(0, colon));
  if (!share) return tl::unexpected(share.error());
  TRY(const Duration length, parse_duration(text.substr(colon + 1)));
  return rollout::Experiment{length, *share};
}

}  // namespace

Result<std::vector<rollout::Step>> parse_steps(std::string_view text, const std::string& canary) {
  std::vector<rollout::Step> steps;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    std::string_view word = text.substr(0, comma);
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
    while (!word.empty() && word.front() == ' ') word.remove_prefix(1);
    while (!word.empty() && word.back() == ' ') word.remove_suffix(1);
    if (word == "promote") {
      steps.push_back({rollout::Promote{canary}, {}});
    } else if (word == "promote:image-swap" || word == "promote:replace") {
      const bool swap = word.ends_with("swap");
      steps.push_back({rollout::Promote{canary, swap ? rollout::PromoteKind::ImageSwap
                                                     : rollout::PromoteKind::Replace},
                       {}});
    } else if (word.starts_with("tasks:")) {
      TRY(const rollout::ScaleCanary scale, parse_scale(word.substr(6)));
      steps.push_back({scale, {}});
    } else if (word.starts_with("experiment:")) {
      TRY(const rollout::Experiment experiment, parse_experiment(word.substr(11)));
      steps.push_back({experiment, {}});
    } else if (word == "pause") {
      steps.push_back({rollout::Pause{}, {}});
    } else if (word.starts_with("pause:")) {
      TRY(const Duration timeout, parse_duration(word.substr(6)));
      steps.push_back({rollout::Pause{timeout}, {}});
    } else if (auto route = parse_route(word)) {
      steps.push_back({*std::move(route), {}});
    } else if (const auto weight = parse_percent(word)) {
      steps.push_back({rollout::SetWeight{*weight}, {}});
    } else if (const auto bake = parse_duration(word)) {
      steps.push_back({rollout::Bake{*bake}, {}});
    } else {
      return error(
          "step \"{}\": allowed are a weight as 1%, a bake as 10m, pause, pause:1h, tasks:3, "
          "tasks:50%, tasks:weight, experiment:5%:10m, header:NAME=VALUE, cookie:NAME=VALUE, "
          "routes:none, promote, promote:image-swap, promote:replace",
          word);
    }
  }
  return steps;
}

}  // namespace coalmine::cli
