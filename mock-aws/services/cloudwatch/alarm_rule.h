#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mock-aws/services/ports.h"
#include "sim/core/time.h"

namespace coalmine::mock {

/// Points beyond the evaluation periods that an evaluation looks at, so that late data still
/// counts. CloudWatch does not publish the number; its examples show 5 points for 3 periods.
inline constexpr int kExtraEvaluationPoints = 2;

enum class Comparison { GreaterOrEqual, Greater, Less, LessOrEqual };
enum class MissingData { Missing, Ignore, Breaching, NotBreaching };

/// The part of a metric alarm that decides its state.
struct AlarmRule {
  int periods = 1;   ///< N: EvaluationPeriods
  int to_alarm = 1;  ///< M: DatapointsToAlarm, 1 to N
  double threshold = 0;
  Comparison comparison = Comparison::Greater;
  MissingData missing = MissingData::Missing;
};

/// A period of the window; no value: no data in it.
struct AlarmPoint {
  TimePoint start;
  std::optional<double> value;
};

struct AlarmVerdict {
  std::optional<AlarmState> state;  ///< nullopt: keep the current one
  std::string reason;               ///< StateReason, in CloudWatch's words
  std::vector<AlarmPoint> used;     ///< the real points it rests on, newest first
};

bool breaches(const AlarmRule& rule, double value);

/// The state that the last periods + kExtraEvaluationPoints points (newest first) mean.
///
/// At least N real points: the newest N of them, ALARM iff at least M breach. Fewer: only the lack
/// is filled by the missing-data policy. When all real points breach and the oldest is at least M
/// periods old, `missing` alarms too early rather than too late, and `ignore` keeps the state.
/// Source: CloudWatch user guide, "Configuring how CloudWatch alarms treat missing data".
AlarmVerdict evaluate(const AlarmRule& rule, const std::vector<AlarmPoint>& newest_first);

std::string_view to_string(AlarmState state);  ///< "OK", "ALARM", "INSUFFICIENT_DATA"
std::optional<AlarmState> parse_alarm_state(std::string_view text);
std::optional<Comparison> parse_comparison(std::string_view text);
std::optional<MissingData> parse_missing_data(std::string_view text);

/// "2.0", "0.25": whole numbers carry a point, as in CloudWatch's reasons.
std::string with_point(double value);

}  // namespace coalmine::mock
