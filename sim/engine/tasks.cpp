#include "sim/engine/tasks.h"

#include <fmt/format.h>
#include <charconv>

namespace coalmine::engine {
namespace {

constexpr std::string_view kNetwork = "127.1.";
constexpr std::size_t kPerBlock = 250;                  // hosts of one third octet
constexpr std::size_t kBlocks = kMaxTasks / kPerBlock;  // of one version
constexpr std::size_t kFirstBlock = 1;                  // 127.1.0.x belongs to load balancers

/// A whole number up to `stop`; advances `text` behind it.
std::optional<std::size_t> take_number(std::string_view& text) {
  std::size_t value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc{}) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

}  // namespace

std::string task_address(TaskId id) {
  return fmt::format("{}{}.{}", kNetwork, kFirstBlock + id.version * kBlocks + id.task / kPerBlock,
                     1 + id.task % kPerBlock);
}

std::optional<TaskId> task_at(std::string_view address) {
  if (!address.starts_with(kNetwork)) return std::nullopt;
  address.remove_prefix(kNetwork.size());
  const auto block = take_number(address);
  if (!block || *block < kFirstBlock || !address.starts_with('.')) return std::nullopt;
  address.remove_prefix(1);
  const auto host = take_number(address);
  if (!host || *host < 1 || *host > kPerBlock || !address.empty()) return std::nullopt;
  const std::size_t index = *block - kFirstBlock;
  return TaskId{index / kBlocks, index % kBlocks * kPerBlock + *host - 1};
}

}  // namespace coalmine::engine
