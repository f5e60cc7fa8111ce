#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/core/result.h"
#include "sim/core/time.h"
#include "sim/core/units.h"
#include "sim/rollout/analysis/spec.h"

namespace coalmine::rollout {

using coalmine::to_string;  // the names below would hide those of durations and shares

// Checks: what rollout tools do instead of a statistical test. On a schedule a value of the last
// so-many seconds is held against a limit; single results are counted until there are enough.
// The tools differ in how they count, and that is most of what they differ in.

enum class Signal {
  Errors,    ///< share of requests that failed, in percent
  Latency,   ///< a quantile, in seconds
  Requests,  ///< per second
  Constant,  ///< no data needed: the result is always the same (`Limit::constant`)
};

/// One side of a limit. Units as for Signal.
struct Bound {
  double value = 0;
  bool itself =
      true;  ///< the bound itself still belongs to the good side (pass) or bad side (fail)
  bool operator==(const Bound&) const = default;
};

enum class CheckResult {
  Passed,
  Failed,
  Inconclusive,  ///< neither good nor bad enough
  Error,         ///< could not be measured
};

/// With pass bounds only, what does not pass fails; with fail bounds only, what does not fail
/// passes; with both there is room for Inconclusive; with neither everything passes.
struct Limit {
  std::string name;  ///< the metric's name in its tool; empty: the signal's
  Signal signal = Signal::Errors;
  Scope scope = Scope::Canary;
  double quantile = 0.99;  ///< Latency
  std::optional<Bound> pass_min, pass_max;
  std::optional<Bound> fail_below, fail_above;
  CheckResult constant = CheckResult::Passed;  ///< Constant
  std::optional<Duration> window;              ///< instead of the check's
  bool operator==(const Limit&) const = default;
};

/// Which failed checks count together.
enum class Tally {
  Rollout,  ///< all of the rollout, also of earlier steps, whatever passed in between
  Step,     ///< of the present weight
  InARow,   ///< a check that passed forgets them
};

struct CheckSpec {
  std::string name;
  std::vector<Limit> limits;  ///< in order; the first that does not pass is the result
  Duration every = std::chrono::minutes{1};
  Duration window = std::chrono::minutes{1};  ///< over datapoints that began in the last so long
  /// From the start to the first measurement. Background checks start as their step begins.
  Duration delay{};
  std::optional<int> count;  ///< measurements, then it has passed; none: until the end
  /// One more than so many, and the check has failed; none: never.
  std::optional<int> failures = 0;
  std::optional<int> inconclusives = 0;
  int errors_in_a_row = 4;       ///< one more, and it has ended with an error, which is a failure
  std::optional<int> successes;  ///< so many in a row, and it has passed before `count`
  Tally counted = Tally::Rollout;
  CheckResult no_data = CheckResult::Failed;
  OnFail on_fail = OnFail::Rollback;
  OnFail on_inconclusive = OnFail::Pause;
  /// A measurement that did not pass keeps the bake from ending until the next one.
  bool holds_step = false;
  /// The failure is acted on when the next measurement is due, instead of that measurement.
  bool acts_late = false;
  std::size_t from_step = 0;           ///< of the plan: begins as this step does
  std::optional<std::size_t> to_step;  ///< ends as this step begins; none: with the rollout
  Duration retry_errors{};             ///< after an error measure again then; 0s: as always
  Place place;
};

inline constexpr std::size_t kMaxChecks = 100;
inline constexpr Duration kMinEvery = std::chrono::seconds{1};

std::string_view to_string(Signal signal);       ///< "errors"
std::string_view to_string(Scope scope);         ///< "canary"
std::string_view to_string(CheckResult result);  ///< "inconclusive"
std::string_view to_string(Tally tally);         ///< "rollout", "step", "in-a-row"
std::string_view to_string(OnFail on_fail);      ///< "rollback"

}  // namespace coalmine::rollout
