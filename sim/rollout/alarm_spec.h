#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/core/result.h"
#include "sim/core/time.h"
#include "sim/rollout/check_spec.h"

namespace coalmine::rollout {

// Alarms as CloudWatch has them: a statistic per period, M of the last N periods, and a policy for
// periods without data. A plan watches some of them by name.

enum class AlarmStatistic {
  Sum,       ///< errors or requests counted in the period
  Average,   ///< errors: their share in percent
  Quantile,  ///< latency
};
enum class AlarmComparison { GreaterOrEqual, Greater, Less, LessOrEqual };
enum class MissingData { Missing, Ignore, Breaching, NotBreaching };
enum class AlarmState { Ok, Alarm, InsufficientData };

struct AlarmSpec {
  std::string name;
  Signal metric = Signal::Errors;
  Scope scope = Scope::Canary;
  AlarmStatistic statistic = AlarmStatistic::Sum;
  double quantile = 0.99;  ///< Quantile
  AlarmComparison comparison = AlarmComparison::Greater;
  double threshold = 0;  ///< count, percent or seconds
  Duration period = std::chrono::minutes{1};
  int periods = 1;   ///< N: EvaluationPeriods
  int to_alarm = 1;  ///< M: DatapointsToAlarm
  MissingData missing = MissingData::Missing;
  AlarmState initially = AlarmState::InsufficientData;  ///< before the rollout
  Place place;
};

enum class AlarmAtStart {
  Ignore,  ///< red at the start: all alarms are ignored for this rollout (ECS)
  Stop,    ///< red at the start: the rollout fails at once (CodeDeploy)
};

struct AlarmWatch {
  std::vector<std::string> names;
  AlarmAtStart at_start = AlarmAtStart::Ignore;
  OnFail on_alarm = OnFail::Rollback;
  Place place;
};

inline constexpr std::size_t kMaxAlarms = 100;
inline constexpr int kMaxAlarmPeriods = 1440;

std::string_view to_string(AlarmStatistic statistic);    ///< "sum"
std::string_view to_string(AlarmComparison comparison);  ///< ">="
std::string_view to_string(MissingData missing);         ///< "not-breaching"
std::string_view to_string(AlarmState state);            ///< "OK", "ALARM", "INSUFFICIENT_DATA"

}  // namespace coalmine::rollout
