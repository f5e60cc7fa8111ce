#include "sim/engine/world/run_journal.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace coalmine::world {
namespace {

std::int64_t ns(TimePoint t) {
  return t.time_since_epoch().count();
}

std::string line_of(const Json& json) {
  return dump_json(json) + "\n";
}

Json ns_or_null(const std::optional<Duration>& d) {
  return d ? Json(d->count()) : Json(nullptr);
}

std::optional<Duration> duration_at(const Json& json, std::string_view key) {
  const Json* value = find(json, key);
  if (value == nullptr || !value->is_number_integer()) return std::nullopt;
  return Duration{value->get<std::int64_t>()};
}

std::uint64_t count_at(const Json& json, std::string_view key) {
  return static_cast<std::uint64_t>(get_int(json, key));
}

/// Elements of a list; empty for anything else.
const Json& list_at(const Json& json, std::string_view key) {
  static const Json none = Json::array();
  const Json* value = find(json, key);
  return value != nullptr && value->is_array() ? *value : none;
}

Json tallies_json(const std::vector<Tally>& tallies) {
  Json json = Json::array();
  for (const Tally& tally : tallies) json.push_back({tally.requests, tally.failed});
  return json;
}

std::optional<std::vector<Tally>> tallies_at(const Json& json, std::string_view key) {
  std::vector<Tally> tallies;
  for (const Json& pair : list_at(json, key)) {
    if (pair.size() != 2 || !pair[0].is_number_unsigned() || !pair[1].is_number_unsigned()) {
      return std::nullopt;
    }
    tallies.push_back({pair[0].get<std::uint64_t>(), pair[1].get<std::uint64_t>()});
  }
  return tallies;
}

Json version_json(const VersionRecord& version) {
  Json json = {{"name", version.name},        {"requests", version.requests},
               {"users", version.users},      {"retries", version.retries},
               {"endings", Json::object()},   {"segments", tallies_json(version.segments)},
               {"latency_us", Json::array()}, {"latency_max_ns", version.latency.max().count()}};
  if (version.beside > 0) json["beside"] = version.beside;
  if (!version.segment_users.empty()) json["segment_users"] = version.segment_users;
  for (std::size_t e = 0; e < kEndings; ++e) {
    if (version.endings[e] == 0) continue;
    json["endings"][std::string(to_string(static_cast<Ending>(e)))] = version.endings[e];
  }
  for (const auto& [value, count] : version.latency.filled()) {
    json["latency_us"].push_back({value, count});
  }
  return json;
}

std::optional<VersionRecord> version_from(const Json& json) {
  VersionRecord version;
  version.name = get_string(json, "name");
  version.requests = count_at(json, "requests");
  version.users = count_at(json, "users");
  version.retries = count_at(json, "retries");
  version.beside = count_at(json, "beside");
  for (std::size_t e = 0; e < kEndings; ++e) {
    if (const Json* endings = find(json, "endings")) {
      version.endings[e] = count_at(*endings, to_string(static_cast<Ending>(e)));
    }
  }
  auto segments = tallies_at(json, "segments");
  if (!segments || version.name.empty()) return std::nullopt;
  version.segments = *std::move(segments);
  for (const Json& users : list_at(json, "segment_users")) {
    if (!users.is_number_unsigned()) return std::nullopt;
    version.segment_users.push_back(users.get<std::uint64_t>());
  }
  const Duration longest = duration_at(json, "latency_max_ns").value_or(Duration{});
  for (const Json& pair : list_at(json, "latency_us")) {
    if (pair.size() != 2 || !pair[0].is_number_unsigned() || !pair[1].is_number_unsigned()) {
      return std::nullopt;
    }
    // A bucket is named by its upper bound; no value lies above the longest.
    const Duration bound = std::chrono::microseconds(pair[0].get<std::uint64_t>());
    version.latency.add(std::min(bound, longest), pair[1].get<std::uint64_t>());
  }
  return version;
}

std::map<std::string, std::uint32_t> weights_at(const Json& json, std::string_view key) {
  std::map<std::string, std::uint32_t> weights;
  const Json* found = find(json, key);
  if (found == nullptr || !found->is_object()) return weights;
  for (const auto& [name, weight] : found->items()) {
    if (weight.is_number_unsigned()) weights[name] = weight.get<std::uint32_t>();
  }
  return weights;
}

/// A field of a note as the world wrote it.
std::optional<rollout::Value> value_from(const Json& json) {
  if (json.is_string()) return json.get<std::string>();
  if (json.is_boolean()) return json.get<bool>();
  if (json.is_number_integer()) return json.get<std::int64_t>();
  if (json.is_number()) return json.get<double>();
  if (!json.is_object()) return std::nullopt;
  rollout::Weights weights;
  for (const auto& [name, weight] : json.items()) {
    if (!weight.is_number_integer()) return std::nullopt;
    weights[name] = weight.get<std::int64_t>();
  }
  return weights;
}

}  // namespace

