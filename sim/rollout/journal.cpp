#include "sim/rollout/journal.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "sim/rollout/analysis/spec_json.h"
#include "sim/rollout/plan_json.h"

namespace coalmine::rollout {
namespace {

constexpr const char* kJournalName = "coalmine-rollout";

std::int64_t ns(TimePoint t) {
  return t.time_since_epoch().count();
}

TimePoint time_at(const Json& json, std::string_view key) {
  const Json* value = find(json, key);
  if (value == nullptr || !value->is_number_integer()) return kNever;
  return TimePoint{Duration{value->get<std::int64_t>()}};
}

Json with_time(TimePoint t, std::string input) {
  return {{"t", to_iso8601_millis(t)}, {"ns", ns(t)}, {"input", std::move(input)}};
}

Json counts_to_json(const VersionCounts& counts) {
  Json json = {{"requests", counts.requests}, {"errors", counts.errors}};
  for (const SlowCount& slow : counts.slow) {
    json["slow"].push_back({{"over_ns", slow.over.count()}, {"count", slow.count}});
  }
  return json;
}

VersionCounts counts_from_json(const Json* json) {
  VersionCounts counts;
  if (json == nullptr) return counts;
  counts.requests = static_cast<std::uint64_t>(get_int(*json, "requests"));
  counts.errors = static_cast<std::uint64_t>(get_int(*json, "errors"));
  if (const Json* slow = find(*json, "slow"); slow != nullptr) {
    for (const Json& entry : *slow) {
      counts.slow.push_back({Duration{get_int(entry, "over_ns")},
                             static_cast<std::uint64_t>(get_int(entry, "count"))});
    }
  }
  return counts;
}

/// Sums of them stay whole numbers: a datapoint of a source cannot come near it.
constexpr std::int64_t kMaxCounted = std::int64_t{1} << 50;

bool is_count(const Json& json, std::string_view key) {
  const std::int64_t n = get_int(json, key);
  return n >= 0 && n <= kMaxCounted;
}

bool has_counts(const Json* json) {
  if (json == nullptr) return true;
  bool good = is_count(*json, "requests") && is_count(*json, "errors");
  if (const Json* slow = find(*json, "slow"); slow != nullptr) {
    for (const Json& entry : *slow) good = good && is_count(entry, "count");
  }
  return good;
}

/// Of all versions in a window or a segment; a baseline only where there was one.
template <typename Counts>
void put_counts(const Counts& counts, Json& json) {
  json["stable"] = counts_to_json(counts.stable);
  json["canary"] = counts_to_json(counts.canary);
  if (counts.baseline != VersionCounts{}) json["baseline"] = counts_to_json(counts.baseline);
}

template <typename Counts>
void take_counts(const Json& json, Counts& counts) {
  counts.stable = counts_from_json(find(json, "stable"));
  counts.canary = counts_from_json(find(json, "canary"));
  counts.baseline = counts_from_json(find(json, "baseline"));
}

bool has_all_counts(const Json& json) {
  return has_counts(find(json, "stable")) && has_counts(find(json, "canary")) &&
         has_counts(find(json, "baseline"));
}

Weights weights_from_json(const Json& json) {
  Weights weights;
  if (const Json* found = find(json, "weights"); found != nullptr && found->is_object()) {
    for (const auto& [name, weight] : found->items()) {
      if (weight.is_number_integer()) weights[name] = weight.get<std::int64_t>();
    }
  }
  return weights;
}

Json count_to_json(const TaskCount& count) {
  Json json = {{"desired", count.desired},
               {"ready", count.ready},
               {"leaving", count.leaving},
               {"build", count.build}};
  if (!count.failure.empty()) json["failure"] = count.failure;
  return json;
}

TaskCount count_from_json(const Json* json) {
  if (json == nullptr) return {};
  const auto tasks = [json](std::string_view key) {
    return static_cast<int>(std::clamp<std::int64_t>(get_int(*json, key), 0, kMostTasks));
  };
  return {tasks("desired"), tasks("ready"), tasks("leaving"), get_string(*json, "build"),
          get_string(*json, "failure")};
}

Json tasks_to_json(const Tasks& tasks) {
  Json json = {{"stable", count_to_json(tasks.stable)},
               {"canary", count_to_json(tasks.canary)},
               {"same-image", tasks.same_image}};
  if (tasks.baseline) json["baseline"] = count_to_json(*tasks.baseline);
  return json;
}

Tasks tasks_from_json(const Json& json) {
  Tasks tasks{count_from_json(find(json, "stable")), count_from_json(find(json, "canary")),
              get_bool(json, "same-image")};
  if (const Json* baseline = find(json, "baseline")) tasks.baseline = count_from_json(baseline);
  return tasks;
}

std::optional<Tasks> tasks_at(const Json& json) {
  const Json* tasks = find(json, "tasks");
  return tasks == nullptr ? std::nullopt : std::optional(tasks_from_json(*tasks));
}

struct InputWriter {
  TimePoint t;

