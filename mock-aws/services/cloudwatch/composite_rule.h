#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mock-aws/services/ports.h"
#include "sim/core/result.h"

namespace coalmine::mock {

inline constexpr std::size_t kMaxRuleChildren = 100;  ///< alarms a composite rule may name
inline constexpr int kMaxRuleDepth = 64;

using StateLookup = std::function<std::optional<AlarmState>(const std::string& alarm)>;

/// Whether a composite alarm's rule holds: ALARM("a") AND NOT (OK(b) OR INSUFFICIENT_DATA(c)),
/// TRUE, FALSE. Names may be quoted or be ARNs. `children` receives every alarm named. An alarm
/// that does not exist is an error naming it.
Result<bool> evaluate_composite(std::string_view rule, const StateLookup& state,
                                std::vector<std::string>* children = nullptr);

}  // namespace coalmine::mock
