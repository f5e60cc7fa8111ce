#pragma once

#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "sim/core/json.h"
#include "sim/core/time.h"

namespace coalmine::rollout {

/// Traffic weights by version, as they are set: {"v1": 99, "v2": 1}.
using Weights = std::map<std::string, std::int64_t>;

/// The share of `version` in `weights`, 0 to 1; 0 when all weights are 0 or it has none.
double share_of(const Weights& weights, const std::string& version);
/// "v1 99  v2 1", stable first.
std::string render_weights(const Weights& weights);

using Value = std::variant<std::string, double, std::int64_t, bool, Weights>;

/// One record of a rollout's story: for the timeline, the journal and the event stream.
///
///   rollout.started     stable canary steps
///   weights.changed     weights note
///   weights.failed      reason attempt
///   weights.unseen      reason
///   analysis.evaluated  metric test verdict value limit n statistic needs sentence
///   decision            decision (next-step, hold, pause, promote, roll-back, ignore) reason, and
///                       the fields of the evaluation it rests on, with what had been counted:
///                       canary_requests counted_until_s (see analysis/bounds.h, blast_parts)
///   state.changed       from to
///   operator            command reason accepted
///   metrics.failed      reason
///   hook.answered       hook verdict text
///   revision.newer      version running
///   tasks.asked         version from tasks reason
///   image.asked         version image tasks (stable's tasks get the image of a version)
///   tasks.ready         version tasks, and image if that was what changed
///   tasks.failed        reason attempt
///   rollout.resumed     state
///   rollout.finished    outcome reason canary_requests canary_errors
struct Event {
  TimePoint t;
  std::string name;
  std::vector<std::pair<std::string, Value>> fields;

  const Value* find(std::string_view key) const;
  std::string text(std::string_view key) const;  ///< a string field, else ""
  double number(std::string_view key) const;     ///< a numeric field, else 0
  bool operator==(const Event&) const = default;
};

/// {"t": "2026-…Z", "event": …, fields…}
Json to_json(const Event& event);

/// One line of a timeline, or empty for events that only the journal needs:
///   1:10.000  analysis  errors: 3 of 10 from 1% of traffic, evidence 813 (needs 100)
std::string render(const Event& event, TimePoint start);

}  // namespace coalmine::rollout
