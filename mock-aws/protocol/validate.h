#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "mock-aws/protocol/api_model.h"
#include "mock-aws/protocol/service.h"
#include "sim/core/json.h"

namespace coalmine::mock {

/// Most problems that one answer lists; the count in the message is that of the listed ones.
inline constexpr std::size_t kMaxProblems = 20;

/// One breach of the model: "Value '101' at 'spec…weight' failed to satisfy constraint: Member
/// must have value less than or equal to 100".
struct Problem {
  std::string path;        ///< "spec.httpRoute.action.weightedTargets.1.member.weight"
  std::string value;       ///< as text; "null" for a missing member
  std::string constraint;  ///< "Member must not be null"
  bool missing = false;
};

/// Every breach of required, ranges, lengths, patterns, enums and unions, up to kMaxProblems.
/// `input` has passed coerce_input(). `lower_paths`: the query services name members with a
/// small first letter ('roleName').
std::vector<Problem> validate(const Shape& shape, const Json& input, bool lower_paths);

/// The error that the service answers for them, in its own words.
AwsError validation_error(std::string_view service, const std::vector<Problem>& problems);

}  // namespace coalmine::mock
