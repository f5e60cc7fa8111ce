#include "mock-aws/services/cloudwatch/alarm_rule.h"

#include <fmt/format.h>

#include <algorithm>

namespace coalmine::mock {
namespace {

std::string_view words(Comparison comparison) {
  switch (comparison) {
    case Comparison::GreaterOrEqual:
      return "greater than or equal to";
    case Comparison::Greater:
      return "greater than";
    case Comparison::Less:
      return "less than";
    case Comparison::LessOrEqual:
      return "less than or equal to";
  }
  return "";
}

std::string counted(int n, std::string_view noun) {
  return fmt::format("{} {}{}", n, noun, n == 1 ? "" : "s");
}

/// "09/07/24 11:51:00"
std::string short_date(TimePoint t) {
  const std::string iso = to_iso8601(t);
  return fmt::format("{}/{}/{} {}", iso.substr(8, 2), iso.substr(5, 2), iso.substr(2, 2),
                     iso.substr(11, 8));
}

std::string listed(const std::vector<AlarmPoint>& points) {
  std::string text;
  for (const AlarmPoint& point : points) {
    if (!text.empty()) text += ", ";
    text += fmt::format("{} ({})", with_point(*point.value), short_date(point.start));
  }
  return text;
}

/// "1 out of the last 1 datapoints [2.0 (…)] was greater than the threshold (1.0)"
std::string crossing(const AlarmRule& rule, const std::vector<AlarmPoint>& used, bool alarm) {
  std::vector<AlarmPoint> named;
  for (const AlarmPoint& point : used) {
    if (breaches(rule, *point.value) == alarm) named.push_back(point);
  }
  const int n = static_cast<int>(named.size());
  return fmt::format("{} out of the last {} datapoints [{}] {} {}{} the threshold ({})", n,
                     used.size(), listed(named), n == 1 ? "was" : "were", alarm ? "" : "not ",
                     words(rule.comparison), with_point(rule.threshold));
}

std::string minimum(const AlarmRule& rule, bool alarm) {
  return alarm ? fmt::format(" (minimum {} for OK -> ALARM transition)",
                             counted(rule.to_alarm, "datapoint"))
               : fmt::format(" (minimum {} for ALARM -> OK transition)",
                             counted(rule.periods - rule.to_alarm + 1, "datapoint"));
}

std::string treated(int lack, MissingData policy) {
  const std::string_view how = policy == MissingData::Breaching      ? "Breaching"
                               : policy == MissingData::NotBreaching ? "NonBreaching"
                                                                     : "Missing";
  return fmt::format("{} {} treated as [{}]", counted(lack, "missing datapoint"),
                     lack == 1 ? "was" : "were", how);
}

std::string reason_for(const AlarmRule& rule, const std::vector<AlarmPoint>& used, int lack,
                       bool alarm) {
  if (used.empty()) {
    return fmt::format("Threshold Crossed: no datapoints were received for {} and {}.",
                       counted(lack, "period"), treated(lack, rule.missing));
  }
  const bool any = std::any_of(used.begin(), used.end(), [&](const AlarmPoint& point) {
    return breaches(rule, *point.value) == alarm;
  });
  std::string text = "Threshold Crossed: ";
  if (any) text += crossing(rule, used, alarm) + minimum(rule, alarm);
  if (lack > 0 && rule.missing != MissingData::Ignore) {
    text += (any ? " and " : "") + treated(lack, rule.missing);
  }
  return text + ".";
}

}  // namespace

bool breaches(const AlarmRule& rule, double value) {
  switch (rule.comparison) {
    case Comparison::GreaterOrEqual:
      return value >= rule.threshold;
    case Comparison::Greater:
      return value > rule.threshold;
    case Comparison::Less:
      return value < rule.threshold;
    case Comparison::LessOrEqual:
      return value <= rule.threshold;
  }
  return false;
}

AlarmVerdict evaluate(const AlarmRule& rule, const std::vector<AlarmPoint>& newest_first) {
  AlarmVerdict verdict;
  int breaching = 0, age_of_oldest = 0;
  for (std::size_t i = 0; i < newest_first.size(); ++i) {
    if (!newest_first[i].value) continue;
    verdict.used.push_back(newest_first[i]);
    breaching += breaches(rule, *newest_first[i].value) ? 1 : 0;
    age_of_oldest = static_cast<int>(i) + 1;
    if (static_cast<int>(verdict.used.size()) == rule.periods) break;
  }
  const int real = static_cast<int>(verdict.used.size());
  const int lack = rule.periods - real;
  if (lack > 0 && rule.missing == MissingData::Breaching) breaching += lack;

  bool alarm = breaching >= rule.to_alarm;
  if (lack > 0 && !alarm) {
    const bool only_breaches = real > 0 && breaching == real;
    if (rule.missing == MissingData::Missing) {
      if (real == 0) {
        verdict.state = AlarmState::InsufficientData;
        verdict.reason = fmt::format("Insufficient Data: {} {} unknown.",
                                     counted(lack, "datapoint"), lack == 1 ? "was" : "were");
        return verdict;
      }
      alarm = only_breaches && age_of_oldest >= rule.to_alarm;
    } else if (rule.missing == MissingData::Ignore && (real == 0 || only_breaches)) {
      return verdict;
    }
  }
  verdict.state = alarm ? AlarmState::Alarm : AlarmState::Ok;
  verdict.reason = reason_for(rule, verdict.used, lack, alarm);
  return verdict;
}

std::string_view to_string(AlarmState state) {
  switch (state) {
    case AlarmState::Ok:
      return "OK";
    case AlarmState::Alarm:
      return "ALARM";
    case AlarmState::InsufficientData:
      return "INSUFFICIENT_DATA";
  }
  return "";
}

std::optional<AlarmState> parse_alarm_state(std::string_view text) {
  if (text == "OK") return AlarmState::Ok;
  if (text == "ALARM") return AlarmState::Alarm;
  if (text == "INSUFFICIENT_DATA") return AlarmState::InsufficientData;
  return std::nullopt;
}

std::optional<Comparison> parse_comparison(std::string_view text) {
  if (text == "GreaterThanOrEqualToThreshold") return Comparison::GreaterOrEqual;
  if (text == "GreaterThanThreshold") return Comparison::Greater;
  if (text == "LessThanThreshold") return Comparison::Less;
  if (text == "LessThanOrEqualToThreshold") return Comparison::LessOrEqual;
  return std::nullopt;
}

std::optional<MissingData> parse_missing_data(std::string_view text) {
  if (text.empty() || text == "missing") return MissingData::Missing;
  if (text == "ignore") return MissingData::Ignore;
  if (text == "breaching") return MissingData::Breaching;
  if (text == "notBreaching") return MissingData::NotBreaching;
  return std::nullopt;
}

std::string with_point(double value) {
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".ein") == std::string::npos) text += ".0";
  return text;
}

}  // namespace coalmine::mock
