#include "sim/rollout/analysis/spec_json.h"

#include <nlohmann/json.hpp>

namespace coalmine::rollout {
namespace {

std::string_view name_of(OnFail on_fail) {
  return on_fail == OnFail::Rollback ? "rollback" : on_fail == OnFail::Pause ? "pause" : "ignore";
}

std::string_view name_of(Scope scope) {
  return scope == Scope::Canary ? "canary" : scope == Scope::Stable ? "stable" : "service";
}

std::string_view name_of(Direction direction) {
  return direction == Direction::Up ? "up" : direction == Direction::Down ? "down" : "either";
}

Direction direction_from(std::string_view name) {
  return name == "up" ? Direction::Up : name == "down" ? Direction::Down : Direction::Either;
}

void put(Json& json, const char* key, std::optional<Duration> value) {
  if (value) json[key] = value->count();
}
void put(Json& json, const char* key, std::optional<double> value) {
  if (value) json[key] = *value;
}
void put(Json& json, const char* key, std::optional<int> value) {
  if (value) json[key] = *value;
}
void put(Json& json, const char* key, std::optional<Percent> value) {
  if (value) json[key] = value->value;
}

std::optional<Duration> duration_at(const Json& json, std::string_view key) {
  if (find(json, key) == nullptr) return std::nullopt;
  return Duration{get_int(json, key)};
}
std::optional<double> number_at(const Json& json, std::string_view key) {
  if (find(json, key) == nullptr) return std::nullopt;
  return get_number(json, key);
}
std::optional<int> int_at(const Json& json, std::string_view key) {
  if (find(json, key) == nullptr) return std::nullopt;
  return static_cast<int>(get_int(json, key));
}
std::optional<Percent> percent_at(const Json& json, std::string_view key) {
  if (find(json, key) == nullptr) return std::nullopt;
  return Percent{get_number(json, key)};
}

void put_prior(Json& json, double a, double b) {
  json["prior"] = {a, b};
}
void prior_at(const Json& json, double& a, double& b) {
  const Json* prior = find(json, "prior");
  if (prior == nullptr || !prior->is_array() || prior->size() != 2) return;
  if (!(*prior)[0].is_number() || !(*prior)[1].is_number()) return;
  a = (*prior)[0].get<double>();
  b = (*prior)[1].get<double>();
}

Json metric_json(const JudgedMetric& m) {
  Json json = {{"name", m.name},
               {"what", static_cast<int>(m.measure.what)},
               {"quantile", m.measure.quantile},
               {"window_ns", m.measure.window.count()},
               {"direction", std::string(name_of(m.direction))},
               {"group", m.group},
               {"critical", m.critical},
               {"must-have-data", m.must_have_data},
               {"remove-outliers", m.remove_outliers},
               {"nan-is-zero", m.nan_is_zero},
               {"confidence", m.confidence},
               {"tolerance", m.tolerance},
               {"cles", m.effect == JudgedMetric::Effect::Cles}};
  put(json, "allowed-increase", m.allowed_increase);
  put(json, "allowed-decrease", m.allowed_decrease);
  put(json, "critical-increase", m.critical_increase);
  put(json, "critical-decrease", m.critical_decrease);
  return json;
}

JudgedMetric metric_from(const Json& json) {
  JudgedMetric m;
  m.name = get_string(json, "name");
  const auto what = get_int(json, "what");
  if (what >= 0 && what <= static_cast<int>(Measure::What::LatencyQuantile)) {
    m.measure.what = static_cast<Measure::What>(what);
  }
  m.measure.quantile = get_number(json, "quantile", m.measure.quantile);
  m.measure.window = Duration{get_int(json, "window_ns", m.measure.window.count())};
  m.direction = direction_from(get_string(json, "direction"));
  m.group = get_string(json, "group");
  m.critical = get_bool(json, "critical");
  m.must_have_data = get_bool(json, "must-have-data");
  m.remove_outliers = get_bool(json, "remove-outliers");
  m.nan_is_zero = get_bool(json, "nan-is-zero");
  m.confidence = get_number(json, "confidence", m.confidence);
  m.tolerance = get_number(json, "tolerance", m.tolerance);
  if (get_bool(json, "cles")) m.effect = JudgedMetric::Effect::Cles;
  m.allowed_increase = number_at(json, "allowed-increase");
  m.allowed_decrease = number_at(json, "allowed-decrease");
  m.critical_increase = number_at(json, "critical-increase");
  m.critical_decrease = number_at(json, "critical-decrease");
  return m;
}

struct Writer {
  Json& json;