// --- writing -----------------------------------------------------------------------------------

std::string begin_line(const Record& record, const Source& source) {
  return line_of({{"world", "begin"},
                  {"t", to_iso8601_millis(record.start)},
                  {"ns", ns(record.start)},
                  {"mode", record.mode},
                  {"fidelity", record.fidelity},
                  {"fidelity_reason", record.fidelity_reason},
                  {"seed", record.seed},
                  {"file", source.file},
                  {"scenario", source.text},
                  {"trace", source.trace}});
}

std::string note_line(const rollout::Event& event) {
  Json fields = Json::array();  // their order is part of the story
  for (const auto& [key, value] : event.fields) {
    std::visit([&fields, name = key](const auto& v) { fields.push_back({name, v}); }, value);
  }
  return line_of({{"world", "note"},
                  {"t", to_iso8601_millis(event.t)},
                  {"ns", ns(event.t)},
                  {"note", event.name},
                  {"fields", std::move(fields)}});
}

std::string span_line(const Span& span) {
  return line_of({{"world", "span"},
                  {"begin_ns", span.begin.count()},
                  {"end_ns", span.end.count()},
                  {"weights", span.weights},
                  {"versions", tallies_json(span.versions)},
                  {"dropped", span.dropped}});
}

std::string end_line(const Record& record) {
  Json json = {{"world", "end"},
               {"duration_ns", record.duration.count()},
               {"dropped", record.dropped},
               {"first_canary_ns", ns_or_null(record.first_canary)},
               {"last_canary_ns", ns_or_null(record.last_canary)},
               {"max_canary_share", record.max_canary_share},
               {"users", record.blast_users},
               {"final_weights", record.final_weights},
               {"versions", Json::array()}};
  if (record.compared > 0) {
    json["compared"] = record.compared;
    json["differing"] = record.differing;
  }
  for (const VersionRecord& version : record.versions) {
    json["versions"].push_back(version_json(version));
  }
  return line_of(json);
}

// --- reading -----------------------------------------------------------------------------------

Status RunJournal::take(const Place& place, const Json& line) {
  note_.reset();
  const std::string kind = get_string(line, "world");
  if (begun_ == (kind == "begin")) {
    return begun_ ? error(place, "the world begins a second time")
                  : error(place, "the world says \"{}\" before it begins", kind);
  }
  if (ended_) return error(place, "the world says \"{}\" behind its end", kind);
  if (kind == "begin") return begin(line);
  if (kind == "note") return note(place, line);
  if (kind == "span") return span(place, line);
  if (kind == "end") return end(place, line);
  return error(place, "unknown line \"{}\" of the world", kind);
}

std::optional<rollout::Event> RunJournal::take_note() {
  return std::exchange(note_, std::nullopt);
}

Status RunJournal::begin(const Json& line) {
  begun_ = true;
  record_.start = TimePoint{Duration{get_int(line, "ns")}};
  record_.mode = get_string(line, "mode");
  record_.fidelity = get_string(line, "fidelity");
  record_.fidelity_reason = get_string(line, "fidelity_reason");
  record_.seed = count_at(line, "seed");
  source_ = {get_string(line, "file"), get_string(line, "scenario"), get_string(line, "trace")};
  return {};
}

