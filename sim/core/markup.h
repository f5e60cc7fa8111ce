#pragma once

#include <string>
#include <string_view>

namespace coalmine {

/// Text as XML and HTML hold it, between tags or in a double-quoted attribute. Control characters
/// that XML 1.0 cannot hold become '?'.
std::string escape_markup(std::string_view text);

}  // namespace coalmine
