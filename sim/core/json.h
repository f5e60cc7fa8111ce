#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "sim/core/result.h"

namespace coalmine {

/// Objects keep their keys sorted, so dumping is deterministic.
using Json = nlohmann::json;

/// Deepest nesting that parse_json accepts; deeper input is an error, not a stack overflow.
inline constexpr int kMaxJsonDepth = 200;

/// Parses one JSON value. `source` names the text in the error: `SOURCE:LINE:COL: error: ...`.
Result<Json> parse_json(std::string_view text, std::string_view source = "");
/// Compact with indent < 0, else pretty. Invalid UTF-8 is replaced, never thrown.
std::string dump_json(const Json& value, int indent = -1);

// Reading without the heavy header: a missing key or another type gives the fallback.
const Json* find(const Json& object, std::string_view key);
std::string get_string(const Json& object, std::string_view key, std::string_view fallback = "");
std::int64_t get_int(const Json& object, std::string_view key, std::int64_t fallback = 0);
double get_number(const Json& object, std::string_view key, double fallback = 0);
bool get_bool(const Json& object, std::string_view key, bool fallback = false);

}  // namespace coalmine