Status RunJournal::note(const Place& place, const Json& line) {
  rollout::Event event{TimePoint{Duration{get_int(line, "ns")}}, get_string(line, "note"), {}};
  for (const Json& pair : list_at(line, "fields")) {
    const bool named = pair.size() == 2 && pair[0].is_string();
    auto value = named ? value_from(pair[1]) : std::nullopt;
    if (!value) return error(place, "a field of the world's note is no pair of name and value");
    event.fields.emplace_back(pair[0].get<std::string>(), *std::move(value));
  }
  if (event.name.empty()) return error(place, "the world's note has no name");
  note_ = std::move(event);
  return {};
}

Status RunJournal::span(const Place& place, const Json& line) {
  Span span;
  const auto begin = duration_at(line, "begin_ns"), end = duration_at(line, "end_ns");
  auto tallies = tallies_at(line, "versions");
  if (!begin || !end || !tallies) return error(place, "the span lacks its times or its counts");
  span.begin = *begin;
  span.end = *end;
  span.versions = *std::move(tallies);
  span.dropped = count_at(line, "dropped");
  for (const Json& weight : list_at(line, "weights")) {
    if (!weight.is_number_unsigned()) return error(place, "a weight of the span is no number");
    span.weights.push_back(weight.get<std::uint32_t>());
  }
  const std::size_t versions =
      record_.spans.empty() ? span.versions.size() : record_.spans.front().versions.size();
  const bool fits =
      span.versions.size() == versions && (span.weights.empty() || span.weights.size() == versions);
  if (!fits) return error(place, "the span has another number of versions");
  record_.spans.push_back(std::move(span));
  return {};
}

Status RunJournal::end(const Place& place, const Json& line) {
  ended_ = true;
  end_place_ = place;
  record_.duration = duration_at(line, "duration_ns").value_or(Duration{});
  record_.dropped = count_at(line, "dropped");
  record_.first_canary = duration_at(line, "first_canary_ns");
  record_.last_canary = duration_at(line, "last_canary_ns");
  record_.max_canary_share = get_number(line, "max_canary_share");
  record_.blast_users = count_at(line, "users");
  record_.compared = count_at(line, "compared");
  record_.differing = count_at(line, "differing");
  record_.final_weights = weights_at(line, "final_weights");
  for (const Json& one : list_at(line, "versions")) {
    auto version = version_from(one);
    if (!version) return error(place, "a version's counts cannot be read");
    record_.versions.push_back(*std::move(version));
  }
  if (!record_.spans.empty() && record_.spans.front().versions.size() != record_.versions.size()) {
    return error(place, "the spans have another number of versions");
  }
  return {};
}

std::optional<Error> RunJournal::contradiction() const {
  const auto found = [this](std::string message) {
    return Error{std::move(message), ErrorKind::Failed, end_place_};
  };
  std::uint64_t dropped = 0;
  std::vector<std::uint64_t> requests(record_.versions.size());
  for (const Span& span : record_.spans) {
    dropped += span.dropped;
    for (std::size_t v = 0; v < requests.size(); ++v) requests[v] += span.versions[v].requests;
  }
  for (std::size_t v = 0; v < requests.size(); ++v) {
    const VersionRecord& version = record_.versions[v];
    std::uint64_t ended = 0;
    for (const std::uint64_t n : version.endings) ended += n;
    if (requests[v] != version.requests || ended != version.requests) {
      return found(fmt::format("{} has {} requests in the end, {} in the spans, {} by their ending",
                               version.name, version.requests, requests[v], ended));
    }
  }
  if (dropped != record_.dropped) {
    return found(
        fmt::format("{} dropped requests in the end, {} in the spans", record_.dropped, dropped));
  }
  return std::nullopt;
}

}  // namespace coalmine::world
