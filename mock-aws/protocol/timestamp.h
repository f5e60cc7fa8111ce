#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace coalmine::mock {

/// Epoch seconds of "2026-11-24T19:30:04[.fraction](Z|+HH:MM)", "2026-11-24T19:30Z",
/// "2026-11-24" or a plain number; nullopt for anything else.
std::optional<double> parse_timestamp(std::string_view text);
/// "2026-11-24T19:30:04Z", with milliseconds only when there are some or when `always_millis`.
std::string format_timestamp(double epoch_seconds, bool always_millis = false);

}  // namespace coalmine::mock