  Json operator()(const Started& x) const {
    Json json = with_time(t, "started");
    json["weights"] = x.actual;
    if (x.tasks) json["tasks"] = tasks_to_json(*x.tasks);
    return json;
  }
  Json operator()(const Restarted& x) const {
    Json json = with_time(t, "restarted");
    json["weights"] = x.actual;
    if (x.tasks) json["tasks"] = tasks_to_json(*x.tasks);
    return json;
  }
  Json operator()(const TasksSeen& x) const {
    Json json = with_time(t, "tasks-seen");
    json["tasks"] = tasks_to_json(x.tasks);
    return json;
  }
  Json operator()(const TasksFailed& x) const {
    Json json = with_time(t, "tasks-failed");
    json["reason"] = x.reason;
    return json;
  }
  Json operator()(const WeightsApplied& x) const {
    Json json = with_time(t, "weights-applied");
    json["weights"] = x.weights;
    return json;
  }
  Json operator()(const WeightsFailed& x) const {
    Json json = with_time(t, "weights-failed");
    json["reason"] = x.reason;
    return json;
  }
  Json operator()(const RoutesApplied&) const { return with_time(t, "routes-applied"); }
  Json operator()(const RoutesFailed& x) const {
    Json json = with_time(t, "routes-failed");
    json["reason"] = x.reason;
    return json;
  }
  Json operator()(const WeightsSeen& x) const {
    Json json = with_time(t, "weights-seen");
    json["weights"] = x.actual;
    return json;
  }
  Json operator()(const WeightsUnseen& x) const {
    Json json = with_time(t, "weights-unseen");
    json["reason"] = x.reason;
    return json;
  }
  Json operator()(const Metrics& x) const {
    Json json = with_time(t, "metrics");
    json["windows"] = Json::array();
    for (const MetricsWindow& w : x.windows) {
      Json window = {{"from_ns", ns(w.from)}, {"to_ns", ns(w.to)}};
      put_counts(w, window);
      for (const SegmentCounts& segment : w.segments) {
        Json part = {{"name", segment.name}};
        put_counts(segment, part);
        window["segments"].push_back(std::move(part));
      }
      json["windows"].push_back(std::move(window));
    }
    if (x.next != kNever) json["next_ns"] = ns(x.next);
    return json;
  }
  Json operator()(const MetricsFailed& x) const {
    Json json = with_time(t, "metrics-failed");
    json["reason"] = x.reason;
    if (x.next != kNever) json["next_ns"] = ns(x.next);
    return json;
  }
  Json operator()(const Tick&) const { return with_time(t, "tick"); }
  Json operator()(const Operator& x) const {
    Json json = with_time(t, "operator");
    json["command"] = std::string(to_string(x.command));
    json["reason"] = x.reason;
    if (x.command == Command::SetWeights) json["canary"] = x.canary.value;
    return json;
  }
  Json operator()(const NewerRevision& x) const {
    Json json = with_time(t, "newer-revision");
    json["version"] = x.version;
    return json;
  }
  Json operator()(const HookAnswered& x) const {
    Json json = with_time(t, "hook-answered");
    json["hook"] = x.hook;
    json["verdict"] = std::string(to_string(x.verdict));
    json["text"] = x.text;
    return json;
  }
};

std::optional<Command> command_named(std::string_view name) {
  for (const Command c :
       {Command::Pause, Command::Resume, Command::Promote, Command::Abort, Command::SetWeights}) {
    if (to_string(c) == name) return c;
  }
  return std::nullopt;
}

Result<Input> input_from_json(const Json& json) {
  const std::string kind = get_string(json, "input");
  if (kind == "started") return Started{weights_from_json(json), tasks_at(json)};
  if (kind == "restarted") return Restarted{weights_from_json(json), tasks_at(json)};
  if (kind == "tasks-seen") return TasksSeen{tasks_at(json).value_or(Tasks{})};
  if (kind == "tasks-failed") return TasksFailed{get_string(json, "reason")};
  if (kind == "weights-applied") return WeightsApplied{weights_from_json(json)};
  if (kind == "weights-failed") return WeightsFailed{get_string(json, "reason")};
  if (kind == "routes-applied") return RoutesApplied{};
  if (kind == "routes-failed") return RoutesFailed{get_string(json, "reason")};
  if (kind == "weights-seen") return WeightsSeen{weights_from_json(json)};
  if (kind == "weights-unseen") return WeightsUnseen{get_string(json, "reason")};
  if (kind == "tick") return Tick{};
  if (kind == "metrics-failed") {
    return MetricsFailed{get_string(json, "reason"), time_at(json, "next_ns")};
  }
  if (kind == "metrics") {
    Metrics metrics{{}, time_at(json, "next_ns")};
    const Json* windows = find(json, "windows");
    if (windows == nullptr || !windows->is_array()) return error("metrics without windows");
    for (const Json& w : *windows) {
      if (time_at(w, "from_ns") == kNever || time_at(w, "to_ns") == kNever) {
        return error("metrics with a window without times");
      }
      if (!has_all_counts(w)) {
        return error("metrics with a count below 0 or beyond reason");
      }
      MetricsWindow& window = metrics.windows.emplace_back();
      window.from = time_at(w, "from_ns");
      window.to = time_at(w, "to_ns");
      take_counts(w, window);
      const Json* segments = find(w, "segments");
      if (segments == nullptr || !segments->is_array()) continue;
      for (const Json& segment : *segments) {
        if (!has_all_counts(segment)) {
          return error("metrics of a segment with a count below 0 or beyond reason");
        }
        window.segments.emplace_back().name = get_string(segment, "name");
        take_counts(segment, window.segments.back());
      }
    }
    return metrics;
  }
  if (kind == "operator") {
    const auto command = command_named(get_string(json, "command"));
    if (!command) return error("unknown command \"{}\"", get_string(json, "command"));
    return Operator{*command, get_string(json, "reason"), Percent{get_number(json, "canary")}};
  }
  if (kind == "newer-revision") return NewerRevision{get_string(json, "version")};
  if (kind == "hook-answered") {
    for (const HookVerdict verdict :
         {HookVerdict::Passed, HookVerdict::Failed, HookVerdict::Wait}) {
      if (to_string(verdict) == get_string(json, "verdict")) {
        return HookAnswered{static_cast<std::size_t>(get_int(json, "hook")), verdict,
                            get_string(json, "text")};
      }
    }
    return error("unknown verdict \"{}\"", get_string(json, "verdict"));
  }
  return error("unknown input \"{}\"", kind);
}

}  // namespace

Json to_json(const Plan& plan) {
  Json json = {{"stable", plan.stable},
               {"canary", plan.canary},
               {"traffic", plan.traffic == TrafficApi::Alb ? "alb" : "appmesh"},
               {"on-no-data", plan.on_no_data == OnNoData::Hold       ? "hold"
                              : plan.on_no_data == OnNoData::Continue ? "continue"
                                                                      : "rollback"},
               {"poll_ns", plan.poll.count()},
               {"settle_ns", plan.settle.count()},
               {"steps", Json::array()},
               {"analyses", Json::array()}};
  for (const Step& step : plan.steps) json["steps"].push_back(step_to_json(step));
  for (const AnalysisSpec& spec : plan.analyses) json["analyses"].push_back(to_json(spec));
  parts_to_json(plan, json);
  return json;
}

Result<Plan> plan_from_json(const Json& json) {
  Plan plan;
  plan.stable = get_string(json, "stable", plan.stable);
  plan.canary = get_string(json, "canary", plan.canary);
  if (get_string(json, "traffic") == "alb") plan.traffic = TrafficApi::Alb;
  const std::string on_no_data = get_string(json, "on-no-data", "hold");
  if (on_no_data == "continue") plan.on_no_data = OnNoData::Continue;
  if (on_no_data == "rollback") plan.on_no_data = OnNoData::Rollback;
  plan.poll = Duration{get_int(json, "poll_ns", plan.poll.count())};
  plan.settle = Duration{get_int(json, "settle_ns", plan.settle.count())};
  const Json* steps = find(json, "steps");
  const Json* analyses = find(json, "analyses");
  if (steps == nullptr || !steps->is_array()) return error("a plan without steps");
  for (const Json& step : *steps) {
    TRY(Step read, step_from_json(step));
    plan.steps.push_back(std::move(read));
  }
  if (analyses != nullptr && analyses->is_array()) {
    for (const Json& spec : *analyses) {
      TRY(AnalysisSpec read, analysis_from_json(spec));
      plan.analyses.push_back(std::move(read));
    }
  }
  TRY_STATUS(parts_from_json(json, plan));
  if (const auto errors = check(plan); !errors.empty()) return tl::unexpected(errors.front());
  return plan;
}

// --- lines -----------------------------------------------------------------------------------

std::string header_line(const JournalHeader& header) {
  return dump_json({{"journal", kJournalName},
                    {"version", kJournalVersion},
                    {"t", to_iso8601_millis(header.t)},
                    {"ns", ns(header.t)},
                    {"id", header.id},
                    {"target", header.target},
                    {"settings", header.settings},
                    {"plan", to_json(header.plan)}}) +
         "\n";
}

std::string input_line(TimePoint t, const Input& input) {
  return dump_json(std::visit(InputWriter{t}, input)) + "\n";
}

Result<Input> parse_input_line(std::string_view line) {
  TRY(const Json json, parse_json(line));
  return input_from_json(json);
}

std::string event_line(const Event& event) {
  return dump_json(to_json(event)) + "\n";
}

namespace {

Result<JournalHeader> read_header(const Json& json, const Place& place) {
  if (get_string(json, "journal") != kJournalName) return error(place, "not a rollout's journal");
  if (const auto version = get_int(json, "version"); version != kJournalVersion) {
    return error(place, "journal version is {}, this program reads {}", version, kJournalVersion);
  }
  const Json* plan = find(json, "plan");
  if (plan == nullptr) return error(place, "the journal's header has no plan");
  auto read = plan_from_json(*plan);
  if (!read) return error(place, "the journal's plan: {}", read.error().message);
  JournalHeader header{time_at(json, "ns"),
                       get_string(json, "id"),
                       get_string(json, "target"),
                       *std::move(read),
                       {}};
  if (const Json* settings = find(json, "settings"); settings != nullptr && settings->is_object()) {
    for (const auto& [name, value] : settings->items()) {
      if (value.is_string()) header.settings[name] = value.get<std::string>();
    }
  }
  return header;
}

Result<JournalEntry> read_entry(const Json& json, const Place& place) {
  JournalEntry entry{JournalEntry::Kind::Told, place, {}, {}, &json};
  if (find(json, "input") != nullptr) {
    auto input = input_from_json(json);
    if (!input) return error(place, "{}", input.error().message);
    entry.t = time_at(json, "ns");
    if (entry.t == kNever) return error(place, "the time (\"ns\") is missing");
    entry.input = *std::move(input);
  } else if (find(json, "event") != nullptr) {
    entry.kind = JournalEntry::Kind::Recorded;
  } else if (find(json, "world") != nullptr) {
    entry.kind = JournalEntry::Kind::World;
  } else {
    return error(place, "a journal's lines have \"input\", \"event\" or \"world\"; this has none");
  }
  return entry;
}

}  // namespace

Result<std::size_t> walk_journal(std::string_view text, std::string_view source,
                                 const std::function<Status(JournalHeader)>& begin,
                                 const std::function<Status(JournalEntry&&)>& each) {
  Place place{std::string(source), 0, 0};
  std::size_t whole = 0;
  for (std::size_t end = text.find('\n'); end != std::string_view::npos;
       end = text.find('\n', whole)) {  // what is behind the last end was torn by a crash
    ++place.line;
    const auto json = parse_json(text.substr(whole, end - whole));
    if (!json) {
      const auto& at = json.error().place;
      return error(Place{place.file, place.line, at ? at->column : 0}, "{}", json.error().message);
    }
    if (place.line == 1) {
      TRY(JournalHeader header, read_header(*json, place));
      TRY_STATUS(begin(std::move(header)));
    } else {
      TRY(JournalEntry entry, read_entry(*json, place));
      TRY_STATUS(each(std::move(entry)));
    }
    whole = end + 1;
  }
  if (place.line == 0) return error(Place{std::string(source), 1, 0}, "the journal is empty");
  return whole;
}

Result<Journal> parse_journal(std::string_view text, std::string_view source) {
  Journal journal;
  TRY(journal.whole_bytes, walk_journal(
                               text, source,
                               [&journal](JournalHeader header) -> Status {
                                 journal.header = std::move(header);
                                 return {};
                               },
                               [&journal](JournalEntry&& entry) -> Status {
                                 if (entry.kind == JournalEntry::Kind::Told) {
                                   journal.inputs.emplace_back(entry.t, std::move(entry.input));
                                 }
                                 return {};
                               }));
  return journal;
}

RolloutState resume(const Journal& journal) {
  RolloutState state;
  for (const auto& [t, input] : journal.inputs) {
    state = decide(journal.header.plan, std::move(state), input, t).state;
  }
  return state;
}

}  // namespace coalmine::rollout
