#include "mock-aws/services/elbv2/target_health.h"

#include <fmt/format.h>

#include <charconv>
#include <vector>

namespace coalmine::mock {
namespace {

struct Range {
  int low = 0, high = 0;
};

std::optional<int> code(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::vector<Range>> ranges(std::string_view matcher) {
  std::vector<Range> all;
  for (;;) {
    const auto comma = matcher.find(',');
    const std::string_view part = matcher.substr(0, comma);
    const auto dash = part.find('-');
    const auto low = code(part.substr(0, dash));
    const auto high = dash == std::string_view::npos ? low : code(part.substr(dash + 1));
    if (!low || !high || *low > *high) return std::nullopt;
    all.push_back({*low, *high});
    if (comma == std::string_view::npos) return all;
    matcher.remove_prefix(comma + 1);
  }
}

bool passed(const HealthCheck& check, const ProbeOutcome& outcome) {
  if (outcome.kind != ProbeOutcome::Kind::Answered) return false;
  return check.protocol == "TCP" || matches(check.matcher, outcome.status);
}

TargetHealth unhealthy(const ProbeOutcome& outcome) {
  switch (outcome.kind) {
    case ProbeOutcome::Kind::Answered:
      return {TargetState::Unhealthy, "Target.ResponseCodeMismatch",
              fmt::format("Health checks failed with these codes: [{}]", outcome.status)};
    case ProbeOutcome::Kind::TimedOut:
      return {TargetState::Unhealthy, "Target.Timeout", "Request timed out"};
    case ProbeOutcome::Kind::Failed:
      break;
  }
  return {TargetState::Unhealthy, "Target.FailedHealthChecks", "Health checks failed"};
}

}  // namespace

TargetProgress registered() {
  return {
      {TargetState::Initial, "Elb.RegistrationInProgress", "Target registration is in progress"},
      0,
      0};
}

TargetProgress after_probe(const HealthCheck& check, TargetProgress progress,
                           const ProbeOutcome& outcome) {
  const TargetState before = progress.health.state;
  if (passed(check, outcome)) {
    progress.failures = 0;
    ++progress.passes;
    if (before == TargetState::Initial || progress.passes >= check.healthy_threshold) {
      progress.health = {TargetState::Healthy, "", ""};
    }
    return progress;
  }
  progress.passes = 0;
  ++progress.failures;
  if (before == TargetState::Unhealthy || progress.failures >= check.unhealthy_threshold) {
    progress.health = unhealthy(outcome);
  } else if (before == TargetState::Initial) {
    progress.health = {TargetState::Initial, "Elb.InitialHealthChecking",
                       "Initial health checks in progress"};
  }
  return progress;
}

bool matches(std::string_view matcher, int status) {
  const auto all = ranges(matcher);
  if (!all) return false;
  for (const Range& range : *all) {
    if (status >= range.low && status <= range.high) return true;
  }
  return false;
}

bool valid_matcher(std::string_view matcher) {
  const auto all = ranges(matcher);
  if (!all) return false;
  for (const Range& range : *all) {
    if (range.low < 200 || range.high > 499) return false;
  }
  return true;
}

std::string_view to_string(TargetState state) {
  switch (state) {
    case TargetState::Initial:
      return "initial";
    case TargetState::Healthy:
      return "healthy";
    case TargetState::Unhealthy:
      return "unhealthy";
    case TargetState::Unused:
      return "unused";
    case TargetState::Draining:
      return "draining";
    case TargetState::Unknown:
      break;
  }
  return "unavailable";
}

}  // namespace coalmine::mock
