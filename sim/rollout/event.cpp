#include "sim/rollout/event.h"

#include <nlohmann/json.hpp>

namespace coalmine::rollout {

double share_of(const Weights& weights, const std::string& version) {
  std::int64_t total = 0;
  for (const auto& [name, weight] : weights) total += weight;
  const auto at = weights.find(version);
  if (total == 0 || at == weights.end()) return 0;
  return static_cast<double>(at->second) / static_cast<double>(total);
}

std::string render_weights(const Weights& weights) {
  std::string text;
  for (const auto& [name, weight] : weights) {
    text += fmt::format("{}{} {}", text.empty() ? "" : "  ", name, weight);
  }
  return text;
}

const Value* Event::find(std::string_view key) const {
  for (const auto& [field, value] : fields) {
    if (field == key) return &value;
  }
  return nullptr;
}

std::string Event::text(std::string_view key) const {
  const Value* value = find(key);
  const auto* found = value == nullptr ? nullptr : std::get_if<std::string>(value);
  return found == nullptr ? std::string() : *found;
}

double Event::number(std::string_view key) const {
  const Value* value = find(key);
  if (value == nullptr) return 0;
  if (const auto* real = std::get_if<double>(value)) return *real;
  if (const auto* whole = std::get_if<std::int64_t>(value)) return static_cast<double>(*whole);
  return 0;
}

Json to_json(const Event& event) {
  Json json = Json::object();
  json["t"] = to_iso8601_millis(event.t);
  json["event"] = event.name;
  for (const auto& [key, value] : event.fields) {
    std::visit([&json, name = key](const auto& v) { json[name] = v; }, value);
  }
  return json;
}

std::string render(const Event& event, TimePoint start) {
  const auto line = [&](std::string_view what, std::string_view text) {
    std::string all = fmt::format("{:>10}  {:<9} {}", to_stopwatch(event.t - start), what, text);
    all.resize(all.find_last_not_of(' ') + 1);
    return all;
  };
  if (event.name == "rollout.started") {
    return line("start", fmt::format("canary {}, stable {}, {} steps", event.text("canary"),
                                     event.text("stable"), event.number("steps")));
  }
  if (event.name == "weights.changed") {
    const Value* value = event.find("weights");
    const auto* weights = value == nullptr ? nullptr : std::get_if<Weights>(value);
    const std::string set = weights == nullptr ? "" : render_weights(*weights);
    return line("weights",
                fmt::format("{:<14}{} {}", set, set.size() > 14 ? " " : "", event.text("note")));
  }
  if (event.name == "weights.failed") {
    return line("weights", fmt::format("not set (attempt {}): {}", event.number("attempt"),
                                       event.text("reason")));
  }
  if (event.name == "routes.changed") {
    return line("routes", fmt::format("{:<14} {}", event.text("routes"), event.text("note")));
  }
  if (event.name == "routes.failed") {
    return line("routes", fmt::format("not set (attempt {}): {}", event.number("attempt"),
                                      event.text("reason")));
  }
  if (event.name == "weights.unseen") {
    return line("weights", "cannot be read: " + event.text("reason"));
  }
  if (event.name == "analysis.evaluated") return line("analysis", event.text("sentence"));
  if (event.name == "decision") {
    // One that rests on an analysis follows that analysis' own line, which says why.
    if (event.find("metric") != nullptr && event.text("reason") == event.text("sentence")) {
      return event.text("decision") == "roll-back" ? "" : line("decision", event.text("decision"));
    }
    return line("decision", fmt::format("{}: {}", event.text("decision"), event.text("reason")));
  }
  if (event.name == "operator") {
    const std::string reason = event.text("reason");
    return line("operator", reason.empty() ? event.text("command")
                                           : fmt::format("{}: {}", event.text("command"), reason));
  }
  if (event.name == "hook.answered") {
    return line("hook", fmt::format("{}: {} {}", event.text("hook"), event.text("verdict"),
                                    event.text("text")));
  }
  if (event.name == "revision.newer") {
    return line("revision", fmt::format("{} has arrived", event.text("version")));
  }
  if (event.name == "tasks.asked") {
    return line("tasks", fmt::format("{} {} -> {}, {}", event.text("version"), event.number("from"),
                                     event.number("tasks"), event.text("reason")));
  }
  if (event.name == "image.asked") {
    const bool back = event.text("image") == event.text("version");
    return line("tasks",
                fmt::format("{} tasks of {} get {}", event.number("tasks"), event.text("version"),
                            back ? "their own image back"
                                 : fmt::format("the image of {}", event.text("image"))));
  }
  if (event.name == "tasks.ready") {
    const std::string image = event.text("image");
    return line(
        "tasks",
        fmt::format("{} tasks of {} take requests{}", event.number("tasks"), event.text("version"),
                    image.empty() ? "" : fmt::format(" with the image of {}", image)));
  }
  if (event.name == "tasks.failed") {
    return line("tasks", fmt::format("not changed (attempt {}): {}", event.number("attempt"),
                                     event.text("reason")));
  }
  if (event.name == "metrics.failed") return line("metrics", event.text("reason"));
  if (event.name == "rollout.resumed") {
    return line("resumed", fmt::format("in state {}", event.text("state")));
  }
  if (event.name == "rollout.finished") {
    return line("finished", fmt::format("{}: {}", event.text("outcome"), event.text("reason")));
  }
  return {};
}

}  // namespace coalmine::rollout
