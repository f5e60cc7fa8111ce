#pragma once

#include <string>
#include <vector>

#include "sim/core/json.h"
#include "sim/study/evaluation.h"

namespace coalmine::study {

/// One evaluation as the contract has it: {"version":1,"scenario","plan","seeds","outcomes",
/// "metrics":{name:{"mean","ci95","p50","p95","max","n"}},"false_rollback_rate",…}.
Json evaluation_json(const Evaluation& evaluation);
/// `evaluate`: one object. `compare` and sweeps: a list of them.
std::string report_json(Kind kind, const std::vector<Evaluation>& evaluations);

/// For people, at 80 columns and without colour.
std::string render_evaluation(const Evaluation& evaluation);
/// Plans side by side: a table, bars, and what they say in words.
std::string render_comparison(const std::vector<Evaluation>& evaluations);

/// The values of a sweep under one another.
std::string render_sweep(const std::vector<Evaluation>& evaluations);
/// The columns that comparisons and sweeps share.
std::string render_table(const std::vector<Evaluation>& evaluations);
/// Whichever of these the study is.
std::string render(Kind kind, const std::vector<Evaluation>& evaluations);
/// One line per trial; the first line names the columns.
std::string report_csv(const std::vector<Evaluation>& evaluations);

/// One page without a script or anything from elsewhere: SVG bars with their confidence intervals,
/// the table, and what the terminal shows.
std::string report_html(Kind kind, const std::vector<Evaluation>& evaluations);

/// The plan's name, or the swept values: "weight 5%".
std::string trial_name(const TrialFacts& facts);
/// Wraps at 78 columns; continuation lines are indented.
std::string wrapped(const std::string& text, std::size_t indent);

/// "1,234" or "0.0123" or "76.4": three significant digits below a thousand.
std::string number(double value);
/// "0.4% (0.1% to 1.2%)"
std::string render(const Proportion& share);
/// "2m31s": three significant places are enough for people.
std::string rough_duration(double seconds);
/// Horizontal bar of `width` characters at most for value / full; never empty for value > 0.
std::string bar(double value, double full, std::size_t width, char fill = '#');

}  // namespace coalmine::study
