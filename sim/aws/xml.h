#pragma once

#include <string_view>

#include "sim/core/json.h"

namespace coalmine::aws {

/// Reads an answer of AWS's query protocol as JSON: an element with children becomes an object
/// (a list of <member> an array), one without becomes its text. The root's name is left out.
/// Attributes, comments and declarations are skipped; no DTD, no entities beyond the five of XML
/// and character references. Errors say at which byte. At most 100 levels deep.
Result<Json> parse_xml(std::string_view text);

}  // namespace coalmine::aws
