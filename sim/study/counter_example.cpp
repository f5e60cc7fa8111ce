// A counter-example as a scenario file: the original's tree with another seed and schedule.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "sim/engine/world/recorder.h"
#include "sim/scenario/yaml.h"
#include "sim/study/explore.h"

namespace coalmine::study {
namespace {

using scenario::YamlNode;
using scenario::YamlPair;

YamlNode scalar(std::string text) {
  YamlNode node;
  node.kind = YamlNode::Kind::Scalar;
  node.text = std::move(text);
  return node;
}

YamlNode map(std::vector<std::pair<std::string, YamlNode>> pairs) {
  YamlNode node;
  node.kind = YamlNode::Kind::Map;
  for (auto& [key, value] : pairs) node.pairs.push_back({scalar(key), std::move(value)});
  return node;
}

YamlNode* child(YamlNode& node, std::string_view key) {
  for (YamlPair& pair : node.pairs) {
    if (pair.key.text == key) return &pair.value;
  }
  return nullptr;
}

void set(YamlNode& node, const std::string& key, YamlNode value) {
  if (YamlNode* old = child(node, key)) {
    *old = std::move(value);
  } else {
    node.pairs.push_back({scalar(key), std::move(value)});
  }
}

YamlNode throttle_node(const world::Event& event, const world::ThrottleApi& api) {
  std::vector<std::pair<std::string, YamlNode>> throttle = {
      {"share", scalar(to_string(api.share))}};
  if (api.length) throttle.emplace_back("for", scalar(to_string(*api.length)));
  return map({{"at", scalar(to_string(event.at))}, {"throttle", map(std::move(throttle))}});
}

/// The node of an event that exploring has added.
YamlNode fault_node(const world::Event& event) {
  if (const auto* api = std::get_if<world::ThrottleApi>(&event.what)) {
    return throttle_node(event, *api);
  }
  const auto& inject = std::get<world::InjectFault>(event.what);
  std::vector<std::pair<std::string, YamlNode>> fault = {
      {"target", scalar(inject.target)},
      {"kind", scalar(std::string(world::to_string(inject.fault.kind)))}};
  if (inject.fault.share.value < 100) {
    fault.emplace_back("share", scalar(to_string(inject.fault.share)));
  }
  if (inject.fault.burst > 0) {
    fault.emplace_back("burst", scalar(fmt::format("{}", inject.fault.burst)));
  }
  if (inject.fault.after > 0) {
    fault.emplace_back("after", scalar(fmt::format("{}", inject.fault.after)));
  }
  if (inject.fault.latency) {
    if (const auto* fixed = std::get_if<world::FixedLatency>(&*inject.fault.latency)) {
      fault.emplace_back("latency", map({{"fixed", scalar(to_string(fixed->value))}}));
    }
  }
  if (inject.length) fault.emplace_back("for", scalar(to_string(*inject.length)));
  return map({{"at", scalar(to_string(event.at))}, {"fault", map(std::move(fault))}});
}

/// The node of one of the file's own events: its `at` stands where the event's place says.
const YamlNode* own_node(const YamlNode* when, const world::Event& event) {
  if (when == nullptr) return nullptr;
  for (const YamlNode& item : when->items) {
    for (const YamlPair& pair : item.pairs) {
      if (pair.key.text == "at" && pair.value.line == event.place.line &&
          pair.value.column == event.place.column) {
        return &item;
      }
    }
  }
  return nullptr;
}

// --- writing -----------------------------------------------------------------------------------

/// Plain scalars stay as they were; the original parser read them without quotes.
std::string flow(const YamlNode& node) {
  std::string text;
  switch (node.kind) {
    case YamlNode::Kind::Null:
      return "null";
    case YamlNode::Kind::Scalar:
      return node.quoted ? dump_json(Json(node.text)) : node.text;
    case YamlNode::Kind::Sequence:
      for (const YamlNode& item : node.items) text += (text.empty() ? "" : ", ") + flow(item);
      return "[" + text + "]";
    case YamlNode::Kind::Map:
      for (const YamlPair& pair : node.pairs) {
        text += fmt::format("{}{}: {}", text.empty() ? "" : ", ", flow(pair.key), flow(pair.value));
      }
      return "{" + text + "}";
  }
  return text;
}

/// Blocks for the two outer levels, as people write scenarios; the rest in one line.
std::string block(const YamlNode& node, int depth) {
  const std::string indent(static_cast<std::size_t>(depth) * 2, ' ');
  std::string text;
  for (const YamlPair& pair : node.pairs) {
    const YamlNode& value = pair.value;
    text += indent + flow(pair.key) + ":";
    if (value.kind == YamlNode::Kind::Map && depth < 2 && !value.pairs.empty()) {
      text += "\n" + block(value, depth + 1);
    } else if (value.kind == YamlNode::Kind::Sequence && depth == 0 && !value.items.empty()) {
      text += "\n";
      for (const YamlNode& item : value.items) text += indent + "  - " + flow(item) + "\n";
    } else {
      text += " " + flow(value) + "\n";
    }
  }
  return text;
}

}  // namespace

Result<std::string> write_counter_example(const std::string& text, const std::string& file,
                                          const CounterExample& example) {
  TRY(YamlNode root, scenario::parse_yaml(text, file));
  YamlNode when;
  when.kind = YamlNode::Kind::Sequence;
  for (const world::Event& event : example.events) {
    const YamlNode* own = own_node(child(root, "when"), event);
    if (own == nullptr && event.place.line != 0) {
      return error("{}: an event of the file was not found again", file);
    }
    when.items.push_back(own != nullptr ? *own : fault_node(event));
  }
  YamlNode* given = child(root, "given");
  if (given == nullptr) return error("{}: the key \"given\" is missing", file);
  if (child(*given, "clock") == nullptr) {
    given->pairs.insert(given->pairs.begin(), {scalar("clock"), map({})});
  }
  set(*child(*given, "clock"), "seed", scalar(fmt::format("{}", example.seed)));
  if (YamlNode* name = child(root, "scenario")) {
    constexpr std::size_t kMaxName = 64;
    constexpr std::string_view kEnd = "-counter-example";
    name->text = name->text.substr(0, kMaxName - kEnd.size()) + std::string(kEnd);
  }
  if (when.items.empty()) {
    std::erase_if(root.pairs, [](const YamlPair& pair) { return pair.key.text == "when"; });
  } else {
    // In the order of a story: given, rollout, when, then.
    std::erase_if(root.pairs, [](const YamlPair& pair) { return pair.key.text == "when"; });
    const auto then = std::find_if(root.pairs.begin(), root.pairs.end(),
                                   [](const YamlPair& pair) { return pair.key.text == "then"; });
    root.pairs.insert(then, {scalar("when"), std::move(when)});
  }
  std::string out = fmt::format("# Found by `coalmine explore {}`. With this seed{} the file\n",
                                file, example.faults_after > 0 ? " and these faults" : "");
  out += "# violates:\n";
  for (const scenario::CheckResult& check : example.failed) {
    out += fmt::format("#   {}: expected {}, got {}\n", check.name, check.expected, check.actual);
  }
  return out + block(root, 0);
}

}  // namespace coalmine::study
