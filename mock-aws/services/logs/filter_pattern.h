#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sim/core/result.h"

namespace coalmine::mock {

/// A FilterLogEvents pattern of terms: `ERROR timeout` (all of them), `"two words"`, `?a ?b` (any
/// of them), `-debug` (not that one). Case matters. An empty pattern matches everything.
struct FilterPattern {
  std::vector<std::string> all, any, none;
};

/// Error for JSON (`{ … }`), space-delimited (`[ … ]`) and regular-expression (`%…%`) patterns,
/// which are not implemented, and for an open quote.
Result<FilterPattern> parse_filter_pattern(std::string_view text);
bool matches(const FilterPattern& pattern, std::string_view message);

}  // namespace coalmine::mock
