#include "sim/study/shard_file.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace coalmine::study {
namespace {

constexpr const char* kFormat = "coalmine study shard";
constexpr int kVersion = 3;  ///< 2: with segments, 3: with their users

// --- writing -----------------------------------------------------------------------------------

Json optional_ns(const std::optional<Duration>& d) {
  return d ? Json(d->count()) : Json(nullptr);
}

/// One run as a list; order as read_sample() reads it.
Json sample_json(const Sample& s) {
  Json segments = Json::array();
  for (std::size_t i = 0; i < s.segments.size(); ++i) {
    segments.push_back({s.segments[i].requests, s.segments[i].failed, s.segment_users[i]});
  }
  return Json::array({s.index, static_cast<int>(s.outcome), s.blamed, s.requests, s.failed,
                      s.dropped, s.canary_requests, s.canary_failed, s.canary_users, s.parts.test,
                      s.parts.metrics, s.parts.route, optional_ns(s.detect),
                      optional_ns(s.rollback), optional_ns(s.promote), s.duration.count(),
                      s.failed_checks, std::move(segments)});
}
constexpr std::size_t kSampleFields = 18;

Json samples_json(const std::vector<Sample>& samples) {
  Json list = Json::array();
  for (const Sample& sample : samples) list.push_back(sample_json(sample));
  return list;
}

Json facts_json(const TrialFacts& facts) {
  Json parameters = Json::array();
  for (const auto& [name, value] : facts.parameters) parameters.push_back({name, value});
  return {{"scenario", facts.scenario},
          {"file", facts.file},
          {"plan", facts.plan},
          {"parameters", parameters},
          {"steps", facts.steps},
          {"judge", facts.judge},
          {"fault", facts.fault},
          {"stable", facts.stable},
          {"canary", facts.canary},
          {"worse", facts.worse},
          {"invisible", facts.invisible},
          {"floor", facts.floor ? Json(*facts.floor) : Json(nullptr)},
          {"metric_period_ns", facts.metric_period.count()},
          {"metric_delay_ns", facts.metric_delay.count()},
          {"route_delay_ns", facts.route_delay.count()},
          {"checks", facts.checks},
          {"segments", facts.segments},
          {"first_seed", facts.first_seed}};
}

// --- reading -----------------------------------------------------------------------------------

// nlohmann's at() and get() throw on anything that is missing or of another type; read_shard()
// turns that into an Error, so the readers below need not look twice.

std::optional<Duration> read_ns(const Json& json) {
  if (json.is_null()) return std::nullopt;
  return Duration{json.get<std::int64_t>()};
}

struct BadShard : std::exception {};

Sample read_sample(const Json& json, int seeds, const TrialFacts& facts) {
  if (!json.is_array() || json.size() != kSampleFields) throw BadShard{};
  Sample s;
  s.index = json.at(0).get<std::uint32_t>();
  const int outcome = json.at(1).get<int>();
  if (s.index >= static_cast<std::uint32_t>(seeds) || outcome < 0 ||
      outcome > static_cast<int>(world::Outcome::Failed)) {
    throw BadShard{};
  }
  s.outcome = static_cast<world::Outcome>(outcome);
  s.blamed = json.at(2).get<bool>();
  std::uint64_t* const counts[] = {&s.requests,        &s.failed,        &s.dropped,
                                   &s.canary_requests, &s.canary_failed, &s.canary_users,
                                   &s.parts.test,      &s.parts.metrics, &s.parts.route};
  for (std::size_t i = 0; i < std::size(counts); ++i) {
    *counts[i] = json.at(3 + i).get<std::uint64_t>();
  }
  s.detect = read_ns(json.at(12));
  s.rollback = read_ns(json.at(13));
  s.promote = read_ns(json.at(14));
  s.duration = Duration{json.at(15).get<std::int64_t>()};
  s.failed_checks = json.at(16).get<std::vector<std::uint32_t>>();
  for (const std::uint32_t check : s.failed_checks) {
    if (check >= facts.checks.size()) throw BadShard{};
  }
  for (const Json& one : json.at(17)) {
    s.segments.push_back({one.at(0).get<std::uint64_t>(), one.at(1).get<std::uint64_t>()});
    s.segment_users.push_back(one.at(2).get<std::uint64_t>());
  }
  if (s.segments.size() != facts.segments.size()) throw BadShard{};
  return s;
}

std::vector<Sample> read_samples(const Json& json, int seeds, const TrialFacts& facts) {
  std::vector<Sample> samples;
  for (const Json& one : json) samples.push_back(read_sample(one, seeds, facts));
  return samples;
}

TrialFacts read_facts(const Json& json) {
  TrialFacts facts;
  facts.scenario = json.at("scenario").get<std::string>();
  facts.file = json.at("file").get<std::string>();
  facts.plan = json.at("plan").get<std::string>();
  for (const Json& pair : json.at("parameters")) {
    facts.parameters.emplace_back(pair.at(0).get<std::string>(), pair.at(1).get<std::string>());
  }
  facts.steps = json.at("steps").get<std::string>();
  facts.judge = json.at("judge").get<std::string>();
  facts.fault = json.at("fault").get<std::string>();
  facts.stable = json.at("stable").get<std::string>();
  facts.canary = json.at("canary").get<std::string>();
  facts.worse = json.at("worse").get<bool>();
  facts.invisible = json.at("invisible").get<bool>();
  if (!json.at("floor").is_null()) facts.floor = json.at("floor").get<double>();
  facts.metric_period = Duration{json.at("metric_period_ns").get<std::int64_t>()};
  facts.metric_delay = Duration{json.at("metric_delay_ns").get<std::int64_t>()};
  facts.route_delay = Duration{json.at("route_delay_ns").get<std::int64_t>()};
  facts.checks = json.at("checks").get<std::vector<std::string>>();
  facts.segments = json.at("segments").get<std::vector<std::string>>();
  facts.first_seed = json.at("first_seed").get<std::uint64_t>();
  return facts;
}

StudyResult read_study(const Json& json) {
  StudyResult part;
  const auto kind = kind_from(json.at("kind").get<std::string>());
  part.seeds = json.at("seeds").get<int>();
  part.shard.index = json.at("shard").at("index").get<int>();
  part.shard.count = json.at("shard").at("count").get<int>();
  if (!kind || part.seeds < 1 || part.seeds > scenario::kMaxSeeds || part.shard.index < 1 ||
      part.shard.index > part.shard.count) {
    throw BadShard{};
  }
  part.kind = *kind;
  for (const Json& trial : json.at("trials")) {
    TrialResult result;
    result.facts = read_facts(trial.at("facts"));
    result.written = read_samples(trial.at("written"), part.seeds, result.facts);
    result.healthy = read_samples(trial.at("healthy"), part.seeds, result.facts);
    part.trials.push_back(std::move(result));
  }
  return part;
}

// --- merging -----------------------------------------------------------------------------------

bool same_study(const StudyResult& a, const StudyResult& b) {
  if (a.kind != b.kind || a.seeds != b.seeds || a.shard.count != b.shard.count ||
      a.trials.size() != b.trials.size()) {
    return false;
  }
  for (std::size_t i = 0; i < a.trials.size(); ++i) {
    if (a.trials[i].facts != b.trials[i].facts) return false;
  }
  return true;
}

/// Every seed once, in order; false when some are missing or doubled.
bool complete(std::vector<Sample>& samples, int seeds) {
  std::sort(samples.begin(), samples.end(),
            [](const Sample& a, const Sample& b) { return a.index < b.index; });
  if (samples.size() != static_cast<std::size_t>(seeds)) return false;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    if (samples[i].index != i) return false;
  }
  return true;
}

