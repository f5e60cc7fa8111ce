#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "sim/core/result.h"
#include "sim/core/time.h"

namespace coalmine::mock {

inline constexpr int kMaxExpressionDepth = 64;

/// (period start, value), oldest first.
using Series = std::vector<std::pair<TimePoint, double>>;
/// What an expression yields: a number or a series.
using MathValue = std::variant<double, Series>;

/// What an expression may refer to.
struct MathContext {
  /// The value of another query's id; an error names the id.
  std::function<Result<MathValue>(const std::string& id)> lookup;
  std::vector<TimePoint> grid;  ///< every period start of the window, oldest first (for FILL)
};

/// Evaluates metric math: + - * / with ( ), comparisons, AND OR, IF, FILL(m, number or REPEAT),
/// ABS, CEIL, FLOOR, and SUM AVG MIN MAX of one series (a number). Two series combine where both
/// have a value; a division by zero leaves no value. Anything else is an honest error.
/// Source: CloudWatch user guide, "Using math expressions".
Result<MathValue> evaluate_math(std::string_view expression, const MathContext& context);

}  // namespace coalmine::mock
