#include "sim/rollout/importers/fields.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "sim/core/units.h"

namespace coalmine::importers {

Imported Report::finish(rollout::Plan plan) {
  const auto by_place = [](const Error& a, const Error& b) {
    const auto key = [](const Error& e) {
      return e.place ? std::pair(e.place->line, e.place->column) : std::pair(0, 0);
    };
    return key(a) < key(b);
  };
  std::stable_sort(errors_.begin(), errors_.end(), by_place);
  std::stable_sort(warnings_.begin(), warnings_.end(), by_place);
  // A map that is read in two rounds tells its problems twice.
  for (auto* list : {&errors_, &warnings_}) {
    list->erase(std::unique(list->begin(), list->end()), list->end());
  }
  Imported imported;
  if (errors_.empty()) imported.plan = std::move(plan);
  imported.errors = std::move(errors_);
  imported.warnings = std::move(warnings_);
  imported.notes = std::move(notes_);
  return imported;
}

Fields::Fields(const YamlNode& node, Report& report, std::string path)
    : node_(&node), report_(&report), path_(std::move(path)) {
  if (node.kind != YamlNode::Kind::Map) {
    report.error(node, "{}expected a map, found {}", path_.empty() ? "" : path_ + ": ",
                 scenario::describe(node));
    return;
  }
  std::set<std::string> seen;
  for (const auto& [key, value] : node.pairs) {
    if (!seen.insert(key.text).second) report.error(key, "\"{}\" is given twice", key.text);
  }
}

const YamlNode* Fields::take(std::string_view key) {
  if (node_->kind != YamlNode::Kind::Map) return nullptr;
  used_.insert(std::string(key));
  for (const auto& [name, value] : node_->pairs) {
    if (name.text == key && value.kind != YamlNode::Kind::Null) return &value;
  }
  return nullptr;
}

std::optional<std::string> Fields::text(std::string_view key) {
  const YamlNode* value = take(key);
  if (value == nullptr) return std::nullopt;
  if (value->kind == YamlNode::Kind::Scalar) return value->text;
  report_->error(*value, "{} is {}, expected text", key, scenario::describe(*value));
  return std::nullopt;
}

std::optional<double> Fields::number(std::string_view key, double low, double high) {
  const YamlNode* value = take(key);
  if (value == nullptr) return std::nullopt;
  const auto found =
      value->kind == YamlNode::Kind::Scalar ? read_number(value->text) : std::nullopt;
  if (!found || !(*found >= low && *found <= high)) {
    report_->error(*value, "{} is {}, allowed is a number from {} to {}", key,
                   scenario::describe(*value), low, high);
    return std::nullopt;
  }
  return found;
}

std::optional<int> Fields::whole(std::string_view key, int low, int high) {
  const YamlNode* value = take(key);
  if (value == nullptr) return std::nullopt;
  const auto found =
      value->kind == YamlNode::Kind::Scalar ? read_number(value->text) : std::nullopt;
  if (!found || *found != std::floor(*found) || !(*found >= low && *found <= high)) {
    report_->error(*value, "{} is {}, allowed is a whole number from {} to {}", key,
                   scenario::describe(*value), low, high);
    return std::nullopt;
  }
  return static_cast<int>(*found);
}

std::optional<bool> Fields::truth(std::string_view key) {
  const YamlNode* value = take(key);
  if (value == nullptr) return std::nullopt;
  if (value->text == "true" || value->text == "false") return value->text == "true";
  report_->error(*value, "{} is {}, allowed are true and false", key, scenario::describe(*value));
  return std::nullopt;
}

std::optional<Duration> Fields::duration(std::string_view key, bool bare_seconds) {
  const YamlNode* value = take(key);
  if (value == nullptr) return std::nullopt;
  return read_duration(*value, *report_, bare_seconds);
}

std::vector<const YamlNode*> Fields::list(std::string_view key) {
  std::vector<const YamlNode*> items;
  const YamlNode* value = take(key);
  if (value == nullptr) return items;
  if (value->kind != YamlNode::Kind::Sequence) {
    report_->error(*value, "{} is {}, expected a list", key, scenario::describe(*value));
    return items;
  }
  for (const YamlNode& item : value->items) items.push_back(&item);
  return items;
}

std::optional<Fields> Fields::map(std::string_view key) {
  const YamlNode* value = take(key);
  if (value == nullptr) return std::nullopt;
  return Fields(*value, *report_,
                path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key));
}

void Fields::skip(std::initializer_list<std::string_view> keys) {
  for (const std::string_view key : keys) used_.insert(std::string(key));
}

void Fields::cannot(std::string_view key, std::string_view why) {
  take(key);
  for (const auto& [name, value] : node_->pairs) {
    if (name.text == key) report_->warn(name, "{} is not carried over: {}", key, why);
  }
}

void Fields::done() {
  for (const auto& [name, value] : node_->pairs) {
    if (used_.find(name.text) != used_.end()) continue;
    report_->warn(name, "{}{}{} is not known here and not carried over", path_,
                  path_.empty() ? "" : ".", name.text);
  }
}

std::optional<double> read_number(std::string_view text) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, failed] = std::from_chars(text.data(), end, value);
  if (failed != std::errc{} || stop != end || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::optional<Duration> read_duration(const YamlNode& node, Report& report, bool bare_seconds) {
  if (node.kind == YamlNode::Kind::Scalar) {
    const auto bare = read_number(node.text);
    if (bare && (bare_seconds || *bare == 0) && *bare >= 0 && *bare < 1e8) {
      return from_seconds(*bare);
    }
    if (const auto parsed = parse_duration(node.text)) return *parsed;
  }
  report.error(node, "{} is no duration; write for example {}", scenario::describe(node),
               bare_seconds ? "30s, 5m, 1h or a number of seconds" : "30s, 5m or 1h");
  return std::nullopt;
}

double complement(double percent) {
  return std::round((100 - percent) * 1e9) / 1e9;
}

}  // namespace coalmine::importers
