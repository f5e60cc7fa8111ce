#include "sim/study/evaluation.h"

#include <algorithm>

namespace coalmine::study {
namespace {

using world::Outcome;

constexpr Outcome kOutcomes[] = {Outcome::Promoted, Outcome::Completed,  Outcome::RolledBack,
                                 Outcome::Paused,   Outcome::Unfinished, Outcome::Failed};

/// One figure of a run; nullopt: this run does not have it.
using Read = std::optional<double> (*)(const Sample&);

std::optional<double> seconds(const std::optional<Duration>& d) {
  return d ? std::optional(to_seconds(*d)) : std::nullopt;
}

constexpr std::pair<const char*, Read> kMetrics[] = {
    {"canary_requests", [](const Sample& s) { return std::optional(double(s.canary_requests)); }},
    {"canary_failed_requests",
     [](const Sample& s) { return std::optional(double(s.canary_failed)); }},
    {"canary_users", [](const Sample& s) { return std::optional(double(s.canary_users)); }},
    {"requests", [](const Sample& s) { return std::optional(double(s.requests)); }},
    {"failed_requests", [](const Sample& s) { return std::optional(double(s.failed)); }},
    {"dropped_requests", [](const Sample& s) { return std::optional(double(s.dropped)); }},
    {"time_to_detect_s", [](const Sample& s) { return seconds(s.detect); }},
    {"time_to_rollback_s", [](const Sample& s) { return seconds(s.rollback); }},
    {"time_to_promote_s", [](const Sample& s) { return seconds(s.promote); }},
    {"duration_s", [](const Sample& s) { return std::optional(to_seconds(s.duration)); }}};

Figures figures(const std::vector<Sample>& samples, const TrialFacts& facts) {
  Figures result;
  result.runs = samples.size();
  for (const Outcome outcome : kOutcomes) {
    result.outcomes.emplace_back(
        outcome, std::count_if(samples.begin(), samples.end(),
                               [outcome](const Sample& s) { return s.outcome == outcome; }));
  }
  for (const auto& [name, read] : kMetrics) {
    std::vector<double> values;
    values.reserve(samples.size());
    for (const Sample& sample : samples) {
      if (const auto value = read(sample)) values.push_back(*value);
    }
    result.metrics.emplace_back(name, summarise(std::move(values)));
  }
  for (std::size_t i = 0; i < facts.segments.size(); ++i) {
    std::vector<double> requests, failed, users;
    for (const Sample& sample : samples) {
      requests.push_back(double(sample.segments[i].requests));
      failed.push_back(double(sample.segments[i].failed));
      users.push_back(double(sample.segment_users[i]));
    }
    result.segments.push_back({facts.segments[i], summarise(std::move(requests)),
                               summarise(std::move(failed)), summarise(std::move(users))});
  }
  return result;
}

BlastBudget budget_of(const std::vector<Sample>& samples) {
  BlastBudget budget;
  for (const Sample& sample : samples) {
    if (!sample.blamed) continue;
    ++budget.runs;
    budget.test += static_cast<double>(sample.parts.test);
    budget.metrics += static_cast<double>(sample.parts.metrics);
    budget.route += static_cast<double>(sample.parts.route);
  }
  const double n = static_cast<double>(std::max<std::uint64_t>(budget.runs, 1));
  budget.test /= n;
  budget.metrics /= n;
  budget.route /= n;
  return budget;
}

std::uint64_t blamed(const std::vector<Sample>& samples) {
  return static_cast<std::uint64_t>(
      std::count_if(samples.begin(), samples.end(), [](const Sample& s) { return s.blamed; }));
}

}  // namespace

const Summary* Figures::find(std::string_view name) const {
  for (const auto& [key, summary] : metrics) {
    if (key == name) return &summary;
  }
  return nullptr;
}

std::uint64_t Figures::count(Outcome outcome) const {
  for (const auto& [key, count] : outcomes) {
    if (key == outcome) return count;
  }
  return 0;
}

Evaluation evaluate(const TrialResult& result, int seeds) {
  Evaluation evaluation;
  evaluation.facts = result.facts;
  evaluation.seeds = seeds;
  evaluation.written = figures(result.written, result.facts);
  if (result.facts.worse) {
    evaluation.healthy = figures(result.healthy, result.facts);
    // Stopped by an operator is stopped too: what counts is whether users kept the fault.
    const auto stopped = static_cast<std::uint64_t>(
        std::count_if(result.written.begin(), result.written.end(), [](const Sample& sample) {
          return sample.outcome == Outcome::RolledBack || sample.blamed;
        }));
    evaluation.missed_fault = proportion(result.written.size() - stopped, result.written.size());
  }
  evaluation.false_rollback = proportion(blamed(result.good()), result.good().size());
  evaluation.budget = budget_of(result.written);
  for (std::size_t c = 0; c < result.facts.checks.size(); ++c) {
    std::uint64_t failed = 0;
    for (const Sample& sample : result.written) {
      failed += std::count(sample.failed_checks.begin(), sample.failed_checks.end(), c);
    }
    evaluation.checks.push_back({result.facts.checks[c], proportion(result.written.size() - failed,
                                                                    result.written.size())});
  }
  return evaluation;
}

std::vector<Evaluation> evaluate(const StudyResult& result) {
  std::vector<Evaluation> all;
  for (const TrialResult& trial : result.trials) all.push_back(evaluate(trial, result.seeds));
  return all;
}

}  // namespace coalmine::study
