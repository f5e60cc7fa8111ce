#include <nlohmann/json.hpp>

#include "sim/study/floor.h"
#include "sim/study/report.h"

namespace coalmine::study {
namespace {

Json summary_json(const Summary& summary) {
  if (summary.n == 0) return nullptr;
  return {{"n", summary.n},     {"mean", summary.mean}, {"ci95", {summary.low, summary.high}},
          {"p50", summary.p50}, {"p95", summary.p95},   {"max", summary.max}};
}

Json proportion_json(const Proportion& share) {
  return {{"rate", share.rate},
          {"ci95", {share.low, share.high}},
          {"count", share.count},
          {"n", share.n}};
}

Json outcomes_json(const Figures& figures) {
  Json json = Json::object();
  for (const auto& [outcome, count] : figures.outcomes) {
    json[std::string(world::to_string(outcome))] = count;
  }
  return json;
}

Json metrics_json(const Figures& figures) {
  Json json = Json::object();
  for (const auto& [name, summary] : figures.metrics) json[name] = summary_json(summary);
  return json;
}

/// {} where the scenario names no segments.
Json segments_json(const Figures& figures) {
  Json json = Json::object();
  for (const Figures::Segment& segment : figures.segments) {
    json[segment.name] = {{"canary_requests", summary_json(segment.requests)},
                          {"canary_failed_requests", summary_json(segment.failed)},
                          {"canary_users", summary_json(segment.users)}};
  }
  return json;
}

}  // namespace

Json evaluation_json(const Evaluation& evaluation) {
  const TrialFacts& facts = evaluation.facts;
  Json json = {{"version", 1},
               {"scenario", facts.scenario},
               {"file", facts.file},
               {"plan", facts.plan},
               {"steps", facts.steps},
               {"analysis", facts.judge},
               {"fault", facts.fault},
               {"seeds", evaluation.seeds},
               {"first_seed", facts.first_seed},
               {"outcomes", outcomes_json(evaluation.written)},
               {"metrics", metrics_json(evaluation.written)},
               {"false_rollback_rate", proportion_json(evaluation.false_rollback)},
               {"missed_fault_rate", nullptr},
               {"information_floor_requests", nullptr},
               {"blast_radius_parts", nullptr},
               {"healthy", nullptr},
               {"checks", Json::array()}};
  if (evaluation.missed_fault)
    json["missed_fault_rate"] = proportion_json(*evaluation.missed_fault);
  if (facts.floor) json["information_floor_requests"] = *facts.floor;
  if (evaluation.budget.runs > 0) {
    json["blast_radius_parts"] = {{"n", evaluation.budget.runs},
                                  {"test", evaluation.budget.test},
                                  {"metrics", evaluation.budget.metrics},
                                  {"route", evaluation.budget.route}};
  }
  if (evaluation.healthy) {
    json["healthy"] = {{"outcomes", outcomes_json(*evaluation.healthy)},
                       {"metrics", metrics_json(*evaluation.healthy)}};
  }
  if (!facts.segments.empty()) {
    json["segments"] = segments_json(evaluation.written);
    if (evaluation.healthy) json["healthy"]["segments"] = segments_json(*evaluation.healthy);
  }
  for (const CheckRate& check : evaluation.checks) {
    Json one = proportion_json(check.passed);
    one["name"] = check.name;
    json["checks"].push_back(std::move(one));
  }
  if (!facts.parameters.empty()) {
    json["parameters"] = Json::object();
    for (const auto& [name, value] : facts.parameters) json["parameters"][name] = value;
  }
  return json;
}

std::string report_json(Kind kind, const std::vector<Evaluation>& evaluations) {
  if (kind == Kind::Evaluate && evaluations.size() == 1) {
    return dump_json(evaluation_json(evaluations[0]), 1) + "\n";
  }
  Json list = Json::array();
  for (const Evaluation& one : evaluations) list.push_back(evaluation_json(one));
  return dump_json(list, 1) + "\n";
}

}  // namespace coalmine::study
