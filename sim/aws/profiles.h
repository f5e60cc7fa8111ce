#pragma once

#include <map>
#include <string>
#include <string_view>

#include "sim/core/result.h"

namespace coalmine::aws {

/// The sections of an AWS shared file: profile name -> key -> value. "[profile x]" of the config
/// file and "[x]" of the credentials file are both profile x. Nested values (indented lines, as
/// below "s3 =") are left out. Errors name file and line.
using Profiles = std::map<std::string, std::map<std::string, std::string>>;
Result<Profiles> parse_profiles(std::string_view text, std::string_view source);

}  // namespace coalmine::aws