void append(std::vector<Sample>& to, std::vector<Sample>&& from) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

}  // namespace

std::string write_shard(const StudyResult& part) {
  Json json = {{"format", kFormat},
               {"version", kVersion},
               {"coalmine", COALMINE_VERSION},
               {"kind", to_string(part.kind)},
               {"seeds", part.seeds},
               {"shard", {{"index", part.shard.index}, {"count", part.shard.count}}},
               {"trials", Json::array()}};
  for (const TrialResult& trial : part.trials) {
    json["trials"].push_back({{"facts", facts_json(trial.facts)},
                              {"written", samples_json(trial.written)},
                              {"healthy", samples_json(trial.healthy)}});
  }
  return dump_json(json) + "\n";
}

Result<StudyResult> read_shard(std::string_view text, const std::string& source) {
  TRY(const Json json, parse_json(text, source));
  if (get_string(json, "format") != kFormat) {
    return error(
        "{}: not a shard; `evaluate` and `compare` write one with --shard I/N --report "
        "json=FILE",
        source);
  }
  if (get_int(json, "version") != kVersion || get_string(json, "coalmine") != COALMINE_VERSION) {
    return error(
        "{}: written by coalmine {}, this is {}; shards of one study must come from one "
        "version",
        source, get_string(json, "coalmine", "(unknown)"), COALMINE_VERSION);
  }
  try {
    return read_study(json);
  } catch (const std::exception&) {
    return error("{}: the shard is damaged; write it again", source);
  }
}

Result<StudyResult> merge(std::vector<NamedShard> parts) {
  if (parts.empty()) return error("no shard to merge");
  std::sort(parts.begin(), parts.end(), [](const NamedShard& a, const NamedShard& b) {
    return a.part.shard.index < b.part.shard.index;
  });
  const int count = parts.front().part.shard.count;
  for (std::size_t i = 1; i < parts.size(); ++i) {
    if (!same_study(parts[0].part, parts[i].part)) {
      return error(
          "{} and {} are parts of different studies: scenario, plan, seeds and the number "
          "of shards must be the same",
          parts[0].source, parts[i].source);
    }
    if (parts[i - 1].part.shard.index == parts[i].part.shard.index) {
      return error("{} and {} are both shard {}/{}", parts[i - 1].source, parts[i].source,
                   parts[i].part.shard.index, count);
    }
  }
  std::string missing;
  for (int want = 1, at = 0; want <= count; ++want) {
    if (at < static_cast<int>(parts.size()) &&
        parts[static_cast<std::size_t>(at)].part.shard.index == want) {
      ++at;
    } else if (missing.size() < 60) {
      missing += fmt::format("{}{}/{}", missing.empty() ? "" : ", ", want, count);
    }
  }
  if (!missing.empty()) return error("shards are missing: {}", missing);

  StudyResult whole = std::move(parts[0].part);
  for (std::size_t i = 1; i < parts.size(); ++i) {
    for (std::size_t t = 0; t < whole.trials.size(); ++t) {
      append(whole.trials[t].written, std::move(parts[i].part.trials[t].written));
      append(whole.trials[t].healthy, std::move(parts[i].part.trials[t].healthy));
    }
  }
  whole.shard = {};
  for (TrialResult& trial : whole.trials) {
    if (!complete(trial.written, whole.seeds) ||
        (trial.facts.worse && !complete(trial.healthy, whole.seeds))) {
      return error("the shards do not hold every seed once; write them again");
    }
  }
  return whole;
}

}  // namespace coalmine::study
