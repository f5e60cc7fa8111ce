#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "sim/rollout/alarm_spec.h"
#include "sim/rollout/analysis/analysis.h"
#include "sim/rollout/metrics.h"

namespace coalmine::rollout {

/// Points beyond the evaluation periods that are looked at, so that late data still counts.
inline constexpr int kExtraAlarmPoints = 2;

/// The state that points mean, newest first; nullopt: keep the one that is. With at least N real
/// points the newest N decide; with fewer only the lack is filled by the policy, and when all real
/// points breach and the oldest is at least M periods old, `missing` alarms rather than waits and
/// `ignore` keeps the state. Source: CloudWatch user guide, "Configuring how CloudWatch alarms
/// treat missing data".
std::optional<AlarmState> alarm_state(const AlarmSpec& spec,
                                      const std::vector<std::optional<double>>& newest_first);

/// How often CloudWatch evaluates an alarm: each minute, below a minute's period every 10 s.
Duration evaluation_interval(const AlarmSpec& spec);

/// One alarm while the rollout goes on. Values only.
class AlarmRun {
 public:
  AlarmRun(AlarmSpec spec, TimePoint start);

  void add(const MetricsWindow& window);
  /// Evaluates if the time for it has come; true if the state changed.
  bool evaluate(TimePoint now);
  TimePoint due() const { return due_; }
  AlarmState state() const { return state_; }
  const AlarmSpec& spec() const { return spec_; }
  /// "canary-5xx is in ALARM: errors 4 > 3 in 2 of the last 3 periods of 1m"
  Evaluation describe() const;

 private:
  struct Period {
    TimePoint from;
    std::uint64_t requests = 0, errors = 0, slow = 0;
  };
  std::optional<double> value(TimePoint from) const;

  AlarmSpec spec_;
  TimePoint due_;
  AlarmState state_;
  std::deque<Period> periods_;  ///< rising, only those with data
  int breaching_ = 0;
  std::optional<double> newest_;
};

/// The latency limits whose counts the alarms need.
void add_latency_limits(const std::vector<AlarmSpec>& specs, std::vector<Duration>& limits);

}  // namespace coalmine::rollout
