// Metrics of Argo Rollouts' AnalysisTemplates. Only for the importer's own .cpp files.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/rollout/importers/fields.h"

namespace coalmine::importers {

/// Arguments of a template: {{args.NAME}} stands for the value.
using Arguments = std::map<std::string, std::string>;

/// `text` with the arguments filled in; unknown ones stay as they are.
std::string fill_in(std::string text, const Arguments& arguments);

/// What a metric's result is, as its query's text tells; the query itself is never run.
struct QueryMeaning {
  rollout::Signal signal = rollout::Signal::Errors;
  bool success = false;  ///< the result is the share that did not fail
  double whole = 1;      ///< the result at 100%: 1, or 100 for percent
  double seconds = 1;    ///< one unit of a latency result
  double quantile = 0.99;
  std::optional<Duration> window;  ///< the range the query looks at: [5m]
};
std::optional<QueryMeaning> meaning_of(const std::string& query);

/// A condition that says how a single number must lie: `result[0] >= 0.95`.
struct Condition {
  std::optional<double> above, below;  ///< bounds of the condition's truth
  bool above_itself = false, below_itself = false;
  bool no_data_is_true = false;  ///< len(result) == 0 || …, isNaN(result[0]) || …
};
/// nullopt: not understood.
std::optional<Condition> parse_condition(std::string text);

/// One metric of a template as a check; nullopt: it was reported that it cannot be carried over.
std::optional<rollout::CheckSpec> read_argo_metric(const YamlNode& node, const Arguments& arguments,
                                                   Report& report);

}  // namespace coalmine::importers