  void operator()(const ErrorShareTest& t) const {
    json["alpha"] = t.alpha;
    put_prior(json, t.prior_a, t.prior_b);
  }
  void operator()(const SprtTest& t) const {
    json["alpha"] = t.alpha;
    json["beta"] = t.beta;
    json["from"] = t.from.value;
    json["to"] = t.to.value;
    put(json, "over_ns", t.over);
  }
  void operator()(const BernoulliTest& t) const {
    json["alpha"] = t.alpha;
    json["at-most"] = t.at_most.value;
    put_prior(json, t.prior_a, t.prior_b);
    put(json, "over_ns", t.over);
  }
  void operator()(const CusumTest& t) const {
    json["from"] = t.from.value;
    json["to"] = t.to.value;
    json["between"] = t.between;
    put(json, "over_ns", t.over);
  }
  void operator()(const QuantileTest& t) const {
    json["alpha"] = t.alpha;
    json["quantile"] = t.quantile;
    json["tolerance"] = t.tolerance;
  }
  void operator()(const DistributionTest& t) const {
    json["alpha"] = t.alpha;
    json["direction"] = std::string(name_of(t.direction));
  }
  void operator()(const JudgeTest& t) const {
    json["pass"] = t.pass;
    json["marginal"] = t.marginal;
    json["interval_ns"] = t.interval.count();
    json["begin-after_ns"] = t.begin_after.count();
    json["lookback_ns"] = t.lookback.count();
    json["lifetime_ns"] = t.lifetime.count();
    json["groups"] = Json::object();
    for (const JudgeTest::Group& group : t.groups) json["groups"][group.name] = group.weight;
    json["metrics"] = Json::array();
    for (const JudgedMetric& metric : t.metrics) json["metrics"].push_back(metric_json(metric));
  }
  void operator()(const Threshold& t) const {
    put(json, "max-errors", t.max_errors);
    put(json, "max-latency_ns", t.max_latency);
    json["quantile"] = t.quantile;
    json["min-requests"] = t.min_requests;
    json["consecutive"] = t.consecutive;
    put(json, "max-ratio", t.max_ratio);
    put(json, "max-increase", t.max_increase);
    put(json, "cumulative", t.cumulative);
    put(json, "of-last", t.of_last);
  }
};

ErrorShareTest error_share_from(const Json& json) {
  ErrorShareTest t;
  t.alpha = get_number(json, "alpha", t.alpha);
  prior_at(json, t.prior_a, t.prior_b);
  return t;
}

SprtTest sprt_from(const Json& json) {
  SprtTest t;
  t.alpha = get_number(json, "alpha", t.alpha);
  t.beta = get_number(json, "beta", t.beta);
  t.from = Percent{get_number(json, "from")};
  t.to = Percent{get_number(json, "to")};
  t.over = duration_at(json, "over_ns");
  return t;
}

BernoulliTest bernoulli_from(const Json& json) {
  BernoulliTest t;
  t.alpha = get_number(json, "alpha", t.alpha);
  t.at_most = Percent{get_number(json, "at-most")};
  prior_at(json, t.prior_a, t.prior_b);
  t.over = duration_at(json, "over_ns");
  return t;
}

CusumTest cusum_from(const Json& json) {
  CusumTest t;
  t.from = Percent{get_number(json, "from")};
  t.to = Percent{get_number(json, "to")};
  t.between = get_number(json, "between", t.between);
  t.over = duration_at(json, "over_ns");
  return t;
}

QuantileTest quantile_from(const Json& json) {
  QuantileTest t;
  t.alpha = get_number(json, "alpha", t.alpha);
  t.quantile = get_number(json, "quantile", t.quantile);
  t.tolerance = get_number(json, "tolerance", t.tolerance);
  return t;
}

DistributionTest distribution_from(const Json& json) {
  DistributionTest t;
  t.alpha = get_number(json, "alpha", t.alpha);
  t.direction = direction_from(get_string(json, "direction"));
  return t;
}

JudgeTest judge_from(const Json& json) {
  JudgeTest t;
  t.pass = get_number(json, "pass", t.pass);
  t.marginal = get_number(json, "marginal", t.marginal);
  t.interval = Duration{get_int(json, "interval_ns", t.interval.count())};
  t.begin_after = Duration{get_int(json, "begin-after_ns")};
  t.lookback = Duration{get_int(json, "lookback_ns")};
  t.lifetime = Duration{get_int(json, "lifetime_ns")};
  if (const Json* groups = find(json, "groups"); groups != nullptr && groups->is_object()) {
    for (const auto& [name, weight] : groups->items()) {
      if (weight.is_number()) t.groups.push_back({name, weight.get<double>()});
    }
  }
  if (const Json* metrics = find(json, "metrics"); metrics != nullptr && metrics->is_array()) {
    for (const Json& metric : *metrics) t.metrics.push_back(metric_from(metric));
  }
  return t;
}

Threshold threshold_from(const Json& json) {
  Threshold t;
  t.max_errors = percent_at(json, "max-errors");
  t.max_latency = duration_at(json, "max-latency_ns");
  t.quantile = get_number(json, "quantile", t.quantile);
  t.min_requests = static_cast<std::uint64_t>(get_int(json, "min-requests", 1));
  t.consecutive = static_cast<int>(get_int(json, "consecutive", 1));
  t.max_ratio = number_at(json, "max-ratio");
  t.max_increase = percent_at(json, "max-increase");
  t.cumulative = int_at(json, "cumulative");
  t.of_last = int_at(json, "of-last");
  return t;
}

Result<TestSpec> test_from(const Json& json) {
  const std::string test = get_string(json, "test");
  if (test == "error-share") return error_share_from(json);
  if (test == "sprt") return sprt_from(json);
  if (test == "bernoulli") return bernoulli_from(json);
  if (test == "late-fault") return cusum_from(json);
  if (test == "threshold") return threshold_from(json);
  if (test == "quantile") return quantile_from(json);
  if (test == "distribution") return distribution_from(json);
  if (test == "mann-whitney") return judge_from(json);
  return error("unknown test \"{}\"", test);
}

}  // namespace

Json to_json(const AnalysisSpec& spec) {
  Json json = {{"metric", spec.metric},
               {"on-fail", std::string(name_of(spec.on_fail))},
               {"test", std::string(test_name(spec.test))}};
  std::visit(Writer{json}, spec.test);
  if (spec.scope != Scope::Canary) json["scope"] = std::string(name_of(spec.scope));
  if (!spec.segments.empty()) json["segments"] = spec.segments;
  if (spec.each_segment) json["each-segment"] = true;
  put(json, "burst_ns", spec.burst);
  return json;
}

Result<AnalysisSpec> analysis_from_json(const Json& json) {
  AnalysisSpec spec;
  spec.metric = get_string(json, "metric");
  for (const OnFail on_fail : {OnFail::Pause, OnFail::Ignore}) {
    if (get_string(json, "on-fail") == name_of(on_fail)) spec.on_fail = on_fail;
  }
  for (const Scope scope : {Scope::Stable, Scope::Service}) {
    if (get_string(json, "scope") == name_of(scope)) spec.scope = scope;
  }
  TRY(spec.test, test_from(json));
  if (const Json* segments = find(json, "segments"); segments != nullptr && segments->is_array()) {
    for (const Json& name : *segments) {
      if (name.is_string()) spec.segments.push_back(name.get<std::string>());
    }
  }
  spec.each_segment = get_bool(json, "each-segment");
  spec.burst = duration_at(json, "burst_ns");
  return spec;
}

}  // namespace coalmine::rollout
