#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "mock-aws/protocol/service.h"
#include "sim/core/json.h"

namespace coalmine::mock {

inline constexpr std::size_t kMaxForwardGroups = 5;
inline constexpr int kMaxTargetWeight = 999;
inline constexpr int kMaxGroupStickiness_s = 604'800;
inline constexpr std::size_t kMaxConditionValues = 3;      ///< per condition
inline constexpr std::size_t kMaxConditionValuesRule = 5;  ///< per rule
inline constexpr std::size_t kMaxWildcards = 5;            ///< `*` and `?` per rule
inline constexpr std::size_t kMaxConditionLength = 128;

/// Checks a rule's Actions and completes them as ELBv2 answers them: one-group forwards carry
/// TargetGroupArn and ForwardConfig, weights default to 1, redirects name all their parts.
/// Whether the groups exist is the caller's check.
Reply normalise_actions(const Json& actions);

/// Checks Conditions and completes them: `Values` becomes the field's own config too.
Reply normalise_conditions(const Json& conditions);

/// The target groups that normalised actions forward to, in order.
std::vector<std::string> groups_of(const Json& actions);

/// "a.b.c.d" with bytes in range.
bool is_ipv4(std::string_view text);

}  // namespace coalmine::mock
