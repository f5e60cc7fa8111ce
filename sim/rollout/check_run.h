#pragma once

#include <string>
#include <vector>

#include "sim/rollout/analysis/analysis.h"
#include "sim/rollout/check_spec.h"
#include "sim/rollout/metrics.h"

namespace coalmine::rollout {

/// What one look at a limit, or at all limits of a check, found.
struct Measurement {
  CheckResult result = CheckResult::Passed;
  bool no_data = false;
  std::string metric;   ///< name of the limit that decided
  double value = 0;     ///< percent; per second; for latency the share that was slower, percent
  double limit = 0;     ///< in the same unit
  std::uint64_t n = 0;  ///< requests looked at
  std::string words;    ///< "errors 4.2% of 59 canary requests in 1m, allowed up to 1%"
  bool operator==(const Measurement&) const = default;
};

/// Datapoints that began within [now - window, now), held against the check's limits.
Measurement measure(const CheckSpec& spec, const std::vector<MetricsWindow>& recent, TimePoint now);

/// One check of a plan while the rollout goes on. Values only.
class CheckRun {
 public:
  enum class End { Running, Passed, Failed, Inconclusive };

  CheckRun(CheckSpec spec, TimePoint start);

  /// When it wants to look next; kNever once it has ended.
  TimePoint due() const { return end_ == End::Running ? due_ : kNever; }
  /// Looks if it is due; true if it did.
  bool look(const std::vector<MetricsWindow>& recent, TimePoint now);
  /// As look(), when the metrics could not be read.
  bool look_in_vain(const std::string& reason, TimePoint now);
  void next_step();
  /// Goes on after a failure that was ignored or resumed over.
  void forgive();
  /// Looks no more.
  void stop();

  End end() const { return end_; }
  const CheckSpec& spec() const { return spec_; }
  int failed() const { return failed_; }
  int measured() const { return measured_; }
  bool last_passed() const { return measured_ > 0 && last_.result == CheckResult::Passed; }
  const Measurement& last() const { return last_; }
  Evaluation evaluate() const;

 private:
  bool begin_look(TimePoint now);
  void count(Measurement found, TimePoint now);
  void settle();

  CheckSpec spec_;
  TimePoint due_;
  End end_ = End::Running;
  bool will_fail_ = false;  ///< acts_late: at the next due time
  int measured_ = 0, failed_ = 0, inconclusive_ = 0, errors_in_a_row_ = 0, passed_in_a_row_ = 0;
  Measurement last_;
};

/// The latency limits whose counts the checks need.
void add_latency_limits(const std::vector<CheckSpec>& specs, std::vector<Duration>& limits);
/// How far back a check looks at most.
Duration longest_window(const std::vector<CheckSpec>& specs);

}  // namespace coalmine::rollout
